//! Recovery: what is brought in, what is not, and that pieces come to the same as one.

use super::*;
use crate::domain::delivery::GivenUp;
use crate::domain::endpoint::EventFilter;
use crate::domain::endpoint_commands::{self, EndpointEdit, NewEndpoint, Usage};
use crate::domain::event::{EndpointNote, Event};
use crate::domain::payment::{Callback, CallbackScope};
use crate::domain::signing_key::SigningKey;
use crate::domain::test_support::{Adjust, MemoryState, id, payment};

const START: UnixMs = UnixMs(1_800_000_000_000);
const HOUR_MS: u64 = 60 * 60 * 1000;
const ONE: EndpointId = EndpointId(1);

fn at(hours: u64) -> UnixMs {
    START.plus_ms(hours * HOUR_MS)
}

fn event(kind: EventKind, at: UnixMs) -> Event {
    let url = "https://shop.example/own".to_owned();
    let scope = CallbackScope::Everything;
    Event {
        payment: Some(payment(1).with(|p| p.callback = Some(Callback { url, scope }))),
        endpoint: None,
        ..Event::about(kind, EndpointNote::new(ONE, ""), at)
    }
}

/// One event an hour for so many hours, the first at hour 0.
fn log(hours: u64) -> MemoryState {
    let mut state = MemoryState::default();
    for hour in 0..hours {
        let events = vec![event(EventKind::Late, at(hour))];
        state.apply(&Changes {
            events,
            ..Changes::default()
        });
    }
    state
}

fn add_endpoint(state: &mut MemoryState, filter: EventFilter) {
    let new = NewEndpoint {
        url: "https://shop.example/hooks".to_owned(),
        description: String::new(),
        filter,
        key: SigningKey::of_random([1; 32]),
    };
    state
        .decide(|view| endpoint_commands::create(view, new, START))
        .expect("made");
}

fn span(since: u64, until: u64) -> Span {
    Span {
        since: at(since),
        until: at(until),
    }
}

/// Recovers to the end; the sequences that became due, and the events looked at.
fn recovered(state: &mut MemoryState, endpoint: EndpointId, span: Span) -> (Vec<u64>, u64) {
    let (mut due, mut looked_at, mut after) = (Vec::new(), 0, None);
    loop {
        let now = at(10_000);
        let (changes, progress) = recover(&*state, endpoint, span, after, now).expect("recovers");
        state.apply(&changes);
        due.extend(changes.deliveries.iter().map(|d| d.after.id.sequence.0));
        assert_eq!(changes.deliveries.len() as u64, progress.recovered);
        looked_at += progress.looked_at;
        after = progress.next_after;
        if after.is_none() {
            return (due, looked_at);
        }
    }
}

#[test]
fn events_from_before_the_endpoint_come_once() {
    let mut state = log(100);
    add_endpoint(&mut state, EventFilter::All);
    let (due, looked_at) = recovered(&mut state, ONE, span(10, 12));
    assert_eq!(due, [11, 12, 13], "both ends included");
    assert!(
        looked_at <= 6,
        "an hour to either side, not all: {looked_at}"
    );
    let (due, _) = recovered(&mut state, ONE, span(10, 13));
    assert_eq!(due, [14], "the others are due already");
    let (due, looked_at) = recovered(&mut state, ONE, span(200, 300));
    assert_eq!((due.len(), looked_at), (0, 0));
}

#[test]
fn a_filter_and_what_is_about_endpoints_stay_out() {
    let mut state = MemoryState::default();
    for kind in EventKind::ALL {
        let events = vec![event(kind, START)];
        state.apply(&Changes {
            events,
            ..Changes::default()
        });
    }
    add_endpoint(&mut state, EventFilter::All);
    let late = crate::domain::endpoint::EventChoice::parse("payment.late");
    add_endpoint(&mut state, EventFilter::of(late.into_iter().collect()));
    assert_eq!(recovered(&mut state, ONE, span(0, 1)).0.len(), 12);
    let (due, _) = recovered(&mut state, EndpointId(2), span(0, 1));
    assert_eq!(due, [8]);
}

