//! Endpoints: filters, and what attempts make of their standing. The clock is handed in, so five days pass at once.

use super::*;
use crate::domain::endpoints::{EndpointChange, Endpoints};
use crate::domain::event::{EndpointNote, Event};
use crate::domain::ids::PaymentId;
use crate::domain::payment::{Callback, CallbackScope};
use crate::domain::signing_key::SigningKey;
use crate::domain::test_support::{Adjust, CREATED, payment};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const START: UnixMs = UnixMs(1_000_000);

fn endpoint(id: u32) -> Endpoint {
    Endpoint {
        id: EndpointId(id),
        url: format!("https://shop.example/{id}?token=t"),
        description: String::new(),
        filter: EventFilter::All,
        keys: SigningKeys::new(SigningKey::of_random([1; 32])),
        standing: Standing::Enabled,
        created_at: START,
        failing_since: None,
    }
}

fn filter(names: &[&str]) -> EventFilter {
    let choices = names.iter().map(|name| EventChoice::parse(name));
    EventFilter::of(choices.collect::<Option<_>>().expect("names"))
}

fn hears(filter: &EventFilter) -> Vec<&'static str> {
    let kinds = EventKind::ALL
        .into_iter()
        .filter(|kind| filter.wants(*kind));
    kinds.map(EventKind::as_str).collect()
}

#[test]
fn a_filter_takes_types_and_families() {
    assert_eq!(hears(&filter(&[])).len(), EventKind::ALL.len());
    assert_eq!(
        hears(&filter(&["transfer.*", "payment.completed", "transfer.*"])),
        [
            "payment.completed",
            "transfer.unmatched",
            "transfer.assigned"
        ]
    );
    let payments = hears(&filter(&["payment.*"]));
    assert!(payments.iter().all(|kind| kind.starts_with("payment.")));
    assert_eq!(payments.len(), 10);
    for wrong in [
        "",
        "*",
        "payment",
        "payment.",
        "endpoint.*",
        "payment.done",
        "PAYMENT.*",
    ] {
        assert_eq!(EventChoice::parse(wrong), None, "{wrong}");
    }
    for choice in filter(&["transfer.*", "payment.late"]).choices() {
        assert_eq!(EventChoice::parse(choice.as_str()), Some(*choice));
    }
}

#[test]
fn five_days_without_a_success_disable_it_and_not_an_hour_less() {
    let failing = endpoint(1).after_attempt(Outcome::Failed, START);
    assert_eq!(failing.failing_since, Some(START));
    let mut later = failing;
    for hours in 1..5 * 24 {
        later = later.after_attempt(Outcome::Failed, START.plus_seconds(hours * 3600));
        assert!(later.is_enabled(), "after {hours} hours");
    }
    let end = START.plus_ms(5 * DAY_MS);
    let disabled = later.after_attempt(Outcome::Failed, end);
    let why = DisabledWhy::Failing;
    assert_eq!(disabled.standing, Standing::Disabled { at: end, why });
    assert_eq!(disabled.failing_since, Some(START));
}

#[test]
fn one_success_begins_the_five_days_anew() {
    let failing = endpoint(1).after_attempt(Outcome::Failed, START);
    let well = failing.after_attempt(Outcome::Delivered, START.plus_ms(4 * DAY_MS));
    assert_eq!(well, endpoint(1));
    let again = well.after_attempt(Outcome::Failed, START.plus_ms(6 * DAY_MS));
    assert!(again.is_enabled());
    assert_eq!(again.failing_since, Some(START.plus_ms(6 * DAY_MS)));
}

#[test]
fn a_410_disables_at_once_and_what_was_under_way_changes_nothing_more() {
    let gone = endpoint(1).after_attempt(Outcome::Gone, START);
    let why = DisabledWhy::Gone;
    assert_eq!(gone.standing, Standing::Disabled { at: START, why });
    for outcome in [Outcome::Delivered, Outcome::Failed, Outcome::Gone] {
        assert_eq!(gone.after_attempt(outcome, START.plus_ms(9 * DAY_MS)), gone);
    }
    let mut back = gone;
    back.enable();
    assert_eq!(back, endpoint(1));
    back.disable(DisabledWhy::ByHand, START);
    back.disable(DisabledWhy::Gone, START.plus_ms(1));
    let why = DisabledWhy::ByHand;
    assert_eq!(back.standing, Standing::Disabled { at: START, why });
}

fn owed(endpoints: &Endpoints, event: &Event) -> Vec<u32> {
    endpoints.owed(event).iter().map(|(id, _)| id.0).collect()
}

/// 1 hears all, 2 transfers only, 3 is disabled, 4 hears of disabled endpoints only.
fn four() -> Endpoints {
    let mut four: Vec<_> = (1..=4).map(endpoint).collect();
    four[1].filter = filter(&["transfer.*"]);
    four[2].disable(DisabledWhy::ByHand, START);
    four[3].filter = filter(&["endpoint.disabled"]);
    Endpoints::restore(four, 4, None)
}

fn created(scope: CallbackScope) -> Event {
    let url = "https://shop.example/hook".to_owned();
    Event {
        kind: EventKind::Created,
        payment: Some(payment(1).with(|p| p.callback = Some(Callback { url, scope }))),
        endpoint: None,
        ..Event::about(
            EventKind::Created,
            EndpointNote::new(EndpointId(1), ""),
            CREATED,
        )
    }
}

#[test]
fn an_event_is_owed_to_all_in_use_that_want_it() {
    assert_eq!(owed(&four(), &created(CallbackScope::Everything)), [0, 1]);
    assert_eq!(owed(&four(), &created(CallbackScope::Nothing)), [1]);
    let about = |kind, id| {
        let note = EndpointNote::new(EndpointId(id), "https://shop.example/x?token=t#f");
        assert_eq!(note.url, "https://shop.example/x");
        owed(&four(), &Event::about(kind, note, CREATED))
    };
    assert_eq!(about(EventKind::EndpointTest, 2), [2]);
    assert_eq!(about(EventKind::EndpointTest, 3), [0_u32; 0], "not in use");
    assert_eq!(about(EventKind::EndpointDisabled, 1), [4], "never itself");
    assert_eq!(about(EventKind::EndpointDisabled, 3), [1, 4]);
    assert_eq!(about(EventKind::EndpointDisabled, 0), [1, 4]);
}

#[test]
fn ids_are_never_given_out_twice() {
    let mut set = four();
    assert_eq!(set.next_id(), EndpointId(5));
    set.apply(&EndpointChange::Put(endpoint(5)));
    set.apply(&EndpointChange::Remove(EndpointId(5)));
    assert_eq!((set.len(), set.next_id()), (4, EndpointId(6)));
    let same = set.after(&[]);
    assert_eq!(*same, set);
    let after = set.after(&[EndpointChange::Remove(EndpointId(1))]);
    assert!(after.get(EndpointId(1)).is_none() && set.get(EndpointId(1)).is_some());
}

#[test]
fn an_endpoint_is_named_one_way() {
    for (id, text) in [(0, "callbacks"), (1, "ep_1"), (u32::MAX, "ep_4294967295")] {
        assert_eq!(EndpointId(id).to_string(), text);
        assert_eq!(EndpointId::parse(text), Some(EndpointId(id)));
    }
    for wrong in [
        "ep_0",
        "ep_01",
        "ep_+1",
        "ep_",
        "1",
        "ep_4294967296",
        "Callbacks",
        "",
    ] {
        assert_eq!(EndpointId::parse(wrong), None, "{wrong}");
    }
    assert!(PaymentId::parse("callbacks").is_none());
}
