//! The one table of the filter language: what each filter means, and how each mistake is refused.

use proptest::prelude::*;

use super::*;
use crate::{AccountId, Entity, EntityKind, HandlerName, OutcomeName, ReturnUrl, StateName, Timestamp};

mod props;

const NOW: Timestamp = Timestamp::from_millis(1_796_040_000_000);
const ID: &str = "018bcfe5-687b-7000-8000-0000000000ab";
const RETURN_URL: &str = "https://example.kommo.com/api/v4/salesbot/12/continue/a_1";

fn parse(text: &str) -> Result<Filter, FilterError> {
    let account = |name: &str| (name == "shop").then(|| FilteredAccount::Host("shop.kommo.com".into()));
    Filter::parse(text, &FilterContext { now: NOW, account: &account })
}

fn is(condition: Condition) -> Clause {
    Clause { negated: false, any_of: vec![condition] }
}

fn text(text: &str) -> Clause {
    is(Condition::Text(text.into()))
}

fn entity(kind: EntityKind, id: i64) -> Clause {
    is(Condition::Entity(Entity { kind, id }))
}

fn host(host: &str) -> Clause {
    is(Condition::Account(FilteredAccount::Host(host.into())))
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() - seconds * 1_000)
}

fn id(text: &str) -> Clause {
    is(Condition::Id(text.parse().unwrap()))
}

