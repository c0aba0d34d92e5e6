//! Payments and their credits as rows.

use serde::{Deserialize, Serialize};

use super::Stored;
use crate::domain::account_key::{AccountId, AddressIndex};
use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::ids::{ChainId, Height, PaymentId, TxId, UnixMs};
use crate::domain::payment::{
    AmountMode, Basis, Callback, CallbackScope, Credit, CreditState, Finality, MatchRule, Payment,
    Status,
};
use crate::domain::wallet::{Derivation, WalletName};

#[derive(Serialize, Deserialize)]
pub struct CreditRow {
    txid: [u8; 32],
    log_index: u32,
    from: [u8; 20],
    amount: u128,
    height: u64,
    block_time: u64,
    state: u8,
}

#[derive(Serialize, Deserialize)]
pub struct PaymentRow {
    id: [u8; 16],
    chain: u16,
    address: [u8; 20],
    order_id: String,
    expected: u128,
    to_pay: u128,
    accumulate: bool,
    unique: bool,
    tolerance: u128,
    /// 0 means final.
    depth: u32,
    created_at: u64,
    created_above: u64,
    expires_at: u64,
    grace_seconds: u64,
    status: u8,
    closed_at: Option<u64>,
    completed_at: Option<u64>,
    final_confirmations: Option<u32>,
    credits: Vec<CreditRow>,
    callback: Option<String>,
    callback_everything: bool,
    success_url: Option<String>,
    metadata: Option<String>,
    watched: bool,
}

/// Since version 2: where the address comes from.
#[derive(Serialize, Deserialize)]
pub struct DerivationRow {
    wallet: String,
    key: [u8; 16],
    account: u32,
    index: u32,
}

/// Version 2 of a payment's row: version 1, and more behind it.
#[derive(Serialize, Deserialize)]
pub struct PaymentRow2 {
    first: PaymentRow,
    derivation: Option<DerivationRow>,
}

/// Version 3: version 2, and what operators did.
#[derive(Serialize, Deserialize)]
pub struct PaymentRow3 {
    second: PaymentRow2,
    cancelled_at: Option<u64>,
    /// Places among the credits of those that were assigned by hand.
    by_hand: Vec<u16>,
}

/// Version 4: version 3, and whether the callback's receiver wants no more.
#[derive(Serialize, Deserialize)]
pub struct PaymentRow4 {
    third: PaymentRow3,
    callback_ended: bool,
}

impl Stored for Payment {
    type Row = PaymentRow4;
    const NAME: &'static str = "a payment";
    const VERSION: u8 = 4;

    fn to_row(&self) -> PaymentRow4 {
        let scope = self.callback.as_ref().map(|callback| callback.scope);
        PaymentRow4 {
            third: PaymentRow3::of(self),
            callback_ended: scope == Some(CallbackScope::Nothing),
        }
    }

    fn from_row(row: PaymentRow4) -> Option<Self> {
        let mut payment = row.third.payment()?;
        if row.callback_ended {
            payment.callback.as_mut()?.scope = CallbackScope::Nothing;
        }
        Some(payment)
    }

    fn older_row(version: u8, bytes: &[u8]) -> Option<Result<PaymentRow4, postcard::Error>> {
        let third = match version {
            1 => postcard::from_bytes(bytes).map(|first| {
                PaymentRow3::from(PaymentRow2 {
                    first,
                    derivation: None,
                })
            }),
            2 => postcard::from_bytes(bytes).map(|second: PaymentRow2| second.into()),
            3 => postcard::from_bytes(bytes),
            _ => return None,
        };
        Some(third.map(|third| PaymentRow4 {
            third,
            callback_ended: false,
        }))
    }
}

impl PaymentRow3 {
    fn of(payment: &Payment) -> Self {
        let by_hand = (0..).zip(&payment.credits);
        Self {
            second: PaymentRow2 {
                first: PaymentRow::of(payment),
                derivation: payment.derivation.as_ref().map(derivation_to_row),
            },
            cancelled_at: payment.cancelled_at.map(|t| t.0),
            by_hand: by_hand
                .filter(|(_, credit)| credit.basis == Basis::ByHand)
                .map(|(place, _)| place)
                .collect(),
        }
    }

