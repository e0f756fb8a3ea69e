//! The loggable part of a panic: its location, and its message only if that cannot quote data.
//!
//! Panic messages are not written for a log. `unwrap` shows the error, `assert_eq!` shows both values, and slicing a
//! string shows that string. In a handler, these can be a customer's words, the URL of a continue, or the key of a
//! backend. A literal message is part of the program and is shown. So are the numbers of an index out of range. Of any
//! other message, only the fixed text of the standard library is kept. The location is always shown and leads to the
//! line.

use std::any::Any;
use std::cell::RefCell;
use std::panic::PanicHookInfo;

/// Replaces the withheld part of a message.
const WITHHELD: &str = "message withheld because it may quote data";

/// Messages of the standard library whose only values are numbers, written as `#`.
const NUMBERS_ALONE: [&str; 5] = [
    "index out of bounds: the len is # but the index is #",
    "range end index # out of range for slice of length #",
    "range start index # out of range for slice of length #",
    "slice index starts at # but ends at #",
    "mid > len",
];

/// Prefixes of messages of the standard library that show a value.
const BEFORE_A_VALUE: [&str; 8] = [
    "called `Result::unwrap()` on an `Err` value",
    "called `Result::unwrap_err()` on an `Ok` value",
    "assertion `left == right` failed",
    "assertion `left != right` failed",
    "byte index # is not a char boundary",
    "start byte index # is not a char boundary",
    "end byte index # is not a char boundary",
    "byte index # is out of bounds",
];

thread_local! {
    /// The location of this thread's last panic.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The loggable text of a panic with `payload`.
pub fn loggable_text(payload: &(dyn Any + Send)) -> String {
    if let Some(literal) = payload.downcast_ref::<&'static str>() {
        return (*literal).to_owned();
    }
    payload.downcast_ref::<String>().map_or_else(|| "no message".to_owned(), |text| without_values(text))
}

/// Remembers the location of a panic for [`take_place`]. Called from the process's panic hook.
pub fn note_place(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    // Fails only in a thread that is ending, where no one reads it.
    let _too_late = PLACE.try_with(|last| last.replace(place));
}

/// Takes the location of this thread's last panic, as `file:line:column`. Call it after catching the panic. `None` if
/// this thread did not panic, or if the program has its own panic hook.
pub fn take_place() -> Option<String> {
    PLACE.try_with(|last| last.take()).ok().flatten()
}

fn without_values(text: &str) -> String {
    let shape = shape(text);
    if NUMBERS_ALONE.contains(&shape.as_str()) {
        return text.to_owned();
    }
    match BEFORE_A_VALUE.iter().find(|known| shape.starts_with(**known)) {
        Some(known) => format!("{}; {WITHHELD}", known.replace('#', "N")),
        None => WITHHELD.to_owned(),
    }
}

/// `text` with each number replaced by `#`.
fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            // A literal `#` must not match a known shape.
            '#' => shape.push('?'),
            other => shape.push(other),
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    const SECRET: &str = "Äthe-customer's-own-words";

    /// The loggable text of a panic in `work`.
    fn text_of<T>(work: impl FnOnce() -> T) -> String {
        loggable_text(&*catch_unwind(AssertUnwindSafe(work)).err().unwrap())
    }

    fn words() -> String {
        std::hint::black_box(SECRET.to_owned())
    }

    #[test]
    fn no_panic_text_quotes_data() {
        let number = |text: &str| text.parse::<u8>();
        let (failed, succeeded) = (|| Err::<(), _>(words()), || Ok::<_, ()>(words()));
        for (panicking, kept) in [
            (text_of(|| panic!("no customer {}", words())), ""),
            (text_of(|| panic!("{:?}", words())), ""),
            (text_of(|| failed().unwrap()), "called `Result::unwrap()` on an `Err` value"),
            (text_of(|| succeeded().unwrap_err()), "called `Result::unwrap_err()` on an `Ok` value"),
            (text_of(|| failed().expect("it is there")), ""),
            (text_of(|| assert_eq!(words(), "")), "assertion `left == right` failed"),
            (text_of(|| assert_ne!(words(), words())), "assertion `left != right` failed"),
            (text_of(|| assert!(number(&words()).is_ok(), "{}", words())), ""),
            (text_of(|| words()[1..].to_owned()), "not a char boundary"),
            (text_of(|| words()[..900].to_owned()), ""),
            (text_of(|| std::panic::panic_any(words())), ""),
        ] {
            assert!(!panicking.contains("words") && !panicking.contains("customer"), "{panicking}");
            assert!(panicking.contains(kept) && panicking.ends_with(WITHHELD), "{panicking}");
        }
    }

    #[test]
    fn literal_messages_and_numbers_are_shown() {
        let none = || std::hint::black_box(None::<u8>);
        let list = || std::hint::black_box(vec![1, 2, 3]);
        let index = std::hint::black_box(7);
        for (panicking, expected) in [
            (text_of(|| panic!("out of range")), "out of range"),
            (text_of(|| none().unwrap()), "called `Option::unwrap()` on a `None` value"),
            (text_of(|| list()[index]), "index out of bounds: the len is 3 but the index is 7"),
            (text_of(|| list()[..index].to_vec()), "range end index 7 out of range for slice of length 3"),
            (text_of(|| std::panic::panic_any(7)), "no message"),
        ] {
            assert_eq!(panicking, expected);
        }
    }

    #[test]
    fn a_message_that_only_resembles_a_known_one_is_withheld() {
        for text in [
            "index out of bounds: the len is 3 but the index is 7, says Ann",
            "index out of bounds: the len is # but the index is #",
            "Ann: called `Result::unwrap()` on an `Err` value",
        ] {
            assert_eq!(without_values(text), WITHHELD, "{text}");
        }
    }
}
