//! Webhooks of the real binary: they survive a kill, keep their order, and one dead receiver delays no other.

mod support;

use serde_json::json;
use support::node::{Node, transaction};
use support::receiver::{Received, Receiver};
use support::{Program, WALLET, config, create, eventually, get};
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
