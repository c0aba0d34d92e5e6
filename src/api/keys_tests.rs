//! `/v1/keys` as clients see it: who may do what, with which credential, and what a key's life looks like.

use serde_json::{Value, json};

use super::auth::Need;
use super::router::{Resource, Verb};
use super::testing::{Answer, Hub};
use crate::domain::api_key::KeyScope;

async fn send(hub: &Hub, key: Option<&str>, method: &str, path: &str, body: &Value) -> Answer {
    let mut request = warp::test::request().method(method).path(path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    if method == "POST" || method == "PATCH" {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    hub.send(request).await
}

/// Makes a key and returns its id and text.
async fn make(hub: &Hub, by: Option<&str>, name: &str, scope: &str) -> (String, String) {
    let body = json!({"name": name, "scope": scope});
    let answer = send(hub, by, "POST", "/v1/keys", &body).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let made = answer.json();
    let text = |field: &str| made[field].as_str().expect("text").to_owned();
    let id = text("id");
    assert_eq!(answer.header("location"), format!("/v1/keys/{id}"));
    assert_eq!(made["name"], name);
    assert_eq!(made["scope"], scope);
    for none in ["last_used_at", "revoked_at"] {
        assert_eq!(made[none], Value::Null);
    }
    (id, text("key"))
}

fn code(answer: &Answer) -> String {
    answer.error();
    answer.json()["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn a_hub_without_keys_says_so_and_the_first_key_shuts_it() {
    let hub = Hub::new();
    let current = hub.get("/v1/keys/current").await.json();
    let open = json!({"id": null, "name": null, "scope": "admin", "keys_required": false});
    assert_eq!(current, open);
    for scope in ["read", "write"] {
        let body = json!({"name": "shop", "scope": scope});
        let answer = send(&hub, None, "POST", "/v1/keys", &body).await;
        assert_eq!(answer.status, 409);
        assert_eq!(code(&answer), "first_key_must_be_admin");
    }
    assert_eq!(hub.get("/v1/payments").await.status, 200);
    let (id, key) = make(&hub, None, "boss", "admin").await;
    let refused = hub.get("/v1/payments").await;
    assert_eq!(
        (refused.status, code(&refused)),
        (401, "invalid_token".to_owned())
    );
    assert_eq!(
        refused.header("www-authenticate"),
        r#"Bearer realm="paybell""#
    );
    for open in ["/", "/health", "/paybell.js"] {
        assert_eq!(hub.get(open).await.status, 200, "{open}");
    }
    let asked = warp::test::request().method("OPTIONS").path("/v1/payments");
    assert_eq!(hub.send(asked).await.status, 204);
    let current = hub.get_as(&key, "/v1/keys/current").await.json();
    let boss = json!({"id": id, "name": "boss", "scope": "admin", "keys_required": true});
    assert_eq!(current, boss);
    let second = send(
        &hub,
        None,
        "POST",
        "/v1/keys",
        &json!({"name": "x", "scope": "admin"}),
    )
    .await;
    assert_eq!(second.status, 401);
}

#[tokio::test]
async fn keys_are_listed_newest_first_and_never_shown_again() {
    let hub = Hub::new();
    let (boss, key) = make(&hub, None, "boss", "admin").await;
    let (shop, secret) = make(&hub, Some(&key), "  the shop\u{1f514} ".trim(), "write").await;
    hub.get_as(&secret, "/stats").await;
    let answer = hub.get_as(&key, "/v1/keys").await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    for shown in [&key, &secret] {
        let tail = shown.rsplit('_').next().expect("a secret");
        assert!(!text.contains(tail), "{text}");
    }
    let list = answer.json();
    let ids: Vec<_> = list["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|k| &k["id"])
        .collect();
    assert_eq!(ids, [&json!(shop), &json!(boss)]);
    assert!(list["data"][0].get("key").is_none() && list["next"].is_null());
    assert!(
        list["data"][0]["last_used_at"].is_f64(),
        "noted before it is written"
    );
    let one = hub.get_as(&key, &format!("/v1/keys/{shop}")).await.json();
    assert_eq!(one, list["data"][0]);
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_and_stays_on_the_list() {
    let hub = Hub::new();
    let (boss, key) = make(&hub, None, "boss", "admin").await;
    let (shop, secret) = make(&hub, Some(&key), "shop", "write").await;
    let path = format!("/v1/keys/{shop}");
    for _ in 0..2 {
        let gone = send(&hub, Some(&key), "DELETE", &path, &Value::Null).await;
        assert_eq!(gone.status, 204);
    }
    let refused = hub.get_as(&secret, "/v1/payments").await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").contains("invalid_token"));
    assert!(hub.get_as(&key, &path).await.json()["revoked_at"].is_f64());
    for unknown in [
        "/v1/keys/key_00000000000000000000000009",
        "/v1/keys/x",
        "/v1/keys/key_",
    ] {
        let answer = send(&hub, Some(&key), "DELETE", unknown, &Value::Null).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (404, "key_not_found".to_owned())
        );
    }
    let own = format!("/v1/keys/{boss}");
    let answer = send(&hub, Some(&key), "DELETE", &own, &Value::Null).await;
    assert_eq!(
        (answer.status, code(&answer)),
        (409, "last_admin_key".to_owned())
    );
    assert_eq!(hub.get_as(&key, "/v1/payments").await.status, 200);
}

#[tokio::test]
async fn mistakes_in_a_new_key_are_told_together() {
    let hub = Hub::new();
    let long = "x".repeat(101);
    for (body, words) in [
        (json!({}), &["name", "scope"][..]),
        (
            json!({"name": "", "scope": "all"}),
            &["name", "\"read\" or \"write\" or \"admin\""],
        ),
        (json!({"name": "\u{200b} ", "scope": "admin"}), &["empty"]),
        (json!({"name": 7, "scope": "Admin"}), &["a number", "scope"]),
        (json!({"name": long, "scope": "admin"}), &["100", "101"]),
        (json!({"name": "a\nb", "scope": "admin"}), &["control"]),
        (
            json!({"name": "a", "scope": "admin", "key": "pb_mine"}),
            &["unknown field 'key'"],
        ),
    ] {
        let answer = send(&hub, None, "POST", "/v1/keys", &body).await;
        assert_eq!(answer.status, 400, "{body}");
        let told = answer.error();
        for word in words {
            assert!(told.contains(word), "{told} should contain {word}");
        }
    }
    let name = "\u{e9}".repeat(100);
    make(&hub, None, &name, "admin").await;
}

/// Wrong in every way: all answers are alike, and none tells whether there is such a key.
#[tokio::test]
async fn keys_that_are_not_right_are_refused_alike() {
    let hub = Hub::new();
    let (_, key) = make(&hub, None, "boss", "admin").await;
    let (_, other) = make(&hub, Some(&key), "other", "read").await;
    let (id, secret) = key[3..].split_once('_').expect("two parts");
    let (other_id, _) = other[3..].split_once('_').expect("two parts");
    let unknown = format!("pb_7ZZZZZZZZZZZZZZZZZZZZZZZZZ_{secret}");
    let swapped = format!("pb_{other_id}_{secret}");
    let mut texts = Vec::new();
    for wrong in [&unknown, &swapped] {
        let answer = hub.get_as(wrong, "/v1/payments").await;
        assert_eq!(answer.status, 401);
        texts.push(answer.error());
    }
    assert_eq!(texts[0], texts[1]);
    for malformed in [
        format!("pb_{id}"),
        format!("pb_{id}_"),
        format!("{key}x"),
        key[..key.len() - 1].to_owned(),
        key.to_lowercase(),
        "pb_".to_owned(),
        format!("pb_{}", "_".repeat(2000)),
    ] {
        let answer = hub.get_as(&malformed, "/v1/payments").await;
        assert_eq!(
            (answer.status, code(&answer)),
            (401, "invalid_token".to_owned())
        );
        assert!(!answer.error().contains(secret));
    }
    // A right key for an open resource is fine, a wrong one is told even there.
    assert_eq!(hub.get_as(&key, "/health").await.status, 200);
    assert_eq!(hub.get_as(&swapped, "/health").await.status, 401);
}

#[tokio::test]
async fn a_client_token_stays_with_its_payment_where_keys_are_needed() {
    let hub = Hub::new();
    let (id, token) = hub.create("ORDER_1", "5").await;
    let (_, key) = make(&hub, None, "boss", "admin").await;
    assert_eq!(
        hub.get_as(&token, &format!("/v1/payments/{id}"))
            .await
            .status,
        200
    );
    for path in ["/v1/keys", "/v1/keys/current", "/v1/payments", "/stats"] {
        let answer = hub.get_as(&token, path).await;
        assert_eq!(
            (answer.status, code(&answer)),
            (403, "forbidden".to_owned()),
            "{path}"
        );
    }
    assert_eq!(
        hub.get_as(&key, &format!("/v1/payments/{id}")).await.status,
        200
    );
    // What is for the shop alone is shown to a key and not to a payer.
    let path = format!("/v1/payments/{id}");
    let (shop, payer) = (
        hub.get_as(&key, &path).await,
        hub.get_as(&token, &path).await,
    );
    assert!(
        shop.json().as_object().map(serde_json::Map::len)
            >= payer.json().as_object().map(serde_json::Map::len)
    );
}

#[tokio::test]
async fn idempotency_keys_belong_to_the_key_that_sent_them() {
    let hub = Hub::new();
    let (_, boss) = make(&hub, None, "boss", "admin").await;
    let (_, shop) = make(&hub, Some(&boss), "shop", "write").await;
    let create = async |key: &str, order: &str| {
        let body = json!({"wallet_address": super::testing::ADDRESS, "expected_amount_usdt": order.len(), "order_id": order});
        let request = warp::test::request().method("POST").path("/v1/payments");
        let request = request
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {key}"))
            .header("idempotency-key", "the-same")
            .body(body.to_string());
        hub.send(request).await
    };
    assert_eq!(create(&boss, "A").await.status, 201);
    assert_eq!(create(&boss, "AB").await.status, 422, "another body");
    let other = create(&shop, "ABC").await;
    assert_eq!(
        (other.status, other.header("idempotent-replayed")),
        (201, "")
    );
    let again = create(&shop, "ABC").await;
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (201, "true")
    );
}

/// The table of rights read the other way round: what each scope must not do.
#[test]
fn nothing_but_looking_is_open_to_readers_and_only_payments_to_writers() {
    let id = "x";
    let resources = [
        Resource::Creation,
        Resource::Payments,
        Resource::Cancellation(id),
        Resource::Endpoints,
        Resource::Endpoint(id),
        Resource::Redelivery(id),
        Resource::Rotation(id),
        Resource::Test(id),
        Resource::Recovery(id),
        Resource::Assignment(id),
        Resource::Keys,
        Resource::Key(id),
    ];
    for (place, resource) in resources.into_iter().enumerate() {
        for verb in [Verb::Write, Verb::Change, Verb::Remove] {
            let needed = match place {
                0..3 => KeyScope::Write,
                _ => KeyScope::Admin,
            };
            assert_eq!(
                resource.needs(verb),
                Need::Scope(needed),
                "{place} {verb:?}"
            );
        }
    }
}