#[test]
fn every_key_has_a_meaning() {
    let handler = |name: &str| Condition::Handler(name.parse::<HandlerName>().unwrap());
    let conversation =
        Conversation { account_id: AccountId(7), entity: Entity { kind: EntityKind::Lead, id: 5 } };
    for (filter, expected) in [
        ("", vec![]),
        (
            "state:dead,delivering",
            vec![Clause {
                negated: false,
                any_of: vec![Condition::State(StateName::Dead), Condition::State(StateName::Delivering)],
            }],
        ),
        (
            "-state:delivered handler:greet",
            vec![
                Clause { negated: true, any_of: vec![Condition::State(StateName::Delivered)] },
                is(handler("greet")),
            ],
        ),
        ("account:31000001", vec![is(Condition::Account(FilteredAccount::Number(AccountId(31_000_001))))]),
        ("account:shop", vec![host("shop.kommo.com")]),
        ("account:Example.kommo.com", vec![host("example.kommo.com")]),
        ("account:https://example.kommo.com/", vec![host("example.kommo.com")]),
        ("account:127.0.0.1:8090", vec![host("127.0.0.1:8090")]),
        ("lead:31764961", vec![entity(EntityKind::Lead, 31_764_961)]),
        ("contact:5", vec![entity(EntityKind::Contact, 5)]),
        ("customer:6", vec![entity(EntityKind::Customer, 6)]),
        ("bot:123", vec![is(Condition::Bot(123))]),
        ("conversation:7:lead:5", vec![is(Condition::Conversation(conversation))]),
        ("id:018b", vec![id("018b")]),
        ("trace:018bcfe5687b700080000000000000ab", vec![id(ID)]),
        ("trace:00-018bcfe5687b700080000000000000ab-0123456789abcdef-01", vec![id(ID)]),
        (&format!("return_url:{RETURN_URL}"), vec![is(Condition::ReturnUrl(RETURN_URL.parse().unwrap()))]),
        ("since:2h", vec![is(Condition::Since(ago(7_200)))]),
        ("since:1d12h", vec![is(Condition::Since(ago(129_600)))]),
        ("until:90s", vec![is(Condition::Until(ago(90)))]),
        ("since:9999999d", vec![is(Condition::Since(Timestamp::default()))]),
        ("since:1900-01-01", vec![is(Condition::Since(Timestamp::default()))]),
        ("until:1970-01-02", vec![is(Condition::Until(Timestamp::from_millis(86_400_000)))]),
        ("since:1970-01-01T00:01", vec![is(Condition::Since(Timestamp::from_millis(60_000)))]),
        ("since:1970-01-01T01:00:00.5+01:00", vec![is(Condition::Since(Timestamp::from_millis(500)))]),
        ("error:timeout", vec![is(Condition::Error("timeout".into()))]),
        (r#"error:"too many, a \"lot\"""#, vec![is(Condition::Error("too many, a \"lot\"".into()))]),
        ("status:429", vec![is(Condition::Status(NumberRange::only(429)))]),
        ("status:5xx", vec![is(Condition::Status(NumberRange { min: 500, max: 599 }))]),
        ("attempts:>2", vec![is(Condition::Attempts(NumberRange { min: 3, max: u32::MAX }))]),
        ("outcome:fallback", vec![is(Condition::Outcome(OutcomeName::Fallback))]),
        ("waiting:account", vec![is(Condition::Waiting(WaitingFor::Account))]),
        ("is:late", vec![is(Condition::Is(JobTrait::Late))]),
    ] {
        assert_eq!(parse(filter).map(|filter| filter.clauses), Ok(expected), "{filter}");
    }
}

#[test]
fn a_word_without_a_key_is_a_text_unless_it_can_only_be_pasted() {
    let return_url = || is(Condition::ReturnUrl(RETURN_URL.parse::<ReturnUrl>().unwrap()));
    let lead = || vec![entity(EntityKind::Lead, 31_764_961), host("example.kommo.com")];
    for (filter, expected) in [
        ("Ann", vec![text("Ann")]),
        ("Nr. 17!", vec![text("Nr."), text("17!")]),
        ("\"Nr. 17!\"", vec![text("Nr. 17!")]),
        ("a,b", vec![text("a,b")]),
        ("-", vec![text("-")]),
        ("-Ann", vec![Clause { negated: true, any_of: vec![Condition::Text("Ann".into())] }]),
        ("31764961", vec![text("31764961")]),
        // A telephone number, and the beginning of an id that may be something else.
        ("5511987654321", vec![text("5511987654321")]),
        ("018bcfe5", vec![text("018bcfe5")]),
        ("018bcfe5-687b", vec![id("018bcfe5-687b")]),
        (ID, vec![id(ID)]),
        (&ID.to_uppercase(), vec![id(ID)]),
        (&ID.replace('-', ""), vec![id(ID)]),
        (&format!("\"{ID}\""), vec![text(ID)]),
        ("00-018bcfe5687b700080000000000000ab-0123456789abcdef-01", vec![id(ID)]),
        (&format!("http://127.0.0.1:9090/api/v1/jobs/{ID}"), vec![id(ID)]),
        (RETURN_URL, vec![return_url()]),
        ("https://example.kommo.com/leads/detail/31764961", lead()),
        ("https://example.kommo.com/leads/detail/31764961/?tab=1#x", lead()),
        (
            "https://example.amocrm.ru/contacts/detail/5 state:dead",
            vec![
                entity(EntityKind::Contact, 5),
                host("example.amocrm.ru"),
                is(Condition::State(StateName::Dead)),
            ],
        ),
        (
            "https://example.kommo.com/customers/detail/6",
            vec![entity(EntityKind::Customer, 6), host("example.kommo.com")],
        ),
        ("https://example.kommo.com", vec![host("example.kommo.com")]),
        ("https://example.kommo.com/api/v4", vec![text("https://example.kommo.com/api/v4")]),
        ("https://example.kommo.com/leads/detail/x", vec![text("https://example.kommo.com/leads/detail/x")]),
    ] {
        assert_eq!(parse(filter).map(|filter| filter.clauses), Ok(expected), "{filter}");
    }
}

#[test]
fn mistakes_are_refused_with_their_position_and_what_is_allowed() {
    for (filter, expected) in [
        ("stat:dead", "at character 1: unknown key `stat` (expected one of: state, handler, account, lead,"),
        ("a STATE:dead", "at character 3: unknown key `STATE` (expected one of: "),
        ("state:dead,lost", "at character 12: unknown state `lost` (expected one of: queued,"),
        ("state:", "at character 7: `state` needs a value, like `state:dead`"),
        ("state:dead,,gone", "at character 12: `state` needs a value"),
        ("ä handler:a/b", "at character 11: a handler's name is"),
        (
            "account:nowhere",
            "at character 9: unknown account `nowhere` (expected the number of an account, its host",
        ),
        ("account:a.b/c", "at character 9: unknown account `a.b/c`"),
        ("lead:x", "at character 6: `lead` cannot be `x` (expected a number)"),
        ("bot:", "at character 5: `bot` needs a value, like `bot:123`"),
        ("conversation:7", "at character 14: `conversation` cannot be `7` (expected ACCOUNT:lead:NUMBER"),
        ("conversation:7:lead:5:6", "at character 14: `conversation` cannot be"),
        ("id:xyz", "at character 4: "),
        (
            "trace:018bcfe5",
            "at character 7: `trace` cannot be `018bcfe5` (expected a trace id of 32 hex digits",
        ),
        ("return_url:https://a.b", "at character 12: it is not of the form https://HOST/api/v4/"),
        ("since:yesterday", "at character 7: `since` cannot be `yesterday` (expected a time ago like 90s"),
        ("since:5", "at character 7: `since` cannot be `5`"),
        ("since:1h,2h", "at character 1: `since` takes one value"),
        ("-since:1h", "at character 1: `since` cannot be negated: write `until`"),
        ("x -until:1h", "at character 3: `until` cannot be negated: write `since`"),
        ("status:99", "at character 8: `status` cannot be `99` (expected an HTTP status like 429"),
        ("attempts:many", "at character 10: `attempts` cannot be `many` (expected a number, like 3, >2"),
        ("outcome:ok", "at character 9: unknown outcome `ok` (expected one of: handler, fallback)"),
        (
            "waiting:godot",
            "at character 9: unknown reason to wait `godot` (expected one of: worker, conversation,",
        ),
        ("waiting:bridge", "at character 9: unknown reason to wait `bridge`"),
        ("is:odd", "at character 4: unknown property `odd` (expected one of: late, unfinished, finished,"),
        ("error:\"x", "at character 7: the double quotes are not closed"),
        (&"a ".repeat(65), "at character 1: the filter is too long"),
        (&"a".repeat(4_097), "at character 1: the filter is too long"),
    ] {
        let error = parse(filter).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{filter}: {error}");
    }
}

#[test]
fn each_example_in_an_error_is_accepted() {
    for key in FilterKey::ALL {
        let filter = format!("{key}:{}", error::example(key));
        assert_eq!(parse(&filter).map(|filter| filter.clauses.len()), Ok(1), "{filter}");
        assert_eq!(FilterKey::of(key.as_str()), Some(key));
    }
}

#[test]
fn the_names_of_waits_are_those_of_their_causes() {
    for cause in crate::WaitCause::ALL {
        let waiting = WaitingFor::of(cause.as_str()).unwrap();
        assert_eq!(waiting.account_cause(), Some(cause));
    }
    assert_eq!(WaitingFor::Account.account_cause(), None);
}
