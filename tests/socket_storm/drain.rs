//! A drain with sockets and streams open: each is closed in its turn, spread over the time, and whoever does not read holds
//! nobody up.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{Client, Heard, ask_for_stream, authority, connect_tiny};
use crate::support::node::Node;
use crate::support::{Program, config, eventually};
use crate::{ALONE, events, open};

const SOCKETS: usize = 200;
const STREAMS: usize = 50;
const STALLED: usize = 5;
const DRAIN: Duration = Duration::from_secs(4);
/// Sockets and streams go in the first half of the drain time.
const SPREAD: Duration = Duration::from_secs(2);
/// How much longer than the drain time the process may take, on a busy machine.
const SLACK: Duration = Duration::from_secs(3);
const BLOCK_MS: u32 = 200;
/// More than the kernel's buffers take for a peer that does not read: 4 MiB at most.
const EVENTS: u32 = 1_500;
const FILLER_BYTES: usize = 3_500;

/// Waits for the end of a socket, and says when and by which code it came.
async fn socket_s_end(mut client: Client) -> (Instant, Option<u16>) {
    let code = match client.end().await {
        Heard::Closed(code) => Some(code),
        _ => None,
    };
    (Instant::now(), code)
}

async fn stream_s_end(mut connection: TcpStream) -> Instant {
    let mut scratch = [0; 4096];
    while connection.read(&mut scratch).await.expect("no reset") > 0 {}
    Instant::now()
}

/// How many ends fall into each quarter of the spread.
fn quarters(start: Instant, ends: &[Instant]) -> [usize; 4] {
    let mut counts = [0; 4];
    for end in ends {
        let place = end.duration_since(start).as_secs_f64() / SPREAD.as_secs_f64() * 4.0;
        counts[(place as usize).min(3)] += 1;
    }
    counts
}

/// Each quarter has a fair part of them.
fn expect_spread(what: &str, start: Instant, ends: &[Instant]) {
    let counts = quarters(start, ends);
    let last = ends.iter().max().expect("some").duration_since(start);
    println!("{what} closed in the quarters of {SPREAD:?}: {counts:?}, the last after {last:?}");
    let least = ends.len() / 10;
    assert!(counts.iter().all(|count| *count >= least), "{counts:?}");
    assert!(last < DRAIN, "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_closes_everyone_in_turn_and_waits_for_no_one_who_stalls() {
    let _alone = ALONE.lock().await;
    let (node, folder) = (Node::start().await, tempfile::tempdir().unwrap());
    let mut settings = config(folder.path(), &node.url(), BLOCK_MS);
    settings["drain_seconds"] = json!(DRAIN.as_secs());
    let program = Program::serve(folder.path(), &settings);
    let hub = program.hub().to_owned();
    let mut stalled_sockets = Vec::new();
    let mut stalled_streams = Vec::new();
    for _ in 0..STALLED {
        let mut client = Client::open_tiny(&hub).await.expect("a handshake");
        client.subscribe("payments", None).await.expect("a reply");
        stalled_sockets.push(client);
        let mut connection = connect_tiny(&hub).await;
        ask_for_stream(&mut connection).await;
        stalled_streams.push(connection);
    }
    events(&hub, EVENTS, FILLER_BYTES).await;
    let (mut sockets, mut streams) = (JoinSet::new(), JoinSet::new());
    for _ in 0..SOCKETS {
        let mut client = Client::open(&hub).await.expect("a handshake");
        client.subscribe("payments", None).await.expect("a reply");
        sockets.spawn(socket_s_end(client));
    }
    for _ in 0..STREAMS {
        let mut connection = TcpStream::connect(authority(&hub))
            .await
            .expect("a connection");
        ask_for_stream(&mut connection).await;
        streams.spawn(stream_s_end(connection));
    }
    let all = ((SOCKETS + STALLED) as u64, (STREAMS + STALLED) as u64);
    eventually("all are open", async || {
        (open(&hub).await == all).then_some(())
    })
    .await;

    let start = Instant::now();
    let ending = tokio::task::spawn_blocking(move || program.terminate());
    let sockets = sockets.join_all().await;
    let codes_are_right = sockets.iter().all(|(_, code)| *code == Some(4001));
    assert!(codes_are_right, "{sockets:?}");
    let ends: Vec<Instant> = sockets.iter().map(|(at, _)| *at).collect();
    expect_spread("sockets", start, &ends);
    expect_spread("streams", start, &streams.join_all().await);
    assert_eq!(ending.await.expect("joined"), Some(0));
    let took = start.elapsed();
    println!("the drain took {took:?}, with {STALLED} sockets and {STALLED} streams stalled");
    assert!(took < DRAIN + SLACK, "{took:?}");
    drop((stalled_sockets, stalled_streams));
}
