//! The sentence of the page: how many values are set, and where.

use maud::{Markup, html};

use super::asked::is_set;
use super::rows::MAX_CHARS;
use crate::admin::pages::parts::amount;
use crate::admin::pages::parts::icon::Icon;
use crate::admin::pages::parts::mark::Tone;
use crate::admin::pages::parts::panel::Answer;
use crate::admin::pages::parts::text::cut;
use crate::admin::refusal::sentence;
use crate::admin::{Settings, SettingsSource};
use crate::listed_setting::{SecretFileUse, SettingOrigin};

/// Answers where the configuration comes from.
pub(super) fn answer(settings: &Settings) -> Answer {
    let values = &settings.values;
    let count = |is_it: fn(&SettingOrigin) -> bool| values.iter().filter(|one| is_it(&one.origin)).count();
    let in_file = count(|origin| matches!(origin, SettingOrigin::File(_)));
    let by_environment = count(|origin| matches!(origin, SettingOrigin::Environment(_)));
    let sentence = sentence_of(&settings.source, in_file, by_environment);
    let reread = values.iter().filter(|one| one.secret_file == Some(SecretFileUse::StartAndSignal)).count();
    let changes = values
        .iter()
        .filter(|one| is_set(one) && one.default.as_ref().is_some_and(|default| *default != one.value));
    Answer::new(Tone::Plain, Icon::Settings, sentence, why(&settings.source, changes.count(), reread))
}

fn sentence_of(source: &SettingsSource, in_file: usize, by_environment: usize) -> String {
    let values = |count: usize| match count {
        1 => "1 value is set".to_owned(),
        _ => format!("{} values are set", amount::number(count as u64)),
    };
    let variables =
        |count: usize| if count == 1 { "an environment variable" } else { "environment variables" };
    match source {
        SettingsSource::Read(place) => {
            let place = cut(place, MAX_CHARS);
            match (in_file, by_environment) {
                (0, 0) => format!("No value is set in {place}"),
                (0, others) => format!("{} by {}, none in {place}", values(others), variables(others)),
                (some, 0) => format!("{} in {place}", values(some)),
                (some, others) => {
                    let others = format!("{} by {}", amount::number(others as u64), variables(others));
                    format!("{} in {place}, {others}", values(some))
                }
            }
        }
        SettingsSource::Nothing(_) if by_environment == 0 => "All values are the defaults".to_owned(),
        SettingsSource::Nothing(_) => {
            format!("{} by {}, and no file was read", values(by_environment), variables(by_environment))
        }
    }
}

fn why(source: &SettingsSource, changes: usize, reread: usize) -> Markup {
    html! {
        @if let SettingsSource::Nothing(why) = source { (sentence(cut(why, MAX_CHARS))) " " }
        @match changes {
            0 => "No value differs from its default. ",
            1 => "1 value differs from its default. ",
            _ => { (amount::number(changes as u64)) " values differ from their defaults. " },
        }
        strong { "A change takes effect after a restart. " }
        @match reread {
            0 => {},
            1 => "SIGHUP reads 1 file of a secret again.",
            _ => { "SIGHUP reads " (amount::number(reread as u64)) " files of secrets again." },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_counts_by_place() {
        let file = || SettingsSource::Read("/etc/bridge.toml".to_owned());
        let none = || SettingsSource::Nothing("no file".to_owned());
        for (source, in_file, by_environment, expected) in [
            (file(), 12, 0, "12 values are set in /etc/bridge.toml"),
            (file(), 1, 0, "1 value is set in /etc/bridge.toml"),
            (file(), 1_200, 1, "1,200 values are set in /etc/bridge.toml, 1 by an environment variable"),
            (file(), 12, 2, "12 values are set in /etc/bridge.toml, 2 by environment variables"),
            (file(), 0, 2, "2 values are set by environment variables, none in /etc/bridge.toml"),
            (file(), 0, 0, "No value is set in /etc/bridge.toml"),
            (none(), 0, 3, "3 values are set by environment variables, and no file was read"),
            (none(), 0, 0, "All values are the defaults"),
        ] {
            assert_eq!(sentence_of(&source, in_file, by_environment), expected);
        }
    }

    #[test]
    fn the_reason_says_what_a_change_needs() {
        let read = SettingsSource::Read("/etc/bridge.toml".to_owned());
        let nothing = SettingsSource::Nothing("no configuration file was read: no <--config>".to_owned());
        for (source, changes, reread, part) in [
            (&read, 0, 0, "No value differs"),
            (
                &read,
                1,
                1,
                "1 value differs from its default. <strong>A change takes effect after a restart. </strong>SIGHUP reads 1 file",
            ),
            (&read, 3, 2, "SIGHUP reads 2 files of secrets again."),
            (&nothing, 0, 0, "No configuration file was read: no &lt;--config&gt;. No value"),
        ] {
            let html = why(source, changes, reread).into_string();
            assert!(html.contains(part), "{part} in {html}");
        }
    }
}
