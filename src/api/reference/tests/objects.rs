//! Every answer against its schema: whole, with nothing left over, and each field filled somewhere.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::wire_objects::{attempt, check_events, check_objects, delivery, unmatched};
use super::{Checker, at, openapi, operations, resolve};
use crate::api::testing::{ADDRESS, Answer, Hub, Mood, NOW};
use crate::chains::{CatchUp, EndpointStanding};
use crate::domain::chain::BlockHeader;
use crate::domain::changes::Cursor;
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::{BlockHash, Height, PaymentId, Sequence};
use crate::domain::payment::{TransferRecord, UnmatchedReason};
use crate::hub;
use crate::store::EventRow;

/// Streams have no end, and files are held by `text`.
const ELSEWHERE: [&str; 4] = [
    "streamEvents",
    "streamPaymentEvents",
    "getOpenApi",
    "getAsyncApi",
];
/// Fields that nothing fills yet.
const NEVER_FILLED: [(&str, &str); 2] = [
    // All endpoints are given at once.
    ("EndpointList", "next"),
    ("KeyList", "next"),
];
/// More events than one request to recover goes through.
const MANY_EVENTS: u64 = 20_001;

/// A client that believes the document: what it is answered must be in there.
struct Client {
    hub: Hub,
    checker: Checker,
    succeeded: BTreeSet<&'static str>,
    /// Sent along, once there is one.
    key: String,
}

impl Client {
    fn new() -> Self {
        Self {
            hub: Hub::new(),
            checker: Checker::of(openapi()),
            succeeded: BTreeSet::new(),
            key: String::new(),
        }
    }

    async fn get(&mut self, template: &str, path: &str) -> Value {
        self.call("GET", template, path, Value::Null).await
    }

    async fn post(&mut self, template: &str, path: &str, body: Value) -> Value {
        self.call("POST", template, path, body).await
    }

    async fn call(&mut self, method: &str, template: &str, path: &str, body: Value) -> Value {
        let mut request = warp::test::request().method(method).path(path);
        if !self.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self.hub.send(request.body(body)).await;
        let method = method.to_ascii_lowercase();
        let found = operations().find(|(p, m, _)| *p == template && *m == method);
        let (_, _, operation) = found.expect("an operation");
        self.believe(operation, template, &method, &answer)
    }

    fn believe(
        &mut self,
        operation: &'static Value,
        template: &str,
        method: &str,
        answer: &Answer,
    ) -> Value {
        let status = answer.status.to_string();
        let escaped = template.replace('/', "~1");
        let place = format!("/paths/{escaped}/{method}/responses/{status}");
        let response = operation["responses"].get(&status);
        let response = response.unwrap_or_else(|| panic!("{place}: {:?}", answer.body));
        if answer.status < 300 {
            let name = operation["operationId"].as_str().expect("a name");
            self.succeeded.insert(name);
        }
        for (name, header) in resolve(response)["headers"]
            .as_object()
            .into_iter()
            .flatten()
        {
            let required = resolve(header)["required"] == json!(true);
            let sent = !answer.header(name).is_empty();
            assert!(sent || !required, "{place} has no {name}");
        }
        let Some(content) = resolve(response).get("content") else {
            assert!(answer.body.is_empty(), "{place}: {:?}", answer.body);
            return Value::Null;
        };
        let kind = answer.header("content-type");
        assert!(content.get(kind).is_some(), "{place}: {kind}");
        if !kind.ends_with("json") {
            return Value::Null;
        }
        let json = answer.json();
        let place = match response["$ref"].as_str() {
            Some(reference) => reference.trim_start_matches('#').to_owned(),
            None => place,
        };
        let schema = format!("{place}/content/{}/schema", kind.replace('/', "~1"));
        self.checker.check(&schema, &json);
        json
    }
}

