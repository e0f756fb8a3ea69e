//! Builds the bytes of a package from its [`Spec`].

use super::archive;
use super::i18n;
use super::manifest::Manifest;
use super::pictures;
use super::script;
use super::spec::Spec;

/// Builds the package of `spec`, a zip.
///
/// # Errors
/// See [`BuildError`].
pub fn build(spec: &Spec) -> Result<Vec<u8>, BuildError> {
    pack(&files(spec)?)
}

/// Packs these [`files`] into a package.
///
/// # Errors
/// See [`BuildError`].
pub fn pack(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, BuildError> {
    Ok(archive::pack(files)?)
}

/// The files of the package in order, with their names.
///
/// # Errors
/// See [`BuildError`].
pub fn files(spec: &Spec) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
    let mut files = vec![
        ("manifest.json".to_owned(), json(&Manifest::new(spec))?),
        ("script.js".to_owned(), script::script(spec)?.into_bytes()),
    ];
    for locale in &spec.locales {
        files.push((format!("i18n/{locale}.json"), json(&i18n::file(spec, *locale))?));
    }
    for (name, png) in pictures::pictures(spec)? {
        files.push((format!("images/{name}"), png));
    }
    Ok(files)
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(text)
}

/// Why a package cannot be built. The cause is never the [`Spec`], but a bug in this program.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A JSON file cannot be written.
    #[error("cannot build the widget package: {0}")]
    Json(#[from] serde_json::Error),
    /// A logo cannot be encoded.
    #[error("cannot build the widget package: cannot encode a logo: {0}")]
    Picture(#[from] png::EncodingError),
    /// The zip cannot be written.
    #[error("cannot build the widget package: {0}")]
    Zip(#[from] zip::result::ZipError),
}
