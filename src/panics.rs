//! What may be told of a panic: its place, and its message only where that cannot quote anyone.
//!
//! No one writes a panic's message with a reader of logs in mind. `unwrap` shows the error, `assert_eq!` both values, slicing a
//! string that very string: in a handler these are a customer's words, the URL of a continue, a key of some backend. A
//! literal message is part of the program and is shown, as are the numbers of an index out of range; of anything formatted
//! otherwise only what the standard library always says is kept. The place leads to the line in any case.

use std::any::Any;
use std::cell::RefCell;
use std::panic::PanicHookInfo;

/// In place of what is not told.
const WITHHELD: &str = "its message is withheld, because it may quote data";

/// Messages of the standard library that hold nothing but numbers, written as `#`.
const NUMBERS_ALONE: [&str; 5] = [
    "index out of bounds: the len is # but the index is #",
    "range end index # out of range for slice of length #",
    "range start index # out of range for slice of length #",
    "slice index starts at # but ends at #",
    "mid > len",
];

/// What the standard library says before it shows a value.
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
    /// Where this thread panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What may be told of a panic that carries `payload`.
pub fn said(payload: &(dyn Any + Send)) -> String {
    if let Some(literal) = payload.downcast_ref::<&'static str>() {
        return (*literal).to_owned();
    }
    payload.downcast_ref::<String>().map_or_else(|| "it said nothing".to_owned(), |text| without_values(text))
}

/// Remembers where this thread panics, for [`take_place`]. For the process's panic hook.
pub fn note_place(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string);
    // It fails in a thread that is ending, where no one asks any more.
    let _too_late = PLACE.try_with(|last| last.replace(place));
}

/// Where this thread panicked last, as `file:line:column`; `None` if it did not, or if the program has a panic hook of its own.
/// To be called when the panic is caught.
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

/// The text with each number as `#`.
fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            // A text that already has the sign has no shape that is known.
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

    /// What the log says of a panic in `work`.
    fn text_of<T>(work: impl FnOnce() -> T) -> String {
        said(&*catch_unwind(AssertUnwindSafe(work)).err().unwrap())
    }

    fn words() -> String {
        std::hint::black_box(SECRET.to_owned())
    }

    #[test]
    fn no_panic_quotes_what_it_was_about() {
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
    fn what_is_part_of_the_program_or_a_number_is_told() {
        let none = || std::hint::black_box(None::<u8>);
        let list = || std::hint::black_box(vec![1, 2, 3]);
        let index = std::hint::black_box(7);
        for (panicking, expected) in [
            (text_of(|| panic!("out of range")), "out of range"),
            (text_of(|| none().unwrap()), "called `Option::unwrap()` on a `None` value"),
            (text_of(|| list()[index]), "index out of bounds: the len is 3 but the index is 7"),
            (text_of(|| list()[..index].to_vec()), "range end index 7 out of range for slice of length 3"),
            (text_of(|| std::panic::panic_any(7)), "it said nothing"),
        ] {
            assert_eq!(panicking, expected);
        }
    }

    #[test]
    fn a_text_that_only_looks_like_a_known_one_is_withheld() {
        for text in [
            "index out of bounds: the len is 3 but the index is 7, says Ann",
            "index out of bounds: the len is # but the index is #",
            "Ann: called `Result::unwrap()` on an `Err` value",
        ] {
            assert_eq!(without_values(text), WITHHELD, "{text}");
        }
    }
}
