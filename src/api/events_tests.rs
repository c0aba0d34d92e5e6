//! The event log by request: where it may be read from, and long polls.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::ApiSettings;
use super::live::LiveLimits;
use super::testing::{Answer, Hub};
use crate::domain::ids::{PaymentId, Sequence};
use crate::hub::tests::payment;

/// Nothing here takes this long, and no long poll may be this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks in the background.
fn ask(hub: &Arc<Hub>, path: &str) -> JoinHandle<Answer> {
    let (hub, path) = (Arc::clone(hub), path.to_owned());
    tokio::spawn(async move { hub.get(&path).await })
}

async fn answered(poll: JoinHandle<Answer>) -> Value {
    let answer = tokio::time::timeout(PATIENCE, poll).await;
    let answer = answer.expect("an answer in time").expect("an answer");
    assert_eq!(answer.status, 200);
    answer.json()
}

/// Waits until so many requests wait in the hub, registered and with the log read.
async fn waiting(hub: &Hub, count: u64) {
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
        if hub.ctx.live.seats.long_polls() == count {
            return;
        }
    }
    panic!("{count} requests do not wait");
}

fn numbers(list: &Value) -> Vec<u64> {
    let events = list["data"].as_array().expect("a list").iter();
    let numbers = events.map(|event| event["sequence"].as_u64());
    numbers.map(|n| n.expect("a number")).collect()
}

async fn hub_with_two_payments() -> (Arc<Hub>, PaymentId, PaymentId) {
    let hub = Arc::new(Hub::new());
    let (first, second) = (hub.create("A", "5").await.0, hub.create("B", "6").await.0);
    hub.announce();
    (hub, first, second)
}

#[tokio::test]
async fn what_is_there_is_told_at_once_with_the_epoch() {
    let (hub, ..) = hub_with_two_payments().await;
    let list = hub.get("/v1/events?after=1&wait=25&epoch=e1").await.json();
    assert_eq!(numbers(&list), [2]);
    assert_eq!(
        (&list["next"], &list["epoch"]),
        (&json!(null), &json!("e1"))
    );
    let page = hub.get("/v1/events?limit=1").await.json();
    assert_eq!((&page["next"], &page["epoch"]), (&json!("1"), &json!("e1")));
}

