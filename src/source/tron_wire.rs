//! Answers of a TRON node's HTTP API, read into domain types.
//!
//! Owns the response shapes: borrowed, minimal, unknown fields skipped. Refuses to guess: a
//! required field that is missing or of the wrong kind is an error that gives its path, and no
//! answer is used in part. Pure: bytes in, domain types or [`WireError`] out.
//!
//! Source of the shapes: java-tron's `framework/.../services/http` (`JsonFormat` leaves out
//! protobuf defaults: the number and time of block 0, an empty `log`, `topics` or `data`, a
//! `result` that is not `FAILED`) and TronGrid's answers.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

pub use super::tron_infos::{Infos, parse_infos};
use super::tron_json::{Kind, Text, from_json, is_empty_object, kind, not_hex32};
pub use super::tron_json::{WireError, beginning};
use super::{Contents, FetchedHeader};
use crate::domain::chain::BlockHeader;
use crate::domain::ids::{BlockHash, Height, TxId, UnixMs};

/// What `getblockbynum` says of a block's contents, with the hash that it says it of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSummary {
    pub hash: BlockHash,
    pub contents: Contents,
}

/// Reads a block or its header, as `getblock`, `getnowblock` and `getblockbynum` give it.
/// `None` for `{}`, which is how a node says that it has no such block.
///
/// # Errors
/// See [`WireError`]; `blockID`, `number`, `parentHash` and `timestamp` are required, except
/// that block 0 leaves out the last three.
pub fn parse_header(body: &[u8]) -> Result<Option<FetchedHeader>, WireError> {
    let Some(block) = parse_block(body)? else {
        return Ok(None);
    };
    let hash = block.hash()?;
    let raw = block
        .block_header
        .ok_or_else(|| WireError::missing("block_header"))?
        .raw_data
        .ok_or_else(|| WireError::missing("block_header.raw_data"))?;
    let height = raw.height(hash)?;
    let header = BlockHeader {
        height,
        hash,
        parent: raw.parent(height)?,
        time: raw.time(height)?,
    };
    let contents = match &block.transactions {
        Some(transactions) if !transactions.is_empty() => Contents::NotEmpty,
        _ => contents_by_root(raw.tx_trie_root.as_deref()),
    };
    Ok(Some(FetchedHeader { header, contents }))
}

/// Reads whether a full block holds transactions. `None` for `{}`.
///
/// # Errors
/// See [`WireError`]; only `blockID` is required.
pub fn parse_summary(body: &[u8]) -> Result<Option<BlockSummary>, WireError> {
    let Some(block) = parse_block(body)? else {
        return Ok(None);
    };
    let contents = match &block.transactions {
        Some(transactions) if !transactions.is_empty() => Contents::NotEmpty,
        _ => Contents::Empty,
    };
    Ok(Some(BlockSummary {
        hash: block.hash()?,
        contents,
    }))
}

/// Reads which transactions a full block holds, and the block's hash. `None` for `{}`.
///
/// # Errors
/// See [`WireError`]; `blockID` and each `txID` are required.
pub fn parse_members(body: &[u8]) -> Result<Option<(BlockHash, Vec<TxId>)>, WireError> {
    let Some(block) = parse_block(body)? else {
        return Ok(None);
    };
    let hash = block.hash()?;
    let members: WireMembers<'_> = from_json(body)?;
    let each = members.transactions.iter().enumerate();
    let txids = each.map(|(at, member)| {
        let path = || format!("transactions[{at}].txID");
        let text = member
            .txid
            .as_deref()
            .ok_or_else(|| WireError::missing(path()))?;
        TxId::from_hex(text).ok_or_else(|| not_hex32(path(), text))
    });
    Ok(Some((hash, txids.collect::<Result<_, _>>()?)))
}

#[derive(Deserialize)]
struct WireMembers<'a> {
    #[serde(borrow, default)]
    transactions: Vec<WireMember<'a>>,
}

