//! A TRON node's answers about one block. A header says what the JSON says and stands at the height that its hash names;
//! header, summary and error are three readings of one answer that never contradict each other.

use paybell::domain::ids::BlockHash;
use paybell::source::tron_wire::{WireError, error_in, parse_header, parse_summary};
use paybell::source::{Contents, FetchedHeader};
use serde_json::Value;

pub fn target(data: &[u8]) {
    let (header, summary, told) = (parse_header(data), parse_summary(data), error_in(data));
    if let Some(told) = &told {
        let node_s = |error: &WireError| matches!(error, WireError::Node { text } if text == told);
        assert!(header.as_ref().is_err_and(node_s) && summary.as_ref().is_err_and(node_s));
    }
    match &header {
        Ok(None) => assert!(matches!(summary, Ok(None)), "{summary:?}"),
        Ok(Some(header)) => {
            let summary = summary.expect("less is asked of it").expect("a block");
            assert_eq!(summary.hash, header.header.hash);
            if summary.contents == Contents::NotEmpty {
                assert_eq!(header.contents, Contents::NotEmpty);
            }
            says_what_the_answer_says(header, data);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn says_what_the_answer_says(read: &FetchedHeader, data: &[u8]) {
    let header = &read.header;
    assert_eq!(header.hash.0[..8], header.height.0.to_be_bytes());
    // A tree refuses some numbers and escapes in fields that the reader passes over.
    let Ok(tree) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    let raw = &tree["block_header"]["raw_data"];
    let hash = |value: &Value| value.as_str().and_then(BlockHash::from_hex);
    assert_eq!(hash(&tree["blockID"]), Some(header.hash));
    assert_eq!(raw["number"].as_u64().unwrap_or(0), header.height.0);
    assert_eq!(raw["timestamp"].as_u64().unwrap_or(0), header.time.0);
    assert_eq!(
        hash(&raw["parentHash"]).unwrap_or(BlockHash([0; 32])),
        header.parent
    );
    let listed = tree["transactions"]
        .as_array()
        .is_some_and(|list| !list.is_empty());
    let root = raw["txTrieRoot"].as_str().unwrap_or_default();
    let expected = match () {
        () if listed => Contents::NotEmpty,
        () if root.is_empty() => Contents::Unknown,
        () if root.chars().all(|digit| digit == '0') => Contents::Empty,
        () => Contents::NotEmpty,
    };
    assert_eq!(read.contents, expected);
}
