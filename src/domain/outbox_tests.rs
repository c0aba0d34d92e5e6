//! What attempts make of deliveries, endpoints and callbacks: judged on the state at their end, not at their beginning.

use super::*;
use crate::domain::endpoint_commands::{self, EndpointEdit, NewEndpoint, Usage};
use crate::domain::ids::Sequence;
use crate::domain::ledger;
use crate::domain::ledger_test_support::{NOW, OLDEST_FIRST};
use crate::domain::payment::Callback;
use crate::domain::retry::Jitter;
use crate::domain::signing_key::SigningKey;
use crate::domain::test_support::{Adjust, MemoryState, id, payment};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const ONE: EndpointId = EndpointId(1);
const HOOKS: &str = "https://shop.example/hooks?token=t";

fn delivery_id(sequence: u64, endpoint: u32) -> DeliveryId {
    DeliveryId {
        sequence: Sequence(sequence),
        endpoint: EndpointId(endpoint),
    }
}

fn report(id: DeliveryId, outcome: Outcome) -> AttemptReport {
    AttemptReport {
        id,
        url: HOOKS.to_owned(),
        at: NOW,
        status: Some(500),
        latency_ms: 12,
        detail: "no".to_owned(),
        outcome,
        retry_after: None,
        jitter: Jitter::from_random(0),
    }
}

/// Records an attempt and returns what it came to.
fn tried(state: &mut MemoryState, id: DeliveryId, outcome: Outcome, now: UnixMs) -> Changes {
    state
        .decide(|view| record(view, &report(id, outcome), now))
        .expect("records")
}

fn add_endpoint(state: &mut MemoryState) {
    let new = NewEndpoint {
        url: HOOKS.to_owned(),
        description: String::new(),
        filter: crate::domain::endpoint::EventFilter::All,
        key: SigningKey::of_random([1; 32]),
    };
    state
        .decide(|view| endpoint_commands::create(view, new, NOW))
        .expect("made");
}

/// Endpoints 1 and 2, and so many payments with callbacks: event n is payment n's creation.
fn shop(payments: u128) -> MemoryState {
    let mut state = MemoryState::starting_at(100);
    add_endpoint(&mut state);
    add_endpoint(&mut state);
    for n in 1..=payments {
        let url = format!("https://shop.example/{n}");
        let scope = CallbackScope::Everything;
        let new = payment(n).with(|p| p.callback = Some(Callback { url, scope }));
        state
            .decide(|view| ledger::create(view, new, OLDEST_FIRST, NOW))
            .expect("created");
    }
    state
}

fn states(state: &MemoryState, endpoint: u32) -> Vec<(&'static str, Option<GivenUp>)> {
    let own = state.deliveries.values();
    own.filter(|d| d.id.endpoint.0 == endpoint)
        .map(|d| (d.state.as_str(), d.given_up))
        .collect()
}

/// Found while the first tests of this were written: the delivery that was answered with 410 is due until its record is
/// written, so it was among what its endpoint gives up, and that overwrote its attempt.
#[test]
fn a_410_disables_the_endpoint_and_keeps_its_own_attempt() {
    let mut state = shop(3);
    let changes = tried(&mut state, delivery_id(2, 1), Outcome::Gone, NOW);
    let (ended, gone) = (Some(GivenUp::EndpointDisabled), Some(GivenUp::Gone));
    let expected = [
        ("exhausted", ended),
        ("exhausted", gone),
        ("exhausted", ended),
    ];
    assert_eq!(states(&state, 1), expected);
    let answered = &state.deliveries[&delivery_id(2, 1)];
    assert_eq!(answered.attempts, 1);
    assert_eq!(answered.last.as_ref().map(|a| a.status), Some(Some(500)));
    let [event] = changes.events.as_slice() else {
        panic!("{:?}", changes.events);
    };
    let note = event.endpoint.as_ref().expect("about an endpoint");
    assert_eq!((note.id, note.reason), (ONE, Some(DisabledWhy::Gone)));
    assert_eq!(note.url, "https://shop.example/hooks");
    // The news goes to the other endpoint alone, and nothing new to this one.
    assert_eq!(states(&state, 2).len(), 4);
    assert_eq!(states(&state, 1).len(), 3);
    assert_eq!(states(&state, 0), [("due", None); 3], "callbacks go on");
}

