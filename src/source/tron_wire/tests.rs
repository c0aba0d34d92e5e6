//! Answers recorded from nodes, and broken ones, against the parser.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::chain::Transfer;
use crate::source::tron_log::read_address;

const HEADER: &[u8] = include_bytes!("../fixtures/header.json");
const HEAD_FULL: &[u8] = include_bytes!("../fixtures/head_full.json");
const HEADER_EMPTY: &[u8] = include_bytes!("../fixtures/header_empty.json");
const HEADER_GENESIS: &[u8] = include_bytes!("../fixtures/header_genesis.json");
const INFOS: &[u8] = include_bytes!("../fixtures/infos.json");
const LITE_NODE: &[u8] = include_bytes!("../fixtures/lite_node.txt");
const ERROR_RESOURCES: &[u8] = include_bytes!("../fixtures/error_resources.json");

fn usdt() -> Address {
    Address::from_tron("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t").expect("an address")
}

fn header() -> BlockHeader {
    parse_header(HEADER).expect("sound").expect("there").header
}

fn infos(body: &[u8]) -> Result<Vec<Transfer>, WireError> {
    parse_infos(body, &header(), usdt()).map(|infos| infos.transfers)
}

fn edited(fixture: &[u8], edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value: Value = serde_json::from_slice(fixture).expect("JSON");
    edit(&mut value);
    serde_json::to_vec(&value).expect("JSON")
}

/// Takes the field at a JSON pointer away.
fn without(fixture: &[u8], pointer: &str) -> Vec<u8> {
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    edited(fixture, |value| {
        let parent = value.pointer_mut(parent).expect("a parent");
        parent
            .as_object_mut()
            .expect("an object")
            .remove(field)
            .expect("a field to remove");
    })
}

/// Puts another value at a JSON pointer.
fn with(fixture: &[u8], pointer: &str, new: Value) -> Vec<u8> {
    edited(fixture, |value| {
        *value.pointer_mut(pointer).expect("a place") = new;
    })
}

#[track_caller]
fn assert_malformed<T: std::fmt::Debug>(outcome: Result<T, WireError>, at: &str) {
    match outcome {
        Err(WireError::Malformed { path, what, .. }) => assert_eq!(path, at, "{what}"),
        other => panic!("expected a malformed {at}, got {other:?}"),
    }
}

#[test]
fn a_header_is_read() {
    let fetched = parse_header(HEADER).expect("sound").expect("there");
    assert_eq!(fetched.header.height, Height(66_985_120));
    assert_eq!(fetched.header.time, UnixMs(1_777_437_762_000));
    assert_eq!(&fetched.header.hash.0[..8], &66_985_120_u64.to_be_bytes());
    assert_eq!(&fetched.header.parent.0[..8], &66_985_119_u64.to_be_bytes());
    assert_eq!(fetched.contents, Contents::NotEmpty);
    assert_eq!(parse_header(HEAD_FULL).expect("sound"), Some(fetched));
}

#[test]
fn contents_follow_the_root_and_listed_transactions_outweigh_it() {
    let contents = |body: &[u8]| {
        parse_header(body)
            .expect("sound")
            .map(|found| found.contents)
    };
    let root = "/block_header/raw_data/txTrieRoot";
    assert_eq!(contents(HEADER_EMPTY), Some(Contents::Empty));
    assert_eq!(contents(&without(HEADER, root)), Some(Contents::Unknown));
    assert_eq!(
        contents(&with(HEADER, root, json!(""))),
        Some(Contents::Unknown)
    );
    let zeros = json!("0".repeat(64));
    assert_eq!(
        contents(&with(HEAD_FULL, root, zeros)),
        Some(Contents::NotEmpty)
    );
}

#[test]
fn the_genesis_block_leaves_out_its_zeros() {
    let genesis = parse_header(HEADER_GENESIS)
        .expect("sound")
        .expect("there")
        .header;
    assert_eq!((genesis.height, genesis.time), (Height(0), UnixMs(0)));
}

#[test]
fn an_absent_block_is_none_and_an_empty_list_is_no_transactions() {
    for body in ["{}", " { \n } \n"] {
        assert_eq!(parse_header(body.as_bytes()).expect("sound"), None);
        assert_eq!(parse_summary(body.as_bytes()).expect("sound"), None);
        assert!(infos(body.as_bytes()).expect("sound").is_empty());
    }
    assert_eq!(
        parse_infos(b"[]\n", &header(), usdt()).expect("sound"),
        Infos::none()
    );
}

#[test]
fn a_summary_tells_whether_there_are_transactions() {
    let hash = header().hash;
    let summary = |body: &[u8]| parse_summary(body).expect("sound").expect("there");
    assert_eq!(
        summary(HEAD_FULL),
        BlockSummary {
            hash,
            contents: Contents::NotEmpty
        }
    );
    let empty = with(HEAD_FULL, "/transactions", json!([]));
    assert_eq!(summary(&empty).contents, Contents::Empty);
    assert_eq!(summary(HEADER).contents, Contents::Empty);
}

