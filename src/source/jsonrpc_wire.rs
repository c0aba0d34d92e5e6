//! Answers of a node's JSON-RPC API (`eth_...`), read into domain types.
//!
//! Owns the envelope, single and batch, and the shapes of blocks, logs and receipts: borrowed, minimal, unknown fields
//! skipped. Refuses to guess: a required field that is missing is an error that gives its path. Pure.
//!
//! Source of the shapes: java-tron's `jsonrpc` package, which fills Ethereum's fields with constants (`stateRoot` is
//! `0x`), and go-ethereum's.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::tron_json::{Kind, Text, WireError, from_json, kind, not_hex32, read_word};
use super::tron_log::{Topics, WireLog, read_transfer};
use super::{Contents, FetchedHeader};
use crate::domain::address::Address;
use crate::domain::chain::{BlockHeader, Transfer};
use crate::domain::ids::{BlockHash, Height, TxId, UnixMs};

/// One call's result as JSON text; `None` for `null`, which is how a node says that it has no such block.
pub type Outcome<'a> = Result<Option<&'a str>, WireError>;

/// A transfer and the block that its log names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocatedTransfer {
    pub height: Height,
    pub hash: BlockHash,
    pub transfer: Transfer,
}

#[derive(Deserialize)]
struct WireAnswer<'a> {
    #[serde(default)]
    id: Option<u64>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<WireRpcError<'a>>,
}

#[derive(Deserialize)]
struct WireRpcError<'a> {
    #[serde(default)]
    code: i64,
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
}

impl<'a> WireAnswer<'a> {
    fn outcome(self) -> Outcome<'a> {
        match self.error {
            Some(error) => Err(WireError::Rpc {
                code: error.code,
                text: error.message.as_deref().unwrap_or_default().to_owned(),
            }),
            None => Ok(self.result.map(RawValue::get)),
        }
    }
}

/// Reads the answer to one call.
///
/// # Errors
/// [`WireError::Rpc`] for the node's own error; see [`WireError`].
pub fn parse_answer(body: &[u8]) -> Outcome<'_> {
    match kind(body)? {
        Kind::Object => from_json::<WireAnswer<'_>>(body)?.outcome(),
        Kind::List => Err(WireError::malformed("$", "a list where an object belongs")),
    }
}

/// Reads the answers to a batch of `count` calls with the ids 0, 1, 2 and so on, in that order.
///
/// # Errors
/// When an answer is missing or doubled, and when the node refuses the batch as a whole.
pub fn parse_batch(body: &[u8], count: usize) -> Result<Vec<Outcome<'_>>, WireError> {
    if let Kind::Object = kind(body)? {
        parse_answer(body)?;
        return Err(WireError::malformed("$", "an object where a list belongs"));
    }
    let answers: Vec<WireAnswer<'_>> = from_json(body)?;
    let mut ordered: Vec<Option<Outcome<'_>>> = (0..count).map(|_| None).collect();
    for (at, answer) in answers.into_iter().enumerate() {
        let place = answer.id.and_then(|id| usize::try_from(id).ok());
        match place.and_then(|place| ordered.get_mut(place)) {
            Some(empty @ None) => *empty = Some(answer.outcome()),
            Some(Some(_)) => {
                return Err(WireError::malformed(format!("[{at}].id"), "answered twice"));
            }
            None => return Err(WireError::malformed(format!("[{at}].id"), "not asked")),
        }
    }
    let all: Option<Vec<_>> = ordered.into_iter().collect();
    all.ok_or_else(|| WireError::malformed("$", "an answer is missing"))
}

#[derive(Deserialize)]
struct WireBlock<'a> {
    #[serde(borrow, default)]
    number: Option<Text<'a>>,
    #[serde(borrow, default)]
    hash: Option<Text<'a>>,
    #[serde(rename = "parentHash", borrow, default)]
    parent_hash: Option<Text<'a>>,
    #[serde(borrow, default)]
    timestamp: Option<Text<'a>>,
    #[serde(default)]
    transactions: Option<Vec<IgnoredAny>>,
}

/// Reads `eth_getBlockByNumber` without bodies. Times are whole seconds.
///
/// # Errors
/// `number`, `hash`, `parentHash` and `timestamp` are required.
pub fn parse_block(json: &str) -> Result<FetchedHeader, WireError> {
    let block: WireBlock<'_> = from_json(json.as_bytes())?;
    let seconds = quantity(block.timestamp.as_deref(), "timestamp")?;
    let time_ms = seconds
        .checked_mul(1000)
        .ok_or_else(|| WireError::malformed("timestamp", "too large"))?;
    Ok(FetchedHeader {
        header: BlockHeader {
            height: Height(quantity(block.number.as_deref(), "number")?),
            hash: hash(block.hash.as_deref(), "hash")?,
            parent: hash(block.parent_hash.as_deref(), "parentHash")?,
            time: UnixMs(time_ms),
        },
        contents: match &block.transactions {
            Some(list) if list.is_empty() => Contents::Empty,
            Some(_) => Contents::NotEmpty,
            None => Contents::Unknown,
        },
    })
}

