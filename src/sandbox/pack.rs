//! Reading a transaction as clients send it: the JSON's `raw_data` is encoded anew, as java-tron
//! does, so that what was signed must be what was written.
//!
//! Ignores `txID` and `raw_data_hex`, which prove nothing. Refuses contract types that the sandbox
//! does not execute.

use serde_json::{Map, Value};
use thiserror::Error;

use super::params::{NodeError, Params, decode_hex, read_address};
use super::render::AddressForm;
use super::tx::{Call, RawTx, Transaction, Trigger};

/// Signatures on one transaction; what java-tron's `getTotalSignNum` allows.
pub const MAX_SIGNATURES: usize = 5;

#[derive(Debug, Error, PartialEq, Eq)]
pub enum PackError {
    #[error(transparent)]
    Malformed(#[from] NodeError),
    #[error("No contract!")]
    NoContract,
    #[error("the sandbox executes TransferContract and TriggerSmartContract, not {0}")]
    Unsupported(String),
}

/// # Errors
/// When it has no `raw_data`, no contract, one that is not executed here, or malformed fields.
pub fn transaction(params: &Params) -> Result<Transaction, PackError> {
    let Some(Value::Object(raw)) = params.get("raw_data") else {
        return Err(NodeError::null_pointer().into());
    };
    let contracts = raw.get("contract").and_then(Value::as_array);
    let contract = contracts
        .and_then(|all| all.first())
        .ok_or(PackError::NoContract)?;
    let fields = Fields {
        object: raw,
        form: params.form,
    };
    let raw = RawTx {
        ref_block_bytes: fields.bytes("ref_block_bytes")?,
        ref_block_hash: fields.bytes("ref_block_hash")?,
        expiration: fields.int("expiration")?,
        memo: fields.bytes("data")?,
        permission_id: contract
            .get("Permission_id")
            .and_then(Value::as_i64)
            .unwrap_or(0),
        call: call(contract, params.form)?,
        timestamp: fields.int("timestamp")?,
        fee_limit: fields.int("fee_limit")?,
    };
    let mut transaction = Transaction::unsigned(raw);
    transaction.signatures = signatures(params)?;
    Ok(transaction)
}

fn signatures(params: &Params) -> Result<Vec<Vec<u8>>, NodeError> {
    let listed: &[Value] = match params.get("signature") {
        Some(Value::Array(all)) => all,
        Some(single @ Value::String(_)) => std::slice::from_ref(single),
        _ => &[],
    };
    let decoded = listed
        .iter()
        .map(|value| value.as_str().and_then(decode_hex));
    decoded
        .map(|bytes| bytes.ok_or_else(|| NodeError::parse("1:1: INVALID hex String")))
        .collect()
}

fn call(contract: &Value, form: AddressForm) -> Result<Call, PackError> {
    let kind = contract
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let empty = Map::new();
    let object = contract
        .pointer("/parameter/value")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let fields = Fields { object, form };
    match kind {
        "TransferContract" => Ok(Call::Transfer {
            owner: fields.address("owner_address")?,
            to: fields.address("to_address")?,
            amount: fields.int("amount")?,
        }),
        "TriggerSmartContract" => Ok(Call::Trigger(Trigger {
            owner: fields.address("owner_address")?,
            contract: fields.address("contract_address")?,
            data: fields.bytes("data")?,
            call_value: fields.int("call_value")?,
            call_token_value: fields.int("call_token_value")?,
            token_id: fields.int("token_id")?,
        })),
        "" => Err(PackError::NoContract),
        other => Err(PackError::Unsupported(other.to_owned())),
    }
}

/// The fields of one message; absent ones are the protobuf default.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    form: AddressForm,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn int(&self, name: &str) -> Result<i64, NodeError> {
        self.get(name).map_or(Ok(0), |value| {
            let refusal = || {
                NodeError::parse(format!(
                    "1:1: Couldn't parse integer: For input string: \"{value}\""
                ))
            };
            value.as_i64().ok_or_else(refusal)
        })
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, NodeError> {
        let text = self.get(name).and_then(Value::as_str).unwrap_or_default();
        decode_hex(text).ok_or_else(|| NodeError::parse("1:1: INVALID hex String"))
    }

    fn address(&self, name: &str) -> Result<crate::domain::address::Address, NodeError> {
        read_address(
            self.get(name).and_then(Value::as_str).unwrap_or_default(),
            self.form,
        )
    }
}
