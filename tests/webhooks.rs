//! Webhook endpoints of the real binary: what each hears, what signs, what ends them, and how what was missed comes in.

mod support;

use paybell::delivery::signature::{self, Secret};
use serde_json::{Value, json};
use support::node::Node;
use support::receiver::{Received, Receiver};
use support::{Answer, Program, client, config, create, eventually, get, post, send};

const SLOT_MS: u32 = 100;

/// A hub that keeps the secret of callbacks itself.
struct World {
    hub: Program,
    _node: Node,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let (node, folder) = (Node::start().await, tempfile::tempdir().unwrap());
        let mut settings = config(folder.path(), &node.url(), SLOT_MS);
        settings["webhook_secrets"] = json!([]);
        Self {
            hub: Program::serve(folder.path(), &settings),
            _node: node,
            _folder: folder,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v1/{path}", self.hub.hub())
    }

    async fn get(&self, path: &str) -> Value {
        get(&self.url(path)).await.json()
    }

    async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        let answer = post(&self.url(path), &body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        answer.json()
    }

    async fn patch(&self, path: &str, body: Value) -> Value {
        let request = client().patch(self.url(path)).body(body.to_string());
        let answer = send(request.header("content-type", "application/json")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    async fn delete(&self, path: &str) -> Answer {
        send(client().delete(self.url(path))).await
    }

    /// Makes an endpoint at a receiver; its id and secret.
    async fn endpoint(&self, receiver: &Receiver, events: &[&str]) -> (String, String) {
        let fields = json!({"url": receiver.url(), "events": events});
        let made = self.post("endpoints", fields, 201).await;
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        (text("id"), text("secret"))
    }

    async fn create(&self, fields: Value) -> String {
        let payment = create(self.hub.hub(), fields).await;
        payment["payment_id"].as_str().expect("an id").to_owned()
    }

    /// Waits until an endpoint's newest delivery is in this state, with its attempt on record.
    async fn newest(&self, endpoint: &str, state: &str) -> Value {
        let path = format!("deliveries?endpoint={endpoint}&limit=1");
        eventually(
            &format!("the newest of {endpoint} is {state}"),
            async || {
                let newest = self.get(&path).await["data"][0].clone();
                (newest["state"] == state && newest["attempts"] != 0).then_some(newest)
            },
        )
        .await
    }
}

/// Waits for so many webhooks.
async fn arrived(receiver: &Receiver, count: usize) -> Vec<Received> {
    eventually(&format!("{count} webhooks arrive"), async || {
        let received = receiver.received();
        (received.len() >= count).then_some(received)
    })
    .await
}

fn kinds(received: &[Received]) -> Vec<String> {
    received.iter().map(Received::kind).collect()
}

fn is_signed_by(webhook: &Received, secret: &str) -> bool {
    let secret = Secret::parse(secret).expect("a secret");
    let now_s = webhook.header("webhook-timestamp").parse().expect("a time");
    let received = signature::Received {
        id: webhook.header("webhook-id"),
        timestamp: webhook.header("webhook-timestamp"),
        signature: webhook.header("webhook-signature"),
        body: &webhook.body,
    };
    signature::verify(&[secret], received, now_s, 0).is_ok()
}

#[tokio::test]
async fn an_endpoint_hears_what_it_asked_for_signed_by_its_own_secret() {
    let world = World::start().await;
    let (all, some) = (Receiver::start().await, Receiver::start().await);
    let (_, all_secret) = world.endpoint(&all, &[]).await;
    let (_, some_secret) = world
        .endpoint(&some, &["payment.cancelled", "transfer.*"])
        .await;
    let id = world.create(json!({})).await;
    world
        .post(&format!("payments/{id}/cancel"), json!({}), 200)
        .await;
    let heard = arrived(&all, 2).await;
    assert_eq!(kinds(&heard), ["payment.created", "payment.cancelled"]);
    let cancelled = arrived(&some, 1).await;
    assert_eq!(kinds(&cancelled), ["payment.cancelled"]);
    assert_eq!(heard[1].body, cancelled[0].body, "the same bytes for all");
    assert!(is_signed_by(&heard[1], &all_secret) && is_signed_by(&cancelled[0], &some_secret));
    assert!(!is_signed_by(&heard[1], &some_secret) && !is_signed_by(&cancelled[0], &all_secret));
}

#[tokio::test]
async fn after_a_rotation_both_keys_sign() {
    let world = World::start().await;
    let (receiver, callback) = (Receiver::start().await, Receiver::start().await);
    let (id, old) = world.endpoint(&receiver, &[]).await;
    let rotated = world
        .post(&format!("endpoints/{id}/rotate"), json!({}), 200)
        .await;
    let new = rotated["secret"].as_str().expect("a secret");
    let until = rotated["old_key_signs_until"].as_f64().expect("a time");
    assert!(until > rotated["created_at"].as_f64().expect("a time") + 86_000.0);
    let first = world
        .post("endpoints/callbacks/rotate", json!({}), 200)
        .await;
    let second = world
        .post("endpoints/callbacks/rotate", json!({}), 200)
        .await;
    world.create(json!({"callback_url": callback.url()})).await;
    let heard = receiver.wait_for("payment.created").await;
    assert!(is_signed_by(&heard, &old) && is_signed_by(&heard, new));
    assert_eq!(heard.header("webhook-signature").split(' ').count(), 2);
    let called = callback.wait_for("payment.created").await;
    for rotated in [first, second] {
        let secret = rotated["secret"].as_str().expect("a secret");
        assert!(is_signed_by(&called, secret));
    }
    assert_eq!(
        called.header("webhook-signature").split(' ').count(),
        2,
        "the one made first is out"
    );
}

#[tokio::test]
async fn a_test_goes_to_the_endpoint_that_was_asked_and_the_log_shows_it() {
    let world = World::start().await;
    let (asked, other) = (Receiver::start().await, Receiver::start().await);
    let (id, secret) = world.endpoint(&asked, &["transfer.*"]).await;
    world.endpoint(&other, &[]).await;
    let sent = world
        .post(&format!("endpoints/{id}/test"), json!({}), 202)
        .await;
    let heard = asked.wait_for("endpoint.test").await;
    assert!(is_signed_by(&heard, &secret));
    assert_eq!(sent["event_id"], heard.header("webhook-id"));
    assert_eq!(heard.json()["endpoint"]["id"], id);
    assert!(
        !String::from_utf8_lossy(&heard.body).contains("token"),
        "no query"
    );
    world.newest(&id, "delivered").await;
    let path = format!(
        "deliveries/{}",
        sent["delivery_id"].as_str().expect("an id")
    );
    let log = world.get(&path).await;
    assert_eq!(log["attempt_log"][0]["status"], 200);
    assert_eq!(log["attempt_log"][0]["next_attempt_at"], json!(null));
    // The next event of the log is the first that the other one hears.
    world.create(json!({})).await;
    assert_eq!(kinds(&arrived(&other, 1).await), ["payment.created"]);
}

#[tokio::test]
async fn a_410_disables_the_endpoint_and_what_it_missed_is_recovered() {
    let world = World::start().await;
    let (gone, watcher) = (Receiver::start().await, Receiver::start().await);
    let (id, secret) = world.endpoint(&gone, &["payment.*"]).await;
    world.endpoint(&watcher, &["endpoint.disabled"]).await;
    gone.answer_next([410]);
    let since = world.get("endpoints").await["data"][0]["created_at"].clone();
    world.create(json!({})).await;
    let news = watcher.wait_for("endpoint.disabled").await.json();
    let url = gone.url().split('?').next().map(str::to_owned);
    assert_eq!(
        news["endpoint"],
        json!({"id": id, "url": url, "reason": "gone"})
    );
    let path = format!("endpoints/{id}");
    let shown = world.get(&path).await;
    assert_eq!(
        (&shown["status"], &shown["disabled_reason"]),
        (&json!("disabled"), &json!("gone"))
    );
    assert_eq!(world.newest(&id, "exhausted").await["given_up"], "gone");
    // Nothing is owed to it meanwhile, and nothing can be asked for.
    world.create(json!({"expected_amount_usdt": "6"})).await;
    let recover = format!("{path}/recover");
    let refused = world.post(&recover, json!({"since": since}), 409).await;
    assert_eq!(refused["code"], "endpoint_disabled");
    assert_eq!(
        world.patch(&path, json!({"status": "enabled"})).await["status"],
        "enabled"
    );
    let recovered = world.post(&recover, json!({"since": since}), 200).await;
    assert_eq!(
        (&recovered["recovered"], &recovered["complete"]),
        (&json!(2), &json!(true))
    );
    let heard = arrived(&gone, 3).await;
    assert_eq!(
        heard[1].header("webhook-id"),
        heard[0].header("webhook-id"),
        "once more"
    );
    assert!(heard.iter().all(|webhook| is_signed_by(webhook, &secret)));
    assert_ne!(heard[2].header("webhook-id"), heard[0].header("webhook-id"));
    world.newest(&id, "delivered").await;
    let again = world.post(&recover, json!({"since": since}), 200).await;
    assert_eq!(again["recovered"], 0);
}

/// Whoever answers 410 for one order has not spoken for all of them.
#[tokio::test]
async fn a_410_of_a_callback_ends_that_payments_webhooks_alone() {
    let world = World::start().await;
    let (receiver, watcher) = (Receiver::start().await, Receiver::start().await);
    world.endpoint(&watcher, &["endpoint.disabled"]).await;
    receiver.answer_next([410]);
    let id = world.create(json!({"callback_url": receiver.url()})).await;
    let news = watcher.wait_for("endpoint.disabled").await.json();
    assert_eq!(
        (&news["payment_id"], &news["endpoint"]["id"]),
        (&json!(id), &json!("callbacks"))
    );
    let payment = world.get(&format!("payments/{id}")).await;
    assert_eq!(payment["callback_disabled"], true);
    world
        .post(&format!("payments/{id}/cancel"), json!({}), 200)
        .await;
    let other = json!({"callback_url": receiver.url(), "expected_amount_usdt": "6"});
    let other = world.create(other).await;
    let heard = arrived(&receiver, 2).await;
    let paid_for: Vec<_> = heard
        .iter()
        .map(|r| r.json()["payment_id"].clone())
        .collect();
    assert_eq!(paid_for, [json!(id), json!(other)], "not its cancellation");
    let own = world.get(&format!("deliveries?payment_id={id}")).await;
    let own = own["data"].as_array().expect("a list");
    assert_eq!(own.len(), 1);
    let again = format!(
        "deliveries/{}/redeliver",
        own[0]["id"].as_str().expect("an id")
    );
    assert_eq!(
        world.post(&again, json!({}), 409).await["code"],
        "not_redeliverable"
    );
}

#[tokio::test]
async fn a_delivery_asked_for_again_brings_the_same_bytes() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let (id, _) = world.endpoint(&receiver, &[]).await;
    world.create(json!({})).await;
    let first = receiver.wait_for("payment.created").await;
    let delivered = world.newest(&id, "delivered").await;
    let path = format!("deliveries/{}", delivered["id"].as_str().expect("an id"));
    let again = world
        .post(&format!("{path}/redeliver"), json!({}), 202)
        .await;
    assert_eq!(again["state"], "due");
    let heard = arrived(&receiver, 2).await;
    assert_eq!(heard[1].body, first.body);
    assert_eq!(heard[1].header("webhook-id"), first.header("webhook-id"));
    let log = eventually("both attempts are on record", async || {
        let log = world.get(&path).await;
        (log["attempts"] == 2 && log["state"] == "delivered").then_some(log)
    })
    .await;
    assert_eq!(log["attempt_log"].as_array().map(Vec::len), Some(2));
}

/// Its receiver is moved while webhooks wait for it, and then it is deleted while one waits.
#[tokio::test]
async fn what_waits_follows_the_url_and_ends_with_the_endpoint() {
    let world = World::start().await;
    let (before, after) = (Receiver::start().await, Receiver::start().await);
    let (id, _) = world.endpoint(&before, &[]).await;
    let path = format!("endpoints/{id}");
    before.answer_next([503]);
    world.create(json!({})).await;
    let waiting = world.newest(&id, "due").await;
    assert_eq!(
        (&waiting["last_status"], &waiting["attempts"]),
        (&json!(503), &json!(1))
    );
    assert!(world.get(&path).await["failing_since"].is_number());
    let moved = world.patch(&path, json!({"url": after.url()})).await;
    assert_eq!(moved["failing_since"], json!(null));
    let delivery = waiting["id"].as_str().expect("an id");
    after.answer_next([500]);
    world
        .post(&format!("deliveries/{delivery}/redeliver"), json!({}), 202)
        .await;
    arrived(&after, 1).await;
    assert_eq!(before.received().len(), 1);
    eventually("both attempts are on record", async || {
        let log = world.get(&format!("deliveries/{delivery}")).await;
        (log["attempts"] == 2).then_some(())
    })
    .await;
    assert_eq!(world.delete(&path).await.status, 204);
    let ended = world.newest(&id, "exhausted").await;
    assert_eq!(ended["given_up"], "endpoint_deleted");
    assert_eq!(get(&world.url(&path)).await.status, 404);
    let redeliver = format!("deliveries/{delivery}/redeliver");
    assert_eq!(
        world.post(&redeliver, json!({}), 409).await["code"],
        "not_redeliverable"
    );
}

#[tokio::test]
async fn endpoints_and_their_keys_survive_a_kill() {
    let (node, folder) = (Node::start().await, tempfile::tempdir().unwrap());
    let mut settings = config(folder.path(), &node.url(), SLOT_MS);
    settings["webhook_secrets"] = json!([]);
    let receiver = Receiver::start().await;
    let hub = Program::serve(folder.path(), &settings);
    let fields =
        json!({"url": receiver.url(), "events": ["payment.created"], "description": "books"});
    let made = post(&format!("{}/v1/endpoints", hub.hub()), &fields)
        .await
        .json();
    let rotate = format!("{}/v1/endpoints/callbacks/rotate", hub.hub());
    let rotated = post(&rotate, &json!({})).await.json();
    hub.kill();
    let hub = Program::serve(folder.path(), &settings);
    let list = get(&format!("{}/v1/endpoints", hub.hub())).await.json();
    let mut kept = made.clone();
    kept.as_object_mut().expect("an object").remove("secret");
    assert_eq!(list["data"], json!([kept]));
    let callback = Receiver::start().await;
    create(hub.hub(), json!({"callback_url": callback.url()})).await;
    for (receiver, object) in [(receiver, made), (callback, rotated)] {
        let webhook = receiver.wait_for("payment.created").await;
        assert!(is_signed_by(
            &webhook,
            object["secret"].as_str().expect("a secret")
        ));
    }
}

/// The guard of callbacks guards these as well.
#[tokio::test]
async fn an_endpoint_at_a_private_address_is_refused() {
    let world = World::start().await;
    for url in [
        "http://192.168.1.1/hook",
        "http://169.254.169.254/latest",
        "http://[fd00::1]/",
    ] {
        let answer = post(&world.url("endpoints"), &json!({"url": url})).await;
        assert_eq!(answer.status, 400, "{url}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["pointer"], "/url");
    }
}
