//! Webhook endpoints of the account on the real binary: who hears what, whose key signs it, and how what was missed
//! comes in after all.

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use paybell::delivery::signature::{self, Secret, VerifyError};
use serde_json::{Value, json};
use support::bad_receiver::{self, Vice};
use support::node::Node;
use support::receiver::{Received, Receiver};
use support::{Answer, Program, client, config, create, eventually, get, post, send};

const SLOT_MS: u32 = 100;
/// How far a webhook's time may be from ours, seconds.
const TOLERANCE_S: u64 = 300;
/// Payments that are made while an endpoint is disabled: more than one piece of a recovery looks at.
const MISSED_PAYMENTS: u64 = 600;

/// A hub on a data file, which outlives it.
struct World {
    _node: Node,
    folder: tempfile::TempDir,
    settings: Value,
    program: Option<Program>,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Value)) -> Self {
        let (node, folder) = (Node::start().await, tempfile::tempdir().expect("a folder"));
        let mut settings = config(folder.path(), &node.url(), SLOT_MS);
        change(&mut settings);
        let program = Some(Program::serve(folder.path(), &settings));
        Self {
            _node: node,
            folder,
            settings,
            program,
        }
    }

    fn kill_and_restart(&mut self) {
        self.program.take().expect("it runs").kill();
        self.program = Some(Program::serve(self.folder.path(), &self.settings));
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.program.as_ref().expect("it runs").hub())
    }

    async fn get(&self, path: &str) -> Value {
        get(&self.url(path)).await.json()
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        post(&self.url(path), &body).await
    }

    async fn patch(&self, path: &str, body: Value) -> Value {
        let request = client().patch(self.url(path)).body(body.to_string());
        send(request).await.json()
    }

    /// Makes an endpoint; its id and its secret.
    async fn endpoint(&self, url: &str, events: &[&str]) -> (String, Secret) {
        let body = json!({"url": url, "events": events});
        let answer = self.post("/v1/endpoints", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let made = answer.json();
        (text(&made, "id"), secret(&made))
    }

    /// Makes a payment that nobody pays; its id.
    async fn payment(&self, fields: Value) -> String {
        text(&create(&self.url(""), fields).await, "payment_id")
    }

    async fn cancel(&self, payment: &str) {
        let path = format!("/v1/payments/{payment}/cancel");
        let answer = self.post(&path, json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    /// Waits until the one delivery that the query finds is in this state.
    async fn delivery(&self, query: &str, state: &str) -> Value {
        let path = format!("/v1/deliveries?{query}");
        eventually(&format!("{query} is {state}"), async || {
            let list = self.get(&path).await;
            let found = list["data"].as_array().expect("a list");
            assert!(found.len() < 2, "{query} finds {list}");
            found.iter().find(|one| one["state"] == state).cloned()
        })
        .await
    }
}

fn text(object: &Value, name: &str) -> String {
    let found = object[name].as_str();
    found
        .unwrap_or_else(|| panic!("{name} in {object}"))
        .to_owned()
}

fn secret(object: &Value) -> Secret {
    Secret::parse(&text(object, "secret")).expect("a webhook secret")
}

/// Checks a webhook as its receiver would.
fn verify(webhook: &Received, secret: &Secret) -> Result<(), VerifyError> {
    let received = signature::Received {
        id: webhook.header("webhook-id"),
        timestamp: webhook.header("webhook-timestamp"),
        signature: webhook.header("webhook-signature"),
        body: &webhook.body,
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    signature::verify(
        std::slice::from_ref(secret),
        received,
        now.as_secs(),
        TOLERANCE_S,
    )
}

fn signatures(webhook: &Received) -> usize {
    webhook.header("webhook-signature").split(' ').count()
}

fn kinds(receiver: &Receiver) -> Vec<String> {
    receiver.received().iter().map(Received::kind).collect()
}

#[tokio::test]
async fn each_endpoint_hears_what_it_wants_signed_with_its_own_key() {
    let world = World::new().await;
    let (all, few, own) = (
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let (all_id, all_secret) = world.endpoint(&all.url(), &[]).await;
    let (few_id, few_secret) = world
        .endpoint(&few.url(), &["payment.cancelled", "transfer.*"])
        .await;
    let payment = world.payment(json!({"callback_url": own.url()})).await;
    world.cancel(&payment).await;
    let heard = few.wait_for("payment.cancelled").await;
    let (to_all, to_own) = (
        all.wait_for("payment.cancelled").await,
        own.wait_for("payment.cancelled").await,
    );
    assert_eq!(kinds(&few), ["payment.cancelled"]);
    assert_eq!(kinds(&all), ["payment.created", "payment.cancelled"]);
    assert_eq!(kinds(&own), ["payment.created", "payment.cancelled"]);
    assert_eq!((&heard.body, &to_all.body), (&to_own.body, &to_own.body));
    assert_eq!(heard.header("webhook-id"), to_own.header("webhook-id"));
    let configured = Secret::parse(support::receiver::SECRET).unwrap();
    for (webhook, right, wrong) in [
        (&heard, &few_secret, &all_secret),
        (&to_all, &all_secret, &configured),
        (&to_own, &configured, &few_secret),
    ] {
        assert_eq!(verify(webhook, right), Ok(()));
        assert_eq!(verify(webhook, wrong), Err(VerifyError::NoMatch));
        assert_eq!(signatures(webhook), 1);
    }
    for (endpoint, count) in [(&all_id, 2), (&few_id, 1), (&"callbacks".to_owned(), 2)] {
        let list = world
            .get(&format!("/v1/deliveries?endpoint={endpoint}"))
            .await;
        assert_eq!(list["data"].as_array().unwrap().len(), count, "{list}");
    }
    let query = format!("endpoint={all_id}&type=payment.created&payment_id={payment}");
    world.delivery(&query, "delivered").await;
}

/// A receiver changes its key when it can; until then either is enough. Both outlive a kill of the hub.
#[tokio::test]
async fn after_a_rotation_both_keys_sign_and_a_kill_changes_nothing() {
    let mut world = World::with(|settings| {
        settings["webhook_secrets"] = json!([]);
    })
    .await;
    let (receiver, own) = (Receiver::start().await, Receiver::start().await);
    let (id, old) = world.endpoint(&receiver.url(), &["payment.created"]).await;
    let given = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let rotated = world
        .post(
            &format!("/v1/endpoints/{id}/rotate"),
            json!({"secret": given}),
        )
        .await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert_eq!(text(&rotated.json(), "secret"), given);
    assert!(rotated.json()["old_key_signs_until"].is_number());
    let first = world
        .post("/v1/endpoints/callbacks/rotate", json!({}))
        .await;
    let second = world
        .post("/v1/endpoints/callbacks/rotate", json!({}))
        .await;
    let (first, second) = (secret(&first.json()), secret(&second.json()));
    world.kill_and_restart();
    world.payment(json!({"callback_url": own.url()})).await;
    let new = Secret::parse(given).unwrap();
    for (webhook, keys) in [
        (receiver.wait_for("payment.created").await, [old, new]),
        (own.wait_for("payment.created").await, [first, second]),
    ] {
        assert_eq!(signatures(&webhook), 2);
        for key in keys {
            assert_eq!(verify(&webhook, &key), Ok(()));
        }
    }
    let shown = world.get(&format!("/v1/endpoints/{id}")).await;
    assert!(shown.get("secret").is_none(), "{shown}");
    assert_eq!(
        shown["old_key_signs_until"],
        rotated.json()["old_key_signs_until"]
    );
}

#[tokio::test]
async fn configured_secrets_are_rotated_in_the_configuration() {
    let world = World::new().await;
    let refused = world
        .post("/v1/endpoints/callbacks/rotate", json!({}))
        .await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert!(refused.text.contains("webhook_secrets"), "{}", refused.text);
    let shown = world.get("/v1/endpoints/callbacks").await;
    assert_eq!(shown["secrets_in"], "configuration");
}

/// The test event goes the way of all events: signed, logged, tried again.
#[tokio::test]
async fn a_test_event_reaches_the_endpoint_that_was_asked_and_no_other() {
    let world = World::new().await;
    let (asked, other) = (Receiver::start().await, Receiver::start().await);
    asked.answer_next([503]);
    let (id, secret) = world.endpoint(&asked.url(), &["payment.late"]).await;
    let (_, _) = world.endpoint(&other.url(), &[]).await;
    let path = format!("/v1/endpoints/{id}/test");
    let answer = world.post(&path, json!({})).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let delivery = text(&answer.json(), "delivery_id");
    world.delivery("type=endpoint.test", "delivered").await;
    let received = asked.received();
    assert_eq!(kinds(&asked), ["endpoint.test", "endpoint.test"]);
    for webhook in &received {
        assert_eq!(
            webhook.header("webhook-id"),
            text(&answer.json(), "event_id")
        );
        assert_eq!(verify(webhook, &secret), Ok(()));
        assert_eq!(webhook.json()["endpoint"]["id"], *id);
    }
    let log = world.get(&format!("/v1/deliveries/{delivery}")).await;
    let attempts = log["attempt_log"].as_array().unwrap();
    let statuses: Vec<_> = attempts.iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, [503, 200]);
    let (at, next) = (&attempts[0]["at"], &attempts[0]["next_attempt_at"]);
    assert!(next.as_f64() > at.as_f64(), "{log}");
    assert!(attempts[1]["next_attempt_at"].is_null());
    assert!(attempts.iter().all(|one| one["latency_ms"].is_number()));
    let edit = json!({"status": "disabled"});
    world.patch(&format!("/v1/endpoints/{id}"), edit).await;
    let refused = world.post(&path, json!({})).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    // Of the first endpoint's end the second does hear; had it been sent the test, that came first.
    other.wait_for("endpoint.disabled").await;
    assert_eq!(kinds(&other), ["endpoint.disabled"]);
}

/// Whatever happens while an endpoint is out of use can be brought in once it is back: each event once, and in order.
#[tokio::test]
async fn a_410_disables_an_endpoint_and_recovery_brings_in_all_that_it_missed() {
    let world = World::new().await;
    let (receiver, watcher) = (Receiver::start().await, Receiver::start().await);
    receiver.answer_next([410]);
    let (id, _) = world.endpoint(&receiver.url(), &["payment.*"]).await;
    let (watcher_id, _) = world.endpoint(&watcher.url(), &["endpoint.disabled"]).await;
    let first = world.payment(json!({})).await;
    let told = watcher.wait_for("endpoint.disabled").await.json();
    let url = receiver.url().replace("?token=abc", "");
    assert_eq!(
        told["endpoint"],
        json!({"id": id, "url": url, "reason": "gone"})
    );
    let path = format!("/v1/endpoints/{id}");
    let shown = world.get(&path).await;
    assert_eq!(
        (&shown["status"], &shown["disabled_reason"]),
        (&json!("disabled"), &json!("gone"))
    );
    let gone = world.delivery(&format!("endpoint={id}"), "exhausted").await;
    assert_eq!(gone["given_up"], "gone");
    let creates = (0..MISSED_PAYMENTS).map(|n| {
        let amount = format!("{}.{:02}", 10 + n / 100, n % 100);
        world.payment(json!({"expected_amount_usdt": amount}))
    });
    let missed = futures::future::join_all(creates).await;
    assert_eq!(
        receiver.received().len(),
        1,
        "nothing is sent while it is disabled"
    );
    let recover = format!("{path}/recover");
    let refused = world.post(&recover, json!({"since": 0})).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    world.patch(&path, json!({"status": "enabled"})).await;
    let recovered = world.post(&recover, json!({"since": 0})).await.json();
    assert_eq!(
        (&recovered["complete"], &recovered["recovered"]),
        (&json!(true), &json!(MISSED_PAYMENTS + 1)),
        "{recovered}"
    );
    let again = world.post(&recover, json!({"since": 0})).await.json();
    assert_eq!(again["recovered"], 0, "{again}");
    world.cancel(&first).await;
    receiver.wait_for("payment.cancelled").await;
    let due = format!("/v1/deliveries?endpoint={id}&state=due");
    eventually("all of it is delivered", async || {
        (world.get(&due).await["data"] == json!([])).then_some(())
    })
    .await;
    let received: Vec<_> = receiver.received().split_off(1);
    let mut heard: Vec<_> = received
        .iter()
        .map(|w| text(&w.json(), "payment_id"))
        .collect();
    let own = heard.iter().filter(|payment| **payment == first).count();
    assert_eq!(own, 2, "created, then cancelled");
    heard.retain(|payment| *payment != first);
    heard.sort_unstable();
    let mut missed = missed;
    missed.sort_unstable();
    assert!(
        heard == missed,
        "each once: {} of {}",
        heard.len(),
        missed.len()
    );
    let list = world
        .get(&format!("/v1/deliveries?endpoint={watcher_id}"))
        .await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
}

/// Once a 410 only ended the one delivery, and the payment's next event was sent there all the same.
#[tokio::test]
async fn a_410_ends_the_callback_of_that_payment_alone() {
    let world = World::new().await;
    let (receiver, account) = (Receiver::start().await, Receiver::start().await);
    world.endpoint(&account.url(), &["endpoint.disabled"]).await;
    receiver.answer_next([410]);
    let ended = world.payment(json!({"callback_url": receiver.url()})).await;
    let told = account.wait_for("endpoint.disabled").await.json();
    assert_eq!(
        (&told["payment_id"], &told["endpoint"]["id"]),
        (&json!(ended), &json!("callbacks"))
    );
    assert_eq!(told["endpoint"]["reason"], "gone");
    let fields = json!({"callback_url": receiver.url(), "expected_amount_usdt": "6"});
    let other = world.payment(fields).await;
    world.cancel(&ended).await;
    world.cancel(&other).await;
    receiver.wait_for("payment.cancelled").await;
    let heard: Vec<_> = receiver
        .received()
        .iter()
        .map(|w| text(&w.json(), "payment_id"))
        .collect();
    assert_eq!(heard, [&ended, &other, &other].map(String::clone));
    for (payment, disabled) in [(&ended, true), (&other, false)] {
        let shown = world.get(&format!("/v1/payments/{payment}")).await;
        assert_eq!(shown["callback_disabled"], disabled, "{shown}");
    }
    let gone = world
        .delivery(
            &format!("payment_id={ended}&endpoint=callbacks"),
            "exhausted",
        )
        .await;
    assert_eq!(gone["given_up"], "gone");
    let path = format!("/v1/deliveries/{}/redeliver", text(&gone, "id"));
    let refused = world.post(&path, json!({})).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let events = world.get(&format!("/v1/payments/{ended}/events")).await;
    assert!(
        !events.to_string().contains("endpoint"),
        "the payer's list: {events}"
    );
}

#[tokio::test]
async fn a_delivery_is_sent_again_as_it_was() {
    let world = World::new().await;
    let (receiver, own) = (Receiver::start().await, Receiver::start().await);
    let (id, _) = world.endpoint(&receiver.url(), &["payment.created"]).await;
    world.payment(json!({"callback_url": own.url()})).await;
    for (receiver, endpoint) in [(&receiver, id.as_str()), (&own, "callbacks")] {
        let query = format!("endpoint={endpoint}");
        let delivery = text(&world.delivery(&query, "delivered").await, "id");
        let path = format!("/v1/deliveries/{delivery}");
        let answer = world.post(&format!("{path}/redeliver"), json!({})).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let log = eventually("it is delivered twice", async || {
            let log = world.get(&path).await;
            (log["attempts"] == 2 && log["state"] == "delivered").then_some(log)
        })
        .await;
        assert_eq!(log["attempt_log"].as_array().unwrap().len(), 2);
        let [first, second] = &receiver.received()[..] else {
            panic!("two webhooks, not {:?}", kinds(receiver));
        };
        assert_eq!(first.body, second.body);
        assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    }
    let missing = world
        .post("/v1/deliveries/dlv_999_0/redeliver", json!({}))
        .await;
    assert_eq!(missing.status, 404, "{}", missing.text);
}

/// What nobody will send holds up nothing: it is given up with its endpoint, and the log says why.
#[tokio::test]
async fn what_is_owed_to_an_endpoint_goes_with_it() {
    let world = World::new().await;
    let url = bad_receiver::start(Vice::Answers(500)).await;
    for (step, why) in [
        ("disable", "endpoint_disabled"),
        ("delete", "endpoint_deleted"),
    ] {
        let (id, _) = world.endpoint(&url, &["payment.created"]).await;
        let amount = if step == "delete" { "7" } else { "6" };
        world.payment(json!({"expected_amount_usdt": amount})).await;
        let query = format!("endpoint={id}");
        eventually("an attempt has failed", async || {
            let due = world.delivery(&query, "due").await;
            (due["attempts"] == 1).then_some(())
        })
        .await;
        let path = format!("/v1/endpoints/{id}");
        if step == "delete" {
            let answer = send(client().delete(world.url(&path))).await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""));
            assert_eq!(get(&world.url(&path)).await.status, 404);
        } else {
            world.patch(&path, json!({"status": "disabled"})).await;
        }
        let ended = world.delivery(&query, "exhausted").await;
        assert_eq!(ended["given_up"], why);
        let path = format!("/v1/deliveries/{}/redeliver", text(&ended, "id"));
        let refused = world.post(&path, json!({})).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
    }
    assert_eq!(world.get("/stats").await["deliveries_due"], 0);
    let (next, _) = world.endpoint(&url, &[]).await;
    assert_eq!(next, "ep_3", "an id is given once");
}

/// A payer's token opens its own payment and nothing of the shop's.
#[tokio::test]
async fn payers_see_none_of_it() {
    let world = World::new().await;
    let made = create(&world.url(""), json!({})).await;
    let (token, _) = (
        text(&made, "client_token"),
        world.endpoint("https://1.1.1.1/", &[]).await,
    );
    for path in [
        "/v1/endpoints",
        "/v1/endpoints/ep_1",
        "/v1/endpoints/callbacks",
        "/v1/deliveries",
        "/v1/deliveries/dlv_1_1",
    ] {
        let answer = send(client().get(world.url(path)).bearer_auth(&token)).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
    for path in [
        "/v1/endpoints",
        "/v1/endpoints/ep_1/rotate",
        "/v1/endpoints/ep_1/test",
        "/v1/deliveries/dlv_1_1/redeliver",
    ] {
        let request = client()
            .post(world.url(path))
            .bearer_auth(&token)
            .body("{}");
        let answer = send(request).await;
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
    let answer = send(
        client()
            .delete(world.url("/v1/endpoints/ep_1"))
            .bearer_auth(&token),
    )
    .await;
    assert_eq!(answer.status, 403, "{}", answer.text);
    let url = world.url("/v1/endpoints/ep_1");
    assert_eq!(get(&url).await.status, 200, "it is still there");
}
