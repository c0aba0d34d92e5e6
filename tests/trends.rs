//! What an operator's charts and search boxes are fed with, on the real binary: trends through a restart, payments by
//! their address and by the transaction that paid them.

mod support;

use serde_json::{Value, json};
use support::receiver::Receiver;
use support::{OTHER_WALLET, Program, WALLET, config, create, eventually, get, pay, status_of};

const BLOCK_MS: u32 = 100;

/// What a column of the trends comes to; nothing where all of it is unknown.
fn sum(trends: &Value, path: &str) -> Option<u64> {
    let column = trends.pointer(path).and_then(Value::as_array);
    let column = column.unwrap_or_else(|| panic!("no column {path}"));
    assert_eq!(column.len(), 288, "{path}");
    column.iter().filter_map(Value::as_u64).reduce(|a, b| a + b)
}

async fn trends(hub: &str) -> Value {
    get(&format!("{hub}/v1/trends")).await.json()
}

#[tokio::test]
async fn trends_count_measure_and_remember_what_the_log_tells() {
    let (chain, receiver) = (Program::sandbox(BLOCK_MS), Receiver::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let settings = config(folder.path(), chain.url("sandbox"), BLOCK_MS);
    let hub = Program::serve(folder.path(), &settings);
    let paid = create(hub.hub(), json!({"callback_url": receiver.url()})).await;
    create(hub.hub(), json!({"expected_amount_usdt": "7"})).await;
    let id = paid["payment_id"].as_str().expect("an id").to_owned();
    pay(chain.url("sandbox"), WALLET, "5").await;
    status_of(hub.hub(), &id, "completed").await;
    receiver.wait_for("payment.completed").await;
    let told = eventually(
        "all webhooks are measured and nodes looked at",
        async || {
            let told = trends(hub.hub()).await;
            let measured = sum(&told, "/event_to_webhook/count") == Some(3);
            let looked = sum(&told, "/chains/0/requests") > Some(0);
            (measured && looked).then_some(told)
        },
    )
    .await;
    assert_eq!(
        (sum(&told, "/created"), sum(&told, "/completed")),
        (Some(2), Some(1))
    );
    assert_eq!(sum(&told, "/block_to_webhook/count"), Some(1));
    let worst_ms = sum(&told, "/block_to_webhook/p95_ms").expect("measured");
    assert!(
        worst_ms < 60_000,
        "{worst_ms} ms from the block to its webhook"
    );
    assert!(told["chains"][0]["lag_seconds"][287].is_number(), "{told}");

    hub.kill();
    let hub = Program::serve(folder.path(), &settings);
    let told = eventually("the log is read back", async || {
        let told = trends(hub.hub()).await;
        (sum(&told, "/created") == Some(2)).then_some(told)
    })
    .await;
    assert_eq!(sum(&told, "/completed"), Some(1));
    assert_eq!(
        sum(&told, "/block_to_webhook/count"),
        Some(0),
        "from now on"
    );
    let started_at = told["started_at"].as_f64().expect("a time");
    let since = told["since"].as_f64().expect("a time");
    assert!(started_at > since && started_at < since + 86_400.0);
}

#[tokio::test]
async fn payments_are_found_by_what_an_operator_has_at_hand() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let fields =
        |to: &str, amount: &str| json!({"wallet_address": to, "expected_amount_usdt": amount});
    let paid = create(demo.hub(), fields(OTHER_WALLET, "5")).await;
    let waiting = create(demo.hub(), fields(OTHER_WALLET, "6")).await;
    create(demo.hub(), fields(WALLET, "5")).await;
    let id = paid["payment_id"].as_str().expect("an id");
    let txid = pay(demo.url("sandbox"), OTHER_WALLET, "5").await;
    let done = status_of(demo.hub(), id, "completed").await;
    assert_eq!(done["transaction_hash"], txid);
    for (query, found) in [
        (
            format!("wallet_address={OTHER_WALLET}"),
            vec![&waiting, &paid],
        ),
        (
            format!("wallet_address={OTHER_WALLET}&status=completed"),
            vec![&paid],
        ),
        (format!("transaction_hash={txid}"), vec![&paid]),
        (
            format!("transaction_hash=0x{}", txid.to_uppercase()),
            vec![&paid],
        ),
        (
            format!("transaction_hash={txid}&wallet_address={WALLET}"),
            vec![],
        ),
    ] {
        let list = get(&format!("{}/v1/payments?{query}", demo.hub()))
            .await
            .json();
        let ids: Vec<&Value> = list["data"].as_array().expect("a list").iter().collect();
        let ids: Vec<&Value> = ids.into_iter().map(|one| &one["payment_id"]).collect();
        let expected: Vec<&Value> = found.iter().map(|one| &one["payment_id"]).collect();
        assert_eq!(ids, expected, "{query}");
    }
}
