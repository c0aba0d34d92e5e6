//! The event object: what sockets push and webhooks carry, its bytes frozen when the event is committed.
//!
//! The flat fields are those of the replaced service's webhook. `transaction_hash` and `block_timestamp` are the causing
//! transfer's where one caused the event, else those of the payment's newest credit.

use bytes::Bytes;
use serde::Serialize;

use super::chain_face::ChainFace;
use super::encode;
use super::scalar::{Embedded, ExactNumber, Rfc3339, Text};
use super::transfer::TransferObject;
use crate::chains::Chains;
use crate::domain::address::Address;
use crate::domain::endpoint::DisabledWhy;
use crate::domain::event::{EndpointNote, SealedEvent};
use crate::domain::ids::{ChainId, EndpointId, EventId, PaymentId, TxId, UnixMs};
use crate::domain::payment::Payment;
use crate::ledger_task::EventEncoder;

#[derive(Serialize)]
struct EventObject<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: Text<EventId>,
    sequence: u64,
    timestamp: Text<Rfc3339>,
    payment_id: Option<Text<PaymentId>>,
    order_id: Option<&'a str>,
    wallet_address: Option<Text<Address>>,
    /// Null for what is about no payment and no transfer.
    chain: Option<&'a str>,
    currency: Option<&'a str>,
    expected_amount_usdt: Option<ExactNumber>,
    received_amount_usdt: Option<ExactNumber>,
    transaction_hash: Option<Text<TxId>>,
    /// Milliseconds, as the chain gives it.
    block_timestamp: Option<u64>,
    confirmations: u32,
    status: Option<&'static str>,
    metadata: Embedded<'a>,
    expected_amount: Option<String>,
    received_amount: Option<String>,
    amount_to_pay: Option<String>,
    transfer: Option<TransferObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<NotedEndpoint<'a>>,
}

/// The webhook endpoint that an event is about.
#[derive(Serialize)]
struct NotedEndpoint<'a> {
    id: Text<EndpointId>,
    url: &'a str,
    /// Why it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl<'a> NotedEndpoint<'a> {
    fn new(note: &'a EndpointNote) -> Self {
        Self {
            id: Text(note.id),
            url: &note.url,
            reason: note.reason.map(DisabledWhy::as_str),
        }
    }
}

impl<'a> EventObject<'a> {
    fn new(sealed: &'a SealedEvent, chains: &'a Chains) -> Self {
        let event = &sealed.event;
        let (payment, transfer) = (event.payment.as_ref(), event.transfer.as_ref());
        let chain_id = payment.map(|p| p.chain).or(transfer.map(|t| t.key.chain));
        let chain = ChainFace::of(chains, chain_id.unwrap_or(ChainId(u16::MAX)));
        let note = event.endpoint.as_ref();
        let received = payment.map(Payment::received);
        let transaction = transaction_of(sealed);
        Self {
            kind: event.kind.as_str(),
            id: Text(sealed.id),
            sequence: sealed.sequence.0,
            timestamp: Text(Rfc3339(event.at)),
            payment_id: payment
                .map(|p| p.id)
                .or(note.and_then(|note| note.payment))
                .map(Text),
            order_id: payment.map(|p| p.order_id.as_str()),
            wallet_address: payment
                .map(|p| p.address)
                .or(transfer.map(|t| t.to))
                .map(Text),
            chain: chain_id.map(|_| chain.name),
            currency: chain_id.map(|_| chain.currency),
            expected_amount_usdt: payment.map(|p| ExactNumber::new(p.expected, chain.decimals)),
            received_amount_usdt: received
                .filter(|amount| !amount.is_zero())
                .map(|amount| ExactNumber::new(amount, chain.decimals)),
            transaction_hash: transaction.map(|(txid, _)| Text(txid)),
            block_timestamp: transaction.map(|(_, time)| time.0),
            confirmations: event.confirmations,
            status: payment.map(|p| p.status.as_str()),
            metadata: Embedded(payment.and_then(|p| p.metadata.as_deref())),
            expected_amount: payment.map(|p| chain.decimal(p.expected)),
            received_amount: received.map(|amount| chain.decimal(amount)),
            amount_to_pay: payment.map(|p| chain.decimal(p.to_pay)),
            transfer: transfer.map(|t| TransferObject::new(t, payment, &chain)),
            endpoint: note.map(NotedEndpoint::new),
        }
    }
}

fn transaction_of(sealed: &SealedEvent) -> Option<(TxId, UnixMs)> {
    let event = &sealed.event;
    let causing = event.transfer.as_ref().map(|t| (t.key.txid, t.block_time));
    causing.or_else(|| {
        let credit = event.payment.as_ref()?.last_credit()?;
        Some((credit.txid, credit.block_time))
    })
}

/// Writes events for the ledger.
pub struct WireEncoder {
    pub chains: Chains,
}

impl EventEncoder for WireEncoder {
    fn encode(&self, sealed: &SealedEvent) -> Bytes {
        encode(&EventObject::new(sealed, &self.chains)).unwrap_or_else(|error| {
            // Only metadata that was changed outside of us can bring this about.
            tracing::error!(%error, id = %sealed.id, "an event could not be written as JSON");
            Bytes::from_static(b"{}")
        })
    }
}
