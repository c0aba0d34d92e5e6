//! Tests of TronGrid's REST API against the shapes of CHAINS.md section 2.

use super::*;
use crate::sandbox::chain::{Chain, ChainOptions};
use crate::sandbox::noise::{Kind, Payment};

const NOW: u64 = 1_800_000_000_000;
const SHOP: Address = Address::from_bytes([7; 20]);

/// A shop with five payments in blocks 41 to 45, among noise.
fn chain() -> Chain {
    let options = ChainOptions {
        block_ms: 3000,
        seed: 3,
        noise_per_block: 4,
        kept_blocks: 200,
    };
    let mut chain = Chain::new(options, 40, NOW);
    for n in 1..=5 {
        let kind = if n == 3 {
            Kind::FakeToken
        } else {
            Kind::Transfer
        };
        let payment = Payment {
            from: Address::from_bytes([9; 20]),
            to: vec![(SHOP, n)],
            kind,
        };
        chain.submit_payment(&payment).expect("accepted");
        chain.produce(chain.next_time(NOW));
    }
    chain
}

fn ask(chain: &Chain, path: &str, query: &str) -> (u16, Value) {
    let question = Question {
        view: View::healthy(chain),
        path,
        query,
        host: "127.0.0.1:9",
        now_ms: NOW,
    };
    let answer = answer(&question);
    (
        answer.status.as_u16(),
        serde_json::from_slice(&answer.body).expect("JSON"),
    )
}

fn shop_rows(chain: &Chain, query: &str) -> Value {
    let path = format!("accounts/{}/transactions/trc20", SHOP.to_tron());
    let (status, value) = ask(chain, &path, query);
    assert_eq!(status, 200, "{value}");
    value
}

fn values(answer: &Value) -> Vec<&str> {
    let rows = answer["data"].as_array().expect("rows");
    rows.iter()
        .map(|row| row["value"].as_str().expect("text"))
        .collect()
}

#[test]
fn an_accounts_transfers_come_newest_first_and_name_their_token() {
    let chain = chain();
    let all = shop_rows(&chain, "only_to=true");
    assert_eq!(values(&all), ["5", "4", "3", "2", "1"]);
    assert_eq!(all["meta"], json!({"at": NOW, "page_size": 5}));
    let row = &all["data"][0];
    assert_eq!(
        row["token_info"]["address"],
        "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
    );
    assert_eq!(
        (&row["type"], &row["to"]),
        (&json!("Transfer"), &json!(SHOP.to_tron()))
    );
    assert_eq!(row.as_object().expect("an object").len(), 7);
    let real = shop_rows(
        &chain,
        "contract_address=TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t&orderBy=block_timestamp,asc",
    );
    assert_eq!(values(&real), ["1", "2", "4", "5"]);
    assert_eq!(
        values(&shop_rows(&chain, "only_from=true")),
        Vec::<&str>::new()
    );
}

#[test]
fn times_are_inclusive_and_floored_to_the_second() {
    let chain = chain();
    let third = NOW + 3 * 3000;
    assert_eq!(
        values(&shop_rows(
            &chain,
            &format!("min_timestamp={}", third + 999)
        )),
        ["5", "4", "3"]
    );
    assert_eq!(
        values(&shop_rows(
            &chain,
            &format!("min_timestamp={}", third + 1000)
        )),
        ["5", "4"]
    );
    assert_eq!(
        values(&shop_rows(&chain, &format!("max_timestamp={third}"))),
        ["3", "2", "1"]
    );
}

#[test]
fn paging_shows_every_row_once_in_both_orders() {
    let chain = chain();
    for (order, wanted) in [
        ("desc", ["5", "4", "3", "2", "1"]),
        ("asc", ["1", "2", "3", "4", "5"]),
    ] {
        let mut seen = Vec::new();
        let mut query = format!("limit=2&order_by=block_timestamp,{order}");
        loop {
            let page = shop_rows(&chain, &query);
            seen.extend(values(&page).into_iter().map(ToOwned::to_owned));
            let Some(fingerprint) = page["meta"]["fingerprint"].as_str() else {
                break;
            };
            assert!(
                page["meta"]["links"]["next"]
                    .as_str()
                    .expect("a link")
                    .ends_with(&format!("fingerprint={fingerprint}"))
            );
            query = format!("limit=2&order_by=block_timestamp,{order}&fingerprint={fingerprint}");
        }
        assert_eq!(seen, wanted);
    }
}

