//! Orders about endpoints, and what they leave behind.

use super::*;
use crate::domain::endpoint::EventChoice;
use crate::domain::test_support::MemoryState;

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const ONE: EndpointId = EndpointId(1);

fn key(n: u8) -> SigningKey {
    SigningKey::of_random([n; 32])
}

fn new(url: &str) -> NewEndpoint {
    NewEndpoint {
        url: url.to_owned(),
        description: "books".to_owned(),
        filter: EventFilter::All,
        key: key(1),
    }
}

fn made(state: &mut MemoryState) {
    let new = new("https://shop.example/a");
    state.decide(|view| create(view, new, NOW)).expect("made");
}

fn one(state: &MemoryState) -> &Endpoint {
    state.endpoints.get(ONE).expect("endpoint 1")
}

#[test]
fn there_are_so_many_endpoints_and_no_more() {
    let mut state = MemoryState::default();
    for _ in 0..MAX_ENDPOINTS {
        made(&mut state);
    }
    let more = state.decide(|view| create(view, new("https://shop.example"), NOW));
    assert!(matches!(more, Err(Refusal::TooManyEndpoints)), "{more:?}");
    state
        .decide(|view| delete(view, ONE, NOW))
        .expect("deleted");
    made(&mut state);
    assert!(state.endpoints.get(ONE).is_none(), "ids are not used again");
    assert!(
        state
            .endpoints
            .get(EndpointId(MAX_ENDPOINTS as u32 + 1))
            .is_some()
    );
}

#[test]
fn an_edit_changes_what_it_names_and_nothing_else() {
    let mut state = MemoryState::default();
    made(&mut state);
    let before = one(&state).clone();
    let filter = EventFilter::of(EventChoice::parse("payment.late").into_iter().collect());
    let edit = EndpointEdit {
        filter: Some(filter.clone()),
        ..EndpointEdit::default()
    };
    state
        .decide(|view| change(view, ONE, edit, NOW))
        .expect("changed");
    assert_eq!(*one(&state), Endpoint { filter, ..before });
    let nothing = state.decide(|view| change(view, ONE, EndpointEdit::default(), NOW));
    assert_eq!(nothing.expect("nothing to do"), Changes::default());
    let absent = state.decide(|view| change(view, EndpointId(9), EndpointEdit::default(), NOW));
    assert!(matches!(absent, Err(Refusal::NoSuchEndpoint)), "{absent:?}");
}

#[test]
fn a_new_url_begins_with_a_clean_slate() {
    let mut state = MemoryState::default();
    made(&mut state);
    let mut failing = one(&state).clone();
    failing.failing_since = Some(NOW);
    let url = |url: &str| EndpointEdit {
        url: Some(url.to_owned()),
        ..EndpointEdit::default()
    };
    let same = edited(&failing, url("https://shop.example/a"), NOW);
    assert_eq!(same, failing);
    let other = edited(&failing, url("https://shop.example/b"), NOW);
    assert_eq!(other.failing_since, None);
    failing.disable(DisabledWhy::Failing, NOW);
    let disabled = edited(&failing, url("https://shop.example/b"), NOW);
    assert_eq!(
        disabled.failing_since,
        Some(NOW),
        "it says since when, until it is enabled"
    );
}

#[test]
fn by_hand_it_is_disabled_once_and_enabled_again() {
    let mut state = MemoryState::default();
    made(&mut state);
    let wish = |usage| EndpointEdit {
        usage: Some(usage),
        ..EndpointEdit::default()
    };
    let off = state
        .decide(|view| change(view, ONE, wish(Usage::Disable), NOW))
        .expect("disabled");
    assert_eq!(off.events[0].kind, EventKind::EndpointDisabled);
    let again = state.decide(|view| change(view, ONE, wish(Usage::Disable), NOW));
    assert_eq!(again.expect("nothing to do"), Changes::default());
    let tried = state.decide(|view| test(view, ONE, NOW));
    assert!(
        matches!(tried, Err(Refusal::EndpointDisabled(ONE))),
        "{tried:?}"
    );
    let on = state
        .decide(|view| change(view, ONE, wish(Usage::Enable), NOW))
        .expect("enabled");
    assert!(on.events.is_empty() && one(&state).is_enabled());
    state
        .decide(|view| test(view, ONE, NOW))
        .expect("tried out");
    let owed: Vec<_> = state.deliveries.keys().map(|id| id.endpoint).collect();
    assert_eq!(owed, [ONE], "the test, and not the news of its own end");
}

#[test]
fn keys_are_rotated_for_an_endpoint_and_for_all_callbacks() {
    let mut state = MemoryState::default();
    made(&mut state);
    state
        .decide(|view| rotate(view, ONE, key(2), NOW))
        .expect("rotated");
    let signs = |keys: &SigningKeys| keys.at(NOW).cloned().collect::<Vec<_>>();
    assert_eq!(signs(&one(&state).keys), [key(2), key(1)]);
    assert_eq!(state.endpoints.callback_keys(), None);
    for n in [8, 9] {
        state
            .decide(|view| rotate_callbacks(view, &key(7), key(n), NOW))
            .expect("rotated");
        let keys = state.endpoints.callback_keys().expect("kept");
        assert_eq!(signs(keys), [key(n), key(n - 1)]);
    }
    let absent = state.decide(|view| rotate(view, EndpointId(2), key(2), NOW));
    assert!(matches!(absent, Err(Refusal::NoSuchEndpoint)), "{absent:?}");
}
