//! `i18n/LOCALE.json`: the texts that the manifest and the script refer to as `section.key`.

use super::exit::Exit;
use super::field::Field;
use super::locale::Locale;
use super::ordered::Ordered;
use super::spec::Spec;
use super::texts::texts;

/// The name of the widget.
pub(super) const NAME: &str = "widget.name";
/// The description of the widget.
pub(super) const DESCRIPTION: &str = "widget.description";
/// The short description of the widget.
pub(super) const SHORT_DESCRIPTION: &str = "widget.short_description";
/// The label of the only setting.
pub(super) const NOTE: &str = "settings.note";
/// The title of the block.
pub(super) const BLOCK: &str = "salesbot.block";

/// The key of a field's label.
pub(super) fn of_field(field: &Field) -> String {
    format!("salesbot.field_{}", field.key())
}

/// The key of an exit's title, in the section `salesbot`.
pub(super) fn of_exit(exit: &Exit) -> String {
    format!("exit_{}", exit.code())
}

/// Section and key, if `text` has the form `section.key`. Kommo looks up any text of this form, even if it was not
/// meant as a key.
pub(super) fn section_and_key(text: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    text.split_once('.').filter(|(section, key)| is_name(section) && is_name(key))
}

/// The sections, keys and texts of one language.
pub(super) fn file(spec: &Spec, locale: Locale) -> Ordered<Ordered<String>> {
    let own = texts(locale);
    let or = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_owned());
    let mut file = Ordered::default();
    let mut add = |key: &str, text: String| {
        if let Some((section, key)) = section_and_key(key) {
            let section: &mut Ordered<String> = file.entry(section);
            section.add(key, text);
        }
    };
    add(NAME, spec.name.clone());
    add(DESCRIPTION, or(&spec.description, own.description));
    add(SHORT_DESCRIPTION, or(&spec.short_description, own.short_description));
    add(NOTE, own.note.to_owned());
    add(BLOCK, spec.name.clone());
    for field in &spec.fields {
        add(&of_field(field), field.name());
    }
    for exit in &spec.exits {
        let title = exit.title().or(own.of_exit(exit.code())).unwrap_or(exit.code());
        add(&format!("salesbot.{}", of_exit(exit)), title.to_owned());
    }
    // Kommo also reads a default like `example.com` as a key, so its text is the default itself.
    for field in &spec.fields {
        add(field.value(), field.value().to_owned());
    }
    file
}
