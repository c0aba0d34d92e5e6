//! See `src/json_rpc.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| paybell_fuzz::json_rpc::target(data));