#[derive(Deserialize)]
struct WireMember<'a> {
    #[serde(rename = "txID", borrow, default)]
    txid: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct WireBlock<'a> {
    #[serde(rename = "blockID", borrow, default)]
    block_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    block_header: Option<WireBlockHeader<'a>>,
    #[serde(default)]
    transactions: Option<Vec<IgnoredAny>>,
    #[serde(rename = "Error", borrow, default)]
    node_error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireBlockHeader<'a> {
    #[serde(borrow, default)]
    raw_data: Option<WireRawHeader<'a>>,
}

#[derive(Deserialize)]
struct WireRawHeader<'a> {
    #[serde(default)]
    number: Option<u64>,
    #[serde(default)]
    timestamp: Option<u64>,
    #[serde(rename = "parentHash", borrow, default)]
    parent_hash: Option<Text<'a>>,
    #[serde(rename = "txTrieRoot", borrow, default)]
    tx_trie_root: Option<Text<'a>>,
}

impl WireBlock<'_> {
    fn hash(&self) -> Result<BlockHash, WireError> {
        let text = self
            .block_id
            .as_deref()
            .ok_or_else(|| WireError::missing("blockID"))?;
        BlockHash::from_hex(text).ok_or_else(|| not_hex32("blockID", text))
    }
}

impl WireRawHeader<'_> {
    /// The number, checked against the first 8 bytes of the block's hash.
    fn height(&self, hash: BlockHash) -> Result<Height, WireError> {
        const PATH: &str = "block_header.raw_data.number";
        let mut first = [0_u8; 8];
        first.copy_from_slice(&hash.0[..8]);
        let in_hash = u64::from_be_bytes(first);
        match self.number {
            None if in_hash == 0 => Ok(Height(0)),
            None => Err(WireError::missing(PATH)),
            Some(number) if number == in_hash => Ok(Height(number)),
            Some(number) => Err(WireError::malformed(
                PATH,
                format!("it is {number}, but blockID belongs to height {in_hash}"),
            )),
        }
    }

    fn parent(&self, height: Height) -> Result<BlockHash, WireError> {
        const PATH: &str = "block_header.raw_data.parentHash";
        match self.parent_hash.as_deref() {
            None if height == Height(0) => Ok(BlockHash([0; 32])),
            None => Err(WireError::missing(PATH)),
            Some(text) => BlockHash::from_hex(text).ok_or_else(|| not_hex32(PATH, text)),
        }
    }

    fn time(&self, height: Height) -> Result<UnixMs, WireError> {
        match self.timestamp {
            Some(ms) => Ok(UnixMs(ms)),
            None if height == Height(0) => Ok(UnixMs(0)),
            None => Err(WireError::missing("block_header.raw_data.timestamp")),
        }
    }
}

/// java-tron writes the root of no transactions as 32 zero bytes.
fn contents_by_root(root: Option<&str>) -> Contents {
    match root {
        None | Some("") => Contents::Unknown,
        Some(root) if root.bytes().all(|digit| digit == b'0') => Contents::Empty,
        Some(_) => Contents::NotEmpty,
    }
}

/// Reads an object: `None` for `{}`, `Node` for an object that reports an error.
pub(super) fn parse_block(body: &[u8]) -> Result<Option<WireBlock<'_>>, WireError> {
    if let Kind::List = kind(body)? {
        return Err(WireError::malformed("$", "a list where an object belongs"));
    }
    if is_empty_object(body) {
        return Ok(None);
    }
    let block: WireBlock<'_> = from_json(body)?;
    match block.node_error.or(block.error) {
        Some(raw) if block.block_id.is_none() => Err(WireError::Node {
            text: error_text(raw),
        }),
        _ => Ok(Some(block)),
    }
}

/// The error's text: its string if it is one, the JSON of it otherwise.
fn error_text(raw: &RawValue) -> String {
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => text,
        Err(_) => raw.get().to_owned(),
    }
}

/// The text of an answer that is nothing but `{"Error": ...}`, for answers that are not 200.
pub fn error_in(body: &[u8]) -> Option<String> {
    match parse_block(body) {
        Err(WireError::Node { text }) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
