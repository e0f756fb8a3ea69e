//! The `widget.zip` that fits the answers.

use std::fs;
use std::path::Path;

use model::url_below;
use widget_package::{Draft, Spec, build, version_of};

use super::answers::{Answers, HandlerKind, is_on_this_machine};
use super::render::NewFile;

/// The name of the package.
pub(super) const WIDGET: &str = "widget.zip";

/// Builds the package. If a different one is in `folder`, the version is the next one, because Kommo accepts only a higher
/// version.
///
/// # Errors
/// Kommo cannot call the address, or the package cannot be built. The error says why.
pub(super) fn package(answers: &Answers, folder: &Path) -> Result<(NewFile, String), String> {
    let earlier = fs::read(folder.join(WIDGET)).ok();
    let version = earlier.as_deref().and_then(version_of);
    let first = packed(answers, version.map(|version| version.to_string()))?;
    let is_same = earlier.is_none_or(|earlier| earlier == first.0.bytes);
    match version.and_then(|version| version.next()) {
        Some(next) if !is_same => packed(answers, Some(next.to_string())),
        _ => Ok(first),
    }
}

fn packed(answers: &Answers, version: Option<String>) -> Result<(NewFile, String), String> {
    let spec = spec(answers, version)?;
    let bytes = build(&spec).map_err(|error| error.to_string())?;
    Ok((NewFile::public(WIDGET, bytes), spec.name().to_owned()))
}

fn spec(answers: &Answers, version: Option<String>) -> Result<Spec, String> {
    let path = format!("/widget_request/{}", answers.handler);
    let fields = match answers.kind {
        // The handler of the new package greets the contact.
        HandlerKind::Rust => vec!["name={{contact.name}}".to_owned(), "message={{message_text}}".to_owned()],
        _ => Vec::new(),
    };
    let draft = Draft {
        url: url_below(&answers.public_url, &path).to_string(),
        insecure: is_on_this_machine(&answers.public_url),
        fields,
        version,
        ..Draft::default()
    };
    draft.check().map_err(|mistakes| {
        let messages: Vec<String> = mistakes.0.iter().map(|mistake| mistake.message.clone()).collect();
        messages.join("; ")
    })
}
