//! A payment and its states: what it waits for, what has been credited to it, and what that makes of it.
//!
//! The status is derived from the credits, the final height and chain time by [`Payment::settle`];
//! nothing else sets it, except a cancellation. Refuses to know events, storage or JSON.

use super::address::Address;
use super::amount::Amount;
use super::ids::{ChainId, Height, PaymentId, TransferKey, TxId, UnixMs, Watched};
pub use super::transfer::{Assignment, TransferRecord, TransferState, UnmatchedReason};
use super::wallet::Derivation;

/// Transfers credited to one payment at most; a payer who sends more pieces gets them listed as unmatched.
pub const MAX_CREDITS: usize = 64;

/// How transfers add up to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchRule {
    /// One transfer of the amount to pay, within the tolerance.
    Exact,
    /// Any transfers until their sum reaches the amount to pay, less the tolerance.
    Accumulate,
}

/// Whether the amount to pay was changed to be unique on its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountMode {
    Fixed,
    Unique,
}

/// When a transfer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// When its block is final on its chain.
    Final,
    /// When its block has this many confirmations; its own counts as the first.
    Depth(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Waiting for enough money.
    Pending,
    /// Enough was seen in blocks; waiting for them to become final.
    Confirming,
    Completed,
    /// Expired with some money, but not enough.
    Underpaid,
    Expired,
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Confirming,
        Self::Completed,
        Self::Underpaid,
        Self::Expired,
        Self::Cancelled,
    ];

    /// Open payments can still be paid in time.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Confirming)
    }

    /// The word the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirming => "confirming",
            Self::Completed => "completed",
            Self::Underpaid => "underpaid",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditState {
    /// In a block that may still be forked away.
    Seen,
    /// Its block is final, or as deep as the payment asked for.
    Confirmed,
    /// Its block was forked away; kept as history, worth nothing.
    Reverted,
}

/// Why a credit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// The matcher found that it fits.
    Matched,
    /// An operator decided that it pays for this payment, whatever its amount and time.
    ByHand,
}

/// A transfer that counts towards a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    pub txid: TxId,
    pub log_index: u32,
    pub from: Address,
    pub amount: Amount,
    pub height: Height,
    pub block_time: UnixMs,
    pub state: CreditState,
    pub basis: Basis,
}

/// Which webhooks a payment's callback hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackScope {
    /// Only what the replaced service sent: the completion, and a completion taken back.
    CompletionOnly,
    Everything,
    /// Its receiver answered 410 and wants no more.
    Nothing,
}

/// Where a payment's own webhooks go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    pub url: String,
    pub scope: CallbackScope,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub id: PaymentId,
    pub chain: ChainId,
    pub address: Address,
    /// The wallet that gave out the address, if one did.
    pub derivation: Option<Derivation>,
    pub order_id: String,
    /// What the shop asked for.
    pub expected: Amount,
    /// What the payer is told to send.
    pub to_pay: Amount,
    pub rule: MatchRule,
    pub amount_mode: AmountMode,
    pub tolerance: Amount,
    pub finality: Finality,
    /// Wall time of creation.
    pub created_at: UnixMs,
    /// The chain's newest height known at creation; blocks above it can pay.
    pub created_above: Height,
    /// Chain time after which a transfer is late.
    pub expires_at: UnixMs,
    /// Seconds after expiry or closing in which further transfers are still noticed.
    pub grace_seconds: u64,
    pub status: Status,
    /// Wall time at which the payment was completed, ended or cancelled.
    pub closed_at: Option<UnixMs>,
    /// Wall time of the cancellation. It stands, except while a transfer that was assigned by hand pays all the same.
    pub cancelled_at: Option<UnixMs>,
    pub completed_at: Option<UnixMs>,
    /// Confirmations when it completed.
    pub final_confirmations: Option<u32>,
    pub credits: Vec<Credit>,
    pub callback: Option<Callback>,
    pub success_url: Option<String>,
    /// JSON text as given.
    pub metadata: Option<String>,
    /// Whether the payment still takes notice of transfers to its address.
    pub watched: bool,
}

/// A chain's position, as far as payments care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainPoint {
    pub tip: Height,
    pub tip_time: UnixMs,
    pub final_height: Height,
}

