//! Traffic: transactions between strangers, and the ones that the control endpoint asks for.
//!
//! All randomness comes from the generator that is handed in. Refuses to look at the chain: the
//! reference block and the time are given.

use fastrand::Rng;
use serde::Deserialize;

use super::actors::Actors;
use super::block::{Pending, Power};
use super::contracts::{
    DISPERSER, FAKE_USDT, FORWARDER, MAX_RECIPIENTS, USDT, address_word, calldata,
    disperse_calldata, number_word,
};
use super::state::{Slot, Token};
use super::tx::{Call, RawTx, Transaction, Trigger};
use super::vm::ContractResult;
use crate::domain::address::Address;
use crate::domain::ids::BlockHash;

/// How a payment reaches its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Kind {
    /// `transfer`, called on USDT by the payer.
    #[default]
    #[serde(rename = "transfer")]
    Transfer,
    /// `transferFrom`, called on USDT by somebody else.
    #[serde(rename = "transferFrom")]
    TransferFrom,
    /// A call to another contract, which moves the USDT.
    #[serde(rename = "internal")]
    Internal,
    /// One transaction that pays several recipients.
    #[serde(rename = "multi")]
    Multi,
    /// A transfer that reverts.
    #[serde(rename = "failed")]
    Failed,
    /// The same event from a contract that is not USDT.
    #[serde(rename = "fake_token")]
    FakeToken,
}

/// Who pays what to whom.
#[derive(Debug, Clone)]
pub struct Payment {
    pub from: Address,
    /// In log order; only `Multi` may have more than one.
    pub to: Vec<(Address, u128)>,
    pub kind: Kind,
}

/// What a transaction needs to know of the chain.
#[derive(Debug, Clone, Copy)]
pub struct Anchor {
    pub reference: BlockHash,
    /// Unix milliseconds at which it is made.
    pub time: u64,
}

/// How long a transaction stays valid; what wallets choose.
const VALIDITY_MS: u64 = 60_000;
/// Wallets' usual fee limit, 100 TRX, in sun.
const FEE_LIMIT_SUN: i64 = 100_000_000;
/// Too little for any transfer: 1 TRX, in sun.
const STARVED_FEE_LIMIT_SUN: i64 = 1_000_000;

/// Builds and signs the transaction of a payment. The payer is given what is missing.
pub fn pay(actors: &Actors, rng: &mut Rng, anchor: Anchor, payment: &Payment) -> Pending {
    let token = if payment.kind == Kind::FakeToken {
        Token::Fake
    } else {
        Token::Usdt
    };
    let from = payment.from;
    let total = payment
        .to
        .iter()
        .fold(0_u128, |sum, (_, amount)| sum.saturating_add(*amount));
    let (to, amount) = payment.to.first().copied().unwrap_or((from, 0));
    let pair = [address_word(to), number_word(amount)];
    let transfer = || calldata("transfer(address,uint256)", &pair);
    let collector = actors.collector.address();
    let mut power = Power {
        grants: vec![(Slot::Balance(token, from), total)],
        forced: None,
    };
    let (owner, contract, data) = match payment.kind {
        Kind::Transfer => (from, USDT, transfer()),
        Kind::FakeToken => (from, FAKE_USDT, transfer()),
        Kind::Failed => {
            power = Power {
                grants: Vec::new(),
                forced: Some(ContractResult::Revert),
            };
            (from, USDT, transfer())
        }
        Kind::TransferFrom => {
            power
                .grants
                .push((Slot::Allowance(token, from, collector), total));
            let words = [address_word(from), pair[0], pair[1]];
            (
                collector,
                USDT,
                calldata("transferFrom(address,address,uint256)", &words),
            )
        }
        Kind::Internal => {
            let words = [address_word(USDT), pair[0], pair[1]];
            (
                from,
                FORWARDER,
                calldata("forward(address,address,uint256)", &words),
            )
        }
        Kind::Multi => (from, DISPERSER, disperse_calldata(USDT, &payment.to)),
    };
    let call = Call::Trigger(Trigger::new(owner, contract, data));
    // A payment to many costs as much energy as many payments.
    let fee_limit = FEE_LIMIT_SUN * payment.to.len().clamp(1, MAX_RECIPIENTS) as i64;
    let raw = raw(rng, anchor, call, fee_limit);
    Pending {
        tx: Transaction::signed(raw, actors.signer_for(owner)),
        power,
    }
}