/// The hub with transfers that can be assigned, deliveries, and a chain about which there is everything to tell.
fn furnish(hub: &Hub, payment: PaymentId) -> TransferRecord {
    let waiting = unmatched(UnmatchedReason::WrongAmount, Some(payment));
    let mut another = waiting;
    another.key.log_index += 1;
    let mut rows = hub.store.rows();
    rows.transfers.insert(waiting.key, waiting);
    rows.transfers.insert(another.key, another);
    let delivered = delivery(DeliveryState::Delivered(NOW), None);
    let mut older = delivered.clone();
    older.id.sequence.0 -= 1;
    rows.attempts.insert(delivered.id, vec![attempt()]);
    rows.deliveries.extend([delivered, older]);
    rows.cursor = Some(Cursor {
        tip: BlockHeader {
            height: Height(120),
            hash: BlockHash([1; 32]),
            parent: BlockHash([2; 32]),
            time: NOW,
        },
        final_height: Height(102),
    });
    drop(rows);
    let chain = hub.ctx.chains.default_chain().expect("a chain");
    chain.update(|standing| {
        standing.last_error = Some("no answer".to_owned());
        standing.last_error_at = Some(NOW);
        standing.catch_up = Some(CatchUp {
            from: Height(100),
            to: Height(200),
            started_at: NOW.minus_ms(5000),
        });
        standing.endpoints = vec![EndpointStanding {
            name: "api.trongrid.io".to_owned(),
            healthy: true,
            requests_today: 5,
            requests_left_today: Some(94_995),
            suspended_until: Some(NOW),
            last_error: Some("status 429".to_owned()),
        }];
    });
    waiting
}

async fn use_payments(client: &mut Client) -> String {
    let new = json!({"wallet_address": ADDRESS, "expected_amount_usdt": "10.5", "order_id": "A",
        "callback_url": "https://shop.example/hook"});
    let classic = "/create_payment";
    client.post(classic, classic, new.clone()).await;
    client.post(classic, classic, new).await;
    client.post(classic, classic, json!([])).await;
    let new = json!({"wallet": "main", "expected_amount_usdt": 5, "order_id": "B"});
    let made = client.post("/v1/payments", "/v1/payments", new).await;
    client
        .post("/v1/payments", "/v1/payments", json!({"x": 1}))
        .await;
    let id = made["payment_id"].as_str().expect("an id").to_owned();
    for (template, query) in [
        ("/payment_status/{id}", ""),
        ("/v1/payments", ""),
        ("/v1/payments", "?limit=0&x=1"),
        ("/v1/payments", "?limit=1"),
        ("/v1/payments/{id}", ""),
        ("/v1/payments/{id}/qr.svg", ""),
        ("/v1/payments/{id}/events", ""),
        ("/v1/events", "?limit=1"),
        ("/v1/events", "?epoch=other"),
    ] {
        let path = format!("{}{query}", template.replace("{id}", &id));
        client.get(template, &path).await;
    }
    client.get("/v1/payments/{id}", "/v1/payments/x").await;
    let new = json!({"wallet_address": ADDRESS, "expected_amount_usdt": 7, "order_id": "C"});
    let made = client.post("/v1/payments", "/v1/payments", new).await;
    let cancel = "/v1/payments/{id}/cancel";
    let path = cancel.replace("{id}", made["payment_id"].as_str().expect("an id"));
    client.post(cancel, &path, Value::Null).await;
    client.post(cancel, &path, Value::Null).await;
    id
}

async fn use_endpoints(client: &mut Client) {
    let new = json!({"url": "https://books.example/hooks", "events": ["transfer.*"], "description": "the books"});
    client.post("/v1/endpoints", "/v1/endpoints", new).await;
    let (each, one) = ("/v1/endpoints/{id}", "/v1/endpoints/ep_1");
    let callbacks = "/v1/endpoints/callbacks";
    client.get("/v1/endpoints", "/v1/endpoints").await;
    client.get(each, one).await;
    client.get(each, "/v1/endpoints/ep_9").await;
    client.get(callbacks, callbacks).await;
    let rotate = "/v1/endpoints/{id}/rotate";
    client
        .post(rotate, &format!("{one}/rotate"), json!({}))
        .await;
    let path = format!("{callbacks}/rotate");
    client.post(rotate, &path, Value::Null).await;
    client.get(callbacks, callbacks).await;
    client.get(each, one).await;
    let path = format!("{one}/test");
    client
        .post("/v1/endpoints/{id}/test", &path, Value::Null)
        .await;
}

async fn use_deliveries(client: &mut Client) {
    for query in ["", "?limit=1", "?state=delivered"] {
        let path = format!("/v1/deliveries{query}");
        client.get("/v1/deliveries", &path).await;
    }
    let (each, one) = ("/v1/deliveries/{id}", "/v1/deliveries/dlv_50000_1");
    client.get(each, one).await;
    client.get(each, "/v1/deliveries/x").await;
    let (each, one) = (format!("{each}/redeliver"), format!("{one}/redeliver"));
    client.post(&each, &one, Value::Null).await;
    client.post(&each, &one, Value::Null).await;
}

