//! The wire objects against literal JSON, as clients see them byte by byte.

use serde_json::value::RawValue;

use super::{PaymentObject, WireEncoder, encode};
use crate::api::testing::{ADDRESS, NOW, chain};
use crate::chains::Chains;
use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::api_key::KeyId;
use crate::domain::endpoint::DisabledWhy;
use crate::domain::event::{AfterCompletion, EndpointNote, Event, EventKind, SealedEvent};
use crate::domain::ids::{
    ChainId, EndpointId, EventId, Height, PaymentId, Sequence, TransferKey, TxId, UnixMs,
};
use crate::domain::payment::{
    AmountMode, Assignment, Basis, Credit, CreditState, Finality, MatchRule, Payment, Status,
    TransferRecord, TransferState, UnmatchedReason,
};
use crate::ledger_task::EventEncoder;

const ID: &str = "0190a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b";
const PAYER: &str = "TMVQGm1qAQYVdetCeGRRkTWYYrLXuHK2HC";

fn address(text: &str) -> Address {
    Address::from_tron(text).expect("an address")
}

pub fn payment() -> Payment {
    Payment {
        id: PaymentId::parse(ID).expect("an id"),
        chain: ChainId(0),
        address: address(ADDRESS),
        derivation: None,
        order_id: "ORDER \"1\" \u{1F600}".to_owned(),
        expected: Amount::from_base_units(5_000_000),
        to_pay: Amount::from_base_units(5_000_001),
        rule: MatchRule::Exact,
        amount_mode: AmountMode::Unique,
        tolerance: Amount::from_base_units(10),
        finality: Finality::Final,
        created_at: NOW,
        created_above: Height(100),
        expires_at: NOW.plus_seconds(86_400),
        grace_seconds: 60,
        status: Status::Pending,
        closed_at: None,
        cancelled_at: None,
        completed_at: None,
        final_confirmations: None,
        credits: Vec::new(),
        callback: None,
        success_url: None,
        metadata: None,
        watched: true,
    }
}

pub fn credit() -> Credit {
    Credit {
        txid: TxId([0xab; 32]),
        log_index: 3,
        from: address(PAYER),
        amount: Amount::from_base_units(5_000_001),
        height: Height(115),
        block_time: UnixMs(1_672_531_500_789),
        state: CreditState::Seen,
        basis: Basis::Matched,
    }
}

pub fn record(state: TransferState) -> TransferRecord {
    TransferRecord {
        key: TransferKey {
            chain: ChainId(0),
            txid: TxId([0xcd; 32]),
            log_index: 4,
        },
        from: address(PAYER),
        to: address(ADDRESS),
        amount: Amount::from_base_units(4_000_000),
        height: Height(116),
        block_time: UnixMs(1_672_531_503_000),
        state,
        assigned: None,
    }
}

pub fn chains() -> Chains {
    Chains::new(vec![chain()])
}

fn shown(payment: &Payment) -> String {
    let json = encode(&PaymentObject::new(payment, &chains())).expect("JSON");
    String::from_utf8(json.to_vec()).expect("text")
}

fn encoded(kind: EventKind, payment: Option<Payment>, transfer: Option<TransferRecord>) -> String {
    let encoder = WireEncoder { chains: chains() };
    let bytes = encoder.encode(&SealedEvent {
        sequence: Sequence(20),
        id: EventId(1),
        event: Event {
            kind,
            at: UnixMs(1_672_531_503_456),
            confirmations: u32::from(payment.as_ref().is_some_and(|p| !p.credits.is_empty())),
            payment,
            transfer,
            after_completion: AfterCompletion::No,
            endpoint: None,
        },
    });
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "{text}");
    text
}

/// Removes the line breaks and indentation that make a literal readable.
fn compact(literal: &str) -> String {
    literal.lines().map(str::trim_start).collect()
}

#[test]
fn a_waiting_payment() {
    let expected = compact(&format!(
        r#"{{"payment_id":"{ID}","wallet_address":"{ADDRESS}","expected_amount_usdt":5.0,
        "order_id":"ORDER \"1\" 😀","status":"pending","transaction_hash":null,"received_amount_usdt":null,
        "created_at":1672531200.123,"completed_at":null,"expires_at":1672617600.123,
        "chain_time":1672531198.123,"chain":"tron","currency":"USDT_TRC20","expected_amount":"5.0","received_amount":"0.0",
        "amount_to_pay":"5.000001","amount_mode":"unique","match":"exact","tolerance":"10",
        "confirmations":0,"confirmations_required":19,"finality":"final","transfers":[],
        "wallet":null,"derivation_path":null,"success_url":null,"callback_disabled":false,
        "metadata":{{}}}}"#
    ));
    assert_eq!(shown(&payment()), expected);
}