#[derive(Deserialize)]
struct WireRpcLog<'a> {
    #[serde(borrow, default)]
    address: Option<Text<'a>>,
    #[serde(borrow, default)]
    topics: Option<Topics<'a>>,
    #[serde(borrow, default)]
    data: Option<Text<'a>>,
    #[serde(rename = "blockNumber", borrow, default)]
    block_number: Option<Text<'a>>,
    #[serde(rename = "blockHash", borrow, default)]
    block_hash: Option<Text<'a>>,
    #[serde(rename = "transactionHash", borrow, default)]
    transaction_hash: Option<Text<'a>>,
    #[serde(rename = "logIndex", borrow, default)]
    log_index: Option<Text<'a>>,
    #[serde(default)]
    removed: bool,
}

impl WireRpcLog<'_> {
    /// `None` for what is no transfer of the token. `path` leads to the log.
    fn read(self, contract: Address, path: &str) -> Result<Option<LocatedTransfer>, WireError> {
        if self.removed {
            return Err(WireError::Mismatch {
                what: format!("{path} is of a block that was removed"),
            });
        }
        let log = WireLog {
            address: self.address,
            topics: self.topics,
            data: self.data,
        };
        let event = read_transfer(&log, contract).map_err(|wrong| wrong.below(path))?;
        let Some(event) = event else {
            return Ok(None);
        };
        let at = |field: &str| format!("{path}.{field}");
        let log_index = quantity(self.log_index.as_deref(), &at("logIndex"))?;
        let transfer = Transfer {
            txid: TxId(word(
                self.transaction_hash.as_deref(),
                &at("transactionHash"),
            )?),
            log_index: u32::try_from(log_index)
                .map_err(|_| WireError::malformed(at("logIndex"), "too large"))?,
            from: event.from,
            to: event.to,
            amount: event.amount,
        };
        Ok(Some(LocatedTransfer {
            height: Height(quantity(self.block_number.as_deref(), &at("blockNumber"))?),
            hash: hash(self.block_hash.as_deref(), &at("blockHash"))?,
            transfer,
        }))
    }
}

/// Reads `eth_getLogs`: the token's transfers among them, in the node's order.
///
/// # Errors
/// A log that cannot be read, and one of a block that was removed.
pub fn parse_logs(json: &str, contract: Address) -> Result<Vec<LocatedTransfer>, WireError> {
    let logs: Vec<WireRpcLog<'_>> = from_json(json.as_bytes())?;
    read_logs(logs, contract, "")
}

fn read_logs(
    logs: Vec<WireRpcLog<'_>>,
    contract: Address,
    path: &str,
) -> Result<Vec<LocatedTransfer>, WireError> {
    let mut transfers = Vec::with_capacity(logs.len());
    for (at, log) in logs.into_iter().enumerate() {
        transfers.extend(log.read(contract, &format!("{path}[{at}]"))?);
    }
    Ok(transfers)
}

#[derive(Deserialize)]
struct WireReceipt<'a> {
    #[serde(rename = "blockHash", borrow, default)]
    block_hash: Option<Text<'a>>,
    #[serde(borrow, default)]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    logs: Option<Vec<WireRpcLog<'a>>>,
}

/// What a block's receipts say.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipts {
    pub transactions: usize,
    pub transfers: Vec<LocatedTransfer>,
}

/// Reads `eth_getBlockReceipts` of one block. Transactions that failed count, their logs do not.
///
/// # Errors
/// `Mismatch` when a receipt is of another block.
pub fn parse_receipts(
    json: &str,
    block: BlockHash,
    contract: Address,
) -> Result<Receipts, WireError> {
    let receipts: Vec<WireReceipt<'_>> = from_json(json.as_bytes())?;
    let transactions = receipts.len();
    let mut transfers = Vec::new();
    for (at, receipt) in receipts.into_iter().enumerate() {
        let found = hash(receipt.block_hash.as_deref(), &format!("[{at}].blockHash"))?;
        if found != block {
            return Err(WireError::Mismatch {
                what: format!("receipt {at} is of block {found}, not {block}"),
            });
        }
        if receipt.status.as_deref() == Some("0x0") {
            continue;
        }
        let logs = receipt.logs.unwrap_or_default();
        transfers.extend(read_logs(logs, contract, &format!("[{at}].logs"))?);
    }
    Ok(Receipts {
        transactions,
        transfers,
    })
}

/// A number in hexadecimal digits after `0x`.
fn quantity(text: Option<&str>, path: &str) -> Result<u64, WireError> {
    let text = text.ok_or_else(|| WireError::missing(path))?;
    let digits = text.strip_prefix("0x").unwrap_or_default();
    // `from_str_radix` would take a sign.
    let sound = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    sound
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
        .ok_or_else(|| {
            let shown = super::error::excerpt(text);
            WireError::malformed(path, format!("not a number in hexadecimal: {shown}"))
        })
}

fn word(text: Option<&str>, path: &str) -> Result<[u8; 32], WireError> {
    let text = text.ok_or_else(|| WireError::missing(path))?;
    read_word(text).ok_or_else(|| not_hex32(path, text))
}

fn hash(text: Option<&str>, path: &str) -> Result<BlockHash, WireError> {
    word(text, path).map(BlockHash)
}

#[cfg(test)]
mod tests;
