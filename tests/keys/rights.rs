//! Every route with every credential; and credentials that are none.

use serde_json::{Value, json};

use crate::support::raw::{handshake, raw};
use crate::support::ws::Socket;
use crate::support::{Program, create, get};
use crate::{Key, ask, get_as, make, revoke};

/// What a route asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Needs {
    /// A file: credentials are not looked at.
    Page,
    Nothing,
    Read,
    Write,
    Admin,
}
use Needs::{Admin, Nothing, Page, Read, Write};

/// `{own}` is the payment whose client token is tried.
const ROUTES: [(&str, &str, Needs); 49] = [
    ("GET", "/", Page),
    ("GET", "/paybell.js", Page),
    ("GET", "/assets/style.css", Page),
    ("GET", "/openapi.json", Page),
    ("GET", "/asyncapi.json", Page),
    ("GET", "/health", Nothing),
    ("OPTIONS", "/v1/payments", Nothing),
    ("OPTIONS", "/v1/keys", Nothing),
    ("GET", "/stats", Read),
    ("GET", "/v1/trends", Read),
    ("GET", "/payment_status/{own}", Read),
    ("GET", "/v1/payments", Read),
    ("HEAD", "/v1/payments", Read),
    ("GET", "/v1/payments/{own}", Read),
    ("GET", "/v1/payments/{own}/qr.svg", Read),
    ("GET", "/v1/payments/{own}/events", Read),
    ("GET", "/v1/payments/{own}/events/stream", Read),
    ("GET", "/v1/payments/x", Read),
    ("GET", "/v1/events", Read),
    ("GET", "/v1/events/stream", Read),
    ("HEAD", "/v1/events/stream", Read),
    ("GET", "/v1/deliveries", Read),
    ("GET", "/v1/deliveries/dlv_1_1", Read),
    ("GET", "/v1/endpoints", Read),
    ("GET", "/v1/endpoints/ep_1", Read),
    ("GET", "/v1/endpoints/callbacks", Read),
    ("GET", "/v1/transfers", Read),
    ("GET", "/v1/transfers/x", Read),
    ("GET", "/v1/keys/current", Read),
    ("POST", "/create_payment", Write),
    ("POST", "/v1/payments", Write),
    ("POST", "/v1/payments/x/cancel", Write),
    ("POST", "/v1/transfers/x/assign", Admin),
    ("POST", "/v1/deliveries/dlv_1_1/redeliver", Admin),
    ("POST", "/v1/endpoints", Admin),
    ("PATCH", "/v1/endpoints/ep_1", Admin),
    ("DELETE", "/v1/endpoints/ep_1", Admin),
    ("POST", "/v1/endpoints/ep_1/rotate", Admin),
    ("POST", "/v1/endpoints/ep_1/test", Admin),
    ("POST", "/v1/endpoints/ep_1/recover", Admin),
    ("POST", "/v1/endpoints/callbacks/rotate", Admin),
    ("POST", "/v1/endpoints/callbacks/recover", Admin),
    ("GET", "/v1/keys", Admin),
    ("HEAD", "/v1/keys", Admin),
    ("POST", "/v1/keys", Admin),
    ("GET", "/v1/keys/x", Admin),
    ("DELETE", "/v1/keys/x", Admin),
    ("DELETE", "/v1/keys/key_00000000000000000000000001", Admin),
    ("GET", "/v1/keys/key_00000000000000000000000001", Admin),
];

/// What a caller has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Has {
    NoCredential,
    /// Revoked, unknown, or with another's secret.
    BadCredential,
    Scope(Needs),
    ClientToken,
}

fn expected(has: Has, needs: Needs, path: &str) -> Option<u16> {
    match (has, needs) {
        (_, Page) | (Has::NoCredential, Nothing) => None,
        (Has::NoCredential | Has::BadCredential, _) => Some(401),
        (Has::Scope(scope), needed) => (scope < needed).then_some(403),
        (Has::ClientToken, _) => (!path.contains("{own}")).then_some(403),
    }
}

async fn try_all(hub: &str, own: &str, credential: Option<&str>, has: Has) {
    for (method, path, needs) in ROUTES {
        // The browser asks for others, and never with a credential.
        if method == "OPTIONS" && has != Has::NoCredential {
            continue;
        }
        let url = format!("{hub}{}", path.replace("{own}", own));
        let answer = ask(credential, method, &url, &json!({})).await;
        let (status, challenge) = (
            answer.status().as_u16(),
            answer.headers().get("www-authenticate").cloned(),
        );
        let what = format!("{method} {path} with {has:?}: {status}");
        match expected(has, needs, path) {
            Some(refused) => assert_eq!(status, refused, "{what}"),
            None => assert!(status < 500 && ![401, 403].contains(&status), "{what}"),
        }
        assert_eq!(challenge.is_some(), status == 401, "{what}");
        if status == 403 && method != "HEAD" && has != Has::ClientToken {
            let told = answer.text().await.expect("text");
            let scope = format!("scope {}", format!("{needs:?}").to_lowercase());
            assert!(told.contains(&scope), "{what} {told}");
        }
    }
}

