//! No receiver slows another, proven on the real binary: the latency of one good receiver alone, and beside a hundred
//! that refuse, hang, drip, fail and reset, with webhooks due at each of them all the time.
//!
//! Latency is from the event's commit (the time in its id) to the receiver. Alone and beside take turns in one run, each
//! time with a hub of its own. The p99 beside may be at most twice the one alone; below [`FLOOR_MS`] the scheduler of a
//! busy machine decides, and nothing is told apart. Noise only ever makes it worse, while the defect costs seconds, so one
//! round of [`ROUNDS`] has to pass.
//!
//! # What it was tried on
//! Places were given out as they come, by hand: `Places::class_room` answered `total` for every class, `Standing::room`
//! eight less what is under way, and the breaker let everything through. Measured then, in a debug build on 2 cores: alone
//! p50 3 ms and p99 17 ms, beside the bad ones p50 57 s and p99 59 s; the test failed. As it is: alone 2 and 17 ms,
//! beside 2 and 7 ms.

mod support;

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use serde_json::json;
use support::bad_receiver::{self, Vice};
use support::node::Node;
use support::receiver::{Received, Receiver};
use support::{Program, config, create, eventually, get};

const SLOT_MS: u32 = 1000;
/// Webhooks to the good receiver that are measured in one phase.
const WEBHOOKS: usize = 300;
/// Between two of them.
const PACE: Duration = Duration::from_millis(15);
/// Webhooks due at each bad receiver before measuring begins.
const BACKLOG: usize = 12;
const BAD: usize = 100;
/// Differences below this are the machine's, ms.
const FLOOR_MS: u64 = 20;
const ROUNDS: usize = 3;
/// No noise costs that much, ms: no second round is given then.
const DEFECT_MS: u64 = 2_000;
const CONCURRENT_CREATES: usize = 50;

/// Far more than 500 attempts hang if they are let: 75 receivers by eight.
async fn bad_ones() -> Vec<String> {
    let mix = [
        (Vice::Refuses, 10),
        (Vice::Silent, 30),
        (Vice::DripsHeaders, 25),
        (Vice::DripsBody, 20),
        (Vice::Answers(500), 5),
        (Vice::Answers(503), 5),
        (Vice::Resets, 5),
    ];
    let mut urls = Vec::new();
    for (vice, count) in mix {
        for _ in 0..count {
            urls.push(bad_receiver::start(vice).await);
        }
    }
    assert_eq!(urls.len(), BAD);
    urls
}

/// A hub with its node, and amounts that no two payments share.
struct World {
    hub: Program,
    _node: Node,
    _folder: tempfile::TempDir,
    next_cents: usize,
}

impl World {
    async fn start() -> Self {
        let (node, folder) = (Node::start().await, tempfile::tempdir().expect("a folder"));
        let (settings, file) = (
            config(folder.path(), &node.url(), SLOT_MS),
            folder.path().join("config.json"),
        );
        std::fs::write(&file, settings.to_string()).expect("written");
        let arguments = ["serve", "--config", file.to_str().expect("a path")];
        // Thousands of failures are warned of.
        let log = [("PAYBELL_LOG", "error")];
        Self {
            hub: Program::start(&arguments, &log, &["hub"]),
            _node: node,
            _folder: folder,
            next_cents: 1000,
        }
    }

    /// One more payment, whose creation is told to `url`.
    fn payment(&mut self, url: &str) -> impl Future<Output = serde_json::Value> + use<> {
        self.next_cents += 1;
        let amount = format!("{}.{:02}", self.next_cents / 100, self.next_cents % 100);
        let fields = json!({"callback_url": url, "expected_amount_usdt": amount});
        let hub = self.hub.hub().to_owned();
        async move { create(&hub, fields).await }
    }

    /// Has webhooks due at all the bad ones, and waits until they have begun to do their worst.
    async fn burden(&mut self, bad: &[String]) {
        for _ in 0..BACKLOG {
            for some in bad.chunks(CONCURRENT_CREATES) {
                let creates: Vec<_> = some.iter().map(|url| self.payment(url)).collect();
                join_all(creates).await;
            }
        }
        eventually("attempts hang", async || {
            let stats = get(&format!("{}/stats", self.hub.hub())).await.json();
            (stats["webhooks"]["in_flight"].as_u64() >= Some(75)).then_some(())
        })
        .await;
    }

    /// Latencies at a good receiver, ms; meanwhile as many webhooks more are due at the bad ones.
    async fn latencies(&mut self, bad: &[String]) -> Vec<u64> {
        let good = Receiver::start().await;
        let mut bad = bad.iter().cycle();
        let mut pace = tokio::time::interval(PACE);
        let mut creates = Vec::new();
        for _ in 0..WEBHOOKS {
            pace.tick().await;
            creates.push(tokio::spawn(self.payment(&good.url())));
            if let Some(url) = bad.next() {
                creates.push(tokio::spawn(self.payment(url)));
            }
        }
        for create in creates {
            create.await.expect("created");
        }
        eventually("the good receiver has everything", async || {
            (ids(&good.received()).len() == WEBHOOKS).then_some(())
        })
        .await;
        good.received().iter().map(latency_ms).collect()
    }
}

fn ids(received: &[Received]) -> HashSet<String> {
    let ids = received.iter().map(|r| r.header("webhook-id").to_owned());
    ids.collect()
}

fn latency_ms(webhook: &Received) -> u64 {
    let id = webhook.header("webhook-id").trim_start_matches("evt_");
    let committed_ms = ulid::Ulid::from_string(id).expect("a ULID").timestamp_ms();
    let since_epoch = webhook.at.duration_since(SystemTime::UNIX_EPOCH);
    let received_ms = u64::try_from(since_epoch.expect("after 1970").as_millis()).expect("fits");
    received_ms.saturating_sub(committed_ms)
}

fn percentile(sorted: &[u64], of_hundred: usize) -> u64 {
    sorted[(sorted.len() * of_hundred / 100).min(sorted.len() - 1)]
}

/// p99 of the phases together, ms; prints the figures.
fn figures(name: &str, mut latencies: Vec<u64>) -> u64 {
    latencies.sort_unstable();
    let [p50, p99] = [50, 99].map(|p| percentile(&latencies, p));
    let (most, count) = (percentile(&latencies, 100), latencies.len());
    println!("{name}: {count} webhooks, p50 {p50} ms, p99 {p99} ms, longest {most} ms");
    p99
}

async fn round(bad: &[String]) -> (u64, u64) {
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        alone.extend(World::start().await.latencies(&[]).await);
        let mut world = World::start().await;
        world.burden(bad).await;
        beside.extend(world.latencies(bad).await);
        let stats = get(&format!("{}/stats", world.hub.hub())).await.json();
        println!("beside: {}", stats["webhooks"]);
    }
    (figures("alone", alone), figures("beside", beside))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_bad_receivers_do_not_slow_a_good_one() {
    let bad = bad_ones().await;
    let mut told = Vec::new();
    for _ in 0..ROUNDS {
        let (alone, beside) = round(&bad).await;
        if beside.max(FLOOR_MS) < 2 * alone.max(FLOOR_MS) {
            return;
        }
        told.push((alone, beside));
        if beside > DEFECT_MS {
            break;
        }
    }
    panic!("p99 alone and beside a hundred bad receivers, ms: {told:?}");
}
