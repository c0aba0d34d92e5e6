//! How streams go on and end: seats, pings, slow readers, a shutdown, clients that come and go.

use std::pin::pin;

use super::*;

#[tokio::test]
async fn streams_take_the_sockets_seats_and_give_them_back() {
    let limits = LiveLimits {
        connections: 2,
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let first = it.stream("/v1/events/stream", &[]).await;
    let _second = it.stream("/v1/events/stream", &[]).await;
    let refused = it.ask("/v1/events/stream", &[]).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(header(refused.headers(), "retry-after"), "5");
    let stats = it.hub.get("/stats").await.json();
    assert_eq!(
        (&stats["streams"], &stats["sockets"]),
        (&json!(2), &json!(0))
    );
    let listening = Arc::strong_count(&it.hub.ctx.live.hub);
    drop(first);
    it.until_streams_are(1).await;
    assert_eq!(Arc::strong_count(&it.hub.ctx.live.hub), listening - 1);
    it.stream("/v1/events/stream", &[]).await;
}

#[tokio::test]
async fn a_long_poll_whose_client_goes_leaves_nothing_behind() {
    let it = Harness::open().await;
    let seats = &it.hub.ctx.live.seats;
    let polls_are = |count| eventually(move || seats.long_polls() == count);
    {
        let mut poll = pin!(it.ask("/v1/events?after=0&wait=25", &[]));
        tokio::select! {
            _ = &mut poll => panic!("nothing happened"),
            () = polls_are(1) => {}
        }
    }
    polls_are(0).await;
}

#[tokio::test]
async fn a_quiet_stream_is_kept_alive() {
    let limits = LiveLimits {
        stream_ping_every: Duration::from_millis(20),
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let mut stream = it.stream("/v1/events/stream", &[]).await;
    stream.expect(Some("e1:0"), "hello").await;
    for _ in 0..3 {
        assert_eq!(stream.text().await.unwrap(), ": ping");
    }
}

/// Nothing runs while this thread publishes, so the queue overflows whatever the network's buffers hold.
#[tokio::test]
async fn a_slow_stream_is_told_and_ended_and_resumes() {
    let it = Harness::open().await;
    let mut stream = it.stream("/v1/events/stream", &[]).await;
    stream.expect(Some("e1:0"), "hello").await;
    it.hub.happen(None);
    assert_eq!(stream.number().await, 1);
    for _ in 0..257 {
        it.hub.happen(None);
    }
    let error = stream.expect(None, "error").await;
    assert_eq!(error, json!({"code": "slow"}));
    assert_eq!(stream.record().await, None);
    it.until_streams_are(0).await;
    let mut resumed = it.resume("/v1/events/stream", "e1:1").await;
    for expected in 2..=258 {
        assert_eq!(resumed.number().await, expected);
    }
}

#[tokio::test]
async fn a_shutdown_ends_streams_after_what_they_are_owed() {
    let limits = LiveLimits {
        shutdown_spread: Duration::from_millis(50),
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = it.stream("/v1/events/stream", &[]).await;
        stream.expect(Some("e1:0"), "hello").await;
        streams.push(stream);
    }
    it.hub.happen(None);
    it.hub.shutdown.send_replace(true);
    for mut stream in streams {
        assert_eq!(stream.number().await, 1);
        assert_eq!(stream.record().await, None);
    }
    it.until_streams_are(0).await;
    let refused = it.hub.get("/v1/events/stream").await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (503, &json!("shutting_down"))
    );
}

/// Comes and goes while events are published, and checks that it sees every one exactly once, in order.
async fn come_and_go(it: &Harness, last: u64, stay: u64) -> usize {
    let (mut seen, mut visits) = (0, 0);
    while seen < last {
        visits += 1;
        let mut stream = it.resume("/v1/events/stream", &format!("e1:{seen}")).await;
        for _ in 0..stay.min(last - seen) {
            let number = stream.number().await;
            assert_eq!(number, seen + 1);
            seen = number;
        }
    }
    visits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_arrives_exactly_once_in_order_while_streams_come_and_go() {
    const EVENTS: u64 = 3000;
    let limits = LiveLimits {
        replay_events: 10_000,
        replay_bytes: 10_000_000,
        ..LiveLimits::default()
    };
    let it = Arc::new(Harness::limited(limits).await);
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..6 {
        let it = Arc::clone(&it);
        clients.spawn(async move { come_and_go(&it, EVENTS, 30 + 11 * n).await });
    }
    for seq in 1..=EVENTS {
        it.hub.happen(None);
        if seq % 15 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut visits = 0;
    while let Some(result) = clients.join_next().await {
        visits += result.expect("a client saw everything once");
    }
    assert!(visits > 150, "only {visits} visits: nothing was raced");
}
