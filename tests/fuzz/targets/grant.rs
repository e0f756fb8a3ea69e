//! Kommo's answers to a request for new tokens: `salesbot_bridge::fuzzing` says what has to hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    salesbot_bridge::fuzzing::grant(input);
});
