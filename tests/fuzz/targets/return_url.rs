//! `return_url`s and the token issuers that they must match. `salesbot_bridge::fuzzing` checks the properties.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    salesbot_bridge::fuzzing::return_url(input);
});
