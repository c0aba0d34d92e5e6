//! The way through the router: paths, methods, callers, origins, pages; and a real connection for what only one shows.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use warp::Filter;
use warp::reply::Response;

use super::ApiSettings;
use super::testing::{Hub, NOW};

#[tokio::test]
async fn every_known_path_names_its_methods_and_every_other_is_404() {
    let hub = Hub::new();
    let (id, _) = hub.create("A", "5").await;
    let (read, write, both) = (
        "GET, HEAD, OPTIONS",
        "POST, OPTIONS",
        "GET, HEAD, POST, OPTIONS",
    );
    let each = "GET, HEAD, PATCH, DELETE, OPTIONS";
    let paths = [
        ("/".to_owned(), read),
        ("/assets/index.js".to_owned(), read),
        (format!("/pay/{id}"), read),
        ("/create_payment".to_owned(), write),
        (format!("/payment_status/{id}"), read),
        ("/health".to_owned(), read),
        ("/stats".to_owned(), read),
        ("/v1/payments".to_owned(), both),
        (format!("/v1/payments/{id}"), read),
        (format!("/v1/payments/{id}/cancel"), write),
        (format!("/v1/payments/{id}/qr.svg"), read),
        (format!("/v1/payments/{id}/events"), read),
        ("/v1/events".to_owned(), read),
        ("/v1/deliveries".to_owned(), read),
        ("/v1/deliveries/dlv_1_1".to_owned(), read),
        ("/v1/deliveries/dlv_1_1/redeliver".to_owned(), write),
        ("/v1/endpoints".to_owned(), both),
        ("/v1/endpoints/ep_1".to_owned(), each),
        ("/v1/endpoints/callbacks".to_owned(), read),
        ("/v1/endpoints/ep_1/rotate".to_owned(), write),
        ("/v1/endpoints/ep_1/test".to_owned(), write),
        ("/v1/endpoints/callbacks/recover".to_owned(), write),
    ];
    for (path, allow) in &paths {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW",
        ] {
            let request = warp::test::request().method(method).path(path).body("{}");
            let answer = hub.send(request).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("referrer-policy"), "no-referrer");
            assert!(
                answer
                    .header("content-security-policy")
                    .starts_with("default-src 'none'")
            );
            let allowed = allow.split(", ").any(|known| known == method);
            assert_eq!(answer.status == 405, !allowed, "{method} {path}");
            if !allowed {
                assert_eq!(answer.header("allow"), *allow);
                assert!(answer.error().contains(method));
            }
        }
        let options = hub
            .send(warp::test::request().method("OPTIONS").path(path))
            .await;
        assert_eq!((options.status, options.header("allow")), (204, *allow));
    }
    for path in [
        "/nothing",
        "/health/",
        "//health",
        "/v1",
        "/v1/",
        "/v1/payments/",
        "/v1/payments/x/y",
        "/v1/payments/x/cancel/z",
        "/v1/endpoints/ep_1/nothing",
        "/v1/endpoints/ep_1/test/x",
        "/v1/deliveries/dlv_1_1/redeliver/x",
        "/payment_status",
        "/payment_status/",
        "/payment_status/a/b",
        "/create_payment/x",
        "/v1/payments/%00",
        "/v1/payments/x",
        "/payment_status/not-a-uuid",
        "/payment_status/0190a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b",
        "/%F0%9F%98%80",
    ] {
        let answer = hub.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        answer.error();
    }
    let answer = hub.get("/payment_status/not-a-uuid").await;
    assert_eq!(answer.error(), "Payment ID not found");
}

#[tokio::test]
async fn a_payment_is_shown_alike_by_both_generations() {
    let hub = Hub::new();
    let (id, _) = hub.create("A", "5").await;
    let classic = hub.get(&format!("/payment_status/{id}")).await;
    let v1 = hub.get(&format!("/v1/payments/{id}")).await;
    assert_eq!((classic.status, v1.status), (200, 200));
    assert_eq!(classic.body, v1.body);
    assert_eq!(v1.header("cache-control"), "no-store");
    assert_eq!(v1.header("content-type"), "application/json");
    let json = classic.json();
    assert_eq!(json["created_at"], json!(1_672_531_200.123));
    assert_eq!(json["transaction_hash"], json!(null));
    assert!(json.get("client_token").is_none());
}

#[tokio::test]
async fn a_payment_is_cancelled_once() {
    let hub = Hub::new();
    let (id, _) = hub.create("A", "5").await;
    let path = format!("/v1/payments/{id}/cancel");
    let answer = hub.post(&path, "").await;
    assert_eq!(
        (answer.status, &answer.json()["status"]),
        (200, &json!("cancelled"))
    );
    let again = hub.post(&path, "{}").await;
    assert_eq!(again.status, 409);
    assert_eq!(again.json()["code"], "not_cancellable");
    assert_eq!(hub.post("/v1/payments/x/cancel", "").await.status, 404);
    let other = "/v1/payments/0190a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b/cancel";
    assert_eq!(hub.post(other, "").await.status, 404);
}

