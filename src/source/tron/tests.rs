//! The client against a scripted node: what it asks, what it believes, and what it says when
//! it believes nothing.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::*;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::domain::ids::UnixMs;
use crate::source::NodeConfig;
use crate::source::budget::BudgetLimits;
use crate::source::fake_node::{FakeNode, Reply};
use crate::source::http::http_client;

const HEADER: &[u8] = include_bytes!("../fixtures/header.json");
const HEADER_EMPTY: &[u8] = include_bytes!("../fixtures/header_empty.json");
const HEADER_GENESIS: &[u8] = include_bytes!("../fixtures/header_genesis.json");
const HEAD_FULL: &[u8] = include_bytes!("../fixtures/head_full.json");
const INFOS_BODY: &[u8] = include_bytes!("../fixtures/infos.json");
const HEIGHT: Height = Height(66_985_120);
const GET_BLOCK: &str = "/wallet/getblock";
/// Where the time limit is what is tested.
const SHORT: Duration = Duration::from_millis(300);
/// Where it is not, on however busy a machine.
const AMPLE: Duration = Duration::from_secs(10);

struct At(UnixMs);

impl Clock for At {
    fn now(&self) -> UnixMs {
        self.0
    }
}

fn usdt() -> Address {
    Address::from_tron("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t").expect("an address")
}

fn config(node: &FakeNode) -> NodeConfig {
    let mut config = NodeConfig::new(node.url(), usdt());
    config.http.total_timeout = AMPLE;
    config
}

fn build(config: NodeConfig) -> TronHttp {
    build_at(config, Arc::new(SystemClock))
}

fn build_at(config: NodeConfig, clock: Arc<dyn Clock>) -> TronHttp {
    let http = http_client().expect("a client");
    let connection = Connection::new(&config, http, clock).expect("sound");
    TronHttp::new(Arc::new(connection), config.contract)
}

fn client(node: &FakeNode) -> TronHttp {
    build(config(node))
}

fn fetched(body: &[u8]) -> FetchedHeader {
    tron_wire::parse_header(body)
        .expect("sound")
        .expect("there")
}

fn of_unknown_contents() -> FetchedHeader {
    FetchedHeader {
        contents: Contents::Unknown,
        ..fetched(HEADER)
    }
}

/// The error that the head question gets when the node answers so.
async fn head_error(reply: Reply) -> SourceError {
    let node = FakeNode::start();
    node.answer(GET_BLOCK, reply);
    client(&node).head().await.expect_err("an error")
}

