//! What subscribers get: snapshots, pushes, replays, each event exactly once and in order, whatever happens meanwhile.

use tokio::sync::mpsc;

use super::*;
use crate::domain::ids::Sequence;
use crate::hub::announce;
use crate::store::{NewEvent, Write};

#[tokio::test]
async fn a_subscriber_gets_a_snapshot_and_then_what_happens() {
    let it = Harness::open().await;
    it.happen(Some(payment(1)));
    let mut client = it.connected(None).await;
    let reply = client.subscribe(&channel(1)).await;
    let snapshot = json!({"payment_id": payment(1).to_string()});
    assert_eq!(
        reply,
        json!({"id": 2, "subscribe": {"epoch": "e1", "seq": 1, "recovered": false, "snapshot": snapshot}})
    );
    it.happen(Some(payment(2)));
    it.happen(Some(payment(1)));
    it.hub.progress(payment(1), 7, 19);
    assert_eq!(
        client.hear().await,
        json!({"push": {"channel": channel(1), "epoch": "e1", "seq": 3, "event": {"sequence": 3}}})
    );
    assert_eq!(
        client.hear().await,
        json!({"push": {"channel": channel(1), "progress": {"confirmations": 7, "required": 19}}})
    );
}

#[tokio::test]
async fn all_payments_together_start_from_now() {
    let it = Harness::with_keys().await;
    it.happen(Some(payment(1)));
    let mut client = it.connected(Some(&good_key().to_text())).await;
    let reply = client.subscribe("payments").await;
    assert_eq!(
        reply,
        json!({"id": 2, "subscribe": {"epoch": "e1", "seq": 1, "recovered": false}})
    );
    it.happen(None);
    it.happen(Some(payment(3)));
    assert_eq!(client.pushed().await, 2);
    assert_eq!(client.pushed().await, 3);
}

#[tokio::test]
async fn whoever_resumes_gets_what_was_missed_and_nothing_twice() {
    let it = Harness::open().await;
    for n in [1, 2, 1, 2, 1] {
        it.happen(Some(payment(n)));
    }
    let mut client = it.connected(None).await;
    let reply = client.resume(&channel(1), EPOCH, 1).await;
    let events = json!([{"sequence": 3}, {"sequence": 5}]);
    assert_eq!(
        reply,
        json!({"id": 2, "subscribe": {"epoch": "e1", "seq": 5, "recovered": true, "events": events}})
    );
    it.happen(Some(payment(1)));
    assert_eq!(client.pushed().await, 6);

    let up_to_date = client.resume("payments", EPOCH, 6).await;
    assert_eq!(up_to_date["subscribe"]["events"], json!([]));
    assert_eq!(up_to_date["subscribe"]["recovered"], json!(true));
}

#[tokio::test]
async fn what_cannot_be_replayed_whole_is_a_snapshot() {
    let limits = LiveLimits {
        replay_events: 3,
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    for _ in 0..10 {
        it.happen(Some(payment(1)));
    }
    it.store.forget_below(5);
    for (epoch, seq, recovered) in [
        (EPOCH, 10, true),
        (EPOCH, 7, true),
        (EPOCH, 6, false),
        (EPOCH, 3, false),
        (EPOCH, 11, false),
        (EPOCH, u64::MAX, false),
        ("e0", 10, false),
    ] {
        let mut client = it.connected(None).await;
        let reply = &client.resume(&channel(1), epoch, seq).await["subscribe"];
        assert_eq!(reply["recovered"], json!(recovered), "{epoch} {seq}");
        assert_eq!(reply["seq"], json!(10));
        assert_eq!(reply.get("snapshot").is_some(), !recovered);
        assert_eq!(reply.get("events").is_some(), recovered);
    }
    it.store.forget_below(4);
    let mut client = it.connected(None).await;
    let unlimited = client.resume(&channel(2), EPOCH, 3).await;
    assert_eq!(unlimited["subscribe"]["recovered"], json!(true));
}

#[tokio::test]
async fn an_unsubscribed_channel_is_silent_and_can_come_back() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    client.subscribe(&channel(1)).await;
    client.subscribe(&channel(2)).await;
    let gone = client
        .ask(json!({"id": "u", "unsubscribe": {"channel": channel(1)}}))
        .await;
    assert_eq!(gone, json!({"id": "u", "unsubscribe": {}}));
    it.happen(Some(payment(1)));
    it.happen(Some(payment(2)));
    assert_eq!(client.pushed().await, 2);
    let again = client
        .ask(json!({"id": 3, "unsubscribe": {"channel": channel(1)}}))
        .await;
    assert_eq!(error_code(&again), "not_found");
    let back = client.resume(&channel(1), EPOCH, 0).await;
    assert_eq!(back["subscribe"]["events"], json!([{"sequence": 1}]));
}

/// An event may be announced before the store tells its number. Whoever subscribes in between must account for it.
#[tokio::test]
async fn an_event_announced_before_the_store_tells_its_number_is_not_lost() {
    let it = Harness::open().await;
    it.store.lag.store(1, Ordering::SeqCst);
    it.happen(Some(payment(1)));
    let mut client = it.connected(None).await;
    assert_eq!(
        client.subscribe(&channel(1)).await["subscribe"]["seq"],
        json!(1)
    );
    let replayed = client.resume("payments", EPOCH, 0).await;
    assert_eq!(replayed["subscribe"]["events"], json!([{"sequence": 1}]));
}

