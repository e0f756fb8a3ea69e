//! Which cookies are sessions.

use std::sync::Arc;

use http::HeaderValue;

use super::*;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const FULL: &str = "the-full-token";
const READ: &str = "the-read-token";

fn token_of(role: Role) -> Option<Arc<SecretString>> {
    let token = if role == Role::Operator { FULL } else { READ };
    Some(Arc::new(token.into()))
}

fn session(role: Role) -> (Session, String) {
    let session = Session::begin(role, [7; 16], START);
    let value = session.sign(&token_of(role).unwrap());
    (session, value)
}

#[test]
fn a_session_is_valid_for_twelve_hours() {
    for role in [Role::Operator, Role::Reader] {
        let (session, value) = session(role);
        let last = START + LIFETIME - Duration::from_millis(1);
        for (now, expected) in [
            (START, Ok(session)),
            (last, Ok(session)),
            (START + LIFETIME, Err(SessionRefusal::Ended)),
            // The clock was set back a little, and far.
            (Timestamp::from_millis(START.as_millis() - 299_000), Ok(session)),
            (Timestamp::from_millis(START.as_millis() - 301_000), Err(SessionRefusal::Ended)),
        ] {
            assert_eq!(Session::open(&value, now, token_of), expected, "{role:?} {now:?}");
        }
    }
}

#[test]
fn a_changed_cookie_is_not_a_session() {
    let (_, reader) = session(Role::Reader);
    let (_, operator) = session(Role::Operator);
    let code = |value: &str| value.rsplit_once('.').unwrap().1.to_owned();
    let content = |value: &str| value.rsplit_once('.').unwrap().0.to_owned();
    let later = reader.replace("1700043200000", "1700043200001");
    assert_ne!(later, reader);
    let mut changed = vec![
        String::new(),
        ".".to_owned(),
        "...".to_owned(),
        content(&reader),
        format!("{}.", content(&reader)),
        format!("{reader}="),
        format!("{reader}.x"),
        format!(" {reader}"),
        later,
        reader.replace("0707", "0708"),
        reader.to_uppercase(),
        reader.replacen("reader", "operator", 1),
        format!("{}.{}", content(&operator), code(&reader)),
        format!("{}.{}", content(&reader), code(&operator)),
        // The field `csrf` is not a signature.
        format!("{}.{}", content(&reader), Session::begin(Role::Reader, [7; 16], START).csrf(&READ.into())),
    ];
    changed.extend((0..reader.len()).map(|end| reader[..end].to_owned()));
    for value in changed {
        assert_eq!(Session::open(&value, START, token_of), Err(SessionRefusal::Invalid), "{value:?}");
    }
}

#[test]
fn a_new_token_ends_the_sessions_of_its_role() {
    let (_, value) = session(Role::Reader);
    let other = |_| Some(Arc::new(SecretString::from("another-token")));
    assert_eq!(Session::open(&value, START, other), Err(SessionRefusal::Invalid));
    let none = |_| None::<Arc<SecretString>>;
    assert_eq!(Session::open(&value, START, none), Err(SessionRefusal::Invalid));
    // Even with the same token for both roles, a role cannot be exchanged.
    let same = |_| Some(Arc::new(SecretString::from(READ)));
    let operator = value.replacen("reader", "operator", 1);
    assert_eq!(Session::open(&operator, START, same), Err(SessionRefusal::Invalid));
}

#[test]
fn each_session_has_its_own_field_for_forms() {
    let csrf = |role, id, token: &str| Session::begin(role, [id; 16], START).csrf(&token.into());
    let first = csrf(Role::Operator, 1, FULL);
    assert_eq!(first, csrf(Role::Operator, 1, FULL));
    for other in [csrf(Role::Operator, 2, FULL), csrf(Role::Reader, 1, FULL), csrf(Role::Operator, 1, READ)] {
        assert_ne!(first, other);
    }
    assert_ne!(csrf_without_a_token(&[1; 32]), csrf_without_a_token(&[2; 32]));
}

#[test]
fn the_cookie_is_found_among_others_and_only_once() {
    for (cookies, expected) in [
        (&["a=b; __Host-bridge-session=x.y; c=d"][..], Some(Ok("x.y"))),
        (&["a=b", "__Host-bridge-session=x"], Some(Ok("x"))),
        (&["__Host-bridge-session="], Some(Ok(""))),
        (&["bridge-session=x", "__host-bridge-session=x", "x__Host-bridge-session=x"], None),
        (&["__Host-bridge-session"], None),
        (&[], None),
        (&["__Host-bridge-session=x; __Host-bridge-session=y"], Some(Err(SessionRefusal::Invalid))),
        (&["__Host-bridge-session=x", "__Host-bridge-session=x"], Some(Err(SessionRefusal::Invalid))),
    ] {
        let headers = cookies.iter().map(|cookie| (COOKIE, HeaderValue::from_static(cookie))).collect();
        assert_eq!(cookie(&headers), expected, "{cookies:?}");
    }
}

#[test]
fn the_cookie_is_kept_from_scripts_other_hosts_and_other_sites() {
    assert_eq!(
        set_cookie("x"),
        "__Host-bridge-session=x; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200"
    );
    assert_eq!(
        remove_cookie(),
        "__Host-bridge-session=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"
    );
    let (_, value) = session(Role::Operator);
    assert!(!set_cookie(&value).contains(FULL));
}
