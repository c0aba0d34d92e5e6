//! `/v1/endpoints` and `/v1/deliveries`: what they take, what they refuse in words, and what they show.

use serde_json::{Value, json};

use super::testing::{Answer, Hub, NOW};
use crate::delivery::signature::Secret;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState, GivenUp};
use crate::domain::endpoints::MAX_ENDPOINTS;
use crate::domain::event::EventKind;
use crate::domain::ids::{DeliveryId, EndpointId, Sequence};

const GIVEN: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

async fn make(hub: &Hub, body: Value) -> Value {
    let answer = hub.post("/v1/endpoints", body.to_string()).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer.json()
}

async fn patch(hub: &Hub, path: &str, body: Value) -> Answer {
    let request = warp::test::request().method("PATCH").path(path);
    hub.send(request.body(body.to_string())).await
}

async fn delete(hub: &Hub, path: &str) -> Answer {
    hub.send(warp::test::request().method("DELETE").path(path))
        .await
}

fn secret(object: &Value) -> String {
    let text = object["secret"].as_str().expect("a secret").to_owned();
    Secret::parse(&text).expect("a webhook secret");
    text
}

#[tokio::test]
async fn an_endpoint_is_made_shown_changed_and_deleted() {
    let hub = Hub::new();
    let body = json!({"url":"https://shop.example/hooks","events":["transfer.*","payment.completed","transfer.*"],
                      "description":"the books"});
    let made = hub.post("/v1/endpoints", body.to_string()).await;
    assert_eq!(
        (made.status, made.header("location")),
        (201, "/v1/endpoints/ep_1")
    );
    let mut shown = made.json();
    secret(&shown);
    shown.as_object_mut().expect("an object").remove("secret");
    let expected = json!({"id":"ep_1","url":"https://shop.example/hooks","description":"the books",
        "events":["transfer.*","payment.completed"],"status":"enabled","disabled_reason":null,"disabled_at":null,
        "failing_since":null,"created_at":1_672_531_200.123,"old_key_signs_until":null,
        "deliveries_due":0,"breaker_open_until":null,"last_success_at":null,"last_failure_at":null});
    assert_eq!(shown, expected);
    assert_eq!(
        hub.get("/v1/endpoints/ep_1").await.json(),
        expected,
        "the secret is told once"
    );
    let list = hub.get("/v1/endpoints").await.json();
    assert_eq!(list, json!({"data":[expected],"next":null}));
    let edit = json!({"url":"https://shop.example/other","events":[],"description":"","status":"disabled"});
    let changed = patch(&hub, "/v1/endpoints/ep_1", edit).await;
    let (status, changed) = (changed.status, changed.json());
    assert_eq!((status, &changed["events"]), (200, &json!(["*"])));
    assert_eq!(
        (&changed["status"], &changed["disabled_reason"]),
        (&json!("disabled"), &json!("by_hand"))
    );
    assert_eq!(changed["disabled_at"], json!(1_672_531_200.123));
    let same = patch(&hub, "/v1/endpoints/ep_1", json!({})).await;
    assert_eq!(same.json(), changed);
    let on = patch(
        &hub,
        "/v1/endpoints/ep_1",
        json!({"status":"enabled","events":["*"]}),
    )
    .await;
    assert_eq!(on.json()["status"], "enabled");
    let gone = delete(&hub, "/v1/endpoints/ep_1").await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    for answer in [
        delete(&hub, "/v1/endpoints/ep_1").await,
        hub.get("/v1/endpoints/ep_1").await,
    ] {
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (404, &json!("endpoint_not_found"))
        );
    }
    assert_eq!(
        make(&hub, json!({"url":"https://shop.example"})).await["id"],
        "ep_2"
    );
}

