//! What a payment claims of the transfers to its address, and how claims are asked for.
//!
//! A claim spans the amounts that its payment would take. The ledger asks for claims around an amount instead of
//! loading every payment of an address, so that an address with ten thousand payments costs no more than one with ten.

use super::amount::Amount;
use super::ids::{PaymentId, Watched};
use super::payment::{MatchRule, Payment, Status};

/// Where in its life a claim's payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClaimGroup {
    /// Pending: takes transfers.
    Waiting,
    /// Enough was seen; takes no more unless a fork takes it back.
    Confirming,
    /// Expired or underpaid: takes a transfer only from a block before its deadline, which a fork can bring.
    Ended,
    /// Completed or cancelled: takes nothing, but its payer may send again.
    Done,
}

impl ClaimGroup {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Confirming, Self::Ended, Self::Done];
    /// Groups whose payments are open.
    pub const OPEN: [Self; 2] = [Self::Waiting, Self::Confirming];

    pub const fn of(status: Status) -> Self {
        match status {
            Status::Pending => Self::Waiting,
            Status::Confirming => Self::Confirming,
            Status::Expired | Status::Underpaid => Self::Ended,
            Status::Completed | Status::Cancelled => Self::Done,
        }
    }

    /// A transfer goes to the oldest payment that takes it; one that none takes was most likely meant for the newest.
    pub const fn order(self) -> ClaimOrder {
        match self {
            Self::Waiting | Self::Ended => ClaimOrder::Rising,
            Self::Confirming | Self::Done => ClaimOrder::Falling,
        }
    }
}

/// The order of claims: by amount, then by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimOrder {
    Rising,
    Falling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    pub to_pay: Amount,
    pub id: PaymentId,
    pub tolerance: Amount,
}

impl Claim {
    /// The least amount it takes.
    pub fn low(&self) -> Amount {
        self.to_pay.saturating_sub(self.tolerance)
    }

    /// The greatest amount it takes.
    pub fn high(&self) -> Amount {
        self.to_pay.saturating_add(self.tolerance)
    }

    /// Whether it takes any amount from `low` to `high`.
    pub fn meets(&self, low: Amount, high: Amount) -> bool {
        self.high() >= low && self.low() <= high
    }
}

/// The secondary key under which a claim is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimKey {
    pub watched: Watched,
    pub rule: MatchRule,
    pub group: ClaimGroup,
    pub claim: Claim,
}

impl ClaimKey {
    pub fn of(payment: &Payment) -> Self {
        Self {
            watched: payment.watched_address(),
            rule: payment.rule,
            group: ClaimGroup::of(payment.status),
            claim: Claim {
                to_pay: payment.to_pay,
                id: payment.id,
                tolerance: payment.tolerance,
            },
        }
    }
}

/// How wide a tolerance is: the number of its binary digits. A store keeps claims of one width together, so that
/// a search knows how far from an amount it must look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Width(pub u8);

impl Width {
    pub fn of(tolerance: Amount) -> Self {
        // At most 128, which fits.
        Self(u8::try_from(u128::BITS - tolerance.base_units().leading_zeros()).unwrap_or(u8::MAX))
    }

    /// The greatest tolerance of this width.
    pub fn max_tolerance(self) -> Amount {
        let power = 1_u128.checked_shl(u32::from(self.0));
        Amount::from_base_units(power.map_or(u128::MAX, |p| p - 1))
    }
}

/// Asks for the claims of one rule and group on an address that meet a span of amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimQuery {
    pub watched: Watched,
    pub rule: MatchRule,
    pub group: ClaimGroup,
    pub low: Amount,
    pub high: Amount,
    pub order: ClaimOrder,
    /// Claims of each width at most.
    pub limit: usize,
}

impl ClaimQuery {
    pub fn finds(&self, key: &ClaimKey) -> bool {
        key.watched == self.watched
            && key.rule == self.rule
            && key.group == self.group
            && key.claim.meets(self.low, self.high)
    }
}
