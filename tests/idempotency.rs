//! `Idempotency-Key` against the real binary: whatever happens between the first try and the last, one payment.

mod support;

use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;
use support::{Answer, Program, WALLET, client, get, order_id, send};
use tokio::sync::Semaphore;

const BLOCK_MS: u32 = 200;
/// Kills of the hub while requests are under way.
const KILLS: u32 = 8;
const REQUESTS: usize = 20;

fn body(order: &str) -> String {
    let fields = json!({"wallet_address": WALLET, "expected_amount_usdt": "5", "order_id": order, "amount_mode": "unique"});
    fields.to_string()
}

fn request(hub: &str, key: &str, body: &str) -> reqwest::RequestBuilder {
    let request = client().post(format!("{hub}/v1/payments"));
    let request = request.header("content-type", "application/json");
    request.header("idempotency-key", key).body(body.to_owned())
}

async fn post(hub: &str, key: &str, body: &str) -> Answer {
    send(request(hub, key, body)).await
}

async fn payments_of(hub: &str, order: &str) -> usize {
    let list = get(&format!("{hub}/v1/payments?order_id={order}"))
        .await
        .json();
    list["data"].as_array().expect("a list").len()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_make_one_payment_and_are_told_the_same() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let (order, hub) = (order_id(), demo.hub());
    let text = body(&order);
    let answers = join_all((0..REQUESTS).map(|_| post(hub, "race", &text))).await;
    let (mut told, mut waiting) = (Vec::new(), 0);
    for answer in answers {
        match answer.status {
            201 => told.push(answer),
            409 => {
                assert_eq!(answer.json()["code"], "idempotency_in_flight");
                assert_eq!(answer.headers["retry-after"], "1");
                waiting += 1;
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
    println!("{} answered, {waiting} told to wait", told.len());
    let last = post(hub, "race", &text).await;
    assert_eq!(last.headers["idempotent-replayed"], "true");
    let new = told
        .iter()
        .filter(|a| !a.headers.contains_key("idempotent-replayed"));
    assert_eq!(new.count(), 1);
    for answer in &told {
        assert_eq!(answer.text, last.text);
        assert_eq!(answer.headers["location"], last.headers["location"]);
    }
    assert_eq!(payments_of(hub, &order).await, 1);
    let other = post(hub, "race", &body(&order_id())).await;
    assert_eq!(other.status, 422, "{}", other.text);
    assert_eq!(other.json()["code"], "idempotency_mismatch");
}

/// A client that got no answer does not know whether its payment was made; it asks again, and gets the answer that it
/// missed or makes the payment now.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_two_tries_makes_no_second_payment() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a path");
    let orders: Vec<String> = (0..REQUESTS).map(|_| order_id()).collect();
    let (mut heard, mut replayed) = (0, 0);
    for kill in 0..KILLS {
        let demo = Program::demo(BLOCK_MS, &["--data", data]);
        let answered = Arc::new(Semaphore::new(0));
        let tries: Vec<_> = (0..REQUESTS)
            .map(|n| {
                let key = format!("{kill}/{n}");
                let order = format!("{}-{kill}", orders[n]);
                let sent = request(demo.hub(), &key, &body(&order)).send();
                let count = Arc::clone(&answered);
                tokio::spawn(async move {
                    let text = sent.await.ok()?.text().await.ok()?;
                    count.add_permits(1);
                    Some(text)
                })
            })
            .collect();
        // After none, after some, after nearly all; the others are wherever this finds them.
        let enough = answered.acquire_many(kill * 2).await.expect("open");
        enough.forget();
        demo.kill();
        let demo = Program::demo(BLOCK_MS, &["--data", data]);
        for (n, first) in tries.into_iter().enumerate() {
            let first = first.await.expect("a try");
            let order = format!("{}-{kill}", orders[n]);
            let again = post(demo.hub(), &format!("{kill}/{n}"), &body(&order)).await;
            assert_eq!(again.status, 201, "{}", again.text);
            let is_replay = again.headers.contains_key("idempotent-replayed");
            replayed += usize::from(is_replay);
            if let Some(first) = first {
                heard += 1;
                assert!(is_replay, "a 201 means on disk");
                assert_eq!(
                    again.text, first,
                    "byte for byte, after a restart on another port"
                );
            }
            assert_eq!(payments_of(demo.hub(), &order).await, 1);
        }
    }
    let tries = KILLS as usize * REQUESTS;
    assert!(heard > 0 && heard < tries, "{heard} of {tries}");
    println!("{tries} tries: {heard} heard the answer before the kill, {replayed} were on disk");
}
