//! `GET /v1/trends`: columns of one length, numbers where something is known and null where not.

use serde_json::{Value, json};

use super::testing::{Hub, NOW};
use crate::domain::event::EventKind;
use crate::trends::AcceptedWebhook;

fn column<'a>(trends: &'a Value, path: &str) -> &'a [Value] {
    let column = trends.pointer(path).and_then(Value::as_array);
    column.unwrap_or_else(|| panic!("no column {path}"))
}

#[tokio::test]
async fn columns_of_a_day_with_null_for_what_nobody_knows() {
    let hub = Hub::new();
    let detected = AcceptedWebhook {
        kind: EventKind::Detected,
        block_time: Some(NOW.minus_ms(3)),
        committed_at: NOW.minus_ms(2),
        accepted_at: NOW,
    };
    hub.ctx.trends.webhook_accepted(&detected);
    let answer = hub.get("/v1/trends").await;
    assert_eq!(answer.status, 200);
    let trends = answer.json();
    assert_eq!(trends["bucket_seconds"], 300);
    assert_eq!(trends["since"], 1_672_531_200 - 287 * 300);
    assert_eq!(trends["started_at"], json!(1_672_531_200.123));
    for path in [
        "/created",
        "/completed",
        "/block_to_webhook/count",
        "/block_to_webhook/p50_ms",
        "/block_to_webhook/p95_ms",
        "/event_to_webhook/count",
        "/event_to_webhook/p50_ms",
        "/event_to_webhook/p95_ms",
        "/chains/0/lag_seconds",
        "/chains/0/requests",
    ] {
        let column = column(&trends, path);
        assert_eq!(column.len(), 288, "{path}");
        assert!(column[..287].iter().all(Value::is_null), "{path}");
    }
    let last = |path: &str| column(&trends, path)[287].clone();
    assert_eq!(last("/block_to_webhook/count"), 1);
    assert_eq!(last("/block_to_webhook/p50_ms"), 3);
    assert_eq!(last("/event_to_webhook/p95_ms"), 2);
    assert_eq!(last("/created"), Value::Null, "the log was not read yet");
    assert_eq!(trends["chains"][0]["name"], "tron");
}

#[tokio::test]
async fn trends_are_not_for_payers_and_not_to_be_written() {
    let hub = Hub::new();
    let (_, token) = hub.create("A", "5").await;
    assert_eq!(hub.get_as(&token, "/v1/trends").await.status, 403);
    let answer = hub.post("/v1/trends", "{}").await;
    assert_eq!(
        (answer.status, answer.header("allow")),
        (405, "GET, HEAD, OPTIONS")
    );
}