#[test]
fn five_days_of_failures_disable_and_four_do_not() {
    let mut state = shop(2);
    tried(&mut state, delivery_id(1, 1), Outcome::Failed, NOW);
    let four = NOW.plus_ms(4 * DAY_MS);
    assert!(
        tried(&mut state, delivery_id(2, 1), Outcome::Failed, four)
            .events
            .is_empty()
    );
    let five = NOW.plus_ms(5 * DAY_MS);
    let changes = tried(&mut state, delivery_id(1, 1), Outcome::Failed, five);
    let note = changes.events[0]
        .endpoint
        .clone()
        .expect("about an endpoint");
    assert_eq!(note.reason, Some(DisabledWhy::Failing));
    assert_eq!(
        states(&state, 1),
        [("exhausted", Some(GivenUp::EndpointDisabled)); 2]
    );
    assert_eq!(state.deliveries[&delivery_id(1, 1)].attempts, 2);
}

#[test]
fn an_attempt_that_ends_after_its_endpoint_did_is_judged_on_what_is_now() {
    let mut state = shop(3);
    let off = EndpointEdit {
        usage: Some(Usage::Disable),
        ..EndpointEdit::default()
    };
    state
        .decide(|view| endpoint_commands::change(view, ONE, off, NOW))
        .expect("disabled");
    tried(&mut state, delivery_id(1, 1), Outcome::Failed, NOW);
    tried(&mut state, delivery_id(2, 1), Outcome::Delivered, NOW);
    let ended = Some(GivenUp::EndpointDisabled);
    let expected = [
        ("exhausted", ended),
        ("delivered", None),
        ("exhausted", ended),
    ];
    assert_eq!(states(&state, 1), expected);
    assert_eq!(
        state.deliveries[&delivery_id(1, 1)].attempts,
        1,
        "on record"
    );
    state
        .decide(|view| endpoint_commands::delete(view, EndpointId(2), NOW))
        .expect("deleted");
    tried(&mut state, delivery_id(1, 2), Outcome::Failed, NOW);
    let deleted = Some(GivenUp::EndpointDeleted);
    assert_eq!(states(&state, 2)[0], ("exhausted", deleted));
    // Nothing of it is left to be recorded.
    state.deliveries.clear();
    assert_eq!(
        tried(&mut state, delivery_id(1, 2), Outcome::Failed, NOW),
        Changes::default()
    );
}

#[test]
fn a_410_ends_the_callback_of_that_payment_and_of_no_other() {
    let mut state = shop(2);
    state
        .decide(|view| ledger::cancel(view, id(1), NOW))
        .expect("cancelled");
    let changes = tried(&mut state, delivery_id(1, 0), Outcome::Gone, NOW);
    let note = changes.events[0]
        .endpoint
        .clone()
        .expect("about a callback");
    assert_eq!(note.payment, Some(id(1)));
    assert_eq!(note.url, "https://shop.example/1");
    assert_eq!(
        changes.events[0].payment, None,
        "a payer reads nothing of it"
    );
    let (gone, ended) = (Some(GivenUp::Gone), Some(GivenUp::EndpointDisabled));
    let expected = [("exhausted", gone), ("due", None), ("exhausted", ended)];
    assert_eq!(states(&state, 0), expected);
    assert!(state.payments[&id(1)].callback_has_ended());
    let again = state.decide(|view| redeliver(view, delivery_id(1, 0), NOW));
    assert!(matches!(again, Err(Refusal::CallbackEnded)), "{again:?}");
}

