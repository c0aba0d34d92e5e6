//! The account's endpoints in the store: each has its own queue, they are kept beside the tables and read anew at start,
//! and what is owed to one in no more use is given up piece by piece.

use std::sync::Arc;

use futures::future::join_all;
use paybell::store::redb::{Location, RedbStore};
use paybell::store::{CommitError, DeliveryFilter, Store, Write};

use crate::deliveries::prune;
use crate::domain::changes::{Changes, PaymentChange, Unfinished, View};
use crate::domain::delivery::{AttemptReport, Delivery, DeliveryUpdate, GivenUp, Outcome};
use crate::domain::endpoint::{DisabledWhy, EventChoice, EventFilter, Standing};
use crate::domain::endpoint_commands::{self, EndpointEdit, NewEndpoint, Usage};
use crate::domain::event::EventKind;
use crate::domain::ids::{DeliveryId, EndpointId, Sequence, UnixMs};
use crate::domain::ledger::{self, Refusal};
use crate::domain::outbox::{self, GIVE_UP_ROWS, Owing};
use crate::domain::recovery::{self, PIECE_EVENTS, Span};
use crate::domain::retry::Jitter;
use crate::domain::signing_key::SigningKey;
use crate::domain::target::Target;
use crate::domain::test_support::*;
use crate::{audit, called_back, create, store};

const EP_1: EndpointId = EndpointId(1);
const EP_2: EndpointId = EndpointId(2);
const FAR: UnixMs = UnixMs(u64::MAX - 1);

type Committed = Result<Arc<Write>, CommitError>;

pub fn new_endpoint(n: u8, filter: &[&str]) -> NewEndpoint {
    let choices = filter.iter().map(|name| EventChoice::parse(name).unwrap());
    NewEndpoint {
        url: format!("https://account.example/{n}"),
        description: format!("number {n}"),
        filter: EventFilter::of(choices.collect()),
        key: SigningKey::of_random([n; 32]),
    }
}

pub async fn add(store: &dyn Store, n: u8, filter: &[&str]) -> Committed {
    let new = new_endpoint(n, filter);
    store::decide(store, move |v| endpoint_commands::create(v, new, CREATED)).await
}

async fn set(store: &dyn Store, id: EndpointId, usage: Usage) -> Arc<Write> {
    let edit = EndpointEdit {
        usage: Some(usage),
        ..EndpointEdit::default()
    };
    let at = CREATED.plus_ms(9);
    store::decide(store, move |v| endpoint_commands::change(v, id, edit, at))
        .await
        .unwrap()
}

/// An attempt that ended now.
pub fn report(delivery: &Delivery, outcome: Outcome) -> AttemptReport {
    AttemptReport {
        id: delivery.id,
        url: delivery.url.clone(),
        at: CREATED,
        status: None,
        latency_ms: 7,
        detail: "told".to_owned(),
        outcome,
        retry_after: None,
        jitter: Jitter::NONE,
    }
}

pub async fn record(store: &dyn Store, delivery: &Delivery, outcome: Outcome) -> Committed {
    let report = report(delivery, outcome);
    store::decide(store, move |v| outbox::record(v, &report, CREATED)).await
}

async fn owed_to(store: &dyn Store, id: EndpointId) -> Vec<Delivery> {
    let all = store.due_of(Target::Endpoint(id), FAR, None, usize::MAX);
    all.await.unwrap()
}

async fn many(store: &RedbStore, payments: std::ops::Range<u128>) {
    let made = join_all(payments.map(|n| create(store, payment(n)))).await;
    made.into_iter().for_each(|one| {
        one.unwrap();
    });
}

