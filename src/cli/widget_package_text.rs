//! What `widget-package` says: what is in the package, and what an operator does with it, in order.

use std::path::Path;

use serde_json::{Value as Json, json};

use widget_package::Spec;

/// A package that was written.
pub(super) struct Written<'a> {
    pub(super) spec: &'a Spec,
    pub(super) output: &'a Path,
    /// How large it is.
    pub(super) bytes: usize,
    /// Its files, unpacked.
    pub(super) files: &'a [(String, Vec<u8>)],
    pub(super) insecure: bool,
}

impl Written<'_> {
    /// For a program.
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

    /// As text, without a newline at its end.
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
        part("Leaves by", exits.map(|exit| format!("{} ({})", exit.code(), spec.title(exit))).collect());
        let locales: Vec<String> = spec.locales().iter().map(ToString::to_string).collect();
        part("Speaks", vec![locales.join(", ")]);
        let files = self.files.iter();
        part("Holds", files.map(|(name, bytes)| format!("{name:<24}{:>9}", size(bytes.len()))).collect());
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
            "In Kommo, as an administrator of an account with the plan Advanced or higher: Settings → Integrations → \
             Create integration, and choose a private one."
                .to_owned(),
            format!("Upload {output} there."),
            format!(
                "Put the integration's ID and secret key into the bridge's configuration ([integrations.NAME]), and \
                 see that it has the handler `{handler}`."
            ),
            format!("Open {name} among the installed integrations and save its settings once: until then bots do not see it."),
            format!("Add the block {name} to a bot, connect each of its exits, and save the bot."),
            "After each later upload, which needs a higher --version: save every bot with the block again. A bot keeps \
             the block as it was."
                .to_owned(),
        ];
        if self.insecure {
            steps.insert(0, "This package was made with --insecure: upload it to `simulate`. The real Kommo may not reach its address.".to_owned());
        }
        steps
    }
}

/// Kilobytes, as people know them from their file manager.
fn size(bytes: usize) -> String {
    if bytes < 1_000 { format!("{bytes} B") } else { format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100) }
}

/// On one line, and without what would steer a terminal.
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
    fn sizes_and_values_are_made_readable() {
        assert_eq!([size(0), size(999), size(1_000), size(12_345)], ["0 B", "999 B", "1.0 kB", "12.3 kB"]);
        assert_eq!(plain("a\nb\u{1b}[31m ä"), "a\\nb\\u{1b}[31m ä");
    }
}
