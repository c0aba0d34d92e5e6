//! Key pairs: addresses from private keys, signatures over hashes, and who signed a hash.
//!
//! Every key here is a test key, derived from the seed or publicly known. Refuses to be used for
//! anything that holds value.

use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use sha3::Keccak256;

use crate::domain::address::{ADDRESS_BYTES, Address};

/// `r`, `s` and the recovery byte.
pub const SIGNATURE_BYTES: usize = 65;
/// Added to the recovery id on the wire, as java-tron and Ethereum do.
const RECOVERY_OFFSET: u8 = 27;

/// A signature as it stands in a transaction.
pub type SignatureBytes = [u8; SIGNATURE_BYTES];

/// A private key and the address it owns.
#[derive(Clone)]
pub struct Keypair {
    key: SigningKey,
    address: Address,
}

impl Keypair {
    /// The key whose scalar is `hash(label, seed, index)`.
    pub fn derive(label: &str, seed: u64, index: u64) -> Self {
        let mut round = 0_u64;
        loop {
            let mut hasher = Sha256::new();
            hasher.update(label.as_bytes());
            hasher.update(seed.to_be_bytes());
            hasher.update(index.to_be_bytes());
            hasher.update(round.to_be_bytes());
            if let Some(pair) = Self::from_scalar(&hasher.finalize().into()) {
                return pair;
            }
            // One hash in 2^128 is no valid scalar; the next round is.
            round += 1;
        }
    }

    /// `None` when the bytes are zero or not below the curve's order.
    pub fn from_scalar(scalar: &[u8; 32]) -> Option<Self> {
        let key = SigningKey::from_slice(scalar).ok()?;
        let address = address_of(key.verifying_key());
        Some(Self { key, address })
    }

    pub fn address(&self) -> Address {
        self.address
    }

    pub fn private_hex(&self) -> String {
        hex::encode(self.key.to_bytes())
    }

    /// Signs a hash; the same hash always gives the same signature (RFC 6979).
    pub fn sign(&self, hash: &[u8; 32]) -> SignatureBytes {
        let (signature, recovery) = self.key.sign_prehash_recoverable(hash);
        let mut bytes = [0_u8; SIGNATURE_BYTES];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = RECOVERY_OFFSET + recovery.to_byte();
        bytes
    }
}

/// The address whose key signed the hash; `None` when no key can have made this signature.
pub fn recover(hash: &[u8; 32], signature: &[u8]) -> Option<Address> {
    let (scalars, rest) = signature.split_at_checked(64)?;
    let byte = *rest.first()?;
    let id = RecoveryId::from_byte(byte.checked_sub(RECOVERY_OFFSET).unwrap_or(byte))?;
    let signature = Signature::from_slice(scalars).ok()?;
    let key = VerifyingKey::recover_from_prehash(hash, &signature, id).ok()?;
    Some(address_of(&key))
}

fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_sec1_point(false);
    let hash = keccak(&point.as_bytes()[1..]);
    let mut bytes = [0_u8; ADDRESS_BYTES];
    bytes.copy_from_slice(&hash[32 - ADDRESS_BYTES..]);
    Address::from_bytes(bytes)
}

/// Keccak-256, the hash behind addresses, selectors and event topics.
pub fn keccak(data: &[u8]) -> [u8; 32] {
    Keccak256::digest(data).into()
}

/// SHA-256, the hash behind transaction and block ids.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_one() -> Keypair {
        let mut scalar = [0_u8; 32];
        scalar[31] = 1;
        Keypair::from_scalar(&scalar).expect("one is a valid scalar")
    }

    #[test]
    fn private_key_one_owns_the_well_known_address() {
        assert_eq!(
            key_one().address().to_tron(),
            "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC"
        );
    }

    #[test]
    fn a_signature_tells_who_signed_and_only_over_its_own_hash() {
        let hash = sha256(b"a transaction");
        let mut signature = key_one().sign(&hash);
        assert_eq!(recover(&hash, &signature), Some(key_one().address()));
        assert_ne!(
            recover(&sha256(b"another"), &signature),
            Some(key_one().address())
        );
        signature[64] -= RECOVERY_OFFSET;
        assert_eq!(recover(&hash, &signature), Some(key_one().address()));
    }

    #[test]
    fn garbage_is_no_signature() {
        let hash = sha256(b"a transaction");
        for bytes in [&[][..], &[0; 64], &[0; 65], &[0xff; 65], &[1; 3]] {
            assert_eq!(recover(&hash, bytes), None);
        }
    }

    #[test]
    fn derived_keys_differ_by_every_part() {
        let base = Keypair::derive("a", 1, 1).address();
        for other in [("b", 1, 1), ("a", 2, 1), ("a", 1, 2)] {
            assert_ne!(Keypair::derive(other.0, other.1, other.2).address(), base);
        }
        assert_eq!(Keypair::derive("a", 1, 1).address(), base);
    }
}
