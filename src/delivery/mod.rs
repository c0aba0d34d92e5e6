//! Floor 4, webhook delivery: sign, guard, send, and say what became of it.
//!
//! Reading order: [`signature`], [`address_kind`], [`callback_url`], [`guard`], [`outcome`], [`sender`],
//! [`attempt`], [`dispatcher`]. Only the last two know the store; when to try again is `domain::retry`'s.

pub mod address_kind;
pub mod attempt;
pub mod callback_url;
pub mod dispatcher;
pub mod guard;
pub mod outcome;
pub mod sender;
pub mod signature;

#[cfg(test)]
mod callback_url_tests;
#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod sender_tests;
#[cfg(test)]
mod test_receiver;
