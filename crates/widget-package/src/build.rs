//! From a [`Spec`] to the bytes of its package.

use super::archive;
use super::i18n;
use super::manifest::Manifest;
use super::pictures;
use super::script;
use super::spec::Spec;

/// The package of `spec`: the bytes of a zip.
///
/// # Errors
/// See [`BuildError`].
pub fn build(spec: &Spec) -> Result<Vec<u8>, BuildError> {
    pack(&files(spec)?)
}

/// The package that holds these [`files`].
///
/// # Errors
/// See [`BuildError`].
pub fn pack(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>, BuildError> {
    Ok(archive::pack(files)?)
}

/// The files of the package in their order, by their names in it.
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

/// Why a package cannot be built. None of it depends on the [`Spec`]: it is a mistake in this program.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file of JSON.
    #[error("the widget package cannot be built: {0}")]
    Json(#[from] serde_json::Error),
    /// A picture.
    #[error("the widget package cannot be built: a logo cannot be encoded: {0}")]
    Picture(#[from] png::EncodingError),
    /// The archive.
    #[error("the widget package cannot be built: {0}")]
    Zip(#[from] zip::result::ZipError),
}
