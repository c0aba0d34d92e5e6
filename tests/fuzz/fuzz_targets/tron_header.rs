//! See `src/tron_header.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paybell_fuzz::tron_header::target(data));
