//! Blocks, transactions and receipts as java-tron's JSON-RPC shows them: Ethereum's fields, filled
//! with constants where TRON has nothing to say.

use serde_json::{Value, json};

use super::block::{Block, Included};
use super::execute::ENERGY_PRICE_SUN;
use super::jsonrpc::{RpcError, hex_bytes, quantity};
use super::tx::Call;
use super::view::{Located, LogIndex, View};
use super::vm::{ContractResult, Log};
use crate::domain::address::Address;
use crate::domain::ids::TxId;

/// A block by number or tag; `None` when the node does not have it.
///
/// # Errors
/// For the tags that TRON does not know, and for what is no number.
pub fn block_at<'a>(view: View<'a>, at: &str) -> Result<Option<&'a Block>, RpcError> {
    let height = match at.to_ascii_lowercase().as_str() {
        "latest" | "" => view.head_height(),
        "earliest" => 0,
        "finalized" => view.solid_height(),
        tag @ ("pending" | "safe") => {
            return Err(RpcError::invalid(format!("TAG {tag} not supported")));
        }
        number => parse_number(number).ok_or_else(|| RpcError::invalid("invalid block number"))?,
    };
    Ok(view.block(height))
}

/// Hex with `0x`, or decimal.
fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

pub fn address(address: Address) -> String {
    hex_bytes(address.as_bytes())
}

/// How a block's transactions are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    Hashes,
    Whole,
}

impl Bodies {
    /// The second parameter of `eth_getBlockBy...`.
    pub fn asked(full: &Value) -> Self {
        match full.as_bool() {
            Some(true) => Self::Whole,
            _ => Self::Hashes,
        }
    }
}

pub fn block(block: &Block, bodies: Bodies) -> Value {
    let header = &block.header;
    let miner = match header.witness.as_slice() {
        [0x41, rest @ ..] if rest.len() == 20 => hex_bytes(rest),
        _ => hex_bytes(&[0; 20]),
    };
    let entries = block.entries.iter().enumerate();
    let transactions: Vec<Value> = entries
        .map(|(index, entry)| match bodies {
            Bodies::Hashes => hex_bytes(&entry.tx.id.0).into(),
            Bodies::Whole => transaction(Located {
                block,
                index,
                entry,
            }),
        })
        .collect();
    let gas_limit: i64 = block
        .entries
        .iter()
        .map(|entry| entry.tx.raw.fee_limit)
        .fold(0, i64::saturating_add);
    let gas_used: u64 = block
        .entries
        .iter()
        .map(|entry| entry.receipt.energy_total)
        .sum();
    let size: usize = block
        .entries
        .iter()
        .map(|entry| entry.tx.encode().len() + 8)
        .sum();
    json!({
        "number": quantity(header.height),
        "hash": hex_bytes(&block.id.0),
        "parentHash": hex_bytes(&header.parent.0),
        "nonce": hex_bytes(&[0; 8]),
        "sha3Uncles": hex_bytes(&[0; 32]),
        "logsBloom": hex_bytes(&[0; 256]),
        "transactionsRoot": hex_bytes(&header.tx_trie_root),
        "stateRoot": "0x",
        "receiptsRoot": hex_bytes(&[0; 32]),
        "miner": miner,
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "extraData": "0x",
        "size": quantity(size as u64 + 180),
        "gasLimit": quantity(gas_limit.unsigned_abs()),
        "gasUsed": quantity(gas_used),
        "timestamp": quantity(header.time / 1000),
        "transactions": transactions,
        "uncles": [],
        "baseFeePerGas": "0x0",
        "mixHash": hex_bytes(&[0; 32]),
    })
}

pub fn transaction(at: Located<'_>) -> Value {
    let Included { tx, receipt, .. } = at.entry;
    let (value, input) = match &tx.raw.call {
        Call::Transfer { amount, .. } => (*amount, "0x".to_owned()),
        Call::Trigger(trigger) => (trigger.call_value, hex_bytes(&trigger.data)),
    };
    let signature = tx
        .signatures
        .first()
        .and_then(|bytes| <[u8; 65]>::try_from(bytes.as_slice()).ok());
    let signature = signature.unwrap_or([0; 65]);
    let v = if signature[64] < 27 {
        signature[64] + 27
    } else {
        signature[64]
    };
    json!({
        "hash": hex_bytes(&tx.id.0),
        "nonce": hex_bytes(&[0; 8]),
        "blockHash": hex_bytes(&at.block.id.0),
        "blockNumber": quantity(at.block.header.height),
        "transactionIndex": quantity(at.index as u64),
        "from": address(tx.raw.call.owner()),
        "to": address(tx.raw.call.target()),
        "gas": quantity(receipt.energy_total),
        "gasPrice": quantity(ENERGY_PRICE_SUN),
        "value": quantity(value.unsigned_abs()),
        "input": input,
        "type": "0x0",
        "v": quantity(u64::from(v)),
        "r": hex_bytes(&signature[..32]),
        "s": hex_bytes(&signature[32..64]),
    })
}

/// All receipts of a block.
pub fn receipts(view: View<'_>, block: &Block) -> Value {
    let entries = view.receipts(block).iter().enumerate();
    entries
        .map(|(index, entry)| {
            receipt(Located {
                block,
                index,
                entry,
            })
        })
        .collect()
}

pub fn receipt_by_id(view: View<'_>, id: TxId) -> Value {
    let found = view
        .transaction(id)
        .filter(|_| view.logs == LogIndex::Working);
    found.map_or(Value::Null, receipt)
}

fn receipt(at: Located<'_>) -> Value {
    let Included { tx, receipt, .. } = at.entry;
    let first_log = at.block.logs_before(at.index);
    let cumulative: u64 = at.block.entries[..=at.index]
        .iter()
        .map(|entry| entry.receipt.energy_total)
        .sum();
    let success = matches!(receipt.result, None | Some(ContractResult::Success));
    let logs: Vec<Value> = receipt
        .logs
        .iter()
        .enumerate()
        .map(|(n, one)| log(at, first_log + n, one))
        .collect();
    json!({
        "blockHash": hex_bytes(&at.block.id.0),
        "blockNumber": quantity(at.block.header.height),
        "transactionIndex": quantity(at.index as u64),
        "transactionHash": hex_bytes(&tx.id.0),
        "from": address(tx.raw.call.owner()),
        "to": address(tx.raw.call.target()),
        "cumulativeGasUsed": quantity(cumulative),
        "effectiveGasPrice": quantity(ENERGY_PRICE_SUN),
        "gasUsed": quantity(receipt.energy_total),
        "contractAddress": null,
        "logs": logs,
        "logsBloom": hex_bytes(&[0; 256]),
        "status": if success { "0x1" } else { "0x0" },
        "type": "0x0",
    })
}

/// A log; its index counts over the whole block.
pub fn log(at: Located<'_>, index_in_block: usize, log: &Log) -> Value {
    json!({
        "logIndex": quantity(index_in_block as u64),
        "transactionIndex": quantity(at.index as u64),
        "transactionHash": hex_bytes(&at.entry.tx.id.0),
        "blockHash": hex_bytes(&at.block.id.0),
        "blockNumber": quantity(at.block.header.height),
        "address": address(log.address),
        "data": hex_bytes(&log.data),
        "topics": log.topics.iter().map(|topic| hex_bytes(topic)).collect::<Vec<_>>(),
        "removed": false,
    })
}