/// Block times may lag the wall clock of the hub by this much without a transfer counting as earlier than its payment.
pub const CLOCK_SKEW_MS: u64 = 30_000;
/// The same for a block above the newest height known at creation. Such a block is usually younger than the payment
/// whatever the clocks say; but after an outage the newest height known is an old one, and then only the times tell.
pub const CLOCK_SKEW_ABOVE_MS: u64 = 600_000;
/// An ended payment's address is watched at least this long.
pub const MIN_WATCH_SECONDS: u64 = 3_600;

impl Payment {
    /// Whether the receiver of its callbacks answered 410 and gets no more.
    pub fn callback_has_ended(&self) -> bool {
        let scope = self.callback.as_ref().map(|callback| callback.scope);
        scope == Some(CallbackScope::Nothing)
    }

    pub fn watched_address(&self) -> Watched {
        Watched {
            chain: self.chain,
            address: self.address,
        }
    }

    fn live_credits(&self) -> impl Iterator<Item = &Credit> {
        self.credits
            .iter()
            .filter(|c| c.state != CreditState::Reverted)
    }

    fn sum(credits: impl Iterator<Item = Amount>) -> Amount {
        credits.fold(Amount::ZERO, Amount::saturating_add)
    }

    /// Sum of all credits that are on the chain, confirmed or not.
    pub fn received(&self) -> Amount {
        Self::sum(self.live_credits().map(|c| c.amount))
    }

    fn confirmed(&self) -> Amount {
        let confirmed = self
            .credits
            .iter()
            .filter(|c| c.state == CreditState::Confirmed);
        Self::sum(confirmed.map(|c| c.amount))
    }

    /// The least sum that completes the payment; never nothing, however wide the tolerance.
    pub fn needed(&self) -> Amount {
        self.to_pay
            .saturating_sub(self.tolerance)
            .max(Amount::from_base_units(1))
    }

    pub fn is_overpaid(&self) -> bool {
        self.received() > self.to_pay.saturating_add(self.tolerance)
    }

    /// The credit that tells the payment's transaction: the newest on the chain.
    pub fn last_credit(&self) -> Option<&Credit> {
        self.live_credits().max_by_key(|c| (c.height, c.log_index))
    }

    /// Confirmations of the newest credit at `tip`, its own block counting as the first.
    pub fn confirmations_at(&self, tip: Height) -> u32 {
        if let (Status::Completed, Some(n)) = (self.status, self.final_confirmations) {
            return n;
        }
        self.last_credit()
            .map_or(0, |credit| depth(credit.height, tip))
    }

    /// Whether a transfer in this block can have been meant for this payment at all.
    pub fn existed_at(&self, height: Height, block_time: UnixMs) -> bool {
        let skew = if height > self.created_above {
            CLOCK_SKEW_ABOVE_MS
        } else {
            CLOCK_SKEW_MS
        };
        block_time.plus_ms(skew) >= self.created_at
    }

    /// Whether a transfer in a block of this time is in time.
    pub fn in_time(&self, block_time: UnixMs) -> bool {
        block_time <= self.expires_at
    }

    /// Whether the payment can take a credit from a block of this time: open, or ended by a
    /// deadline that this block precedes (a fork can bring such a block after the end).
    pub fn accepts(&self, block_time: UnixMs) -> bool {
        let waiting = matches!(
            self.status,
            Status::Pending | Status::Expired | Status::Underpaid
        );
        waiting && self.in_time(block_time)
    }

    /// Whether one more credit of this amount can be kept. A payment that is full of small pieces still takes the one
    /// that completes it, so that nobody can block it by sending dust.
    pub fn has_room_for(&self, amount: Amount) -> bool {
        self.live_credits().count() < MAX_CREDITS
            || self.received().saturating_add(amount) >= self.needed()
    }

    /// Whether one more transfer can be assigned by hand.
    pub fn has_room_by_hand(&self) -> bool {
        let by_hand = self.live_credits().filter(|c| c.basis == Basis::ByHand);
        by_hand.count() < MAX_CREDITS
    }

    /// Whether enough was seen, or an operator said that it is enough.
    pub const fn is_paid(&self) -> bool {
        matches!(self.status, Status::Confirming | Status::Completed)
    }

    /// Chain time until which transfers to the address are noticed.
    pub fn grace_end(&self) -> UnixMs {
        self.expires_at.plus_seconds(self.grace_seconds)
    }

    /// Chain time until which the address is watched. Never right at the deadline: a fork can reach back over it,
    /// and what the new branch holds must still be noticed.
    pub fn unwatch_at(&self) -> UnixMs {
        self.expires_at
            .plus_seconds(self.grace_seconds.max(MIN_WATCH_SECONDS))
    }

