//! Texts about a job.

use maud::{Markup, html};

use model::{EntityKind, JobId, JobSummary};

use super::path;

/// What the job is about: `lead 7`; without an entity, the bot.
pub(super) fn about(job: &JobSummary) -> String {
    job.entity.map_or_else(|| format!("bot {}", job.return_url.bot_id()), |entity| entity.to_string())
}

/// The subject of a sentence about the job: `The bot of lead 7`.
pub(super) fn the_bot(job: &JobSummary) -> String {
    match job.entity {
        Some(entity) => format!("The bot of {entity}"),
        None => format!("Bot {}", job.return_url.bot_id()),
    }
}

/// The page of the job's entity at Kommo; `None` if there is none.
pub(super) fn kommo_link(job: &JobSummary) -> Option<String> {
    let entity = job.entity?;
    let folder = match entity.kind {
        EntityKind::Lead => "leads",
        EntityKind::Contact => "contacts",
        EntityKind::Customer => "customers",
        EntityKind::Other(_) => return None,
    };
    Some(format!("{}/{folder}/detail/{}", job.return_url.origin(), entity.id))
}

/// The list of all jobs about the same entity; `None` if no filter finds them.
pub(super) fn same_link(job: &JobSummary) -> Option<String> {
    let entity = job.entity?;
    let key = match entity.kind {
        EntityKind::Lead => "lead",
        EntityKind::Contact => "contact",
        EntityKind::Customer => "customer",
        EntityKind::Other(_) => return None,
    };
    Some(format!("/jobs?q={key}%3A{}+account%3A{}", entity.id, job.account_id.0))
}

/// The host of the job's account, without the scheme.
pub(super) fn host(job: &JobSummary) -> &str {
    let origin = job.return_url.origin();
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

/// A text as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// A text whose code is between backticks, with links to the jobs that it names.
pub(super) fn rich(text: &str) -> Markup {
    // A text with an odd number of backticks has one that means itself.
    let is_paired = text.matches('`').count().is_multiple_of(2);
    if !is_paired {
        return linked(text);
    }
    html! {
        @for (index, piece) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (piece) } } @else { (linked(piece)) }
        }
    }
}

/// A text with links to the jobs that it names.
fn linked(text: &str) -> Markup {
    html! {
        @for piece in text.split_inclusive(' ') {
            @let word = piece.trim_end_matches([' ', ',', ';', '.']);
            @match word.parse::<JobId>() {
                Ok(id) if word == id.to_string() => {
                    a href=(path(id)) title=(id) { (id.shortened()) }
                    (piece.strip_prefix(word).unwrap_or_default())
                }
                _ => (piece),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "018bcfe5-687b-7000-8000-0000000000ab";

    #[test]
    fn texts_have_code_and_links_and_are_escaped() {
        for (text, expected) in [
            ("a `b` c", "a <code>b</code> c"),
            ("a ` <b>", "a ` &lt;b&gt;"),
            ("`<b>`", "<code>&lt;b&gt;</code>"),
            ("", ""),
        ] {
            assert_eq!(rich(text).into_string(), expected);
        }
        let html = rich(&format!("job {ID}, a later one")).into_string();
        assert_eq!(html, format!("job <a href=\"/jobs/{ID}\" title=\"{ID}\">018bcfe5-687b</a>, a later one"));
        // Not the form in which ids are written.
        assert!(!rich(&ID.replace('-', "")).into_string().contains("<a"));
    }

    #[test]
    fn a_text_becomes_one_sentence() {
        for (text, expected) in [("its handler runs", "Its handler runs."), ("Done.", "Done."), ("", "")] {
            assert_eq!(sentence(text), expected);
        }
    }
}
