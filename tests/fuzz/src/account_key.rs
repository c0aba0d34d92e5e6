//! Extended public keys of accounts. What is read is base58check of a public key at level 3 and nothing else, its
//! addresses come out the same again, and no error quotes the text.

use paybell::domain::account_key::{AccountKey, AddressIndex};
use sha2::{Digest, Sha256};

/// Shorter pieces of a text can stand in an error by chance.
const QUOTED_CHARS: usize = 12;

pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match AccountKey::parse(&text) {
        Ok(key) => {
            let payload = naive(&text).expect("base58check");
            assert_eq!(payload[..5], [0x04, 0x88, 0xB2, 0x1E, 3], "{text}");
            assert!(payload[9] >= 0x80, "the account is hardened: {text}");
            assert!(matches!(payload[45], 2 | 3), "a compressed point: {text}");
            assert!(!format!("{key:?}").contains(&text[4..]));
            let index = AddressIndex::new(u32::from(data[data.len() - 1])).expect("small");
            let again = AccountKey::parse(&text).expect("read before");
            assert_eq!(key.address(index), again.address(index));
        }
        Err(error) => {
            let told = error.to_string();
            let chars: Vec<char> = text.chars().collect();
            for piece in chars.windows(QUOTED_CHARS) {
                let piece: String = piece.iter().collect();
                let ours = piece.contains("wallet") || piece.contains(' ');
                assert!(ours || !told.contains(&piece), "{told} quotes {text:?}");
            }
        }
    }
}

/// The payload of base58check, by the library and two hashes.
fn naive(text: &str) -> Option<[u8; 78]> {
    let raw = bs58::decode(text).into_vec().ok()?;
    let (payload, checksum) = raw.split_at_checked(78)?;
    let twice = Sha256::digest(Sha256::digest(payload));
    (twice[..4] == *checksum).then(|| payload.try_into().ok())?
}
