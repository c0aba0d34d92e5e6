//! `POST /jsonrpc`: the Ethereum-style API of java-tron, envelope and dispatch.
//!
//! Always HTTP 200; refusals are JSON-RPC errors with java-tron's codes and words.

use serde_json::{Value, json};
use thiserror::Error;

use super::answer::Answer;
use super::jsonrpc_blocks::{self as blocks, Bodies};
use super::jsonrpc_logs as logs;
use super::keys::keccak;
use super::node::{Node, Scope};
use super::params::decode_hex;
use super::state::Slot;
use crate::domain::address::Address;
use crate::domain::ids::{BlockHash, TxId};

/// Calls in one batch.
const MAX_BATCH: usize = 100;
/// Bytes of one answer, batches together.
const MAX_RESPONSE_BYTES: usize = 25 * 1024 * 1024;

/// A JSON-RPC error.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RpcError {
    #[error("{0}")]
    InvalidParams(String),
    #[error("method parameters invalid")]
    WrongParams,
    #[error("the method {0} does not exist/is not available")]
    NoMethod(String),
    #[error("{0}")]
    TooMany(String),
    #[error("Response exceeds the limit of {MAX_RESPONSE_BYTES} bytes")]
    TooLarge,
    #[error("invalid request")]
    InvalidRequest,
    #[error("JSON parse error")]
    Unreadable,
    #[error("{0}")]
    Reverted(String),
}

impl RpcError {
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidParams(message.into())
    }

    fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) | Self::WrongParams => -32602,
            Self::NoMethod(_) => -32601,
            Self::TooMany(_) => -32005,
            Self::TooLarge => -32003,
            Self::InvalidRequest => -32600,
            Self::Unreadable => -32700,
            Self::Reverted(_) => -32000,
        }
    }

    fn to_json(&self) -> Value {
        let mut error = json!({"code": self.code(), "message": self.to_string()});
        // java-tron's own exceptions carry this; those of its JSON-RPC library do not.
        if matches!(
            self,
            Self::InvalidParams(_) | Self::TooMany(_) | Self::Reverted(_)
        ) {
            error["data"] = "{}".into();
        }
        error
    }
}

/// Answers a request body, single or batch.
pub fn answer(node: &mut Node<'_>, body: &[u8]) -> Answer {
    let request: Value = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(_) => return Answer::json(&failure(&Value::Null, &RpcError::Unreadable)),
    };
    let whole = match &request {
        Value::Array(calls) if calls.is_empty() => failure(&Value::Null, &RpcError::InvalidRequest),
        Value::Array(calls) if calls.len() > MAX_BATCH => {
            let text = format!(
                "Batch size {} exceeds the limit of {MAX_BATCH}",
                calls.len()
            );
            failure(&Value::Null, &RpcError::TooMany(text))
        }
        Value::Array(calls) => calls.iter().map(|request| one(node, request)).collect(),
        single => one(node, single),
    };
    let answer = Answer::json(&whole);
    if answer.body.len() > MAX_RESPONSE_BYTES {
        let id = request.get("id").unwrap_or(&Value::Null);
        return Answer::json(&failure(id, &RpcError::TooLarge));
    }
    answer
}

fn failure(id: &Value, error: &RpcError) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": error.to_json()})
}

fn one(node: &mut Node<'_>, request: &Value) -> Value {
    let id = request.get("id").unwrap_or(&Value::Null);
    let Some(method) = request.get("method").and_then(Value::as_str) else {
        return failure(id, &RpcError::InvalidRequest);
    };
    node.counts.method(method);
    let params = match request.get("params") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(params)) => params.as_slice(),
        Some(_) => return failure(id, &RpcError::WrongParams),
    };
    match dispatch(node, method, params) {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => failure(id, &error),
    }
}

fn dispatch(node: &mut Node<'_>, method: &str, params: &[Value]) -> Result<Value, RpcError> {
    let view = node.view(Scope::Head);
    match (method, params) {
        ("web3_clientVersion", []) => Ok("TRON/v4.8.1/Linux/Java1.8".into()),
        ("web3_sha3", [data]) => {
            let bytes = data
                .as_str()
                .and_then(decode_hex)
                .ok_or_else(|| RpcError::invalid("invalid input value"))?;
            Ok(hex_bytes(&keccak(&bytes)).into())
        }
        ("eth_blockNumber", []) => Ok(quantity(view.head_height()).into()),
        ("eth_chainId" | "net_version", []) => Ok(hex_bytes(&view.chain.genesis().0[28..]).into()),
        ("net_listening", []) => Ok(true.into()),
        ("net_peerCount", []) => Ok(quantity(27).into()),
        ("eth_syncing" | "eth_mining", []) => Ok(false.into()),
        ("eth_accounts", []) => Ok(json!([])),
        ("eth_protocolVersion", []) => {
            Ok(quantity(view.head().header.version.unsigned_abs()).into())
        }
        ("eth_gasPrice", []) => Ok(quantity(super::execute::ENERGY_PRICE_SUN).into()),
        ("eth_getBlockByNumber", [at, full]) => {
            let found = blocks::block_at(view, text(at)?)?;
            Ok(found.map_or(Value::Null, |found| {
                blocks::block(found, Bodies::asked(full))
            }))
        }
        ("eth_getBlockByHash", [hash, full]) => {
            let found = view.block_by_id(BlockHash(hash32(hash)?));
            Ok(found.map_or(Value::Null, |found| {
                blocks::block(found, Bodies::asked(full))
            }))
        }
        ("eth_getBlockTransactionCountByNumber", [at]) => {
            let found = blocks::block_at(view, text(at)?)?;
            Ok(found.map_or(Value::Null, |found| {
                quantity(found.entries.len() as u64).into()
            }))
        }
        ("eth_getBlockReceipts", [at]) => {
            let at = text(at)?;
            let by_hash = BlockHash::from_hex(at).filter(|_| at.len() >= 64);
            let found = match by_hash {
                Some(hash) => view.block_by_id(hash),
                None => blocks::block_at(view, at)?,
            };
            let found = found.filter(|found| found.header.height > 0);
            Ok(found.map_or(Value::Null, |found| blocks::receipts(view, found)))
        }
        ("eth_getTransactionReceipt", [hash]) => {
            Ok(blocks::receipt_by_id(view, TxId(hash32(hash)?)))
        }
        ("eth_getTransactionByHash", [hash]) => {
            let found = view.transaction(TxId(hash32(hash)?));
            Ok(found.map_or(Value::Null, blocks::transaction))
        }
        ("eth_getLogs", [filter]) => logs::get_logs(view, filter),
        ("eth_getBalance", [address, at]) => balance(node, address, at),
        ("eth_call", [call, at]) => eth_call(node, call, at),
        (known, _) if is_known(known) => Err(RpcError::WrongParams),
        (unknown, _) => Err(RpcError::NoMethod(unknown.to_owned())),
    }
}

