//! `eth_getLogs`: java-tron's filter, its limits and its error texts.

use std::collections::HashSet;

use serde_json::Value;

use super::block::Block;
use super::contracts::Word;
use super::jsonrpc::RpcError;
use super::jsonrpc_blocks;
use super::params::decode_hex;
use super::view::{Located, View};
use super::vm::Log;
use crate::domain::address::Address;
use crate::domain::ids::BlockHash;

/// Blocks that one query may span.
const MAX_BLOCK_RANGE: u64 = 5_000;
/// Alternatives for one topic.
const MAX_SUB_TOPICS: usize = 1_000;
/// Topic positions: a signature and three indexed arguments.
const MAX_TOPICS: usize = 4;
const MAX_ADDRESSES: usize = 1_000;
const MAX_RESULTS: usize = 10_000;

struct LogFilter {
    /// Empty lets every address pass.
    addresses: HashSet<Address>,
    /// Per position; empty lets everything pass.
    topics: Vec<HashSet<Word>>,
}

/// # Errors
/// See the texts; all of them are java-tron's.
pub fn get_logs(view: View<'_>, filter: &Value) -> Result<Value, RpcError> {
    if !filter.is_object() {
        return Err(RpcError::WrongParams);
    }
    let wanted = LogFilter::read(filter)?;
    let (from, to) = range(view, filter)?;
    let mut found = Vec::new();
    for height in from.max(view.lowest_height())..=to.min(view.head_height()) {
        if let Some(block) = view.block(height) {
            wanted.collect(view, block, &mut found);
        }
        if found.len() > MAX_RESULTS {
            return Err(RpcError::TooMany(format!(
                "query returned more than {MAX_RESULTS} results"
            )));
        }
    }
    Ok(Value::Array(found))
}

impl LogFilter {
    fn read(filter: &Value) -> Result<Self, RpcError> {
        Ok(Self {
            addresses: read_addresses(filter.get("address"))?,
            topics: read_topics(filter.get("topics"))?,
        })
    }

    fn collect(&self, view: View<'_>, block: &Block, found: &mut Vec<Value>) {
        let mut index_in_block = 0;
        for (index, entry) in view.receipts(block).iter().enumerate() {
            for log in &entry.receipt.logs {
                if self.matches(log) {
                    found.push(jsonrpc_blocks::log(
                        Located {
                            block,
                            index,
                            entry,
                        },
                        index_in_block,
                        log,
                    ));
                }
                index_in_block += 1;
            }
        }
    }

    fn matches(&self, log: &Log) -> bool {
        let address_fits = self.addresses.is_empty() || self.addresses.contains(&log.address);
        address_fits
            && self
                .topics
                .iter()
                .enumerate()
                .all(|(n, wanted)| match log.topics.get(n) {
                    Some(topic) => wanted.is_empty() || wanted.contains(topic),
                    // A filter longer than the log's topics matches nothing, even where it asks for nothing.
                    None => false,
                })
    }
}

fn read_addresses(value: Option<&Value>) -> Result<HashSet<Address>, RpcError> {
    match value {
        None | Some(Value::Null) => Ok(HashSet::new()),
        Some(Value::String(text)) => {
            let address = read_address(text)
                .ok_or_else(|| RpcError::invalid(format!("invalid address: {text}")))?;
            Ok(HashSet::from([address]))
        }
        Some(Value::Array(all)) if all.len() > MAX_ADDRESSES => Err(RpcError::invalid(format!(
            "exceed max addresses: {MAX_ADDRESSES}"
        ))),
        Some(Value::Array(all)) => {
            let each = all.iter().enumerate().map(|(n, value)| {
                let text = value.as_str().unwrap_or_default();
                read_address(text).ok_or_else(|| {
                    RpcError::invalid(format!("invalid address at index {n}: {text}"))
                })
            });
            each.collect()
        }
        Some(_) => Err(RpcError::invalid("invalid addresses in query")),
    }
}

/// Exactly 20 bytes: TRON's `41` is refused here.
fn read_address(text: &str) -> Option<Address> {
    <[u8; 20]>::try_from(decode_hex(text)?)
        .ok()
        .map(Address::from_bytes)
}

fn read_topics(value: Option<&Value>) -> Result<Vec<HashSet<Word>>, RpcError> {
    let all = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(all)) => all,
        Some(_) => return Err(RpcError::invalid("invalid topic(s)")),
    };
    if all.len() > MAX_TOPICS {
        return Err(RpcError::invalid(format!(
            "topics size should be <= {MAX_TOPICS}"
        )));
    }
    all.iter().map(read_topic).collect()
}

fn read_topic(value: &Value) -> Result<HashSet<Word>, RpcError> {
    match value {
        Value::Null => Ok(HashSet::new()),
        Value::String(text) => Ok(HashSet::from([read_word(text)?])),
        Value::Array(all) if all.len() > MAX_SUB_TOPICS => Err(RpcError::invalid(format!(
            "exceed max topics: {MAX_SUB_TOPICS}"
        ))),
        Value::Array(all) => all
            .iter()
            .map(|value| read_word(value.as_str().unwrap_or_default()))
            .collect(),
        _ => Err(RpcError::invalid("invalid topic(s)")),
    }
}

fn read_word(text: &str) -> Result<Word, RpcError> {
    let word = decode_hex(text).and_then(|bytes| Word::try_from(bytes).ok());
    word.ok_or_else(|| RpcError::invalid(format!("invalid topic(s): {text}")))
}

/// The first and last block asked for; the last may lie above the head.
fn range(view: View<'_>, filter: &Value) -> Result<(u64, u64), RpcError> {
    let given = |name: &str| {
        filter
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let (from, to, head) = (given("fromBlock"), given("toBlock"), view.head_height());
    if let Some(hash) = given("blockHash") {
        if from.is_some() || to.is_some() {
            return Err(RpcError::invalid(
                "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
            ));
        }
        let block = BlockHash::from_hex(hash).and_then(|hash| view.block_by_id(hash));
        let height = block
            .ok_or_else(|| RpcError::invalid("invalid blockHash"))?
            .header
            .height;
        return Ok((height, height));
    }
    let to_height = to.map(|text| point(view, text)).transpose()?.flatten();
    let (first, last) = match from {
        // Without a start, the query is for its end alone.
        None => (
            to_height.unwrap_or(u64::MAX).min(head),
            to_height.unwrap_or(u64::MAX),
        ),
        Some(text) => (
            point(view, text)?.unwrap_or(head),
            to_height.unwrap_or(u64::MAX),
        ),
    };
    if first > last {
        return Err(RpcError::invalid("please verify: fromBlock <= toBlock"));
    }
    if last.min(head).saturating_sub(first) > MAX_BLOCK_RANGE {
        return Err(RpcError::invalid(format!(
            "exceed max block range: {MAX_BLOCK_RANGE}"
        )));
    }
    Ok((first, last))
}

/// A height; `None` is the head, wherever it is when the query runs.
fn point(view: View<'_>, text: &str) -> Result<Option<u64>, RpcError> {
    match text.to_ascii_lowercase().as_str() {
        "latest" => Ok(None),
        "earliest" => Ok(Some(0)),
        "finalized" => Ok(Some(view.solid_height())),
        tag @ ("pending" | "safe") => Err(RpcError::invalid(format!("TAG {tag} not supported"))),
        number => {
            let digits = number
                .strip_prefix("0x")
                .ok_or_else(|| RpcError::invalid("Incorrect hex syntax"))?;
            let height = u64::from_str_radix(digits, 16)
                .map_err(|_| RpcError::invalid("invalid block number"))?;
            Ok(Some(height))
        }
    }
}