#[tokio::test]
async fn every_route_opens_to_the_scopes_it_is_for_and_no_others() {
    let demo = Program::demo(1000, &[]);
    let hub = demo.hub();
    let payment = create(hub, json!({})).await;
    let own = payment["payment_id"].as_str().unwrap();
    let token = payment["client_token"].as_str().unwrap();
    let admin = make(hub, None, "admin").await;
    let by = Some(admin.text.as_str());
    let (write, read, gone) = (
        make(hub, by, "write").await,
        make(hub, by, "read").await,
        make(hub, by, "admin").await,
    );
    assert_eq!(revoke(hub, &admin, &gone).await, 204);
    let (prefix, _) = admin.text.rsplit_once('_').unwrap();
    let wrong = format!("{prefix}_{}", read.secret());
    let unknown = format!("pb_00000000000000000000000001_{}", admin.secret());
    for (credential, has) in [
        (None, Has::NoCredential),
        (Some(&gone.text), Has::BadCredential),
        (Some(&wrong), Has::BadCredential),
        (Some(&unknown), Has::BadCredential),
        (Some(&read.text), Has::Scope(Read)),
        (Some(&write.text), Has::Scope(Write)),
        (Some(&admin.text), Has::Scope(Admin)),
        (Some(&token.to_owned()), Has::ClientToken),
    ] {
        try_all(hub, own, credential.map(String::as_str), has).await;
    }
    let sockets = [
        (Some(&gone.text), false),
        (Some(&wrong), false),
        (None, false),
        (Some(&read.text), true),
        (Some(&write.text), true),
        (Some(&admin.text), true),
    ];
    for (credential, opens) in sockets {
        listens(hub, own, credential, opens).await;
    }
    // A payer sees its own payment live, and no other.
    let mut payer = Socket::follow(hub, &payment).await;
    let all = json!({"id": 3, "subscribe": {"channel": "payments"}});
    assert_eq!(payer.command(all).await["error"]["code"], "forbidden");
}

async fn listens(hub: &str, own: &str, credential: Option<&String>, opens: bool) {
    let mut socket = Socket::open(hub).await;
    let connect = credential.map_or(json!({}), |key| json!({"token": key}));
    let reply = socket.command(json!({"id": 1, "connect": connect})).await;
    if !opens {
        assert_eq!(reply["error"]["code"], "unauthorized", "{reply}");
        assert_eq!(socket.closed().await, 4500);
        return;
    }
    for (id, channel) in [(2, "payments".to_owned()), (3, format!("payment:{own}"))] {
        let reply = socket.command(json!({"id": id, "subscribe": {"channel": channel}}));
        let reply = reply.await;
        assert!(reply["subscribe"]["seq"].is_u64(), "{reply}");
    }
}

