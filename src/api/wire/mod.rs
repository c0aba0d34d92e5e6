//! The JSON that clients see, written straight from the domain's types: payments, events, endpoints, deliveries, pages of lists.
//!
//! Owns field names and number formats. No float touches money, and no `Value` tree is built. Refuses to read requests.

mod chain_face;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod key;
pub mod list;
pub mod payment;
pub mod scalar;
#[cfg(test)]
pub mod tests;
pub mod transfer;

use bytes::Bytes;
use serde::Serialize;

pub use event::WireEncoder;
pub use payment::PaymentObject;

/// Writes a wire object.
///
/// # Errors
/// Only where a type's own serialization fails, which none of ours does.
pub fn encode<T: Serialize>(object: &T) -> Result<Bytes, serde_json::Error> {
    serde_json::to_vec(object).map(Bytes::from)
}
