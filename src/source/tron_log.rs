//! Event logs of TRON transactions: which are the token's `Transfer`s, and what they move.
//!
//! Owns the log index, counted over the whole block, and the filter by contract bytes. Believes
//! the event alone, never a call's argument. Refuses to skip a log of the watched contract that
//! it cannot read: that might be somebody's payment.

use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, SeqAccess, Visitor};

use super::error::excerpt;
use super::tron_json::{Text, WireError, not_hex32, read_hex, read_word};
use crate::domain::address::{ADDRESS_BYTES, Address, TRON_TEXT_CHARS};
use crate::domain::amount::Amount;
use crate::domain::chain::Transfer;
use crate::domain::ids::TxId;

/// keccak256("Transfer(address,address,uint256)").
pub const TRANSFER_TOPIC: [u8; 32] = [
    0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa,
    0x95, 0x2b, 0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef,
];
/// The signature, the payer and the payee.
const TRANSFER_TOPICS: usize = 3;
/// An event has at most this many topics, by the virtual machine's LOG0 to LOG4.
const MAX_TOPICS: usize = 4;
/// Hexadecimal digits of an address without any prefix.
const ADDRESS_DIGITS: usize = 2 * ADDRESS_BYTES;

/// Walks a block's logs in order, counts all of them and keeps the contract's transfers.
pub(super) struct ContractLogs {
    contract: Address,
    next_index: u32,
    transfers: Vec<Transfer>,
}

impl ContractLogs {
    pub(super) const fn of(contract: Address) -> Self {
        Self {
            contract,
            next_index: 0,
            transfers: Vec::new(),
        }
    }

    pub(super) fn into_transfers(self) -> Vec<Transfer> {
        self.transfers
    }

    /// Counts the logs of a transaction that changed nothing.
    pub(super) fn skip(&mut self, info_at: usize, logs: usize) -> Result<(), WireError> {
        self.next_index = u32::try_from(logs)
            .ok()
            .and_then(|logs| self.next_index.checked_add(logs))
            .ok_or_else(|| WireError::malformed(format!("[{info_at}].log"), "too many logs"))?;
        Ok(())
    }

    /// Reads the logs of the successful transaction at `[info_at]`.
    pub(super) fn read(
        &mut self,
        txid: TxId,
        info_at: usize,
        logs: &[WireLog<'_>],
    ) -> Result<(), WireError> {
        let first_index = self.next_index;
        self.skip(info_at, logs.len())?;
        for (log_index, (log_at, log)) in (first_index..).zip(logs.iter().enumerate()) {
            let event = read_transfer(log, self.contract)
                .map_err(|wrong| wrong.below(&format!("[{info_at}].log[{log_at}]")))?;
            if let Some(event) = event {
                self.transfers.push(Transfer {
                    txid,
                    log_index,
                    from: event.from,
                    to: event.to,
                    amount: event.amount,
                });
            }
        }
        Ok(())
    }
}

/// The token's transfer that a log tells of; `None` for any other log and for one that moves nothing.
pub(super) fn read_transfer(
    log: &WireLog<'_>,
    contract: Address,
) -> Result<Option<Event>, WrongLog> {
    let text = log.address.as_deref().ok_or(WrongLog::missing("address"))?;
    let address = read_address(text).ok_or_else(|| WrongLog::not_address(text))?;
    if address != contract {
        return Ok(None);
    }
    let topics = log.topics.as_ref().ok_or(WrongLog::missing("topics"))?;
    let Some(signature) = topics.first() else {
        return Ok(None);
    };
    if read_word(signature).ok_or_else(|| WrongLog::not_word("topics[0]", signature))?
        != TRANSFER_TOPIC
        || topics.count != TRANSFER_TOPICS
    {
        return Ok(None);
    }
    let from = read_party(&topics.texts[1], "topics[1]")?;
    let to = read_party(&topics.texts[2], "topics[2]")?;
    let data = log.data.as_deref().ok_or(WrongLog::missing("data"))?;
    let value = read_word(data).ok_or_else(|| WrongLog::not_word("data", data))?;
    let amount = to_amount(&value);
    Ok((!amount.is_zero()).then_some(Event { from, to, amount }))
}

#[derive(Deserialize)]
pub(super) struct WireLog<'a> {
    #[serde(borrow, default)]
    pub address: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub topics: Option<Topics<'a>>,
    #[serde(borrow, default)]
    pub data: Option<Text<'a>>,
}