/// An event that is committed, but announced only after the subscriber's reply, must not come a second time.
#[tokio::test]
async fn an_event_in_the_reply_is_not_pushed_again() {
    let it = Harness::open().await;
    let late = it.store.append(Some(payment(1)));
    let mut client = it.connected(None).await;
    let reply = client.resume(&channel(1), EPOCH, 0).await;
    assert_eq!(reply["subscribe"]["events"], json!([{"sequence": 1}]));
    it.hub.publish(&late);
    it.happen(Some(payment(1)));
    assert_eq!(client.pushed().await, 2);
}

/// What a client has seen of a channel, replies and pushes in one.
struct Log {
    expected: Box<dyn Fn(u64) -> bool + Send>,
    newest: u64,
}

impl Log {
    fn see(&mut self, seq: u64) {
        let skipped = (self.newest + 1..seq).find(|n| (self.expected)(*n));
        assert!(
            seq > self.newest && skipped.is_none(),
            "{seq} after {}, skipping {skipped:?}",
            self.newest
        );
        self.newest = seq;
    }

    fn account(&mut self, reply: &Value) {
        for event in reply["events"].as_array().into_iter().flatten() {
            self.see(event["sequence"].as_u64().expect("a number"));
        }
        let seq = reply["seq"].as_u64().expect("a number");
        if reply["recovered"] == json!(true) {
            let lost = (self.newest + 1..=seq).find(|n| (self.expected)(*n));
            assert!(lost.is_none(), "{lost:?} is missing from the reply");
        }
        self.newest = self.newest.max(seq);
    }
}

/// Comes and goes while events are published, and checks that it sees every one exactly once.
async fn come_and_go(it: &Harness, name: String, mut log: Log, last: u64, stay: usize) -> usize {
    let mut visits = 0;
    while log.newest < last {
        visits += 1;
        let mut client = it.connected(None).await;
        let reply = if visits == 1 {
            client.subscribe(&name).await
        } else {
            client.resume(&name, EPOCH, log.newest).await
        };
        log.account(&reply["subscribe"]);
        for _ in 0..stay {
            let more = (log.newest + 1..=last).any(|n| (log.expected)(n));
            if !more {
                return visits;
            }
            log.see(client.pushed().await);
        }
    }
    visits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_arrives_exactly_once_in_order_while_clients_come_and_go() {
    const EVENTS: u64 = 6000;
    let limits = LiveLimits {
        replay_events: 10_000,
        replay_bytes: 10_000_000,
        ..LiveLimits::default()
    };
    let it = Arc::new(Harness::limited(limits).await);
    let (sender, receiver) = mpsc::unbounded_channel();
    let announcer = tokio::spawn(announce(receiver, Arc::clone(&it.hub)));
    let of = |seq: u64| payment(u128::from(seq % 3) + 1);

    let mut clients = tokio::task::JoinSet::new();
    for n in 0..8_u64 {
        let it = Arc::clone(&it);
        let (name, expected): (_, Box<dyn Fn(u64) -> bool + Send>) = match n % 2 {
            0 => ("payments".to_owned(), Box::new(|_| true)),
            _ => {
                let own = payment(u128::from(n % 3) + 1);
                (
                    format!("payment:{own}"),
                    Box::new(move |seq| of(seq) == own),
                )
            }
        };
        let log = Log {
            expected,
            newest: 0,
        };
        let stay = 40 + 10 * n as usize;
        clients.spawn(async move { come_and_go(&it, name, log, EVENTS, stay).await });
    }
    for seq in 1..=EVENTS {
        let row = it.store.append(Some(of(seq)));
        let event = NewEvent {
            row,
            owed: Vec::new(),
        };
        let write = Write {
            events: vec![event],
            ..Write::default()
        };
        sender.send(Arc::new(write)).expect("the announcer runs");
        if seq % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut visits = 0;
    while let Some(result) = clients.join_next().await {
        visits += result.expect("a client saw everything once");
    }
    assert!(visits > 30, "only {visits} visits: nothing was raced");
    drop(sender);
    announcer.await.expect("the announcer ends");
    assert_eq!(it.hub.newest_now(), Sequence(EVENTS));
}

#[tokio::test]
async fn a_block_of_thousands_of_events_reaches_a_reading_client_whole() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    client.subscribe("payments").await;
    let (sender, receiver) = mpsc::unbounded_channel();
    let _announcer = tokio::spawn(announce(receiver, Arc::clone(&it.hub)));
    let events = (0..3000)
        .map(|_| NewEvent {
            row: it.store.append(Some(payment(1))),
            owed: Vec::new(),
        })
        .collect();
    let write = Write {
        events,
        ..Write::default()
    };
    sender.send(Arc::new(write)).expect("the announcer runs");
    for seq in 1..=3000 {
        assert_eq!(client.pushed().await, seq);
    }
}

#[tokio::test]
async fn a_long_reply_arrives_whole() {
    let it = Harness::open().await;
    for _ in 0..500 {
        let mut row = it.store.append(Some(payment(1)));
        row.body = format!(
            r#"{{"sequence":{},"é":"{}"}}"#,
            row.sequence.0,
            "é".repeat(300)
        )
        .into();
        it.store.replace(row);
    }
    let mut client = it.connected(None).await;
    let reply = client.resume(&channel(1), EPOCH, 0).await;
    let events = reply["subscribe"]["events"].as_array().expect("a list");
    assert_eq!(events.len(), 500);
    assert_eq!(events[499]["sequence"], json!(500));
}

/// A channel that is refused leaves nothing behind that could be pushed.
#[tokio::test]
async fn an_unknown_payment_is_not_found() {
    let it = Harness::open().await;
    let mut client = it.connected(None).await;
    let reply = client.subscribe(&channel(99)).await;
    assert_eq!(error_code(&reply), "not_found");
    it.happen(Some(payment(99)));
    client.subscribe("payments").await;
    it.happen(Some(payment(99)));
    assert_eq!(client.pushed().await, 2);
}
