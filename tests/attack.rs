//! A hostile client against the real binary: every bad input gets a 4xx that names the mistake, and the hub goes on.
//!
//! A panic shows as a connection without an answer, a hang as a time-out. What needs half a minute of silence to show
//! (peers that never read, requests that drip) is tested beside the code instead.

mod support;

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::ws::Socket;
use support::{BINARY, PATIENCE, Program, WALLET, create, get, node::Node, order_id, pay};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BLOCK_MS: u32 = 200;

/// What came back: the status, 0 for none, and the whole text.
struct Reply {
    status: u16,
    text: String,
}

impl Reply {
    /// That it has this status and, in its text, names the mistake.
    fn expect(&self, what: &str, status: u16, named: &str) {
        let right = self.status == status && self.text.contains(named);
        assert!(
            right,
            "{what}: wanted {status} {named:?}, got {}",
            self.text
        );
    }
}

/// Sends bytes as they are and reads until the end, or until the head of a switch of protocols.
async fn raw(base: &str, bytes: &[u8]) -> Reply {
    let authority = base.strip_prefix("http://").expect("http");
    let mut stream = TcpStream::connect(authority).await.expect("a connection");
    stream.write_all(bytes).await.expect("written");
    let mut answer = Vec::new();
    let reading = async {
        while !(answer.starts_with(b"HTTP/1.1 101") && answer.ends_with(b"\r\n\r\n")) {
            if stream.read_buf(&mut answer).await.expect("read") == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("an answer in time");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.get(9..12).and_then(|digits| digits.parse().ok());
    Reply {
        status: status.unwrap_or(0),
        text,
    }
}

/// A request line with these headers, and an end to the connection.
async fn request(base: &str, line: &str, headers: &str) -> Reply {
    let text = format!("{line} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    raw(base, text.as_bytes()).await
}

async fn post(base: &str, path: &str, body: &[u8]) -> Reply {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    raw(base, &[head.as_bytes(), body].concat()).await
}

/// A handshake for `/ws`, complete but for what `more` changes.
async fn handshake(base: &str, host: &str, more: &str) -> Reply {
    let head = format!(
        "GET /ws HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n{more}\r\n"
    );
    raw(base, head.as_bytes()).await
}

#[tokio::test]
async fn odd_requests_are_told_what_is_wrong_with_them() {
    let program = Program::demo(BLOCK_MS, &[]);
    let (hub, sandbox) = (program.hub(), program.url("sandbox"));
    let many_headers = "a: b\r\n".repeat(500);
    let giant_header = format!("a: {}\r\n", "x".repeat(100_000));
    let giant_path = format!("GET /{}", "x".repeat(70_000));
    for (line, headers, status, named) in [
        ("GET /v1/payments/%00", "", 404, "payment_not_found"),
        (
            "GET /v1/payments/..%2f..%2fhealth",
            "",
            404,
            "payment_not_found",
        ),
        ("GET /../health", "", 404, "not_found"),
        ("GET //ws", "", 404, "not_found"),
        (
            "GET /v1/payments?limit=99999999999999999999",
            "",
            400,
            "limit",
        ),
        ("GET /v1/payments?limit=1&limit=2", "", 400, "limit"),
        ("GET /v1/payments?after=%00", "", 400, "after"),
        ("GET /v1/events?after=1e5", "", 400, "after"),
        ("BREW /health", "", 405, "GET, HEAD, OPTIONS"),
        ("CONNECT evil.example:443", "", 405, "CONNECT"),
        ("OPTIONS *", "", 404, "not_found"),
        ("POST /ws", "", 405, "allow: GET"),
        ("GET /ws", "", 426, "upgrade"),
        (
            "GET /stats",
            "authorization: Bearer x\r\n",
            401,
            "invalid_token",
        ),
        ("GET /stats", "authorization: Basic x\r\n", 401, "Bearer"),
        ("POST /v1/payments", "content-length: -1\r\n", 400, ""),
        (
            "POST /v1/payments",
            "content-type: text/plain\r\n",
            415,
            "text/plain",
        ),
        (
            "POST /sandbox/transfer",
            "content-length: 0\r\n",
            400,
            "send for example",
        ),
        ("GET /health", &many_headers, 431, ""),
        ("GET /health", &giant_header, 431, ""),
        (&giant_path, "", 431, ""),
    ] {
        let what = line.chars().take(60).collect::<String>();
        request(hub, line, headers)
            .await
            .expect(&what, status, named);
    }
    // The chain's own port takes no harm from them either.
    for line in [
        "CONNECT evil.example:443",
        "GET evil.example:80",
        "OPTIONS *",
        "BREW /wallet/x",
    ] {
        let reply = request(sandbox, line, "host: localhost\r\n").await;
        assert!((200..500).contains(&reply.status), "{line}: {}", reply.text);
    }
    assert_eq!(get(&format!("{hub}/health")).await.status, 200);
}

#[tokio::test]
async fn odd_bodies_are_told_what_is_wrong_with_them() {
    let program = Program::demo(BLOCK_MS, &[]);
    let hub = program.hub();
    let fields = |more: &str| {
        let order = order_id();
        format!(
            r#"{{"wallet_address":"{WALLET}","expected_amount_usdt":"5","order_id":"{order}"{more}}}"#
        )
    };
    let amount = |text: &str| format!(r#"{{"expected_amount_usdt":{text}}}"#);
    let many: Vec<_> = (0..5_000).map(|n| format!(r#""k{n}":1"#)).collect();
    for (body, status, named) in [
        (String::new(), 400, "the body is empty"),
        ("[]".to_owned(), 400, "must be a JSON object"),
        ("[".repeat(30_000), 400, "invalid_json"),
        (
            format!(r#"{{"metadata":{}"#, "[".repeat(30_000)),
            400,
            "invalid_json",
        ),
        (amount("NaN"), 400, "NaN and Infinity are not numbers"),
        (amount("1e400"), 400, "cannot exceed"),
        (amount("1e-400"), 400, "more than 6 digits"),
        (amount("-5"), 400, "positive number"),
        (amount(r#""\ud800""#), 400, "positive number"),
        (amount(&"9".repeat(60_000)), 400, "more than 128 characters"),
        (
            r#"{"order_id":"\u0000"}"#.to_owned(),
            400,
            "control characters",
        ),
        (r#"{"a":1,"a":2}"#.to_owned(), 400, "more than once"),
        (
            format!("{{{}}}", many.join(",")),
            400,
            "more than 64 fields",
        ),
        (fields(r#","expires_in":-1"#), 400, "expires_in"),
        (
            fields(r#","tolerance":"340282366920938463463374607431768211456""#),
            400,
            "tolerance",
        ),
        (
            fields(r#","success_url":"javascript:alert(1)""#),
            400,
            "success_url",
        ),
        (
            fields(r#","callback_url":"https://[::ffff:169.254.169.254]/""#),
            400,
            "callback",
        ),
        (
            fields(r#","callback_url":"http://127.0.0.1@evil.example/""#),
            400,
            "callback",
        ),
        ("x".repeat(1_000_000), 413, "65536"),
    ] {
        let what = body.chars().take(60).collect::<String>();
        post(hub, "/v1/payments", body.as_bytes())
            .await
            .expect(&what, status, named);
    }
    let reply = post(hub, "/v1/payments", b"{\"order_id\":\"\xc3\x28\"}").await;
    reply.expect("not UTF-8", 400, "offset 13");
    for chunks in ["zz\r\n{}\r\n", "ffffffffffffffffff\r\n{}\r\n"] {
        let head =
            "POST /v1/payments HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
        let reply = raw(hub, format!("{head}{chunks}").as_bytes()).await;
        reply.expect(chunks, 400, "body_unreadable");
    }
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
        reply.expect(line, 421, "public_url");
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
async fn the_public_url_and_the_open_door_admit_more_hosts() {
    let node = Node::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = support::config(folder.path(), &node.url(), 1_000);
    settings["public_url"] = json!("https://pay.example/hub");
    let program = Program::serve(folder.path(), &settings);
    let hub = program.hub();
    for (host, status) in [
        ("pay.example", 200),
        ("PAY.example:443", 200),
        ("shop.example", 421),
    ] {
        let reply = request(hub, "GET /stats", &format!("host: {host}\r\n")).await;
        reply.expect(host, status, "");
    }
    // A proxy may put its own idea of the host into the request; the page's origin stays the public one.
    handshake(hub, "127.0.0.1", "origin: https://pay.example\r\n")
        .await
        .expect("/ws", 101, "");
    assert_eq!(program.terminate(), Some(0));
    settings["allow_unauthenticated"] = json!(true);
    let program = Program::serve(folder.path(), &settings);
    let reply = request(program.hub(), "GET /stats", "host: shop.example\r\n").await;
    reply.expect("an open hub", 200, "");
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
        format!("GET /v1/payments/{id}/qr.svg"),
        format!("POST /v1/payments/{id}/cancel"),
        format!("POST /v1/payments/{own_id}/cancel"),
        "GET /v1/payments".to_owned(),
        "POST /v1/payments".to_owned(),
        "POST /create_payment".to_owned(),
        "GET /v1/events".to_owned(),
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

#[tokio::test]
async fn odd_places_to_resume_from_start_afresh() {
    let program = Program::demo(BLOCK_MS, &[]);
    let payment = create(program.hub(), json!({})).await;
    let channel = format!("payment:{}", payment["payment_id"].as_str().expect("an id"));
    let mut socket = Socket::open(program.hub()).await;
    socket.command(json!({"id": 1, "connect": {}})).await;
    let subscribe =
        |since: Value| json!({"id": 2, "subscribe": {"channel": channel, "since": since}});
    let leave = json!({"id": 3, "unsubscribe": {"channel": channel}});
    let here = socket
        .command(subscribe(json!({"epoch": "another", "seq": 1})))
        .await;
    assert_eq!(here["subscribe"]["recovered"], false, "{here}");
    let epoch = &here["subscribe"]["epoch"];
    for sequence in [1_000_000, u64::MAX] {
        socket.command(leave.clone()).await;
        let reply = socket
            .command(subscribe(json!({"epoch": epoch, "seq": sequence})))
            .await;
        assert_eq!(reply["subscribe"]["recovered"], false, "{reply}");
        assert!(reply["subscribe"]["snapshot"].is_object(), "{reply}");
    }
    for sequence in [json!(-1), json!(1.5), json!("1"), json!(null)] {
        let reply = socket
            .command(subscribe(json!({"epoch": epoch, "seq": sequence})))
            .await;
        assert_eq!(reply["error"]["code"], "bad_request", "{reply}");
    }
}

#[tokio::test]
async fn a_crowd_of_idle_connections_does_not_keep_a_payment_from_being_seen() {
    let program = Program::with_descriptors(
        150,
        &[
            "demo",
            "--listen",
            "127.0.0.1:0",
            "--sandbox-listen",
            "127.0.0.1:0",
            "--block-ms",
            "100",
        ],
        &["hub", "sandbox"],
    );
    let hub = program.hub();
    let payment = create(hub, json!({})).await;
    let mut socket = Socket::follow(hub, &payment).await;
    let authority = hub.strip_prefix("http://").expect("http");
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(TcpStream::connect(authority).await.expect("a connection"));
    }
    pay(program.url("sandbox"), WALLET, "5").await;
    socket.event("payment.completed").await;
    drop(crowd);
    assert_eq!(get(&format!("{hub}/health")).await.status, 200);
}

#[test]
fn a_full_disk_under_stdout_is_a_failure_and_no_panic() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("Linux");
    let ended = Command::new(BINARY)
        .args(["check-config", "--config", "config.example.json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::from(full))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
}
