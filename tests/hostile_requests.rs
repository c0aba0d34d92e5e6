//! What a hostile client tries against the real binary, over raw sockets: every attempt gets a plain answer or a closed
//! connection, and the hub goes on.

mod support;

use serde_json::json;
use support::{Program, create, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends bytes as they are and returns what came back until the server closed or fell silent.
async fn raw(base: &str, request: &[u8]) -> String {
    let authority = base.strip_prefix("http://").expect("http");
    let mut stream = TcpStream::connect(authority).await.expect("a connection");
    // A server that has answered early may have closed already.
    if stream.write_all(request).await.is_err() {
        return String::new();
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let read = async {
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
            if answer.windows(4).any(|w| w == b"\r\n\r\n") {
                break;
            }
        }
    };
    let ended = tokio::time::timeout(support::PATIENCE, read).await;
    assert!(
        ended.is_ok(),
        "hangs on {:?}",
        String::from_utf8_lossy(&request[..request.len().min(80)])
    );
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    let word = answer.split(' ').nth(1).unwrap_or_default();
    word.parse().unwrap_or(0)
}

/// Found by hand: a request target without a path made warp panic, on the hub's port and on the sandbox's.
#[tokio::test]
async fn odd_requests_are_refused_and_the_hub_goes_on() {
    let demo = Program::demo(200, &[]);
    let huge_header = format!(
        "GET /health HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "a".repeat(100_000)
    );
    let many_headers = format!(
        "GET /health HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        "x: y\r\n".repeat(5_000)
    );
    let huge_body = format!(
        "POST /v1/payments HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9000000000\r\n\r\n{}",
        "[".repeat(100_000)
    );
    let deep = "[".repeat(60_000);
    let deep = format!(
        "POST /create_payment HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{deep}",
        deep.len()
    );
    let requests: Vec<&[u8]> = vec![
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET example.com:443 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET http://evil.example/health HTTP/1.1\r\nhost: evil.example\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /%00%ff%2e%2e/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /v1/payments?limit=-1&limit=9e99&after=%ff HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"DELETE /create_payment HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 7\r\nsec-websocket-key: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS \r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /create_payment HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n\r\n",
        b"POST /create_payment HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}",
        huge_header.as_bytes(),
        many_headers.as_bytes(),
        huge_body.as_bytes(),
        deep.as_bytes(),
    ];
    for base in [demo.hub(), demo.url("sandbox")] {
        for request in &requests {
            let answer = raw(base, request).await;
            let what = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
            let code = status(&answer);
            assert!(code < 500, "{base} {what:?}: {answer}");
        }
        assert!(
            status(&raw(base, b"GET /v1/none HTTP/1.1\r\nhost: localhost\r\n\r\n").await) >= 400
        );
    }
    assert_eq!(get(&format!("{}/health", demo.hub())).await.status, 200);
}

/// Found by a helper's fresh eye: a page on a name that resolves to 127.0.0.1 is same-origin to its browser, and had the
/// run of a hub without keys.
#[tokio::test]
async fn a_page_under_a_foreign_name_gets_nothing() {
    let demo = Program::demo(200, &[]);
    create(demo.hub(), json!({})).await;
    for path in ["/health", "/", "/v1/payments", "/ws", "/sandbox/state"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: rebound.evil.example:5000\r\n\r\n");
        let answer = raw(demo.hub(), request.as_bytes()).await;
        assert_eq!(status(&answer), 421, "{path}: {answer}");
    }
    let local = raw(
        demo.hub(),
        b"GET /v1/payments HTTP/1.1\r\nhost: localhost:5000\r\n\r\n",
    )
    .await;
    assert_eq!(status(&local), 200, "{local}");
}
