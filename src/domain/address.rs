//! Account addresses: 20 bytes on every supported chain, and TRON's text form of them.
//!
//! Refuses any text whose base58check does not hold. Knows nothing of the chain's state.
//! Source of the format: TRON developer documentation, "Accounts"; vectors in the tests.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

/// Bytes of an address without any chain prefix.
pub const ADDRESS_BYTES: usize = 20;
/// First payload byte of every TRON address.
const TRON_PREFIX: u8 = 0x41;
/// Characters of a TRON address in base58check.
pub const TRON_TEXT_CHARS: usize = 34;
pub(super) const CHECKSUM_BYTES: usize = 4;
const TRON_PAYLOAD_BYTES: usize = 1 + ADDRESS_BYTES;
const TRON_RAW_BYTES: usize = TRON_PAYLOAD_BYTES + CHECKSUM_BYTES;

/// The 20 bytes that a `Transfer` log carries in its topics, the same on TRON and on EVM chains.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address([u8; ADDRESS_BYTES]);

/// Why a text is not a TRON address.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum AddressError {
    #[error("a TRON address has 34 characters, this has {0}")]
    Length(usize),
    #[error("'{0}' is not a base58 character")]
    Alphabet(char),
    #[error(
        "the checksum does not match: a character is mistyped, or upper and lower case are mixed up"
    )]
    Checksum,
    #[error("it is not a TRON mainnet-format address: those start with T")]
    Prefix,
    #[error("it decodes to {0} bytes where a TRON address has 21")]
    Payload(usize),
}

impl Address {
    /// Wraps raw bytes, as read from a log topic's last 20 bytes.
    pub const fn from_bytes(bytes: [u8; ADDRESS_BYTES]) -> Self {
        Self(bytes)
    }

    /// The raw bytes, without TRON's `41`.
    pub const fn as_bytes(&self) -> &[u8; ADDRESS_BYTES] {
        &self.0
    }

    /// Parses the base58check form, `T` and 33 more characters.
    ///
    /// # Errors
    /// Says which rule the text breaks; never guesses a correction.
    pub fn from_tron(text: &str) -> Result<Self, AddressError> {
        let chars = text.chars().count();
        if let Some(wrong) = text.chars().find(|c| !is_base58(*c)) {
            // A wrong length is the more helpful news unless the length is right.
            return Err(if chars == TRON_TEXT_CHARS {
                AddressError::Alphabet(wrong)
            } else {
                AddressError::Length(chars)
            });
        }
        if chars != TRON_TEXT_CHARS {
            return Err(AddressError::Length(chars));
        }
        let mut raw = [0_u8; TRON_RAW_BYTES + 8];
        let length = bs58::decode(text)
            .onto(&mut raw[..])
            .map_err(|_| AddressError::Checksum)?;
        Self::from_tron_raw(&raw[..length])
    }

    fn from_tron_raw(raw: &[u8]) -> Result<Self, AddressError> {
        let Some(payload_bytes) = raw.len().checked_sub(CHECKSUM_BYTES) else {
            return Err(AddressError::Checksum);
        };
        let (payload, checksum) = raw.split_at(payload_bytes);
        if base58_checksum(payload) != checksum {
            return Err(AddressError::Checksum);
        }
        if payload.len() != TRON_PAYLOAD_BYTES {
            return Err(AddressError::Payload(payload.len()));
        }
        if payload[0] != TRON_PREFIX {
            return Err(AddressError::Prefix);
        }
        let mut bytes = [0_u8; ADDRESS_BYTES];
        bytes.copy_from_slice(&payload[1..]);
        Ok(Self(bytes))
    }

    /// The base58check text that wallets show.
    pub fn to_tron(self) -> String {
        let mut raw = [0_u8; TRON_RAW_BYTES];
        raw[0] = TRON_PREFIX;
        raw[1..TRON_PAYLOAD_BYTES].copy_from_slice(&self.0);
        let checksum = base58_checksum(&raw[..TRON_PAYLOAD_BYTES]);
        raw[TRON_PAYLOAD_BYTES..].copy_from_slice(&checksum);
        bs58::encode(raw).into_string()
    }
}

/// What base58check appends to a payload.
pub(super) fn base58_checksum(payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let twice = Sha256::digest(Sha256::digest(payload));
    let mut checksum = [0_u8; CHECKSUM_BYTES];
    checksum.copy_from_slice(&twice[..CHECKSUM_BYTES]);
    checksum
}

