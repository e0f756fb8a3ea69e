//! Kommo's responses to a continue, and what the sender does with them. `salesbot_bridge::fuzzing` checks the properties.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    salesbot_bridge::fuzzing::answer(input);
});