/// Garbage where a key belongs: each is told as a 401 in the usual form, none takes the hub down or opens anything.
#[tokio::test]
async fn malformed_credentials_are_told_and_open_nothing() {
    let demo = Program::demo(1000, &[]);
    let hub = demo.hub();
    let admin = make(hub, None, "admin").await;
    let key = admin.text.as_bytes();
    let mut cut_in_two = key.to_vec();
    cut_in_two.insert(40, b' ');
    let wrong: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"Bearer".to_vec(),
        b"Bearer ".to_vec(),
        b"Bearer pb_".to_vec(),
        b"Bearer pb__".to_vec(),
        b"Bearer pb_\xff\xfe_\x80".to_vec(),
        b"Bearer \xf0\x9f\x94\x91".to_vec(),
        [b"Basic ", key].concat(),
        key.to_vec(),
        [b"Bearer Bearer ", key].concat(),
        [b"Bearer ", key, b", ", key].concat(),
        [b"Bearer \"", key, b"\""].concat(),
        [b"Bearer ", &cut_in_two[..]].concat(),
        [b"Bearer ", &key[..key.len() - 1]].concat(),
        [b"Bearer ", key, b"1"].concat(),
        [b"Bearer pb_", &vec![b'1'; 20_000][..]].concat(),
        [b"Bearer ", &vec![b'.'; 20_000][..]].concat(),
    ];
    for value in wrong {
        let request = [
            b"GET /v1/payments HTTP/1.1\r\nhost: localhost\r\nauthorization: ",
            &value[..],
            b"\r\nconnection: close\r\n\r\n",
        ]
        .concat();
        let reply = raw(hub, &request).await;
        let shown = String::from_utf8_lossy(&value[..value.len().min(60)]).into_owned();
        reply.expect(&shown, 401, "invalid_token");
        let secret = admin.secret();
        assert!(!reply.text.contains(secret), "{shown}: {}", reply.text);
    }
    let twice = format!(
        "GET /v1/payments HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {0}\r\nauthorization: Bearer {0}\r\nconnection: close\r\n\r\n",
        admin.text
    );
    let reply = raw(hub, twice.as_bytes()).await;
    reply.expect("two headers", 401, "send one Authorization header");
    // The scheme's case and the space behind it are free.
    for fine in ["bearer  ", "BEARER "] {
        let request = format!(
            "GET /v1/keys/current HTTP/1.1\r\nhost: localhost\r\nauthorization: {fine}{}\r\nconnection: close\r\n\r\n",
            admin.text
        );
        raw(hub, request.as_bytes()).await.expect(fine, 200, "");
    }
    assert_eq!(
        get_as(&admin.text, &format!("{hub}/stats")).await.status,
        200
    );
}

/// Without keys a page on a name of its own that resolves to this machine would have the run of the hub; with keys its
/// name is no longer anyone's business.
#[tokio::test]
async fn the_guard_of_host_names_stands_aside_once_there_are_keys() {
    let demo = Program::demo(1000, &[]);
    let hub = demo.hub();
    let request = |key: &str| {
        format!(
            "GET /v1/payments HTTP/1.1\r\nhost: pay.shop.example\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        )
    };
    let reply = raw(hub, request("pb_x").as_bytes()).await;
    reply.expect("before", 421, "foreign_host");
    let socket = handshake(hub, "pay.shop.example", "").await;
    assert_eq!(socket.status, 421);
    let admin = make(hub, None, "admin").await;
    let reply = raw(hub, request("pb_x").as_bytes()).await;
    reply.expect("a bad key", 401, "invalid_token");
    let reply = raw(hub, request(&admin.text).as_bytes()).await;
    reply.expect("a good one", 200, "");
    let socket = handshake(hub, "pay.shop.example", "").await;
    assert_eq!(socket.status, 101);
}

/// A browser asks first, without the key, whether it may send one.
#[tokio::test]
async fn pages_of_allowed_origins_may_send_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Program::sandbox(1000);
    let mut config = crate::support::config(folder.path(), sandbox.url("sandbox"), 1000);
    config["allowed_origins"] = json!(["https://admin.shop.example"]);
    let hub = Program::serve(folder.path(), &config);
    let admin = make(hub.hub(), None, "admin").await;
    let url = format!("{}/v1/payments", hub.hub());
    let origin = "https://admin.shop.example";
    let asked = crate::support::client()
        .request(reqwest::Method::OPTIONS, &url)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization");
    let asked = crate::support::send(asked).await;
    assert_eq!(asked.status, 204);
    let allowed = asked.headers["access-control-allow-headers"].to_str();
    assert!(allowed.unwrap().contains("authorization"));
    for (key, status) in [(Some(&admin), 200), (None, 401)] {
        let mut request = crate::support::client().get(&url).header("origin", origin);
        if let Some(Key { text, .. }) = key {
            request = request.bearer_auth(text);
        }
        let answer = crate::support::send(request).await;
        assert_eq!(answer.status, status);
        // The page must be able to read why.
        assert_eq!(answer.headers["access-control-allow-origin"], origin);
    }
}

#[tokio::test]
async fn a_hub_without_keys_stays_as_open_as_it_was() {
    let demo = Program::demo(1000, &[]);
    let hub = demo.hub();
    let current = get(&format!("{hub}/v1/keys/current")).await.json();
    let open = json!({"id": null, "name": null, "scope": "admin", "keys_required": false});
    assert_eq!(current, open);
    assert_eq!(
        get(&format!("{hub}/v1/keys")).await.json()["data"],
        json!([])
    );
    let list = format!("{hub}/v1/payments");
    let strange = get_as("pb_00000000000000000000000001_1", &list).await;
    assert_eq!(strange.status, 401, "what is presented binds");
    let unknown = format!("{hub}/v1/keys/key_00000000000000000000000001");
    let refused = ask(None, "DELETE", &unknown, &Value::Null).await;
    assert_eq!(refused.status(), 404);
}