#[tokio::test]
async fn a_long_poll_ends_with_the_first_event() {
    let (hub, ..) = hub_with_two_payments().await;
    let poll = ask(&hub, "/v1/events?after=2&wait=25");
    waiting(&hub, 1).await;
    hub.happen(None);
    hub.happen(None);
    let list = answered(poll).await;
    assert_eq!(list["data"][0]["sequence"], 3);
    assert_eq!(hub.ctx.live.seats.long_polls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_payment_s_long_poll_is_woken_by_its_own_events_only() {
    let (hub, first, second) = hub_with_two_payments().await;
    let poll = ask(
        &hub,
        &format!("/v1/payments/{first}/events?after=1&wait=25"),
    );
    waiting(&hub, 1).await;
    hub.happen(Some(second));
    hub.ctx.live.hub.progress(first, 3, 19);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!poll.is_finished());
    hub.happen(Some(first));
    assert_eq!(numbers(&answered(poll).await), [4]);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_empty_when_its_time_is_over() {
    let (hub, ..) = hub_with_two_payments().await;
    let start = tokio::time::Instant::now();
    let list = hub.get("/v1/events?after=2&wait=25").await.json();
    assert_eq!(list, json!({"data": [], "next": null, "epoch": "e1"}));
    assert_eq!(start.elapsed().as_secs(), 25);
}

/// A number from before a restored backup, say: events up to it must neither end the wait nor keep the hub busy.
#[tokio::test(start_paused = true)]
async fn a_long_poll_after_a_number_to_come_waits_for_what_follows_it() {
    let (hub, ..) = hub_with_two_payments().await;
    let poll = ask(&hub, "/v1/events?after=600&wait=25");
    waiting(&hub, 1).await;
    for _ in 3..=600 {
        hub.happen(None);
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!poll.is_finished());
    hub.happen(None);
    assert_eq!(numbers(&answered(poll).await), [601]);
}

#[tokio::test]
async fn long_polls_end_empty_at_a_shutdown() {
    let (hub, ..) = hub_with_two_payments().await;
    let poll = ask(&hub, "/v1/events?after=2&wait=25");
    waiting(&hub, 1).await;
    hub.shutdown.send_replace(true);
    assert_eq!(answered(poll).await["data"], json!([]));
    let late = ask(&hub, "/v1/events?after=2&wait=25");
    assert_eq!(answered(late).await["data"], json!([]));
}

/// The event may fall between the first look and the registration, between that and the second look, or after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_wake_up_is_lost() {
    let hub = Arc::new(Hub::new());
    for after in 0..3000_u64 {
        let poll = ask(&hub, &format!("/v1/events?after={after}&wait=25"));
        for _ in 0..after % 40 {
            tokio::task::yield_now().await;
        }
        hub.happen(Some(payment(1)));
        assert_eq!(numbers(&answered(poll).await), [after + 1]);
    }
}

#[tokio::test]
async fn the_number_of_waiting_requests_is_limited() {
    let limits = LiveLimits {
        long_polls: 1,
        ..LiveLimits::default()
    };
    let hub = Arc::new(Hub::limited(ApiSettings::default(), limits));
    hub.happen(None);
    let poll = ask(&hub, "/v1/events?after=1&wait=25");
    waiting(&hub, 1).await;
    let refused = hub.get("/v1/events?after=1&wait=25").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["code"], "too_many_waiting");
    assert_eq!(refused.header("retry-after"), "5");
    assert!(refused.error().contains("try again without wait"));
    for free in ["/v1/events?after=0&wait=25", "/v1/events?after=1&wait=0"] {
        assert_eq!(hub.get(free).await.status, 200, "{free}");
    }
    hub.happen(None);
    assert_eq!(numbers(&answered(poll).await), [2]);
}

#[tokio::test]
async fn bad_waits_are_refused() {
    let hub = Hub::new();
    for wait in ["26", "-1", "1.5", "", "soon", "99999999999999999999"] {
        let refused = hub.get(&format!("/v1/events?wait={wait}")).await;
        assert_eq!(refused.status, 400, "{wait}");
        assert!(refused.error().contains("from 0 to 25"), "{wait}");
    }
}

#[tokio::test]
async fn numbers_of_another_log_are_refused() {
    let (hub, first, _) = hub_with_two_payments().await;
    let own = format!("/v1/payments/{first}/events");
    for path in ["/v1/events", &own] {
        let refused = hub.get(&format!("{path}?after=1&wait=25&epoch=e0")).await;
        assert_eq!(refused.status, 409);
        assert!(refused.error().contains("without after"));
        let json = refused.json();
        assert_eq!(
            (&json["code"], &json["epoch"]),
            (&json!("epoch_changed"), &json!("e1"))
        );
    }
}

#[tokio::test]
async fn events_that_are_gone_are_never_passed_over_in_silence() {
    let (hub, first, _) = hub_with_two_payments().await;
    for _ in 3..=9 {
        hub.happen(Some(first));
    }
    hub.store.rows().first = Some(Sequence(6));
    let own = format!("/v1/payments/{first}/events");
    for path in ["/v1/events", &own] {
        for after in [0, 4] {
            let refused = hub.get(&format!("{path}?after={after}&wait=25")).await;
            assert_eq!(refused.status, 410, "{path} {after}");
            assert!(refused.error().contains("after=5"), "{}", refused.error());
            let json = refused.json();
            assert_eq!(
                (&json["code"], &json["first_seq"]),
                (&json!("events_gone"), &json!(6))
            );
        }
        let rest = hub.get(&format!("{path}?after=5")).await.json();
        assert_eq!(numbers(&rest), [6, 7, 8, 9]);
        assert_eq!(numbers(&hub.get(path).await.json()), [6, 7, 8, 9]);
    }
}
