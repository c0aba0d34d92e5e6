//! What is fuzzed: one module a target, each with one `pub fn target(data: &[u8])` that panics where its property breaks.
//!
//! Shared by the cargo-fuzz binaries in `fuzz_targets` (nightly, for as long as one likes) and by `tests/fuzz.rs`
//! (stable, over `corpus` and mutations of it). A new target: a module here, its line in [`TARGETS`], a binary, a
//! `[[bin]]` in Cargo.toml, and a folder of seeds in `corpus`.

pub mod account_key;
pub mod address;
pub mod amount;
pub mod api_key;
pub mod callback_url;
pub mod client_token;
pub mod configuration;
pub mod handshake;
pub mod json_rpc;
pub mod payment_body;
pub mod socket_frame;
pub mod tron_header;
pub mod tron_infos;

/// One target by the name of its module, binary and corpus folder.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("account_key", account_key::target),
    ("address", address::target),
    ("amount", amount::target),
    ("api_key", api_key::target),
    ("callback_url", callback_url::target),
    ("client_token", client_token::target),
    ("configuration", configuration::target),
    ("handshake", handshake::target),
    ("json_rpc", json_rpc::target),
    ("payment_body", payment_body::target),
    ("socket_frame", socket_frame::target),
    ("tron_header", tron_header::target),
    ("tron_infos", tron_infos::target),
];
