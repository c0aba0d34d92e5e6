//! See `src/account_key.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paybell_fuzz::account_key::target(data));
