//! A token transfer on the wire: as a payment's credit, and as the cause of an event.

use serde::Serialize;

use super::chain_face::ChainFace;
use super::scalar::Text;
use crate::domain::address::Address;
use crate::domain::ids::TxId;
use crate::domain::payment::{Credit, CreditState, Payment, TransferRecord, TransferState};

/// One entry of a payment's `transfers`.
#[derive(Serialize)]
pub struct CreditObject {
    transaction_hash: Text<TxId>,
    log_index: u32,
    from: Text<Address>,
    amount: String,
    block_number: u64,
    /// Milliseconds, as the chain gives it.
    block_timestamp: u64,
    state: &'static str,
}

impl CreditObject {
    pub fn new(credit: &Credit, chain: &ChainFace<'_>) -> Self {
        Self {
            transaction_hash: Text(credit.txid),
            log_index: credit.log_index,
            from: Text(credit.from),
            amount: chain.decimal(credit.amount),
            block_number: credit.height.0,
            block_timestamp: credit.block_time.0,
            state: credit_word(credit.state),
        }
    }
}

/// The transfer that caused an event.
#[derive(Serialize)]
pub struct TransferObject {
    transaction_hash: Text<TxId>,
    log_index: u32,
    from: Text<Address>,
    to: Text<Address>,
    amount: String,
    block_number: u64,
    block_timestamp: u64,
    state: &'static str,
    /// Why it settled nothing.
    reason: Option<&'static str>,
}

impl TransferObject {
    pub fn new(
        transfer: &TransferRecord,
        payment: Option<&Payment>,
        chain: &ChainFace<'_>,
    ) -> Self {
        let (state, reason) = match transfer.state {
            TransferState::Credited(_) => (credited_word(transfer, payment), None),
            TransferState::Unmatched { reason, .. } => ("unmatched", Some(reason.as_str())),
            TransferState::Reverted => ("reverted", None),
        };
        Self {
            transaction_hash: Text(transfer.key.txid),
            log_index: transfer.key.log_index,
            from: Text(transfer.from),
            to: Text(transfer.to),
            amount: chain.decimal(transfer.amount),
            block_number: transfer.height.0,
            block_timestamp: transfer.block_time.0,
            state,
            reason,
        }
    }
}

/// How far a credited transfer has come; the payment knows.
fn credited_word(transfer: &TransferRecord, payment: Option<&Payment>) -> &'static str {
    let key = (transfer.key.txid, transfer.key.log_index);
    payment
        .and_then(|p| p.credits.iter().find(|c| (c.txid, c.log_index) == key))
        .map_or("seen", |credit| credit_word(credit.state))
}

const fn credit_word(state: CreditState) -> &'static str {
    match state {
        CreditState::Seen => "seen",
        CreditState::Confirmed => "confirmed",
        CreditState::Reverted => "reverted",
    }
}
