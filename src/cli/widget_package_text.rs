//! The output of `widget-package`: the contents of the package, and the operator's next steps.

use std::path::Path;

use serde_json::{Value as Json, json};

use widget_package::Spec;

/// A package that was written.
pub(super) struct Written<'a> {
    pub(super) spec: &'a Spec,
    pub(super) output: &'a Path,
    /// The size of the zip, in bytes.
    pub(super) bytes: usize,
    /// The unpacked files.
    pub(super) files: &'a [(String, Vec<u8>)],
    pub(super) insecure: bool,
}

impl Written<'_> {
    /// The output as JSON.
    pub(super) fn json(&self) -> Json {
        let spec = self.spec;
        let fields = spec.fields().iter().map(|field| {
            json!({ "name": field.name(), "key": field.key(), "type": field.kind().as_str(),
                    "default": field.value() })
        });
        let exits = spec.exits().iter().map(|exit| json!({ "code": exit.code(), "title": spec.title(exit) }));
        let files = self.files.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes.len() }));
        json!({
            "file": self.output.display().to_string(),
            "bytes": self.bytes,
            "version": spec.version().to_string(),
            "name": spec.name(),
            "block": spec.block(),
            "handler": spec.handler().as_str(),
            "url": spec.url().as_str(),
            "locales": spec.locales(),
            "fields": fields.collect::<Vec<_>>(),
            "exits": exits.collect::<Vec<_>>(),
            "files": files.collect::<Vec<_>>(),
            "next": self.next(),
        })
    }

    /// The output as text, without a newline at the end.
    pub(super) fn text(&self) -> String {
        let spec = self.spec;
        let mut lines = vec![format!(
            "{}: {}, version {}, {}, checked",
            self.output.display(),
            spec.name(),
            spec.version(),
            size(self.bytes)
        )];
        let mut part = |title: &str, values: Vec<String>| {
            lines.push(String::new());
            for (at, value) in values.iter().enumerate() {
                lines.push(format!("  {:<10}  {value}", if at == 0 { title } else { "" }));
            }
        };
        part("Calls", vec![spec.url().to_string()]);
        part("Sends", spec.fields().iter().map(|field| plain(&field.to_string())).collect());
        let exits = spec.exits().iter();
        part("Exits", exits.map(|exit| format!("{} ({})", exit.code(), spec.title(exit))).collect());
        let locales: Vec<String> = spec.locales().iter().map(ToString::to_string).collect();
        part("Languages", vec![locales.join(", ")]);
        let files = self.files.iter();
        part("Files", files.map(|(name, bytes)| format!("{name:<24}{:>9}", size(bytes.len()))).collect());
        lines.push("\nNext:".to_owned());
        for (at, step) in self.next().iter().enumerate() {
            lines.push(format!("  {}. {step}", at + 1));
        }
        lines.join("\n")
    }

    fn next(&self) -> Vec<String> {
        let (spec, output) = (self.spec, self.output.display());
        let name = spec.name();
        let handler = spec.handler();
        let mut steps = vec![
            "In Kommo, as an administrator of an account with the Advanced plan or higher, open Settings → \
             Integrations → Create integration, and choose a private integration."
                .to_owned(),
            format!("Upload {output} there."),
            format!(
                "Copy the integration's ID and secret key into the bridge's configuration ([integrations.NAME]), and \
                 check that it has the handler `{handler}`."
            ),
            format!("Open {name} in the list of installed integrations and save its settings once: bots cannot see it before that."),
            format!(
                "Add the block {name} to a bot, connect its exits, but leave `superseded` unconnected, and save the bot. \
                 The bot takes that exit only for a message that a later message has joined, and ends there."
            ),
            "After each later upload, which needs a higher --version, save every bot that has the block: until then the \
             bot keeps the old block."
                .to_owned(),
        ];
        if self.insecure {
            steps.insert(0, "This package was written with --insecure: upload it to `simulate`. The real Kommo may be unable to reach its URL.".to_owned());
        }
        steps
    }
}

/// The size in bytes, or in kilobytes of 1,000 bytes.
fn size(bytes: usize) -> String {
    if bytes < 1_000 { format!("{bytes} B") } else { format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100) }
}

/// Puts the text on one line, and escapes control characters.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let escaped: Box<dyn Iterator<Item = char>> = if letter.is_control() {
                Box::new(letter.escape_default())
            } else {
                Box::new(std::iter::once(letter))
            };
            escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_and_control_characters_are_escaped() {
        assert_eq!([size(0), size(999), size(1_000), size(12_345)], ["0 B", "999 B", "1.0 kB", "12.3 kB"]);
        assert_eq!(plain("a\nb\u{1b}[31m ä"), "a\\nb\\u{1b}[31m ä");
    }
}