    fn payment(self) -> Option<Payment> {
        let mut payment = self.second.first.payment()?;
        if let Some(derivation) = self.second.derivation {
            payment.derivation = Some(derivation_from_row(derivation)?);
        }
        payment.cancelled_at = self.cancelled_at.map(UnixMs);
        for place in self.by_hand {
            payment.credits.get_mut(usize::from(place))?.basis = Basis::ByHand;
        }
        Some(payment)
    }
}

impl From<PaymentRow2> for PaymentRow3 {
    fn from(second: PaymentRow2) -> Self {
        let cancelled = second.first.status == status_place(Status::Cancelled);
        Self {
            cancelled_at: second.first.closed_at.filter(|_| cancelled),
            second,
            by_hand: Vec::new(),
        }
    }
}

fn derivation_to_row(derivation: &Derivation) -> DerivationRow {
    DerivationRow {
        wallet: derivation.wallet.as_str().to_owned(),
        key: derivation.key.0,
        account: derivation.account,
        index: derivation.index.get(),
    }
}

fn derivation_from_row(row: DerivationRow) -> Option<Derivation> {
    Some(Derivation {
        wallet: WalletName::parse(&row.wallet).ok()?,
        key: AccountId(row.key),
        account: row.account,
        index: AddressIndex::new(row.index)?,
    })
}

impl PaymentRow {
    fn of(payment: &Payment) -> Self {
        let scope = payment.callback.as_ref().map(|c| c.scope);
        Self {
            id: *payment.id.0.as_bytes(),
            chain: payment.chain.0,
            address: *payment.address.as_bytes(),
            order_id: payment.order_id.clone(),
            expected: payment.expected.base_units(),
            to_pay: payment.to_pay.base_units(),
            accumulate: payment.rule == MatchRule::Accumulate,
            unique: payment.amount_mode == AmountMode::Unique,
            tolerance: payment.tolerance.base_units(),
            depth: match payment.finality {
                Finality::Final => 0,
                // A block's own confirmation is its first, so a depth of 0 asks for nothing less than 1.
                Finality::Depth(n) => n.max(1),
            },
            created_at: payment.created_at.0,
            created_above: payment.created_above.0,
            expires_at: payment.expires_at.0,
            grace_seconds: payment.grace_seconds,
            status: status_place(payment.status),
            closed_at: payment.closed_at.map(|t| t.0),
            completed_at: payment.completed_at.map(|t| t.0),
            final_confirmations: payment.final_confirmations,
            credits: payment.credits.iter().map(credit_to_row).collect(),
            callback: payment.callback.as_ref().map(|c| c.url.clone()),
            callback_everything: scope == Some(CallbackScope::Everything),
            success_url: payment.success_url.clone(),
            metadata: payment.metadata.clone(),
            watched: payment.watched,
        }
    }

    fn payment(self) -> Option<Payment> {
        let scope = if self.callback_everything {
            CallbackScope::Everything
        } else {
            CallbackScope::CompletionOnly
        };
        Some(Payment {
            id: PaymentId(uuid::Uuid::from_bytes(self.id)),
            chain: ChainId(self.chain),
            address: Address::from_bytes(self.address),
            derivation: None,
            order_id: self.order_id,
            expected: Amount::from_base_units(self.expected),
            to_pay: Amount::from_base_units(self.to_pay),
            rule: if self.accumulate {
                MatchRule::Accumulate
            } else {
                MatchRule::Exact
            },
            amount_mode: if self.unique {
                AmountMode::Unique
            } else {
                AmountMode::Fixed
            },
            tolerance: Amount::from_base_units(self.tolerance),
            finality: match self.depth {
                0 => Finality::Final,
                n => Finality::Depth(n),
            },
            created_at: UnixMs(self.created_at),
            created_above: Height(self.created_above),
            expires_at: UnixMs(self.expires_at),
            grace_seconds: self.grace_seconds,
            status: status_from(self.status)?,
            closed_at: self.closed_at.map(UnixMs),
            cancelled_at: None,
            completed_at: self.completed_at.map(UnixMs),
            final_confirmations: self.final_confirmations,
            credits: self
                .credits
                .into_iter()
                .map(credit_from_row)
                .collect::<Option<_>>()?,
            callback: self.callback.map(|url| Callback { url, scope }),
            success_url: self.success_url,
            metadata: self.metadata,
            watched: self.watched,
        })
    }
}

