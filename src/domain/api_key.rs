//! One API key: who may call the API, how far, and since when. The secret itself is never kept, only its digest.
//!
//! Refuses to make secrets: random bytes are handed in. They have 256 bits, so a plain SHA-256 cannot be searched; what is
//! slow on purpose against guessed passwords would only cost every request its time.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::ids::UnixMs;

/// Characters of a name at most.
pub const MAX_NAME_CHARS: usize = 100;
/// What every key begins with: it tells a key from a client token, and lets scanners find one that leaked.
pub const KEY_PREFIX: &str = "pb_";
/// Longer texts are no keys and are not looked at; a real key has 73 or 74 characters.
const MAX_KEY_BYTES: usize = 80;

/// What a key may do. A wider scope does all of the narrower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyScope {
    /// Looks at everything.
    Read,
    /// Also creates and cancels payments.
    Write,
    /// Also endpoints, deliveries, assignments by hand, and keys.
    Admin,
}

impl KeyScope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    pub fn covers(self, needed: Self) -> bool {
        self >= needed
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key's id: a ULID, so that ids sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u128);

impl KeyId {
    /// Reads `key_<ulid>`, and no other spelling of it.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_ulid(text.strip_prefix("key_")?)
    }

    fn from_ulid(text: &str) -> Option<Self> {
        let ulid = ulid::Ulid::from_string(text).ok()?;
        (ulid.to_string() == text).then_some(Self(ulid.0))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key_{}", ulid::Ulid(self.0))
    }
}

/// What only the holder of a key has. Prints itself redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret([u8; 32]);

impl KeySecret {
    /// A secret of random bytes drawn by the caller.
    pub const fn of_random(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn digest(&self) -> KeyDigest {
        KeyDigest(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(..)")
    }
}

/// SHA-256 of a secret: enough to know the secret again, of no use to whoever reads the data file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest(pub [u8; 32]);

impl KeyDigest {
    /// Of no secret that anyone knows: what a presented key is compared with when its id is unknown.
    pub const OF_NOBODY: Self = Self([0; 32]);

    /// Takes as long whatever the difference.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

/// A key as its holder presents it: `pb_<ulid>_<secret in base58>`. Prints itself without the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedKey {
    pub id: KeyId,
    pub secret: KeySecret,
}

impl PresentedKey {
    /// Reads a key; each has one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_KEY_BYTES {
            return None;
        }
        let (id, secret) = text.strip_prefix(KEY_PREFIX)?.split_once('_')?;
        let mut bytes = [0; 32];
        let length = bs58::decode(secret).onto(&mut bytes).ok()?;
        Some(Self {
            id: KeyId::from_ulid(id)?,
            secret: (length == bytes.len()).then_some(KeySecret(bytes))?,
        })
    }

    /// The whole key, to be shown once.
    pub fn to_text(&self) -> String {
        let secret = bs58::encode(self.secret.0).into_string();
        format!("{KEY_PREFIX}{}_{secret}", ulid::Ulid(self.id.0))
    }
}

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: KeyId,
    pub name: String,
    pub scope: KeyScope,
    pub digest: KeyDigest,
    pub created_at: UnixMs,
    /// To about a minute.
    pub last_used_at: Option<UnixMs>,
    pub revoked_at: Option<UnixMs>,
}

impl ApiKey {
    pub const fn is_live(&self) -> bool {
        self.revoked_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An id with letters in its text.
    const LETTERS: u128 = u128::MAX / 3;

    fn key(id: u128, bytes: [u8; 32]) -> PresentedKey {
        PresentedKey {
            id: KeyId(id),
            secret: KeySecret::of_random(bytes),
        }
    }

    #[test]
    fn a_key_has_one_spelling_and_comes_back_from_it() {
        for key in [
            key(0, [0; 32]),
            key(1, [7; 32]),
            key(u128::MAX, [255; 32]),
            key(1 << 80, [1; 32]),
        ] {
            let text = key.to_text();
            assert!(text.len() <= 74, "{text}");
            assert_eq!(PresentedKey::parse(&text), Some(key));
        }
    }

    #[test]
    fn whatever_is_no_key_is_refused() {
        let good = key(LETTERS, [9; 32]).to_text();
        let lower = good.to_lowercase();
        let short = key(1, [9; 32]).to_text();
        let short = &short[..short.len() - 1];
        let long = format!("{good}1");
        let huge = format!("{good}{}", "1".repeat(100_000));
        let spaced = format!("{good} ");
        for text in [
            "",
            "pb_",
            "pb__",
            "pb_x_y",
            "pb_00000000000000000000000001",
            "pb_00000000000000000000000001_",
            "pb_00000000000000000000000001_0OIl",
            "pb_ZZZZZZZZZZZZZZZZZZZZZZZZZZ_11111111111111111111111111111111",
            "pb_\u{e9}_\u{1f511}",
            "key_00000000000000000000000001",
            &lower,
            short,
            &long,
            &huge,
            &spaced,
        ] {
            assert_eq!(PresentedKey::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ids_have_one_spelling() {
        let id = KeyId(LETTERS);
        let text = id.to_string();
        assert!(text.starts_with("key_") && text.len() == 30, "{text}");
        assert_eq!(KeyId::parse(&text), Some(id));
        for wrong in [&text.to_lowercase(), &text[4..], "key_", "key_1", "ep_1"] {
            assert_eq!(KeyId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn scopes_nest() {
        use KeyScope::{Admin, Read, Write};
        for (scope, covered) in [
            (Read, &[Read][..]),
            (Write, &[Read, Write]),
            (Admin, &[Read, Write, Admin]),
        ] {
            for needed in KeyScope::ALL {
                assert_eq!(scope.covers(needed), covered.contains(&needed));
            }
            assert_eq!(KeyScope::parse(scope.as_str()), Some(scope));
        }
        assert_eq!(KeyScope::parse("Admin"), None);
    }

    #[test]
    fn a_digest_knows_its_secret_and_neither_shows_itself() {
        let secret = KeySecret::of_random([7; 32]);
        let mut other = [7; 32];
        other[31] = 8;
        let other = KeySecret::of_random(other);
        assert!(secret.digest().is_same(&secret.digest()));
        assert!(!secret.digest().is_same(&other.digest()));
        assert!(!secret.digest().is_same(&KeyDigest::OF_NOBODY));
        // SHA-256 of 32 zero bytes, from sha256sum.
        let zeros = KeySecret::of_random([0; 32]).digest();
        assert_eq!(
            hex::encode(zeros.0),
            "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
        );
        let shown = format!("{:?}{:?}", key(1, [7; 32]), secret.digest());
        assert!(!shown.contains("7, 7"), "{shown}");
    }
}
