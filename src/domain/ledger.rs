//! The ledger: what a command, a block, a fork or a final height means for the payments it touches.
//!
//! Pure: reads a `View`, returns `Changes` or a refusal. It checks that blocks extend the cursor, so that
//! no caller can process a block twice or out of order. Refuses to know sockets, webhooks and storage.

use std::collections::{BTreeSet, HashMap};

use thiserror::Error;

use super::amount::Amount;
use super::chain::{Block, BlockHeader, Transfer};
use super::changes::{ChainChange, Changes, PaymentChange, Timer, Unfinished, View, ViewError};
use super::claim::{ClaimGroup, ClaimKey, ClaimOrder, ClaimQuery};
use super::event::{AfterCompletion, Event, EventKind};
use super::ids::{BlockHash, ChainId, Height, PaymentId, TransferKey, UnixMs, Watched};
use super::matcher::{self, Verdict};
use super::payment::{
    AmountMode, ChainPoint, Credit, CreditState, MatchRule, Payment, Status, TransferRecord,
    TransferState, UnmatchedReason, depth,
};

/// Timers and confirmations handled in one commit at most; the rest follows in the next.
pub const BATCH_PAYMENTS: usize = 5_000;
/// Payments of one kind that are looked at for one transfer at most, beside those that this commit has moved on.
const CANDIDATES: usize = 64;
/// Payments asking for less, and for more, than a transfer's amount that are looked at.
const NEIGHBOURS: usize = 2;

/// Why a decision was refused. The caller's state is behind, or the request cannot be met.
#[derive(Debug, Error)]
pub enum Refusal {
    #[error(transparent)]
    View(#[from] ViewError),
    #[error("order_id is already used by payment {0}")]
    OrderTaken(PaymentId),
    #[error("an open payment on this address already claims this amount (payment {0})")]
    AmountAmbiguous(PaymentId),
    #[error("no unique amount is left within {} base units on this address", .0.base_units())]
    NoUniqueAmount(Amount),
    #[error("there is no such payment")]
    NoSuchPayment,
    #[error("a payment that is {} cannot be cancelled", .0.as_str())]
    NotCancellable(Status),
    #[error("block {height} does not extend the cursor")]
    NotNext { height: Height },
    #[error("block {height} does not follow our block before it: its parent is {parent}")]
    ParentMismatch { height: Height, parent: BlockHash },
    #[error("block {height} {hash} is not on the chain we follow")]
    NotOurs { height: Height, hash: BlockHash },
    #[error("payments are watched; the cursor cannot jump over their blocks")]
    JumpWhileWatching,
    #[error("the fork reaches below the final height {0}")]
    BelowFinal(Height),
}

/// What happens when two open payments on one address could claim the same transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmbiguityRule {
    Reject,
    OldestFirst,
}

/// How a new payment's amount is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmountPolicy {
    pub ambiguity: AmbiguityRule,
    /// The most that `unique` may add.
    pub unique_cap: Amount,
}

/// Creates a payment. `new` arrives checked, with its id, as pending; only its place among the others is decided here.
pub fn create(
    view: &dyn View,
    mut new: Payment,
    policy: AmountPolicy,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    if let Some(other) = view.payment_by_order(&new.order_id)? {
        return Err(Refusal::OrderTaken(other));
    }
    match new.amount_mode {
        AmountMode::Unique => new.to_pay = unique_amount(view, &new, policy.unique_cap)?,
        AmountMode::Fixed if policy.ambiguity == AmbiguityRule::Reject => {
            refuse_rivals(view, &new)?
        }
        AmountMode::Fixed => {}
    }
    let event = Event {
        kind: EventKind::Created,
        at: now,
        payment: Some(new.clone()),
        transfer: None,
        confirmations: 0,
        after_completion: AfterCompletion::No,
    };
    Ok(Changes {
        payments: vec![PaymentChange {
            before: None,
            after: Some(new),
        }],
        events: vec![event],
        ..Changes::default()
    })
}

/// Claims of an address's payments on any amount from `low` to `high`.
fn claims_of(
    new: &Payment,
    rule: MatchRule,
    group: ClaimGroup,
    (low, high): (Amount, Amount),
    limit: usize,
) -> ClaimQuery {
    ClaimQuery {
        watched: new.watched_address(),
        rule,
        group,
        low,
        high,
        order: ClaimOrder::Rising,
        limit,
    }
}

