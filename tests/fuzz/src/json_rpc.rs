//! A node's JSON-RPC answers. The first byte chooses what is read: a block, logs, receipts or a batch. Whatever is
//! believed holds exactly what a naive walk of the JSON tree finds there.

use paybell::domain::address::Address;
use paybell::domain::ids::BlockHash;
use paybell::source::Contents;
use paybell::source::jsonrpc_wire::{
    LocatedTransfer, parse_answer, parse_batch, parse_block, parse_logs, parse_receipts,
};
use serde_json::Value;

const CONTRACT: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const BLOCK: &str = "0000000003fe262d52bf5a2c1e0f4b7d9a8c6e4f2b1d3c5e7f9a0b1c2d3e4f50";
/// Calls of the batch that is read.
const CALLS: usize = 2;

pub fn target(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(body) else {
        batch(body);
        return;
    };
    match choice % 4 {
        0 => block(text),
        1 => logs(text),
        2 => receipts(text),
        _ => batch(body),
    }
}

fn contract() -> Address {
    Address::from_tron(CONTRACT).expect("an address")
}

/// A tree refuses some numbers and escapes in fields that the reader passes over.
fn tree(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn block(text: &str) {
    let (Ok(read), Some(tree)) = (parse_block(text), tree(text)) else {
        return;
    };
    let header = read.header;
    assert_eq!(header.height.0, number(&tree["number"]).expect("a number"));
    assert_eq!(
        header.time.0,
        1000 * number(&tree["timestamp"]).expect("a number")
    );
    assert_eq!(Some(header.hash.0), word(&tree["hash"]));
    assert_eq!(Some(header.parent.0), word(&tree["parentHash"]));
    let expected = match tree["transactions"].as_array().map(Vec::len) {
        None => Contents::Unknown,
        Some(0) => Contents::Empty,
        Some(_) => Contents::NotEmpty,
    };
    assert_eq!(read.contents, expected);
}

fn logs(text: &str) {
    if let (Ok(read), Some(tree)) = (parse_logs(text, contract()), tree(text)) {
        agree(&read, tree.as_array().expect("a list"));
    }
}

fn receipts(text: &str) {
    let hash = BlockHash::from_hex(BLOCK).expect("a hash");
    let (Ok(read), Some(tree)) = (parse_receipts(text, hash, contract()), tree(text)) else {
        return;
    };
    let list = tree.as_array().expect("a list");
    assert_eq!(read.transactions, list.len());
    assert!(
        list.iter().all(|it| word(&it["blockHash"]) == Some(hash.0)),
        "another block's"
    );
    let succeeded = list.iter().filter(|it| it["status"] != "0x0");
    let logs: Vec<Value> = succeeded
        .flat_map(|it| it["logs"].as_array().cloned().unwrap_or_default())
        .collect();
    agree(&read.transfers, &logs);
}

/// The transfers are those of the logs that move the token, in their order.
fn agree(read: &[LocatedTransfer], logs: &[Value]) {
    assert!(
        logs.iter().all(|log| log["removed"] != true),
        "removed and believed"
    );
    let moving: Vec<&Value> = logs.iter().filter(|log| moves(log)).collect();
    assert_eq!(read.len(), moving.len());
    for (transfer, log) in read.iter().zip(moving) {
        assert_eq!(Some(transfer.height.0), number(&log["blockNumber"]));
        assert_eq!(Some(transfer.hash.0), word(&log["blockHash"]));
        let transfer = transfer.transfer;
        assert_eq!(
            Some(u64::from(transfer.log_index)),
            number(&log["logIndex"])
        );
        assert_eq!(Some(transfer.txid.0), word(&log["transactionHash"]));
        let party = |place: usize| word(&log["topics"][place]).map(|word| word[12..].to_vec());
        assert_eq!(Some(transfer.from.as_bytes().to_vec()), party(1));
        assert_eq!(Some(transfer.to.as_bytes().to_vec()), party(2));
        let value = word(&log["data"]).expect("a word");
        let units = match value[..16].iter().all(|byte| *byte == 0) {
            true => u128::from_be_bytes(value[16..].try_into().expect("16 bytes")),
            false => u128::MAX,
        };
        assert_eq!(transfer.amount.base_units(), units);
    }
}

fn moves(log: &Value) -> bool {
    let emitter = log["address"].as_str().expect("a log has an address");
    let digits = emitter.strip_prefix("0x").unwrap_or(emitter);
    let bare = if digits.len() == 42 {
        &digits[2..]
    } else {
        digits
    };
    let ours = digits == CONTRACT || bare.to_lowercase() == hex::encode(contract().as_bytes());
    let topics = log["topics"].as_array().map_or(0, Vec::len);
    let signature = word(&log["topics"][0]).map(hex::encode);
    ours && topics == 3
        && signature.as_deref() == Some(TRANSFER)
        && word(&log["data"]).is_some_and(|value| value != [0; 32])
}

/// Every call has its own answer, wherever in the list it stands.
fn batch(body: &[u8]) {
    let single = parse_answer(body);
    let Ok(outcomes) = parse_batch(body, CALLS) else {
        return;
    };
    assert!(single.is_err(), "a list is no single answer");
    assert_eq!(outcomes.len(), CALLS);
    let Ok(Value::Array(list)) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    for (id, outcome) in outcomes.iter().enumerate() {
        let mut own = list.iter().filter(|answer| answer["id"] == id);
        let (answer, other) = (own.next().expect("answered"), own.next());
        assert!(other.is_none(), "answered twice");
        let refused = answer.get("error").is_some_and(|error| !error.is_null());
        assert_eq!(outcome.is_err(), refused, "{answer}");
    }
}

fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn word(value: &Value) -> Option<[u8; 32]> {
    let text = value.as_str()?;
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()?;
    bytes.try_into().ok()
}
