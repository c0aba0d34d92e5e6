//! The trends with a clock that is set by hand: what is known, what is not, and what a restart brings back.

use std::sync::atomic::{AtomicU64, Ordering};

use super::read_back;
use super::sampler::Sampler;
use super::*;
use crate::chains::{Chain, ChainSpec, EndpointStanding};
use crate::domain::address::Address;
use crate::domain::amount::Decimals;
use crate::domain::changes::Changes;
use crate::domain::ids::{EventId, PaymentId};
use crate::domain::payment::Finality;
use crate::domain::test_support::{CHAIN, block};
use crate::store::redb::{Location, Options, RedbStore, Threads};
use crate::store::{EventRow, NewEvent, StoreIdentity};

/// The begin of a span.
const START: UnixMs = UnixMs(6_000_000 * BUCKET_MS);
const MINUTE_MS: u64 = 60_000;

struct SetClock(AtomicU64);

impl SetClock {
    fn set(&self, at: UnixMs) {
        self.0.store(at.0, Ordering::Relaxed);
    }
}

impl Clock for SetClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::Relaxed))
    }
}

fn begun_at(at: UnixMs, logged: u64) -> (Trends, Arc<SetClock>) {
    let clock = Arc::new(SetClock(AtomicU64::new(at.0)));
    let trends = Trends::new(Arc::clone(&clock) as _, [CHAIN], Sequence(logged));
    (trends, clock)
}

fn event(sequence: u64, kind: EventKind, at: UnixMs) -> NewEvent {
    NewEvent {
        row: EventRow {
            sequence: Sequence(sequence),
            id: EventId(u128::from(sequence)),
            kind,
            at,
            payment: Some(PaymentId(uuid::Uuid::from_u128(1))),
            block_time: None,
            body: "{}".into(),
        },
        owed: Vec::new(),
    }
}

fn commit(events: Vec<NewEvent>) -> Write {
    Write {
        events,
        ..Write::default()
    }
}

fn created(picture: &Picture) -> Vec<Option<u32>> {
    picture.rows.iter().map(|row| row.created).collect()
}

#[test]
fn a_day_of_spans_ends_with_the_running_one() {
    let (trends, clock) = begun_at(START.plus_ms(MINUTE_MS), 0);
    clock.set(START.plus_ms(11 * MINUTE_MS));
    let picture = trends.picture();
    assert_eq!((picture.rows.len(), picture.chains[0].len()), (288, 288));
    assert_eq!(picture.since, START.minus_ms(285 * BUCKET_MS));
    assert_eq!(picture.started_at, START.plus_ms(MINUTE_MS));
    // Three spans since the start; in the first it is not known what came before it.
    let measured: Vec<_> = picture
        .rows
        .iter()
        .map(|r| r.event_to_webhook.count)
        .collect();
    assert!(measured[..285].iter().all(Option::is_none));
    assert_eq!(measured[285..], [Some(0); 3]);
    assert_eq!(created(&picture)[284..], [None, None, Some(0), Some(0)]);
    assert_eq!(picture.rows[287].event_to_webhook.p50_ms, None);
}

#[test]
fn commits_are_counted_in_the_span_of_their_time() {
    let (trends, clock) = begun_at(START, 0);
    trends.ring().read_back(ring::ReadBack::Whole);
    let kinds = [EventKind::Created, EventKind::Completed, EventKind::Expired];
    for (n, kind) in (1..).zip(kinds.into_iter().cycle().take(9)) {
        let at = START.plus_ms(n * MINUTE_MS);
        clock.set(at);
        trends.committed(&commit(vec![event(n, kind, at)]));
    }
    let rows = trends.picture().rows;
    let last_two: Vec<_> = rows[286..]
        .iter()
        .map(|r| (r.created, r.completed))
        .collect();
    assert_eq!(last_two, [(Some(2), Some(1)), (Some(1), Some(2))]);
    assert_eq!((rows[0].created, rows[0].completed), (Some(0), Some(0)));
}

