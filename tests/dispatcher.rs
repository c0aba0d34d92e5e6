//! The dispatcher on the real store and ledger, with a scripted wire and a clock that the test moves: whom it calls when,
//! and what it leaves alone.
#![allow(clippy::unwrap_used)]

#[path = "support/domain.rs"]
mod domain;
#[path = "support/store.rs"]
mod store;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::ledger::{AmbiguityRule, AmountPolicy};
use domain::payment::{Callback, CallbackScope};
use domain::test_support::{self, Adjust};
use paybell::clock::Clock;
use paybell::delivery::attempt::CallbackSecrets;
use paybell::delivery::callback_url::{CallbackPolicy, CallbackUrl};
use paybell::delivery::dispatcher;
use paybell::delivery::gauges::{Fare, Gauges};
use paybell::delivery::outcome::{AttemptOutcome, Failure, Verdict};
use paybell::delivery::sender::{SignedWebhook, Transport};
use paybell::domain::endpoint::EventFilter;
use paybell::domain::endpoint_commands::NewEndpoint;
use paybell::domain::event::SealedEvent;
use paybell::domain::ids::{DeliveryId, EndpointId, Sequence, UnixMs};
use paybell::domain::retry::RetryAfter;
use paybell::domain::signing_key::SigningKey;
use paybell::domain::target::Target;
use paybell::ledger_task::{Announcer, Entropy, EventEncoder, Ledger};
use paybell::store::Store;
use paybell::store::redb::{Location, Options, RedbStore, Threads};
use paybell::trends::Trends;
use redb::backends::InMemoryBackend;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const POLICY: AmountPolicy = AmountPolicy {
    ambiguity: AmbiguityRule::OldestFirst,
    unique_cap: domain::amount::Amount::from_base_units(10_000),
};
/// Longer than any answer of the wire that is not slow on purpose, shorter than any pause.
const MOMENT: Duration = Duration::from_millis(100);

/// What the receivers of a host do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Well,
    /// No answer comes; told at once, so that the test needs no deadline.
    Dead,
    NotFound,
    Overloaded(u64),
    Takes(Duration),
    /// The attempt itself panics.
    Breaks,
}

/// An account-wide endpoint's URL, which several payments' webhooks may go to at once.
const HOOK: &str = "https://books.example/hook";

/// Whom the dispatcher called, and when.
struct Wire {
    began: Instant,
    moods: Mutex<BTreeMap<String, Mood>>,
    calls: Mutex<Vec<(Duration, String)>>,
    /// URLs that are being called, each a payment's own but for [`HOOK`].
    under_way: Mutex<HashSet<String>>,
    most_under_way: Mutex<usize>,
}

impl Wire {
    fn feel(&self, host: &str, mood: Mood) {
        self.moods.lock().unwrap().insert(host.to_owned(), mood);
    }

    /// When the host was called.
    fn calls(&self, host: &str) -> Vec<Duration> {
        let calls = self.calls.lock().unwrap();
        let to = calls.iter().filter(|(_, url)| url.contains(host));
        to.map(|(at, _)| *at).collect()
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, url: &CallbackUrl, _: SignedWebhook) -> AttemptOutcome {
        let text = url.as_str().to_owned();
        let call = (self.began.elapsed(), text.clone());
        self.calls.lock().unwrap().push(call);
        let mood = self.moods.lock().unwrap().get(url.name().unwrap()).copied();
        let mood = mood.unwrap_or(Mood::Well);
        assert!(mood != Mood::Breaks, "on purpose");
        {
            let mut under_way = self.under_way.lock().unwrap();
            let alone = under_way.insert(text.clone());
            assert!(alone || text == HOOK, "two at a time for {text}");
            let mut most = self.most_under_way.lock().unwrap();
            *most = under_way.len().max(*most);
        }
        let took = match mood {
            Mood::Takes(time) => time,
            _ => Duration::from_millis(1),
        };
        sleep(took).await;
        self.under_way.lock().unwrap().remove(&text);
        let failed = |failure| Verdict::Failed {
            failure,
            retry_after: None,
        };
        let verdict = match mood {
            Mood::Well | Mood::Takes(_) | Mood::Breaks => Verdict::Delivered,
            Mood::Dead => failed(Failure::AnswerTimeout(Duration::from_secs(15))),
            Mood::NotFound => failed(Failure::Status(404)),
            Mood::Overloaded(seconds) => Verdict::Overloaded {
                status: 429,
                retry_after: Some(RetryAfter::from_seconds(seconds)),
            },
        };
        AttemptOutcome {
            status: None,
            latency_ms: u64::try_from(took.as_millis()).unwrap(),
            excerpt: String::new(),
            verdict,
        }
    }
}

