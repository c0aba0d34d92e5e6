//! A watch-only account key: reads an extended public key and derives its receiving addresses, without any secret.
//!
//! BIP32's public derivation, from the account `m/44'/195'/n'` to `0/i`. Refuses private keys and keys of any other
//! level, by name. Never shows the key, not even in `Debug`: whoever has it sees every address of the account.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{ProjectivePoint, PublicKey, Scalar};
use sha2::{Digest, Sha256, Sha512};
use sha3::Keccak256;
use thiserror::Error;

use super::address::{ADDRESS_BYTES, Address, CHECKSUM_BYTES, base58_checksum, is_base58};

/// Characters of every extended public key that begins with `xpub`.
pub const XPUB_CHARS: usize = 111;
/// The form that BIP32 calls mainnet, public.
const XPUB_VERSION: u32 = 0x0488_B21E;
const PAYLOAD_BYTES: usize = 78;
const RAW_BYTES: usize = PAYLOAD_BYTES + CHECKSUM_BYTES;
/// Levels below the master key: purpose, coin, account.
const ACCOUNT_DEPTH: u8 = 3;
/// Set in the number of a child that needs the private key.
const HARDENED: u32 = 0x8000_0000;
/// The account's branch of receiving addresses; 1 is for change.
const RECEIVING_BRANCH: u32 = 0;

/// Why a text is no account key. Never quotes it.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum AccountKeyError {
    #[error(
        "it is an extended private key: paybell takes the public one only, which starts with xpub"
    )]
    Private,
    #[error(
        "it is a {0}pub key, a form for another network (SLIP-132): {EXPORT}, whose key starts with xpub"
    )]
    OtherForm(char),
    #[error("an account's extended public key starts with xpub: {EXPORT}")]
    NotXpub,
    #[error("{0:?} is not a base58 character")]
    Alphabet(char),
    #[error("an extended public key has {XPUB_CHARS} characters, this has {0}: copy it whole")]
    Length(usize),
    #[error("the checksum does not match: a character is mistyped, copy it again")]
    Checksum,
    #[error(
        "it is the wallet's master key (level 0), which shows every account of the wallet: {EXPORT} (level 3)"
    )]
    Master,
    #[error("it is a key of level {0}, above the account: {EXPORT} (level 3)")]
    AboveAccount(u8),
    #[error("it is a change-level key (level 4), below the account: {EXPORT} (level 3)")]
    ChangeLevel,
    #[error("it is a key of level {0}, below the account: {EXPORT} (level 3)")]
    BelowAccount(u8),
    #[error("its account number is not hardened, as BIP44 accounts are: {EXPORT}")]
    AccountNotHardened,
    #[error("it holds no point of the curve secp256k1, so it is no public key")]
    Point,
}

const EXPORT: &str = "export the TRON account m/44'/195'/0' from your wallet";

/// Tells accounts apart without telling their keys: a hash of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub [u8; 16]);

/// The place of an address in its account, `i` in `0/i`; below 2^31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AddressIndex(u32);

impl AddressIndex {
    pub const MAX: u32 = HARDENED - 1;

    pub const fn new(index: u32) -> Option<Self> {
        if index <= Self::MAX {
            Some(Self(index))
        } else {
            None
        }
    }

    pub const fn get(self) -> u32 {
        self.0
    }
}

/// An account's key, ready to derive receiving addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountKey {
    id: AccountId,
    account: u32,
    /// The key of `0`, so that an address costs one derivation.
    receiving: ExtendedKey,
}

/// A public key and the chain code that derives its children.
#[derive(Clone, PartialEq, Eq)]
struct ExtendedKey {
    point: ProjectivePoint,
    /// The point in SEC1's compressed form, as the hash takes it.
    sec1: [u8; 33],
    chain_code: [u8; 32],
}

impl AccountKey {
    /// Reads the text that wallets export.
    ///
    /// # Errors
    /// Says what the text is instead, where that can be told.
    pub fn parse(text: &str) -> Result<Self, AccountKeyError> {
        let payload = payload(text)?;
        match payload[4] {
            ACCOUNT_DEPTH => {}
            0 => return Err(AccountKeyError::Master),
            4 => return Err(AccountKeyError::ChangeLevel),
            above @ 1..ACCOUNT_DEPTH => return Err(AccountKeyError::AboveAccount(above)),
            below => return Err(AccountKeyError::BelowAccount(below)),
        }
        let number = u32::from_be_bytes(array(&payload[9..13]));
        let account = number
            .checked_sub(HARDENED)
            .ok_or(AccountKeyError::AccountNotHardened)?;
        let key = ExtendedKey::read(&payload)?;
        let receiving = key.child(RECEIVING_BRANCH).ok_or(AccountKeyError::Point)?;
        Ok(Self {
            id: key.id(),
            account,
            receiving,
        })
    }

