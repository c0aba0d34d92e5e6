//! The list of a block's transaction infos, tied to the block's header and read as it streams by.
//!
//! Owns what makes the list believable. Refuses it whole when one entry belongs to another block
//! or is listed twice.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::tron_json::{Kind, Text, WireError, kind, misread, not_hex32, read_word, text_of};
use super::tron_log::{ContractLogs, WireLog};
use super::tron_wire::parse_block;
use crate::domain::address::Address;
use crate::domain::chain::{BlockHeader, Transfer};
use crate::domain::ids::TxId;

/// A block's transaction infos: how many there were, and the transfers in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Infos {
    pub transactions: usize,
    pub transfers: Vec<Transfer>,
}

/// Reads the transaction infos of `header`'s block and the contract's transfers in them.
/// `[]` and `{}` (which old nodes give for block 0) are zero transactions.
///
/// # Errors
/// `Mismatch` when any info names another height or block time; else see [`WireError`].
pub fn parse_infos(
    body: &[u8],
    header: &BlockHeader,
    contract: Address,
) -> Result<Infos, WireError> {
    if let Kind::Object = kind(body)? {
        return match parse_block(body)? {
            None => Ok(Infos::none()),
            Some(_) => Err(WireError::malformed("$", "an object where a list belongs")),
        };
    }
    let text = text_of(body)?;
    let mut reader = ListReader::new(header, contract);
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_seq(&mut reader).and_then(|()| json.end());
    match (reader.wrong, read) {
        (Some(wrong), _) => Err(wrong),
        (None, Err(error)) => Err(misread::<Vec<WireInfo<'_>>>(text, error)),
        (None, Ok(())) => Ok(Infos {
            transactions: reader.seen.len(),
            transfers: reader.logs.into_transfers(),
        }),
    }
}

impl Infos {
    pub(super) const fn none() -> Self {
        Self {
            transactions: 0,
            transfers: Vec::new(),
        }
    }
}

/// Takes each info as it is read, so that a block of thousands is never held as a tree.
struct ListReader<'h> {
    header: &'h BlockHeader,
    seen: HashSet<TxId>,
    logs: ContractLogs,
    /// What stopped the reading, where it was not the JSON.
    wrong: Option<WireError>,
}

impl<'h> ListReader<'h> {
    fn new(header: &'h BlockHeader, contract: Address) -> Self {
        Self {
            header,
            seen: HashSet::new(),
            logs: ContractLogs::of(contract),
            wrong: None,
        }
    }

    fn take(&mut self, info: &WireInfo<'_>) -> Result<(), WireError> {
        let at = self.seen.len();
        info.must_belong_to(self.header, at)?;
        let txid = info.txid(at)?;
        if !self.seen.insert(txid) {
            return Err(WireError::malformed(
                format!("[{at}].id"),
                format!("transaction {txid} is listed twice"),
            ));
        }
        let listed = info.log.as_deref().unwrap_or_default();
        if info.succeeded() {
            self.logs.read(txid, at, listed)
        } else {
            self.logs.skip(at, listed.len())
        }
    }
}

impl<'de> Visitor<'de> for &mut ListReader<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of transaction infos")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(info) = list.next_element::<WireInfo<'de>>()? {
            if let Err(wrong) = self.take(&info) {
                self.wrong = Some(wrong);
                return Err(de::Error::custom("the list is refused"));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct WireInfo<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(rename = "blockNumber", default)]
    block_number: Option<u64>,
    #[serde(rename = "blockTimeStamp", default)]
    block_time_stamp: Option<u64>,
    #[serde(borrow, default)]
    result: Option<Text<'a>>,
    #[serde(borrow, default)]
    receipt: Option<WireReceipt<'a>>,
    #[serde(borrow, default)]
    log: Option<Vec<WireLog<'a>>>,
}

#[derive(Deserialize)]
struct WireReceipt<'a> {
    #[serde(borrow, default)]
    result: Option<Text<'a>>,
}

impl WireInfo<'_> {
    /// A `TransactionInfo` carries no block hash. Its height and slot time stand in for one:
    /// two blocks that compete at a height were produced in different slots.
    fn must_belong_to(&self, header: &BlockHeader, at: usize) -> Result<(), WireError> {
        let or_default = |field: Option<u64>, expected: u64, name: &str| match field {
            Some(value) => Ok(value),
            None if expected == 0 => Ok(0),
            None => Err(WireError::missing(format!("[{at}].{name}"))),
        };
        let number = or_default(self.block_number, header.height.0, "blockNumber")?;
        if number != header.height.0 {
            return Err(WireError::Mismatch {
                what: format!("[{at}].blockNumber is {number}, not {}", header.height),
            });
        }
        let time = or_default(self.block_time_stamp, header.time.0, "blockTimeStamp")?;
        if time != header.time.0 {
            return Err(WireError::Mismatch {
                what: format!("[{at}].blockTimeStamp is {time}, not {}", header.time.0),
            });
        }
        Ok(())
    }

    fn txid(&self, at: usize) -> Result<TxId, WireError> {
        let text = self
            .id
            .as_deref()
            .ok_or_else(|| WireError::missing(format!("[{at}].id")))?;
        read_word(text)
            .map(TxId)
            .ok_or_else(|| not_hex32(format!("[{at}].id"), text))
    }

    fn succeeded(&self) -> bool {
        let receipt_result = self
            .receipt
            .as_ref()
            .and_then(|receipt| receipt.result.as_deref());
        self.result.as_deref() != Some("FAILED")
            && receipt_result.is_none_or(|result| result == "SUCCESS")
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn strings_are_borrowed_from_the_body() {
        let body = include_str!("fixtures/infos.json");
        let read: Vec<WireInfo<'_>> = serde_json::from_str(body).expect("sound");
        let log = &read[1].log.as_ref().expect("logs")[0];
        for text in [&read[1].id, &log.address, &log.data] {
            assert!(matches!(text, Some(Text(Cow::Borrowed(_)))));
        }
        let topics = log.topics.as_ref().expect("topics");
        assert!(matches!(topics.texts[2], Text(Cow::Borrowed(_))));
    }
}
