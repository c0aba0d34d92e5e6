//! `broadcasttransaction` and `getsignweight`: whether a signed transaction may enter the line.
//!
//! Checks in java-tron's order and refuses with java-tron's codes: expiration, signature, reference
//! block, expiration window, duplicate, then what the contract type demands. A call that will revert
//! is accepted, and reverts in its block.

use serde_json::{Value, json};

use super::block::{Pending, Power};
use super::chain::{Chain, SubmitError};
use super::contracts::Contract;
use super::execute;
use super::keys::{SIGNATURE_BYTES, recover};
use super::node::Node;
use super::pack::{self, MAX_SIGNATURES, PackError};
use super::params::{NodeError, Params};
use super::render::{self, AddressForm};
use super::state::Slot;
use super::tx::{Call, Transaction, reference};
use crate::domain::address::Address;
use crate::domain::ids::TxId;

/// How far ahead an expiration may lie: a day, in milliseconds.
const MAX_VALIDITY_MS: i64 = 24 * 3_600_000;
/// Largest transaction, in bytes.
const MAX_TRANSACTION_BYTES: usize = 500 * 1024;
/// Largest fee limit, in sun: `getMaxFeeLimit` of mainnet.
const MAX_FEE_LIMIT_SUN: i64 = 15_000_000_000;

/// `Return.response_code`, and the message that goes with it.
struct Refusal {
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn signature(reason: impl std::fmt::Display) -> Self {
        Self::new("SIGERROR", format!("Validate signature error: {reason}"))
    }

    fn contract(reason: impl std::fmt::Display) -> Self {
        Self::new(
            "CONTRACT_VALIDATE_ERROR",
            format!("Contract validate error : {reason}"),
        )
    }

    fn expired() -> Self {
        Self::new("TRANSACTION_EXPIRATION_ERROR", "Transaction expired")
    }

    fn to_json(&self, form: AddressForm) -> Value {
        json!({"code": self.code, "message": show(&self.message, form)})
    }
}

/// `Return.message` is hex, or text with `visible`.
fn show(message: &str, form: AddressForm) -> String {
    match form {
        AddressForm::Hex => hex::encode(message),
        AddressForm::Base58 => message.to_owned(),
    }
}

/// `wallet/broadcasttransaction`.
///
/// # Errors
/// When the body is not a transaction at all.
pub fn broadcast(node: &mut Node<'_>, params: &Params) -> Result<Value, NodeError> {
    let transaction = match pack::transaction(params) {
        Ok(transaction) => transaction,
        Err(PackError::Malformed(error)) => return Err(error),
        Err(error) => {
            let mut answer = Refusal::contract(error).to_json(params.form);
            // Not encoded here, so that the client's own id is all there is to name it by.
            if let Some(id) = params
                .text("txID")
                .filter(|text| TxId::from_hex(text).is_some())
            {
                answer["txid"] = id.into();
            }
            return Ok(answer);
        }
    };
    let id = transaction.id;
    let accepted = check(node.chain, &transaction).and_then(|()| {
        let pending = Pending {
            tx: transaction,
            power: Power::default(),
        };
        node.chain.submit(pending).map_err(|error| match error {
            SubmitError::Full => Refusal::new("SERVER_BUSY", "Server busy."),
            SubmitError::Duplicate => Refusal::new("DUP_TRANSACTION_ERROR", "Dup transaction."),
        })
    });
    let mut answer = match accepted {
        Ok(_) => json!({"result": true}),
        Err(refusal) => refusal.to_json(params.form),
    };
    answer["txid"] = id.to_string().into();
    Ok(answer)
}

fn check(chain: &Chain, transaction: &Transaction) -> Result<(), Refusal> {
    let raw = &transaction.raw;
    let head_time = chain.head().header.time.cast_signed();
    if raw.expiration < head_time.saturating_add(chain.options.block_ms.cast_signed()) {
        return Err(Refusal::expired());
    }
    check_signatures(transaction)?;
    check_reference(chain, transaction)?;
    if transaction.encode().len() > MAX_TRANSACTION_BYTES {
        return Err(Refusal::new(
            "TOO_BIG_TRANSACTION_ERROR",
            "Too big transaction",
        ));
    }
    if raw.expiration > head_time.saturating_add(MAX_VALIDITY_MS) {
        return Err(Refusal::expired());
    }
    if chain.height_of_tx(transaction.id).is_some() || chain.is_pending(transaction.id) {
        return Err(Refusal::new("DUP_TRANSACTION_ERROR", "Dup transaction."));
    }
    check_owner(chain, transaction)?;
    match &raw.call {
        Call::Transfer { owner, to, amount } => check_transfer(chain, *owner, *to, *amount),
        Call::Trigger(trigger) if trigger.call_value != 0 || trigger.call_token_value != 0 => Err(
            Refusal::contract("the sandbox's contracts take no call_value"),
        ),
        Call::Trigger(_) if !(0..=MAX_FEE_LIMIT_SUN).contains(&raw.fee_limit) => Err(
            Refusal::contract(format!("feeLimit must be >= 0 and <= {MAX_FEE_LIMIT_SUN}")),
        ),
        Call::Trigger(trigger) if Contract::at(trigger.contract).is_none() => {
            Err(Refusal::contract("No contract or not a smart contract"))
        }
        Call::Trigger(_) => Ok(()),
    }
}

