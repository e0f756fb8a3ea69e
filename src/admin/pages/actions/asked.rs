//! What the address asks for.

use url::form_urlencoded::{Serializer, parse};

use model::JobId;
use store::ActionFilter;

use crate::admin::actions::{parse_kind, parse_source};
use crate::admin::pages::shell::Tab;
use crate::admin::refusal;

/// The number of wrong values that are named.
const MAX_REFUSED: usize = 4;
/// The longest name of an actor.
const MAX_NAME: usize = 100;

/// The actions to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) filter: ActionFilter,
    /// The number of the action before which the page begins.
    pub(super) before: Option<u64>,
    /// Why parts of the address are ignored.
    pub(super) refused: Vec<String>,
}

impl Asked {
    /// Parses a query. What is wrong is listed, so that no one takes all actions for those that match.
    pub(super) fn parse(query: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            let value = value.trim();
            let read = match &*name {
                "job" => {
                    let id = value.parse::<JobId>().map_err(|_| "expected the id of a job".to_owned());
                    id.map(|id| asked.filter.job_id = Some(id))
                }
                "what" => parse_kind(value).map(|kind| asked.filter.kind = Some(kind)),
                "source" => parse_source(value).map(|source| asked.filter.source = Some(source)),
                "who" => {
                    asked.filter.who = Some(value.chars().take(MAX_NAME).collect());
                    Ok(())
                }
                "before" => {
                    let before = value.parse().map_err(|_| "expected the number of an action".to_owned());
                    before.map(|before| asked.before = Some(before))
                }
                _ => Ok(()),
            };
            if let Err(why) = read
                && asked.refused.len() < MAX_REFUSED
            {
                let (name, value) = (refusal::short(&name), refusal::short(value));
                asked.refused.push(format!("`{name}` cannot be `{value}`: {why}. It is ignored."));
            }
        }
        asked
    }

    /// The address of the page before the action with this number.
    pub(super) fn at(&self, before: Option<u64>) -> String {
        let ActionFilter { job_id, kind, source, who } = &self.filter;
        let values = [
            ("job", job_id.map(|id| id.to_string())),
            ("what", kind.map(|kind| kind.as_str().to_owned())),
            ("source", source.map(|source| source.as_str().to_owned())),
            ("who", who.clone()),
            ("before", before.map(|before| before.to_string())),
        ];
        let mut query = Serializer::new(String::new());
        for (name, value) in values {
            if let Some(value) = value {
                query.append_pair(name, &value);
            }
        }
        format!("{}?{}", Tab::Actions.path(), query.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{ActionKind, ActionSource};

    #[test]
    fn an_address_is_read_as_it_was_written() {
        let id = "018bcfe5-687b-7000-8000-000000000001";
        let query = format!("job={id}&what=jobs+retry&source=page&who=ann+b%26&before=7");
        let asked = Asked::parse(&query);
        let filter = ActionFilter {
            job_id: id.parse().ok(),
            kind: Some(ActionKind::JobsRetry),
            source: Some(ActionSource::Page),
            who: Some("ann b&".to_owned()),
        };
        assert_eq!(asked, Asked { filter, before: Some(7), refused: Vec::new() });
        assert_eq!(asked.at(Some(7)), format!("/actions?{query}"));
        assert_eq!(Asked::parse("job=&what=&source=&who=&before=&other=1"), Asked::default());
    }

    #[test]
    fn a_wrong_value_is_named_and_does_not_hide_the_others() {
        let asked = Asked::parse("what=<script>&source=x&who=ann&before=-1&job=7");
        assert_eq!(asked.filter, ActionFilter { who: Some("ann".to_owned()), ..ActionFilter::default() });
        assert_eq!(asked.refused.len(), 4);
        assert!(asked.refused[0].contains("`what` cannot be `<script>`: expected one of: jobs retry"));
    }
}