#[tokio::test]
async fn every_receiver_has_a_queue_of_its_own() {
    let store = store::in_memory();
    add(&store, 1, &[]).await.unwrap();
    add(&store, 2, &["payment.cancelled"]).await.unwrap();
    let elsewhere = called_back(2).with(|p| {
        let callback = p.callback.as_mut().unwrap();
        callback.url = "https://other.example/x".to_owned();
    });
    for new in [called_back(1), elsewhere] {
        create(&store, new).await.unwrap();
    }
    let targets = store.due_targets(CREATED, None, 9).await.unwrap();
    assert_eq!(
        targets.len(),
        3,
        "an endpoint that hears it and two origins"
    );
    assert_eq!(owed_to(&store, EP_2).await, []);
    let first = owed_to(&store, EP_1).await.remove(0);
    record(&store, &first, Outcome::Failed).await.unwrap();
    let later = store.due_targets(CREATED, None, 9).await.unwrap();
    assert_eq!(later.len(), 3, "another payment's event is still due there");
    let (known, after) = (targets[0], store.due_targets(CREATED, Some(targets[0]), 9));
    assert_eq!(after.await.unwrap(), later[1..], "behind {known:?}");
    let filter = DeliveryFilter {
        endpoint: Some(EP_1),
        kind: Some(EventKind::Created),
        ..DeliveryFilter::default()
    };
    let listed = audit::deliveries(&store, &filter).await;
    let listed: Vec<_> = listed
        .iter()
        .map(|d| (d.id.sequence.0, d.attempts))
        .collect();
    assert_eq!(listed, [(2, 0), (1, 1)]);
    audit::whole(&store).await;
}

/// Endpoints are held in memory beside the tables. A plan that is refused, or a group that fails, must leave no trace there.
#[tokio::test]
async fn endpoints_are_as_the_last_commit_left_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let store = store::open(Location::File(&path)).unwrap();
    let (one, refused, two) = tokio::join!(
        add(&store, 1, &[]),
        store::decide(&store, |v| {
            endpoint_commands::delete(v, EndpointId(7), CREATED)
        }),
        add(&store, 2, &["transfer.*"]),
    );
    assert!(one.is_ok() && two.is_ok());
    assert!(matches!(
        refused,
        Err(CommitError::Refused(Refusal::NoSuchEndpoint))
    ));
    // Its payment never was, so the commit fails after its endpoint was written.
    let failed = store::decide(&store, |view| {
        let mut changes = endpoint_commands::create(view, new_endpoint(9, &[]), CREATED)?;
        changes.payments.push(PaymentChange {
            before: Some(payment(1)),
            after: None,
        });
        Ok(changes)
    });
    assert!(matches!(failed.await, Err(CommitError::Store(_))));
    store::decide(&store, |v| endpoint_commands::delete(v, EP_2, CREATED))
        .await
        .unwrap();
    store::decide(&store, |v| {
        let [made, new] = [2, 3].map(|n| SigningKey::of_random([n; 32]));
        endpoint_commands::rotate_callbacks(v, &made, new, CREATED)
    })
    .await
    .unwrap();
    let before = store.endpoints();
    assert_eq!((before.len(), before.next_id()), (1, EndpointId(3)));
    let seen = store::look(&store, |view| view.endpoints().unwrap()).await;
    assert_eq!(seen, before, "plans see what readers see");
    store.close();
    drop(store);
    let store = store::open(Location::File(&path)).unwrap();
    assert_eq!(store.endpoints(), before);
    assert_eq!(
        store
            .endpoints()
            .callback_keys()
            .unwrap()
            .at(CREATED)
            .count(),
        2
    );
    add(&store, 3, &[]).await.unwrap();
    assert!(store.endpoints().get(EndpointId(3)).is_some());
}

/// A commit is everyone's: one that gave up a hundred thousand rows at once would hold up payments.
#[tokio::test]
async fn what_is_owed_to_a_disabled_endpoint_is_given_up_in_pieces() {
    let count = GIVE_UP_ROWS as u128 * 2 + 10;
    let store = store::in_memory();
    add(&store, 1, &[]).await.unwrap();
    many(&store, 0..count).await;
    let written = set(&store, EP_1, Usage::Disable).await;
    let release = |at| move |view: &dyn View| outbox::release(view, Owing::Endpoint(EP_1), at);
    let mut pieces = vec![written];
    while pieces.last().unwrap().changes.unfinished == Unfinished::Yes {
        audit::whole(&store).await;
        let piece = store::decide(&store, release(CREATED)).await;
        pieces.push(piece.unwrap());
    }
    let sizes: Vec<_> = pieces.iter().map(|p| p.changes.deliveries.len()).collect();
    assert_eq!(sizes, [GIVE_UP_ROWS, GIVE_UP_ROWS, 10]);
    assert_eq!(owed_to(&store, EP_1).await, []);
    let counters = store.counters();
    assert_eq!(counters.deliveries_due, 0);
    assert_eq!(u128::from(counters.deliveries_exhausted), count);
    let all = audit::deliveries(&store, &DeliveryFilter::default()).await;
    assert!(
        all.iter()
            .all(|d| d.given_up == Some(GivenUp::EndpointDisabled))
    );
    many(&store, count..count + 3).await;
    assert_eq!(owed_to(&store, EP_1).await, [], "nothing new is owed to it");
    prune(&store, FAR, usize::MAX).await;
    let left = audit::deliveries(&store, &DeliveryFilter::default()).await;
    assert_eq!(left, [], "retention is not held up");
    audit::whole(&store).await;
}

