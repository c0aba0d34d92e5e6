//! Floor 0, the domain: pure code that decides. No clock, no randomness, no I/O, no tokio, no serde.

pub mod address;
pub mod amount;
pub mod chain;
pub mod changes;
pub mod delivery;
pub mod event;
pub mod ids;
pub mod ledger;
pub mod matcher;
pub mod payment;
pub mod retry;
