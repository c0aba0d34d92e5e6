//! Tests of the JSON-RPC API against the shapes and limits of CHAINS.md section 3.

use super::*;
use crate::sandbox::chain::{Chain, ChainOptions};
use crate::sandbox::contracts::{USDT, address_word};
use crate::sandbox::counts::Counts;
use crate::sandbox::noise::{Kind, Payment};

const NOW: u64 = 1_800_000_000_000;
const SHOP: Address = Address::from_bytes([7; 20]);
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

fn chain() -> Chain {
    let options = ChainOptions {
        block_ms: 3000,
        seed: 3,
        noise_per_block: 4,
        kept_blocks: 20_000,
    };
    let mut chain = Chain::new(options, 40, NOW);
    for kind in [Kind::Transfer, Kind::Multi] {
        let to = vec![(Address::from_bytes([6; 20]), 1), (SHOP, 2)];
        let to = if kind == Kind::Multi {
            to
        } else {
            to[1..].to_vec()
        };
        let payment = Payment {
            from: Address::from_bytes([9; 20]),
            to,
            kind,
        };
        chain.submit_payment(&payment).expect("accepted");
        chain.produce(chain.next_time(NOW));
    }
    chain
}

fn post(chain: &mut Chain, body: &Value) -> Value {
    let mut counts = Counts::default();
    let mut node = Node {
        chain,
        counts: &mut counts,
        hit: None,
        now_ms: NOW,
    };
    let answer = answer(&mut node, body.to_string().as_bytes());
    assert_eq!(answer.status.as_u16(), 200);
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn call(chain: &mut Chain, method: &str, params: Value) -> Value {
    let answer = post(
        chain,
        &json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}),
    );
    assert_eq!(
        (&answer["id"], &answer["jsonrpc"]),
        (&json!(7), &json!("2.0"))
    );
    answer
}

fn result(chain: &mut Chain, method: &str, params: Value) -> Value {
    let answer = call(chain, method, params);
    assert!(answer.get("error").is_none(), "{answer}");
    answer["result"].clone()
}

fn error(chain: &mut Chain, method: &str, params: Value) -> (i64, String) {
    let answer = call(chain, method, params);
    let error = &answer["error"];
    (
        error["code"].as_i64().unwrap_or(0),
        error["message"].as_str().unwrap_or_default().to_owned(),
    )
}

fn to_shop() -> Value {
    json!([TRANSFER, null, [hex_bytes(&address_word(SHOP))]])
}

#[test]
fn heads_tags_and_absent_blocks() {
    let chain = &mut chain();
    assert_eq!(result(chain, "eth_blockNumber", json!([])), "0x2a");
    let head = result(chain, "eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(
        (&head["number"], &head["stateRoot"]),
        (&json!("0x2a"), &json!("0x"))
    );
    assert_eq!(head["timestamp"], quantity((NOW + 6000) / 1000));
    assert_eq!(
        result(chain, "eth_getBlockByNumber", json!(["finalized", false]))["number"],
        "0x18"
    );
    assert_eq!(
        result(chain, "eth_getBlockByNumber", json!(["earliest", false]))["number"],
        "0x0"
    );
    assert_eq!(
        result(chain, "eth_getBlockByHash", json!([head["hash"], false])),
        head
    );
    assert_eq!(
        result(chain, "eth_getBlockByNumber", json!(["0x2b", false])),
        Value::Null
    );
    assert_eq!(
        result(
            chain,
            "eth_getTransactionReceipt",
            json!([hex_bytes(&[1; 32])])
        ),
        Value::Null
    );
    for tag in ["pending", "safe", "nonsense"] {
        assert_eq!(
            error(chain, "eth_getBlockByNumber", json!([tag, false])).0,
            -32602,
            "{tag}"
        );
    }
    let full = result(chain, "eth_getBlockByNumber", json!(["latest", true]));
    let hashes: Vec<&Value> = full["transactions"]
        .as_array()
        .expect("list")
        .iter()
        .map(|tx| &tx["hash"])
        .collect();
    assert_eq!(json!(hashes), head["transactions"]);
    assert_eq!(
        result(chain, "eth_chainId", json!([]))
            .as_str()
            .map(str::len),
        Some(10)
    );
}

#[test]
fn logs_count_over_the_block_and_agree_with_receipts() {
    let chain = &mut chain();
    let usdt = hex_bytes(USDT.as_bytes());
    let logs = result(
        chain,
        "eth_getLogs",
        json!([{"fromBlock": "0x1", "toBlock": "latest", "address": usdt, "topics": to_shop()}]),
    );
    assert_eq!(logs.as_array().map(Vec::len), Some(2));
    for log in logs.as_array().expect("list") {
        let receipt = result(
            chain,
            "eth_getTransactionReceipt",
            json!([log["transactionHash"]]),
        );
        assert!(receipt["logs"].as_array().expect("list").contains(log));
        assert_eq!(
            (&receipt["status"], &log["removed"]),
            (&json!("0x1"), &json!(false))
        );
        let all = result(
            chain,
            "eth_getLogs",
            json!([{"blockHash": log["blockHash"]}]),
        );
        let indexes: Vec<String> = (0..all.as_array().expect("list").len() as u64)
            .map(quantity)
            .collect();
        let shown: Vec<&str> = all
            .as_array()
            .expect("list")
            .iter()
            .map(|log| log["logIndex"].as_str().expect("text"))
            .collect();
        assert_eq!(shown, indexes);
        let receipts = result(chain, "eth_getBlockReceipts", json!([log["blockNumber"]]));
        assert!(receipts.as_array().expect("list").contains(&receipt));
    }
    assert_eq!(
        result(chain, "eth_getBlockReceipts", json!(["0x99"])),
        Value::Null
    );
}

