//! Fail-over and fail-back, with nodes whose behaviour the test flips and a clock that it moves.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::domain::chain::BlockHeader;
use crate::domain::ids::BlockHash;
use crate::source::health::{FAULTS_IN_A_ROW, FIRST_PAUSE_MS, LONGEST_PAUSE_MS};
use crate::source::{Asked, Contents};

const SLOT: Duration = Duration::from_secs(3);

struct Hands(AtomicU64);

impl Hands {
    fn advance(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Broken,
    BrokenLogs,
    LogsNotReady,
    Throttling,
    Hanging,
}

struct Node {
    name: &'static str,
    mood: Mutex<Mood>,
    height: AtomicU64,
    asked: AtomicU64,
    refuses_until: Mutex<Option<UnixMs>>,
}

impl Node {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name,
            mood: Mutex::new(Mood::Well),
            height: AtomicU64::new(1000),
            asked: AtomicU64::new(0),
            refuses_until: Mutex::new(None),
        })
    }

    fn feel(&self, mood: Mood) {
        *self.mood.lock().expect("a mood") = mood;
    }

    fn asked(&self) -> u64 {
        self.asked.swap(0, Ordering::Relaxed)
    }

    async fn answer(&self) -> Result<FetchedHeader, SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let asked = Asked::new(self.name, "/p", None);
        let mood = *self.mood.lock().expect("a mood");
        match mood {
            Mood::Broken => Err(SourceError::NodeError {
                asked,
                text: "broken".to_owned(),
            }),
            Mood::Throttling => Err(SourceError::Throttled {
                asked,
                retry_after: SLOT,
                excerpt: "slower".to_owned(),
            }),
            Mood::Hanging => std::future::pending().await,
            Mood::Well | Mood::BrokenLogs | Mood::LogsNotReady => Ok(FetchedHeader {
                header: BlockHeader {
                    height: Height(self.height.load(Ordering::Relaxed)),
                    hash: BlockHash([1; 32]),
                    parent: BlockHash([0; 32]),
                    time: UnixMs(0),
                },
                contents: Contents::Unknown,
            }),
        }
    }
}

#[async_trait::async_trait]
impl Source for Node {
    async fn head(&self) -> Result<FetchedHeader, SourceError> {
        self.answer().await
    }

    async fn final_head(&self) -> Result<FetchedHeader, SourceError> {
        self.answer().await
    }

    async fn header(&self, _: Height) -> Result<Option<FetchedHeader>, SourceError> {
        self.answer().await.map(Some)
    }

    async fn block(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
        self.answer().await?;
        let asked = Asked::new(self.name, "/p", None);
        let what = "logs".to_owned();
        let mood = *self.mood.lock().expect("a mood");
        match mood {
            Mood::BrokenLogs => Err(SourceError::NodeError { asked, text: what }),
            Mood::LogsNotReady => Err(SourceError::NotReady { asked, what }),
            _ => Ok(Block {
                header: header.header,
                transfers: Vec::new(),
            }),
        }
    }

    fn name(&self) -> &str {
        self.name
    }

    fn usage(&self) -> Usage {
        let refuses_until = *self.refuses_until.lock().expect("a time");
        Usage {
            refuses_until,
            ..Usage::default()
        }
    }
}

struct Rig {
    first: Arc<Node>,
    second: Arc<Node>,
    endpoints: Endpoints,
    clock: Arc<Hands>,
}

impl Rig {
    fn new() -> Self {
        let (first, second) = (Node::new("first"), Node::new("second"));
        let clock = Arc::new(Hands(AtomicU64::new(1_777_437_762_000)));
        let sources: Vec<Arc<dyn Source>> = vec![first.clone(), second.clone()];
        let endpoints = Endpoints::new(sources, SLOT, clock.clone()).expect("two");
        Self {
            first,
            second,
            endpoints,
            clock,
        }
    }

    fn picked(&self) -> String {
        self.endpoints.pick().name().to_owned()
    }

    /// A round as a follower does it; the chain grows by a block.
    async fn round(&self) -> String {
        for node in [&self.first, &self.second] {
            node.height.fetch_add(1, Ordering::Relaxed);
        }
        self.still_round().await
    }