#[tokio::test]
async fn a_client_token_opens_its_own_payment_and_nothing_else() {
    let hub = Hub::new();
    let (own, token) = hub.create("A", "5").await;
    let (other, _) = hub.create("B", "6").await;
    for path in [
        format!("/payment_status/{own}"),
        format!("/v1/payments/{own}"),
        format!("/v1/payments/{own}/events"),
        format!("/v1/payments/{own}/qr.svg"),
    ] {
        assert_eq!(hub.get_as(&token, &path).await.status, 200, "{path}");
    }
    for path in [
        format!("/payment_status/{other}"),
        format!("/v1/payments/{other}"),
        format!("/v1/payments/{other}/events"),
        format!("/v1/payments/{other}/qr.svg"),
        "/v1/payments".to_owned(),
        "/v1/events".to_owned(),
        "/v1/deliveries".to_owned(),
        "/v1/deliveries/dlv_1_0".to_owned(),
        "/v1/endpoints".to_owned(),
        "/v1/endpoints/callbacks".to_owned(),
        "/stats".to_owned(),
        "/health".to_owned(),
        "/payment_status/x".to_owned(),
    ] {
        let answer = hub.get_as(&token, &path).await;
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(answer.json()["code"], "forbidden");
    }
    for path in [
        "/create_payment",
        "/v1/payments",
        &format!("/v1/payments/{own}/cancel"),
        "/v1/endpoints",
        "/v1/endpoints/callbacks/rotate",
        "/v1/endpoints/callbacks/recover",
        "/v1/deliveries/dlv_1_0/redeliver",
    ] {
        let request = warp::test::request().method("POST").path(path);
        let request = request.header("authorization", format!("Bearer {token}"));
        assert_eq!(hub.send(request.body("{}")).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_bad_credential_is_401_everywhere() {
    let hub = Hub::new();
    let (own, token) = hub.create("A", "5").await;
    let expired = hub.ctx.tokens.issue(own, NOW);
    let path = format!("/v1/payments/{own}");
    for header in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer pb_live_x".to_owned(),
        "Basic YTpi".to_owned(),
        token.clone(),
        format!("Bearer {expired}"),
        format!("Bearer {token}x"),
    ] {
        let request = warp::test::request().path(&path);
        let answer = hub.send(request.header("authorization", &header)).await;
        assert_eq!(answer.status, 401, "{header}");
        assert!(answer.header("www-authenticate").starts_with("Bearer "));
        answer.error();
    }
    let request = warp::test::request().path(&path);
    let request = request.header("authorization", format!("bearer {token}"));
    assert_eq!(hub.send(request).await.status, 200);
}

#[tokio::test]
async fn the_qr_code_is_black_on_white_and_sized() {
    let hub = Hub::new();
    let (id, _) = hub.create("A", "5").await;
    let answer = hub.get(&format!("/v1/payments/{id}/qr.svg")).await;
    assert_eq!(answer.header("content-type"), "image/svg+xml");
    let svg = String::from_utf8(answer.body.to_vec()).expect("text");
    for part in [
        "width=\"",
        "height=\"",
        "viewBox=\"0 0 ",
        "fill=\"#fff\"",
        "fill=\"#000\"",
    ] {
        assert!(svg.contains(part), "{part}");
    }
}

#[tokio::test]
async fn pages_are_tagged_and_not_sent_twice() {
    let hub = Hub::new();
    let page = hub.get("/").await;
    assert_eq!(
        (page.status, &page.body[..]),
        (200, &b"<!doctype html>"[..])
    );
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-cache");
    let tag = page.header("etag").to_owned();
    for header in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let request = warp::test::request()
            .path("/")
            .header("if-none-match", header);
        let again = hub.send(request).await;
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(again.header("etag"), tag);
    }
    let request = warp::test::request()
        .path("/")
        .header("if-none-match", "\"x\"");
    assert_eq!(hub.send(request).await.status, 200);
}

#[tokio::test]
async fn the_checkout_is_one_page_under_every_id_and_under_nothing_else() {
    let hub = Hub::new();
    for id in ["01937b5c-7c2e-7000-8000-000000000001", "nonsense", ""] {
        let page = hub.get(&format!("/pay/{id}")).await;
        assert_eq!((page.status, &page.body[..]), (200, &b"checkout"[..]));
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
    for path in ["/pay", "/pay/a/b", "/payments/a", "/pay/a/"] {
        assert_eq!(hub.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn what_shops_import_is_open_to_every_page_and_the_rest_is_not() {
    let hub = Hub::new();
    let ask = |path: &'static str, tag: &str| {
        let request = warp::test::request().path(path);
        let request = request.header("origin", "https://any-shop.example");
        hub.send(request.header("if-none-match", tag))
    };
    let shared = ask("/paybell.js", "\"x\"").await;
    let again = ask("/paybell.js", shared.header("etag")).await;
    for (answer, status) in [(&shared, 200), (&again, 304)] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
    }
    for path in ["/", "/pay/x", "/assets/index.js"] {
        let own = ask(path, "\"x\"").await;
        assert_eq!(own.status, 200);
        assert_eq!(own.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn foreign_pages_may_not_write_and_allowed_ones_may() {
    let hub = Hub::with(ApiSettings {
        allowed_origins: vec!["https://admin.example".to_owned()],
        ..ApiSettings::default()
    });
    let from = |origin: &'static str, method: &str| {
        warp::test::request()
            .method(method)
            .path("/v1/payments")
            .header("host", "127.0.0.1:5000")
            .header("origin", origin)
    };
    let foreign = hub
        .send(from("https://evil.example", "POST").body("{}"))
        .await;
    assert_eq!(foreign.status, 403);
    assert_eq!(foreign.json()["code"], "foreign_origin");
    assert_eq!(foreign.header("access-control-allow-origin"), "");
    let own = hub
        .send(from("http://127.0.0.1:5000", "POST").body("{}"))
        .await;
    assert_eq!(own.status, 400);
    let allowed = hub
        .send(from("https://admin.example", "POST").body("{}"))
        .await;
    assert_eq!(allowed.status, 400);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://admin.example"
    );
    assert_eq!(allowed.header("vary"), "origin");
    let preflight = hub.send(from("https://admin.example", "OPTIONS")).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        "GET, HEAD, POST, OPTIONS"
    );
    for header in [
        "authorization",
        "content-type",
        "idempotency-key",
        "last-event-id",
    ] {
        let allowed = preflight.header("access-control-allow-headers");
        assert!(allowed.contains(header), "{header}");
    }
    let refused = hub.send(from("https://evil.example", "OPTIONS")).await;
    assert_eq!(refused.header("access-control-allow-methods"), "");
}

#[tokio::test]
async fn other_content_types_are_refused() {
    let hub = Hub::new();
    for path in ["/create_payment", "/v1/payments"] {
        let request = warp::test::request().method("POST").path(path);
        let request = request.header("content-type", "text/plain").body("{}");
        let answer = hub.send(request).await;
        assert_eq!(answer.status, 415);
        assert!(answer.error().contains("text/plain"));
        let untyped = warp::test::request().method("POST").path(path).body("{}");
        assert_eq!(hub.send(untyped).await.status, 400);
    }
}

/// Serves the hub on a port of its own; what only a real connection shows is tried there.
async fn serve(hub: &Hub) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(warp::serve(hub.routes.clone()).incoming(listener).run());
    address
}

async fn exchange(address: std::net::SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request).await.expect("written");
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(15), reading)
        .await
        .expect("in time")
        .expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_head_request_gets_the_headers_only() {
    let hub = Hub::new();
    let address = serve(&hub).await;
    let request = b"HEAD /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = exchange(address, request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("content-length: ") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn long_bodies_get_their_answer_however_they_are_sent() {
    let hub = Hub::new();
    let address = serve(&hub).await;
    let head = "POST /create_payment HTTP/1.1\r\nhost: x\r\n";
    let long = "x".repeat(1_000_000);
    let announced = format!("{head}content-length: {}\r\n\r\n{long}", long.len());
    let chunked = format!(
        "{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    let expecting = format!("{head}content-length: 1000000\r\nexpect: 100-continue\r\n\r\n");
    for request in [announced, chunked, expecting] {
        let answer = exchange(address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("\"code\":\"body_too_large\""), "{answer}");
    }
}

#[tokio::test]
async fn unusual_targets_are_answered_like_any_other() {
    let hub = Hub::new();
    let address = serve(&hub).await;
    for (line, status) in [
        ("GET http://any.example/health HTTP/1.1", "200"),
        ("OPTIONS * HTTP/1.1", "404"),
        ("CONNECT any.example:443 HTTP/1.1", "405"),
        ("GET any.example:443 HTTP/1.1", "200"),
        ("GET /health?x=%ff HTTP/1.1", "200"),
        ("GET /%2e%2e/health HTTP/1.1", "404"),
    ] {
        let request = format!("{line}\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = exchange(address, request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{line}: {answer}"
        );
    }
}

#[tokio::test]
async fn what_other_filters_leave_is_still_answered_with_a_problem() {
    let hub = Hub::new();
    let greedy = warp::path("sandbox")
        .and(warp::post())
        .and(warp::body::bytes())
        .and_then(|_: bytes::Bytes| async { Err::<Response, _>(warp::reject::not_found()) });
    let together = greedy.or(hub.routes.clone()).unify();
    for (method, path, status) in [
        ("POST", "/sandbox", 400),
        ("GET", "/sandbox", 404),
        ("GET", "/health", 200),
    ] {
        let request = warp::test::request().method(method).path(path);
        let response = request.reply(&together).await;
        assert_eq!(response.status(), status);
        let content_type = response.headers()["content-type"].to_str().expect("text");
        assert!(content_type.contains("json"), "{content_type}");
    }
}