    pub const fn id(&self) -> AccountId {
        self.id
    }

    /// The account's number, `n` in `m/44'/195'/n'`.
    pub const fn account(&self) -> u32 {
        self.account
    }

    /// The address at `0/index`. One index in 2^127 has none; BIP32 has it passed over.
    pub fn address(&self, index: AddressIndex) -> Option<Address> {
        self.receiving.child(index.0).map(|key| key.address())
    }

    /// The first address at `from` or behind it.
    pub fn first_address(&self, from: AddressIndex) -> Option<(AddressIndex, Address)> {
        first_valid(from, |index| self.address(index))
    }
}

/// Passes over what has no address, and ends at the last index.
fn first_valid<T>(
    from: AddressIndex,
    mut derive: impl FnMut(AddressIndex) -> Option<T>,
) -> Option<(AddressIndex, T)> {
    let mut index = from;
    loop {
        if let Some(found) = derive(index) {
            return Some((index, found));
        }
        index = AddressIndex::new(index.0 + 1)?;
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKey(not shown)")
    }
}

/// The payload of a text that is an `xpub` with a good checksum.
fn payload(text: &str) -> Result<[u8; PAYLOAD_BYTES], AccountKeyError> {
    match (text.chars().next(), text.get(1..4)) {
        (Some(_), Some("prv")) => return Err(AccountKeyError::Private),
        (Some('x'), Some("pub")) => {}
        (Some(form), Some("pub")) if form.is_ascii_alphabetic() => {
            return Err(AccountKeyError::OtherForm(form));
        }
        _ => return Err(AccountKeyError::NotXpub),
    }
    if let Some(wrong) = text.chars().find(|c| !is_base58(*c)) {
        return Err(AccountKeyError::Alphabet(wrong));
    }
    if text.len() != XPUB_CHARS {
        return Err(AccountKeyError::Length(text.len()));
    }
    let mut raw = [0_u8; RAW_BYTES + 2];
    let length = bs58::decode(text).onto(&mut raw[..]);
    if length != Ok(RAW_BYTES) {
        return Err(AccountKeyError::Checksum);
    }
    let (payload, checksum) = raw[..RAW_BYTES].split_at(PAYLOAD_BYTES);
    if base58_checksum(payload) != checksum {
        return Err(AccountKeyError::Checksum);
    }
    if u32::from_be_bytes(array(&payload[..4])) != XPUB_VERSION {
        return Err(AccountKeyError::NotXpub);
    }
    Ok(array(payload))
}

/// A slice whose length the caller has fixed, as an array.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

impl ExtendedKey {
    fn read(payload: &[u8; PAYLOAD_BYTES]) -> Result<Self, AccountKeyError> {
        let point = PublicKey::from_sec1_bytes(&payload[45..])
            .map_err(|_| AccountKeyError::Point)?
            .to_projective();
        Ok(Self {
            point,
            sec1: array(&payload[45..]),
            chain_code: array(&payload[13..45]),
        })
    }

    fn id(&self) -> AccountId {
        let hash = Sha256::new_with_prefix(b"paybell account")
            .chain_update(self.chain_code)
            .chain_update(self.sec1)
            .finalize();
        AccountId(array(&hash[..16]))
    }

    /// BIP32's CKDpub. Nothing for the one number in 2^127 that has no child.
    fn child(&self, number: u32) -> Option<Self> {
        let mut mac = Hmac::<Sha512>::new_from_slice(&self.chain_code).ok()?;
        mac.update(&self.sec1);
        mac.update(&number.to_be_bytes());
        let hash = mac.finalize().into_bytes();
        let key = tweak(&self.point, array(&hash[..32]))?;
        Some(Self {
            point: key.to_projective(),
            sec1: array(key.to_sec1_point(true).as_bytes()),
            chain_code: array(&hash[32..]),
        })
    }

    /// The last 20 bytes of the Keccak-256 of the point's two coordinates.
    fn address(&self) -> Address {
        let affine = self.point.to_affine();
        let hash = Keccak256::digest(&affine.to_sec1_point(false).as_bytes()[1..]);
        Address::from_bytes(array(&hash[hash.len() - ADDRESS_BYTES..]))
    }
}

/// The point moved by a number of base points. Nothing when the number is not below the curve's order, or when the
/// sum is the point at infinity.
fn tweak(point: &ProjectivePoint, number: [u8; 32]) -> Option<PublicKey> {
    let scalar = Option::<Scalar>::from(Scalar::from_repr(number.into()))?;
    let sum = ProjectivePoint::mul_by_generator(&scalar) + point;
    PublicKey::from_affine(sum.to_affine()).ok()
}

#[cfg(test)]
#[path = "account_key_tests.rs"]
mod tests;
