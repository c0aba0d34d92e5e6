//! Which payment a transfer belongs to, among those that watch its address.
//!
//! Pure choice: the candidates come in, oldest first; a verdict goes out. Changes nothing itself.

use std::cmp::Reverse;

use super::amount::Amount;
use super::ids::PaymentId;
use super::payment::{MatchRule, Payment, Status, TransferRecord, UnmatchedReason};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The transfer counts towards this payment.
    Credit(PaymentId),
    /// The only open payment on the address asks for another amount.
    Mismatch(PaymentId),
    /// It fits a payment whose deadline has passed.
    Late(PaymentId),
    /// Kept for a person to look at.
    Unmatched {
        reason: UnmatchedReason,
        payment: Option<PaymentId>,
    },
}

/// Decides what a transfer means. `candidates` watch its address, oldest first.
pub fn judge(transfer: &TransferRecord, candidates: &[Payment]) -> Verdict {
    let known: Vec<&Payment> = candidates
        .iter()
        .filter(|p| p.existed_at(transfer.height, transfer.block_time))
        .collect();
    if known.is_empty() {
        let meant = nearest(transfer, candidates.iter());
        return unmatched(UnmatchedReason::Early, meant);
    }
    let exact = accepting(transfer, &known, MatchRule::Exact)
        .filter(|p| fits(p, transfer.amount))
        .min_by_key(|p| (distance(p.to_pay, transfer.amount), p.id));
    let taker = exact.or_else(|| {
        accepting(transfer, &known, MatchRule::Accumulate).find(|p| p.has_room_for(transfer.amount))
    });
    match taker {
        Some(payment) => Verdict::Credit(payment.id),
        None => judge_unfit(transfer, &known),
    }
}

/// Those of a rule that wait for money and are in time for it.
fn accepting<'a>(
    transfer: &TransferRecord,
    known: &[&'a Payment],
    rule: MatchRule,
) -> impl Iterator<Item = &'a Payment> {
    known
        .iter()
        .copied()
        .filter(move |p| p.rule == rule && p.accepts(transfer.block_time))
}

/// The transfer settles nothing: says why, and whose it most likely was. A payment that asked for the very amount
/// comes first, whatever became of it; then the one that waits for another amount; then the nearest amount.
fn judge_unfit(transfer: &TransferRecord, known: &[&Payment]) -> Verdict {
    let asked = || {
        known
            .iter()
            .copied()
            .filter(|p| p.rule == MatchRule::Exact && fits(p, transfer.amount))
    };
    if let Some(payment) = asked().find(|p| is_late(p, transfer)) {
        return Verdict::Late(payment.id);
    }
    if let Some(payment) = asked().next_back() {
        return unmatched(reason_for(payment), Some(payment));
    }
    let mut waiting = accepting(transfer, known, MatchRule::Exact);
    match (waiting.next(), waiting.next()) {
        (Some(payment), None) => return Verdict::Mismatch(payment.id),
        (Some(_), Some(_)) => return unmatched(UnmatchedReason::WrongAmount, None),
        _ => {}
    }
    let gathering = || {
        known
            .iter()
            .copied()
            .filter(|p| p.rule == MatchRule::Accumulate)
    };
    if let Some(payment) = gathering().find(|p| is_late(p, transfer)) {
        return Verdict::Late(payment.id);
    }
    if let Some(payment) = gathering().next_back() {
        return unmatched(reason_for(payment), Some(payment));
    }
    let meant = nearest(transfer, known.iter().copied());
    unmatched(UnmatchedReason::WrongAmount, meant)
}

/// The newest of those whose amount is nearest.
fn nearest<'a>(
    transfer: &TransferRecord,
    payments: impl Iterator<Item = &'a Payment>,
) -> Option<&'a Payment> {
    payments.min_by_key(|p| (distance(p.to_pay, transfer.amount), Reverse(p.id)))
}

/// Why a payment that asked for this amount, or for any, does not take it.
fn reason_for(payment: &Payment) -> UnmatchedReason {
    match payment.status {
        Status::Completed | Status::Confirming => UnmatchedReason::Extra,
        Status::Cancelled => UnmatchedReason::Cancelled,
        Status::Pending | Status::Expired | Status::Underpaid => UnmatchedReason::TooMany,
    }
}

/// A payment that was still waiting when its time ran out.
fn is_late(payment: &Payment, transfer: &TransferRecord) -> bool {
    let unpaid = matches!(
        payment.status,
        Status::Pending | Status::Expired | Status::Underpaid
    );
    unpaid && !payment.in_time(transfer.block_time)
}

fn unmatched(reason: UnmatchedReason, payment: Option<&Payment>) -> Verdict {
    Verdict::Unmatched {
        reason,
        payment: payment.map(|p| p.id),
    }
}

fn fits(payment: &Payment, amount: Amount) -> bool {
    distance(payment.to_pay, amount) <= payment.tolerance
}

fn distance(a: Amount, b: Amount) -> Amount {
    a.saturating_sub(b).max(b.saturating_sub(a))
}
