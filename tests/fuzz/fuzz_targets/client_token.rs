//! See `src/client_token.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paybell_fuzz::client_token::target(data));
