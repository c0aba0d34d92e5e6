//! Tests of the node's reading API against the shapes of CHAINS.md section 2.

use super::*;
use crate::domain::address::Address;
use crate::sandbox::chain::{Chain, ChainOptions};
use crate::sandbox::noise::{Kind, Payment};

const SHOP: Address = Address::from_bytes([7; 20]);
const NOW: u64 = 1_800_000_000_000;

fn chain(noise_per_block: u32) -> Chain {
    Chain::new(
        ChainOptions {
            block_ms: 3000,
            seed: 1,
            noise_per_block,
            kept_blocks: 100,
        },
        40,
        NOW,
    )
}

fn pay(chain: &mut Chain, kind: Kind) -> Value {
    let to = vec![(Address::from_bytes([5; 20]), 3), (SHOP, 10_500_000)];
    let to = if kind == Kind::Multi {
        to
    } else {
        to[1..].to_vec()
    };
    let id = chain
        .submit_payment(&Payment {
            from: Address::from_bytes([9; 20]),
            to,
            kind,
        })
        .expect("accepted");
    chain.produce(chain.next_time(NOW));
    ask(chain, Read::InfoById, &json!({"value": id.to_string()}))
}

fn ask(chain: &Chain, read: Read, body: &Value) -> Value {
    let params = Params::from_body(body.to_string().as_bytes()).expect("an object");
    read.answer(View::healthy(chain), &params)
        .unwrap_or_else(|error| error.to_json())
}

#[test]
fn a_block_has_the_shape_of_a_node() {
    let chain = chain(0);
    let block = ask(&chain, Read::BlockByNum, &json!({"num": 40}));
    let raw = &block["block_header"]["raw_data"];
    assert_eq!(raw["number"], 40);
    assert_eq!(raw["txTrieRoot"], "0".repeat(64));
    assert_eq!(raw["timestamp"], NOW);
    assert!(
        raw["witness_address"]
            .as_str()
            .expect("text")
            .starts_with("41")
    );
    assert_eq!(
        raw["parentHash"],
        ask(&chain, Read::BlockByNum, &json!({"num": 39}))["blockID"]
    );
    assert_eq!(
        &block["blockID"].as_str().expect("text")[..16],
        "0000000000000028"
    );
    assert!(block.get("transactions").is_none());
    let same = ask(&chain, Read::BlockById, &json!({"value": block["blockID"]}));
    assert_eq!(same, block);
    let visible = ask(
        &chain,
        Read::BlockByNum,
        &json!({"num": 40, "visible": true}),
    );
    assert!(
        visible["block_header"]["raw_data"]["witness_address"]
            .as_str()
            .expect("text")
            .starts_with('T')
    );
    let genesis = ask(&chain, Read::BlockByNum, &json!({"num": 0}));
    assert!(genesis["block_header"]["raw_data"].get("number").is_none());
}

#[test]
fn getblock_takes_heights_hashes_and_nothing() {
    let chain = chain(20);
    let head = ask(&chain, Read::Block, &json!({}));
    assert_eq!(head["block_header"]["raw_data"]["number"], 40);
    assert!(head.get("transactions").is_none());
    let detailed = ask(
        &chain,
        Read::Block,
        &json!({"id_or_num": "39", "detail": true}),
    );
    let header_only = ask(&chain, Read::Block, &json!({"id_or_num": 39}));
    assert_eq!(detailed["blockID"], header_only["blockID"]);
    let by_hash = ask(&chain, Read::Block, &json!({"id_or_num": head["blockID"]}));
    assert_eq!(by_hash, head);
    assert_eq!(
        ask(&chain, Read::Block, &json!({"id_or_num": "41"})),
        json!({})
    );
    for bad in ["abc", &"zz".repeat(32), &"ff".repeat(32)] {
        let error = ask(&chain, Read::Block, &json!({"id_or_num": bad}));
        assert_eq!(
            error,
            json!({"Error": "id must be legal block hash."}),
            "{bad}"
        );
    }
}

#[test]
fn what_is_absent_is_empty_in_the_nodes_way() {
    let chain = chain(0);
    assert_eq!(
        ask(&chain, Read::BlockByNum, &json!({"num": 41})),
        json!({})
    );
    assert_eq!(
        ask(&chain, Read::BlockByNum, &json!({"num": -1})),
        json!({})
    );
    assert_eq!(
        ask(&chain, Read::InfoByBlockNum, &json!({"num": 40})),
        json!([])
    );
    assert_eq!(
        ask(&chain, Read::InfoByBlockNum, &json!({"num": 4_000_000})),
        json!([])
    );
    assert_eq!(
        ask(&chain, Read::InfoByBlockNum, &json!({"num": 0})),
        json!({})
    );
    assert_eq!(
        ask(&chain, Read::InfoById, &json!({"value": "ab".repeat(32)})),
        json!({})
    );
    assert_eq!(
        ask(&chain, Read::TransactionById, &json!({"value": "ab"})),
        json!({})
    );
    let error = ask(&chain, Read::InfoById, &json!({"value": "xyz"}));
    assert!(
        error["Error"]
            .as_str()
            .expect("text")
            .starts_with("class org.tron"),
        "{error}"
    );
}