#[test]
fn asked_for_again_a_delivery_begins_its_schedule_anew_and_counts_on() {
    let mut state = shop(1);
    let one = delivery_id(1, 1);
    let mut now = NOW;
    while state.deliveries[&one].state.is_due() {
        // Now and then a success elsewhere, so that the endpoint is not disabled first.
        tried(&mut state, delivery_id(1, 1), Outcome::Failed, now);
        let mut endpoint = state.endpoints.get(ONE).expect("1").clone();
        endpoint.failing_since = None;
        std::sync::Arc::make_mut(&mut state.endpoints).apply(&EndpointChange::Put(endpoint));
        if let DeliveryState::Due(at) = state.deliveries[&one].state {
            now = at;
        }
    }
    let used_up = state.deliveries[&one].clone();
    assert_eq!(used_up.given_up, Some(GivenUp::AttemptsUsedUp));
    state
        .decide(|view| redeliver(view, one, now))
        .expect("asked for");
    let soon = state.decide(|view| redeliver(view, one, now));
    assert!(matches!(soon, Err(Refusal::AlreadyDue)), "{soon:?}");
    tried(&mut state, one, Outcome::Failed, now);
    let again = &state.deliveries[&one];
    assert_eq!(again.attempts, used_up.attempts + 1);
    let DeliveryState::Due(at) = again.state else {
        panic!("{again:?}");
    };
    assert!(at <= now.plus_ms(10_000), "the first wait of a schedule");
    let kept = state.attempts.keys().filter(|(id, _)| *id == one).count();
    assert_eq!(kept as u32, again.attempts, "every attempt is on record");
    let tried = state.deliveries.get_mut(&one).expect("1");
    tried.attempts = MAX_ATTEMPTS_ON_RECORD;
    tried.state = DeliveryState::Exhausted(now);
    let enough = state.decide(|view| redeliver(view, one, now));
    assert!(
        matches!(enough, Err(Refusal::TooManyAttempts)),
        "{enough:?}"
    );
}

/// A queue of three days is long; one commit must not be.
#[test]
fn a_long_queue_is_given_up_in_pieces() {
    let mut state = shop(2);
    let template = state.deliveries[&delivery_id(1, 1)].clone();
    for sequence in 10..10 + 2 * GIVE_UP_ROWS as u64 {
        let id = delivery_id(sequence, 1);
        let more = Delivery {
            id,
            payment: None,
            ..template.clone()
        };
        state.deliveries.insert(id, more);
    }
    let first = state
        .decide(|view| endpoint_commands::delete(view, ONE, NOW))
        .expect("deleted");
    let mut pieces = vec![(first.deliveries.len(), first.unfinished)];
    while pieces
        .last()
        .is_some_and(|(_, rest)| *rest == Unfinished::Yes)
    {
        let next = state
            .decide(|view| release(view, Owing::Endpoint(ONE), NOW))
            .expect("released");
        pieces.push((next.deliveries.len(), next.unfinished));
    }
    let full = (GIVE_UP_ROWS, Unfinished::Yes);
    assert_eq!(pieces, [full, full, (2, Unfinished::No)]);
    let left = states(&state, 1);
    assert!(
        left.iter()
            .all(|one| *one == ("exhausted", Some(GivenUp::EndpointDeleted)))
    );
    let in_use = state
        .decide(|view| release(view, Owing::Endpoint(EndpointId(2)), NOW))
        .expect("looked at");
    assert_eq!(
        in_use,
        Changes::default(),
        "an endpoint in use keeps what it is owed"
    );
}

/// Found in review: a shop moved its endpoint away from a receiver that had begun to answer 410, and an attempt that was
/// still under way to the old one disabled the new one and gave up all it was owed.
#[test]
fn what_a_receiver_says_counts_only_while_the_endpoint_is_there() {
    for outcome in [Outcome::Gone, Outcome::Failed] {
        let mut state = shop(2);
        let moved = EndpointEdit {
            url: Some("https://new.example/hooks".to_owned()),
            ..EndpointEdit::default()
        };
        state
            .decide(|view| endpoint_commands::change(view, ONE, moved, NOW))
            .expect("moves");
        let before = state.endpoints.get(ONE).cloned();
        let changes = tried(&mut state, delivery_id(1, 1), outcome, NOW);
        assert!(changes.events.is_empty(), "{outcome:?}");
        assert_eq!(state.endpoints.get(ONE).cloned(), before, "{outcome:?}");
        assert_eq!(states(&state, 1), [("due", None); 2], "{outcome:?}");
    }
}
