//! `/v1/transfers`: the list and its pages, one transfer, assignment by hand and everything that it refuses.

use serde_json::{Value, json};

use super::testing::{ADDRESS, Hub, NOW};
use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::chain::BlockHeader;
use crate::domain::changes::Cursor;
use crate::domain::ids::{BlockHash, ChainId, Height, PaymentId, TransferKey, TxId};
use crate::domain::payment::{TransferRecord, TransferState, UnmatchedReason};

fn transfer(n: u8, height: u64, meant_for: Option<PaymentId>) -> TransferRecord {
    TransferRecord {
        key: TransferKey {
            chain: ChainId(0),
            txid: TxId([n; 32]),
            log_index: u32::from(n),
        },
        from: Address::from_bytes([9; 20]),
        to: Address::from_tron(ADDRESS).expect("an address"),
        amount: Amount::from_base_units(4_990_000),
        height: Height(height),
        block_time: NOW.plus_ms(height),
        state: TransferState::Unmatched {
            reason: UnmatchedReason::WrongAmount,
            payment: meant_for,
        },
        assigned: None,
    }
}

/// Its chain stands at block 120, final up to 102.
fn hub_with(transfers: impl IntoIterator<Item = TransferRecord>) -> Hub {
    let hub = Hub::new();
    let mut rows = hub.store.rows();
    rows.transfers
        .extend(transfers.into_iter().map(|t| (t.key, t)));
    rows.cursor = Some(Cursor {
        tip: BlockHeader {
            height: Height(120),
            hash: BlockHash([1; 32]),
            parent: BlockHash([2; 32]),
            time: NOW,
        },
        final_height: Height(102),
    });
    drop(rows);
    hub
}

fn assign_path(record: &TransferRecord) -> String {
    format!("/v1/transfers/{}/assign", record.key)
}

fn choice(id: PaymentId) -> String {
    json!({"payment_id": id.to_string()}).to_string()
}

fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().expect("a list");
    let id = |t: &Value| t["id"].as_str().expect("an id").to_owned();
    data.iter().map(id).collect()
}

