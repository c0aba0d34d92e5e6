//! A TRON node's list of a block's transactions, read for the block of the corpus. Whatever is believed holds exactly the
//! transfers that a naive walk of the JSON tree finds: none missed, none invented, each at its place in the block.

use std::collections::BTreeSet;

use paybell::domain::address::Address;
use paybell::domain::amount::Amount;
use paybell::domain::chain::{BlockHeader, Transfer};
use paybell::domain::ids::{BlockHash, Height, TxId, UnixMs};
use paybell::source::tron_wire::parse_infos;
use serde_json::Value;

const CONTRACT: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
const HEIGHT: u64 = 66_985_120;
const TIME_MS: u64 = 1_777_437_762_000;
const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

pub fn target(data: &[u8]) {
    let header = BlockHeader {
        height: Height(HEIGHT),
        hash: BlockHash([1; 32]),
        parent: BlockHash([2; 32]),
        time: UnixMs(TIME_MS),
    };
    let contract = Address::from_tron(CONTRACT).expect("an address");
    match parse_infos(data, &header, contract) {
        Ok(infos) => {
            let keys: BTreeSet<_> = infos.transfers.iter().map(|t| t.log_index).collect();
            assert_eq!(keys.len(), infos.transfers.len(), "two logs have one index");
            assert!(infos.transfers.is_sorted_by_key(|t| t.log_index));
            // A tree refuses some numbers and escapes in fields that the reader passes over.
            if let Ok(tree) = serde_json::from_slice::<Value>(data) {
                let list = tree.as_array().map(Vec::as_slice).unwrap_or_default();
                assert_eq!(infos.transactions, list.len());
                assert_eq!(infos.transfers, naive(list, contract));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn naive(list: &[Value], contract: Address) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    let mut next = 0;
    for info in list {
        assert_eq!(
            info["blockNumber"], HEIGHT,
            "another block's transaction is believed"
        );
        assert_eq!(
            info["blockTimeStamp"], TIME_MS,
            "another block's transaction is believed"
        );
        let receipt = info["receipt"]["result"].as_str().unwrap_or("SUCCESS");
        let succeeded = info["result"] != "FAILED" && receipt == "SUCCESS";
        for log in info["log"].as_array().into_iter().flatten() {
            if succeeded && let Some((from, to, amount)) = movement(log, contract) {
                transfers.push(Transfer {
                    txid: TxId(word(&info["id"]).expect("an id")),
                    log_index: next,
                    from,
                    to,
                    amount,
                });
            }
            next += 1;
        }
    }
    transfers
}

fn movement(log: &Value, contract: Address) -> Option<(Address, Address, Amount)> {
    let emitter = log["address"].as_str().expect("a log has an address");
    let digits = emitter.strip_prefix("0x").unwrap_or(emitter);
    let bare = if digits.len() == 42 {
        &digits[2..]
    } else {
        digits
    };
    let is_contract = digits == CONTRACT || bare.to_lowercase() == hex::encode(contract.as_bytes());
    let topics = log["topics"].as_array();
    let topics = topics.map(Vec::as_slice).unwrap_or_default();
    let [signature, from, to] = topics else {
        return None;
    };
    if !is_contract || hex::encode(word(signature)?) != TRANSFER {
        return None;
    }
    let party = |topic: &Value| {
        let word = word(topic).expect("a party is a word");
        Address::from_bytes(word[12..].try_into().expect("20 bytes"))
    };
    let value = hex::encode(word(&log["data"]).expect("an amount is a word"));
    let units = u128::from_str_radix(value.trim_start_matches('0'), 16);
    let units = match value.trim_start_matches('0').len() {
        0 => return None,
        1..=32 => units.expect("at most 32 digits"),
        _ => u128::MAX,
    };
    Some((party(from), party(to), Amount::from_base_units(units)))
}

fn word(value: &Value) -> Option<[u8; 32]> {
    let text = value.as_str()?;
    let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok()?;
    bytes.try_into().ok()
}
