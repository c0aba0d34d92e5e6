//! The wire's objects in every form that they take, against their schemas.

use serde_json::Value;

use super::Checker;
use crate::api::testing::NOW;
use crate::api::wire::PaymentObject;
use crate::api::wire::delivery::DeliveryWithLog;
use crate::api::wire::endpoint::EndpointObject;
use crate::api::wire::event::WireEncoder;
use crate::api::wire::tests::{chains, credit, payment, record};
use crate::api::wire::transfer::ListedTransfer;
use crate::delivery::gauges::Fare;
use crate::domain::account_key::AddressIndex;
use crate::domain::api_key::KeyId;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState, GivenUp};
use crate::domain::endpoint::{DisabledWhy, Endpoint, EventFilter, Standing};
use crate::domain::event::{AfterCompletion, EndpointNote, Event, EventKind, SealedEvent};
use crate::domain::ids::{DeliveryId, EndpointId, EventId, PaymentId, Sequence};
use crate::domain::payment::{
    Assignment, Basis, Credit, CreditState, Finality, Payment, Status, TransferRecord,
    TransferState, UnmatchedReason,
};
use crate::domain::signing_key::{SigningKey, SigningKeys};
use crate::domain::test_support::wallet;
use crate::domain::wallet::Derivation;
use crate::ledger_task::EventEncoder;

