//! A transfer to a watched address, what became of it, and an operator's decision on it.
//!
//! Plain data. Which payment a transfer belongs to is the matcher's decision or an operator's.

use std::fmt;

use super::address::Address;
use super::amount::Amount;
use super::api_key::KeyId;
use super::ids::{Height, PaymentId, TransferKey, UnixMs};

/// Why a transfer to a watched address settled nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnmatchedReason {
    /// No open payment on the address asks for this amount.
    WrongAmount,
    /// The payment it fits had already passed its deadline.
    Late,
    /// The payment it fits was already paid.
    Extra,
    /// The payment it fits was cancelled.
    Cancelled,
    /// It was made before any payment on the address was created.
    Early,
    /// The payment has taken as many transfers as one payment can.
    TooMany,
}

impl UnmatchedReason {
    pub const ALL: [Self; 6] = [
        Self::WrongAmount,
        Self::Late,
        Self::Extra,
        Self::Cancelled,
        Self::Early,
        Self::TooMany,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WrongAmount => "wrong_amount",
            Self::Late => "late",
            Self::Extra => "extra",
            Self::Cancelled => "cancelled",
            Self::Early => "early",
            Self::TooMany => "too_many",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferState {
    Credited(PaymentId),
    Unmatched {
        reason: UnmatchedReason,
        /// The payment it most likely was meant for.
        payment: Option<PaymentId>,
    },
    /// Its block was forked away.
    Reverted,
}

/// A transfer to a watched address and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferRecord {
    pub key: TransferKey,
    pub from: Address,
    pub to: Address,
    pub amount: Amount,
    pub height: Height,
    pub block_time: UnixMs,
    pub state: TransferState,
    /// An operator's decision on it. It outlives a fork: the same money on the new branch goes where it was assigned.
    pub assigned: Option<Assignment>,
}

impl TransferRecord {
    /// Whether two records tell of the same money. A fork can move a transaction's logs to other places in its block,
    /// so the place does not count.
    pub fn is_same_money(&self, other: &Self) -> bool {
        let money = |t: &Self| (t.key.chain, t.key.txid, t.from, t.to, t.amount);
        money(self) == money(other)
    }

    /// The assignment of a transfer that a fork took away: it waits for the transfer to come back.
    pub fn promise(&self) -> Option<Assignment> {
        self.assigned
            .filter(|_| self.state == TransferState::Reverted)
    }

    pub const fn place(&self) -> TransferPlace {
        TransferPlace {
            block_time: self.block_time,
            key: self.key,
        }
    }
}

/// An operator's decision: this transfer pays for this payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    pub payment: PaymentId,
    /// Wall time of the decision.
    pub at: UnixMs,
    /// Why the transfer had settled nothing.
    pub reason: UnmatchedReason,
    /// The payment that the matcher had taken it to be meant for.
    pub meant_for: Option<PaymentId>,
    /// Whose decision it was; nothing where no key was needed, or it came from the operator.
    pub by: Option<KeyId>,
}

/// A transfer's place in a list by time: `1672531503000-trf_0_..._4`. It stays a place when the transfer is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransferPlace {
    pub block_time: UnixMs,
    pub key: TransferKey,
}

impl fmt::Display for TransferPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.block_time.0, self.key)
    }
}

impl TransferPlace {
    pub fn parse(text: &str) -> Option<Self> {
        let (time, key) = text.split_once('-')?;
        Some(Self {
            block_time: UnixMs(time.parse().ok()?),
            key: TransferKey::parse(key)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_support::key;

    #[test]
    fn ids_and_places_have_one_spelling() {
        let place = TransferPlace {
            block_time: UnixMs(12),
            key: key(7, 3),
        };
        let hex = "0000000000000007".to_owned() + &"0".repeat(48);
        assert_eq!(place.key.to_string(), format!("trf_0_{hex}_3"));
        assert_eq!(TransferKey::parse(&place.key.to_string()), Some(place.key));
        assert_eq!(TransferPlace::parse(&place.to_string()), Some(place));
        for wrong in [
            String::new(),
            "trf_".to_owned(),
            format!("trf_0_{hex}"),
            format!("trf_0_{hex}_"),
            format!("trf_0_{hex}_03"),
            format!("trf_0_{hex}_+3"),
            format!("trf_00_{hex}_3"),
            format!("trf_0_0x{hex}_3"),
            format!("trf_0_{}_3", "AB".repeat(32)),
            format!("trf_70000_{hex}_3"),
            format!("trf_0_{hex}_4294967296"),
            format!("trf_0_{hex}_3 "),
            format!("TRF_0_{hex}_3"),
        ] {
            assert_eq!(TransferKey::parse(&wrong), None, "{wrong}");
        }
        assert_eq!(TransferPlace::parse(&format!("x-trf_0_{hex}_3")), None);
        assert_eq!(TransferPlace::parse(&format!("trf_0_{hex}_3")), None);
    }
}