#[tokio::test]
async fn questions_are_asked_as_the_api_wants_them() {
    let node = FakeNode::start();
    node.answer("/p/wallet/getblock", Reply::ok(HEADER))
        .answer("/p/walletsolidity/getblock", Reply::ok(HEADER))
        .answer(&format!("/p{INFOS}"), Reply::ok(INFOS_BODY));
    let mut with_key = config(&node);
    with_key.url += "/p/";
    with_key.api_key = Some("k-123".to_owned());
    let source = build(with_key);

    let head = source.head().await.expect("a head");
    assert_eq!(head, fetched(HEADER));
    assert_eq!(source.final_head().await.expect("a head"), head);
    assert_eq!(source.header(HEIGHT).await.expect("an answer"), Some(head));
    let block = source.block(&head).await.expect("a block");
    assert_eq!((block.header, block.transfers.len()), (head.header, 4));

    let requests = node.requests();
    let asked: Vec<(&str, &str)> = requests
        .iter()
        .map(|it| (it.path.as_str(), it.body.as_str()))
        .collect();
    assert_eq!(
        asked,
        [
            ("/p/wallet/getblock", r#"{"detail":false}"#),
            ("/p/walletsolidity/getblock", r#"{"detail":false}"#),
            (
                "/p/wallet/getblock",
                r#"{"id_or_num":"66985120","detail":false}"#
            ),
            (
                "/p/wallet/gettransactioninfobyblocknum",
                r#"{"num":66985120}"#
            ),
        ]
    );
    for request in &requests {
        assert!(request.headers.starts_with("post "));
        for line in [
            "tron-pro-api-key: k-123\r\n",
            "content-type: application/json\r\n",
            concat!("user-agent: paybell/", env!("CARGO_PKG_VERSION"), "\r\n"),
        ] {
            assert!(request.headers.contains(line), "{}", request.headers);
        }
        assert!(!request.headers.contains("accept-encoding"));
    }
    assert!(node.url().ends_with(source.name()));
    assert_eq!(source.usage().requests_today, 4);
}

#[tokio::test]
async fn an_absent_height_is_none_and_an_absent_head_is_not_ready() {
    let node = FakeNode::start();
    node.answer(GET_BLOCK, Reply::ok(b"{}\n"));
    let source = client(&node);
    assert_eq!(source.header(HEIGHT).await.expect("an answer"), None);
    assert!(matches!(
        source.head().await,
        Err(SourceError::NotReady { .. })
    ));
    node.answer(GET_BLOCK, Reply::ok(HEADER));
    assert_eq!(source.header(HEIGHT).await.expect("an answer"), None);
    assert!(matches!(
        source.header(Height(1)).await,
        Err(SourceError::Mismatch { .. })
    ));
}

#[tokio::test]
async fn a_node_without_getblock_is_asked_the_old_way_from_then_on() {
    for refusal in [
        Reply::status(
            404,
            "",
            br#"{"Error":"this API is unavailable due to config"}"#,
        ),
        Reply::status(405, "", b""),
        Reply::status(501, "", b""),
        Reply::ok(b"this API is closed because this node is a lite fullnode\n"),
    ] {
        let node = FakeNode::start();
        node.answer(GET_BLOCK, refusal.clone())
            .answer("/walletsolidity/getblock", refusal)
            .answer("/wallet/getnowblock", Reply::ok(HEAD_FULL))
            .answer("/walletsolidity/getnowblock", Reply::ok(HEAD_FULL))
            .answer(BLOCK_BY_NUMBER, Reply::ok(HEAD_FULL));
        let source = client(&node);
        let head = fetched(HEADER);
        assert_eq!(source.head().await.expect("a head"), head);
        assert_eq!(source.header(HEIGHT).await.expect("one"), Some(head));
        assert_eq!(source.final_head().await.expect("a head"), head);
        assert_eq!(source.final_head().await.expect("a head"), head);
        assert_eq!(
            node.paths(),
            [
                GET_BLOCK,
                "/wallet/getnowblock",
                BLOCK_BY_NUMBER,
                "/walletsolidity/getblock",
                "/walletsolidity/getnowblock",
                "/walletsolidity/getnowblock",
            ]
        );
    }
}

#[tokio::test]
async fn a_node_without_any_blocks_api_is_tried_anew_each_time() {
    let node = FakeNode::start();
    let source = client(&node);
    for _ in 0..2 {
        let error = source.head().await.expect_err("an error");
        assert!(matches!(error, SourceError::Status { code: 404, .. }));
        assert!(error.is_endpoint_fault());
        assert_eq!(node.paths(), [GET_BLOCK, "/wallet/getnowblock"]);
    }
}

#[tokio::test]
async fn an_empty_list_is_believed_only_after_a_second_look() {
    let hash = fetched(HEADER).header.hash.to_string();
    let empty_block = format!(r#"{{"blockID":"{hash}","transactions":[]}}"#);
    let other_block = empty_block.replace(&hash, &"0".repeat(64));
    for nothing in [&b"[]"[..], b"{}"] {
        let node = FakeNode::start();
        node.answer(INFOS, Reply::ok(nothing))
            .answer(BLOCK_BY_NUMBER, Reply::ok(HEAD_FULL))
            .answer(BLOCK_BY_NUMBER, Reply::ok(other_block.as_bytes()))
            .answer(BLOCK_BY_NUMBER, Reply::ok(b"{}"))
            .answer(BLOCK_BY_NUMBER, Reply::ok(empty_block.as_bytes()));
        let source = client(&node);
        let header = of_unknown_contents();
        let error = source.block(&header).await.expect_err("logs are missing");
        assert!(matches!(error, SourceError::NotReady { .. }), "{error}");
        assert!(!error.is_endpoint_fault());
        let error = source.block(&header).await.expect_err("another block");
        assert!(matches!(error, SourceError::Mismatch { .. }), "{error}");
        let error = source.block(&header).await.expect_err("no block");
        assert!(matches!(error, SourceError::NotReady { .. }), "{error}");
        let block = source.block(&header).await.expect("an empty block");
        assert!(block.transfers.is_empty());
        assert_eq!(node.paths().len(), 8);
    }
}

#[tokio::test]
async fn a_block_that_says_it_is_empty_costs_one_request() {
    let node = FakeNode::start();
    node.answer(BLOCK_BY_NUMBER, Reply::ok(HEADER_EMPTY));
    let source = client(&node);
    let block = source.block(&fetched(HEADER_EMPTY)).await.expect("a block");
    assert!(block.transfers.is_empty());
    assert_eq!(node.paths(), [BLOCK_BY_NUMBER]);
}

/// A node that writes a zero root into every header must not make the hub miss its payments.
#[tokio::test]
async fn a_root_that_lies_is_found_out_and_not_believed_again() {
    let node = FakeNode::start();
    node.answer(BLOCK_BY_NUMBER, Reply::ok(HEAD_FULL))
        .answer(INFOS, Reply::ok(b"[]"))
        .answer(INFOS, Reply::ok(INFOS_BODY));
    let source = client(&node);
    let header = FetchedHeader {
        contents: Contents::Empty,
        ..fetched(HEADER)
    };
    let error = source.block(&header).await.expect_err("logs are missing");
    assert!(matches!(error, SourceError::NotReady { .. }), "{error}");
    assert_eq!(node.paths(), [BLOCK_BY_NUMBER, INFOS, BLOCK_BY_NUMBER]);
    assert_eq!(source.block(&header).await.expect("it").transfers.len(), 4);
    assert_eq!(node.paths(), [INFOS]);
}

#[tokio::test]
async fn where_no_second_look_is_to_be_had_root_and_empty_list_together_are_believed() {
    let node = FakeNode::start();
    node.answer(INFOS, Reply::ok(b"[]"));
    let source = client(&node);
    let said_empty = fetched(HEADER_EMPTY);
    assert!(source.block(&said_empty).await.is_ok());
    assert!(matches!(
        source.block(&of_unknown_contents()).await,
        Err(SourceError::Status { code: 404, .. })
    ));
}

#[tokio::test]
async fn the_genesis_block_needs_no_logs() {
    let node = FakeNode::start();
    let source = client(&node);
    let block = source
        .block(&fetched(HEADER_GENESIS))
        .await
        .expect("a block");
    assert!(block.transfers.is_empty());
    assert!(node.paths().is_empty());
}

#[tokio::test]
async fn infos_of_a_competing_block_are_a_mismatch() {
    let node = FakeNode::start();
    node.answer(INFOS, Reply::ok(INFOS_BODY));
    let mut header = fetched(HEADER);
    header.header.time = header.header.time.plus_seconds(3);
    let error = client(&node).block(&header).await.expect_err("a mismatch");
    assert!(matches!(error, SourceError::Mismatch { .. }), "{error}");
}

#[tokio::test]
async fn broken_answers_say_what_broke() {
    let cut = Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"blockID\"".to_vec());
    let error = head_error(cut).await;
    assert!(matches!(error, SourceError::Transport { .. }), "{error}");

    let error = head_error(Reply::Raw(Vec::new())).await;
    assert!(matches!(error, SourceError::Transport { .. }), "{error}");

    let html = b"<html><h1>502 Bad Gateway</h1></html>";
    let error = head_error(Reply::status(502, "content-type: text/html\r\n", html)).await;
    assert!(matches!(error, SourceError::Status { code: 502, .. }));
    assert!(error.to_string().contains("502 Bad Gateway"), "{error}");

    let error = head_error(Reply::ok(&HEADER[..100])).await;
    assert!(matches!(error, SourceError::Malformed { .. }), "{error}");

    let error = head_error(Reply::ok(br#"{"Error":"class java.lang.Oops : null"}"#)).await;
    assert!(matches!(error, SourceError::NodeError { .. }), "{error}");
    assert!(error.is_endpoint_fault());

    let moved = Reply::status(302, "location: http://127.0.0.1:1/\r\n", b"");
    let error = head_error(moved).await;
    assert!(matches!(error, SourceError::Status { code: 302, .. }));
}

#[tokio::test]
async fn the_content_type_is_not_what_makes_json() {
    let node = FakeNode::start();
    node.answer(
        GET_BLOCK,
        Reply::status(200, "content-type: text/plain\r\n", HEADER),
    );
    assert!(client(&node).head().await.is_ok());
}

#[tokio::test]
async fn slow_answers_end_at_the_time_limit() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{".to_vec();
    for reply in [
        Reply::Silence,
        Reply::Drip(head, Duration::from_millis(10)),
        Reply::Drip(b"HTTP/1.1 200 OK\r\nx:".to_vec(), Duration::from_millis(10)),
    ] {
        let node = FakeNode::start();
        node.answer(GET_BLOCK, reply);
        let mut hasty = config(&node);
        hasty.http.total_timeout = SHORT;
        let source = build(hasty);
        let started = Instant::now();
        let error = source.head().await.expect_err("an error");
        assert!(matches!(error, SourceError::Timeout { .. }), "{error}");
        assert!(started.elapsed() >= SHORT && started.elapsed() < AMPLE);
    }
}

#[tokio::test]
async fn answers_over_the_limit_are_not_read() {
    let told = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{".to_vec();
    let untold = b"HTTP/1.1 200 OK\r\n\r\n{".to_vec();
    for reply in [
        Reply::Raw(told),
        Reply::Drip(untold, Duration::from_micros(10)),
    ] {
        let node = FakeNode::start();
        node.answer(GET_BLOCK, reply);
        let mut small = config(&node);
        small.http.response_bytes = 100;
        let error = build(small).head().await.expect_err("an error");
        assert!(
            matches!(
                error,
                SourceError::TooLarge {
                    limit_bytes: 100,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn nobody_listening_is_a_transport_error_with_its_cause() {
    let mut config = NodeConfig::new("http://127.0.0.1:1/secret-token", usdt());
    config.api_key = Some("hidden-key".to_owned());
    let error = build(config).head().await.expect_err("an error");
    let text = format!("{error} {error:?}");
    assert!(matches!(error, SourceError::Transport { .. }), "{text}");
    assert!(error.to_string().contains("refused"), "{text}");
    assert!(
        !text.contains("secret-token") && !text.contains("hidden-key"),
        "{text}"
    );
}

#[tokio::test]
async fn an_echoed_key_is_not_passed_on() {
    let node = FakeNode::start();
    let body = br#"{"Error":"ApiKey 0123-4567 not exists at /some-path-token"}"#;
    node.answer(
        "/some-path-token/wallet/getblock",
        Reply::status(401, "", body),
    );
    let mut config = config(&node);
    config.url += "/some-path-token";
    config.api_key = Some("0123-4567".to_owned());
    let error = build(config).head().await.expect_err("an error");
    assert!(matches!(error, SourceError::Status { code: 401, .. }));
    assert!(
        error.to_string().contains("ApiKey *** not exists at /***"),
        "{error}"
    );
}

/// Asks a node that throttles twice and returns the two errors: the second is our own restraint.
async fn twice_throttled(reply: Reply) -> (SourceError, SourceError) {
    let node = FakeNode::start();
    node.answer(GET_BLOCK, reply);
    let clock = Arc::new(At(UnixMs(1_777_437_762_000)));
    let source = build_at(config(&node), clock);
    let errors = (
        source.head().await.expect_err("throttled"),
        source.head().await.expect_err("held back"),
    );
    assert_eq!(node.paths().len(), 1, "the second request is never sent");
    assert!(source.usage().refuses_until.is_some());
    errors
}

#[tokio::test]
async fn pauses_are_obeyed() {
    let suspended = include_bytes!("../fixtures/suspended_403.json");
    let daily = include_bytes!("../fixtures/daily_403.json");
    let throttled = include_bytes!("../fixtures/throttled_429.json");
    let resources = include_bytes!("../fixtures/error_resources.json");
    let cases = [
        (Reply::status(403, "", suspended), 30_000),
        (Reply::status(429, "", suspended), 30_000),
        (Reply::status(429, "retry-after: 7\r\n", throttled), 7_000),
        (Reply::status(429, "", throttled), 1_000),
        (Reply::status(429, "", b"<html>slow down"), 1_000),
        (Reply::status(403, "", daily), 1_100),
        (Reply::ok(resources), 1_000),
    ];
    for (reply, pause_ms) in cases {
        let (told, held_back) = twice_throttled(reply).await;
        let pause = Some(Duration::from_millis(pause_ms));
        assert_eq!(told.retry_after(), pause, "{told}");
        assert!(!told.is_endpoint_fault());
        assert!(
            matches!(held_back, SourceError::Budget { .. }),
            "{held_back}"
        );
        assert_eq!(held_back.retry_after(), pause);
    }
}

#[tokio::test]
async fn a_request_waits_for_its_turn() {
    let node = FakeNode::start();
    node.answer(GET_BLOCK, Reply::ok(HEADER));
    let mut paced = config(&node);
    paced.budget = BudgetLimits {
        requests_per_second: NonZeroU32::new(2),
        requests_per_day: Some(3),
    };
    let source = build(paced);
    let started = Instant::now();
    for _ in 0..3 {
        source.head().await.expect("a head");
    }
    assert!(started.elapsed() >= Duration::from_secs(1));
    let error = source.head().await.expect_err("the day is spent");
    assert!(matches!(error, SourceError::Budget { .. }), "{error}");
    assert_eq!(source.usage().requests_left_today, Some(0));
}