/// One transaction of background traffic.
pub fn stranger_tx(actors: &Actors, rng: &mut Rng, anchor: Anchor) -> Pending {
    let kind = match rng.u32(0..100) {
        0..12 => return trx_transfer(actors, rng, anchor),
        12..15 => return starved_transfer(actors, rng, anchor),
        15..19 => Kind::Failed,
        19..25 => Kind::TransferFrom,
        25..29 => Kind::Internal,
        29..31 => Kind::Multi,
        31..33 => Kind::FakeToken,
        _ => Kind::Transfer,
    };
    let from = stranger(actors, rng);
    let count = if kind == Kind::Multi {
        rng.usize(2..5)
    } else {
        1
    };
    let to = (0..count)
        .map(|_| (recipient(actors, rng), amount(rng)))
        .collect();
    pay(actors, rng, anchor, &Payment { from, to, kind })
}

fn trx_transfer(actors: &Actors, rng: &mut Rng, anchor: Anchor) -> Pending {
    let owner = stranger(actors, rng);
    let call = Call::Transfer {
        owner,
        to: recipient(actors, rng),
        amount: rng.i64(1..5_000_000_000),
    };
    let raw = raw(rng, anchor, call, 0);
    Pending {
        tx: Transaction::signed(raw, actors.signer_for(owner)),
        power: Power::default(),
    }
}

/// A transfer that runs out of energy.
fn starved_transfer(actors: &Actors, rng: &mut Rng, anchor: Anchor) -> Pending {
    let owner = stranger(actors, rng);
    let words = [
        address_word(recipient(actors, rng)),
        number_word(amount(rng)),
    ];
    let trigger = Trigger::new(owner, USDT, calldata("transfer(address,uint256)", &words));
    let raw = raw(rng, anchor, Call::Trigger(trigger), STARVED_FEE_LIMIT_SUN);
    Pending {
        tx: Transaction::signed(raw, actors.signer_for(owner)),
        power: Power::default(),
    }
}

fn raw(rng: &mut Rng, anchor: Anchor, call: Call, fee_limit: i64) -> RawTx {
    // Milliseconds vary within the past slot, so that equal payments get different ids.
    let made = anchor.time.saturating_sub(rng.u64(0..3_000)).cast_signed();
    let mut raw = RawTx {
        ref_block_bytes: Vec::new(),
        ref_block_hash: Vec::new(),
        // Wallets round to no slot, so neither does this.
        expiration: made + VALIDITY_MS.cast_signed() + rng.i64(0..1_000),
        memo: Vec::new(),
        permission_id: 0,
        call,
        timestamp: made,
        fee_limit,
    };
    raw.refer_to(anchor.reference);
    raw
}

/// Some stranger's address.
pub fn stranger(actors: &Actors, rng: &mut Rng) -> Address {
    rng.choice(&actors.strangers)
        .unwrap_or(&actors.test)
        .address()
}

/// A stranger, or one time in ten an address never seen before.
fn recipient(actors: &Actors, rng: &mut Rng) -> Address {
    if rng.u32(0..10) > 0 {
        return stranger(actors, rng);
    }
    let mut bytes = [0_u8; 20];
    rng.fill(&mut bytes);
    Address::from_bytes(bytes)
}

/// Mostly everyday sums, to the cent; sometimes to the last base unit.
fn amount(rng: &mut Rng) -> u128 {
    const CENT: u128 = 10_000;
    match rng.u32(0..10) {
        0 => rng.u128(1..5_000_000_000),
        1..4 => rng.u128(1..100) * 1_000_000,
        _ => rng.u128(100..200_000) * CENT,
    }
}
