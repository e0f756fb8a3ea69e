//! Kommo's answers to a continue, and what the sender does with them: `salesbot_bridge::fuzzing` says what has to hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    salesbot_bridge::fuzzing::answer(input);
});
