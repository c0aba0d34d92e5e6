//! Floor 4, webhook delivery: sign, guard, send, and say what became of it.
//!
//! Reading order: [`signature`], [`address_kind`], [`callback_url`], [`lookup`], [`guard`], [`outcome`], [`sender`]; then
//! who may send when: [`moment`], [`breaker`], [`standing`], [`places`], [`gauges`]; then [`attempt`] and
//! [`dispatcher`]. Only the last two know the store; when to try a delivery again is `domain::retry`'s.

pub mod address_kind;
pub mod attempt;
pub mod breaker;
pub mod callback_url;
pub mod dispatcher;
pub mod gauges;
pub mod guard;
pub mod lookup;
pub mod moment;
pub mod outcome;
pub mod places;
pub mod sender;
pub mod signature;
pub mod standing;

#[cfg(test)]
mod callback_url_tests;
#[cfg(test)]
mod guard_tests;
#[cfg(test)]
mod places_tests;
#[cfg(test)]
mod sender_tests;
#[cfg(test)]
mod special_ranges_tests;
#[cfg(test)]
mod test_receiver;
