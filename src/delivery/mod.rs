//! Floor 4, webhook delivery: sign, guard, send, and say what became of it.
//!
//! Reading order: [`signature`], [`address_kind`], [`callback_url`], [`guard`], [`outcome`], [`sender`]. Nothing here
//! knows the store, picks what is due or decides when to try again; that is the dispatcher's, by `domain::retry`.

pub mod address_kind;
pub mod callback_url;
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
