//! The contracts that exist on the sandbox chain: their addresses, ABIs and calldata.
//!
//! Refuses calldata that is not exactly what the ABI says. What a call does is in `vm`.

use serde_json::{Value, json};

use super::keys::keccak;
use super::state::Token;
use crate::domain::address::Address;

/// USDT's mainnet contract address, TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t.
pub const USDT: Address = Address::from_bytes([
    0xa6, 0x14, 0xf8, 0x03, 0xb6, 0xfd, 0x78, 0x09, 0x86, 0xa4, 0x2c, 0x78, 0xec, 0x9c, 0x7f, 0x77,
    0xe6, 0xde, 0xd1, 0x3c,
]);
/// A token with USDT's name, symbol and events at another address.
pub const FAKE_USDT: Address = Address::from_bytes([0xfa; 20]);
/// Forwards a caller's tokens: `forward(address,address,uint256)`.
pub const FORWARDER: Address = Address::from_bytes([0xf0; 20]);
/// Pays many recipients at once: `disperse(address,address[],uint256[])`.
pub const DISPERSER: Address = Address::from_bytes([0xd1; 20]);

/// Most recipients of one `disperse` call.
pub const MAX_RECIPIENTS: usize = 100;
/// Bytes of a word of calldata.
pub const WORD_BYTES: usize = 32;
const SELECTOR_BYTES: usize = 4;

/// A 32-byte word: a topic, an argument, a return value.
pub type Word = [u8; WORD_BYTES];

/// What stands at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contract {
    Token(Token),
    Forwarder,
    Disperser,
}

impl Contract {
    pub fn at(address: Address) -> Option<Self> {
        match address {
            USDT => Some(Self::Token(Token::Usdt)),
            FAKE_USDT => Some(Self::Token(Token::Fake)),
            FORWARDER => Some(Self::Forwarder),
            DISPERSER => Some(Self::Disperser),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Token(Token::Usdt) => "TetherToken",
            Self::Token(Token::Fake) => "TetherTokenFake",
            Self::Forwarder => "SandboxForwarder",
            Self::Disperser => "SandboxDisperser",
        }
    }

    /// Constant functions, which `triggersmartcontract` answers at once instead of building a transaction.
    pub fn is_constant(self, data: &[u8]) -> bool {
        matches!(self, Self::Token(_))
            && [
                "balanceOf(address)",
                "allowance(address,address)",
                "decimals()",
                "symbol()",
                "name()",
                "totalSupply()",
            ]
            .iter()
            .any(|signature| data.starts_with(&selector(signature)))
    }