pub(super) struct Event {
    pub from: Address,
    pub to: Address,
    pub amount: Amount,
}

/// A log's mistake, before it is known where in the answer the log stands.
pub(super) struct WrongLog {
    field: &'static str,
    why: Why,
}

enum Why {
    Missing,
    NotAddress(String),
    NotWord(String),
}

impl WrongLog {
    const fn missing(field: &'static str) -> Self {
        Self {
            field,
            why: Why::Missing,
        }
    }

    fn not_address(text: &str) -> Self {
        Self {
            field: "address",
            why: Why::NotAddress(text.to_owned()),
        }
    }

    fn not_word(field: &'static str, text: &str) -> Self {
        Self {
            field,
            why: Why::NotWord(text.to_owned()),
        }
    }

    /// With the path to the log itself.
    pub(super) fn below(self, path: &str) -> WireError {
        let path = format!("{path}.{}", self.field);
        match self.why {
            Why::Missing => WireError::missing(path),
            Why::NotAddress(text) => {
                WireError::malformed(path, format!("not an address: {}", excerpt(&text)))
            }
            Why::NotWord(text) => not_hex32(path, &text),
        }
    }
}

/// Up to four topics, held without an allocation; more are counted and dropped.
#[derive(Default)]
pub(super) struct Topics<'a> {
    pub(super) texts: [Text<'a>; MAX_TOPICS],
    count: usize,
}

impl Topics<'_> {
    fn first(&self) -> Option<&str> {
        (self.count > 0).then(|| &*self.texts[0])
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Topics<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TopicsVisitor)
    }
}

struct TopicsVisitor;

impl<'de> Visitor<'de> for TopicsVisitor {
    type Value = Topics<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of topics")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut topics = Topics::default();
        while topics.count < MAX_TOPICS {
            let Some(text) = list.next_element()? else {
                return Ok(topics);
            };
            topics.texts[topics.count] = text;
            topics.count += 1;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            topics.count += 1;
        }
        Ok(topics)
    }
}

/// Reads an address in any form that a node has been seen to use: 20 bytes of hex, bare or
/// with `0x`, `41` or both before it, or base58check.
pub fn read_address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let digits = match digits.len() {
        ADDRESS_DIGITS => digits,
        TRON_TEXT_CHARS => return Address::from_tron(digits).ok(),
        _ => digits
            .strip_prefix("41")
            .filter(|rest| rest.len() == ADDRESS_DIGITS)?,
    };
    read_hex(digits).map(Address::from_bytes)
}

/// The account in a topic's last 20 bytes; compilers of TRON's early days left a `41` before it.
fn read_party(topic: &str, field: &'static str) -> Result<Address, WrongLog> {
    let word = read_word(topic).ok_or_else(|| WrongLog::not_word(field, topic))?;
    let mut bytes = [0; ADDRESS_BYTES];
    bytes.copy_from_slice(&word[32 - ADDRESS_BYTES..]);
    Ok(Address::from_bytes(bytes))
}

/// A value beyond 128 bits becomes the largest amount: no payment expects that.
fn to_amount(word: &[u8; 32]) -> Amount {
    let (high, low) = word.split_at(16);
    let mut units = [0; 16];
    units.copy_from_slice(low);
    Amount::from_base_units(if high.iter().all(|byte| *byte == 0) {
        u128::from_be_bytes(units)
    } else {
        u128::MAX
    })
}