#[tokio::test]
async fn mistakes_come_all_at_once() {
    let hub = Hub::new();
    let body = json!({"url":"http://shop.example","events":["payment.complete"],"description":"x".repeat(201),
                      "secret":"whsec_c2hvcnQ=","evnets":[]});
    let answer = hub.post("/v1/endpoints", body.to_string()).await;
    let error = answer.error();
    assert_eq!(answer.status, 400);
    for part in [
        "unknown field 'evnets' (did you mean 'events'?)",
        "url is not usable: only https is accepted",
        "did you mean 'payment.completed'?",
        "description cannot exceed 200 characters, this has 201",
        "the secret has 5 bytes once decoded",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(!error.contains("c2hvcnQ"), "{error}");
    assert_eq!(answer.json()["errors"].as_array().map(Vec::len), Some(5));
    for (body, part) in [
        (json!({}), "Missing required fields: url"),
        (
            json!({"url":7}),
            "url is not usable: it must be a string, not a number",
        ),
        (
            json!({"url":"https://x.example","events":"*"}),
            "events must be a list",
        ),
        (
            json!({"url":"https://x.example","events":["*","payment.late"]}),
            "stands alone",
        ),
        (
            json!({"url":"https://x.example","events":vec!["payment.late"; 65]}),
            "65 names",
        ),
        (
            json!({"url":"https://x.example","description":"a\nb"}),
            "control characters",
        ),
        (
            json!({"url":"https://x.example","secret":7}),
            "secret must be a string",
        ),
    ] {
        let answer = hub.post("/v1/endpoints", body.to_string()).await;
        assert_eq!(answer.status, 400);
        let error = answer.error();
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(hub.store.rows().endpoints.is_empty());
    make(&hub, json!({"url":"https://x.example"})).await;
    let answer = patch(
        &hub,
        "/v1/endpoints/ep_1",
        json!({"status":"off","url":"ftp://x","secret":GIVEN}),
    )
    .await;
    let error = answer.error();
    for part in [
        "status must be \"enabled\" or \"disabled\"",
        "only https",
        "unknown field 'secret'",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[tokio::test]
async fn so_many_endpoints_and_no_more() {
    let hub = Hub::new();
    for _ in 0..MAX_ENDPOINTS {
        make(&hub, json!({"url":"https://shop.example"})).await;
    }
    let body = json!({"url":"https://shop.example"}).to_string();
    let answer = hub.post("/v1/endpoints", body).await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (409, &json!("too_many_endpoints"))
    );
}

#[tokio::test]
async fn a_rotation_tells_the_new_secret_and_how_long_the_old_one_signs() {
    let hub = Hub::new();
    let made = make(&hub, json!({"url":"https://shop.example","secret":GIVEN})).await;
    assert_eq!(secret(&made), GIVEN);
    let rotated = hub.post("/v1/endpoints/ep_1/rotate", "").await;
    let (status, rotated) = (rotated.status, rotated.json());
    assert_eq!(status, 200);
    assert_ne!(secret(&rotated), GIVEN);
    let until = json!(1_672_531_200.123 + 86_400.0);
    assert_eq!(rotated["old_key_signs_until"], until);
    assert_eq!(
        hub.get("/v1/endpoints/ep_1").await.json()["old_key_signs_until"],
        until
    );
    let chosen = hub
        .post(
            "/v1/endpoints/ep_1/rotate",
            json!({"secret":GIVEN}).to_string(),
        )
        .await;
    assert_eq!(secret(&chosen.json()), GIVEN);
    for (path, body, status) in [
        ("/v1/endpoints/ep_9/rotate", "", 404),
        ("/v1/endpoints/x/rotate", "", 404),
        ("/v1/endpoints/ep_1/rotate", "{\"secret\":\"x\"}", 400),
        ("/v1/endpoints/ep_1/rotate", "{\"key\":\"x\"}", 400),
        ("/v1/endpoints/ep_1/rotate", "x", 400),
    ] {
        assert_eq!(hub.post(path, body).await.status, status, "{path} {body}");
    }
}

#[tokio::test]
async fn callbacks_have_secrets_and_nothing_else_to_change() {
    let hub = Hub::new();
    let path = "/v1/endpoints/callbacks";
    let kept = json!({"id":"callbacks","secrets_in":"store","old_key_signs_until":null});
    assert_eq!(hub.get(path).await.json(), kept);
    let rotated = hub.post(&format!("{path}/rotate"), "").await.json();
    secret(&rotated);
    assert_eq!(
        rotated["old_key_signs_until"],
        json!(1_672_531_200.123 + 86_400.0)
    );
    assert_eq!(patch(&hub, path, json!({})).await.status, 405);
    assert_eq!(delete(&hub, path).await.status, 405);
    let test = hub.post(&format!("{path}/test"), "").await;
    assert_eq!(test.status, 404);
    assert!(test.error().contains("no URL of their own"));
}

#[tokio::test]
async fn configured_secrets_are_rotated_in_the_configuration() {
    let hub = Hub::with_webhook_secret(GIVEN);
    let path = "/v1/endpoints/callbacks";
    let configured =
        json!({"id":"callbacks","secrets_in":"configuration","old_key_signs_until":null});
    assert_eq!(hub.get(path).await.json(), configured);
    let answer = hub.post(&format!("{path}/rotate"), "").await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (409, &json!("secrets_configured"))
    );
    assert!(answer.error().contains("webhook_secrets"));
    assert_eq!(hub.store.rows().endpoints.callback_keys(), None);
}

#[tokio::test]
async fn a_test_event_is_owed_to_the_endpoint_that_was_asked() {
    let hub = Hub::new();
    for _ in 0..2 {
        make(
            &hub,
            json!({"url":"https://shop.example?token=t","events":["payment.late"]}),
        )
        .await;
    }
    let answer = hub.post("/v1/endpoints/ep_2/test", "").await;
    let (status, sent) = (answer.status, answer.json());
    assert_eq!((status, &sent["delivery_id"]), (202, &json!("dlv_1_2")));
    let list = hub
        .get("/v1/deliveries?endpoint=ep_2&type=endpoint.test")
        .await
        .json();
    assert_eq!(list["data"][0]["id"], "dlv_1_2");
    assert_eq!(list["data"][0]["url"], "https://shop.example?token=t");
    assert_eq!(
        hub.get("/v1/deliveries?endpoint=ep_1").await.json()["data"],
        json!([])
    );
    let event = hub.get("/v1/events").await.json()["data"][0].clone();
    assert_eq!(event["id"], sent["event_id"]);
    assert_eq!(
        event["endpoint"],
        json!({"id":"ep_2","url":"https://shop.example"})
    );
    patch(&hub, "/v1/endpoints/ep_2", json!({"status":"disabled"})).await;
    let answer = hub.post("/v1/endpoints/ep_2/test", "").await;
    assert_eq!(
        (answer.status, &answer.json()["code"]),
        (409, &json!("endpoint_disabled"))
    );
    assert!(answer.error().contains("enable it first"));
}

/// Endpoint 1, and its delivery of event 1 in this state.
async fn one_delivery(hub: &Hub, state: DeliveryState) -> DeliveryId {
    make(hub, json!({"url":"https://shop.example/new"})).await;
    hub.create("A", "5").await;
    let id = DeliveryId {
        sequence: Sequence(1),
        endpoint: EndpointId(1),
    };
    let attempts = [
        (500, "oops", Some(NOW.plus_seconds(5))),
        (410, "no more", None),
    ];
    let attempts = attempts.map(|(status, detail, next_at)| Attempt {
        at: NOW,
        status: Some(status),
        latency_ms: 12,
        detail: detail.to_owned(),
        next_at,
    });
    let mut rows = hub.store.rows();
    let delivery = rows
        .deliveries
        .iter_mut()
        .find(|d| d.id == id)
        .expect("owed");
    delivery.state = state;
    delivery.attempts = 2;
    delivery.given_up = matches!(state, DeliveryState::Exhausted(_)).then_some(GivenUp::Gone);
    delivery.last = attempts.last().cloned();
    rows.attempts.insert(id, attempts.into());
    id
}

#[tokio::test]
async fn a_delivery_shows_every_attempt() {
    let hub = Hub::new();
    one_delivery(&hub, DeliveryState::Exhausted(NOW)).await;
    let shown = hub.get("/v1/deliveries/dlv_1_1").await.json();
    assert_eq!(
        (&shown["state"], &shown["given_up"]),
        (&json!("exhausted"), &json!("gone"))
    );
    assert_eq!(
        (&shown["attempts"], &shown["next_attempt_at"]),
        (&json!(2), &json!(null))
    );
    assert_eq!(
        shown["attempt_log"],
        json!([
        {"at":1_672_531_200.123,"status":500,"latency_ms":12,"detail":"oops","next_attempt_at":1_672_531_205.123},
        {"at":1_672_531_200.123,"status":410,"latency_ms":12,"detail":"no more","next_attempt_at":null}])
    );
    for id in ["dlv_1_7", "dlv_9_1", "x", "dlv_1"] {
        let answer = hub.get(&format!("/v1/deliveries/{id}")).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (404, &json!("delivery_not_found"))
        );
        let again = hub
            .post(&format!("/v1/deliveries/{id}/redeliver"), "")
            .await;
        assert_eq!(again.status, 404);
    }
}

#[tokio::test]
async fn a_delivery_is_asked_for_again_where_somebody_would_get_it() {
    for state in [
        DeliveryState::Exhausted(NOW),
        DeliveryState::Delivered(NOW),
        DeliveryState::Due(NOW.plus_seconds(60)),
    ] {
        let hub = Hub::new();
        let id = one_delivery(&hub, state).await;
        let path = format!("/v1/deliveries/{id}/redeliver");
        let answer = hub.post(&path, "").await;
        let (status, again) = (answer.status, answer.json());
        assert_eq!((status, &again["state"]), (202, &json!("due")));
        assert_eq!(again["url"], "https://shop.example/new");
        assert_eq!(again["next_attempt_at"], json!(1_672_531_200.123));
        let soon = hub.post(&path, "").await;
        assert_eq!(
            (soon.status, &soon.json()["code"]),
            (409, &json!("not_redeliverable"))
        );
        patch(&hub, "/v1/endpoints/ep_1", json!({"status":"disabled"})).await;
        let disabled = hub.post(&path, "").await;
        assert_eq!(
            (disabled.status, &disabled.json()["code"]),
            (409, &json!("endpoint_disabled"))
        );
        delete(&hub, "/v1/endpoints/ep_1").await;
        let deleted = hub.post(&path, "").await;
        assert_eq!(
            (deleted.status, &deleted.json()["code"]),
            (409, &json!("not_redeliverable"))
        );
    }
}

#[tokio::test]
async fn recovery_takes_both_spellings_of_time_and_tells_how_far_it_came() {
    let hub = Hub::new();
    hub.create("A", "5").await;
    hub.create("B", "6").await;
    make(&hub, json!({"url":"https://shop.example"})).await;
    let path = "/v1/endpoints/ep_1/recover";
    let none = json!({"since":0,"until":"2022-12-31T23:59:59Z"}).to_string();
    assert_eq!(hub.post(path, none).await.json()["recovered"], 0);
    let all = json!({"since":"2023-01-01T00:00:00Z"}).to_string();
    let expected = json!({"events_looked_at":2,"recovered":2,"complete":true,"next_after":null});
    assert_eq!(hub.post(path, &all).await.json(), expected);
    let list = hub
        .get("/v1/deliveries?endpoint=ep_1&state=due")
        .await
        .json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        hub.post(path, &all).await.json()["recovered"],
        0,
        "due already"
    );
    for (body, part) in [
        (json!({}), "Missing required fields: since"),
        (json!({"since":"yesterday"}), "since must be a time"),
        (
            json!({"since":2_000_000_000}),
            "since must not be later than until",
        ),
        (
            json!({"since":5,"until":4}),
            "since must not be later than until",
        ),
        (
            json!({"since":5,"after":"x"}),
            "after must be the next_after",
        ),
        (json!({"since":5,"til":4}), "unknown field 'til'"),
    ] {
        let answer = hub.post(path, body.to_string()).await;
        assert_eq!(answer.status, 400, "{body}");
        let error = answer.error();
        assert!(error.contains(part), "{part} in {error}");
    }
    let callbacks = hub.post("/v1/endpoints/callbacks/recover", &all).await;
    assert_eq!(
        (callbacks.status, &callbacks.json()["recovered"]),
        (200, &json!(0))
    );
    assert_eq!(
        hub.post("/v1/endpoints/ep_4/recover", &all).await.status,
        404
    );
}

