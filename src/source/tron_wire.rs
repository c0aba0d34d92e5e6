//! Answers of a TRON node's HTTP API, read into domain types.
//!
//! Owns the response shapes: borrowed, minimal, unknown fields skipped. Refuses to guess: a
//! required field that is missing or of the wrong kind is an error that gives its path, and no
//! answer is used in part. Pure: bytes in, domain types or [`WireError`] out.
//!
//! Source of the shapes: java-tron's `framework/.../services/http` (`JsonFormat` leaves out
//! protobuf defaults: the number and time of block 0, an empty `log`, `topics` or `data`, a
//! `result` that is not `FAILED`) and TronGrid's answers.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use thiserror::Error;

use super::error::excerpt;
use super::tron_log::{ContractLogs, Topics};
use super::{Contents, FetchedHeader};
use crate::domain::address::Address;
use crate::domain::chain::{BlockHeader, Transfer};
use crate::domain::ids::{BlockHash, Height, TxId, UnixMs};

/// Of a body that is not JSON no more than this is kept for the error.
const MAX_TEXT_BYTES: usize = 4096;

/// Why an answer cannot be used; the client adds which request it was.
#[derive(Debug, Error)]
pub enum WireError {
    /// `path` leads to the field, like `[3].log[0].topics`; `$` is the answer itself.
    #[error("{path}: {what}")]
    Malformed {
        path: String,
        what: String,
        #[source]
        source: Option<serde_json::Error>,
    },
    /// `text` is the body's beginning, as it came: not fit to be shown yet.
    #[error("not JSON")]
    NotJson { text: String },
    /// The node's own `{"Error": ...}`, which usually comes with status 200; as it came.
    #[error("the node reports an error")]
    Node { text: String },
    #[error("answer for another block: {what}")]
    Mismatch { what: String },
}

impl WireError {
    pub(super) fn malformed(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.into(),
            what: what.into(),
            source: None,
        }
    }

    pub(super) fn missing(path: impl Into<String>) -> Self {
        Self::malformed(path, "required field is missing")
    }
}

/// What `getblockbynum` says of a block's contents, with the hash that it says it of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSummary {
    pub hash: BlockHash,
    pub contents: Contents,
}

/// A block's transaction infos: how many there were, and the transfers in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Infos {
    pub transactions: usize,
    pub transfers: Vec<Transfer>,
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
    let infos: Vec<WireInfo<'_>> = from_json(body)?;
    let mut seen = HashSet::with_capacity(infos.len());
    let mut logs = ContractLogs::of(contract);
    for (at, info) in infos.iter().enumerate() {
        info.must_belong_to(header, at)?;
        let txid = info.txid(at)?;
        if !seen.insert(txid) {
            return Err(WireError::malformed(
                format!("[{at}].id"),
                format!("transaction {txid} is listed twice"),
            ));
        }
        let listed = info.log.as_deref().unwrap_or_default();
        if info.succeeded() {
            logs.read(txid, at, listed)?;
        } else {
            logs.skip(at, listed.len())?;
        }
    }
    Ok(Infos {
        transactions: infos.len(),
        transfers: logs.into_transfers(),
    })
}

impl Infos {
    const fn none() -> Self {
        Self {
            transactions: 0,
            transfers: Vec::new(),
        }
    }
}

/// A string that is borrowed from the body unless it holds an escape. Serde borrows a `Cow` only
/// where it is the field itself: inside an `Option` or a list a bare `Cow` is always a copy.
#[derive(Deserialize, Default)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
struct WireBlock<'a> {
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

#[derive(Deserialize)]
pub(super) struct WireLog<'a> {
    #[serde(borrow, default)]
    pub address: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub topics: Option<Topics<'a>>,
    #[serde(borrow, default)]
    pub data: Option<Text<'a>>,
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
        TxId::from_hex(text).ok_or_else(|| not_hex32(format!("[{at}].id"), text))
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

pub(super) fn not_hex32(path: impl Into<String>, text: &str) -> WireError {
    WireError::malformed(
        path,
        format!("not 64 hexadecimal digits: {}", excerpt(text)),
    )
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
fn parse_block(body: &[u8]) -> Result<Option<WireBlock<'_>>, WireError> {
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

enum Kind {
    Object,
    List,
}

/// What the body is by its first byte: a lite node's refusal and a proxy's page are neither.
fn kind(body: &[u8]) -> Result<Kind, WireError> {
    match body.trim_ascii_start().first() {
        Some(b'{') => Ok(Kind::Object),
        Some(b'[') => Ok(Kind::List),
        _ => Err(WireError::NotJson {
            text: beginning(body),
        }),
    }
}

/// The beginning of a body of whatever kind, as text.
pub fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT_BYTES)]).into_owned()
}

fn is_empty_object(body: &[u8]) -> bool {
    body.trim_ascii()
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"}"))
        .is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// Reads fast; reads again, slowly and with the path in hand, only what failed.
fn from_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, WireError> {
    serde_json::from_slice(body).map_err(|fast_error| {
        let mut reader = serde_json::Deserializer::from_slice(body);
        let path = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
            Err(slow_error) => slow_error.path().to_string(),
            // The value was sound, so what follows it is not.
            Ok(_) => ".".to_owned(),
        };
        WireError::Malformed {
            path: if path == "." { "$".to_owned() } else { path },
            what: excerpt(&fast_error.to_string()),
            source: Some(fast_error),
        }
    })
}

#[cfg(test)]
mod tests;