    async fn still_round(&self) -> String {
        let source = self.endpoints.pick();
        if let Ok(head) = source.head().await {
            let _outcome = source.block(&head).await;
        }
        // Lets a trial on the side come to its end.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        source.name().to_owned()
    }

    async fn rounds_until(&self, name: &str) -> u32 {
        for count in 0..100 {
            if self.round().await == name {
                return count;
            }
        }
        panic!("{name} is never picked");
    }
}

#[test]
fn a_chain_has_at_least_one_endpoint_and_not_too_many() {
    let clock = Arc::new(Hands(AtomicU64::new(0)));
    let build = |count: usize| {
        let sources = (0..count).map(|_| Node::new("same") as Arc<dyn Source>);
        Endpoints::new(sources.collect(), SLOT, clock.clone())
    };
    assert_eq!(build(0).err(), Some(EndpointsError::None));
    assert_eq!(build(17).err(), Some(EndpointsError::TooMany));
    let names: Vec<String> = build(3)
        .expect("three")
        .snapshot()
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["same", "same#2", "same#3"]);
}

#[tokio::test]
async fn the_preferred_endpoint_is_used_while_it_is_well() {
    let rig = Rig::new();
    for _ in 0..50 {
        assert_eq!(rig.round().await, "first");
    }
    assert_eq!(rig.second.asked(), 0);
    assert!(rig.endpoints.snapshot().iter().all(|it| it.healthy));
}

#[tokio::test]
async fn failures_in_a_row_fail_over_and_a_passed_trial_fails_back() {
    let rig = Rig::new();
    rig.first.feel(Mood::Broken);
    assert_eq!(rig.rounds_until("second").await, FAULTS_IN_A_ROW);
    let stats = rig.endpoints.snapshot();
    assert!(!stats[0].healthy && stats[1].healthy);
    assert_eq!(
        stats[0].last_error.as_deref(),
        Some("first/p: the node reports: broken")
    );
    assert_eq!(stats[0].last_error_at, Some(rig.clock.now()));

    rig.first.asked();
    rig.clock.advance(FIRST_PAUSE_MS - 1);
    assert_eq!(rig.round().await, "second");
    assert_eq!(rig.first.asked(), 0, "left alone while it is aside");

    rig.first.feel(Mood::Well);
    rig.clock.advance(1);
    assert_eq!(rig.round().await, "second", "tried on the side first");
    assert_eq!(rig.first.asked(), 1);
    assert_eq!(rig.round().await, "first");
    assert!(rig.endpoints.snapshot()[0].healthy);
}

#[tokio::test]
async fn pauses_grow_while_trials_fail() {
    let rig = Rig::new();
    rig.first.feel(Mood::Broken);
    rig.rounds_until("second").await;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let until = rig.endpoints.snapshot()[0].set_aside_until.expect("aside");
        let pause = until.0 - rig.clock.now().0;
        pauses.push(pause);
        rig.clock.advance(pause);
        rig.first.asked();
        for _ in 0..3 {
            assert_eq!(rig.round().await, "second");
        }
        assert_eq!(rig.first.asked(), 1, "one trial a pause");
    }
    assert_eq!(pauses[..3], [5_000, 10_000, 20_000]);
    assert_eq!(pauses.last(), Some(&LONGEST_PAUSE_MS));
}

/// A round was once held up for the whole time-out of a node that hung, at every trial.
#[tokio::test]
async fn a_hanging_node_on_trial_holds_up_nobody() {
    let rig = Rig::new();
    rig.first.feel(Mood::Broken);
    rig.rounds_until("second").await;
    rig.first.feel(Mood::Hanging);
    rig.clock.advance(FIRST_PAUSE_MS);
    rig.first.asked();
    for _ in 0..20 {
        assert_eq!(rig.round().await, "second");
    }
    assert_eq!(rig.first.asked(), 1, "one trial at a time");
}