    pub fn credit(&mut self, credit: Credit) {
        self.credits
            .retain(|c| (c.txid, c.log_index) != (credit.txid, credit.log_index));
        let reverted = |c: &Credit| c.state == CreditState::Reverted;
        if self.credits.iter().filter(|c| reverted(c)).count() >= MAX_CREDITS
            && let Some(oldest) = self.credits.iter().position(reverted)
        {
            self.credits.remove(oldest);
        }
        self.credits.push(credit);
    }

    /// Marks a credit as forked away; false when there is no such live credit.
    pub fn revert(&mut self, key: &TransferKey) -> bool {
        let found = self
            .credits
            .iter_mut()
            .find(|c| (c.txid, c.log_index) == (key.txid, key.log_index));
        match found {
            Some(credit) if credit.state != CreditState::Reverted => {
                credit.state = CreditState::Reverted;
                true
            }
            _ => false,
        }
    }

    /// Derives the status from the credits at this point of the chain.
    ///
    /// Once confirmed, a credit stays so until its own block is forked away. A cancelled payment stays cancelled, unless
    /// a transfer was assigned to it by hand.
    pub fn settle(&mut self, at: ChainPoint, now: UnixMs) {
        let finality = self.finality;
        for credit in &mut self.credits {
            if credit.state == CreditState::Seen && is_confirmed(finality, credit.height, at) {
                credit.state = CreditState::Confirmed;
            }
        }
        let status = self.derive_status(at);
        if status == self.status {
            return;
        }
        self.status = status;
        // A fork can reopen a payment long after its end; it waits for money again, so it must see it.
        self.watched |= status.is_open();
        self.closed_at = (!status.is_open()).then_some(now);
        self.completed_at = (status == Status::Completed).then_some(now);
        self.final_confirmations = None;
        if status == Status::Completed {
            self.final_confirmations = Some(
                self.last_credit()
                    .map_or(0, |credit| depth(credit.height, at.tip)),
            );
        }
    }

    fn derive_status(&self, at: ChainPoint) -> Status {
        let by_hand = || self.live_credits().filter(|c| c.basis == Basis::ByHand);
        let decided = by_hand().next().is_some();
        if self.cancelled_at.is_some() && !decided {
            return Status::Cancelled;
        }
        let needed = self.needed();
        let received = self.received();
        // A decision by hand overrides the amount, but not the wait for its transfer to count.
        let decision_stands = by_hand().any(|c| c.state == CreditState::Confirmed);
        if decision_stands || self.confirmed() >= needed {
            return Status::Completed;
        }
        if decided || received >= needed {
            return Status::Confirming;
        }
        // Once announced, an end is only undone by enough money.
        let ended = at.tip_time > self.expires_at
            || matches!(self.status, Status::Expired | Status::Underpaid);
        match (ended, received.is_zero()) {
            (false, _) => Status::Pending,
            (true, false) => Status::Underpaid,
            (true, true) => Status::Expired,
        }
    }

    pub fn cancel(&mut self, now: UnixMs) {
        self.status = Status::Cancelled;
        self.closed_at = Some(now);
        self.cancelled_at = Some(now);
    }

    /// The height that must become final (or, at a depth, the tip that must be reached) before the next credit is confirmed.
    pub fn awaits(&self) -> Option<Awaits> {
        if self.status == Status::Cancelled {
            return None;
        }
        let next = self
            .credits
            .iter()
            .filter(|c| c.state == CreditState::Seen)
            .map(|c| c.height)
            .min()?;
        Some(match self.finality {
            Finality::Final => Awaits::Final(next),
            Finality::Depth(n) => Awaits::Tip(Height(
                next.0.saturating_add(u64::from(n.saturating_sub(1))),
            )),
        })
    }
}

/// What a payment waits for on its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaits {
    Final(Height),
    Tip(Height),
}

/// Confirmations of a block at `tip`; 0 while `tip` is below it.
pub fn depth(block: Height, tip: Height) -> u32 {
    tip.0.checked_sub(block.0).map_or(0, |below| {
        u32::try_from(below).unwrap_or(u32::MAX).saturating_add(1)
    })
}

fn is_confirmed(finality: Finality, block: Height, at: ChainPoint) -> bool {
    match finality {
        Finality::Final => block <= at.final_height,
        Finality::Depth(n) => depth(block, at.tip) >= n,
    }
}