/// A status's place in rows and counters. These numbers are on disk and never change.
pub const fn status_place(status: Status) -> u8 {
    match status {
        Status::Pending => 0,
        Status::Confirming => 1,
        Status::Completed => 2,
        Status::Underpaid => 3,
        Status::Expired => 4,
        Status::Cancelled => 5,
    }
}

fn status_from(place: u8) -> Option<Status> {
    Status::ALL.into_iter().find(|s| status_place(*s) == place)
}

fn credit_to_row(credit: &Credit) -> CreditRow {
    CreditRow {
        txid: credit.txid.0,
        log_index: credit.log_index,
        from: *credit.from.as_bytes(),
        amount: credit.amount.base_units(),
        height: credit.height.0,
        block_time: credit.block_time.0,
        state: match credit.state {
            CreditState::Seen => 0,
            CreditState::Confirmed => 1,
            CreditState::Reverted => 2,
        },
    }
}

fn credit_from_row(row: CreditRow) -> Option<Credit> {
    Some(Credit {
        txid: TxId(row.txid),
        log_index: row.log_index,
        from: Address::from_bytes(row.from),
        amount: Amount::from_base_units(row.amount),
        height: Height(row.height),
        block_time: UnixMs(row.block_time),
        state: match row.state {
            0 => CreditState::Seen,
            1 => CreditState::Confirmed,
            2 => CreditState::Reverted,
            _ => return None,
        },
        basis: Basis::Matched,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::test_support::{Adjust, payment, wallet};
    use crate::store::StoreError;

    /// A completed payment, byte by byte as version 0.1.0 wrote it before there were wallets.
    const ROW_OF_VERSION_1: &str = "0101a20d1bc3b67b509de83986b271bd1f00a2fe67ceadf6e147c440fe556a0a15bd210ec412054f4c445f31a0ef8005a0ef800500006400b687efe8a0343cb6bf8892a13480a3050201b9a4efe8a03401b9a4efe8a034011301a15d2b9646bf1e07635fb10269bd7c916946292fe3a3f22be9d0b3717308b16a04dbfb6c85aa881c6f657894f0b219cddffb4f8fcca0ef8005469088efe8a0340100000001077b226e223a317d01";

    #[test]
    fn a_row_from_before_wallets_is_read_in_full_and_written_anew() {
        let old = hex::decode(ROW_OF_VERSION_1).expect("hex");
        let read = Payment::decode(&old).expect("readable");
        assert_eq!(read.id.to_string(), "01a20d1b-c3b6-7b50-9de8-3986b271bd1f");
        assert_eq!(read.address.to_tron(), "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7");
        assert_eq!(
            (read.order_id.as_str(), read.status),
            ("OLD_1", Status::Completed)
        );
        assert_eq!(read.credits.len(), 1);
        assert_eq!(read.credits[0].height, Height(70));
        assert_eq!(read.metadata.as_deref(), Some(r#"{"n":1}"#));
        assert_eq!((read.derivation.as_ref(), read.watched), (None, true));
        let anew = read.encode().expect("written");
        assert_eq!((old[0], anew[0]), (1, 4));
        assert_eq!(Payment::decode(&anew).expect("readable"), read);
    }

    #[test]
    fn damaged_rows_are_refused() {
        let wallet = wallet("main");
        let made = payment(1).with(|p| {
            p.derivation = Some(Derivation {
                wallet: wallet.name.clone(),
                key: wallet.key.id(),
                account: 0,
                index: AddressIndex::new(AddressIndex::MAX).expect("an index"),
            });
        });
        let good = made.encode().expect("written");
        assert_eq!(Payment::decode(&good).expect("readable"), made);
        let corrupt = |bytes: &[u8]| matches!(Payment::decode(bytes), Err(StoreError::Corrupt(_)));
        let with_first = |version: u8| [&[version], &good[1..]].concat();
        assert!(corrupt(&with_first(0)) && corrupt(&with_first(5)) && corrupt(&[]));
        assert!(corrupt(&good[..good.len() - 1]));
        // The wallet's name, spelt as no wallet's is.
        let at = good
            .windows(4)
            .position(|part| part == b"main")
            .expect("the name");
        assert!(corrupt(&[&good[..at], b"MAIN", &good[at + 4..]].concat()));
        // An index beyond the last.
        let mut beyond = good.clone();
        // Behind it: no cancellation, nothing assigned by hand, no callback ended.
        let last = beyond.len() - 4;
        beyond[last] |= 8;
        assert!(corrupt(&beyond));
    }
}
