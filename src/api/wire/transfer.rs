//! A token transfer on the wire: as a payment's credit, and as the cause of an event.

use serde::Serialize;

use super::chain_face::ChainFace;
use super::scalar::{Seconds, Text};
use crate::chains::Chains;
use crate::domain::address::Address;
use crate::domain::api_key::KeyId;
use crate::domain::ids::{PaymentId, TransferKey, TxId};
use crate::domain::payment::{
    Assignment, Basis, Credit, CreditState, Payment, TransferRecord, TransferState, depth,
};

const BY_MATCH: &str = "match";
const BY_HAND: &str = "hand";

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
    /// Who found that it belongs here: `match` or `hand`.
    settled_by: &'static str,
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
            settled_by: match credit.basis {
                Basis::Matched => BY_MATCH,
                Basis::ByHand => BY_HAND,
            },
        }
    }
}

/// The transfer that caused an event.
#[derive(Serialize)]
pub struct TransferObject {
    id: Text<TransferKey>,
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
    assigned: Option<AssignmentObject>,
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
            id: Text(transfer.key),
            transaction_hash: Text(transfer.key.txid),
            log_index: transfer.key.log_index,
            from: Text(transfer.from),
            to: Text(transfer.to),
            amount: chain.decimal(transfer.amount),
            block_number: transfer.height.0,
            block_timestamp: transfer.block_time.0,
            state,
            reason,
            assigned: transfer.assigned.as_ref().map(AssignmentObject::new),
        }
    }
}

/// An operator's decision on a transfer.
#[derive(Serialize)]
pub struct AssignmentObject {
    payment_id: Text<PaymentId>,
    at: Seconds,
    /// The key of whoever decided; null where none was needed.
    by: Option<Text<KeyId>>,
    /// Why the transfer had settled nothing.
    reason: &'static str,
    /// The payment that it had been taken to be meant for.
    meant_for: Option<Text<PaymentId>>,
}

impl AssignmentObject {
    fn new(assignment: &Assignment) -> Self {
        Self {
            payment_id: Text(assignment.payment),
            at: Seconds(assignment.at),
            by: assignment.by.map(Text),
            reason: assignment.reason.as_str(),
            meant_for: assignment.meant_for.map(Text),
        }
    }
}

/// A transfer as a resource of its own: whoever it belongs to, and how far it has come on its chain.
#[derive(Serialize)]
pub struct ListedTransfer<'a> {
    id: Text<TransferKey>,
    chain: &'a str,
    currency: &'a str,
    transaction_hash: Text<TxId>,
    log_index: u32,
    from: Text<Address>,
    to: Text<Address>,
    amount: String,
    block_number: u64,
    /// Milliseconds, as the chain gives it.
    block_timestamp: u64,
    /// `unmatched`, `credited` or `reverted`.
    state: &'static str,
    /// Why it settled nothing.
    reason: Option<&'static str>,
    /// Whom it settles, or most likely was meant for.
    payment_id: Option<Text<PaymentId>>,
    settled_by: Option<&'static str>,
    assigned: Option<AssignmentObject>,
    /// None for a transfer that is in no block of our chain.
    confirmations: u32,
    #[serde(rename = "final")]
    is_final: bool,
}

impl<'a> ListedTransfer<'a> {
    pub fn new(transfer: &TransferRecord, chains: &'a Chains) -> Self {
        let chain = ChainFace::of(chains, transfer.key.chain);
        let assigned = transfer.assigned.as_ref();
        let (state, reason, payment, settled_by) = match transfer.state {
            TransferState::Credited(id) => {
                let by = assigned.map_or(BY_MATCH, |_| BY_HAND);
                ("credited", None, Some(id), Some(by))
            }
            TransferState::Unmatched { reason, payment } => {
                ("unmatched", Some(reason.as_str()), payment, None)
            }
            TransferState::Reverted => ("reverted", None, assigned.map(|a| a.payment), None),
        };
        let in_block = transfer.state != TransferState::Reverted;
        Self {
            id: Text(transfer.key),
            chain: chain.name,
            currency: chain.currency,
            transaction_hash: Text(transfer.key.txid),
            log_index: transfer.key.log_index,
            from: Text(transfer.from),
            to: Text(transfer.to),
            amount: chain.decimal(transfer.amount),
            block_number: transfer.height.0,
            block_timestamp: transfer.block_time.0,
            state,
            reason,
            payment_id: payment.map(Text),
            settled_by,
            assigned: assigned.map(AssignmentObject::new),
            confirmations: if in_block {
                depth(transfer.height, chain.tip)
            } else {
                0
            },
            is_final: in_block && transfer.height <= chain.final_height,
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