#[tokio::test]
async fn a_delivery_is_listed_with_its_last_attempt() {
    let hub = Hub::new();
    let id = DeliveryId {
        sequence: Sequence(20),
        endpoint: EndpointId::CALLBACK,
    };
    let delivery = Delivery {
        state: DeliveryState::Due(NOW.plus_seconds(5)),
        attempts: 1,
        last: Some(Attempt {
            at: NOW,
            status: Some(500),
            latency_ms: 12,
            detail: "oops".to_owned(),
            next_at: Some(NOW.plus_seconds(5)),
        }),
        ..Delivery::new(
            id,
            EventKind::Completed,
            None,
            "https://shop.example/hook",
            NOW,
        )
    };
    hub.store.rows().deliveries.push(delivery);
    let answer = hub.get("/v1/deliveries?state=due&limit=10").await;
    assert_eq!(
        answer.json(),
        json!({"data":[{
            "id":"dlv_20_0","type":"payment.completed","sequence":20,"endpoint":"callbacks","payment_id":null,"url":"https://shop.example/hook",
            "state":"due","given_up":null,"attempts":1,"last_status":500,"last_error":"oops","latency_ms":12,
            "next_attempt_at":1_672_531_205.123,"created_at":1_672_531_200.123}],"next":null})
    );
    // A 200 whose body breaks off is tried again, and the reason shows.
    if let Some(attempt) = &mut hub.store.rows().deliveries[0].last {
        attempt.status = Some(200);
    }
    let answer = hub.get("/v1/deliveries").await.json();
    assert_eq!(answer["data"][0]["last_error"], "oops");
}

#[tokio::test]
async fn an_endpoint_shows_what_is_owed_to_it() {
    let hub = Hub::new();
    make(&hub, json!({"url":"https://shop.example/hooks"})).await;
    make(
        &hub,
        json!({"url":"https://books.example/hooks","events":["payment.cancelled"]}),
    )
    .await;
    for n in 0..3 {
        hub.create(&format!("O {n}"), &format!("{}", 5 + n)).await;
    }
    let list = hub.get("/v1/endpoints").await.json();
    let due: Vec<_> = list["data"].as_array().expect("a list").iter().collect();
    let due: Vec<_> = due
        .into_iter()
        .map(|one| one["deliveries_due"].clone())
        .collect();
    assert_eq!(due, [json!(3), json!(0)]);
    let one = hub.get("/v1/endpoints/ep_1").await.json();
    assert_eq!(one["deliveries_due"], 3);
}
