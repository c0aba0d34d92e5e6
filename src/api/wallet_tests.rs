//! Payments from a wallet: one fresh address each, told to the merchant, and clear words for what cannot be.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use super::testing::{ADDRESS, Hub, body_with};
use crate::domain::test_support::XPUB;

const FIRST: [&str; 2] = [
    "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH",
    "TSeJkUh4Qv67VNFwY8LaAxERygNdy6NQZK",
];

fn body(order_id: &str) -> Value {
    json!({"wallet": "main", "expected_amount_usdt": "5", "order_id": order_id})
}

async fn create(hub: &Hub, body: &Value) -> Value {
    let answer = hub.post("/v1/payments", body.to_string()).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer.json()
}

#[tokio::test]
async fn each_payment_gets_the_wallets_next_address() {
    let hub = Hub::new();
    for (n, expected) in FIRST.iter().enumerate() {
        let made = create(&hub, &body(&n.to_string())).await;
        assert_eq!(made["wallet_address"], *expected);
        assert_eq!(made["wallet"], "main");
        assert_eq!(made["derivation_path"], format!("m/44'/195'/0'/0/{n}"));
        let id = made["payment_id"].as_str().expect("an id");
        let read = hub.get(&format!("/v1/payments/{id}")).await.json();
        assert_eq!(read["derivation_path"], made["derivation_path"]);
        // The payer has no business with how many payments there were.
        let token = made["client_token"].as_str().expect("a token");
        for path in ["/v1/payments", "/payment_status"] {
            let seen = hub.get_as(token, &format!("{path}/{id}")).await.json();
            assert_eq!(seen["wallet_address"], *expected);
            assert!(
                seen["wallet"].is_null() && seen["derivation_path"].is_null(),
                "{seen}"
            );
        }
    }
    let stats = hub.get("/stats").await;
    assert_eq!(
        stats.json()["wallets"],
        json!([{"name": "main", "chain": "tron", "next_index": 2}])
    );
    assert!(!String::from_utf8_lossy(&stats.body).contains(&XPUB[20..40]));
    let by_hand = hub.post("/v1/payments", body_with("", "")).await.json();
    assert_eq!(by_hand["wallet_address"], ADDRESS);
    assert!(by_hand["wallet"].is_null() && by_hand["derivation_path"].is_null());
}

#[tokio::test]
async fn mistakes_with_wallets_are_named() {
    let hub = Hub::new();
    let error = async |change: Value| {
        let mut body = body("A");
        for (name, value) in change.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let answer = hub.post("/v1/payments", body.to_string()).await;
        assert_eq!(answer.status, 400, "{body}");
        answer.error()
    };
    assert_eq!(
        error(json!({"wallet": "shop"})).await,
        "wallet must be one of: main; 'shop' is not configured"
    );
    for no_name in [json!(5), json!(""), json!(["main"])] {
        let told = error(json!({"wallet": no_name})).await;
        assert!(told.starts_with("wallet must be one of: main; "), "{told}");
    }
    assert_eq!(
        error(json!({"wallet_address": ADDRESS})).await,
        "give wallet_address or wallet, not both"
    );
    assert_eq!(
        error(json!({"wallet": null})).await,
        "Missing required fields: wallet_address"
    );
    // Everything at once.
    let all = error(json!({"wallet": "shop", "chain": "nile", "order_id": ""})).await;
    for part in ["'shop'", "'nile'", "order_id"] {
        assert!(all.contains(part), "{all}");
    }
    assert!(hub.store.rows().payments.is_empty());
    assert!(hub.store.rows().indices.is_empty());
}

#[tokio::test]
async fn a_refused_creation_leaves_no_gap() {
    let hub = Hub::new();
    create(&hub, &body("A")).await;
    let again = hub.post("/v1/payments", body("A").to_string()).await;
    assert_eq!(again.status, 409);
    let next = create(&hub, &body("B")).await;
    assert_eq!(next["wallet_address"], FIRST[1]);
}

#[tokio::test]
async fn classic_creations_may_name_a_wallet_too() {
    let hub = Hub::new();
    let named =
        body_with("wallet", "\"main\"").replace(&format!("\"wallet_address\":\"{ADDRESS}\","), "");
    let made = hub.post("/create_payment", &named).await;
    assert_eq!(made.status, 201, "{named}");
    assert_eq!(made.json()["wallet_address"], FIRST[0]);
    // With an address it is a field like any other that this endpoint does not know, as before.
    let both = body_with("wallet", "\"nothing\"").replace("ORDER_1", "ORDER_2");
    let both = hub.post("/create_payment", both).await;
    assert_eq!(
        (both.status, &both.json()["wallet_address"]),
        (201, &json!(ADDRESS))
    );
}

#[tokio::test]
async fn two_hundred_at_once_get_two_hundred_addresses() {
    let hub = Hub::new();
    let bodies: Vec<Value> = (0..200).map(|n| body(&n.to_string())).collect();
    let made = join_all(bodies.iter().map(|body| create(&hub, body))).await;
    let text = |made: &Value, field: &str| made[field].as_str().expect("text").to_owned();
    let addresses: BTreeSet<_> = made.iter().map(|m| text(m, "wallet_address")).collect();
    let paths: BTreeSet<_> = made.iter().map(|m| text(m, "derivation_path")).collect();
    let expected = (0..200).map(|n| format!("m/44'/195'/0'/0/{n}"));
    assert_eq!(addresses.len(), 200);
    assert_eq!(paths, expected.collect());
}
