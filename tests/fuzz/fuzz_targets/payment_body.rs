//! See `src/payment_body.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paybell_fuzz::payment_body::target(data));
