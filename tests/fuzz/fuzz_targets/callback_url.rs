//! See `src/callback_url.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paybell_fuzz::callback_url::target(data));
