//! `return_url`s and what they are held against: `salesbot_bridge::fuzzing` says what has to hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    salesbot_bridge::fuzzing::return_url(input);
});