#[test]
fn a_confirming_payment_counts_from_the_tip() {
    let mut payment = payment();
    payment.status = Status::Confirming;
    payment.credits.push(credit());
    let text = shown(&payment);
    let hash = "ab".repeat(32);
    for part in [
        format!(r#""transaction_hash":"{hash}","received_amount_usdt":5.000001,"#),
        r#""confirmations":6,"confirmations_required":19,"#.to_owned(),
        compact(&format!(
            r#""transfers":[{{"transaction_hash":"{hash}","log_index":3,"from":"{PAYER}","amount":"5.000001",
            "block_number":115,"block_timestamp":1672531500789,"state":"seen","settled_by":"match"}}]"#
        )),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
}

#[test]
fn a_completed_payment_keeps_its_confirmations() {
    let mut payment = payment();
    payment.status = Status::Completed;
    payment.completed_at = Some(UnixMs(1_672_531_560_000));
    payment.final_confirmations = Some(20);
    payment.finality = Finality::Depth(3);
    payment.metadata = Some(r#"[1.50, "x"]"#.to_owned());
    let mut confirmed = credit();
    confirmed.state = CreditState::Confirmed;
    confirmed.basis = Basis::ByHand;
    let mut reverted = credit();
    reverted.log_index = 9;
    reverted.state = CreditState::Reverted;
    payment.credits.extend([reverted, confirmed]);
    let text = shown(&payment);
    for part in [
        r#""status":"completed","#,
        r#""completed_at":1672531560.0,"#,
        r#""confirmations":20,"confirmations_required":3,"finality":3,"#,
        r#""received_amount":"5.000001","#,
        r#""state":"reverted","settled_by":"match"}"#,
        r#""state":"confirmed","settled_by":"hand"}"#,
        r#""metadata":[1.50, "x"]}"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn the_completion_has_the_flat_fields_of_the_replaced_service() {
    let mut payment = payment();
    payment.status = Status::Completed;
    payment.credits.push(credit());
    payment.metadata = Some(r#"{"a":1.0}"#.to_owned());
    let hash = "ab".repeat(32);
    let expected = compact(&format!(
        r#"{{"type":"payment.completed","id":"evt_00000000000000000000000001","sequence":20,
        "timestamp":"2023-01-01T00:05:03.456Z","payment_id":"{ID}","order_id":"ORDER \"1\" 😀",
        "wallet_address":"{ADDRESS}","chain":"tron","currency":"USDT_TRC20","expected_amount_usdt":5.0,
        "received_amount_usdt":5.000001,"transaction_hash":"{hash}","block_timestamp":1672531500789,
        "confirmations":1,"status":"completed","metadata":{{"a":1.0}},"expected_amount":"5.0",
        "received_amount":"5.000001","amount_to_pay":"5.000001","transfer":null}}"#
    ));
    assert_eq!(encoded(EventKind::Completed, Some(payment), None), expected);
}

#[test]
fn a_creation_knows_no_transaction() {
    let text = encoded(EventKind::Created, Some(payment()), None);
    let part = r#""received_amount_usdt":null,"transaction_hash":null,"block_timestamp":null,"confirmations":0,"status":"pending","metadata":{},"#;
    assert!(text.contains(part), "{text}");
}

#[test]
fn a_mismatch_shows_the_transfer_and_leaves_the_payment_unpaid() {
    let state = TransferState::Unmatched {
        reason: UnmatchedReason::WrongAmount,
        payment: PaymentId::parse(ID),
    };
    let text = encoded(EventKind::Mismatched, Some(payment()), Some(record(state)));
    let hash = "cd".repeat(32);
    for part in [
        r#""type":"payment.mismatched","#.to_owned(),
        format!(r#""transaction_hash":"{hash}","block_timestamp":1672531503000,"#),
        r#""received_amount":"0.0","#.to_owned(),
        compact(&format!(
            r#""transfer":{{"id":"trf_0_{hash}_4","transaction_hash":"{hash}","log_index":4,"from":"{PAYER}","to":"{ADDRESS}",
            "amount":"4.0","block_number":116,"block_timestamp":1672531503000,"state":"unmatched","reason":"wrong_amount","assigned":null}}}}"#
        )),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
}