#[test]
fn a_day_later_the_place_is_taken_anew() {
    let (trends, clock) = begun_at(START, 0);
    trends.ring().read_back(ring::ReadBack::Whole);
    trends.committed(&commit(vec![event(1, EventKind::Created, START)]));
    for (after_ms, sum) in [(287 * BUCKET_MS, 1), (288 * BUCKET_MS, 0)] {
        clock.set(START.plus_ms(after_ms));
        let counted: u32 = created(&trends.picture()).into_iter().flatten().sum();
        assert_eq!(counted, sum);
    }
    let at = START.plus_ms(288 * BUCKET_MS);
    trends.committed(&commit(vec![event(2, EventKind::Created, at)]));
    assert_eq!(created(&trends.picture())[287], Some(1));
    // A clock that had been far ahead is set right: its spans block nothing.
    let wrong = START.plus_ms(3 * 288 * BUCKET_MS);
    trends.committed(&commit(vec![event(3, EventKind::Created, wrong)]));
    trends.committed(&commit(vec![event(4, EventKind::Created, at)]));
    assert_eq!(created(&trends.picture())[287], Some(1));
}

#[test]
fn webhooks_are_measured_from_their_commit_and_detections_from_their_block() {
    let (trends, _) = begun_at(START, 0);
    let webhook = |kind, took_ms: u64| AcceptedWebhook {
        kind,
        block_time: Some(START.minus_ms(2_000)),
        committed_at: START,
        accepted_at: START.plus_ms(took_ms),
    };
    for took_ms in [5, 5, 5] {
        trends.webhook_accepted(&webhook(EventKind::Completed, took_ms));
    }
    trends.webhook_accepted(&webhook(EventKind::Detected, 48));
    let row = trends.picture().rows[287].clone();
    let (events, blocks) = (row.event_to_webhook, row.block_to_webhook);
    assert_eq!((events.count, events.p50_ms), (Some(4), Some(5)));
    assert!((48..56).contains(&events.p95_ms.expect("measured")));
    assert_eq!(blocks.count, Some(1));
    assert!((1_792..=2_304).contains(&blocks.p50_ms.expect("measured")));
    // Clocks may disagree: no time is less than none.
    let mut early = webhook(EventKind::Detected, 0);
    early.block_time = Some(START.plus_ms(9_000));
    trends.webhook_accepted(&early);
    assert_eq!(trends.picture().rows[287].block_to_webhook.count, Some(2));
}

fn chain() -> Arc<Chain> {
    Arc::new(Chain::new(ChainSpec {
        id: CHAIN,
        name: "tron".to_owned(),
        currency: "USDT_TRC20",
        decimals: Decimals::USDT_TRON,
        contract: Address::from_bytes([9; 20]),
        slot_ms: 3_000,
        default_finality: Finality::Final,
        usual_final_depth: 19,
    }))
}

fn node(requests_today: u64) -> EndpointStanding {
    EndpointStanding {
        requests_today,
        ..EndpointStanding::default()
    }
}

#[test]
fn chains_are_looked_at_for_the_worst_lag_and_the_requests_between_two_looks() {
    let (trends, clock) = begun_at(START, 0);
    let chain = chain();
    let chains = Chains::new(vec![Arc::clone(&chain)]);
    let mut sampler = Sampler::default();
    let mut look = |at: UnixMs, lag_ms: u64, requests: [u64; 2]| {
        clock.set(at);
        chain.update(|s| {
            s.tip_time = Some(at.minus_ms(lag_ms));
            s.endpoints = requests.map(node).to_vec();
        });
        sampler.look(&trends, &chains, at);
    };
    look(START, 3_000, [2, 1]);
    look(START.plus_ms(5_000), 9_000, [6, 1]);
    look(START.plus_ms(10_000), 1_000, [6, 2]);
    // The first node's day has ended between these two.
    look(START.plus_ms(BUCKET_MS), 500, [4, 2]);
    let spans = trends.picture().chains.remove(0);
    let span = |worst_lag_ms, requests| ChainSpan {
        worst_lag_ms: Some(worst_lag_ms),
        requests: Some(requests),
    };
    assert_eq!(spans[285], ChainSpan::default());
    assert_eq!(spans[286..], [span(9_000, 8), span(500, 4)]);
}

#[test]
fn an_idle_chain_has_no_lag_unless_its_nodes_fail() {
    let (trends, _) = begun_at(START, 0);
    let chain = chain();
    let chains = Chains::new(vec![Arc::clone(&chain)]);
    let mut sampler = Sampler::default();
    let mut worst = |error: Option<&str>| {
        chain.update(|s| {
            s.idle = true;
            s.tip_time = Some(START.minus_ms(58_000));
            s.last_error = error.map(str::to_owned);
        });
        sampler.look(&trends, &chains, START);
        trends.picture().chains[0][287]
    };
    let quiet = worst(None);
    assert_eq!((quiet.worst_lag_ms, quiet.requests), (None, Some(0)));
    assert_eq!(worst(Some("no route")).worst_lag_ms, Some(58_000));
}

