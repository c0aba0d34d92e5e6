//! The demo as a person uses it: two starts on one data folder, and an end by SIGTERM.

mod support;

use serde_json::json;
use support::ws::Socket;
use support::{Program, WALLET, create, pay, status_of};

/// Found by starting the demo twice with `--data`: the sandbox begins a new chain with each start, and the cursor of the
/// old one made the hub wait for ever for nodes to agree.
#[tokio::test]
async fn kept_data_survives_a_new_sandbox_chain() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data", folder.path().to_str().unwrap()];
    let demo = Program::demo(100, &data);
    let done = create(demo.hub(), json!({})).await;
    pay(demo.url("sandbox"), WALLET, "5").await;
    let done_id = done["payment_id"].as_str().unwrap();
    status_of(demo.hub(), done_id, "completed").await;
    let open = create(demo.hub(), json!({"expected_amount_usdt": "6.5"})).await;
    let seen = create(demo.hub(), json!({"expected_amount_usdt": "7.5"})).await;
    pay(demo.url("sandbox"), WALLET, "7.5").await;
    let seen_id = seen["payment_id"].as_str().unwrap();
    status_of(demo.hub(), seen_id, "confirming").await;
    assert_eq!(demo.terminate(), Some(0));

    let demo = Program::demo(100, &data);
    status_of(demo.hub(), done_id, "completed").await;
    status_of(demo.hub(), seen_id, "pending").await;
    pay(demo.url("sandbox"), WALLET, "6.5").await;
    status_of(
        demo.hub(),
        open["payment_id"].as_str().unwrap(),
        "completed",
    )
    .await;
}

#[tokio::test]
async fn a_sandbox_payment_reaches_the_socket_within_a_block_and_the_end_is_told() {
    let demo = Program::demo(1000, &[]);
    let payment = create(demo.hub(), json!({})).await;
    let mut socket = Socket::follow(demo.hub(), &payment).await;
    let txid = pay(demo.url("sandbox"), WALLET, "5.00").await;
    let detected = socket.event("payment.detected").await;
    assert_eq!(detected["transaction_hash"], txid.as_str());
    assert_eq!(detected["status"], "confirming");
    let progress = socket
        .until("progress", |f| f["push"]["progress"].is_object())
        .await;
    assert_eq!(progress["push"]["progress"]["required"], 19);
    let ended = tokio::task::spawn_blocking(move || demo.terminate());
    assert_eq!(socket.closed().await, 4001);
    assert_eq!(ended.await.unwrap(), Some(0));
}
