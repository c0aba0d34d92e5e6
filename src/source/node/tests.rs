//! The choice between a node's APIs, against a scripted node.

use serde_json::{Value, json};

use super::*;
use crate::clock::SystemClock;
use crate::source::fake_node::{FakeNode, Reply};
use crate::source::http::http_client;

const HEADER: &[u8] = include_bytes!("../fixtures/header.json");
const GET_BLOCK: &str = "/wallet/getblock";
const RPC: &str = "/jsonrpc";

fn usdt() -> Address {
    Address::from_tron("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t").expect("an address")
}

fn build(node: &FakeNode, change: impl FnOnce(&mut NodeConfig)) -> TronNode {
    let mut config = NodeConfig::new(node.url(), usdt());
    change(&mut config);
    let client = http_client().expect("a client");
    TronNode::new(&config, client, Arc::new(SystemClock)).expect("sound")
}

fn rpc_block() -> Value {
    json!({
        "number": "0x64", "hash": format!("0x{:016x}{}", 100, "52".repeat(24)),
        "parentHash": format!("0x{:016x}{}", 99, "52".repeat(24)), "timestamp": "0x69f1a931",
        "transactions": [],
    })
}

fn rpc(result: &Value) -> Reply {
    Reply::ok(
        json!({"jsonrpc": "2.0", "id": 0, "result": result})
            .to_string()
            .as_bytes(),
    )
}

fn rpc_refusal(code: i64, message: &str) -> Reply {
    let error = json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}});
    Reply::ok(error.to_string().as_bytes())
}

async fn span_of(source: &TronNode) -> Span {
    let head = source.rpc.head().await.expect("a head");
    Span {
        after: head,
        last: head,
    }
}

#[tokio::test]
async fn blocks_come_by_http_where_it_is_offered() {
    let node = FakeNode::start();
    node.answer(GET_BLOCK, Reply::ok(HEADER));
    let source = build(&node, |_| {});
    source.head().await.expect("a head");
    assert_eq!(node.paths(), [GET_BLOCK]);
    assert!(source.search_limits().is_some());
}

#[tokio::test]
async fn a_node_without_the_http_api_is_read_by_json_rpc_alone() {
    let node = FakeNode::start();
    node.answer(RPC, rpc(&rpc_block()));
    let source = build(&node, |_| {});
    assert_eq!(
        source.head().await.expect("a head").header.height,
        Height(100)
    );
    node.requests();
    source.final_head().await.expect("a head");
    source
        .header(Height(100))
        .await
        .expect("an answer")
        .expect("there");
    assert_eq!(node.paths(), [RPC, RPC], "it is not asked by HTTP again");
}

#[tokio::test]
async fn a_node_with_neither_tells_what_is_missing() {
    let node = FakeNode::start();
    let source = build(&node, |_| {});
    let error = source.head().await.expect_err("nothing there");
    assert!(
        matches!(error, SourceError::Status { code: 404, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn the_configuration_can_forbid_either() {
    let node = FakeNode::start();
    node.answer(GET_BLOCK, Reply::ok(HEADER))
        .answer(RPC, rpc(&rpc_block()));
    let http = build(&node, |config| config.api = Api::Http);
    assert!(http.search_limits().is_none());
    assert_eq!(http.headers(&[Height(1)]).await.expect("an answer"), None);
    let span = span_of(&http).await;
    node.requests();
    assert_eq!(http.search(span, &[usdt()]).await.expect("an answer"), None);
    assert!(node.paths().is_empty());

    let by_rpc = build(&node, |config| config.api = Api::JsonRpc);
    by_rpc.head().await.expect("a head");
    assert_eq!(node.paths(), [RPC]);
    let at_path = build(&node, |config| {
        config.api = Api::JsonRpc;
        config.url += "/v3/token";
    });
    at_path.head().await.expect_err("nothing there");
    assert_eq!(node.paths(), ["/v3/token"], "the URL is taken as it is");
}

/// JSON-RPC tells seconds: on a chain with shorter slots its times would not be the blocks' own.
#[tokio::test]
async fn half_seconds_are_not_searched() {
    let node = FakeNode::start();
    let source = build(&node, |config| config.slot_ms = 500);
    assert!(source.search_limits().is_none());
}

#[tokio::test]
async fn a_missing_shortcut_is_asked_for_once() {
    let node = FakeNode::start();
    let source = build(&node, |_| {});
    assert_eq!(source.headers(&[Height(1)]).await.expect("an answer"), None);
    assert_eq!(source.headers(&[Height(1)]).await.expect("an answer"), None);
    assert!(source.search_limits().is_none());
    assert_eq!(node.paths(), [RPC]);
}

/// Found by thinking it through: a provider that throttles searches, and nothing else, would have kept the hub from ever
/// catching up: each round asked for the head, searched, was told to pause, and began anew.
#[tokio::test]
async fn a_node_that_always_refuses_to_search_is_read_block_by_block() {
    let node = FakeNode::start();
    node.answer(RPC, rpc(&rpc_block()));
    let source = build(&node, |config| config.api = Api::JsonRpc);
    let span = span_of(&source).await;
    node.answer(RPC, Reply::Raw(Vec::new()));
    source
        .head()
        .await
        .expect("the script's earlier answer, once more");
    for _ in 1..FAILURES_IN_A_ROW {
        let error = source.search(span, &[usdt()]).await.expect_err("broken");
        assert!(!error.is_lasting(), "{error}");
    }
    assert_eq!(source.search(span, &[usdt()]).await.expect("without"), None);
    assert!(source.search_limits().is_none());
}

/// Found in review: a budget that ran out three times at a search cost the search itself; the catch-up then went on block
/// by block, with hundreds of times the requests.
#[tokio::test]
async fn a_spent_budget_is_no_reason_to_read_block_by_block() {
    let node = FakeNode::start();
    node.answer(RPC, rpc(&rpc_block()));
    let source = build(&node, |config| {
        config.api = Api::JsonRpc;
        config.budget.requests_per_day = Some(1);
    });
    let span = span_of(&source).await;
    for _ in 0..=FAILURES_IN_A_ROW {
        let error = source.search(span, &[usdt()]).await.expect_err("spent");
        assert!(matches!(error, SourceError::Budget { .. }), "{error}");
    }
    assert!(source.search_limits().is_some());
}

#[tokio::test]
async fn too_much_at_once_makes_the_spans_shorter() {
    let node = FakeNode::start();
    node.answer(RPC, rpc(&rpc_block()));
    let source = build(&node, |config| config.api = Api::JsonRpc);
    let span = span_of(&source).await;
    let mut limits = vec![source.search_limits().expect("offered").blocks];
    let refusal = "query returned more than 10000 results";
    node.answer(RPC, rpc_refusal(SourceError::RPC_TOO_MANY, refusal));
    // The script's earlier answer is given once more.
    source.head().await.expect("a head");
    loop {
        match source.search(span, &[usdt()]).await {
            Err(error) => assert!(error.means_too_much(), "{error}"),
            Ok(found) => {
                assert_eq!(found, None, "not even the shortest span");
                break;
            }
        }
        limits.push(source.search_limits().expect("offered").blocks);
    }
    assert!(
        limits.windows(2).all(|pair| pair[1] < pair[0]),
        "{limits:?}"
    );
    assert_eq!(limits.last(), Some(&MIN_SPAN_BLOCKS));
    assert!(source.search_limits().is_none(), "left alone for a while");
}
