//! Peers that never read, never answer or talk nonsense, beside readers who must not notice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{Client, Heard, ask_for_stream, authority, connect_tiny};
use crate::support::node::Node;
use crate::support::{PATIENCE, Program, config, eventually, order_id};
use crate::{ALONE, SHOPS, event_of, open, percentile, rss_kib};

const READERS: usize = 5;
const STALLED_SOCKETS: usize = 150;
const STALLED_STREAMS: usize = 50;
const HALF_OPEN: usize = 50;
const GARBAGE: u64 = 60;
const BLOCK_MS: u32 = 200;
const CALM_EVENTS: u32 = 300;
const STORM_EVENTS: u32 = 2_000;
/// Four kilobytes each with the rest: a stalled peer's queue and the kernel's buffers before it fill many times over.
const FILLER_BYTES: usize = 3_500;
/// From a shop's request to a reader's push, 99 of 100 times.
const MAX_LATENCY: Duration = Duration::from_secs(1);
/// What the storm may cost the hub: the queues of all who stall share their events' bytes, so this is far below 256 KiB each.
const MAX_GROWTH_KIB: u64 = 64 * 1024;

type Sent = Arc<Mutex<HashMap<String, Instant>>>;

/// Reads so many pushes, and returns how old each was.
async fn read(client: &mut Client, sent: &Sent, count: u32) -> Vec<Duration> {
    let mut ages = Vec::new();
    for _ in 0..count {
        let Heard::Text(text) = client.next().await else {
            panic!("a reader was closed");
        };
        let now = Instant::now();
        let (_, rest) = text.split_once(r#""order_id":""#).expect("an order");
        let (order_id, _) = rest.split_once('"').expect("an order");
        let sent = sent.lock().expect("a lock");
        ages.push(now.duration_since(*sent.get(order_id).expect("a known order")));
    }
    ages
}

/// Has events happen, and measures how late the readers hear of them.
async fn measure(hub: &str, readers: &mut Vec<Client>, from: u32, count: u32) -> Vec<Duration> {
    let sent = Sent::default();
    let (mut shops, mut reading) = (JoinSet::new(), JoinSet::new());
    for mut client in std::mem::take(readers) {
        let sent = Arc::clone(&sent);
        reading.spawn(async move {
            let ages = read(&mut client, &sent, count).await;
            (client, ages)
        });
    }
    for shop in 0..SHOPS {
        let (hub, sent) = (hub.to_owned(), Arc::clone(&sent));
        shops.spawn(async move {
            for number in (from + shop..from + count).step_by(SHOPS as usize) {
                let order_id = order_id();
                sent.lock()
                    .expect("a lock")
                    .insert(order_id.clone(), Instant::now());
                event_of(&hub, &order_id, number, FILLER_BYTES).await;
            }
        });
    }
    shops.join_all().await;
    let mut all = Vec::new();
    for (client, ages) in reading.join_all().await {
        readers.push(client);
        all.extend(ages);
    }
    all.sort();
    all
}

/// Talks nonsense after a proper handshake until the server ends it. It must end it: by a close or by cutting.
async fn talk_nonsense(hub: String, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut tcp = TcpStream::connect(authority(&hub))
        .await
        .expect("a connection");
    let handshake = "GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                     sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
    tcp.write_all(handshake.as_bytes()).await.expect("sent");
    let (mut incoming, mut outgoing) = tcp.into_split();
    let talking = tokio::spawn(async move {
        let mut bytes = [0; 512];
        loop {
            rng.fill(&mut bytes);
            if outgoing.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut scratch = [0; 4096];
    let ended = tokio::time::timeout(PATIENCE, async {
        while matches!(incoming.read(&mut scratch).await, Ok(1..)) {}
    });
    ended.await.expect("the server ends it");
    talking.abort();
}

struct Crowd {
    stalled_sockets: Vec<Client>,
    stalled_streams: Vec<TcpStream>,
    half_open: Vec<Client>,
}

/// Sockets and streams that ask for everything and never read, and sockets that fall silent.
async fn crowd(hub: &str, quiet: &str) -> Crowd {
    let mut crowd = Crowd {
        stalled_sockets: Vec::new(),
        stalled_streams: Vec::new(),
        half_open: Vec::new(),
    };
    for _ in 0..STALLED_SOCKETS {
        let mut client = Client::open_tiny(hub).await.expect("a handshake");
        client.subscribe("payments", None).await.expect("a reply");
        crowd.stalled_sockets.push(client);
    }
    for _ in 0..STALLED_STREAMS {
        let mut connection = connect_tiny(hub).await;
        ask_for_stream(&mut connection).await;
        crowd.stalled_streams.push(connection);
    }
    for _ in 0..HALF_OPEN {
        let mut client = Client::open(hub).await.expect("a handshake");
        client.subscribe(quiet, None).await.expect("a reply");
        crowd.half_open.push(client);
    }
    crowd
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_stall_cost_the_readers_nothing_and_are_ended() {
    let alone = ALONE.lock().await;
    let (node, folder) = (Node::start().await, tempfile::tempdir().unwrap());
    let program = Program::serve(folder.path(), &config(folder.path(), &node.url(), BLOCK_MS));
    let hub = program.hub();
    let quiet = event_of(hub, &order_id(), 0, 0).await;
    let quiet = format!("payment:{}", quiet["payment_id"].as_str().expect("an id"));
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut client = Client::open(hub).await.expect("a handshake");
        client.subscribe("payments", None).await.expect("a reply");
        readers.push(client);
    }
    let calm = measure(hub, &mut readers, 10_000, CALM_EVENTS).await;
    let mut crowd = crowd(hub, &quiet).await;
    let all = (STALLED_SOCKETS + HALF_OPEN + READERS) as u64;
    eventually("all are open", async || {
        (open(hub).await == (all, STALLED_STREAMS as u64)).then_some(())
    })
    .await;
    let before_kib = rss_kib(program.pid());
    let mut nonsense = JoinSet::new();
    for seed in 0..GARBAGE {
        nonsense.spawn(talk_nonsense(hub.to_owned(), seed));
    }
    let storm = measure(hub, &mut readers, 1, STORM_EVENTS).await;
    let growth_kib = rss_kib(program.pid()).saturating_sub(before_kib);
    nonsense.join_all().await;
    drop(alone);
    let [storm_p50, storm_p99] = [50, 99].map(|h| percentile(&storm, h));
    let [calm_p50, calm_p99] = [50, 99].map(|h| percentile(&calm, h));
    println!(
        "{STORM_EVENTS} events beside {STALLED_SOCKETS} stalled sockets, {STALLED_STREAMS} stalled streams, {HALF_OPEN} \
         half-open ones and {GARBAGE} that talk nonsense: half within {storm_p50:?}, 99 % within {storm_p99:?} (before \
         them {calm_p50:?} and {calm_p99:?}); the hub's memory grew by {growth_kib} KiB"
    );
    assert!(storm_p99 < MAX_LATENCY, "{storm_p99:?}");
    assert!(growth_kib < MAX_GROWTH_KIB, "{growth_kib} KiB");

    // Stalled writes end those who do not read. Pings, which nobody answers, end those who fell silent; the readers answer them.
    let mut reading = JoinSet::new();
    for mut client in readers {
        reading.spawn(async move { client.end().await });
    }
    eventually("all but the readers are ended", async || {
        (open(hub).await == (READERS as u64, 0)).then_some(())
    })
    .await;
    for client in &mut crowd.half_open {
        assert_eq!(client.end_in_silence().await, Some(4012));
    }
    assert!(reading.try_join_next().is_none(), "a reader was ended");
}