/// The wall clock: as tokio's, and ahead of it by what the test says.
struct TestClock {
    began: Instant,
    ahead_ms: AtomicI64,
}

impl Clock for TestClock {
    fn now(&self) -> UnixMs {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        let now = test_support::CREATED.plus_ms(elapsed);
        UnixMs(
            now.0
                .saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed)),
        )
    }
}

/// The middle of every range, so that no jitter is drawn.
struct Middle;

impl Entropy for Middle {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
        bytes[0] = 0x80;
    }
}

struct Encoder;

impl EventEncoder for Encoder {
    fn encode(&self, sealed: &SealedEvent) -> Bytes {
        store::body(&sealed.event)
    }
}

struct World {
    store: Arc<RedbStore>,
    ledger: Ledger,
    wire: Arc<Wire>,
    clock: Arc<TestClock>,
    gauges: Arc<Gauges>,
    trends: Arc<Trends>,
    stop: watch::Sender<bool>,
    dispatching: JoinHandle<()>,
    next_payment: u128,
}

impl World {
    fn start() -> Self {
        let options = Options {
            location: Location::Backend(Box::new(InMemoryBackend::new())),
            cache_bytes: store::CACHE_BYTES,
            new_identity: store::identity(),
            threads: Threads::Caller,
        };
        let store = Arc::new(RedbStore::open(options).unwrap());
        let began = Instant::now();
        let clock = Arc::new(TestClock {
            began,
            ahead_ms: AtomicI64::new(0),
        });
        let trends = Arc::new(Trends::new(Arc::clone(&clock) as _, [], Sequence(0)));
        let (announcer, _commits) = Announcer::new(Arc::default(), Arc::clone(&trends));
        let announcer = Arc::new(announcer);
        store.observe(Arc::clone(&announcer) as _);
        let wire = Arc::new(Wire {
            began,
            moods: Mutex::default(),
            calls: Mutex::default(),
            under_way: Mutex::default(),
            most_under_way: Mutex::default(),
        });
        let ledger = Ledger::new(
            Arc::clone(&store) as _,
            Arc::clone(&clock) as _,
            Arc::new(Middle),
            Arc::new(Encoder),
            POLICY,
        );
        let gauges = Arc::<Gauges>::default();
        let parts = dispatcher::Parts {
            store: Arc::clone(&store) as _,
            ledger: ledger.clone(),
            sender: Arc::clone(&wire) as _,
            policy: CallbackPolicy::default(),
            secrets: CallbackSecrets::new(Arc::default(), store.identity()),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(Middle),
            due: Arc::clone(&announcer.deliveries_due),
            gauges: Arc::clone(&gauges),
            trends: Arc::clone(&trends),
        };
        let (stop, stopped) = watch::channel(false);
        let dispatching = tokio::spawn(dispatcher::run(parts, stopped, Duration::from_secs(5)));
        Self {
            store,
            ledger,
            wire,
            clock,
            gauges,
            trends,
            stop,
            dispatching,
            next_payment: 1,
        }
    }

    /// Creates payments whose events go to a host, each to a URL of its own.
    async fn create(&mut self, host: &str, count: usize) {
        for _ in 0..count {
            let n = self.next_payment;
            self.next_payment += 1;
            let now = self.clock.now();
            let new = test_support::payment(n).with(|p| {
                p.created_at = now;
                p.callback = Some(Callback {
                    url: format!("https://{host}/{n}"),
                    scope: CallbackScope::Everything,
                });
            });
            self.ledger.create(new).await.unwrap();
        }
    }

