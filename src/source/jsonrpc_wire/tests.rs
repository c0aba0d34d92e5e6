//! Shapes of java-tron's JSON-RPC, whole, damaged and refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const HASH: &str = "0x0000000003fe262d52bf5a2c1e0f4b7d9a8c6e4f2b1d3c5e7f9a0b1c2d3e4f50";
const OTHER: &str = "0x0000000003fe262d52bf5a2c1e0f4b7d9a8c6e4f2b1d3c5e7f9a0b1c2d3e4fff";
const TOPIC: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

fn usdt() -> Address {
    Address::from_tron("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t").expect("an address")
}

fn block_hash(text: &str) -> BlockHash {
    BlockHash::from_hex(text).expect("a hash")
}

/// As java-tron fills it: Ethereum's fields, with constants where TRON has nothing to say.
fn wire_block() -> Value {
    json!({
        "number": "0x3fe262d", "hash": HASH,
        "parentHash": "0x0000000003fe262c85cd0000000000000000000000000000000000000000000a",
        "nonce": "0x0000000000000000", "stateRoot": "0x", "miner": "0xb2f713d5b0c1a4e3f7c5d9e2b1a0f9e8d7c6b5a4",
        "timestamp": "0x69f1a931", "gasLimit": "0x0", "logsBloom": format!("0x{}", "0".repeat(512)),
        "transactions": [format!("0x{}", "ab".repeat(32))], "uncles": [],
    })
}

fn log(index: u64) -> Value {
    json!({
        "logIndex": format!("{index:#x}"), "transactionIndex": "0x0",
        "transactionHash": format!("0x{}", "cd".repeat(32)), "blockHash": HASH, "blockNumber": "0x3fe262d",
        "address": "0xa614f803b6fd780986a42c78ec9c7f77e6ded13c", "data": format!("0x{:064x}", 5_000_000 + index),
        "topics": [TOPIC, format!("0x{:0>64}", "11".repeat(20)), format!("0x{:0>64}", "22".repeat(20))],
        "removed": false,
    })
}

fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    *value.pointer_mut(pointer).expect("there") = new;
    value
}

fn logs(list: &[Value]) -> Result<Vec<LocatedTransfer>, WireError> {
    parse_logs(&Value::from(list).to_string(), usdt())
}

#[test]
fn a_block_is_read_whatever_constants_surround_it() {
    let fetched = parse_block(&wire_block().to_string()).expect("sound");
    assert_eq!(fetched.header.height, Height(0x3fe_262d));
    assert_eq!(fetched.header.hash, block_hash(HASH));
    assert_eq!(fetched.header.time, UnixMs(0x69f1_a931 * 1000));
    assert_eq!(fetched.contents, Contents::NotEmpty);
    let contents = |transactions: Value| {
        let block = with(wire_block(), "/transactions", transactions);
        parse_block(&block.to_string()).expect("sound").contents
    };
    assert_eq!(contents(json!([])), Contents::Empty);
    assert_eq!(contents(Value::Null), Contents::Unknown);
}

#[test]
fn a_block_that_lacks_something_is_refused_with_the_path() {
    for field in ["number", "hash", "parentHash", "timestamp"] {
        for wrong in [
            Value::Null,
            json!("0x"),
            json!("12"),
            json!("0xzz"),
            json!("0x+1"),
        ] {
            let block = with(wire_block(), &format!("/{field}"), wrong.clone());
            match parse_block(&block.to_string()) {
                Err(WireError::Malformed { path, .. }) => assert_eq!(path, field, "{wrong}"),
                other => panic!("{field} {wrong}: {other:?}"),
            }
        }
    }
    let far = with(wire_block(), "/timestamp", json!("0xffffffffffffffff"));
    assert!(parse_block(&far.to_string()).is_err());
}

#[test]
fn transfers_are_read_with_the_block_that_they_name() {
    let found = logs(&[log(3), log(0x1f)]).expect("sound");
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[1].height, found[1].hash),
        (Height(0x3fe_262d), block_hash(HASH))
    );
    let transfer = found[1].transfer;
    assert_eq!(transfer.log_index, 0x1f);
    assert_eq!(transfer.amount.base_units(), 5_000_031);
    assert_eq!(transfer.from, Address::from_bytes([0x11; 20]));
    assert_eq!(transfer.to, Address::from_bytes([0x22; 20]));
    assert_eq!(transfer.txid, TxId([0xcd; 32]));
}

/// A node may pass over the filter; what is not the token's transfer is not taken for one.
#[test]
fn logs_of_others_and_of_no_value_are_left_out() {
    let foreign = with(
        log(0),
        "/address",
        json!("0xa614f803b6fd780986a42c78ec9c7f77e6ded13d"),
    );
    let approval = with(log(0), "/topics/0", json!(format!("0x{}", "8c".repeat(32))));
    let nothing = with(log(0), "/data", json!(format!("0x{}", "00".repeat(32))));
    assert_eq!(logs(&[foreign, approval, nothing]).expect("sound"), []);
}

