//! The keys that sign one endpoint's webhooks, and their rotation: the key before goes on signing for a day.
//!
//! Refuses to make keys and to sign: random bytes are handed in, the text form and the signatures are `delivery`'s.

use std::fmt;

use super::ids::UnixMs;

/// How long a replaced key goes on signing beside the new one.
pub const OLD_KEY_SIGNS_SECONDS: u64 = 24 * 60 * 60;

/// A key shared with a receiver, of as many bytes as Standard Webhooks allows. Prints itself redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// Shortest key that Standard Webhooks allows, bytes.
    pub const MIN_BYTES: usize = 24;
    /// Longest key that Standard Webhooks allows, bytes.
    pub const MAX_BYTES: usize = 64;

    /// Nothing where there are too few bytes, or too many.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (Self::MIN_BYTES..=Self::MAX_BYTES)
            .contains(&bytes.len())
            .then_some(Self(bytes))
    }

    /// A key of random bytes drawn by the caller.
    pub fn of_random(bytes: [u8; 32]) -> Self {
        Self(bytes.to_vec())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// What signs now, and what signed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeys {
    pub current: SigningKey,
    /// The key before, and until when it signs. Only one: a second rotation within the day ends the oldest.
    pub old: Option<(SigningKey, UnixMs)>,
}

impl SigningKeys {
    pub const fn new(current: SigningKey) -> Self {
        Self { current, old: None }
    }

    /// Signs with `new` from now on, and with the key before for a day.
    pub fn rotate(&mut self, new: SigningKey, now: UnixMs) {
        let old = std::mem::replace(&mut self.current, new);
        // The same key again is no rotation: it must not sign twice.
        if old != self.current {
            self.old = Some((old, now.plus_seconds(OLD_KEY_SIGNS_SECONDS)));
        }
    }

    /// The keys that sign at this moment, the newest first.
    pub fn at(&self, now: UnixMs) -> impl Iterator<Item = &SigningKey> {
        let old = self.old.iter().filter(move |(_, until)| now < *until);
        std::iter::once(&self.current).chain(old.map(|(key, _)| key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SigningKey {
        SigningKey::of_random([n; 32])
    }

    fn at(keys: &SigningKeys, now: UnixMs) -> Vec<u8> {
        keys.at(now).map(|key| key.as_bytes()[0]).collect()
    }

    #[test]
    fn the_key_before_signs_for_a_day_and_no_longer() {
        const DAY_MS: u64 = OLD_KEY_SIGNS_SECONDS * 1000;
        let now = UnixMs(1_000);
        let mut keys = SigningKeys::new(key(1));
        assert_eq!(at(&keys, now), [1]);
        keys.rotate(key(2), now);
        assert_eq!(at(&keys, now), [2, 1]);
        assert_eq!(at(&keys, now.plus_ms(DAY_MS - 1)), [2, 1]);
        assert_eq!(at(&keys, now.plus_ms(DAY_MS)), [2]);
        keys.rotate(key(3), now.plus_ms(5));
        assert_eq!(at(&keys, now.plus_ms(6)), [3, 2], "only the newest old one");
        keys.rotate(key(3), now.plus_ms(7));
        assert_eq!(at(&keys, now.plus_ms(8)), [3, 2], "the same key signs once");
    }

    #[test]
    fn keys_have_a_length_and_do_not_show_themselves() {
        for (bytes, fits) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            assert_eq!(SigningKey::new(vec![7; bytes]).is_some(), fits, "{bytes}");
        }
        let shown = format!("{:?}", SigningKeys::new(key(7)));
        assert!(!shown.contains('7'), "{shown}");
    }
}