/// Failed, fake, zero-value, approval and foreign logs are left out; the index counts them all.
#[test]
fn transfers_are_read_from_events_and_numbered_over_the_block() {
    let read = parse_infos(INFOS, &header(), usdt()).expect("sound");
    assert_eq!(read.transactions, 8);
    let found: Vec<(u32, u128)> = read
        .transfers
        .iter()
        .map(|transfer| (transfer.log_index, transfer.amount.base_units()))
        .collect();
    assert_eq!(
        found,
        [(0, 10_500_000), (2, 1), (4, 2_000_000), (7, 7_250_000)]
    );
    let shop = read.transfers[0].to;
    assert_eq!(
        read.transfers
            .iter()
            .filter(|transfer| transfer.to == shop)
            .count(),
        3
    );
    assert_ne!(read.transfers[0].from, shop);
    assert_eq!(read.transfers[1].txid, read.transfers[2].txid);
}

#[test]
fn every_required_field_of_a_header_is_missed_by_name() {
    for pointer in [
        "/blockID",
        "/block_header",
        "/block_header/raw_data",
        "/block_header/raw_data/number",
        "/block_header/raw_data/parentHash",
        "/block_header/raw_data/timestamp",
    ] {
        let path = pointer[1..].replace('/', ".");
        assert_malformed(parse_header(&without(HEADER, pointer)), &path);
    }
    assert_malformed(parse_summary(&without(HEAD_FULL, "/blockID")), "blockID");
    assert_malformed(parse_header(br#"{"success":false}"#), "blockID");
}

#[test]
fn every_required_field_of_an_info_is_missed_by_name() {
    for field in ["id", "blockNumber", "blockTimeStamp"] {
        assert_malformed(
            infos(&without(INFOS, &format!("/3/{field}"))),
            &format!("[3].{field}"),
        );
    }
    for field in ["address", "topics", "data"] {
        assert_malformed(
            infos(&without(INFOS, &format!("/3/log/2/{field}"))),
            &format!("[3].log[2].{field}"),
        );
    }
    // A foreign event may lack what its emitter left empty.
    assert!(infos(&without(INFOS, "/3/log/1/topics")).is_ok());
}

#[test]
fn a_field_of_the_wrong_kind_is_named_too() {
    let cases = [
        ("/1/blockNumber", json!("66985120"), "[1].blockNumber"),
        ("/1/blockTimeStamp", json!(-1), "[1].blockTimeStamp"),
        ("/1/id", json!("xyz"), "[1].id"),
        ("/1/id", json!(null), "[1].id"),
        ("/1/log", json!({}), "[1].log"),
        ("/1/log/0/topics/1", json!(7), "[1].log[0].topics[1]"),
        ("/1/log/0/topics/0", json!("dd"), "[1].log[0].topics[0]"),
        ("/1/log/0/topics/2", json!("zz"), "[1].log[0].topics[2]"),
        ("/1/log/0/data", json!("00"), "[1].log[0].data"),
        ("/4/log/0/address", json!("USDT"), "[4].log[0].address"),
        ("/1/receipt/result", json!(1), "[1].receipt.result"),
    ];
    for (pointer, wrong, path) in cases {
        assert_malformed(infos(&with(INFOS, pointer, wrong)), path);
    }
    let number = "/block_header/raw_data/number";
    assert_malformed(
        parse_header(&with(HEADER, number, json!("1"))),
        "block_header.raw_data.number",
    );
    assert_malformed(
        parse_header(&with(HEADER, number, json!(66_985_121))),
        "block_header.raw_data.number",
    );
    assert_malformed(
        parse_header(&with(HEADER, "/blockID", json!("00"))),
        "blockID",
    );
    assert_malformed(parse_header(b"[]"), "$");
    assert_malformed(infos(br#"{"success":true}"#), "$");
}

#[test]
fn infos_of_another_block_are_a_mismatch() {
    for (pointer, other) in [
        ("/5/blockNumber", json!(66_985_119)),
        ("/0/blockTimeStamp", json!(1_777_437_765_000_u64)),
    ] {
        assert!(matches!(
            infos(&with(INFOS, pointer, other)),
            Err(WireError::Mismatch { .. })
        ));
    }
}

#[test]
fn a_transaction_listed_twice_is_malformed() {
    let twice = edited(INFOS, |value| {
        let list = value.as_array_mut().expect("a list");
        let again = list[1].clone();
        list.push(again);
    });
    assert_malformed(infos(&twice), "[8].id");
}

#[test]
fn a_cut_answer_is_malformed_wherever_it_is_cut() {
    for end in 1..INFOS.trim_ascii_end().len() {
        assert!(matches!(
            infos(&INFOS[..end]),
            Err(WireError::Malformed { .. })
        ));
    }
    for end in 1..HEADER.trim_ascii_end().len() {
        assert!(matches!(
            parse_header(&HEADER[..end]),
            Err(WireError::Malformed { .. })
        ));
    }
    assert_malformed(infos(b"[] trailing"), "$");
}

#[test]
fn the_nodes_own_errors_are_told_apart() {
    for text in [
        infos(ERROR_RESOURCES).expect_err("an error"),
        parse_header(ERROR_RESOURCES).expect_err("an error"),
        parse_header(
            br#"{"success":false,"statusCode":404,"error":"lack of computing resources"}"#,
        )
        .expect_err("an error"),
        parse_header(br#"{"error":{"message":"lack of computing resources"}}"#)
            .expect_err("an error"),
    ] {
        match text {
            WireError::Node { text } => {
                assert!(text.contains("lack of computing resources"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    for body in [LITE_NODE, b"<html>", b"", b"null", b"\xff\xfe"] {
        assert!(matches!(parse_header(body), Err(WireError::NotJson { .. })));
        assert!(matches!(infos(body), Err(WireError::NotJson { .. })));
    }
}

#[test]
fn a_log_without_a_receipt_result_counts_unless_the_transaction_failed() {
    let unsaid = without(INFOS, "/1/receipt/result");
    assert_eq!(infos(&unsaid).expect("sound").len(), 4);
    assert_eq!(
        infos(&without(INFOS, "/1/receipt")).expect("sound").len(),
        4
    );
    let reverted = with(INFOS, "/1/receipt/result", json!("REVERT"));
    assert_eq!(infos(&reverted).expect("sound").len(), 3);
    let failed = without(INFOS, "/2/receipt/result");
    assert_eq!(infos(&failed).expect("sound").len(), 4);
}

#[test]
fn values_beyond_128_bits_match_nothing_and_events_of_another_shape_are_left_out() {
    let huge = with(
        INFOS,
        "/1/log/0/data",
        json!(format!("01{}", "0".repeat(62))),
    );
    assert_eq!(
        infos(&huge).expect("sound")[0].amount,
        Amount::from_base_units(u128::MAX)
    );
    let with_topics = |count: usize| {
        edited(INFOS, |value| {
            let topics = value
                .pointer_mut("/1/log/0/topics")
                .and_then(Value::as_array_mut);
            let topics = topics.expect("topics");
            let last = topics[2].clone();
            topics.resize(count, last);
        })
    };
    for count in [0, 1, 2, 4, 5, 9] {
        assert_eq!(infos(&with_topics(count)).expect("sound").len(), 3);
    }
}

#[test]
fn escapes_in_strings_change_nothing() {
    let text = String::from_utf8(INFOS.to_vec()).expect("text");
    let escaped = text.replace("ddf252ad", "\\u0064df252ad");
    assert_ne!(text, escaped);
    assert_eq!(
        infos(escaped.as_bytes()).expect("sound"),
        infos(INFOS).expect("sound")
    );
}

#[test]
fn addresses_are_read_in_every_known_form() {
    let bare = "a614f803b6fd780986a42c78ec9c7f77e6ded13c";
    for text in [
        bare.to_owned(),
        bare.to_uppercase(),
        format!("0x{bare}"),
        format!("41{bare}"),
        format!("0x41{bare}"),
        "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t".to_owned(),
    ] {
        assert_eq!(read_address(&text), Some(usdt()), "{text}");
        let body = with(INFOS, "/1/log/0/address", json!(text));
        assert_eq!(infos(&body).expect("sound").len(), 4);
    }
    for text in [
        "",
        "41",
        &bare[1..],
        "0x",
        "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6u",
    ] {
        assert_eq!(read_address(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _outcomes = (parse_header(&bytes), parse_summary(&bytes), infos(&bytes), error_in(&bytes));
    }

    #[test]
    fn no_damaged_answer_panics_or_yields_a_stranger(at in 0..INFOS.len(), to: u8, header_to: u8) {
        let sound = infos(INFOS).expect("sound");
        let mut damaged = INFOS.to_vec();
        damaged[at] = to;
        if let Ok(transfers) = infos(&damaged) {
            prop_assert!(transfers.len() <= sound.len() + 1);
        }
        let mut damaged = HEAD_FULL.to_vec();
        let at = at % damaged.len();
        damaged[at] = header_to;
        let _outcomes = (parse_header(&damaged), parse_summary(&damaged));
    }

    #[test]
    fn no_text_panics_the_address_reader(text in "\\PC{0,50}") {
        let _outcome = read_address(&text);
    }
}
