//! Calling contracts: `triggerconstantcontract` answers at once, `triggersmartcontract` builds the
//! transaction to sign, `estimateenergy` tells what it would cost.

use serde_json::{Value, json};

use super::contracts::{Contract, selector};
use super::node::{Node, Scope};
use super::params::{NodeError, Params, decode_hex};
use super::render::{self, AddressForm};
use super::tx::{Call, RawTx, Transaction, Trigger};
use super::vm::Outcome;

/// How long a transaction that a node builds stays valid, counted from the head.
const VALIDITY_MS: u64 = 60_000;

/// Why a call is not even tried.
enum Refusal {
    /// `CONTRACT_VALIDATE_ERROR`.
    Contract(&'static str),
    /// `OTHER_ERROR`: an exception.
    Other(NodeError),
}

impl From<NodeError> for Refusal {
    fn from(error: NodeError) -> Self {
        Self::Other(error)
    }
}

/// `triggerconstantcontract`.
pub fn constant(node: &mut Node<'_>, params: &Params) -> Value {
    let called = read_trigger(params).and_then(|trigger| {
        let contract = Contract::at(trigger.contract)
            .ok_or(Refusal::Contract("Smart contract is not exist."))?;
        Ok(call_now(node, trigger, contract, params.form))
    });
    called.unwrap_or_else(|refusal| refused(refusal, params.form))
}

/// `triggersmartcontract`.
pub fn build(node: &mut Node<'_>, params: &Params) -> Value {
    let built = read_trigger(params).and_then(|mut trigger| {
        let contract = Contract::at(trigger.contract).ok_or(Refusal::Contract(
            "No contract or not a valid smart contract",
        ))?;
        if contract.is_constant(&trigger.data) {
            return Ok(call_now(node, trigger, contract, params.form));
        }
        trigger.call_value = params.int("call_value")?.unwrap_or(0);
        trigger.call_token_value = params.int("call_token_value")?.unwrap_or(0);
        trigger.token_id = params.int("token_id")?.unwrap_or(0);
        let mut raw = raw_for(node, Call::Trigger(trigger));
        raw.fee_limit = params.int("fee_limit")?.unwrap_or(0);
        raw.permission_id = params.int("Permission_id")?.unwrap_or(0);
        let transaction = shown(&Transaction::unsigned(raw), params.form);
        Ok(json!({"result": {"result": true}, "transaction": transaction}))
    });
    built.unwrap_or_else(|refusal| refused(refusal, params.form))
}

/// `estimateenergy`.
pub fn estimate(node: &mut Node<'_>, params: &Params) -> Value {
    let estimated = read_trigger(params).and_then(|trigger| {
        let contract = Contract::at(trigger.contract).ok_or(Refusal::Contract("Smart contract is not exist."))?;
        let outcome = node.simulate(trigger.owner, contract, &trigger.data);
        Ok(match outcome.result.message() {
            None => json!({"result": {"result": true}, "energy_required": outcome.energy}),
            Some(message) => json!({"result": {"code": "CONTRACT_EXE_ERROR", "message": text(message, params.form)}}),
        })
    });
    estimated.unwrap_or_else(|refusal| refused(refusal, params.form))
}

/// `createtransaction`: a TRX transfer to sign.
///
/// # Errors
/// When an address or the amount is missing or malformed.
pub fn create_transfer(node: &Node<'_>, params: &Params) -> Result<Value, NodeError> {
    let (owner, to) = (
        params.address("owner_address")?,
        params.address("to_address")?,
    );
    let amount = params.int("amount")?.unwrap_or(0);
    let mut raw = raw_for(node, Call::Transfer { owner, to, amount });
    raw.permission_id = params.int("Permission_id")?.unwrap_or(0);
    Ok(shown(&Transaction::unsigned(raw), params.form))
}

fn read_trigger(params: &Params) -> Result<Trigger, Refusal> {
    for name in ["owner_address", "contract_address"] {
        if params.text(name).unwrap_or_default().is_empty() {
            return Err(NodeError::parameter(format!("{name} isn't set.")).into());
        }
    }
    let owner = params.address("owner_address")?;
    let contract = params.address("contract_address")?;
    let signature = params.text("function_selector").unwrap_or_default();
    let data = if signature.is_empty() {
        params.bytes("data")?
    } else {
        let arguments = params.text("parameter").unwrap_or_default();
        let arguments =
            decode_hex(&arguments).ok_or_else(|| NodeError::parse("1:1: INVALID hex String"))?;
        [selector(&signature).as_slice(), &arguments].concat()
    };
    Ok(Trigger::new(owner, contract, data))
}

fn raw_for(node: &Node<'_>, call: Call) -> RawTx {
    let view = node.view(Scope::Head);
    let solid = view
        .block(view.solid_height())
        .unwrap_or_else(|| view.head());
    let mut raw = RawTx {
        ref_block_bytes: Vec::new(),
        ref_block_hash: Vec::new(),
        expiration: (view.head().header.time + VALIDITY_MS).cast_signed(),
        memo: Vec::new(),
        permission_id: 0,
        call,
        timestamp: node.now_ms.cast_signed(),
        fee_limit: 0,
    };
    raw.refer_to(solid.id);
    raw
}

fn shown(transaction: &Transaction, form: AddressForm) -> Value {
    let mut value = render::transaction(transaction, form);
    value["visible"] = (form == AddressForm::Base58).into();
    value
}

fn call_now(node: &mut Node<'_>, trigger: Trigger, contract: Contract, form: AddressForm) -> Value {
    let outcome: Outcome = node.simulate(trigger.owner, contract, &trigger.data);
    let mut transaction = shown(
        &Transaction::unsigned(raw_for(node, Call::Trigger(trigger))),
        form,
    );
    let mut result = json!({"result": true});
    transaction["ret"] = json!([{}]);
    if let Some(message) = outcome.result.message() {
        result["message"] = text(message, form).into();
        transaction["ret"] = json!([{"ret": "FAILED"}]);
    }
    let mut answer = json!({
        "result": result,
        "energy_used": outcome.energy,
        "constant_result": [hex::encode(&outcome.output)],
        "transaction": transaction,
    });
    if !outcome.logs.is_empty() {
        // Bare, even with `visible`: only receipts have their log addresses converted.
        answer["logs"] = outcome
            .logs
            .iter()
            .map(|log| render::log(log, AddressForm::Hex))
            .collect();
    }
    answer
}

fn refused(refusal: Refusal, form: AddressForm) -> Value {
    let (code, message) = match refusal {
        Refusal::Contract(message) => ("CONTRACT_VALIDATE_ERROR", message.to_owned()),
        Refusal::Other(error) => ("OTHER_ERROR", error.to_string().replace('"', "'")),
    };
    json!({"result": {"code": code, "message": text(&message, form)}})
}

/// `Return.message` is hex, or text with `visible`.
fn text(message: &str, form: AddressForm) -> String {
    match form {
        AddressForm::Hex => hex::encode(message),
        AddressForm::Base58 => message.to_owned(),
    }
}
