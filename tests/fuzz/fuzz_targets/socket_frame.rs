//! See `src/socket_frame.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paybell_fuzz::socket_frame::target(data));