const ANY_AMOUNT: (Amount, Amount) = (Amount::ZERO, Amount::MAX);

/// Refuses a payment while an open one on the address could claim the same transfer.
fn refuse_rivals(view: &dyn View, new: &Payment) -> Result<(), Refusal> {
    let own = ClaimKey::of(new).claim;
    let span = match new.rule {
        MatchRule::Exact => (own.low(), own.high()),
        MatchRule::Accumulate => ANY_AMOUNT,
    };
    for (rule, span) in [
        (MatchRule::Exact, span),
        (MatchRule::Accumulate, ANY_AMOUNT),
    ] {
        for group in ClaimGroup::OPEN {
            let rivals = view.claims(&claims_of(new, rule, group, span, 1))?;
            if let Some(rival) = rivals.first() {
                return Err(Refusal::AmountAmbiguous(rival.id));
            }
        }
    }
    Ok(())
}

/// The least amount from the expected one upwards that no open or grace-period payment on the address claims.
///
/// A closed payment that takes any amount does not count: no choice of amount could keep its payer's next transfer apart.
fn unique_amount(view: &dyn View, new: &Payment, cap: Amount) -> Result<Amount, Refusal> {
    if new.rule == MatchRule::Accumulate {
        return refuse_rivals(view, new).map(|()| new.expected);
    }
    for group in ClaimGroup::OPEN {
        let query = claims_of(new, MatchRule::Accumulate, group, ANY_AMOUNT, 1);
        if let Some(rival) = view.claims(&query)?.first() {
            return Err(Refusal::AmountAmbiguous(rival.id));
        }
    }
    let limit = new.expected.saturating_add(cap);
    let low = new.expected.saturating_sub(new.tolerance);
    let high = limit.saturating_add(new.tolerance);
    let mut taken = Vec::new();
    for group in ClaimGroup::ALL {
        let query = claims_of(new, MatchRule::Exact, group, (low, high), usize::MAX);
        for claim in view.claims(&query)? {
            taken.push((
                claim.low().saturating_sub(new.tolerance),
                claim.high().saturating_add(new.tolerance),
            ));
        }
    }
    taken.sort_unstable();
    let mut candidate = new.expected;
    for (from, to) in taken {
        if from > candidate {
            break;
        }
        if to >= candidate {
            candidate = to
                .checked_add(Amount::from_base_units(1))
                .ok_or(Refusal::NoUniqueAmount(cap))?;
        }
    }
    if candidate > limit {
        return Err(Refusal::NoUniqueAmount(cap));
    }
    Ok(candidate)
}

/// Cancels a payment that waits for money.
pub fn cancel(view: &dyn View, id: PaymentId, now: UnixMs) -> Result<Changes, Refusal> {
    let before = view.payment(id)?.ok_or(Refusal::NoSuchPayment)?;
    if before.status != Status::Pending {
        return Err(Refusal::NotCancellable(before.status));
    }
    let tip = view
        .cursor(before.chain)?
        .map(|c| c.tip.height)
        .unwrap_or_default();
    let mut draft = Draft::new(view, before.chain, now);
    draft.open(id)?;
    if let Some(payment) = draft.get_mut(id) {
        payment.cancel(now);
    }
    draft.announce(EventKind::Cancelled, id, None, tip);
    Ok(draft.finish(None))
}

/// Takes in the block after the cursor: deadlines before it, its transfers, what it confirms.
pub fn extend(
    view: &dyn View,
    chain: ChainId,
    block: &Block,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    let header = block.header;
    let cursor = view.cursor(chain)?.ok_or(Refusal::NotNext {
        height: header.height,
    })?;
    if header.height != cursor.tip.height.next() {
        return Err(Refusal::NotNext {
            height: header.height,
        });
    }
    if header.parent != cursor.tip.hash {
        return Err(Refusal::ParentMismatch {
            height: header.height,
            parent: header.parent,
        });
    }
    let at = ChainPoint {
        tip: header.height,
        tip_time: header.time,
        final_height: cursor.final_height,
    };
    let mut draft = Draft::new(view, chain, now);
    draft.ring_timers(at)?;
    for transfer in &block.transfers {
        draft.take_transfer(transfer, at)?;
    }
    draft.confirm(at)?;
    Ok(draft.finish(Some(ChainChange::Append(header))))
}

