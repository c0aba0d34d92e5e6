//! The payment object: the classic status object's fields first, the rest of the `/v1` vocabulary after them.

use serde::Serialize;

use super::chain_face::ChainFace;
use super::scalar::{Embedded, ExactNumber, Seconds, Text};
use super::transfer::CreditObject;
use crate::chains::Chains;
use crate::domain::address::Address;
use crate::domain::ids::{PaymentId, TxId};
use crate::domain::payment::{AmountMode, Finality, MatchRule, Payment};
use crate::domain::wallet::Derivation;

/// A payment as every endpoint shows it.
#[derive(Serialize)]
pub struct PaymentObject<'a> {
    payment_id: Text<PaymentId>,
    wallet_address: Text<Address>,
    expected_amount_usdt: ExactNumber,
    order_id: &'a str,
    status: &'static str,
    transaction_hash: Option<Text<TxId>>,
    received_amount_usdt: Option<ExactNumber>,
    created_at: Seconds,
    completed_at: Option<Seconds>,
    expires_at: Seconds,
    /// Of the newest block processed. It decides what is in time; null before the first block.
    chain_time: Option<Seconds>,
    chain: &'a str,
    currency: &'a str,
    expected_amount: String,
    received_amount: String,
    amount_to_pay: String,
    amount_mode: &'static str,
    #[serde(rename = "match")]
    rule: &'static str,
    /// Base units, as in the request.
    tolerance: Text<u128>,
    confirmations: u32,
    confirmations_required: u32,
    finality: FinalityWord,
    transfers: Vec<CreditObject>,
    wallet: Option<&'a str>,
    derivation_path: Option<String>,
    success_url: Option<&'a str>,
    /// Whether the receiver of its webhooks answered 410 and gets no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback_disabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Embedded<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    access: Option<Access<'a>>,
}

/// What only the answer to a creation tells.
#[derive(Serialize)]
struct Access<'a> {
    client_token: &'a str,
    checkout_url: &'a str,
}

/// What a payment waits for, as the request's `confirmations` says it.
#[derive(Serialize)]
#[serde(untagged)]
enum FinalityWord {
    Word(&'static str),
    Depth(u32),
}

impl<'a> PaymentObject<'a> {
    pub fn new(payment: &'a Payment, chains: &'a Chains) -> Self {
        let chain = ChainFace::of(chains, payment.chain);
        let received = payment.received();
        let derivation = payment.derivation.as_ref();
        Self {
            payment_id: Text(payment.id),
            wallet_address: Text(payment.address),
            expected_amount_usdt: ExactNumber::new(payment.expected, chain.decimals),
            order_id: &payment.order_id,
            status: payment.status.as_str(),
            transaction_hash: payment.last_credit().map(|c| Text(c.txid)),
            received_amount_usdt: (!received.is_zero())
                .then(|| ExactNumber::new(received, chain.decimals)),
            created_at: Seconds(payment.created_at),
            completed_at: payment.completed_at.map(Seconds),
            expires_at: Seconds(payment.expires_at),
            chain_time: chain.time.map(Seconds),
            chain: chain.name,
            currency: chain.currency,
            expected_amount: chain.decimal(payment.expected),
            received_amount: chain.decimal(received),
            amount_to_pay: chain.decimal(payment.to_pay),
            amount_mode: mode_word(payment.amount_mode),
            rule: rule_word(payment.rule),
            tolerance: Text(payment.tolerance.base_units()),
            confirmations: payment.confirmations_at(chain.tip),
            confirmations_required: chain.confirmations_required(payment.finality),
            finality: finality_word(payment.finality),
            transfers: payment
                .credits
                .iter()
                .map(|credit| CreditObject::new(credit, &chain))
                .collect(),
            wallet: derivation.map(|d| d.wallet.as_str()),
            derivation_path: derivation.map(Derivation::path),
            success_url: payment.success_url.as_deref(),
            callback_disabled: Some(payment.callback_has_ended()),
            metadata: Some(Embedded(payment.metadata.as_deref())),
            access: None,
        }
    }

    /// Without what is the merchant's alone: the index of an address tells how many payments there
    /// have been, and metadata may hold a shop's notes.
    #[must_use]
    pub fn for_payer(mut self) -> Self {
        self.wallet = None;
        self.derivation_path = None;
        self.callback_disabled = None;
        self.metadata = None;
        self
    }

    /// Adds what opens the payment to its payer.
    #[must_use]
    pub fn with_access(mut self, client_token: &'a str, checkout_url: &'a str) -> Self {
        self.access = Some(Access {
            client_token,
            checkout_url,
        });
        self
    }
}

/// The amount that the payer is told to send, exactly.
pub fn amount_to_pay(payment: &Payment, chains: &Chains) -> String {
    ChainFace::of(chains, payment.chain).decimal(payment.to_pay)
}

const fn rule_word(rule: MatchRule) -> &'static str {
    match rule {
        MatchRule::Exact => "exact",
        MatchRule::Accumulate => "accumulate",
    }
}

const fn mode_word(mode: AmountMode) -> &'static str {
    match mode {
        AmountMode::Fixed => "fixed",
        AmountMode::Unique => "unique",
    }
}

const fn finality_word(finality: Finality) -> FinalityWord {
    match finality {
        Finality::Final => FinalityWord::Word("final"),
        Finality::Depth(depth) => FinalityWord::Depth(depth),
    }
}