    fn due(&self) -> u64 {
        self.store.counters().deliveries_due
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_makes_no_attempt_and_uses_none_up() {
    let mut world = World::start();
    world.wire.feel("dead.example", Mood::Dead);
    world.create("dead.example", 100).await;
    sleep(Duration::from_secs(14)).await;
    let calls = world.wire.calls("dead.example").len();
    assert!(
        (5..=6).contains(&calls),
        "{calls}: two were allowed at first"
    );
    assert_eq!(world.gauges.open_breakers(), 1);
    // Whoever else is there is called at once.
    world.create("well.example", 100).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.wire.calls("well.example").len(), 100);
    assert_eq!(world.due(), 100);
    // One probe after 15 s, and another 30 s after it.
    sleep(Duration::from_secs(29)).await;
    assert_eq!(world.wire.calls("dead.example").len(), calls + 1);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(world.wire.calls("dead.example").len(), calls + 2);
    // The probe that finds it well is followed by all that waited, but for what failed twice and is due minutes later.
    world.wire.feel("dead.example", Mood::Well);
    sleep(Duration::from_secs(61)).await;
    assert!(world.due() <= 2, "{}", world.due());
    assert_eq!(world.gauges.open_breakers(), 0);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(world.due(), 0);
    let attempts = world.wire.calls("dead.example").len();
    assert_eq!(attempts, 100 + calls + 2, "none was made beyond");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_names_a_time_is_not_called_before() {
    let mut world = World::start();
    world.wire.feel("busy.example", Mood::Overloaded(60));
    world.create("busy.example", 1).await;
    sleep(MOMENT).await;
    world.wire.feel("busy.example", Mood::Well);
    world.create("busy.example", 20).await;
    sleep(Duration::from_secs(59)).await;
    assert_eq!(world.wire.calls("busy.example").len(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.due(), 0);
}

/// What is asked for by hand is sent long after its commit, which says nothing of how quick the hub is.
#[tokio::test(start_paused = true)]
async fn the_trends_hear_of_what_was_accepted_and_not_of_what_was_asked_for() {
    let mut world = World::start();
    world
        .wire
        .feel("slow.example", Mood::Takes(Duration::from_secs(2)));
    world.create("slow.example", 3).await;
    world.wire.feel("dead.example", Mood::Dead);
    world.create("dead.example", 2).await;
    sleep(Duration::from_secs(20)).await;
    let first = DeliveryId {
        sequence: Sequence(1),
        endpoint: EndpointId::CALLBACK,
    };
    world.ledger.redeliver(first).await.unwrap();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(world.wire.calls("slow.example").len(), 4);
    let picture = world.trends.picture();
    let took = picture.rows.iter().map(|row| row.event_to_webhook);
    let counts: u32 = took.clone().filter_map(|took| took.count).sum();
    assert_eq!(counts, 3);
    let p95_ms = took.filter_map(|took| took.p95_ms).max().unwrap();
    assert!((2_000..=4_500).contains(&p95_ms), "{p95_ms}");
    let created: u32 = picture.rows.iter().filter_map(|row| row.created).sum();
    assert_eq!(created, 0, "unknown before the log was read");
    let of_blocks = picture.rows.iter().map(|row| row.block_to_webhook);
    assert_eq!(of_blocks.filter_map(|took| took.count).sum::<u32>(), 0);
}

/// A host that many merchants share, one of whom has taken his page down.
#[tokio::test(start_paused = true)]
async fn a_url_that_is_not_found_is_not_the_hosts_trouble() {
    let mut world = World::start();
    world.wire.feel("shared.example", Mood::NotFound);
    world.create("shared.example", 50).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.wire.calls("shared.example").len(), 50);
    assert_eq!(world.gauges.open_breakers(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_payment_at_a_time_and_eight_payments_side_by_side() {
    let mut world = World::start();
    let slow = Duration::from_millis(500);
    world.wire.feel("slow.example", Mood::Takes(slow));
    world.create("slow.example", 50).await;
    for n in 1..=50 {
        world.ledger.cancel(test_support::id(n)).await.unwrap();
    }
    // The wire refuses two at a time for one payment.
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.due(), 0);
    assert_eq!(*world.wire.most_under_way.lock().unwrap(), 8);
    for n in 1..=50 {
        let url = format!("slow.example/{n}");
        let calls = world.wire.calls.lock().unwrap();
        let of_payment = calls.iter().filter(|(_, to)| to.ends_with(&url)).count();
        assert_eq!(of_payment, 2, "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_attempt_frees_its_place_and_is_no_endless_loop() {
    let mut world = World::start();
    world.wire.feel("odd.example", Mood::Breaks);
    world.create("odd.example", 20).await;
    sleep(Duration::from_secs(10)).await;
    let calls = world.wire.calls("odd.example").len();
    assert!((5..=6).contains(&calls), "{calls}");
    assert_eq!(world.gauges.in_flight(), 0);
    world.wire.feel("odd.example", Mood::Well);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.due(), 0, "all of them, for no attempt was recorded");
}

#[tokio::test(start_paused = true)]
async fn who_asks_by_hand_need_not_wait_for_the_breaker() {
    let mut world = World::start();
    world.wire.feel("dead.example", Mood::Dead);
    world.create("dead.example", 1).await;
    // Attempts at 0 s and 5 s; the third is due minutes later.
    sleep(Duration::from_secs(6)).await;
    world.create("dead.example", 5).await;
    sleep(MOMENT).await;
    assert_eq!(world.gauges.open_breakers(), 1);
    let calls = world.wire.calls("dead.example").len();
    world.wire.feel("dead.example", Mood::Well);
    let first = DeliveryId {
        sequence: Sequence(1),
        endpoint: EndpointId::CALLBACK,
    };
    world.ledger.redeliver(first).await.unwrap();
    sleep(MOMENT).await;
    assert!(world.wire.calls("dead.example").len() > calls);
    assert_eq!(world.gauges.open_breakers(), 0);
}

/// One endpoint is down, and whoever looks at it sees since when it is left alone, and when it works again.
#[tokio::test(start_paused = true)]
async fn how_an_endpoint_fares_is_told() {
    let mut world = World::start();
    let new = NewEndpoint {
        url: HOOK.to_owned(),
        description: String::new(),
        filter: EventFilter::All,
        key: SigningKey::of_random([7; 32]),
    };
    let id = world.ledger.create_endpoint(new).await.unwrap().id;
    assert_eq!(world.gauges.fare(id), Fare::default());
    world.wire.feel("books.example", Mood::Dead);
    world.create("well.example", 10).await;
    sleep(Duration::from_secs(14)).await;
    let fare = world.gauges.fare(id);
    let now = world.clock.now();
    assert!(fare.last_failure_at.is_some_and(|at| at <= now), "{fare:?}");
    assert!(fare.open_until.is_some_and(|at| at > now), "{fare:?}");
    assert_eq!(fare.last_success_at, None);
    assert_eq!(
        world.store.owed(Target::Endpoint(id), 99).await.unwrap(),
        10
    );
    world.wire.feel("books.example", Mood::Well);
    sleep(Duration::from_secs(400)).await;
    let fare = world.gauges.fare(id);
    assert!(fare.last_success_at > fare.last_failure_at, "{fare:?}");
    assert_eq!(fare.open_until, None);
    assert_eq!(world.store.owed(Target::Endpoint(id), 99).await.unwrap(), 0);
    let none = world.gauges.fare(EndpointId::CALLBACK);
    assert_eq!(none, Fare::default());
}

/// Times on events are the wall clock's, which may be set; nothing may be looked for behind where it is found.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_delays_nothing_new() {
    let mut world = World::start();
    world.create("well.example", 3).await;
    sleep(MOMENT).await;
    assert_eq!(world.due(), 0);
    for by_ms in [-3_600_000, 3_600_000, -7_200_000] {
        world.clock.ahead_ms.fetch_add(by_ms, Ordering::Relaxed);
        world.create("well.example", 3).await;
        sleep(MOMENT).await;
        assert_eq!(world.due(), 0, "after {by_ms} ms");
    }
}

/// What was due before the start, at more receivers than are read in one go, each dead one with its own breaker.
#[tokio::test(start_paused = true)]
async fn thousands_of_dead_receivers_and_one_that_is_well() {
    let mut world = World::start();
    for n in 0..2_500 {
        let host = format!("dead{n}.example");
        world.wire.feel(&host, Mood::Dead);
        world.create(&host, 1).await;
    }
    world.create("well.example", 1).await;
    sleep(Duration::from_secs(60)).await;
    let calls = world.wire.calls("well.example");
    assert_eq!(calls.len(), 1);
    world.create("well.example", 10).await;
    sleep(MOMENT).await;
    assert_eq!(world.wire.calls("well.example").len(), 11);
    assert_eq!(world.due(), 2_500);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_the_end_is_finished() {
    let mut world = World::start();
    world
        .wire
        .feel("slow.example", Mood::Takes(Duration::from_secs(3)));
    world.create("slow.example", 10).await;
    sleep(MOMENT).await;
    assert_eq!(world.gauges.in_flight(), 2);
    world.stop.send_replace(true);
    let ended = Instant::now();
    (&mut world.dispatching).await.unwrap();
    assert!(ended.elapsed() < Duration::from_secs(4));
    assert_eq!(world.due(), 8, "the two are on record, the others stay due");
}