fn is_known(method: &str) -> bool {
    const METHODS: [&str; 21] = [
        "web3_clientVersion",
        "web3_sha3",
        "eth_blockNumber",
        "eth_chainId",
        "net_version",
        "net_listening",
        "net_peerCount",
        "eth_syncing",
        "eth_mining",
        "eth_accounts",
        "eth_protocolVersion",
        "eth_gasPrice",
        "eth_getBlockByNumber",
        "eth_getBlockByHash",
        "eth_getBlockTransactionCountByNumber",
        "eth_getBlockReceipts",
        "eth_getTransactionReceipt",
        "eth_getTransactionByHash",
        "eth_getLogs",
        "eth_getBalance",
        "eth_call",
    ];
    METHODS.contains(&method)
}

fn text(value: &Value) -> Result<&str, RpcError> {
    value.as_str().ok_or(RpcError::WrongParams)
}

fn hash32(value: &Value) -> Result<[u8; 32], RpcError> {
    let bytes = value.as_str().and_then(BlockHash::from_hex);
    bytes
        .map(|hash| hash.0)
        .ok_or_else(|| RpcError::invalid("invalid hash value"))
}

/// A number in the most compact hex.
pub fn quantity(value: u64) -> String {
    format!("{value:#x}")
}

/// Bytes in hex, two digits each.
pub fn hex_bytes(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// 20 bytes, or 21 with `41` in front.
fn compatible_address(value: Option<&Value>) -> Result<Address, RpcError> {
    let bytes = value
        .and_then(Value::as_str)
        .and_then(decode_hex)
        .unwrap_or_default();
    let bare = match bytes.as_slice() {
        [0x41, rest @ ..] if rest.len() == 20 => rest,
        other => other,
    };
    let bare =
        <[u8; 20]>::try_from(bare).map_err(|_| RpcError::invalid("invalid address hash value"))?;
    Ok(Address::from_bytes(bare))
}

/// State is only known at the head.
fn must_be_latest(at: &Value) -> Result<(), RpcError> {
    match at
        .as_str()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "latest" => Ok(()),
        "earliest" | "pending" | "finalized" => Err(RpcError::invalid(
            "TAG [earliest | pending | finalized] not supported",
        )),
        number if number.starts_with("0x") => Err(RpcError::invalid(
            "QUANTITY not supported, just support TAG as latest",
        )),
        _ => Err(RpcError::invalid("invalid block number")),
    }
}

fn balance(node: &Node<'_>, address: &Value, at: &Value) -> Result<Value, RpcError> {
    must_be_latest(at)?;
    let sun = node
        .chain
        .state
        .get(Slot::Trx(compatible_address(Some(address))?));
    Ok(format!("{sun:#x}").into())
}

fn eth_call(node: &mut Node<'_>, call: &Value, at: &Value) -> Result<Value, RpcError> {
    must_be_latest(at)?;
    let zero = Value::from(hex_bytes(&[0; 20]));
    let caller = compatible_address(Some(call.get("from").unwrap_or(&zero)))?;
    let target = compatible_address(call.get("to"))?;
    let data = call
        .get("data")
        .or_else(|| call.get("input"))
        .and_then(Value::as_str);
    let data = data
        .and_then(decode_hex)
        .ok_or_else(|| RpcError::invalid("invalid data"))?;
    let Some(contract) = super::contracts::Contract::at(target) else {
        return Err(RpcError::Reverted(
            "Smart contract is not exist.".to_owned(),
        ));
    };
    let outcome = node.simulate(caller, contract, &data);
    match outcome.result.message() {
        None => Ok(hex_bytes(&outcome.output).into()),
        Some(message) => Err(RpcError::Reverted(message.to_owned())),
    }
}

#[cfg(test)]
#[path = "jsonrpc_tests.rs"]
mod tests;
