//! The hand-over from history to live, raced: channels are left and taken up again thousands of times while events are
//! published, and each event must be told exactly once, in order.

use super::*;

/// One client that subscribes, reads a little, unsubscribes, and so on, until it has seen the last event.
async fn leave_and_return(
    it: &Harness,
    name: &str,
    wanted: impl Fn(u64) -> bool,
    last: u64,
) -> u32 {
    let mut client = it.connected(None).await;
    let (mut newest, mut returns) = (0, 0);
    let see = |newest: &mut u64, seq: u64| {
        let skipped = (*newest + 1..seq).find(|n| wanted(*n));
        assert!(
            seq > *newest && wanted(seq) && skipped.is_none(),
            "{seq} after {newest}"
        );
        *newest = seq;
    };
    while (newest + 1..=last).any(&wanted) {
        returns += 1;
        client
            .say(json!({"id": "s", "subscribe": {"channel": name, "since": {"epoch": EPOCH, "seq": newest}}}))
            .await;
        client
            .say(json!({"id": "u", "unsubscribe": {"channel": name}}))
            .await;
        loop {
            let frame = client.hear().await;
            if let Some(reply) = frame.get("subscribe") {
                assert_eq!(reply["recovered"], json!(true));
                for event in reply["events"].as_array().expect("a list") {
                    see(&mut newest, event["sequence"].as_u64().expect("a number"));
                }
                let told = reply["seq"].as_u64().expect("a number");
                let lost = (newest + 1..=told).find(|n| wanted(*n));
                assert!(
                    lost.is_none(),
                    "{lost:?} is missing from the reply up to {told}"
                );
                newest = newest.max(told);
            } else if let Some(push) = frame.get("push") {
                see(&mut newest, push["seq"].as_u64().expect("a number"));
            } else {
                assert_eq!(frame, json!({"id": "u", "unsubscribe": {}}));
                break;
            }
        }
    }
    returns
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_hand_overs_neither_lose_nor_repeat_an_event() {
    const EVENTS: u64 = 4000;
    const LEAST_RETURNS: u32 = 2000;
    let limits = LiveLimits {
        replay_events: 10_000,
        replay_bytes: 10_000_000,
        frame_interval: Duration::ZERO,
        ..LiveLimits::default()
    };
    let it = Arc::new(Harness::limited(limits).await);
    let of = |seq: u64| payment(u128::from(seq % 3) + 1);
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..6_u64 {
        let it = Arc::clone(&it);
        clients.spawn(async move {
            let own = payment(u128::from(n % 3) + 1);
            if n < 3 {
                leave_and_return(&it, "payments", |_| true, EVENTS).await
            } else {
                leave_and_return(&it, &format!("payment:{own}"), |seq| of(seq) == own, EVENTS).await
            }
        });
    }
    for seq in 1..=EVENTS {
        it.happen(Some(of(seq)));
        if seq % 4 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut returns = 0;
    while let Some(result) = clients.join_next().await {
        returns += result.expect("a client saw everything once");
    }
    println!("{returns} hand-overs while {EVENTS} events were published");
    assert!(returns > LEAST_RETURNS, "only {returns}: little was raced");
}
