//! The changes under construction: what a block, a fork or a final height does to each payment it touches.
//!
//! The ledger's own workbench. It keeps payments as a decision found them and as it leaves them, lets the matcher judge
//! transfers, and notes what must be announced. Refuses to decide whether a block may be processed at all.

mod by_hand;

use std::collections::{BTreeSet, HashMap};

use super::amount::Amount;
use super::amount_choice::ANY_AMOUNT;
use super::chain::Transfer;
use super::changes::{ChainChange, Changes, PaymentChange, Timer, Unfinished, View, ViewError};
use super::claim::{ClaimGroup, ClaimOrder, ClaimQuery};
use super::event::{AfterCompletion, Event, EventKind};
use super::ids::{ChainId, Height, PaymentId, TransferKey, UnixMs, Watched};
use super::ledger::BATCH_PAYMENTS;
use super::matcher::{self, Verdict};
use super::payment::{
    Basis, ChainPoint, Credit, CreditState, MatchRule, Payment, Status, TransferRecord,
    TransferState, UnmatchedReason, depth,
};

/// Payments of one kind that are looked at for one transfer at most, beside those that this commit has moved on.
const CANDIDATES: usize = 64;
/// Payments asking for less, and for more, than a transfer's amount that are looked at.
const NEIGHBOURS: usize = 2;

/// The changes under construction: payments as this decision found them and as it leaves them.
pub(super) struct Draft<'a> {
    view: &'a dyn View,
    chain: ChainId,
    now: UnixMs,
    payments: HashMap<PaymentId, (Payment, Payment)>,
    /// Ids in the order of their first touch, so that equal inputs give equal outputs.
    order: Vec<PaymentId>,
    transfers: Vec<TransferRecord>,
    events: Vec<Event>,
    /// Payments that have left the place where the view still shows them.
    moved: usize,
    unfinished: Unfinished,
}

impl<'a> Draft<'a> {
    pub(super) fn new(view: &'a dyn View, chain: ChainId, now: UnixMs) -> Self {
        Self {
            view,
            chain,
            now,
            payments: HashMap::new(),
            order: Vec::new(),
            transfers: Vec::new(),
            events: Vec::new(),
            moved: 0,
            unfinished: Unfinished::No,
        }
    }

    /// Loads a payment for change; absent ones are passed over.
    pub(super) fn open(&mut self, id: PaymentId) -> Result<Option<&Payment>, ViewError> {
        if !self.payments.contains_key(&id) {
            let Some(payment) = self.view.payment(id)? else {
                return Ok(None);
            };
            self.order.push(id);
            self.payments.insert(id, (payment.clone(), payment));
        }
        Ok(self.payments.get(&id).map(|(_, after)| after))
    }

    pub(super) fn get_mut(&mut self, id: PaymentId) -> Option<&mut Payment> {
        self.payments.get_mut(&id).map(|(_, after)| after)
    }

    pub(super) fn ring_timers(&mut self, at: ChainPoint) -> Result<(), ViewError> {
        let due =
            self.view
                .timers_before(Timer::Deadline(self.chain), at.tip_time, BATCH_PAYMENTS)?;
        let ended =
            self.view
                .timers_before(Timer::GraceEnd(self.chain), at.tip_time, BATCH_PAYMENTS)?;
        if due.len().max(ended.len()) >= BATCH_PAYMENTS {
            self.unfinished = Unfinished::Yes;
        }
        for id in due {
            self.open(id)?;
            self.settle(id, at, None);
        }
        for id in ended {
            self.open(id)?;
        }
        self.end_watches(at);
        Ok(())
    }

    /// One block can lie behind a payment's end and behind its grace period too: after a gap in block times, or when
    /// the blocks in between were searched.
    fn end_watches(&mut self, at: ChainPoint) {
        for (_, payment) in self.payments.values_mut() {
            let over = !payment.status.is_open() && payment.unwatch_at() < at.tip_time;
            if over && payment.watched {
                payment.watched = false;
                self.moved += 1;
            }
        }
    }

    pub(super) fn confirm(&mut self, at: ChainPoint) -> Result<(), ViewError> {
        let ids = self.view.awaiting(self.chain, at, BATCH_PAYMENTS)?;
        if ids.len() >= BATCH_PAYMENTS {
            self.unfinished = Unfinished::Yes;
        }
        for id in ids {
            self.open(id)?;
            self.settle(id, at, None);
        }
        Ok(())
    }

