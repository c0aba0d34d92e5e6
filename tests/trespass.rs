//! Who may do what with the real binary: pages of other hosts, and payers with a token for one payment, reach nothing else.

mod support;

use serde_json::{Value, json};
use support::node::Node;
use support::raw::{handshake, raw_head, request};
use support::ws::Socket;
use support::{Program, create};

const BLOCK_MS: u32 = 200;

/// Found by a helper's fresh eye: a page on a name that resolves to 127.0.0.1 is same-origin to its browser, and had the
/// run of a hub without keys.
#[tokio::test]
async fn a_page_under_a_foreign_name_gets_nothing() {
    let demo = Program::demo(BLOCK_MS, &[]);
    create(demo.hub(), json!({})).await;
    for path in ["/health", "/", "/v1/payments", "/ws", "/sandbox/state"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: rebound.evil.example:5000\r\n\r\n");
        let answer = raw_head(demo.hub(), request.as_bytes()).await;
        answer.expect(path, 421, "");
    }
    let local = raw_head(
        demo.hub(),
        b"GET /v1/payments HTTP/1.1\r\nhost: localhost:5000\r\n\r\n",
    )
    .await;
    local.expect("its own name", 200, "");
}

#[tokio::test]
async fn another_host_s_page_reaches_nothing() {
    let program = Program::demo(BLOCK_MS, &[]);
    let hub = program.hub();
    let port = hub.rsplit(':').next().expect("a port");
    let evil = format!("evil.example:{port}");
    // What a browser sends after evil.example was pointed at 127.0.0.1: host and origin agree.
    let headers = format!("host: {evil}\r\norigin: http://{evil}\r\n");
    for line in [
        "GET /",
        "GET /v1/payments",
        "POST /v1/payments",
        "GET /sandbox/state",
        "GET /no",
    ] {
        let reply = request(hub, line, &headers).await;
        reply.expect(line, 421, "paybell keys create");
    }
    let origin = format!("origin: http://{evil}\r\n");
    handshake(hub, &evil, &origin)
        .await
        .expect("/ws", 421, "foreign_host");
    handshake(hub, "127.0.0.1", &origin)
        .await
        .expect("/ws", 403, "forbidden_origin");
    for own in ["localhost:1", "[::1]", "127.0.0.1"] {
        let reply = request(hub, "GET /health", &format!("host: {own}\r\n")).await;
        reply.expect(own, 200, "");
        handshake(hub, own, "").await.expect(own, 101, "");
    }
}

#[tokio::test]
async fn no_configured_name_lets_strangers_in_and_the_open_door_all() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = support::config(folder.path(), &node.url(), 1_000);
    settings["allowed_origins"] = json!(["https://pay.example"]);
    let program = Program::serve(folder.path(), &settings);
    let hub = program.hub();
    // Found by a fresh eye: through a proxy under the name of an allowed origin strangers had the run of a hub without keys.
    for host in ["pay.example", "PAY.example:443", "shop.example"] {
        let reply = request(hub, "GET /stats", &format!("host: {host}\r\n")).await;
        reply.expect(host, 421, "foreign_host");
    }
    handshake(hub, "127.0.0.1", "origin: https://pay.example\r\n")
        .await
        .expect("/ws", 101, "");
    assert_eq!(program.terminate(), Some(0));
    settings["allow_unauthenticated"] = json!(true);
    settings["public_url"] = json!("https://hub.example/hub");
    let program = Program::serve(folder.path(), &settings);
    let hub = program.hub();
    let reply = request(hub, "GET /stats", "host: shop.example\r\n").await;
    reply.expect("an open hub", 200, "");
    // A proxy may put its own idea of the host into the request; the page's origin stays the public one.
    handshake(hub, "127.0.0.1", "origin: https://hub.example\r\n")
        .await
        .expect("/ws", 101, "");
    // Everyone is let in, but nobody may lock the owner out.
    let key = json!({"name": "mine", "scope": "admin"});
    let refused = support::post(&format!("{hub}/v1/keys"), &key).await;
    assert_eq!(refused.status, 403, "{}", refused.json());
    assert!(
        refused.json()["detail"]
            .as_str()
            .is_some_and(|text| text.contains("paybell keys create"))
    );
}

#[tokio::test]
async fn a_payer_s_token_opens_no_other_door() {
    let program = Program::demo(BLOCK_MS, &[]);
    let hub = program.hub();
    let own = create(hub, json!({})).await;
    let other = create(hub, json!({"expected_amount_usdt": "6"})).await;
    let text = |payment: &Value, name: &str| payment[name].as_str().expect("text").to_owned();
    let (id, own_id) = (text(&other, "payment_id"), text(&own, "payment_id"));
    let token = text(&own, "client_token");
    let headers = format!("host: localhost\r\nauthorization: Bearer {token}\r\n");
    for line in [
        format!("GET /payment_status/{id}"),
        format!("GET /v1/payments/{id}"),
        format!("GET /v1/payments/{id}/events"),
        format!("GET /v1/payments/{id}/events/stream"),
        format!("GET /v1/payments/{id}/qr.svg"),
        format!("POST /v1/payments/{id}/cancel"),
        format!("POST /v1/payments/{own_id}/cancel"),
        "GET /v1/payments".to_owned(),
        "POST /v1/payments".to_owned(),
        "POST /create_payment".to_owned(),
        "GET /v1/events".to_owned(),
        "GET /v1/events?wait=25".to_owned(),
        "GET /v1/events/stream".to_owned(),
        "GET /v1/deliveries".to_owned(),
    ] {
        request(hub, &line, &headers)
            .await
            .expect(&line, 403, "forbidden");
    }
    let mut socket = Socket::open(hub).await;
    socket
        .command(json!({"id": 1, "connect": {"token": token}}))
        .await;
    for channel in [format!("payment:{id}"), "payments".to_owned()] {
        let reply = socket
            .command(json!({"id": 2, "subscribe": {"channel": channel}}))
            .await;
        assert_eq!(reply["error"]["code"], "forbidden", "{reply}");
    }
}
