//! Lists: pages, filters, cursors, and that every bad query is refused by its parameter.

use serde_json::json;

use super::testing::{ADDRESS, Hub};

#[tokio::test]
async fn lists_turn_their_pages_and_filter() {
    let hub = Hub::new();
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(
            hub.create(&format!("O {n}"), &format!("{}", 5 + n))
                .await
                .0
                .to_string(),
        );
    }
    hub.post(&format!("/v1/payments/{}/cancel", ids[4]), "")
        .await;
    let first = hub.get("/v1/payments?limit=2").await.json();
    assert_eq!(first["data"][0]["payment_id"], json!(ids[4]));
    assert_eq!(first["next"], json!(ids[3]));
    let rest = hub
        .get(&format!("/v1/payments?limit=100&after={}", ids[3]))
        .await
        .json();
    assert_eq!(rest["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(rest["next"], json!(null));
    let cancelled = hub
        .get("/v1/payments?status=cancelled&chain=tron")
        .await
        .json();
    assert_eq!(cancelled["data"].as_array().map(Vec::len), Some(1));
    let by_order = hub.get("/v1/payments?order_id=O+2").await.json();
    assert_eq!(by_order["data"][0]["payment_id"], json!(ids[2]));
    let by_address = format!("/v1/payments?wallet_address={ADDRESS}&limit=3");
    let by_address = hub.get(&by_address).await.json();
    assert_eq!(by_address["data"].as_array().map(Vec::len), Some(3));
    let other = "/v1/payments?wallet_address=TN3W4H6rK2ce4vX9YnFQHwKENnHjoxb3m9";
    assert_eq!(hub.get(other).await.json()["data"], json!([]));
    let unpaid = format!("/v1/payments?transaction_hash=0x{}", "ab".repeat(32));
    assert_eq!(hub.get(&unpaid).await.json()["data"], json!([]));

    let events = hub.get("/v1/events?limit=2").await.json();
    assert_eq!(events["data"][0]["type"], "payment.created");
    assert_eq!(events["next"], "2");
    let events = hub.get("/v1/events?after=2&limit=4").await.json();
    assert_eq!(
        (events["data"][0]["sequence"].as_u64(), &events["next"]),
        (Some(3), &json!(null))
    );
    let own = hub
        .get(&format!("/v1/payments/{}/events?after=0", ids[4]))
        .await
        .json();
    let kinds: Vec<_> = own["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| e["type"].clone())
        .collect();
    assert_eq!(kinds, ["payment.created", "payment.cancelled"]);
    let empty = hub.get("/v1/events?after=18446744073709551615").await;
    assert_eq!(&empty.body[..], br#"{"data":[],"next":null,"epoch":"e1"}"#);
}

#[tokio::test]
async fn bad_queries_are_refused_by_parameter() {
    let hub = Hub::new();
    for (path, parameter) in [
        ("/v1/payments?limit=0", "limit"),
        ("/v1/payments?limit=101", "limit"),
        ("/v1/payments?limit=-1", "limit"),
        ("/v1/payments?limit=ten", "limit"),
        ("/v1/payments?limit=", "limit"),
        ("/v1/payments?limit=1&limit=2", "limit"),
        ("/v1/payments?status=watching", "status"),
        ("/v1/payments?status=", "status"),
        ("/v1/payments?chain=eth", "chain"),
        ("/v1/payments?after=x", "after"),
        (
            "/v1/payments?wallet_address=T123",
            "34 characters, this has 4",
        ),
        ("/v1/payments?wallet_address=", "wallet_address"),
        (
            "/v1/payments?wallet_address=TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6T",
            "checksum",
        ),
        ("/v1/payments?transaction_hash=abc", "64 hexadecimal digits"),
        ("/v1/payments?transaction_hash=", "transaction_hash"),
        ("/v1/payments?offset=2", "offset"),
        ("/v1/payments?%00=2", "\\0"),
        ("/v1/events?wait=26", "wait"),
        ("/v1/events?after=-1", "after"),
        ("/v1/events?after=99999999999999999999", "after"),
        ("/v1/deliveries?state=failed", "state"),
        ("/v1/deliveries?payment_id=x", "payment_id"),
        ("/v1/deliveries?after=20", "after"),
    ] {
        let answer = hub.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        let error = answer.error();
        assert!(error.contains(parameter), "{path}: {error}");
        assert_eq!(answer.json()["code"], "invalid_query");
    }
    let many = "x=1&".repeat(10_000);
    let answer = hub.get(&format!("/v1/payments?{many}")).await;
    assert!(answer.status == 400 && answer.body.len() < 5000);
    let hint = hub.get("/v1/payments?statsu=pending").await.error();
    assert!(hint.contains("did you mean 'status'?"), "{hint}");
}
