//! Floor 0, the domain: pure code that decides. No clock, no randomness, no I/O, no tokio, no serde.

pub mod account_key;
pub mod address;
pub mod amount;
mod amount_choice;
pub mod api_key;
pub mod api_key_commands;
pub mod api_keys;
pub mod chain;
pub mod changes;
pub mod claim;
pub mod delivery;
mod draft;
pub mod endpoint;
pub mod endpoint_commands;
pub mod endpoints;
pub mod event;
pub mod idempotency;
pub mod ids;
pub mod ledger;
#[cfg(test)]
mod ledger_assign_tests;
#[cfg(test)]
mod ledger_create_tests;
#[cfg(test)]
mod ledger_model_tests;
#[cfg(test)]
mod ledger_span_tests;
#[cfg(test)]
mod ledger_test_support;
#[cfg(test)]
mod ledger_tests;
pub mod matcher;
#[cfg(test)]
mod matcher_tests;
pub mod outbox;
pub mod payment;
#[cfg(test)]
mod payment_tests;
pub mod recovery;
pub mod retry;
pub mod signing_key;
pub mod target;
#[cfg(test)]
pub mod test_support;
pub mod transfer;
pub mod wallet;
#[cfg(test)]
mod wallet_tests;
