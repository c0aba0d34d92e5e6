//! `Idempotency-Key` through the router: the same request twice has one effect and one answer.

use super::testing::{Answer, Hub, Mood, NOW, body_with};
use crate::domain::payment::Status;

const PATHS: [&str; 2] = ["/v1/payments", "/create_payment"];
const DAY_MS: u64 = 24 * 3600 * 1000;

async fn post(hub: &Hub, path: &str, key: &str, body: &str) -> Answer {
    let request = warp::test::request().method("POST").path(path);
    let request = request.header("content-type", "application/json");
    hub.send(request.header("idempotency-key", key).body(body))
        .await
}

fn code(answer: &Answer) -> String {
    answer.error();
    answer.json()["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn the_same_request_gets_the_same_bytes_whatever_became_of_its_payment() {
    for path in PATHS {
        let hub = Hub::new();
        let body = body_with("", "");
        let first = post(&hub, path, "k-1", &body).await;
        assert_eq!(first.status, 201, "{path}");
        assert_eq!(first.header("idempotent-replayed"), "");
        let id = hub.only_payment().id;
        let gone = |hub: &Hub| hub.store.rows().payments.clear();
        let cancelled = |hub: &Hub| {
            let mut rows = hub.store.rows();
            rows.payments.get_mut(&id).expect("it is there").status = Status::Cancelled;
        };
        let changes: [&dyn Fn(&Hub); 3] = [&|_| {}, &cancelled, &gone];
        for change in changes {
            change(&hub);
            let before = hub.store.rows().payments.len();
            let again = post(&hub, path, "k-1", &body).await;
            assert_eq!((again.status, &again.body), (201, &first.body), "{path}");
            assert_eq!(again.header("location"), first.header("location"));
            assert_eq!(again.header("idempotent-replayed"), "true");
            assert_eq!(hub.store.rows().payments.len(), before);
        }
    }
}

#[tokio::test]
async fn another_body_or_path_under_the_key_is_refused() {
    let hub = Hub::new();
    let body = body_with("", "");
    assert_eq!(post(&hub, PATHS[0], "k", &body).await.status, 201);
    // Even where the JSON says the same.
    for (path, other) in [
        (PATHS[0], body_with("order_id", "\"ORDER_2\"")),
        (PATHS[0], format!("{body} ")),
        (PATHS[0], "not JSON".to_owned()),
        (PATHS[1], body),
    ] {
        let answer = post(&hub, path, "k", &other).await;
        assert_eq!(answer.status, 422);
        assert_eq!(code(&answer), "idempotency_mismatch");
    }
    hub.only_payment();
    let other_key = post(&hub, PATHS[0], "K", &body_with("order_id", "\"B\"")).await;
    assert_ne!(other_key.status, 422);
}

#[tokio::test]
async fn a_refusal_is_not_kept_and_an_answer_only_for_a_day() {
    let hub = Hub::new();
    let wrong = body_with("expected_amount_usdt", "-1");
    assert_eq!(post(&hub, PATHS[0], "k", &wrong).await.status, 400);
    assert_eq!(post(&hub, PATHS[0], "k", &wrong).await.status, 400);
    let body = body_with("", "");
    let first = post(&hub, PATHS[0], "k", &body).await;
    assert_eq!(first.status, 201);
    let age = |ms| {
        for kept in hub.store.rows().answers.values_mut() {
            kept.created_at = NOW.minus_ms(ms);
        }
    };
    age(DAY_MS - 1);
    assert_eq!(post(&hub, PATHS[0], "k", &body).await.body, first.body);
    age(DAY_MS);
    let anew = post(&hub, PATHS[0], "k", &body).await;
    // It is decided anew: the order has its payment.
    assert_eq!((anew.status, code(&anew).as_str()), (409, "order_id_taken"));
    assert_eq!(post(&hub, PATHS[0], "k", &wrong).await.status, 400);
}

#[tokio::test]
async fn a_request_under_way_holds_its_key_until_it_ends_or_is_given_up() {
    let hub = Hub::new();
    hub.store.set_mood(Mood::Silent);
    let body = body_with("", "");
    let mut first = Box::pin(post(&hub, PATHS[0], "k", &body));
    assert!(
        futures::poll!(&mut first).is_pending(),
        "it waits for the store"
    );
    let refused = post(&hub, PATHS[0], "k", &body).await;
    assert_eq!(refused.status, 409);
    assert_eq!(code(&refused), "idempotency_in_flight");
    assert_eq!(refused.header("retry-after"), "1");
    drop(first);
    hub.store.set_mood(Mood::Fine);
    assert_eq!(post(&hub, PATHS[0], "k", &body).await.status, 201);
    hub.only_payment();
}

#[tokio::test]
async fn a_bad_key_is_refused_with_the_reason() {
    let hub = Hub::new();
    for key in ["", " ", "a b", "ä", &"k".repeat(256)] {
        let answer = post(&hub, PATHS[0], key, &body_with("", "")).await;
        assert_eq!(answer.status, 400, "{key:?}");
        assert_eq!(code(&answer), "invalid_idempotency_key");
    }
    assert!(hub.store.rows().payments.is_empty());
}

/// A store that does not answer must not make two payments of one: nothing is decided without the look.
#[tokio::test]
async fn without_the_store_nothing_is_decided() {
    let hub = Hub::new();
    hub.store.set_mood(Mood::Failing);
    let answer = post(&hub, PATHS[0], "k", &body_with("", "")).await;
    assert_eq!(answer.status, 503);
    hub.store.set_mood(Mood::Fine);
    let answer = post(&hub, PATHS[0], "k", &body_with("", "")).await;
    assert_eq!(answer.status, 201);
}