    pub(super) fn take_transfer(
        &mut self,
        transfer: &Transfer,
        at: ChainPoint,
    ) -> Result<(), ViewError> {
        let key = TransferKey {
            chain: self.chain,
            txid: transfer.txid,
            log_index: transfer.log_index,
        };
        if transfer.amount.is_zero() || self.is_settled(&key)? {
            return Ok(());
        }
        let mut record = TransferRecord {
            key,
            from: transfer.from,
            to: transfer.to,
            amount: transfer.amount,
            height: at.tip,
            block_time: at.tip_time,
            state: TransferState::Reverted,
            assigned: None,
        };
        if let Some(assignment) = self.take_promise(&record)? {
            self.keep_promise(record, assignment, at);
            return Ok(());
        }
        let candidates = self.candidates(transfer)?;
        if candidates.is_empty() {
            return Ok(());
        }
        let verdict = matcher::judge(&record, &candidates);
        record.state = state_after(verdict);
        self.put_transfer(record);
        self.carry_out(verdict, record, at);
        Ok(())
    }

    /// The payments that matter for a transfer, oldest first: of each group those that ask for its amount, the
    /// nearest that ask for another, and those that gather any.
    fn candidates(&mut self, transfer: &Transfer) -> Result<Vec<Payment>, ViewError> {
        use MatchRule::{Accumulate, Exact};
        let amount = transfer.amount;
        let mut ids = BTreeSet::new();
        for group in ClaimGroup::ALL {
            let asked = (Exact, amount, amount, group.order(), CANDIDATES);
            let below = (Exact, Amount::ZERO, amount, ClaimOrder::Falling, NEIGHBOURS);
            let above = (Exact, amount, Amount::MAX, ClaimOrder::Rising, NEIGHBOURS);
            let (low, high) = ANY_AMOUNT;
            let any = (Accumulate, low, high, group.order(), CANDIDATES);
            for (rule, low, high, order, limit) in [asked, below, above, any] {
                let query = ClaimQuery {
                    watched: Watched {
                        chain: self.chain,
                        address: transfer.to,
                    },
                    rule,
                    group,
                    low,
                    high,
                    order,
                    limit: limit + self.moved,
                };
                ids.extend(self.view.claims(&query)?.iter().map(|claim| claim.id));
            }
        }
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.open(id)?.filter(|p| p.watched).cloned());
        }
        Ok(found)
    }

    /// Whether this very transfer has been dealt with and not been taken back since.
    fn is_settled(&self, key: &TransferKey) -> Result<bool, ViewError> {
        let known = match self.transfers.iter().find(|t| t.key == *key) {
            Some(here) => Some(*here),
            None => self.view.transfer(key)?,
        };
        Ok(known.is_some_and(|t| t.state != TransferState::Reverted))
    }

    /// Notes what became of a transfer, in place of what this decision had noted of it before.
    fn put_transfer(&mut self, record: TransferRecord) {
        match self.transfers.iter_mut().find(|t| t.key == record.key) {
            Some(here) => *here = record,
            None => self.transfers.push(record),
        }
    }

    fn carry_out(&mut self, verdict: Verdict, record: TransferRecord, at: ChainPoint) {
        match verdict {
            Verdict::Credit(id) => {
                if let Some(payment) = self.get_mut(id) {
                    payment.credit(credit_of(&record, Basis::Matched));
                }
                self.settle(id, at, Some(record));
            }
            Verdict::Mismatch(id) => self.announce(EventKind::Mismatched, id, Some(record), at.tip),
            Verdict::Late(id) => self.announce(EventKind::Late, id, Some(record), at.tip),
            Verdict::Unmatched {
                payment: Some(id), ..
            } => {
                self.announce(EventKind::TransferUnmatched, id, Some(record), at.tip);
            }
            Verdict::Unmatched { payment: None, .. } => self.events.push(Event {
                kind: EventKind::TransferUnmatched,
                at: self.now,
                payment: None,
                transfer: Some(record),
                confirmations: 1,
                after_completion: AfterCompletion::No,
                endpoint: None,
            }),
        }
    }

    pub(super) fn take_back(
        &mut self,
        mut record: TransferRecord,
        at: ChainPoint,
    ) -> Result<(), ViewError> {
        let state = record.state;
        record.state = TransferState::Reverted;
        self.put_transfer(record);
        let TransferState::Credited(id) = state else {
            return Ok(());
        };
        self.open(id)?;
        let now = self.now;
        let Some(payment) = self.get_mut(id) else {
            return Ok(());
        };
        let was_completed = payment.status == Status::Completed;
        if !payment.revert(&record.key) {
            return Ok(());
        }
        let before = payment.status;
        payment.settle(at, now);
        let after = if was_completed && payment.status != Status::Completed {
            AfterCompletion::Yes
        } else {
            AfterCompletion::No
        };
        self.announce_with(EventKind::Reverted, id, Some(record), at.tip, after);
        self.announce_status(id, before, at);
        Ok(())
    }

    /// Re-derives a payment's status; announces a credit (when one came) and then each change of status.
    fn settle(&mut self, id: PaymentId, at: ChainPoint, credited: Option<TransferRecord>) {
        let now = self.now;
        let Some(payment) = self.get_mut(id) else {
            return;
        };
        let before = payment.status;
        payment.settle(at, now);
        if let Some(record) = credited {
            self.announce_credit(EventKind::Detected, record, id, before, at);
        }
        self.announce_status(id, before, at);
    }

    /// Announces the status that a payment has come to, if it is another than before.
    fn announce_status(&mut self, id: PaymentId, before: Status, at: ChainPoint) {
        let Some(payment) = self.get_mut(id) else {
            return;
        };
        let (after, overpaid) = (payment.status, payment.is_overpaid());
        if before == after {
            return;
        }
        self.moved += 1;
        match after {
            Status::Completed => {
                self.announce(EventKind::Completed, id, None, at.tip);
                if overpaid {
                    self.announce(EventKind::Overpaid, id, None, at.tip);
                }
            }
            Status::Underpaid => self.announce(EventKind::Underpaid, id, None, at.tip),
            Status::Expired => self.announce(EventKind::Expired, id, None, at.tip),
            Status::Pending | Status::Confirming | Status::Cancelled => {}
        }
    }

    /// A payment that completes by this very credit is still announced as seen first.
    fn announce_credit(
        &mut self,
        kind: EventKind,
        record: TransferRecord,
        id: PaymentId,
        before: Status,
        at: ChainPoint,
    ) {
        self.announce(kind, id, Some(record), at.tip);
        let announced = self.events.last_mut().and_then(|e| e.payment.as_mut());
        let completing = |p: &&mut Payment| p.status == Status::Completed && p.status != before;
        if let Some(payment) = announced.filter(completing) {
            payment.status = Status::Confirming;
            payment.completed_at = None;
            payment.closed_at = None;
            payment.final_confirmations = None;
        }
    }

    pub(super) fn announce(
        &mut self,
        kind: EventKind,
        id: PaymentId,
        transfer: Option<TransferRecord>,
        tip: Height,
    ) {
        self.announce_with(kind, id, transfer, tip, AfterCompletion::No);
    }

    fn announce_with(
        &mut self,
        kind: EventKind,
        id: PaymentId,
        transfer: Option<TransferRecord>,
        tip: Height,
        after_completion: AfterCompletion,
    ) {
        let Some((_, payment)) = self.payments.get(&id) else {
            return;
        };
        // Of the transaction that the event names, which need not be one of the payment's credits.
        let confirmations = transfer.map_or_else(
            || payment.confirmations_at(tip),
            |named| depth(named.height, tip),
        );
        self.events.push(Event {
            kind,
            at: self.now,
            confirmations,
            payment: Some(payment.clone()),
            transfer,
            after_completion,
            endpoint: None,
        });
    }

    pub(super) fn finish(mut self, chain: Option<ChainChange>) -> Changes {
        let payments = self
            .order
            .iter()
            .filter_map(|id| self.payments.remove(id))
            .filter(|(before, after)| before != after)
            .map(|(before, after)| PaymentChange {
                before: Some(before),
                after: Some(after),
            })
            .collect();
        Changes {
            payments,
            transfers: self.transfers,
            events: self.events,
            chain: chain.map(|change| (self.chain, change)),
            unfinished: self.unfinished,
            ..Changes::default()
        }
    }
}

fn credit_of(record: &TransferRecord, basis: Basis) -> Credit {
    Credit {
        txid: record.key.txid,
        log_index: record.key.log_index,
        from: record.from,
        amount: record.amount,
        height: record.height,
        block_time: record.block_time,
        state: CreditState::Seen,
        basis,
    }
}

fn state_after(verdict: Verdict) -> TransferState {
    match verdict {
        Verdict::Credit(id) => TransferState::Credited(id),
        Verdict::Mismatch(id) => TransferState::Unmatched {
            reason: UnmatchedReason::WrongAmount,
            payment: Some(id),
        },
        Verdict::Late(id) => TransferState::Unmatched {
            reason: UnmatchedReason::Late,
            payment: Some(id),
        },
        Verdict::Unmatched { reason, payment } => TransferState::Unmatched { reason, payment },
    }
}
