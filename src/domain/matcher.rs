//! Which payment a transfer belongs to, among those that watch its address.
//!
//! Pure choice: the candidates come in, oldest first; a verdict goes out. Changes nothing itself.

use super::amount::Amount;
use super::ids::PaymentId;
use super::payment::{MAX_CREDITS, MatchRule, Payment, Status, TransferRecord, UnmatchedReason};

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
        return unmatched(UnmatchedReason::Early, candidates.first());
    }
    let accepting = || known.iter().filter(|p| p.accepts(transfer.block_time));
    let exact = accepting()
        .filter(|p| p.rule == MatchRule::Exact && fits(p, transfer.amount))
        .min_by_key(|p| (distance(p.to_pay, transfer.amount), p.id));
    if let Some(payment) = exact {
        return Verdict::Credit(payment.id);
    }
    if let Some(payment) = accepting().find(|p| p.rule == MatchRule::Accumulate) {
        return Verdict::Credit(payment.id);
    }
    judge_unfit(transfer, &known)
}

/// The transfer settles nothing: says why, and whose it most likely was.
fn judge_unfit(transfer: &TransferRecord, known: &[&Payment]) -> Verdict {
    let same_amount = |p: &&&Payment| p.rule == MatchRule::Exact && fits(p, transfer.amount);
    if let Some(payment) = known
        .iter()
        .filter(same_amount)
        .find(|p| is_late(p, transfer))
    {
        return Verdict::Late(payment.id);
    }
    let mut open_exact = known
        .iter()
        .filter(|p| p.rule == MatchRule::Exact && p.accepts(transfer.block_time));
    match (open_exact.next(), open_exact.next()) {
        (Some(payment), None) => return Verdict::Mismatch(payment.id),
        (Some(_), Some(_)) => return unmatched(UnmatchedReason::WrongAmount, None),
        _ => {}
    }
    let late = known
        .iter()
        .find(|p| p.rule == MatchRule::Accumulate && is_late(p, transfer));
    if let Some(payment) = late {
        return Verdict::Late(payment.id);
    }
    let closest = known
        .iter()
        .rev()
        .find(|p| same_amount(p))
        .or_else(|| known.last());
    unmatched(reason_for(closest.copied()), closest.copied())
}

fn reason_for(closest: Option<&Payment>) -> UnmatchedReason {
    match closest {
        Some(p) if p.credits.len() >= MAX_CREDITS => UnmatchedReason::TooMany,
        Some(p) => match p.status {
            Status::Completed | Status::Confirming => UnmatchedReason::Extra,
            Status::Cancelled => UnmatchedReason::Cancelled,
            Status::Pending | Status::Expired | Status::Underpaid => UnmatchedReason::WrongAmount,
        },
        None => UnmatchedReason::WrongAmount,
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

/// Whether two payments on one address could both claim the same transfer.
pub fn is_ambiguous(
    existing: &Payment,
    rule: MatchRule,
    to_pay: Amount,
    tolerance: Amount,
) -> bool {
    let either_accumulates =
        existing.rule == MatchRule::Accumulate || rule == MatchRule::Accumulate;
    let reach = existing.tolerance.saturating_add(tolerance);
    either_accumulates || distance(existing.to_pay, to_pay) <= reach
}