pub(super) fn is_base58(c: char) -> bool {
    c.is_ascii_alphanumeric() && !matches!(c, '0' | 'O' | 'I' | 'l')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_tron())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.to_tron())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Base58 text, the 21 payload bytes in hex.
    const VALID: [(&str, &str); 8] = [
        (
            "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
            "41a614f803b6fd780986a42c78ec9c7f77e6ded13c",
        ),
        (
            "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC",
            "417e5f4552091a69125d5dfcb7b8c2659029395bdf",
        ),
        (
            "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7",
            "41a2fe67ceadf6e147c440fe556a0a15bd210ec412",
        ),
        (
            "TX8qeDzWJ3ePxwajj18PGbcc7FwV1dhqt3",
            "41e82cf8a78a02e1ba25b9bf4c2ebce0bb7c7189ba",
        ),
        (
            "TPX6HK2NRN4XKRX1JAhbC827bm7gMmy5w1",
            "4194a15629b2b2bbd3a5453e6d6696b2875278633b",
        ),
        (
            "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb",
            "410000000000000000000000000000000000000000",
        ),
        (
            "TU7r98aQ3XTHuM9NLwnyVmdCH7gAZDYqxt",
            "41c71498123f6de4698410712e5f5c96ae42978776",
        ),
        (
            "TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf",
            "41eca9bc828a3005b9a3b909f2cc5c2a54794de05f",
        ),
    ];

    #[test]
    fn valid_vectors_go_both_ways() {
        for (text, hex_payload) in VALID {
            let address = Address::from_tron(text).expect(text);
            assert_eq!(
                format!("41{}", hex::encode(address.as_bytes())),
                hex_payload
            );
            assert_eq!(address.to_tron(), text);
        }
    }

    #[test]
    fn invalid_vectors_name_their_mistake() {
        let cases = [
            ("TYPG8VeuoVAh2hP7Vfw6ww7vK98nvXXXUs", AddressError::Checksum),
            (
                "TYPG8VeuoVAh2hP7Vfw6ww7vK98nvXXXUG89",
                AddressError::Length(36),
            ),
            ("aYPG8VeuoVAh2hP7Vfw6ww7vK98nvXXXUG", AddressError::Checksum),
            (
                "4165cfbd57fa4f20687b2c33f84c4f9017e589",
                AddressError::Length(38),
            ),
            (
                "tr7nhqjekqxgtci8q8zy4pl8otszgjlj6t",
                AddressError::Alphabet('l'),
            ),
            (
                "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj60",
                AddressError::Alphabet('0'),
            ),
            (
                "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
                AddressError::Payload(21),
            ),
            ("", AddressError::Length(0)),
            ("Т\u{440}\u{1F600}", AddressError::Length(3)),
        ];
        for (text, why) in cases {
            let found = Address::from_tron(text).expect_err(text);
            if text.starts_with('1') {
                // 34 characters with a good Bitcoin checksum: payload and prefix are both wrong.
                assert!(matches!(
                    found,
                    AddressError::Prefix | AddressError::Payload(_) | AddressError::Checksum
                ));
            } else {
                assert_eq!(found, why, "{text}");
            }
        }
        assert!(Address::from_tron("27abhp5LCcYZjKq8Ry84hpNNHLmp9Q6YVxY").is_err());
        assert!(Address::from_tron("31KSMiZGfaWv1NnCzPV4pEp1QFamD3p5D474").is_err());
    }

    #[test]
    fn a_good_checksum_over_another_prefix_is_refused() {
        let mut raw = vec![0x42];
        raw.extend([7; ADDRESS_BYTES]);
        raw.extend(base58_checksum(&raw.clone()));
        assert_eq!(Address::from_tron_raw(&raw), Err(AddressError::Prefix));
    }

    proptest! {
        #[test]
        fn every_address_survives_its_text(bytes: [u8; ADDRESS_BYTES]) {
            let address = Address::from_bytes(bytes);
            let text = address.to_tron();
            prop_assert_eq!(text.len(), TRON_TEXT_CHARS);
            prop_assert!(text.starts_with('T'));
            prop_assert_eq!(Address::from_tron(&text), Ok(address));
        }

        #[test]
        fn one_changed_character_is_always_noticed(bytes: [u8; ADDRESS_BYTES], at in 0_usize..TRON_TEXT_CHARS, to in "[1-9A-HJ-NP-Za-km-z]") {
            let text = Address::from_bytes(bytes).to_tron();
            let mut changed: Vec<char> = text.chars().collect();
            changed[at] = to.chars().next().expect("one character");
            let changed: String = changed.into_iter().collect();
            prop_assume!(changed != text);
            prop_assert!(Address::from_tron(&changed).is_err());
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            if let Ok(address) = Address::from_tron(&text) {
                prop_assert_eq!(address.to_tron(), text);
            }
        }
    }
}