#[tokio::test]
async fn sound_heads_do_not_hide_broken_logs() {
    let rig = Rig::new();
    rig.first.feel(Mood::BrokenLogs);
    assert_eq!(rig.rounds_until("second").await, FAULTS_IN_A_ROW);
    rig.clock.advance(FIRST_PAUSE_MS);
    for _ in 0..3 {
        assert_eq!(rig.round().await, "second", "the trial asks for logs too");
    }
    rig.first.feel(Mood::Well);
    rig.clock.advance(2 * FIRST_PAUSE_MS);
    assert_eq!(rig.rounds_until("first").await, 1);
}

#[tokio::test]
async fn delays_are_borne_longer_than_faults_but_not_for_ever() {
    let rig = Rig::new();
    rig.first.feel(Mood::LogsNotReady);
    assert_eq!(rig.rounds_until("second").await, 20);
}

#[tokio::test]
async fn single_failures_between_answers_set_nothing_aside() {
    let rig = Rig::new();
    for _ in 0..20 {
        for mood in [Mood::Broken, Mood::Broken, Mood::Well] {
            rig.first.feel(mood);
            assert_eq!(rig.round().await, "first");
        }
    }
}

#[tokio::test]
async fn a_paused_endpoint_is_passed_over_and_blameless() {
    let rig = Rig::new();
    rig.first.feel(Mood::Throttling);
    for _ in 0..10 {
        assert_eq!(rig.round().await, "first");
    }
    let until = rig.clock.now().plus_seconds(30);
    *rig.first.refuses_until.lock().expect("a time") = Some(until);
    assert_eq!(rig.round().await, "second");
    assert_eq!(
        rig.endpoints.all_refuse_for(),
        None,
        "the second can be asked"
    );
    *rig.second.refuses_until.lock().expect("a time") = Some(until.plus_ms(1));
    assert_eq!(
        rig.endpoints.all_refuse_for(),
        Some(Duration::from_secs(30))
    );
    *rig.second.refuses_until.lock().expect("a time") = None;
    assert!(!rig.endpoints.snapshot()[0].healthy);
    rig.clock.advance(30_000);
    assert_eq!(rig.round().await, "first");
}

#[tokio::test]
async fn a_head_that_stands_still_is_a_fault() {
    let rig = Rig::new();
    assert_eq!(rig.round().await, "first");
    for _ in 0..9 {
        rig.clock.advance(3_000);
        assert_eq!(rig.still_round().await, "first");
    }
    rig.clock.advance(3_000);
    assert_eq!(rig.still_round().await, "first");
    assert_eq!(rig.still_round().await, "second");
    let error = rig.endpoints.snapshot()[0].last_error.clone();
    assert_eq!(
        error.as_deref(),
        Some("the head has not risen above 1001 for 30 s")
    );
    rig.clock.advance(FIRST_PAUSE_MS);
    assert_eq!(rig.rounds_until("first").await, 1);
}

#[tokio::test]
async fn with_everyone_aside_the_first_to_return_is_asked() {
    let rig = Rig::new();
    rig.first.feel(Mood::Broken);
    rig.rounds_until("second").await;
    rig.clock.advance(1);
    rig.second.feel(Mood::Broken);
    for _ in 0..FAULTS_IN_A_ROW {
        rig.round().await;
    }
    assert_eq!(rig.picked(), "first", "it was set aside first");
    *rig.first.refuses_until.lock().expect("a time") = Some(rig.clock.now().plus_seconds(60));
    assert_eq!(rig.picked(), "second");
    rig.second.feel(Mood::Well);
    assert_eq!(rig.round().await, "second");
    assert!(
        rig.endpoints.snapshot()[1].healthy,
        "its answer brought it back"
    );
}

/// Rounds that overlap a fail-over keep to the endpoint that they picked.
#[tokio::test]
async fn a_round_never_changes_its_node() {
    let rig = Rig::new();
    let held = rig.endpoints.pick();
    rig.first.feel(Mood::Broken);
    rig.rounds_until("second").await;
    rig.first.feel(Mood::Well);
    rig.second.asked();
    let head = held.head().await.expect("a head");
    held.block(&head).await.expect("a block");
    assert_eq!((held.name(), rig.second.asked()), ("first", 0));
}
