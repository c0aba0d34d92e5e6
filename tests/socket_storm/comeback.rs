//! All clients lose the hub in one instant, in the middle of events, and come back in the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::client::{Client, Heard, authority};
use crate::support::node::Node;
use crate::support::{PATIENCE, Program, config, order_id};
use crate::{ALONE, event, event_of, percentile, rss_kib};

const CLIENTS: usize = 5_000;
/// Descriptors that a test needs for itself.
const DESCRIPTORS_KEPT: u64 = 500;
const BLOCK_MS: u32 = 200;
/// They are on their way to the clients when the kill comes: half of these have heard of the first.
const EVENTS_BEFORE_KILL: u32 = 6;
const EVENTS_WHILE_RETURNING: u32 = 10;
/// From the moment the new hub says that it listens until the last client has resumed.
const MAX_RETURN: Duration = Duration::from_secs(30);
/// What a socket may cost the hub while all of them come back.
const MAX_KIB_A_CLIENT: u64 = 48;

/// What one client has seen.
#[derive(Default)]
struct Log {
    epoch: String,
    newest: u64,
}

impl Log {
    fn see(&mut self, number: u64) {
        assert_eq!(number, self.newest + 1, "after {}", self.newest);
        self.newest = number;
    }

    fn hear(&mut self, push: &str) {
        let frame: Value = serde_json::from_str(push).expect("JSON");
        assert_eq!(frame["push"]["epoch"], self.epoch.as_str());
        self.see(frame["push"]["seq"].as_u64().expect("a number"));
    }

    fn account(&mut self, reply: &Value) {
        assert_eq!(reply["recovered"], true, "after {}: {reply}", self.newest);
        for event in reply["events"].as_array().expect("events") {
            self.see(event["sequence"].as_u64().expect("a number"));
        }
        assert_eq!(reply["seq"], self.newest);
    }
}

/// Counts those who have come so far, and wakes whoever waits for all.
#[derive(Default)]
struct Arrivals {
    count: AtomicUsize,
    changed: Notify,
}

impl Arrivals {
    fn arrive(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_one();
    }

    async fn all(&self, count: usize) {
        let waiting = async {
            while self.count.load(Ordering::SeqCst) < count {
                self.changed.notified().await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, waiting).await;
        let arrived = self.count.load(Ordering::SeqCst);
        assert!(in_time.is_ok(), "{arrived} of {count} have come");
    }
}

/// Listens from now until the hub is gone; tells when it listens, and when it has heard something.
async fn listen(hub: Arc<str>, arrivals: Arc<Arrivals>, heard: Arc<Arrivals>) -> Log {
    let mut client = Client::open(&hub).await.expect("a handshake");
    let reply = client.subscribe("payments", None).await.expect("a reply");
    let mut log = Log {
        epoch: reply["epoch"].as_str().expect("an epoch").to_owned(),
        newest: reply["seq"].as_u64().expect("a number"),
    };
    arrivals.arrive();
    let before = log.newest;
    while let Heard::Text(text) = client.next().await {
        log.hear(&text);
        if log.newest == before + 1 {
            heard.arrive();
        }
    }
    log
}

/// Resumes and listens until the event of the last order. Returns how long it took to resume.
async fn resume(hub: Arc<str>, mut log: Log, arrivals: Arc<Arrivals>, last: Arc<str>) -> Duration {
    let start = Instant::now();
    let mut client = Client::open(&hub).await.expect("no reset, no refusal");
    let since = json!({"epoch": log.epoch, "seq": log.newest});
    let reply = client.subscribe("payments", Some(since)).await;
    log.account(&reply.expect("a reply"));
    let took = start.elapsed();
    arrivals.arrive();
    loop {
        let Heard::Text(text) = client.next().await else {
            panic!("lost after {}", log.newest);
        };
        log.hear(&text);
        if text.contains(&*last) {
            return took;
        }
    }
}

/// As many clients as the process may have descriptors for.
fn client_count() -> usize {
    paybell::server::descriptors::raise_limit();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let room = limit.unwrap_or(u64::MAX).saturating_sub(DESCRIPTORS_KEPT);
    CLIENTS.min(usize::try_from(room).expect("fits"))
}

/// Has all clients listen, and kills the hub while events are on their way to them.
async fn lose_the_hub(hub: Program, count: usize) -> Vec<Log> {
    let url: Arc<str> = hub.hub().into();
    let (arrivals, heard) = (Arc::new(Arrivals::default()), Arc::new(Arrivals::default()));
    let mut listening = JoinSet::new();
    for _ in 0..count {
        let (arrivals, heard) = (Arc::clone(&arrivals), Arc::clone(&heard));
        listening.spawn(listen(Arc::clone(&url), arrivals, heard));
    }
    arrivals.all(count).await;
    for number in 1..=EVENTS_BEFORE_KILL {
        event(&url, number, 0).await;
    }
    heard.all(count / 2).await;
    hub.kill();
    let mut logs = Vec::with_capacity(count);
    while let Some(log) = listening.join_next().await {
        logs.push(log.expect("everything once, in order"));
    }
    logs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_clients_come_back_at_once_and_miss_nothing() {
    let _alone = ALONE.lock().await;
    let count = client_count();
    let (node, folder) = (Node::start().await, tempfile::tempdir().unwrap());
    let mut settings = config(folder.path(), &node.url(), BLOCK_MS);
    let hub = Program::serve(folder.path(), &settings);
    settings["listen"] = json!(authority(hub.hub()));
    let logs = lose_the_hub(hub, count).await;
    let newest: Vec<u64> = logs.iter().map(|log| log.newest).collect();

    let hub = Program::serve(folder.path(), &settings);
    let (url, before_kib): (Arc<str>, u64) = (hub.hub().into(), rss_kib(hub.pid()));
    let (arrivals, last): (_, Arc<str>) = (Arc::new(Arrivals::default()), order_id().into());
    let (start, mut returning) = (Instant::now(), JoinSet::new());
    for log in logs {
        let (url, arrivals, last) = (Arc::clone(&url), Arc::clone(&arrivals), Arc::clone(&last));
        returning.spawn(resume(url, log, arrivals, last));
    }
    for number in 1..=EVENTS_WHILE_RETURNING {
        event(&url, 1_000 + number, 0).await;
    }
    arrivals.all(count).await;
    let (all_back, after_kib) = (start.elapsed(), rss_kib(hub.pid()));
    event_of(&url, &last, 2_000, 0).await;
    let mut took = Vec::with_capacity(count);
    while let Some(each) = returning.join_next().await {
        took.push(each.expect("everything once, in order"));
    }
    let all_told = start.elapsed();
    took.sort();
    let kib_a_client = after_kib.saturating_sub(before_kib) / count as u64;
    println!(
        "{count} clients, killed at event {:?} to {:?}: all back after {all_back:?} (half of them {:?}, 99 % {:?}), \
         all told after {all_told:?}; the hub's memory {before_kib} -> {after_kib} KiB, {kib_a_client} KiB a client",
        newest.iter().min(),
        newest.iter().max(),
        percentile(&took, 50),
        percentile(&took, 99),
    );
    assert!(all_back < MAX_RETURN, "{all_back:?}");
    assert!(kib_a_client < MAX_KIB_A_CLIENT, "{kib_a_client} KiB");
}