#[tokio::test]
async fn a_410_tells_the_others_in_the_same_commit() {
    let store = store::in_memory();
    add(&store, 1, &["payment.*"]).await.unwrap();
    add(&store, 2, &["endpoint.disabled"]).await.unwrap();
    many(&store, 1..4).await;
    let first = owed_to(&store, EP_1).await.remove(0);
    let written = record(&store, &first, Outcome::Gone).await.unwrap();
    assert_eq!(written.events.len(), 1);
    assert_eq!(written.events[0].row.kind, EventKind::EndpointDisabled);
    let why = DisabledWhy::Gone;
    let standing = Standing::Disabled { at: CREATED, why };
    assert_eq!(store.endpoints().get(EP_1).unwrap().standing, standing);
    assert_eq!(owed_to(&store, EP_1).await, []);
    let told = owed_to(&store, EP_2).await;
    assert_eq!((told.len(), told[0].id.sequence), (1, Sequence(4)));
    let logged = store.attempts(first.id).await.unwrap();
    assert_eq!((logged.len(), logged[0].next_at), (1, None));
    audit::whole(&store).await;
}

/// All that an endpoint missed, made before it or while it was disabled, comes in by pieces, and each lane in order.
#[tokio::test]
async fn recovery_brings_in_what_was_never_owed_in_order() {
    let store = store::in_memory();
    let count = PIECE_EVENTS as u128 + 20;
    many(&store, 0..count).await;
    let cancel = |n| store::decide(&store, move |v| ledger::cancel(v, id(n), CREATED));
    cancel(0).await.unwrap();
    add(&store, 1, &[]).await.unwrap();
    cancel(1).await.unwrap();
    let newest = owed_to(&store, EP_1).await.remove(0);
    record(&store, &newest, Outcome::Failed).await.unwrap();
    let span = Span {
        since: UnixMs(0),
        until: FAR,
    };
    let (mut after, mut recovered) = (None, 0);
    loop {
        let (sender, told) = std::sync::mpsc::channel();
        store::decide(&store, move |view| {
            let (changes, progress) =
                recovery::recover(view, EP_1, span, after, CREATED.plus_ms(50))?;
            sender.send(progress).unwrap();
            Ok(changes)
        })
        .await
        .unwrap();
        let progress = told.recv().unwrap();
        recovered += progress.recovered;
        after = progress.next_after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(u128::from(recovered), count + 1);
    assert_eq!(owed_to(&store, EP_1).await.len() as u64, recovered + 1);
    audit::whole(&store).await;
    // Payment 1 was created before it was cancelled, whichever was owed first.
    let lane = store::look(&store, |view| view.owed_in_lane(id(1), EP_1, 9).unwrap()).await;
    let lane: Vec<_> = lane.iter().map(|d| (d.kind, store::due_at(d))).collect();
    let soon = CREATED.plus_ms(50);
    assert_eq!(lane[0], (EventKind::Created, soon));
    assert_eq!((lane.len(), lane[1].0), (2, EventKind::Cancelled));
    assert!(lane[1].1 >= soon);
}

/// An event's number says nothing of whether it is kept: what was pruned cannot be owed again.
#[tokio::test]
async fn what_is_no_longer_in_the_log_is_owed_to_nobody() {
    let store = store::in_memory();
    many(&store, 1..3).await;
    add(&store, 1, &[]).await.unwrap();
    prune(&store, FAR, 1).await;
    let late = Delivery::new(
        DeliveryId {
            sequence: Sequence(1),
            endpoint: EP_1,
        },
        EventKind::Created,
        None,
        "https://account.example/1",
        CREATED,
    );
    let id = late.id;
    let update = DeliveryUpdate {
        after: late,
        attempt: None,
    };
    let changes = Changes {
        deliveries: vec![update],
        ..Changes::default()
    };
    store::apply(&store, changes).await;
    assert_eq!(store.delivery(id).await.unwrap(), None);
    audit::whole(&store).await;
}