#[test]
fn a_log_that_cannot_be_read_spoils_the_answer() {
    for (pointer, path) in [
        ("/data", "[1].data"),
        ("/topics/2", "[1].topics[2]"),
        ("/logIndex", "[1].logIndex"),
        ("/blockHash", "[1].blockHash"),
        ("/blockNumber", "[1].blockNumber"),
        ("/transactionHash", "[1].transactionHash"),
    ] {
        let spoilt = with(log(1), pointer, json!("0x12zz"));
        match logs(&[log(0), spoilt]) {
            Err(WireError::Malformed { path: found, .. }) => assert_eq!(found, path),
            other => panic!("{pointer}: {other:?}"),
        }
    }
    let removed = with(log(0), "/removed", json!(true));
    assert!(matches!(logs(&[removed]), Err(WireError::Mismatch { .. })));
    assert!(logs(&[with(log(0), "/logIndex", json!("0x100000000"))]).is_err());
}

#[test]
fn receipts_tell_a_blocks_transfers_and_failed_ones_do_not_count() {
    let receipt = |hash: &str, status: &str, logs: Vec<Value>| json!({"blockHash": hash, "status": status, "logs": logs});
    let read =
        |list: Vec<Value>| parse_receipts(&Value::from(list).to_string(), block_hash(HASH), usdt());
    let found = read(vec![
        receipt(HASH, "0x1", vec![log(0), log(1)]),
        receipt(HASH, "0x0", vec![log(2)]),
        receipt(HASH, "0x1", vec![]),
    ])
    .expect("sound");
    assert_eq!((found.transactions, found.transfers.len()), (3, 2));
    assert!(matches!(
        read(vec![receipt(OTHER, "0x1", vec![])]),
        Err(WireError::Mismatch { .. })
    ));
    assert!(read(vec![json!({"status": "0x1"})]).is_err());
}

#[test]
fn answers_are_results_nothing_or_the_nodes_refusal() {
    let read = |text: &str| parse_answer(text.as_bytes()).map(|found| found.map(str::to_owned));
    assert_eq!(
        read(r#"{"id":0,"result":"0x1"}"#)
            .expect("sound")
            .as_deref(),
        Some(r#""0x1""#)
    );
    assert_eq!(read(r#"{"id":0,"result":null}"#).expect("sound"), None);
    let refused = read(
        r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32005,"message":"too many","data":"{}"}}"#,
    );
    assert!(matches!(refused, Err(WireError::Rpc { code: -32005, text }) if text == "too many"));
    assert!(matches!(
        read("this API is closed"),
        Err(WireError::NotJson { .. })
    ));
    assert!(read("[]").is_err());
}

#[test]
fn a_batch_is_put_in_order_and_must_be_whole() {
    let text = |body: &str, count| {
        let outcomes = parse_batch(body.as_bytes(), count)?;
        let each = outcomes
            .into_iter()
            .map(|outcome| Ok(outcome?.map(str::to_owned)));
        each.collect::<Result<Vec<_>, WireError>>()
    };
    let found = text(r#"[{"id":1,"result":1},{"id":0,"result":0}]"#, 2).expect("sound");
    assert_eq!(found, [Some("0".to_owned()), Some("1".to_owned())]);
    for wrong in [
        r#"[{"id":0,"result":0}]"#,
        r#"[{"id":0,"result":0},{"id":0,"result":0}]"#,
        r#"[{"id":0,"result":0},{"id":2,"result":0}]"#,
        r#"[{"id":0,"result":0},{"id":"x","result":0}]"#,
        r#"{"id":0,"result":0}"#,
        "[]",
    ] {
        assert!(text(wrong, 2).is_err(), "{wrong}");
    }
    let whole = r#"{"id":null,"error":{"code":-32005,"message":"Batch size 101 exceeds the limit of 100"}}"#;
    assert!(matches!(
        text(whole, 2),
        Err(WireError::Rpc { code: -32005, .. })
    ));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _read = (parse_block(&text), parse_logs(&text, usdt()), parse_receipts(&text, block_hash(HASH), usdt()));
        let _enveloped = (parse_answer(text.as_bytes()).is_ok(), parse_batch(&bytes, 2).is_ok());
    }

    #[test]
    fn no_damaged_log_yields_more_than_the_sound_one(at in 0_usize..2_000, to in 0x20_u8..0x7f) {
        let sound = Value::from(vec![log(0), log(1)]).to_string();
        let mut damaged = sound.clone().into_bytes();
        let place = at % damaged.len();
        damaged[place] = to;
        let damaged = String::from_utf8(damaged).expect("ASCII");
        if let Ok(found) = parse_logs(&damaged, usdt()) {
            prop_assert!(found.len() <= 2);
        }
    }
}