#[test]
fn what_was_given_up_comes_again_and_what_was_delivered_does_not() {
    let mut state = MemoryState::default();
    add_endpoint(&mut state, EventFilter::All);
    for kind in [EventKind::Created, EventKind::Detected, EventKind::Late] {
        let events = vec![event(kind, START)];
        state.apply(&Changes {
            events,
            ..Changes::default()
        });
    }
    for delivery in state.deliveries.values_mut() {
        delivery.attempts = 3;
        delivery.state = DeliveryState::Exhausted(START);
        delivery.given_up = Some(GivenUp::AttemptsUsedUp);
        if delivery.kind == EventKind::Detected {
            delivery.state = DeliveryState::Delivered(START);
            delivery.given_up = None;
        }
    }
    for endpoint in [ONE, EndpointId::CALLBACK] {
        let (due, _) = recovered(&mut state, endpoint, span(0, 1));
        assert_eq!(due, [1, 3], "{endpoint}");
    }
    let again = state.deliveries.values().filter(|d| d.state.is_due());
    assert!(
        again
            .into_iter()
            .all(|d| d.schedule_from == 3 && d.given_up.is_none())
    );
}

#[test]
fn callbacks_get_nothing_that_they_were_never_owed_nor_after_their_end() {
    let mut state = log(3);
    state.deliveries.remove(&DeliveryId {
        sequence: Sequence(1),
        endpoint: EndpointId::CALLBACK,
    });
    for delivery in state.deliveries.values_mut() {
        delivery.state = DeliveryState::Exhausted(START);
    }
    let mut ended = payment(1);
    let url = "https://shop.example/own".to_owned();
    let scope = CallbackScope::Nothing;
    ended.callback = Some(Callback { url, scope });
    state.payments.insert(id(1), ended);
    let callbacks = EndpointId::CALLBACK;
    assert_eq!(recovered(&mut state, callbacks, span(0, 9)).0, [0_u64; 0]);
    state.payments.clear();
    assert_eq!(recovered(&mut state, callbacks, span(0, 9)).0, [2, 3]);
}

#[test]
fn a_disabled_endpoint_is_told_to_be_enabled_first() {
    let mut state = log(1);
    add_endpoint(&mut state, EventFilter::All);
    let off = EndpointEdit {
        usage: Some(Usage::Disable),
        ..EndpointEdit::default()
    };
    state
        .decide(|view| endpoint_commands::change(view, ONE, off, START))
        .expect("disabled");
    let refused = recover(&state, ONE, span(0, 1), None, START);
    assert!(
        matches!(refused, Err(Refusal::EndpointDisabled(ONE))),
        "{refused:?}"
    );
    let absent = recover(&state, EndpointId(7), span(0, 1), None, START);
    assert!(matches!(absent, Err(Refusal::NoSuchEndpoint)), "{absent:?}");
}

#[test]
fn a_long_log_is_gone_through_in_pieces() {
    let mut state = log(2 * PIECE_EVENTS as u64 + 7);
    add_endpoint(&mut state, EventFilter::All);
    let (changes, progress) = recover(&state, ONE, span(0, 9_999), None, START).expect("recovers");
    assert_eq!(changes.deliveries.len(), PIECE_EVENTS);
    assert_eq!(progress.next_after, Some(Sequence(PIECE_EVENTS as u64)));
    let (due, looked_at) = recovered(&mut state, ONE, span(0, 9_999));
    assert_eq!(due.len(), 2 * PIECE_EVENTS + 7);
    assert_eq!(looked_at, due.len() as u64);
}

/// Times are a clock's, and clocks are set back.
#[test]
fn a_clock_set_back_within_the_hour_hides_no_event() {
    let mut state = MemoryState::default();
    let minutes = [0, 60, 120, 125, 90, 95, 130, 185, 240, 300, 420];
    for minute in minutes {
        let events = vec![event(EventKind::Late, START.plus_ms(minute * 60_000))];
        state.apply(&Changes {
            events,
            ..Changes::default()
        });
    }
    add_endpoint(&mut state, EventFilter::All);
    let span = Span {
        since: START.plus_ms(91 * 60_000),
        until: START.plus_ms(126 * 60_000),
    };
    let (due, _) = recovered(&mut state, ONE, span);
    assert_eq!(due, [3, 4, 6]);
}
