//! Tokens of requests. `salesbot_bridge::fuzzing` checks the properties.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    salesbot_bridge::fuzzing::token(input);
});