#[test]
fn ranges_clip_at_the_head_and_start_above_it_in_silence() {
    let chain = &mut chain();
    let logs = |chain: &mut Chain, from: &str, to: &str| {
        let filter = json!([{"fromBlock": from, "toBlock": to, "topics": to_shop()}]);
        result(chain, "eth_getLogs", filter)
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!(logs(chain, "0x29", "0xffff"), 2);
    assert_eq!(logs(chain, "0x2b", "0xffff"), 0);
    assert_eq!(logs(chain, "0x2a", "0x2a"), 1);
    let only_to = result(
        chain,
        "eth_getLogs",
        json!([{"toBlock": "0x29", "topics": to_shop()}]),
    );
    assert_eq!(only_to.as_array().map(Vec::len), Some(1));
}

#[test]
fn every_limit_has_its_code_and_words() {
    let chain = &mut chain();
    let words = |count: usize| vec![hex_bytes(&[1; 32]); count];
    let cases = [
        (
            json!({"fromBlock": "0x5", "toBlock": "0x4"}),
            "please verify: fromBlock <= toBlock",
        ),
        (json!({"fromBlock": "5"}), "Incorrect hex syntax"),
        (json!({"fromBlock": "pending"}), "TAG pending not supported"),
        (json!({"topics": [words(1001)]}), "exceed max topics: 1000"),
        (json!({"topics": words(5)}), "topics size should be <= 4"),
        (json!({"topics": ["0x12"]}), "invalid topic(s): 0x12"),
        (
            json!({"address": "0x41a614f803b6fd780986a42c78ec9c7f77e6ded13c"}),
            "invalid address: 0x41a6",
        ),
        (
            json!({"address": ["0x12"]}),
            "invalid address at index 0: 0x12",
        ),
        (
            json!({"address": vec![hex_bytes(&[1; 20]); 1001]}),
            "exceed max addresses: 1000",
        ),
        (json!({"address": 5}), "invalid addresses in query"),
        (
            json!({"blockHash": hex_bytes(&[1; 32])}),
            "invalid blockHash",
        ),
        (
            json!({"blockHash": hex_bytes(&[1; 32]), "fromBlock": "0x1"}),
            "cannot specify both",
        ),
    ];
    for (filter, text) in cases {
        let (code, message) = error(chain, "eth_getLogs", json!([filter]));
        assert_eq!(code, -32602, "{message}");
        assert!(message.starts_with(text), "{message}");
    }
    assert_eq!(
        result(chain, "eth_getLogs", json!([{"topics": [words(1000)]}])),
        json!([])
    );
    assert_eq!(error(chain, "eth_getLogs", json!([])).0, -32602);
    assert_eq!(
        error(chain, "eth_sendRawTransaction", json!(["0x"])).0,
        -32601
    );
}

#[test]
fn wide_ranges_and_long_results_are_refused() {
    let options = ChainOptions {
        block_ms: 3000,
        seed: 3,
        noise_per_block: 0,
        kept_blocks: 20_000,
    };
    let chain = &mut Chain::new(options, 5_010, NOW);
    let (code, message) = error(
        chain,
        "eth_getLogs",
        json!([{"fromBlock": "0x1", "toBlock": "latest"}]),
    );
    assert_eq!(
        (code, message.as_str()),
        (-32602, "exceed max block range: 5000")
    );
    assert_eq!(
        result(
            chain,
            "eth_getLogs",
            json!([{"fromBlock": "0xa", "toBlock": "latest"}])
        ),
        json!([])
    );
    for _ in 0..101 {
        let to = vec![(SHOP, 1); 100];
        let payment = Payment {
            from: Address::from_bytes([9; 20]),
            to,
            kind: Kind::Multi,
        };
        chain.submit_payment(&payment).expect("accepted");
    }
    chain.produce(chain.next_time(NOW));
    let (code, message) = error(chain, "eth_getLogs", json!([{"fromBlock": "0x100"}]));
    assert_eq!(
        (code, message.as_str()),
        (-32005, "query returned more than 10000 results")
    );
}

#[test]
fn batches_answer_in_order_up_to_a_hundred() {
    let chain = &mut chain();
    let single = |id: usize| json!({"jsonrpc": "2.0", "id": id, "method": "eth_blockNumber"});
    let batch: Vec<Value> = (0..100).map(single).collect();
    let answer = post(chain, &json!(batch));
    let ids: Vec<u64> = answer
        .as_array()
        .expect("list")
        .iter()
        .filter_map(|one| one["id"].as_u64())
        .collect();
    assert_eq!(ids, (0..100).collect::<Vec<_>>());
    let batch: Vec<Value> = (0..101).map(single).collect();
    assert_eq!(post(chain, &json!(batch))["error"]["code"], -32005);
    assert_eq!(post(chain, &json!([]))["error"]["code"], -32600);
    assert_eq!(post(chain, &json!({"id": 1}))["error"]["code"], -32600);
    let mut counts = Counts::default();
    let mut node = Node {
        chain,
        counts: &mut counts,
        hit: None,
        now_ms: NOW,
    };
    let broken: Value = serde_json::from_slice(&super::answer(&mut node, b"{").body).expect("JSON");
    assert_eq!(broken["error"]["code"], -32700);
}

#[test]
fn balances_can_be_called() {
    let chain = &mut chain();
    let data = format!("0x70a08231{}", hex::encode(address_word(SHOP)));
    let call = json!({"to": hex_bytes(USDT.as_bytes()), "data": data});
    assert_eq!(
        result(chain, "eth_call", json!([call, "latest"])),
        format!("{:#066x}", 4)
    );
    let (code, _) = error(chain, "eth_call", json!([call, "0x1"]));
    assert_eq!(code, -32602);
}