#[test]
fn ranges_are_half_open_and_at_most_a_hundred_wide() {
    let chain = chain(0);
    let range = |start: i64, end: i64| {
        ask(
            &chain,
            Read::BlockByLimitNext,
            &json!({"startNum": start, "endNum": end}),
        )
    };
    let numbers = |answer: &Value| -> Vec<u64> {
        let blocks = answer["block"].as_array().expect("blocks");
        blocks
            .iter()
            .map(|block| {
                block["block_header"]["raw_data"]["number"]
                    .as_u64()
                    .unwrap_or(0)
            })
            .collect()
    };
    assert_eq!(numbers(&range(38, 41)), [38, 39, 40]);
    assert_eq!(numbers(&range(39, 60)), [39, 40]);
    assert_eq!(range(60, 70), json!({"block": []}));
    for (start, end) in [(5, 5), (6, 5), (0, 101), (-5, 0)] {
        assert_eq!(range(start, end), json!({}), "{start}..{end}");
    }
}

#[test]
fn receipts_have_logs_without_prefix_and_no_block_hash() {
    let mut chain = chain(0);
    let info = pay(&mut chain, Kind::Transfer);
    assert_eq!(info["blockNumber"], 41);
    assert_eq!(info["blockTimeStamp"], NOW + 3000);
    assert_eq!(info["contractResult"], json!(["0".repeat(64)]));
    assert_eq!(
        info["contract_address"],
        "41a614f803b6fd780986a42c78ec9c7f77e6ded13c"
    );
    assert_eq!(info["receipt"]["result"], "SUCCESS");
    assert!(
        info.get("result").is_none()
            && info.get("blockHash").is_none()
            && info.get("resMessage").is_none()
    );
    let log = &info["log"][0];
    assert_eq!(log["address"], "a614f803b6fd780986a42c78ec9c7f77e6ded13c");
    assert_eq!(
        log["topics"][2],
        format!("{}{}", "0".repeat(24), "07".repeat(20))
    );
    assert_eq!(log["data"], format!("{:064x}", 10_500_000));
    let visible = ask(
        &chain,
        Read::InfoById,
        &json!({"value": info["id"], "visible": true}),
    );
    assert_eq!(
        visible["log"][0]["address"],
        "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
    );
    let transaction = ask(&chain, Read::TransactionById, &json!({"value": info["id"]}));
    assert_eq!(transaction["ret"], json!([{"contractRet": "SUCCESS"}]));
    let raw = hex::decode(transaction["raw_data_hex"].as_str().expect("text")).expect("hex");
    assert_eq!(
        hex::encode(crate::sandbox::keys::sha256(&raw)),
        info["id"].as_str().expect("text")
    );
}

#[test]
fn every_kind_of_payment_shows_in_its_own_way() {
    let mut chain = chain(0);
    let failed = pay(&mut chain, Kind::Failed);
    assert_eq!(
        (&failed["result"], &failed["receipt"]["result"]),
        (&json!("FAILED"), &json!("REVERT"))
    );
    assert!(failed.get("log").is_none());
    assert_eq!(failed["resMessage"], hex::encode("REVERT opcode executed"));
    let multi = pay(&mut chain, Kind::Multi);
    assert_eq!(multi["log"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        multi["internal_transactions"].as_array().map(Vec::len),
        Some(2)
    );
    let fake = pay(&mut chain, Kind::FakeToken);
    assert_eq!(fake["log"][0]["address"], "fa".repeat(20));
    let internal = pay(&mut chain, Kind::Internal);
    assert_eq!(
        internal["contract_address"],
        format!("41{}", "f0".repeat(20))
    );
    assert_eq!(
        internal["log"][0]["address"],
        "a614f803b6fd780986a42c78ec9c7f77e6ded13c"
    );
    let pulled = pay(&mut chain, Kind::TransferFrom);
    assert_eq!(
        pulled["log"][0]["topics"][1],
        format!("{}{}", "0".repeat(24), "09".repeat(20))
    );
}

#[test]
fn the_solid_view_ends_at_the_solid_head() {
    let mut chain = chain(0);
    let info = pay(&mut chain, Kind::Transfer);
    let solid = View::healthy(&chain).solid_only();
    let params = |body: Value| Params::from_body(body.to_string().as_bytes()).expect("an object");
    let now = Read::NowBlock
        .answer(solid, &Params::none())
        .expect("an answer");
    assert_eq!(now["block_header"]["raw_data"]["number"], 23);
    let by_id = params(json!({"value": info["id"]}));
    assert_eq!(Read::InfoById.answer(solid, &by_id), Ok(json!({})));
    for _ in 0..18 {
        chain.produce(chain.next_time(NOW));
    }
    let solid = View::healthy(&chain).solid_only();
    assert_eq!(Read::InfoById.answer(solid, &by_id), Ok(info));
}
