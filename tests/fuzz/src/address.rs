//! TRON addresses. What is read is written back to the very same text, so that no two texts are one address; every
//! address survives its text; a text with one other character is refused.

use paybell::domain::address::{ADDRESS_BYTES, Address, TRON_TEXT_CHARS};
use sha2::{Digest, Sha256};

const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = Address::from_tron(&text);
    assert_eq!(read.ok(), naive(&text).map(Address::from_bytes), "{text:?}");
    if let Ok(address) = read {
        assert_eq!(address.to_tron(), text);
    }
    if let Some((bytes, rest)) = data.split_first_chunk::<ADDRESS_BYTES>() {
        round_trip(*bytes, rest);
    }
}

fn round_trip(bytes: [u8; ADDRESS_BYTES], choice: &[u8]) {
    let address = Address::from_bytes(bytes);
    let text = address.to_tron();
    assert_eq!(text.len(), TRON_TEXT_CHARS);
    assert_eq!(Address::from_tron(&text), Ok(address));
    let [at, to, ..] = choice else { return };
    let mut changed = text.clone().into_bytes();
    changed[usize::from(*at) % TRON_TEXT_CHARS] = ALPHABET[usize::from(*to) % ALPHABET.len()];
    let changed = String::from_utf8(changed).expect("ASCII");
    if changed != text {
        let read = Address::from_tron(&changed);
        assert!(read.is_err(), "{text} and {changed} are both read");
    }
}

/// Base58check by long multiplication, digit by digit.
fn naive(text: &str) -> Option<[u8; ADDRESS_BYTES]> {
    if text.len() != TRON_TEXT_CHARS {
        return None;
    }
    let mut number = [0_u8; 40];
    for digit in text.bytes() {
        let mut carry = ALPHABET.iter().position(|known| *known == digit)?;
        for byte in number.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
    }
    // 41, 20 bytes, 4 of checksum; what stands before them must be nothing.
    let (before, raw) = number.split_at(40 - 25);
    let (payload, checksum) = raw.split_at(21);
    let twice = Sha256::digest(Sha256::digest(payload));
    let sound = before.iter().all(|byte| *byte == 0) && payload[0] == 0x41;
    (sound && twice[..4] == *checksum).then(|| payload[1..].try_into().expect("20 bytes"))
}