    /// The ABI as `wallet/getcontract` prints it: protobuf enum names, defaults left out.
    pub fn abi(self) -> Value {
        match self {
            Self::Token(_) => token_abi(),
            Self::Forwarder => json!({"entrys": [function(
                "forward", &[("token", "address"), ("to", "address"), ("amount", "uint256")], &[], Mutability::Nonpayable,
            )]}),
            Self::Disperser => json!({"entrys": [function(
                "disperse", &[("token", "address"), ("to", "address[]"), ("amounts", "uint256[]")], &[], Mutability::Nonpayable,
            )]}),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mutability {
    View,
    Nonpayable,
}

fn token_abi() -> Value {
    use Mutability::{Nonpayable, View};
    json!({"entrys": [
        function("name", &[], &["string"], View),
        function("symbol", &[], &["string"], View),
        function("decimals", &[], &["uint256"], View),
        function("totalSupply", &[], &["uint256"], View),
        function("balanceOf", &[("who", "address")], &["uint256"], View),
        function("allowance", &[("_owner", "address"), ("_spender", "address")], &["uint256"], View),
        function("transfer", &[("_to", "address"), ("_value", "uint256")], &["bool"], Nonpayable),
        function("transferFrom", &[("_from", "address"), ("_to", "address"), ("_value", "uint256")], &["bool"], Nonpayable),
        function("approve", &[("_spender", "address"), ("_value", "uint256")], &["bool"], Nonpayable),
        event("Transfer", ["from", "to", "value"]),
        event("Approval", ["owner", "spender", "value"]),
    ]})
}

fn function(
    name: &str,
    inputs: &[(&str, &str)],
    outputs: &[&str],
    mutability: Mutability,
) -> Value {
    let mut entry = json!({"name": name, "type": "Function"});
    if !inputs.is_empty() {
        entry["inputs"] = inputs
            .iter()
            .map(|(name, kind)| json!({"name": name, "type": kind}))
            .collect();
    }
    if !outputs.is_empty() {
        entry["outputs"] = outputs.iter().map(|kind| json!({"type": kind})).collect();
    }
    match mutability {
        Mutability::View => {
            entry["stateMutability"] = "View".into();
            entry["constant"] = true.into();
        }
        Mutability::Nonpayable => entry["stateMutability"] = "Nonpayable".into(),
    }
    entry
}

fn event(name: &str, [first, second, value]: [&str; 3]) -> Value {
    json!({"name": name, "type": "Event", "inputs": [
        {"indexed": true, "name": first, "type": "address"},
        {"indexed": true, "name": second, "type": "address"},
        {"name": value, "type": "uint256"},
    ]})
}

/// The first four bytes of a function signature's hash.
pub fn selector(signature: &str) -> [u8; SELECTOR_BYTES] {
    let hash = keccak(signature.as_bytes());
    [hash[0], hash[1], hash[2], hash[3]]
}

/// `keccak("Transfer(address,address,uint256)")`.
pub const TRANSFER_TOPIC: Word = [
    0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa,
    0x95, 0x2b, 0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef,
];
/// `keccak("Approval(address,address,uint256)")`.
pub const APPROVAL_TOPIC: Word = [
    0x8c, 0x5b, 0xe1, 0xe5, 0xeb, 0xec, 0x7d, 0x5b, 0xd1, 0x4f, 0x71, 0x42, 0x7d, 0x1e, 0x84, 0xf3,
    0xdd, 0x03, 0x14, 0xc0, 0xf7, 0xb2, 0x29, 0x1e, 0x5b, 0x20, 0x0a, 0xc8, 0xc7, 0xc3, 0xb9, 0x25,
];

pub fn address_word(address: Address) -> Word {
    let mut word = [0_u8; WORD_BYTES];
    word[12..].copy_from_slice(address.as_bytes());
    word
}

pub fn number_word(value: u128) -> Word {
    let mut word = [0_u8; WORD_BYTES];
    word[16..].copy_from_slice(&value.to_be_bytes());
    word
}

/// An address argument. TRON clients may leave its `41` in front, so only the last 20 bytes count.
pub fn word_address(word: &Word) -> Address {
    let mut bytes = [0_u8; 20];
    bytes.copy_from_slice(&word[12..]);
    Address::from_bytes(bytes)
}

/// A number argument; whatever is larger than any balance can be is `None`.
pub fn word_number(word: &Word) -> Option<u128> {
    let (high, low) = word.split_at(16);
    let low: [u8; 16] = low.try_into().ok()?;
    high.iter()
        .all(|byte| *byte == 0)
        .then(|| u128::from_be_bytes(low))
}

/// A call's arguments, one word after the other.
pub fn calldata(signature: &str, words: &[Word]) -> Vec<u8> {
    let mut data = selector(signature).to_vec();
    words.iter().for_each(|word| data.extend_from_slice(word));
    data
}

/// `disperse(token, recipients, amounts)` with its two dynamic arrays.
pub fn disperse_calldata(token: Address, payments: &[(Address, u128)]) -> Vec<u8> {
    let count = payments.len() as u128;
    let second_array = 3 * 32 + 32 * (count + 1);
    let mut words = vec![
        address_word(token),
        number_word(3 * 32),
        number_word(second_array),
    ];
    words.push(number_word(count));
    words.extend(payments.iter().map(|(to, _)| address_word(*to)));
    words.push(number_word(count));
    words.extend(payments.iter().map(|(_, amount)| number_word(*amount)));
    calldata("disperse(address,address[],uint256[])", &words)
}

/// Calldata cut into its selector and words; `None` for a ragged end.
pub fn split_calldata(data: &[u8]) -> Option<([u8; SELECTOR_BYTES], Vec<Word>)> {
    let (head, rest) = data.split_first_chunk::<SELECTOR_BYTES>()?;
    let (words, ragged) = rest.as_chunks::<WORD_BYTES>();
    ragged.is_empty().then(|| (*head, words.to_vec()))
}

/// Reads `disperse`'s arguments back; `None` when the arrays do not fit together.
pub fn read_disperse(words: &[Word]) -> Option<(Address, Vec<(Address, u128)>)> {
    let token = word_address(words.first()?);
    let recipients = read_array(words, words.get(1)?)?;
    let amounts = read_array(words, words.get(2)?)?;
    if recipients.len() != amounts.len() {
        return None;
    }
    let amounts = amounts.iter().map(word_number);
    let payments = recipients.iter().map(word_address).zip(amounts);
    Some((
        token,
        payments
            .map(|(to, amount)| Some((to, amount?)))
            .collect::<Option<_>>()?,
    ))
}

fn read_array<'a>(words: &'a [Word], offset: &Word) -> Option<&'a [Word]> {
    let start = usize::try_from(word_number(offset)?).ok()? / WORD_BYTES;
    let count = usize::try_from(word_number(words.get(start)?)?).ok()?;
    if count > MAX_RECIPIENTS {
        return None;
    }
    words.get(start + 1..start + 1 + count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_well_known_hashes_are_the_hashes() {
        assert_eq!(USDT.to_tron(), "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t");
        assert_eq!(keccak(b"Transfer(address,address,uint256)"), TRANSFER_TOPIC);
        assert_eq!(keccak(b"Approval(address,address,uint256)"), APPROVAL_TOPIC);
        assert_eq!(
            hex::encode(selector("transfer(address,uint256)")),
            "a9059cbb"
        );
        assert_eq!(hex::encode(selector("balanceOf(address)")), "70a08231");
    }

    #[test]
    fn disperse_calldata_reads_back() {
        let payments = vec![(USDT, 5), (FAKE_USDT, u128::MAX)];
        let data = disperse_calldata(USDT, &payments);
        let (_, words) = split_calldata(&data).expect("whole words");
        assert_eq!(read_disperse(&words), Some((USDT, payments)));
        assert_eq!(read_disperse(&words[..words.len() - 1]), None);
        assert_eq!(read_disperse(&[[0xff; 32]; 9]), None);
        assert_eq!(split_calldata(&data[..data.len() - 1]), None);
        assert_eq!(split_calldata(&[]), None);
    }
}