#[test]
fn an_unmatched_transfer_without_a_payment_leaves_its_fields_null() {
    let state = TransferState::Unmatched {
        reason: UnmatchedReason::Early,
        payment: None,
    };
    let text = encoded(EventKind::TransferUnmatched, None, Some(record(state)));
    for part in [
        r#""payment_id":null,"order_id":null,"#.to_owned(),
        format!(r#""wallet_address":"{ADDRESS}","chain":"tron","#),
        r#""status":null,"metadata":{},"expected_amount":null,"#.to_owned(),
        r#""reason":"early""#.to_owned(),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
}

/// Beside the payment that it settles, the audit event says why the transfer had settled nothing and whose it seemed.
#[test]
fn an_assignment_tells_what_was_overruled() {
    let id = PaymentId::parse(ID).expect("an id");
    let mut transfer = record(TransferState::Credited(id));
    transfer.assigned = Some(Assignment {
        payment: id,
        at: NOW,
        reason: UnmatchedReason::Late,
        meant_for: None,
        by: Some(KeyId(1)),
    });
    let mut payment = payment();
    payment.status = Status::Confirming;
    payment.credits.push(Credit {
        txid: transfer.key.txid,
        log_index: transfer.key.log_index,
        basis: Basis::ByHand,
        ..credit()
    });
    let text = encoded(EventKind::TransferAssigned, Some(payment), Some(transfer));
    for part in [
        r#""type":"transfer.assigned","#.to_owned(),
        r#""status":"confirming","#.to_owned(),
        compact(&format!(
            r#""state":"seen","reason":null,"assigned":{{"payment_id":"{ID}","at":1672531200.123,"by":"key_00000000000000000000000001",
            "reason":"late","meant_for":null}}}}}}"#
        )),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
}

#[test]
fn a_reverted_transfer_is_still_named() {
    let mut payment = payment();
    let mut gone = credit();
    gone.state = CreditState::Reverted;
    payment.credits.push(gone);
    let record = record(TransferState::Reverted);
    let text = encoded(EventKind::Reverted, Some(payment), Some(record));
    assert!(text.contains(&format!(r#""transaction_hash":"{}""#, "cd".repeat(32))));
    assert!(
        text.contains(r#""state":"reverted","reason":null,"assigned":null}"#),
        "{text}"
    );
}

#[test]
fn a_payment_of_a_chain_that_is_gone_is_still_shown() {
    let mut payment = payment();
    payment.chain = ChainId(9);
    let removed = r#""chain_time":null,"chain":"removed","currency":"removed""#;
    assert!(shown(&payment).contains(removed));
}

/// It names no secret: neither the query of the URL nor, to a payer's ears, the payment's own object.
#[test]
fn a_disabled_endpoint_is_named_with_its_reason() {
    let payment = PaymentId::parse(ID).expect("an id");
    let mut note = EndpointNote::new(EndpointId(3), "https://shop.example/hook?token=t");
    note.reason = Some(DisabledWhy::Failing);
    let about = |kind, note: &EndpointNote| {
        let encoder = WireEncoder { chains: chains() };
        let event = Event::about(kind, note.clone(), NOW);
        let bytes = encoder.encode(&SealedEvent {
            sequence: Sequence(20),
            id: EventId(1),
            event,
        });
        String::from_utf8(bytes.to_vec()).expect("text")
    };
    let expected = compact(
        r#"{"type":"endpoint.disabled","id":"evt_00000000000000000000000001","sequence":20,
        "timestamp":"2023-01-01T00:00:00.123Z","payment_id":null,"order_id":null,"wallet_address":null,"chain":null,
        "currency":null,"expected_amount_usdt":null,"received_amount_usdt":null,"transaction_hash":null,
        "block_timestamp":null,"confirmations":0,"status":null,"metadata":{},"expected_amount":null,
        "received_amount":null,"amount_to_pay":null,"transfer":null,
        "endpoint":{"id":"ep_3","url":"https://shop.example/hook","reason":"failing"}}"#,
    );
    assert_eq!(about(EventKind::EndpointDisabled, &note), expected);
    note.id = EndpointId::CALLBACK;
    note.payment = Some(payment);
    let callback = about(EventKind::EndpointDisabled, &note);
    assert!(
        callback.contains(&format!(r#""payment_id":"{ID}""#)),
        "{callback}"
    );
    assert!(
        callback.contains(r#""endpoint":{"id":"callbacks""#),
        "{callback}"
    );
    let test = EndpointNote::new(EndpointId(3), "https://shop.example/hook");
    let test = about(EventKind::EndpointTest, &test);
    assert!(
        test.ends_with(r#""endpoint":{"id":"ep_3","url":"https://shop.example/hook"}}"#),
        "{test}"
    );
}