/// A stall that is over before anybody looks still shows: the block that ends it was processed late.
#[test]
fn a_block_that_was_processed_late_is_a_lag() {
    let (trends, clock) = begun_at(START, 0);
    let header = block(100, Vec::new()).header;
    clock.set(header.time.plus_ms(4_000));
    let appended = Write {
        changes: Changes {
            chain: Some((CHAIN, ChainChange::Append(header))),
            ..Changes::default()
        },
        ..Write::default()
    };
    trends.committed(&appended);
    let span = trends.picture().chains[0][287];
    assert_eq!(span.worst_lag_ms, Some(4_000));
}

async fn store_of(events: Vec<(EventKind, UnixMs)>) -> RedbStore {
    let opened = RedbStore::open(Options {
        location: Location::Backend(Box::new(redb::backends::InMemoryBackend::new())),
        cache_bytes: 1 << 20,
        new_identity: StoreIdentity {
            epoch: "e-test".to_owned(),
            token_secret: [1; 32],
            webhook_secret: [2; 32],
        },
        threads: Threads::Caller,
    });
    let store = opened.expect("a store");
    let rows = (1..).zip(events);
    let rows = rows.map(|(n, (kind, at))| event(n, kind, at)).collect();
    let plan = Box::new(move |_: &dyn crate::domain::changes::View| Ok(commit(rows)));
    store.commit(plan).await.expect("commits");
    store
}

/// 1,200 events, one a minute: they reach back 20 hours, and what is older is not there.
fn a_minute_each(count: u64) -> Vec<(EventKind, UnixMs)> {
    let kinds = [EventKind::Created, EventKind::Completed];
    let ages = (0..count).rev().zip(kinds.into_iter().cycle());
    ages.map(|(age, kind)| (kind, START.minus_ms((age + 1) * MINUTE_MS)))
        .collect()
}

#[tokio::test]
async fn what_the_log_tells_is_known_again_after_a_restart() {
    let store = store_of(a_minute_each(1_200)).await;
    let (trends, _) = begun_at(START.plus_ms(30_000), store.last_sequence().0);
    assert!(created(&trends.picture()).iter().all(Option::is_none));
    // Committed while the log is being read.
    trends.committed(&commit(vec![event(1_201, EventKind::Created, START)]));
    read_back::run(&trends, &store).await;
    let rows = trends.picture().rows;
    let counts: Vec<_> = rows.iter().map(|r| (r.created, r.completed)).collect();
    assert_eq!(counts[287], (Some(1), Some(0)));
    for pair in counts[47..287].chunks(2) {
        let (a, b) = (pair[0], pair[1]);
        assert_eq!((a.0.zip(b.0), a.1.zip(b.1)), (Some((3, 2)), Some((2, 3))));
    }
    assert_eq!(
        counts[..47],
        [(Some(0), Some(0)); 47],
        "the log is read whole"
    );
    assert!(
        rows[..287]
            .iter()
            .all(|r| r.event_to_webhook.count.is_none())
    );
}

#[tokio::test]
async fn only_so_many_events_are_read_and_what_they_do_not_reach_stays_unknown() {
    let store = store_of(a_minute_each(1_200)).await;
    let (trends, _) = begun_at(START, 1_200);
    read_back::read(&trends, &store, 603).await.expect("reads");
    let counts = created(&trends.picture());
    // 603 minutes are 120 whole spans and a piece of another.
    assert_eq!(counts[166], None);
    assert!(counts[167..].iter().all(Option::is_some));
    let sum: u32 = counts.into_iter().flatten().sum();
    assert_eq!(sum, 300);
}

#[tokio::test]
async fn events_of_the_day_before_are_left_and_end_the_reading() {
    let mut events = vec![(EventKind::Created, START.minus_ms(30 * 60 * MINUTE_MS)); 700];
    events.extend(a_minute_each(10));
    let store = store_of(events).await;
    let (trends, _) = begun_at(START, 710);
    read_back::run(&trends, &store).await;
    let counts = created(&trends.picture());
    assert!(counts.iter().all(Option::is_some));
    assert_eq!(counts.into_iter().flatten().sum::<u32>(), 5);
}
