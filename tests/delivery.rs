//! Webhooks of the real binary: they survive a kill, keep their order, follow an endpoint that moves, and go to no private
//! address; one dead receiver delays no other.

mod support;

use serde_json::json;
use support::node::{Node, transaction};
use support::receiver::{Received, Receiver};
use support::{Program, WALLET, client, config, create, eventually, get, post, send};
use tokio::net::TcpListener;

const SLOT_MS: u32 = 100;
/// More than the dispatcher looks at in one go.
const DEAD_WEBHOOKS: usize = 2_100;

fn kinds(received: &[Received]) -> Vec<String> {
    received.iter().map(Received::kind).collect()
}

#[tokio::test]
async fn a_webhook_owed_survives_a_kill_and_comes_in_order() {
    let (node, folder) = (Node::start().await, tempfile::tempdir().unwrap());
    let receiver = Receiver::start().await;
    let settings = config(folder.path(), &node.url(), SLOT_MS);
    let hub = Program::serve(folder.path(), &settings);
    receiver.answer_next([500]);
    let fields = json!({"confirmations": 1, "callback_url": receiver.url()});
    create(hub.hub(), fields).await;
    let first = receiver.wait_for("payment.created").await;
    // The failure must be on record before the kill, or the restart would rightly try at once.
    eventually("the failure is on record", async || {
        let due = get(&format!("{}/v1/deliveries", hub.hub())).await.json();
        (due["data"][0]["attempts"] == 1).then_some(())
    })
    .await;
    hub.kill();
    node.add_block(0, vec![transaction(1, &[(WALLET, 5_000_000)])]);
    let _hub = Program::serve(folder.path(), &settings);
    receiver.wait_for("payment.completed").await;
    let received = receiver.received();
    let expected = ["created", "created", "detected", "completed"].map(|k| format!("payment.{k}"));
    assert_eq!(kinds(&received), expected);
    let ids = |name| received.iter().map(move |r| r.header(name).to_owned());
    assert_eq!(
        ids("webhook-id").nth(1),
        Some(first.header("webhook-id").to_owned())
    );
    assert_eq!(received[1].body, first.body, "the bytes are frozen");
    assert_ne!(
        received[1].header("webhook-signature"),
        first.header("webhook-signature"),
        "each attempt is signed anew, by its own time"
    );
}

/// Found by reading: a dead receiver with more webhooks due than the dispatcher looked at in one go hid all that came behind.
#[tokio::test]
async fn a_dead_receiver_hides_no_other() {
    let (node, folder) = (Node::start().await, tempfile::tempdir().unwrap());
    // Takes connections into its queue and never answers.
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead_url = format!("http://{}/", dead.local_addr().unwrap());
    let receiver = Receiver::start().await;
    let hub = Program::serve(folder.path(), &config(folder.path(), &node.url(), SLOT_MS));
    let creates = (0..DEAD_WEBHOOKS).map(|n| {
        let amount = format!("{}.{:02}", 10 + n / 100, n % 100);
        create(
            hub.hub(),
            json!({"callback_url": dead_url, "expected_amount_usdt": amount}),
        )
    });
    let mut creates = creates.collect::<Vec<_>>();
    while !creates.is_empty() {
        let batch = creates.split_off(creates.len().saturating_sub(50));
        futures::future::join_all(batch).await;
    }
    create(hub.hub(), json!({"callback_url": receiver.url()})).await;
    receiver.wait_for("payment.created").await;
    // The receiver has the webhook a moment before its delivery is on record: looking at once failed on a busy machine.
    eventually("only the dead receiver is owed webhooks", async || {
        let stats = get(&format!("{}/stats", hub.hub())).await.json();
        (stats["deliveries_due"] == DEAD_WEBHOOKS).then_some(())
    })
    .await;
}

/// Its receiver is moved while a webhook waits for its next attempt, and then asked for again.
#[tokio::test]
async fn what_waits_follows_an_endpoint_that_moves() {
    let (node, folder) = (Node::start().await, tempfile::tempdir().unwrap());
    let (before, after) = (Receiver::start().await, Receiver::start().await);
    let hub = Program::serve(folder.path(), &config(folder.path(), &node.url(), SLOT_MS));
    let v1 = |path: &str| format!("{}/v1/{path}", hub.hub());
    before.answer_next([503]);
    let made = post(&v1("endpoints"), &json!({"url": before.url()})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    create(hub.hub(), json!({})).await;
    let delivery = eventually("the failure is on record", async || {
        let due = get(&v1("deliveries?endpoint=ep_1&state=due")).await.json();
        let due = due["data"][0].clone();
        (due["attempts"] == 1).then_some(due)
    })
    .await;
    let failing = get(&v1("endpoints/ep_1")).await.json();
    assert!(failing["failing_since"].is_number(), "{failing}");
    let edit = json!({"url": after.url()}).to_string();
    let moved = send(client().patch(v1("endpoints/ep_1")).body(edit)).await;
    assert_eq!(moved.json()["failing_since"], json!(null), "{}", moved.text);
    let id = delivery["id"].as_str().expect("an id");
    let again = post(&v1(&format!("deliveries/{id}/redeliver")), &json!({})).await;
    // Its next attempt may be due within five seconds, and then need not be asked for.
    assert!(matches!(again.status, 202 | 409), "{}", again.text);
    after.wait_for("payment.created").await;
    assert_eq!(
        before.received().len(),
        1,
        "nothing more goes to the old place"
    );
}

/// The guard of callbacks guards account-wide endpoints too, when they are made and when they are changed.
#[tokio::test]
async fn an_endpoint_at_a_private_address_is_refused() {
    let (node, folder) = (Node::start().await, tempfile::tempdir().unwrap());
    let hub = Program::serve(folder.path(), &config(folder.path(), &node.url(), SLOT_MS));
    let endpoints = format!("{}/v1/endpoints", hub.hub());
    let made = post(&endpoints, &json!({"url": "https://1.1.1.1/hook"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    for url in [
        "http://192.168.1.1/",
        "http://169.254.169.254/latest",
        "http://[fd00::1]/",
    ] {
        let body = json!({"url": url});
        let change = client()
            .patch(format!("{endpoints}/ep_1"))
            .body(body.to_string());
        for refused in [post(&endpoints, &body).await, send(change).await] {
            assert_eq!(refused.status, 400, "{url}: {}", refused.text);
            assert_eq!(refused.json()["errors"][0]["pointer"], "/url");
        }
    }
}
