//! Events forwarded to receivers that refuse, that are down, and that take their time.

use std::time::{SystemTime, UNIX_EPOCH};

use paybell::delivery::signature::{Received, Secret, verify};
use serde_json::json;
use tokio::net::TcpListener;

use crate::listener::Listener;
use crate::support::receiver::{self, Receiver};
use crate::support::{Program, create, eventually, get};
use crate::{BLOCK_MS, cancel, free_port};

const TOLERANCE_S: u64 = 60;

#[tokio::test]
async fn what_is_forwarded_is_signed_and_in_order_for_each_payment() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let listener = Listener::start(demo.hub(), &["--forward-to", &url]);
    listener.says("connected to", 1).await;
    let told = listener.err();
    let secret = told
        .split_whitespace()
        .find(|word| word.starts_with("whsec_"));
    let secret = Secret::parse(secret.expect("it is shown")).expect("a secret");
    assert!(
        !told.contains("token=abc"),
        "the URL's query is the receiver's own business: {told}"
    );
    // The first is refused twice, and its payment's second waits for it.
    receiver.answer_next([500, 503]);
    let payment = create(demo.hub(), json!({})).await;
    cancel(demo.hub(), &payment).await;
    listener
        .prints("both arrived", |lines| {
            lines.iter().filter(|l| l.contains("-> 200 in ")).count() == 2
        })
        .await;
    let received = receiver.received();
    let kinds: Vec<_> = received.iter().map(|r| r.kind()).collect();
    let created = "payment.created";
    assert_eq!(kinds, [created, created, created, "payment.cancelled"]);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    for webhook in &received {
        let webhook = Received {
            id: webhook.header("webhook-id"),
            timestamp: webhook.header("webhook-timestamp"),
            signature: webhook.header("webhook-signature"),
            body: &webhook.body,
        };
        verify(std::slice::from_ref(&secret), webhook, now, TOLERANCE_S)
            .expect("a signature of the shown secret");
    }
    let page = get(&format!("{}/v1/events", demo.hub())).await.text;
    let body = String::from_utf8(received[0].body.clone()).expect("text");
    assert!(page.contains(&body), "the same bytes");
    let lines = listener.out();
    for told in [
        "status 500, after",
        "again in 500 ms",
        "status 503: overloaded, after",
        "again in 1000 ms",
    ] {
        assert!(
            lines.iter().any(|line| line.contains(told)),
            "{told} in {lines:#?}"
        );
    }
}

/// Nobody listens on the receiver's port: told, tried four times, passed over; the stream does not wait for it.
#[tokio::test]
async fn a_receiver_that_is_down_holds_nothing_up() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let url = format!("http://127.0.0.1:{}/hook", free_port().await);
    let listener = Listener::start(
        demo.hub(),
        &["--forward-to", &url, "--secret", receiver::SECRET],
    );
    listener.says("connected to", 1).await;
    assert!(
        !listener.err().contains("whsec_"),
        "a given secret is not shown"
    );
    for n in 1..=20 {
        create(demo.hub(), json!({"expected_amount_usdt": n.to_string()})).await;
    }
    let events = |lines: &[String]| {
        lines
            .iter()
            .filter(|l| l.contains("payment.created"))
            .count()
    };
    listener
        .prints("all events", |lines| events(lines) == 20)
        .await;
    let given_up = listener
        .out()
        .iter()
        .filter(|l| l.contains("given up"))
        .count();
    assert!(given_up < 20, "the stream did not wait for the tries");
    listener
        .prints("the first is passed over", |lines| {
            let of_first = lines.iter().filter(|l| l.contains(" #1  -> no connection"));
            let of_first: Vec<_> = of_first.collect();
            of_first.len() == 4 && of_first[3].contains("given up")
        })
        .await;
    listener.signal("-INT");
    assert_eq!(listener.exit_code().await.0, Some(0));
}

/// More waits for the receiver than is kept in memory: the rest is read again, and arrives in its turn.
#[tokio::test]
async fn a_slow_receiver_gets_every_event_however_many_wait() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let receiver = Receiver::start().await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", proxy.local_addr().expect("an address"));
    let listener = Listener::start(demo.hub(), &["--json", "--forward-to", &url]);
    listener.says("connected to", 1).await;
    const EVENTS: usize = 700;
    for n in 1..=EVENTS {
        create(demo.hub(), json!({"expected_amount_usdt": n.to_string()})).await;
    }
    listener
        .prints("all events", |lines| lines.len() == EVENTS)
        .await;
    assert!(receiver.received().is_empty());
    // Only now does anyone accept.
    let target = receiver.url().replace("http://", "");
    let target = target.split('/').next().expect("an authority").to_owned();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = proxy.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                let mut to = tokio::net::TcpStream::connect(target)
                    .await
                    .expect("the receiver");
                if let Err(error) = tokio::io::copy_bidirectional(&mut from, &mut to).await {
                    println!("a proxied connection broke: {error}");
                }
            });
        }
    });
    eventually("all arrived", async || {
        let mut numbers: Vec<_> = receiver
            .received()
            .iter()
            .map(|r| r.json()["sequence"].as_u64())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        (numbers.len() == EVENTS).then_some(())
    })
    .await;
}