/// Works off timers and confirmations that did not fit the commit of their block.
pub fn catch_up(view: &dyn View, chain: ChainId, now: UnixMs) -> Result<Changes, Refusal> {
    let mut draft = Draft::new(view, chain, now);
    if let Some(cursor) = view.cursor(chain)? {
        draft.ring_timers(cursor.point())?;
        draft.confirm(cursor.point())?;
    }
    Ok(draft.finish(None))
}

/// Takes back all blocks above `to`, a block of ours that the new branch shares.
pub fn rollback(
    view: &dyn View,
    chain: ChainId,
    to: &BlockHeader,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    let cursor = view
        .cursor(chain)?
        .ok_or(Refusal::NotNext { height: to.height })?;
    let shared = match view.block(chain, to.height)? {
        Some(ours) => ours.hash == to.hash,
        // Below the oldest block we remember, all that we know is taken back.
        None => to.height < cursor.tip.height && view.block(chain, to.height.next())?.is_some(),
    };
    if !shared {
        return Err(Refusal::NotOurs {
            height: to.height,
            hash: to.hash,
        });
    }
    if to.height < cursor.final_height {
        return Err(Refusal::BelowFinal(cursor.final_height));
    }
    let at = ChainPoint {
        tip: to.height,
        tip_time: to.time,
        final_height: cursor.final_height,
    };
    let mut draft = Draft::new(view, chain, now);
    for record in view.transfers_above(chain, to.height)? {
        draft.take_back(record, at)?;
    }
    Ok(draft.finish(Some(ChainChange::Rollback(*to))))
}

/// Sets the cursor where no past is needed: at the first start, or when nothing is watched.
pub fn jump(
    view: &dyn View,
    chain: ChainId,
    to: &BlockHeader,
    watching: Watching,
) -> Result<Changes, Refusal> {
    // The caller's word is from before this commit; a payment may have been created since.
    let has_cursor = view.cursor(chain)?.is_some();
    if has_cursor && (watching == Watching::Something || view.watches(chain)?) {
        return Err(Refusal::JumpWhileWatching);
    }
    Ok(Changes {
        chain: Some((chain, ChainChange::Jump(*to))),
        ..Changes::default()
    })
}

/// Goes on with a chain that has begun anew, as a sandbox does: what was not final yet is taken back, what was stays.
pub fn restart(
    view: &dyn View,
    chain: ChainId,
    to: &BlockHeader,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    let final_height = view.cursor(chain)?.map(|c| c.final_height);
    let at = ChainPoint {
        tip: to.height,
        tip_time: to.time,
        final_height: Height(0),
    };
    let mut draft = Draft::new(view, chain, now);
    for record in view.transfers_above(chain, final_height.unwrap_or_default())? {
        draft.take_back(record, at)?;
    }
    Ok(draft.finish(Some(ChainChange::Jump(*to))))
}

/// Whether any payment takes notice of transfers on a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watching {
    Nothing,
    Something,
}

/// Learns that a block of ours is final.
pub fn finalize(
    view: &dyn View,
    chain: ChainId,
    header: &BlockHeader,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    let cursor = view.cursor(chain)?.ok_or(Refusal::NotNext {
        height: header.height,
    })?;
    if header.height <= cursor.final_height {
        return Ok(Changes::default());
    }
    our_block(view, chain, header)?;
    let at = ChainPoint {
        final_height: header.height,
        ..cursor.point()
    };
    let mut draft = Draft::new(view, chain, now);
    draft.confirm(at)?;
    Ok(draft.finish(Some(ChainChange::Final(header.height))))
}

/// The block of this height and hash as we processed it.
fn our_block(view: &dyn View, chain: ChainId, named: &BlockHeader) -> Result<BlockHeader, Refusal> {
    view.block(chain, named.height)?
        .filter(|ours| ours.hash == named.hash)
        .ok_or(Refusal::NotOurs {
            height: named.height,
            hash: named.hash,
        })
}

