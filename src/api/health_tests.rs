//! `/health` and `/stats`: what they say when all is well, when a chain lags, and when the store is gone.

use serde_json::json;

use super::testing::{Hub, Mood, NOW};
use crate::chains::EndpointStanding;
use crate::domain::ids::Height;
use crate::domain::payment::{Payment, Status};

#[tokio::test]
async fn health_tells_lag_and_a_dead_store() {
    let hub = Hub::new();
    hub.create("A", "5").await;
    let health = hub.get("/health").await.json();
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["timestamp"], json!(1_672_531_200.123));
    assert_eq!(
        (&health["active_payments"], &health["total_payments"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(health["chains"][0]["lag_seconds"], json!(2.0));

    let chain = hub.ctx.chains.default_chain().expect("a chain");
    let degraded = async |why: &str| {
        let answer = hub.get("/health").await;
        assert_eq!(
            (answer.status, &answer.json()["status"]),
            (200, &json!("degraded"))
        );
        let reason = answer.json()["reasons"][0].to_string();
        assert!(reason.contains(why), "{reason}");
    };
    chain.update(|s| s.head = Some(Height(141)));
    degraded("21 blocks behind").await;
    // Found in review: a hub in its first catch-up said that no node had answered.
    chain.update(|s| s.last_success_at = None);
    degraded("21 blocks behind").await;
    chain.update(|s| {
        s.head = s.tip;
        s.last_success_at = Some(NOW.minus_ms(60_001));
    });
    degraded("60 s").await;
    chain.update(|s| s.idle = true);
    assert_eq!(hub.get("/health").await.json()["status"], "healthy");
    chain.update(|s| s.last_success_at = Some(NOW.minus_ms(150_001)));
    degraded("150 s").await;
    // Found in review: a node that answered with the same old head for hours passed for healthy.
    chain.update(|s| {
        s.idle = false;
        s.last_success_at = Some(NOW);
        s.tip_time = Some(NOW.minus_ms(60_001));
    });
    degraded("the newest block is 60 s old").await;
    chain.update(|s| s.idle = true);
    assert_eq!(hub.get("/health").await.json()["status"], "healthy");
    chain.update(|s| s.tip_time = Some(NOW.plus_ms(600_001)));
    degraded("600 s in the future").await;
    chain.update(|s| s.last_success_at = None);
    degraded("no node has answered yet").await;

    hub.store.set_mood(Mood::Failing);
    let answer = hub.get("/health").await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (503, &json!("unhealthy"))
    );
    hub.store.set_mood(Mood::Silent);
    let answer = hub.get("/health").await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (503, &json!("unhealthy"))
    );
}

#[tokio::test]
async fn stats_count() {
    let hub = Hub::new();
    hub.create("A", "5").await;
    let (id, _) = hub.create("B", "6").await;
    let complete = |payment: &mut Payment| payment.status = Status::Completed;
    hub.store.rows().payments.entry(id).and_modify(complete);
    let endpoint = |requests_left_today| EndpointStanding {
        requests_today: 40,
        requests_left_today,
        ..EndpointStanding::default()
    };
    let chain = hub.ctx.chains.default_chain().expect("a chain");
    chain.update(|s| s.endpoints = [Some(60), None].map(endpoint).to_vec());
    let stats = hub.get("/stats").await.json();
    let budgets = stats["chains"][0]["endpoints"].as_array().expect("a list");
    let limits: Vec<_> = budgets.iter().map(|one| &one["requests_per_day"]).collect();
    assert_eq!(limits, [&json!(100), &json!(null)]);
    assert_eq!(stats["pending_payments"], 1);
    assert_eq!(stats["completed_payments"], 1);
    assert_eq!(stats["total_payments"], 2);
    assert_eq!(stats["uptime_seconds"], json!(60.5));
    assert_eq!(stats["polling_interval"], json!(3.0));
    assert_eq!(stats["payments"]["completed"], 1);
    assert_eq!(stats["demo"], false);
    assert_eq!(stats["chains"][0]["final"], 102);
}
