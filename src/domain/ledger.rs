//! The ledger: what a command, a block, a fork or a final height means for the payments it touches.
//!
//! Pure: reads a `View`, returns `Changes` or a refusal. It checks that blocks extend the cursor, so that
//! no caller can process a block twice or out of order. Refuses to know sockets, webhooks and storage.

use thiserror::Error;

use super::amount::Amount;
use super::amount_choice::{refuse_rivals, unique_amount};
use super::api_key::KeyId;
use super::api_keys::MAX_LIVE_KEYS;
use super::chain::{Block, BlockHeader};
use super::changes::{ChainChange, Changes, PaymentChange, Timer, Unfinished, View, ViewError};
use super::draft::Draft;
use super::endpoints::MAX_ENDPOINTS;
use super::event::{AfterCompletion, Event, EventKind};
use super::idempotency::Answer;
use super::ids::{BlockHash, ChainId, EndpointId, Height, PaymentId, TransferKey, UnixMs};
use super::outbox::MAX_ATTEMPTS_ON_RECORD;
use super::payment::{AmountMode, Assignment, ChainPoint, Payment, Status, TransferState};
use super::wallet::WalletName;

/// Timers and confirmations handled in one commit at most; the rest follows in the next.
pub const BATCH_PAYMENTS: usize = 5_000;

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
    #[error("wallet {0} has given out its last address")]
    WalletExhausted(WalletName),
    #[error(
        "the next addresses of wallet {0} are all watched by payments made without it: set its first_index beyond them"
    )]
    WalletCrowded(WalletName),
    #[error("the request has been answered before")]
    AlreadyAnswered(Box<Answer>),
    #[error("the idempotency key was used for another request")]
    KeyOfAnotherRequest,
    #[error("the answer could not be written")]
    Unanswerable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("there is no such payment")]
    NoSuchPayment,
    #[error("a payment that is {} cannot be cancelled", .0.as_str())]
    NotCancellable(Status),
    #[error("there is no such transfer")]
    NoSuchTransfer,
    #[error("the transfer already settles payment {0}")]
    AlreadySettles(PaymentId),
    #[error("the transfer's block was forked away; it can be assigned once it is in a block again")]
    ForkedAway,
    #[error("the transfer and payment {0} are on different chains")]
    OtherChain(PaymentId),
    #[error("payment {0} has as many transfers assigned to it as one payment can")]
    TooManyAssigned(PaymentId),
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
    #[error("there is no such webhook endpoint")]
    NoSuchEndpoint,
    #[error(
        "there are {MAX_ENDPOINTS} webhook endpoints already, and no more are kept: delete one"
    )]
    TooManyEndpoints,
    #[error("endpoint {0} is disabled: enable it first (PATCH its status)")]
    EndpointDisabled(EndpointId),
    #[error("endpoint {0} was deleted")]
    EndpointDeleted(EndpointId),
    #[error("there is no such delivery")]
    NoSuchDelivery,
    #[error("the delivery is due at once already")]
    AlreadyDue,
    #[error(
        "the delivery was tried {MAX_ATTEMPTS_ON_RECORD} times, and more are not kept on record"
    )]
    TooManyAttempts,
    #[error("the receiver of this payment's callbacks answered 410 and gets no more")]
    CallbackEnded,
    #[error("there is no such API key")]
    NoSuchKey,
    #[error(
        "the first API key must have the scope admin: without one nobody could make or revoke keys"
    )]
    FirstKeyMustBeAdmin,
    #[error(
        "this is the last key of scope admin: make another first, or revoke it on the hub's machine with 'paybell keys revoke'"
    )]
    LastAdminKey,
    #[error("{MAX_LIVE_KEYS} API keys are in use already, and no more are kept: revoke one")]
    TooManyKeys,
    #[error("this needs an API key of scope admin that is in use")]
    KeyNeeded,
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
        endpoint: None,
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

/// Settles a payment with a transfer that settled nothing, because an operator says so.
///
/// The operator's word overrides what the matcher goes by: amount, time, address and the payment's status. A payer often
/// sends to the address of an earlier order, so the address need not be the payment's; only the chain must be. It does
/// not override finality: the payment completes when the transfer counts by the payment's own rule. Deciding the same
/// again changes nothing.
pub fn assign(
    view: &dyn View,
    key: &TransferKey,
    id: PaymentId,
    by: Option<KeyId>,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    let record = view.transfer(key)?.ok_or(Refusal::NoSuchTransfer)?;
    let payment = view.payment(id)?.ok_or(Refusal::NoSuchPayment)?;
    let (reason, meant_for) = match record.state {
        TransferState::Unmatched { reason, payment } => (reason, payment),
        TransferState::Credited(owner) if owner == id && record.assigned.is_some() => {
            return Ok(Changes::default());
        }
        TransferState::Credited(owner) => return Err(Refusal::AlreadySettles(owner)),
        TransferState::Reverted => return Err(Refusal::ForkedAway),
    };
    if payment.chain != key.chain {
        return Err(Refusal::OtherChain(id));
    }
    if !payment.has_room_by_hand() {
        return Err(Refusal::TooManyAssigned(id));
    }
    let cursor = view.cursor(key.chain)?.ok_or(Refusal::NotNext {
        height: record.height,
    })?;
    let mut draft = Draft::new(view, key.chain, now);
    draft.open(id)?;
    let assignment = Assignment {
        payment: id,
        at: now,
        reason,
        meant_for,
        by,
    };
    draft.assign(record, assignment, cursor.point());
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
    must_follow(&header, cursor.tip.hash)?;
    let at = ChainPoint {
        tip: header.height,
        tip_time: header.time,
        final_height: cursor.final_height,
    };
    let draft = Draft::new(view, chain, now);
    take_in(draft, block, at, ChainChange::Append(header))
}

fn must_follow(header: &BlockHeader, parent: BlockHash) -> Result<(), Refusal> {
    if header.parent == parent {
        return Ok(());
    }
    Err(Refusal::ParentMismatch {
        height: header.height,
        parent: header.parent,
    })
}

/// What came due before the block, the block's transfers, and what it confirms, in this order.
fn take_in(
    mut draft: Draft<'_>,
    block: &Block,
    at: ChainPoint,
    change: ChainChange,
) -> Result<Changes, Refusal> {
    draft.ring_timers(at)?;
    for transfer in &block.transfers {
        draft.take_transfer(transfer, at)?;
    }
    draft.confirm(at)?;
    Ok(draft.finish(Some(change)))
}

/// Takes in a final block that need not be the next one: all blocks between it and the cursor, whose hash is `after`,
/// are final as well and hold no transfer to a watched address.
pub fn extend_final(
    view: &dyn View,
    chain: ChainId,
    after: BlockHash,
    block: &Block,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    let header = block.header;
    let not_next = Refusal::NotNext {
        height: header.height,
    };
    let Some(cursor) = view.cursor(chain)? else {
        return Err(not_next);
    };
    if header.height <= cursor.tip.height || cursor.tip.hash != after {
        return Err(not_next);
    }
    if header.height == cursor.tip.height.next() {
        must_follow(&header, after)?;
    }
    let at = ChainPoint {
        tip: header.height,
        tip_time: header.time,
        final_height: header.height,
    };
    let mut draft = Draft::new(view, chain, now);
    // What the blocks in between confirm comes before what this one brings.
    let before = Height(header.height.0 - 1);
    draft.confirm(ChainPoint {
        tip: before,
        tip_time: cursor.tip.time,
        final_height: before,
    })?;
    take_in(draft, block, at, ChainChange::Skip(header))
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