#[tokio::test]
async fn what_settled_nothing_is_listed_newest_first_and_page_by_page() {
    let meant = PaymentId(uuid::Uuid::from_u128(5));
    let known = [
        transfer(1, 101, Some(meant)),
        transfer(2, 110, None),
        transfer(3, 103, None),
    ];
    let hub = hub_with(known);
    let list = hub.get("/v1/transfers").await.json();
    let hex = "02".repeat(32);
    assert_eq!(
        list["data"][0],
        json!({"id": format!("trf_0_{hex}_2"), "chain": "tron", "currency": "USDT_TRC20", "transaction_hash": hex,
               "log_index": 2, "from": known[1].from.to_tron(), "to": ADDRESS, "amount": "4.99", "block_number": 110,
               "block_timestamp": NOW.plus_ms(110).0, "state": "unmatched", "reason": "wrong_amount",
               "payment_id": null, "settled_by": null, "assigned": null, "confirmations": 11, "final": false})
    );
    let newest_first = [1, 2, 0].map(|n: usize| known[n].key.to_string());
    assert_eq!(ids(&list), newest_first);
    assert_eq!(list["next"], json!(null));
    let (mut walked, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/transfers?state=unmatched&limit=1{after}");
        let page = hub.get(&path).await.json();
        walked.extend(ids(&page));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    assert_eq!(walked, newest_first);
    let own = hub.get(&format!("/v1/transfers?payment_id={meant}")).await;
    assert_eq!(ids(&own.json()), [known[0].key.to_string()]);
    let one = hub.get(&format!("/v1/transfers/{}", known[0].key)).await;
    assert_eq!(one.json()["final"], true);
    assert_eq!(one.json()["payment_id"], meant.to_string());
}

#[tokio::test]
async fn bad_queries_name_their_parameter_and_unknown_ids_are_not_found() {
    let hub = hub_with([]);
    for (query, parameter) in [
        ("state=credited", "state"),
        ("state=", "state"),
        ("payment_id=x", "payment_id"),
        ("after=trf_0", "after"),
        ("after=5", "after"),
        ("limit=0", "limit"),
        ("chain=tron", "chain"),
    ] {
        let answer = hub.get(&format!("/v1/transfers?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.error().contains(parameter), "{query}");
    }
    let missing = transfer(7, 100, None).key;
    for id in ["", "x", "trf_0_00_1", &missing.to_string()] {
        let answer = hub.get(&format!("/v1/transfers/{id}")).await;
        assert_eq!(answer.status, 404, "{id}");
        assert_eq!(answer.json()["code"], "transfer_not_found", "{id}");
    }
}

#[tokio::test]
async fn a_final_transfer_assigned_completes_its_payment_at_once() {
    let record = transfer(1, 101, None);
    let hub = hub_with([record]);
    let (id, _) = hub.create("O 1", "5").await;
    let answer = hub.post(&assign_path(&record), choice(id)).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    let (transfer, payment) = (&answer.json()["transfer"], &answer.json()["payment"]);
    assert_eq!(transfer["state"], "credited");
    assert_eq!(transfer["settled_by"], "hand");
    assert_eq!(transfer["payment_id"], id.to_string());
    assert_eq!(transfer["assigned"]["reason"], "wrong_amount");
    assert_eq!(transfer["assigned"]["by"], Value::Null, "no key was needed");
    assert_eq!(payment["status"], "completed");
    assert_eq!(payment["received_amount"], "4.99", "the true sum");
    assert_eq!(payment["transfers"][0]["settled_by"], "hand");
    let again = hub.post(&assign_path(&record), choice(id)).await;
    assert_eq!((again.status, again.json()), (200, answer.json()));
    let events = hub.get(&format!("/v1/payments/{id}/events")).await.json();
    let kinds: Vec<_> = events["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|e| e["type"].clone())
        .collect();
    let expected = [
        "payment.created",
        "transfer.assigned",
        "payment.detected",
        "payment.completed",
    ];
    assert_eq!(kinds, expected, "the second time was no event");
    assert_eq!(ids(&hub.get("/v1/transfers").await.json()).len(), 0);
}

#[tokio::test]
async fn an_assignment_names_the_key_of_whoever_decided() {
    let record = transfer(1, 101, None);
    let hub = hub_with([record]);
    let (id, _) = hub.create("O 1", "5").await;
    let key = hub.post("/v1/keys", r#"{"name":"boss","scope":"admin"}"#);
    let key = key.await.json();
    let request = warp::test::request()
        .method("POST")
        .path(&assign_path(&record))
        .header("content-type", "application/json")
        .header(
            "authorization",
            format!("Bearer {}", key["key"].as_str().expect("a key")),
        )
        .body(choice(id));
    let answer = hub.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["transfer"]["assigned"]["by"], key["id"]);
}

#[tokio::test]
async fn what_cannot_be_assigned_is_refused_in_words() {
    let (free, mut gone) = (transfer(1, 101, None), transfer(2, 110, None));
    gone.state = TransferState::Reverted;
    let mut settled = transfer(3, 101, None);
    settled.state = TransferState::Credited(PaymentId(uuid::Uuid::from_u128(5)));
    let hub = hub_with([free, gone, settled]);
    let (id, token) = hub.create("O 1", "5").await;
    let unknown = PaymentId(uuid::Uuid::from_u128(6));
    for (path, body, status, code) in [
        (assign_path(&gone), choice(id), 409, "not_assignable"),
        (assign_path(&settled), choice(id), 409, "transfer_settled"),
        (
            assign_path(&free),
            choice(unknown),
            404,
            "payment_not_found",
        ),
        (
            "/v1/transfers/trf_1/assign".to_owned(),
            choice(id),
            404,
            "transfer_not_found",
        ),
        (
            assign_path(&transfer(9, 1, None)),
            choice(id),
            404,
            "transfer_not_found",
        ),
        (assign_path(&free), "{}".to_owned(), 400, "invalid_request"),
        (
            assign_path(&free),
            r#"{"payment_id":5}"#.to_owned(),
            400,
            "invalid_request",
        ),
        (
            assign_path(&free),
            r#"{"payment_id":"x"}"#.to_owned(),
            400,
            "invalid_request",
        ),
        (assign_path(&free), "no".to_owned(), 400, "invalid_json"),
    ] {
        let answer = hub.post(&path, &body).await;
        assert_eq!(answer.status, status, "{path} {body}");
        assert!(!answer.error().is_empty());
        assert_eq!(answer.json()["code"], code, "{path} {body}");
    }
    let unknown_field = json!({"payment_id": id.to_string(), "note": "ok"}).to_string();
    let answer = hub.post(&assign_path(&free), unknown_field).await;
    assert!(answer.status == 400 && answer.error().contains("'note'"));
    let as_payer = warp::test::request()
        .method("POST")
        .path(&assign_path(&free))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {token}"))
        .body(choice(id));
    assert_eq!(hub.send(as_payer).await.status, 403, "a payer's token");
    for path in ["/v1/transfers", &format!("/v1/transfers/{}", free.key)] {
        assert_eq!(hub.get_as(&token, path).await.status, 403, "{path}");
    }
    assert_eq!(hub.get(&assign_path(&free)).await.status, 405);
    assert_eq!(hub.only_payment().received(), Amount::ZERO);
}