#[test]
fn only_confirmed_lags_by_the_solid_distance() {
    let mut chain = chain();
    let empty = shop_rows(&chain, "only_confirmed=true");
    assert_eq!(
        empty,
        json!({"data": [], "success": true, "meta": {"at": NOW, "page_size": 0}})
    );
    for _ in 0..15 {
        chain.produce(chain.next_time(NOW));
    }
    assert_eq!(
        values(&shop_rows(&chain, "only_confirmed=true")),
        ["2", "1"]
    );
    assert_eq!(
        values(&shop_rows(&chain, "only_unconfirmed=true")),
        ["5", "4", "3"]
    );
}

#[test]
fn events_tell_block_and_index_and_whether_they_are_final() {
    let chain = chain();
    let usdt = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
    let (_, page) = ask(
        &chain,
        &format!("contracts/{usdt}/events"),
        "event_name=Transfer&block_number=45&limit=200",
    );
    let rows = page["data"].as_array().expect("rows");
    let row = rows
        .iter()
        .find(|row| row["result"]["to"] == format!("0x{}", "07".repeat(20)))
        .expect("the payment");
    assert_eq!(
        (&row["block_number"], &row["contract_address"]),
        (&json!(45), &json!(usdt))
    );
    assert_eq!(
        (&row["event_index"], &row["_unconfirmed"]),
        (&json!(0), &json!(true))
    );
    assert_eq!(row["result"]["2"], "5");
    let id = row["transaction_id"].as_str().expect("text");
    let (_, by_tx) = ask(&chain, &format!("transactions/{id}/events"), "");
    assert_eq!(by_tx["data"], json!([row]));
    let (_, latest) = ask(&chain, "blocks/latest/events", "limit=200");
    assert!(latest["data"].as_array().expect("rows").contains(row));
    let (_, solid) = ask(&chain, "blocks/20/events", "limit=200");
    assert!(
        solid["data"]
            .as_array()
            .expect("rows")
            .iter()
            .all(|row| row.get("_unconfirmed").is_none())
    );
    let (_, none) = ask(
        &chain,
        &format!("transactions/{}/events", "ab".repeat(32)),
        "",
    );
    assert_eq!(none["data"], json!([]));
    let (_, none) = ask(&chain, "blocks/9999/events", "");
    assert_eq!(none["data"], json!([]));
}

#[test]
fn bad_questions_get_trongrids_400_and_unknown_paths_its_404() {
    let chain = chain();
    let shop = SHOP.to_tron();
    for (path, query, hint) in [
        (
            "accounts/TX/transactions/trc20".to_owned(),
            "",
            "A valid account address is required.",
        ),
        (
            format!("accounts/{shop}/transactions/trc20"),
            "contract_address=x",
            "contract address",
        ),
        (
            format!("accounts/{shop}/transactions/trc20"),
            "limit=x",
            "limit",
        ),
        (
            format!("accounts/{shop}/transactions/trc20"),
            "limit=0",
            "limit",
        ),
        (
            format!("accounts/{shop}/transactions/trc20"),
            "fingerprint=x",
            "fingerprint",
        ),
        (
            format!("accounts/{shop}/transactions/trc20"),
            "order_by=amount",
            "order_by",
        ),
        (
            format!("accounts/{shop}/transactions/trc20"),
            "only_confirmed=true&only_unconfirmed=true",
            "both",
        ),
        ("contracts/x/events".to_owned(), "", "contract address"),
        ("transactions/x/events".to_owned(), "", "transaction id"),
        ("blocks/x/events".to_owned(), "", "block number"),
    ] {
        let (status, value) = ask(&chain, &path, query);
        assert_eq!(
            (status, &value["success"], &value["statusCode"]),
            (400, &json!(false), &json!(400)),
            "{path}?{query}"
        );
        assert!(
            value["error"].as_str().expect("text").contains(hint),
            "{value}"
        );
    }
    let (status, value) = ask(&chain, "nothing/here", "");
    assert_eq!(
        (status, value),
        (
            404,
            json!({"success": false, "error": "Not Found", "statusCode": 404})
        )
    );
}
