//! See `src/address.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paybell_fuzz::address::target(data));
