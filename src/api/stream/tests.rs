//! Event streams tried as clients see them: the real server on a loopback port, a real HTTP client.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api::ApiSettings;
use crate::api::live::LiveLimits;
use crate::api::testing::{Hub, NOW};
use crate::domain::ids::{PaymentId, Sequence, UnixMs};
use crate::server;

/// Nothing in these tests takes this long; it only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);
const ORIGIN: &str = "https://shop.example";

struct Harness {
    hub: Hub,
    base: String,
    client: reqwest::Client,
    server: JoinHandle<()>,
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One record of a stream; comments and `retry` are records of their own.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    id: Option<String>,
    event: String,
    data: String,
}

struct Stream {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

impl Harness {
    async fn open() -> Self {
        Self::limited(LiveLimits::default()).await
    }

    async fn limited(limits: LiveLimits) -> Self {
        let settings = ApiSettings {
            allowed_origins: vec![ORIGIN.to_owned()],
            ..ApiSettings::default()
        };
        let hub = Hub::limited(settings, limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (routes, stopped) = (hub.routes.clone(), hub.shutdown.subscribe());
        let server = tokio::spawn(server::serve(listener, routes, 100, stopped, PATIENCE));
        let client = crate::source::http::http_client().unwrap();
        Self {
            hub,
            base,
            client,
            server,
        }
    }

    async fn ask(&self, path: &str, headers: &[(&'static str, &str)]) -> reqwest::Response {
        let mut request = self.client.get(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// An open stream whose `retry` line was read.
    async fn stream(&self, path: &str, headers: &[(&'static str, &str)]) -> Stream {
        let response = self.ask(path, headers).await;
        assert_eq!(response.status(), 200);
        let mut stream = Stream {
            response,
            buffer: Vec::new(),
        };
        assert_eq!(stream.text().await.unwrap(), "retry: 2000");
        stream
    }

    async fn resume(&self, path: &str, id: &str) -> Stream {
        self.stream(path, &[("last-event-id", id)]).await
    }

    async fn until_streams_are(&self, count: u64) {
        let waiting = async {
            while self.hub.ctx.live.seats.streams() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }
}

impl Stream {
    /// The next lines up to an empty one; nothing at the end of the stream.
    async fn text(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\n\n") {
                let rest = self.buffer.split_off(at + 2);
                let record = std::mem::replace(&mut self.buffer, rest);
                return Some(String::from_utf8(record[..at].to_vec()).unwrap());
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            match chunk.expect("something in time").unwrap() {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => {
                    assert!(self.buffer.is_empty(), "half a record");
                    return None;
                }
            }
        }
    }

    /// The next record that is no comment.
    async fn record(&mut self) -> Option<Record> {
        loop {
            let text = self.text().await?;
            let field = |name: &str| {
                let prefix = format!("{name}: ");
                let found = text.lines().find_map(|line| line.strip_prefix(&prefix));
                found.map(str::to_owned)
            };
            if !text.starts_with(':') {
                assert!(text.lines().count() <= 3, "{text}");
                return Some(Record {
                    id: field("id"),
                    event: field("event").unwrap(),
                    data: field("data").unwrap(),
                });
            }
        }
    }

    async fn expect(&mut self, id: Option<&str>, event: &str) -> Value {
        let record = self.record().await.expect("a record");
        assert_eq!((record.id.as_deref(), record.event.as_str()), (id, event));
        serde_json::from_str(&record.data).unwrap()
    }

    /// The number of the next event.
    async fn number(&mut self) -> u64 {
        let record = self.record().await.expect("an event");
        let event: Value = serde_json::from_str(&record.data).unwrap();
        let number = event["sequence"].as_u64().expect("a number");
        assert_eq!(record.id.unwrap(), format!("e1:{number}"));
        number
    }
}

fn path_of(id: PaymentId) -> String {
    format!("/v1/payments/{id}/events/stream")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_payment_s_stream_begins_with_a_snapshot_and_tells_what_happens() {
    let it = Harness::open().await;
    let (id, token) = it.hub.create("A", "5").await;
    let other = it.hub.create("B", "6").await.0;
    it.hub.announce();
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("origin", ORIGIN)];
    let mut stream = it.stream(&path_of(id), &headers).await;
    let answer = stream.response.headers();
    assert_eq!(header(answer, "content-type"), "text/event-stream");
    assert_eq!(header(answer, "cache-control"), "no-store");
    assert_eq!(header(answer, "x-accel-buffering"), "no");
    assert_eq!(header(answer, "access-control-allow-origin"), ORIGIN);
    let snapshot = stream.expect(Some("e1:2"), "snapshot").await;
    assert_eq!(
        (&snapshot["epoch"], &snapshot["seq"]),
        (&json!("e1"), &json!(2))
    );
    assert_eq!(snapshot["payment"]["payment_id"], json!(id.to_string()));
    assert_eq!(snapshot["payment"]["status"], "pending");

    it.hub.happen(Some(other));
    it.hub.happen(Some(id));
    it.hub.ctx.live.hub.progress(id, 7, 19);
    let event = stream.expect(Some("e1:4"), "payment.detected").await;
    assert_eq!(event["sequence"], 4);
    let progress = stream.expect(None, "progress").await;
    assert_eq!(progress, json!({"confirmations": 7, "required": 19}));

    let mut resumed = it.resume(&path_of(id), "e1:2").await;
    assert_eq!(resumed.number().await, 4);
}

#[tokio::test]
async fn the_stream_of_everything_starts_now_or_where_the_client_left_off() {
    let it = Harness::open().await;
    let all = "/v1/events/stream";
    for _ in 0..3 {
        it.hub.happen(None);
    }
    let mut now = it.stream(all, &[]).await;
    let hello = now.expect(Some("e1:3"), "hello").await;
    assert_eq!(hello, json!({"epoch": "e1", "seq": 3}));
    let mut resumed = it.resume(all, "e1:1").await;
    let mut by_query = it.stream(&format!("{all}?last_event_id=e1:2"), &[]).await;
    // What a browser does that comes back: the header is newer than the address it was given.
    let both = [("last-event-id", "e1:3")];
    let mut by_both = it.stream(&format!("{all}?last_event_id=e1:1"), &both).await;
    let mut empty = it.resume(&format!("{all}?last_event_id=e1:2"), "").await;
    it.hub.happen(None);
    assert_eq!(now.number().await, 4);
    for expected in 2..=4 {
        assert_eq!(resumed.number().await, expected);
    }
    for stream in [&mut by_query, &mut empty] {
        assert_eq!(stream.number().await, 3);
        assert_eq!(stream.number().await, 4);
    }
    assert_eq!(by_both.number().await, 4);
}

#[tokio::test]
async fn what_cannot_be_resumed_is_said_and_never_told_in_part() {
    let limits = LiveLimits {
        replay_events: 3,
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let id = it.hub.create("A", "5").await.0;
    it.hub.announce();
    for _ in 2..=10 {
        it.hub.happen(Some(id));
    }
    it.hub.store.rows().first = Some(Sequence(5));
    for last in ["e1:3", "e1:6", "e1:11", "e0:10", ":10", "e:1:10"] {
        let mut own = it.resume(&path_of(id), last).await;
        let snapshot = own.expect(Some("e1:10"), "snapshot").await;
        assert_eq!(snapshot["payment"]["order_id"], "A", "{last}");
        let mut all = it.resume("/v1/events/stream", last).await;
        let reset = all.expect(Some("e1:10"), "reset").await;
        assert_eq!(reset, json!({"epoch": "e1", "seq": 10, "first_seq": 5}));
    }
    let mut whole = it.resume("/v1/events/stream", "e1:7").await;
    assert_eq!(whole.number().await, 8);
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_by_what_is_wrong() {
    let it = Harness::open().await;
    for (path, headers, status, named) in [
        (
            "/v1/events/stream",
            vec![("last-event-id", "17")],
            400,
            "Last-Event-ID",
        ),
        (
            "/v1/events/stream",
            vec![("last-event-id", "e1:-1")],
            400,
            "<epoch>:<number>",
        ),
        (
            "/v1/events/stream?last_event_id=x",
            vec![],
            400,
            "last_event_id",
        ),
        (
            "/v1/events/stream?after=3",
            vec![],
            400,
            "unknown parameter",
        ),
        (
            "/v1/payments/nonsense/events/stream",
            vec![],
            404,
            "payment_not_found",
        ),
        ("/v1/events/stream/x", vec![], 404, "not_found"),
    ] {
        let answer = it.ask(path, &headers).await;
        assert_eq!(answer.status(), status, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(named), "{text}");
    }
    assert_eq!(it.hub.ctx.live.seats.streams(), 0);
}

#[tokio::test]
async fn a_client_token_opens_its_own_payment_s_stream_only() {
    let it = Harness::open().await;
    let (id, token) = it.hub.create("A", "5").await;
    let other = it.hub.create("B", "6").await.0;
    let unknown = PaymentId(uuid::Uuid::from_u128(9));
    let expired = it.hub.ctx.tokens.issue(id, UnixMs(NOW.0 - 1));
    let forged = crate::api::token::ClientTokens::new([9; 32]).issue(id, UnixMs(NOW.0 + 1000));
    for (path, token, status) in [
        (path_of(other), &token, 403),
        (path_of(unknown), &token, 403),
        ("/v1/events/stream".to_owned(), &token, 403),
        (path_of(id), &expired, 401),
        (path_of(id), &forged, 401),
        (path_of(id), &token, 200),
    ] {
        let bearer = format!("Bearer {token}");
        let answer = it.ask(&path, &[("authorization", &bearer)]).await;
        assert_eq!(answer.status(), status, "{path}");
    }
    assert_eq!(it.ask(&path_of(unknown), &[]).await.status(), 404);
}

#[tokio::test]
async fn head_tells_the_headers_and_starts_nothing() {
    let it = Harness::open().await;
    let id = it.hub.create("A", "5").await.0;
    for path in ["/v1/events/stream".to_owned(), path_of(id)] {
        let request = it.client.head(format!("{}{path}", it.base));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(
            header(answer.headers(), "content-type"),
            "text/event-stream"
        );
        assert_eq!(it.hub.ctx.live.seats.streams(), 0);
        let request = it.client.post(format!("{}{path}", it.base));
        let refused = request.send().await.unwrap();
        assert_eq!(refused.status(), 405);
        assert_eq!(header(refused.headers(), "allow"), "GET, HEAD, OPTIONS");
    }
    let ask = it.client.request(
        http::Method::OPTIONS,
        format!("{}/v1/events/stream", it.base),
    );
    let preflight = ask.header("origin", ORIGIN).send().await.unwrap();
    let allowed = header(preflight.headers(), "access-control-allow-headers");
    assert!(allowed.contains("last-event-id"), "{allowed}");
}

#[tokio::test]
async fn streams_take_the_sockets_seats_and_give_them_back() {
    let limits = LiveLimits {
        connections: 2,
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let first = it.stream("/v1/events/stream", &[]).await;
    let _second = it.stream("/v1/events/stream", &[]).await;
    let refused = it.ask("/v1/events/stream", &[]).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(header(refused.headers(), "retry-after"), "5");
    let stats = it.hub.get("/stats").await.json();
    assert_eq!(
        (&stats["streams"], &stats["sockets"]),
        (&json!(2), &json!(0))
    );
    let listening = Arc::strong_count(&it.hub.ctx.live.hub);
    drop(first);
    it.until_streams_are(1).await;
    assert_eq!(Arc::strong_count(&it.hub.ctx.live.hub), listening - 1);
    it.stream("/v1/events/stream", &[]).await;
}

#[tokio::test]
async fn a_quiet_stream_is_kept_alive() {
    let limits = LiveLimits {
        stream_ping_every: Duration::from_millis(20),
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let mut stream = it.stream("/v1/events/stream", &[]).await;
    stream.expect(Some("e1:0"), "hello").await;
    for _ in 0..3 {
        assert_eq!(stream.text().await.unwrap(), ": ping");
    }
}

/// Nothing runs while this thread publishes, so the queue overflows whatever the network's buffers hold.
#[tokio::test]
async fn a_slow_stream_is_told_and_ended_and_resumes() {
    let it = Harness::open().await;
    let mut stream = it.stream("/v1/events/stream", &[]).await;
    stream.expect(Some("e1:0"), "hello").await;
    it.hub.happen(None);
    assert_eq!(stream.number().await, 1);
    for _ in 0..257 {
        it.hub.happen(None);
    }
    let error = stream.expect(None, "error").await;
    assert_eq!(error, json!({"code": "slow"}));
    assert_eq!(stream.record().await, None);
    it.until_streams_are(0).await;
    let mut resumed = it.resume("/v1/events/stream", "e1:1").await;
    for expected in 2..=258 {
        assert_eq!(resumed.number().await, expected);
    }
}

#[tokio::test]
async fn a_shutdown_ends_streams_after_what_they_are_owed() {
    let limits = LiveLimits {
        shutdown_spread: Duration::from_millis(50),
        ..LiveLimits::default()
    };
    let it = Harness::limited(limits).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = it.stream("/v1/events/stream", &[]).await;
        stream.expect(Some("e1:0"), "hello").await;
        streams.push(stream);
    }
    it.hub.happen(None);
    it.hub.shutdown.send_replace(true);
    for mut stream in streams {
        assert_eq!(stream.number().await, 1);
        assert_eq!(stream.record().await, None);
    }
    it.until_streams_are(0).await;
    let refused = it.hub.get("/v1/events/stream").await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (503, &json!("shutting_down"))
    );
}

/// Comes and goes while events are published, and checks that it sees every one exactly once, in order.
async fn come_and_go(it: &Harness, last: u64, stay: u64) -> usize {
    let (mut seen, mut visits) = (0, 0);
    while seen < last {
        visits += 1;
        let mut stream = it.resume("/v1/events/stream", &format!("e1:{seen}")).await;
        for _ in 0..stay.min(last - seen) {
            let number = stream.number().await;
            assert_eq!(number, seen + 1);
            seen = number;
        }
    }
    visits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_arrives_exactly_once_in_order_while_streams_come_and_go() {
    const EVENTS: u64 = 3000;
    let limits = LiveLimits {
        replay_events: 10_000,
        replay_bytes: 10_000_000,
        ..LiveLimits::default()
    };
    let it = Arc::new(Harness::limited(limits).await);
    let mut clients = tokio::task::JoinSet::new();
    for n in 0..6 {
        let it = Arc::clone(&it);
        clients.spawn(async move { come_and_go(&it, EVENTS, 30 + 11 * n).await });
    }
    for seq in 1..=EVENTS {
        it.hub.happen(None);
        if seq % 15 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut visits = 0;
    while let Some(result) = clients.join_next().await {
        visits += result.expect("a client saw everything once");
    }
    assert!(visits > 150, "only {visits} visits: nothing was raced");
}