/// A payment with every field filled.
fn full_payment() -> Payment {
    let wallet = wallet("main");
    let with = |state, basis, log_index| Credit {
        state,
        basis,
        log_index,
        ..credit()
    };
    Payment {
        status: Status::Completed,
        completed_at: Some(NOW),
        final_confirmations: Some(20),
        finality: Finality::Depth(3),
        credits: vec![
            with(CreditState::Seen, Basis::Matched, 1),
            with(CreditState::Confirmed, Basis::ByHand, 2),
            with(CreditState::Reverted, Basis::Matched, 3),
        ],
        derivation: Some(Derivation {
            wallet: wallet.name.clone(),
            key: wallet.key.id(),
            account: 0,
            index: AddressIndex::new(7).expect("an index"),
        }),
        success_url: Some("https://shop.example/thanks".to_owned()),
        metadata: Some(r#"{"cart":"c-17"}"#.to_owned()),
        ..payment()
    }
}

fn assigned(payment: PaymentId) -> TransferRecord {
    TransferRecord {
        assigned: Some(Assignment {
            payment,
            at: NOW,
            reason: UnmatchedReason::WrongAmount,
            meant_for: Some(payment),
            by: Some(KeyId(1)),
        }),
        ..record(TransferState::Credited(payment))
    }
}

pub fn unmatched(reason: UnmatchedReason, payment: Option<PaymentId>) -> TransferRecord {
    record(TransferState::Unmatched { reason, payment })
}

pub fn delivery(state: DeliveryState, given_up: Option<GivenUp>) -> Delivery {
    let id = DeliveryId {
        sequence: Sequence(50_000),
        endpoint: EndpointId(1),
    };
    let mut delivery = Delivery::new(
        id,
        EventKind::Completed,
        Some(payment().id),
        "https://books.example/hooks",
        NOW,
    );
    delivery.state = state;
    delivery.given_up = given_up;
    delivery.attempts = 1;
    delivery.last = Some(attempt());
    delivery
}

fn endpoint() -> Endpoint {
    Endpoint {
        id: EndpointId(1),
        url: "https://books.example/hooks".to_owned(),
        description: "the books".to_owned(),
        filter: EventFilter::All,
        keys: SigningKeys::new(SigningKey::of_random([7; 32])),
        standing: Standing::Enabled,
        created_at: NOW,
        failing_since: None,
    }
}

pub fn attempt() -> Attempt {
    Attempt {
        at: NOW,
        status: Some(503),
        latency_ms: 12,
        detail: "status 503".to_owned(),
        next_at: Some(NOW.plus_seconds(5)),
    }
}

fn json(object: &impl serde::Serialize) -> Value {
    serde_json::to_value(object).expect("JSON")
}

/// Everything that the API can show of a payment, a transfer, a delivery and an event.
pub fn check_objects(checker: &mut Checker) {
    let (chains, full) = (chains(), full_payment());
    for payment in [&payment(), &full] {
        checker.check_named("Payment", &json(&PaymentObject::new(payment, &chains)));
        let payer = PaymentObject::new(payment, &chains).for_payer();
        checker.check_named("Payment", &json(&payer));
        let created = PaymentObject::new(payment, &chains)
            .with_access("token", "https://pay.example/pay/x#y");
        checker.check_named("CreatedPayment", &json(&created));
    }
    let reverted = record(TransferState::Reverted);
    for record in [
        unmatched(UnmatchedReason::Early, None),
        unmatched(UnmatchedReason::Late, Some(full.id)),
        assigned(full.id),
        reverted,
    ] {
        checker.check_named("Transfer", &json(&ListedTransfer::new(&record, &chains)));
    }
    let ends = [
        (DeliveryState::Due(NOW), None),
        (DeliveryState::Delivered(NOW), None),
        (DeliveryState::Exhausted(NOW), Some(GivenUp::AttemptsUsedUp)),
        (DeliveryState::Exhausted(NOW), Some(GivenUp::Gone)),
        (
            DeliveryState::Exhausted(NOW),
            Some(GivenUp::EndpointDisabled),
        ),
        (
            DeliveryState::Exhausted(NOW),
            Some(GivenUp::EndpointDeleted),
        ),
    ];
    for (state, given_up) in ends {
        let (delivery, attempts) = (delivery(state, given_up), [attempt()]);
        let shown = DeliveryWithLog::new(&delivery, &attempts);
        checker.check_named("DeliveryWithLog", &json(&shown));
    }
    for why in DisabledWhy::ALL {
        let mut endpoint = endpoint();
        endpoint.failing_since = Some(NOW);
        endpoint.disable(why, NOW);
        let fare = Fare {
            open_until: Some(NOW),
            last_success_at: Some(NOW),
            last_failure_at: Some(NOW),
        };
        let shown = EndpointObject::new(&endpoint, fare, 3, NOW);
        checker.check_named("Endpoint", &json(&shown));
    }
}

pub fn check_events(checker: &mut Checker) {
    let encoder = WireEncoder { chains: chains() };
    let full = full_payment();
    let transfers = [
        None,
        Some(unmatched(UnmatchedReason::WrongAmount, Some(full.id))),
        Some(assigned(full.id)),
        Some(record(TransferState::Reverted)),
    ];
    for kind in EventKind::ALL {
        let payments = [None, Some(payment()), Some(full.clone())];
        for (payment, transfer) in payments.iter().zip(transfers.iter().cycle()) {
            let event = Event {
                kind,
                at: NOW,
                payment: payment.clone(),
                transfer: *transfer,
                confirmations: 3,
                after_completion: AfterCompletion::No,
                endpoint: None,
            };
            check_event(checker, &encoder, event);
        }
        for (id, reason) in [
            (EndpointId(3), None),
            (EndpointId::CALLBACK, Some(DisabledWhy::Gone)),
        ] {
            let mut note = EndpointNote::new(id, "https://shop.example/hook");
            note.payment = Some(full.id);
            note.reason = reason;
            check_event(checker, &encoder, Event::about(kind, note, NOW));
        }
    }
}

fn check_event(checker: &mut Checker, encoder: &WireEncoder, event: Event) {
    let sealed = SealedEvent {
        sequence: Sequence(20),
        id: EventId(1),
        event,
    };
    let body: Value = serde_json::from_slice(&encoder.encode(&sealed)).expect("JSON");
    checker.check_named("Event", &body);
    let kind = sealed.event.kind.as_str();
    let place = format!("/webhooks/{kind}/post/requestBody/content/application~1json/schema");
    checker.check(&place, &body);
}