async fn use_transfers(client: &mut Client, waiting: TransferRecord, payment: &str) {
    client.get("/v1/transfers", "/v1/transfers?limit=1").await;
    let path = format!("/v1/transfers/{}", waiting.key);
    client.get("/v1/transfers/{id}", &path).await;
    let (assign, path) = ("/v1/transfers/{id}/assign", format!("{path}/assign"));
    client
        .post(assign, &path, json!({"payment_id": payment}))
        .await;
    client.post(assign, &path, json!({"payment_id": 1})).await;
    client.get("/v1/events", "/v1/events").await;
}

fn many_events(hub: &Hub) -> Vec<EventRow> {
    let from = hub.store.rows().events.len() as u64 + 1;
    (from..from + MANY_EVENTS)
        .map(|n| hub::tests::row(n, None))
        .collect()
}

/// What recovers, ends and fails.
async fn use_the_rest(client: &mut Client) {
    let (each, one) = ("/v1/endpoints/{id}", "/v1/endpoints/ep_1");
    let (recover, path) = ("/v1/endpoints/{id}/recover", format!("{one}/recover"));
    client.post(recover, &path, json!({"since": 0})).await;
    let many = many_events(&client.hub);
    client.hub.store.rows().events.extend(many);
    client.post(recover, &path, json!({"since": 0})).await;
    let body = json!({"status": "disabled"});
    client.call("PATCH", each, one, body).await;
    let path = format!("{one}/test");
    client
        .post("/v1/endpoints/{id}/test", &path, Value::Null)
        .await;
    client.call("DELETE", each, one, Value::Null).await;
    client.get("/health", "/health").await;
    client.get("/stats", "/stats").await;
    client.hub.store.rows().first = Some(Sequence(3));
    client.get("/v1/events", "/v1/events?after=1").await;
    use_keys(client).await;
    client.hub.store.set_mood(Mood::Failing);
    client.get("/health", "/health").await;
    client.get("/v1/events", "/v1/events").await;
}

/// Comes last: from the first key on every request needs one.
async fn use_keys(client: &mut Client) {
    let (all, each, own) = ("/v1/keys", "/v1/keys/{id}", "/v1/keys/current");
    client.get(own, own).await;
    client.get("/v1/trends", "/v1/trends").await;
    let new = json!({"name": "shop", "scope": "write"});
    client.post(all, all, new.clone()).await;
    let first = json!({"name": "me", "scope": "admin"});
    let first = client.post(all, all, first).await;
    client.get(all, all).await;
    client.key = first["key"].as_str().expect("a key").to_owned();
    let made = client.post(all, all, new).await;
    let path = |key: &Value| format!("{all}/{}", key["id"].as_str().expect("an id"));
    client.get(each, &path(&made)).await;
    client.call("DELETE", each, &path(&made), Value::Null).await;
    client
        .call("DELETE", each, &path(&first), Value::Null)
        .await;
    client.get(each, &path(&made)).await;
    client.get(each, "/v1/keys/x").await;
    client.get(all, all).await;
    client.get(own, own).await;
}

/// Each operation succeeds at least once, everything that is answered is documented, and no field of an answer's objects
/// is one that nothing ever fills.
#[tokio::test]
async fn everything_that_the_api_says_is_documented() {
    let mut client = Client::new();
    let id = use_payments(&mut client).await;
    let waiting = furnish(&client.hub, PaymentId::parse(&id).expect("an id"));
    use_endpoints(&mut client).await;
    use_deliveries(&mut client).await;
    use_transfers(&mut client, waiting, &id).await;
    use_the_rest(&mut client).await;
    let all = operations().filter_map(|(_, _, operation)| operation["operationId"].as_str());
    let missed: BTreeSet<&str> = all
        .filter(|name| !client.succeeded.contains(name))
        .collect();
    assert_eq!(missed, BTreeSet::from(ELSEWHERE));
    check_objects(&mut client.checker);
    check_events(&mut client.checker);
    assert_all_filled(&client.checker);
}

/// What only requests hold is looked at by `requests`, what only streams hold by the test of a running hub.
fn assert_all_filled(checker: &Checker) {
    let requests: BTreeSet<&str> = super::requests::schemas().collect();
    for (name, schema) in at("/components/schemas").as_object().expect("schemas") {
        let of_streams = name.starts_with("Stream") || name == "Progress";
        if requests.contains(name.as_str()) || of_streams || schema["properties"].is_null() {
            continue;
        }
        let empty = checker.never_filled(name).into_iter();
        let empty: Vec<&str> = empty
            .filter(|field| !NEVER_FILLED.contains(&(name, field)))
            .collect();
        assert_eq!(empty, Vec::<&str>::new(), "nothing fills these of {name}");
    }
}