/// Ends the life of closed payments that were closed before `before` (wall time).
pub fn remove_old(view: &dyn View, before: UnixMs) -> Result<Changes, Refusal> {
    let ids = view.timers_before(Timer::Closed, before, BATCH_PAYMENTS)?;
    let unfinished = unfinished_after(ids.len());
    let payments = load(view, &ids)?
        .into_iter()
        .map(|payment| PaymentChange {
            before: Some(payment),
            after: None,
        })
        .collect();
    Ok(Changes {
        payments,
        unfinished,
        ..Changes::default()
    })
}

fn load(view: &dyn View, ids: &[PaymentId]) -> Result<Vec<Payment>, ViewError> {
    ids.iter()
        .filter_map(|id| view.payment(*id).transpose())
        .collect()
}

fn unfinished_after(count: usize) -> Unfinished {
    if count >= BATCH_PAYMENTS {
        Unfinished::Yes
    } else {
        Unfinished::No
    }
}

/// The changes under construction: payments as this decision found them and as it leaves them.
struct Draft<'a> {
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
    fn new(view: &'a dyn View, chain: ChainId, now: UnixMs) -> Self {
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
    fn open(&mut self, id: PaymentId) -> Result<Option<&Payment>, ViewError> {
        if !self.payments.contains_key(&id) {
            let Some(payment) = self.view.payment(id)? else {
                return Ok(None);
            };
            self.order.push(id);
            self.payments.insert(id, (payment.clone(), payment));
        }
        Ok(self.payments.get(&id).map(|(_, after)| after))
    }

    fn get_mut(&mut self, id: PaymentId) -> Option<&mut Payment> {
        self.payments.get_mut(&id).map(|(_, after)| after)
    }

    fn ring_timers(&mut self, at: ChainPoint) -> Result<(), ViewError> {
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
            if let Some(payment) = self.get_mut(id) {
                payment.watched = false;
                self.moved += 1;
            }
        }
        Ok(())
    }

    fn confirm(&mut self, at: ChainPoint) -> Result<(), ViewError> {
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

    fn take_transfer(&mut self, transfer: &Transfer, at: ChainPoint) -> Result<(), ViewError> {
        let key = TransferKey {
            chain: self.chain,
            txid: transfer.txid,
            log_index: transfer.log_index,
        };
        if transfer.amount.is_zero() || self.is_settled(&key)? {
            return Ok(());
        }
        let candidates = self.candidates(transfer)?;
        if candidates.is_empty() {
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
        };
        let verdict = matcher::judge(&record, &candidates);
        record.state = state_after(verdict);
        self.transfers.push(record);
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
        if self.transfers.iter().any(|t| t.key == *key) {
            return Ok(true);
        }
        let known = self.view.transfer(key)?;
        Ok(known.is_some_and(|t| t.state != TransferState::Reverted))
    }

    fn carry_out(&mut self, verdict: Verdict, record: TransferRecord, at: ChainPoint) {
        match verdict {
            Verdict::Credit(id) => {
                if let Some(payment) = self.get_mut(id) {
                    payment.credit(credit_of(&record));
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
            }),
        }
    }

    fn take_back(&mut self, mut record: TransferRecord, at: ChainPoint) -> Result<(), ViewError> {
        let state = record.state;
        record.state = TransferState::Reverted;
        self.transfers.push(record);
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
        let after = if was_completed {
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
        if credited.is_some() {
            self.announce_detection(id, credited, at);
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

    /// A payment that completes in the block of its detection is still announced as seen first.
    fn announce_detection(
        &mut self,
        id: PaymentId,
        credited: Option<TransferRecord>,
        at: ChainPoint,
    ) {
        self.announce(EventKind::Detected, id, credited, at.tip);
        let detected = self.events.last_mut().and_then(|e| e.payment.as_mut());
        if let Some(payment) = detected.filter(|p| p.status == Status::Completed) {
            payment.status = Status::Confirming;
            payment.completed_at = None;
            payment.closed_at = None;
            payment.final_confirmations = None;
        }
    }

    fn announce(
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
        });
    }

    fn finish(mut self, chain: Option<ChainChange>) -> Changes {
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
        }
    }
}

fn credit_of(record: &TransferRecord) -> Credit {
    Credit {
        txid: record.key.txid,
        log_index: record.key.log_index,
        from: record.from,
        amount: record.amount,
        height: record.height,
        block_time: record.block_time,
        state: CreditState::Seen,
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
