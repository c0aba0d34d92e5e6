//! Transfers assigned by hand in the real binary: from the list to the webhook, and through a fork.

mod support;

use serde_json::{Value, json};
use support::receiver::Receiver;
use support::ws::Socket;
use support::{Answer, Program, WALLET, create, eventually, get, pay, post, status_of};

/// Blocks come only when a test mines them.
async fn paused_demo() -> Program {
    let demo = Program::demo(100, &[]);
    control(&demo, "pause", json!({})).await;
    demo
}

async fn control(demo: &Program, order: &str, body: Value) {
    let url = format!("{}/sandbox/{order}", demo.url("sandbox"));
    let answer = post(&url, &body).await;
    assert_eq!(answer.status, 200, "{order}: {}", answer.text);
}

/// Pays a sum that nobody asked for, and waits until it is listed as meant for the payment.
async fn pay_wrong(demo: &Program, amount: &str, id: &str) -> Value {
    let txid = pay(demo.url("sandbox"), WALLET, amount).await;
    control(demo, "mine", json!({"blocks": 1})).await;
    let url = format!("{}/v1/transfers?payment_id={id}", demo.hub());
    eventually("the transfer is listed", async || {
        let list = get(&url).await.json();
        let mut listed = list["data"].as_array()?.iter();
        listed
            .find(|t| t["transaction_hash"] == txid.as_str())
            .cloned()
    })
    .await
}

async fn assign(demo: &Program, transfer: &Value, id: &str) -> Answer {
    let transfer = transfer["id"].as_str().expect("an id");
    let url = format!("{}/v1/transfers/{transfer}/assign", demo.hub());
    post(&url, &json!({"payment_id": id})).await
}

fn id_of(payment: &Value) -> &str {
    payment["payment_id"].as_str().expect("an id")
}

/// A payment's own channel tells what its payer may know.
fn payers_copy(mut event: Value) -> Value {
    event.as_object_mut().expect("an object").remove("metadata");
    if let Some(assigned) = event.pointer_mut("/transfer/assigned")
        && assigned.is_object()
    {
        (assigned["by"], assigned["meant_for"]) = (Value::Null, Value::Null);
    }
    event
}

#[tokio::test]
async fn a_wrong_amount_is_listed_assigned_and_completes_for_all_to_hear() {
    let (demo, receiver) = (paused_demo().await, Receiver::start().await);
    let payment = create(demo.hub(), json!({"callback_url": receiver.url()})).await;
    let id = id_of(&payment);
    let mut socket = Socket::follow(demo.hub(), &payment).await;
    let transfer = pay_wrong(&demo, "4.99", id).await;
    assert_eq!(transfer["reason"], "wrong_amount");
    assert_eq!(
        (&transfer["confirmations"], &transfer["final"]),
        (&json!(1), &json!(false))
    );
    let answer = assign(&demo, &transfer, id).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["payment"]["status"], "confirming");
    control(&demo, "resume", json!({})).await;
    let done = status_of(demo.hub(), id, "completed").await;
    assert_eq!(done["received_amount"], "4.99");
    assert_eq!(done["transfers"][0]["settled_by"], "hand");
    for kind in ["transfer.assigned", "payment.detected", "payment.completed"] {
        let heard = socket.event(kind).await;
        let hooked = receiver.wait_for(kind).await.json();
        assert_eq!(heard, payers_copy(hooked), "one event for both");
        assert_eq!(heard["payment_id"], id);
    }
    let list = get(&format!("{}/v1/transfers", demo.hub())).await.json();
    assert_eq!(list["data"], json!([]), "nothing is left to decide");
    let again = assign(&demo, &transfer, id).await;
    assert_eq!(again.status, 200, "{}", again.text);
    let other = create(demo.hub(), json!({"expected_amount_usdt": "6"})).await;
    let stolen = assign(&demo, &transfer, id_of(&other)).await;
    assert_eq!(stolen.status, 409, "{}", stolen.text);
}

#[tokio::test]
async fn an_assigned_transfer_that_is_forked_away_is_taken_back() {
    let (demo, receiver) = (paused_demo().await, Receiver::start().await);
    let payment = create(demo.hub(), json!({"callback_url": receiver.url()})).await;
    let id = id_of(&payment);
    let transfer = pay_wrong(&demo, "4.99", id).await;
    assert_eq!(assign(&demo, &transfer, id).await.status, 200);
    let fork = json!({"depth": 1, "drop": [transfer["transaction_hash"]]});
    control(&demo, "fork", fork).await;
    control(&demo, "mine", json!({"blocks": 2})).await;
    let pending = status_of(demo.hub(), id, "pending").await;
    assert_eq!(pending["received_amount"], "0.0");
    let reverted = receiver.wait_for("payment.reverted").await.json();
    assert_eq!(reverted["transfer"]["id"], transfer["id"]);
    let again = assign(&demo, &transfer, id).await;
    assert_eq!(again.status, 409, "{}", again.text);
    assert_eq!(again.json()["code"], "not_assignable");
}

/// By the time the fork comes somebody else waits for just that amount. The money is still the first payer's.
#[tokio::test]
async fn an_assigned_transfer_comes_back_to_its_payment() {
    let demo = paused_demo().await;
    let payment = create(demo.hub(), json!({})).await;
    let id = id_of(&payment);
    let transfer = pay_wrong(&demo, "4.99", id).await;
    assert_eq!(assign(&demo, &transfer, id).await.status, 200);
    let rival = create(demo.hub(), json!({"expected_amount_usdt": "4.99"})).await;
    control(&demo, "fork", json!({"depth": 1})).await;
    control(&demo, "mine", json!({"blocks": 2})).await;
    let events = format!("{}/v1/payments/{id}/events", demo.hub());
    let kinds = eventually("it is seen again", async || {
        let list = get(&events).await.json();
        let kinds: Vec<_> = list["data"]
            .as_array()?
            .iter()
            .map(|e| e["type"].clone())
            .collect();
        (kinds.len() >= 6).then_some(kinds)
    })
    .await;
    let expected = [
        "payment.created",
        "payment.mismatched",
        "transfer.assigned",
        "payment.detected",
        "payment.reverted",
        "payment.detected",
    ];
    assert_eq!(kinds, expected);
    control(&demo, "resume", json!({})).await;
    status_of(demo.hub(), id, "completed").await;
    status_of(demo.hub(), id_of(&rival), "pending").await;
}