/// Every account here has the default permissions: its own key alone, with weight 1.
fn check_signatures(transaction: &Transaction) -> Result<(), Refusal> {
    let owner = transaction.raw.call.owner();
    match transaction.signatures.len() {
        0 => return Err(Refusal::signature("miss sig or contract")),
        1 => {}
        count if count > MAX_SIGNATURES => return Err(Refusal::signature("too many signatures")),
        count => {
            let text = format!("Signature count is {count} more than key counts of permission : 1");
            return Err(Refusal::signature(text));
        }
    }
    match transaction.raw.permission_id {
        0 | 2 => {}
        _ => return Err(Refusal::signature("permission isn't exit")),
    }
    let signature = &transaction.signatures[0];
    if signature.len() < SIGNATURE_BYTES {
        return Err(Refusal::signature(format!(
            "Signature size is {}",
            signature.len()
        )));
    }
    match recover(&transaction.id.0, signature) {
        Some(signer) if signer == owner => Ok(()),
        Some(signer) => Err(Refusal::signature(format!(
            "{} is signed by {signer} but it is not contained of permission.",
            hex::encode(signature)
        ))),
        None => Err(Refusal::signature(
            "Could not recover public key from signature",
        )),
    }
}

/// The newest kept block whose height ends in the two reference bytes must have the reference hash.
fn check_reference(chain: &Chain, transaction: &Transaction) -> Result<(), Refusal> {
    const PERIOD: u64 = 0x1_0000;
    let raw = &transaction.raw;
    let refusal = || Refusal::new("TAPOS_ERROR", "Tapos check error.");
    let low = <[u8; 2]>::try_from(raw.ref_block_bytes.as_slice()).map_err(|_| refusal())?;
    let head = chain.head_height();
    let back = (head % PERIOD + PERIOD - u64::from(u16::from_be_bytes(low))) % PERIOD;
    let block = head
        .checked_sub(back)
        .and_then(|height| chain.block(height))
        .ok_or_else(refusal)?;
    let (bytes, hash) = reference(block.id);
    if (bytes, hash) == (raw.ref_block_bytes.clone(), raw.ref_block_hash.clone()) {
        Ok(())
    } else {
        Err(refusal())
    }
}

fn check_owner(chain: &Chain, transaction: &Transaction) -> Result<(), Refusal> {
    let owner = transaction.raw.call.owner();
    let account = Slot::Trx(owner);
    if !chain.state.exists(account) {
        return Err(Refusal::contract(format!(
            "account [{owner}] does not exist"
        )));
    }
    if chain.state.get(account) < u128::from(execute::bandwidth_fee(transaction)) {
        return Err(Refusal::new(
            "BANDWITH_ERROR",
            "Account resource insufficient error.",
        ));
    }
    Ok(())
}

fn check_transfer(chain: &Chain, owner: Address, to: Address, amount: i64) -> Result<(), Refusal> {
    if owner == to {
        return Err(Refusal::contract("Cannot transfer TRX to yourself."));
    }
    let Some(amount) = u128::try_from(amount).ok().filter(|amount| *amount > 0) else {
        return Err(Refusal::contract("Amount must be greater than 0."));
    };
    if Contract::at(to).is_some() {
        return Err(Refusal::contract("Cannot transfer TRX to a smartContract."));
    }
    if chain.state.get(Slot::Trx(owner)) < amount {
        return Err(Refusal::contract(
            "Validate TransferContract error, balance is not sufficient.",
        ));
    }
    Ok(())
}

/// `wallet/getsignweight`: the transaction's id, its owner's permission, and who has signed.
///
/// # Errors
/// When the body is not a transaction.
pub fn sign_weight(node: &Node<'_>, params: &Params) -> Result<Value, NodeError> {
    let transaction = match pack::transaction(params) {
        Ok(transaction) => transaction,
        Err(PackError::Malformed(error)) => return Err(error),
        Err(error) => {
            return Ok(json!({"result": {"code": "OTHER_ERROR", "message": error.to_string()}}));
        }
    };
    let owner = transaction.raw.call.owner();
    let shown = json!({
        "result": {"result": true},
        "txid": transaction.id.to_string(),
        "transaction": render::transaction(&transaction, params.form),
    });
    if !node.chain.state.exists(Slot::Trx(owner)) {
        let result = json!({"code": "PERMISSION_ERROR", "message": "Account does not exist!"});
        return Ok(json!({"result": result, "transaction": shown}));
    }
    let mut answer = json!({
        "result": {"code": "NOT_ENOUGH_PERMISSION"},
        "permission": owner_permission(owner, params.form),
        "transaction": shown,
    });
    if let Some(signature) = transaction.signatures.first() {
        match recover(&transaction.id.0, signature) {
            Some(signer) if signer == owner => {
                answer["approved_list"] = json!([params.form.show(owner)]);
                answer["current_weight"] = 1.into();
                answer["result"] = json!({});
            }
            Some(signer) => {
                let text = format!(
                    "{} is signed by {signer} but it is not contained of permission.",
                    hex::encode(signature)
                );
                answer["result"] = json!({"code": "PERMISSION_ERROR", "message": text});
            }
            None => {
                let text = format!("Signature size is {}", signature.len());
                answer["result"] = json!({"code": "SIGNATURE_FORMAT_ERROR", "message": text});
            }
        }
    }
    Ok(answer)
}

/// The permission that every account starts with.
pub fn owner_permission(owner: Address, form: AddressForm) -> Value {
    json!({"keys": [{"address": form.show(owner), "weight": 1}], "threshold": 1, "permission_name": "owner"})
}

#[cfg(test)]
#[path = "broadcast_tests.rs"]
mod tests;
