//! Blocks, transactions and receipts as java-tron prints them: protobuf defaults left out, hex
//! without prefix, base58 where `visible` asks for it.

use serde_json::{Map, Value, json};

use super::block::{Block, Included, Receipt};
use super::keys::sha256;
use super::tx::{Call, RawTx, Transaction, tron_bytes};
use super::view::Located;
use super::vm::{ContractResult, Log};
use crate::domain::address::Address;
use crate::domain::ids::TxId;

/// How addresses are spelt: `visible=false` or `visible=true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressForm {
    /// 21 bytes in hex, `41` first.
    Hex,
    Base58,
}

/// Whether a block is printed with its transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    HeaderOnly,
    Full,
}

impl AddressForm {
    pub fn show(self, address: Address) -> String {
        match self {
            Self::Hex => hex::encode(tron_bytes(address)),
            Self::Base58 => address.to_tron(),
        }
    }

    /// Text fields that `visible=true` shows as text.
    fn show_text(self, text: &str) -> String {
        match self {
            Self::Hex => hex::encode(text),
            Self::Base58 => text.to_owned(),
        }
    }
}

/// Puts a field in unless it is the protobuf default.
fn put(object: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    let value = value.into();
    let default = match &value {
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if !default {
        object.insert(name.to_owned(), value);
    }
}

pub fn block(block: &Block, detail: Detail, form: AddressForm) -> Value {
    let header = &block.header;
    let witness = match <[u8; 21]>::try_from(header.witness.as_slice()) {
        Ok([0x41, rest @ ..]) => form.show(Address::from_bytes(rest)),
        // Genesis has a text in its place, on mainnet as well.
        _ => hex::encode(&header.witness),
    };
    let mut raw = Map::new();
    put(&mut raw, "number", header.height);
    put(&mut raw, "txTrieRoot", hex::encode(header.tx_trie_root));
    put(&mut raw, "witness_address", witness);
    put(&mut raw, "parentHash", header.parent.to_string());
    put(&mut raw, "version", header.version);
    put(&mut raw, "timestamp", header.time);
    let mut block_header = Map::from_iter([("raw_data".to_owned(), Value::Object(raw))]);
    put(
        &mut block_header,
        "witness_signature",
        hex::encode(&block.witness_signature),
    );
    let mut object = Map::new();
    put(&mut object, "blockID", block.id.to_string());
    put(&mut object, "block_header", block_header);
    if detail == Detail::Full {
        let all: Vec<Value> = block
            .entries
            .iter()
            .map(|entry| included(entry, form))
            .collect();
        put(&mut object, "transactions", all);
    }
    Value::Object(object)
}

/// A transaction in a block, with its result.
pub fn included(entry: &Included, form: AddressForm) -> Value {
    let mut value = transaction(&entry.tx, form);
    let result = entry.receipt.result.unwrap_or(ContractResult::Success);
    value["ret"] = json!([{"contractRet": result.name()}]);
    value
}

/// A transaction on its own, signed or not.
pub fn transaction(tx: &Transaction, form: AddressForm) -> Value {
    let mut object = Map::new();
    let signatures: Vec<String> = tx.signatures.iter().map(hex::encode).collect();
    put(&mut object, "signature", signatures);
    put(&mut object, "txID", tx.id.to_string());
    put(&mut object, "raw_data", raw_data(&tx.raw, form));
    put(&mut object, "raw_data_hex", hex::encode(tx.raw.encode()));
    Value::Object(object)
}

fn raw_data(raw: &RawTx, form: AddressForm) -> Value {
    let mut contract = Map::new();
    put(
        &mut contract,
        "parameter",
        json!({"value": call(&raw.call, form), "type_url": raw.call.type_url()}),
    );
    put(&mut contract, "type", raw.call.type_name());
    put(&mut contract, "Permission_id", raw.permission_id);
    let mut object = Map::new();
    put(&mut object, "contract", json!([contract]));
    put(
        &mut object,
        "ref_block_bytes",
        hex::encode(&raw.ref_block_bytes),
    );
    put(
        &mut object,
        "ref_block_hash",
        hex::encode(&raw.ref_block_hash),
    );
    put(&mut object, "expiration", raw.expiration);
    put(&mut object, "data", hex::encode(&raw.memo));
    put(&mut object, "fee_limit", raw.fee_limit);
    put(&mut object, "timestamp", raw.timestamp);
    Value::Object(object)
}

fn call(call: &Call, form: AddressForm) -> Value {
    let mut object = Map::new();
    match call {
        Call::Transfer { owner, to, amount } => {
            put(&mut object, "amount", *amount);
            put(&mut object, "owner_address", form.show(*owner));
            put(&mut object, "to_address", form.show(*to));
        }
        Call::Trigger(trigger) => {
            put(&mut object, "data", hex::encode(&trigger.data));
            put(&mut object, "token_id", trigger.token_id);
            put(&mut object, "owner_address", form.show(trigger.owner));
            put(&mut object, "call_token_value", trigger.call_token_value);
            put(&mut object, "contract_address", form.show(trigger.contract));
            put(&mut object, "call_value", trigger.call_value);
        }
    }
    Value::Object(object)
}

/// A `TransactionInfo`. It names its block's height and time, never its hash.
pub fn info(at: Located<'_>, form: AddressForm) -> Value {
    let Included { tx, receipt, .. } = at.entry;
    let mut object = Map::new();
    put(&mut object, "id", tx.id.to_string());
    put(&mut object, "fee", receipt.fee);
    put(&mut object, "blockNumber", at.block.header.height);
    put(&mut object, "blockTimeStamp", at.block.header.time);
    // One element always, the empty string for everything that returned nothing.
    put(
        &mut object,
        "contractResult",
        json!([hex::encode(&receipt.output)]),
    );
    if let Call::Trigger(trigger) = &tx.raw.call {
        put(&mut object, "contract_address", form.show(trigger.contract));
    }
    put(&mut object, "receipt", resource_receipt(receipt));
    let logs: Vec<Value> = receipt.logs.iter().map(|entry| log(entry, form)).collect();
    put(&mut object, "log", logs);
    if let Some(message) = receipt.result.and_then(ContractResult::message) {
        put(&mut object, "result", "FAILED");
        put(&mut object, "resMessage", form.show_text(message));
    }
    let inner = inner_transactions(tx.id, tx.raw.call.target(), receipt, form);
    put(&mut object, "internal_transactions", inner);
    Value::Object(object)
}

fn resource_receipt(receipt: &Receipt) -> Value {
    let mut object = Map::new();
    put(&mut object, "energy_usage", receipt.energy_usage);
    put(&mut object, "energy_fee", receipt.energy_fee);
    put(&mut object, "energy_usage_total", receipt.energy_total);
    put(&mut object, "net_usage", receipt.net_usage);
    put(&mut object, "net_fee", receipt.net_fee);
    if let Some(result) = receipt.result {
        put(&mut object, "result", result.name());
    }
    Value::Object(object)
}

/// Log addresses are 20 bytes of hex without `41`, or base58.
pub fn log(log: &Log, form: AddressForm) -> Value {
    let address = match form {
        AddressForm::Hex => hex::encode(log.address.as_bytes()),
        AddressForm::Base58 => log.address.to_tron(),
    };
    let mut object = Map::new();
    put(&mut object, "address", address);
    put(
        &mut object,
        "topics",
        log.topics.iter().map(hex::encode).collect::<Vec<_>>(),
    );
    put(&mut object, "data", hex::encode(&log.data));
    Value::Object(object)
}

fn inner_transactions(
    id: TxId,
    caller: Address,
    receipt: &Receipt,
    form: AddressForm,
) -> Vec<Value> {
    let calls = receipt.inner_calls.iter().enumerate();
    calls
        .map(|(n, target)| {
            let hash = sha256(&[id.0.as_slice(), &n.to_be_bytes()].concat());
            json!({
                "hash": hex::encode(hash),
                "caller_address": form.show(caller),
                "transferTo_address": form.show(*target),
                "callValueInfo": [{}],
                "note": hex::encode("call"),
            })
        })
        .collect()
}
