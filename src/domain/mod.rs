//! Floor 0, the domain: pure code that decides. No clock, no randomness, no I/O, no tokio, no serde.

pub mod address;
pub mod amount;
pub mod chain;
pub mod ids;
pub mod retry;
