//! See `src/tron_infos.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paybell_fuzz::tron_infos::target(data));
