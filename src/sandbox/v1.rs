//! TronGrid's own REST API, `/v1`: a token's transfers by account, events by contract, block and
//! transaction.
//!
//! Refuses malformed questions with TronGrid's 400; tells no block number where TronGrid tells none.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::contracts::{APPROVAL_TOPIC, TRANSFER_TOPIC, Word, word_address, word_number};
use super::rows::{Order, Position, Row, newest_first, oldest_first};
use super::v1_query::{
    BadRequest, Confirmation, Filter, MAX_LIMIT, is_true, number, read_address, read_filter,
    read_query,
};
use super::view::View;
use crate::domain::address::Address;
use crate::domain::ids::TxId;

/// One `/v1` request.
pub struct Question<'a> {
    pub view: View<'a>,
    pub path: &'a str,
    pub query: &'a str,
    /// Where the client reached us, for links to the next page.
    pub host: &'a str,
    pub now_ms: u64,
}

/// A page of rows, and where the next one starts.
struct Page {
    data: Vec<Value>,
    next: Option<Position>,
}

/// Answers anything under `/v1/`; `path` is what follows.
pub fn answer(question: &Question<'_>) -> Answer {
    let parts: Vec<&str> = question.path.trim_end_matches('/').split('/').collect();
    let query = read_query(question.query);
    let page = match parts.as_slice() {
        ["accounts", account, "transactions", "trc20"] => trc20(question, account, &query),
        ["contracts", contract, "events"] => contract_events(question, contract, &query),
        ["transactions", id, "events"] => transaction_events(question, id, &query),
        ["blocks", which, "events"] => block_events(question, which, &query),
        _ => return failure(StatusCode::NOT_FOUND, "Not Found"),
    };
    match page {
        Ok(page) => Answer::json(&envelope(question, page)),
        Err(BadRequest(text)) => failure(StatusCode::BAD_REQUEST, &text),
    }
}

fn failure(status: StatusCode, text: &str) -> Answer {
    Answer::json_status(
        status,
        &json!({"success": false, "error": text, "statusCode": status.as_u16()}),
    )
}

fn envelope(question: &Question<'_>, page: Page) -> Value {
    let mut meta = Map::new();
    meta.insert("at".to_owned(), question.now_ms.into());
    meta.insert("page_size".to_owned(), page.data.len().into());
    if let Some(position) = page.next {
        let fingerprint = position.to_fingerprint();
        let mut next = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(question.query.as_bytes()) {
            if name != "fingerprint" {
                next.append_pair(&name, &value);
            }
        }
        next.append_pair("fingerprint", &fingerprint);
        let link = format!(
            "http://{}/v1/{}?{}",
            question.host,
            question.path,
            next.finish()
        );
        meta.insert("fingerprint".to_owned(), fingerprint.into());
        meta.insert("links".to_owned(), json!({"next": link}));
    }
    json!({"data": page.data, "success": true, "meta": meta})
}

/// Collects one page of the rows that pass both the filter and `wanted`.
fn page<'a>(
    view: View<'a>,
    filter: &Filter,
    wanted: impl Fn(&Row<'a>) -> bool,
    show: impl Fn(&Row<'a>) -> Value,
) -> Page {
    let solid = view.solid_height();
    let in_filter = |row: &Row<'_>| {
        let (height, time) = (row.block.header.height, row.block.header.time);
        let confirmed = match filter.confirmed {
            None => true,
            Some(Confirmation::OnlyConfirmed) => height <= solid,
            Some(Confirmation::OnlyUnconfirmed) => height > solid,
        };
        confirmed && (filter.min_time..=filter.max_time).contains(&time)
    };
    let rows: Box<dyn Iterator<Item = Row<'a>> + 'a> = match filter.order {
        Order::NewestFirst => Box::new(newest_first(view, filter.after)),
        Order::OldestFirst => Box::new(oldest_first(view, filter.after)),
    };
    let mut found = rows.filter(|row| in_filter(row) && wanted(row));
    let taken: Vec<Row<'a>> = found.by_ref().take(filter.limit).collect();
    let more = taken.len() == filter.limit && found.next().is_some();
    let next = taken.last().filter(|_| more).map(Row::position);
    Page {
        data: taken.iter().map(show).collect(),
        next,
    }
}

/// The event's name, where it is one of a token's two.
fn event_name(row: &Row<'_>) -> Option<&'static str> {
    match row.log.topics.first() {
        Some(topic) if *topic == TRANSFER_TOPIC => Some("Transfer"),
        Some(topic) if *topic == APPROVAL_TOPIC => Some("Approval"),
        _ => None,
    }
}

/// The two addresses of a token's event.
fn parties(row: &Row<'_>) -> Option<(Address, Address)> {
    match row.log.topics.as_slice() {
        [_, first, second] => Some((word_address(first), word_address(second))),
        _ => None,
    }
}

fn trc20(
    question: &Question<'_>,
    account: &str,
    query: &HashMap<String, String>,
) -> Result<Page, BadRequest> {
    let invalid = |what: &str| BadRequest(format!("A valid {what} address is required."));
    let account = read_address(account).ok_or_else(|| invalid("account"))?;
    let contract = match query
        .get("contract_address")
        .filter(|text| !text.is_empty())
    {
        None => None,
        Some(text) => Some(read_address(text).ok_or_else(|| invalid("contract"))?),
    };
    let filter = read_filter(query, ["min_timestamp", "max_timestamp"])?;
    let (only_to, only_from) = (is_true(query, "only_to"), is_true(query, "only_from"));
    let wanted = |row: &Row<'_>| {
        parties(row).is_some_and(|(from, to)| {
            let sent = from == account && !only_to;
            let received = to == account && !only_from;
            (sent || received)
                && event_name(row).is_some()
                && contract.is_none_or(|contract| row.log.address == contract)
        })
    };
    Ok(page(question.view, &filter, wanted, trc20_row))
}

/// No block number, no log index, no block hash: as TronGrid has it.
fn trc20_row(row: &Row<'_>) -> Value {
    let (from, to) = parties(row).unwrap_or((row.log.address, row.log.address));
    json!({
        "transaction_id": row.entry.tx.id.to_string(),
        "token_info": {"symbol": "USDT", "address": row.log.address.to_tron(), "decimals": 6, "name": "Tether USD"},
        "block_timestamp": row.block.header.time,
        "from": from.to_tron(),
        "to": to.to_tron(),
        "type": event_name(row),
        "value": value_text(row),
    })
}

/// The event's value as a decimal text; numbers beyond 128 bits are shown by their largest.
fn value_text(row: &Row<'_>) -> String {
    let word = Word::try_from(row.log.data.as_slice()).unwrap_or([0; 32]);
    word_number(&word).map_or_else(|| UINT256_MAX.to_owned(), |value| value.to_string())
}

/// The one number above 128 bits that occurs: an unlimited approval.
const UINT256_MAX: &str =
    "115792089237316195423570985008687907853269984665640564039457584007913129639935";

fn contract_events(
    question: &Question<'_>,
    contract: &str,
    query: &HashMap<String, String>,
) -> Result<Page, BadRequest> {
    let contract = read_address(contract)
        .ok_or_else(|| BadRequest("A valid contract address is required.".to_owned()))?;
    let filter = read_filter(query, ["min_block_timestamp", "max_block_timestamp"])?;
    let height = number(query, "block_number")?;
    let name = query.get("event_name").filter(|text| !text.is_empty());
    let wanted = |row: &Row<'_>| {
        row.log.address == contract
            && height.is_none_or(|height| row.block.header.height == height)
            && name.is_none_or(|name| event_name(row) == Some(name.as_str()))
    };
    Ok(page(
        question.view,
        &filter,
        wanted,
        event_row(question.view),
    ))
}

fn transaction_events(
    question: &Question<'_>,
    id: &str,
    query: &HashMap<String, String>,
) -> Result<Page, BadRequest> {
    let id = (id.len() == 64).then(|| TxId::from_hex(id)).flatten();
    let id = id.ok_or_else(|| BadRequest("A valid transaction id is required.".to_owned()))?;
    let mut filter = read_filter(query, ["min_block_timestamp", "max_block_timestamp"])?;
    filter.limit = MAX_LIMIT;
    filter.order = Order::OldestFirst;
    let height = question
        .view
        .transaction(id)
        .map(|at| at.block.header.height);
    let in_block = question.view.only(height);
    Ok(page(
        in_block,
        &filter,
        |row| row.entry.tx.id == id,
        event_row(question.view),
    ))
}

fn block_events(
    question: &Question<'_>,
    which: &str,
    query: &HashMap<String, String>,
) -> Result<Page, BadRequest> {
    let mut filter = read_filter(query, ["min_block_timestamp", "max_block_timestamp"])?;
    filter.order = Order::OldestFirst;
    let latest = match filter.confirmed {
        Some(Confirmation::OnlyConfirmed) => question.view.solid_height(),
        _ => question.view.head_height(),
    };
    let height = match which {
        "latest" => latest,
        text => text
            .parse()
            .map_err(|_| BadRequest("A valid block number is required.".to_owned()))?,
    };
    let in_block = question.view.only(Some(height));
    Ok(page(in_block, &filter, |_| true, event_row(question.view)))
}

/// Addresses in `result` are 0x-form, `event_index` counts over the transaction, and only
/// unconfirmed rows say so.
fn event_row(view: View<'_>) -> impl Fn(&Row<'_>) -> Value {
    let solid = view.solid_height();
    move |row| {
        let names = match event_name(row) {
            Some("Approval") => ["owner", "spender", "value"],
            _ => ["from", "to", "value"],
        };
        let (first, second) = parties(row).unwrap_or((row.log.address, row.log.address));
        let values = [zero_x(first), zero_x(second), value_text(row)];
        let mut result = Map::new();
        for (n, (name, value)) in names.iter().zip(values).enumerate() {
            result.insert(n.to_string(), value.clone().into());
            result.insert((*name).to_owned(), value.into());
        }
        let name = event_name(row).unwrap_or_default();
        let mut object = json!({
            "block_number": row.block.header.height,
            "block_timestamp": row.block.header.time,
            "caller_contract_address": row.entry.tx.raw.call.target().to_tron(),
            "contract_address": row.log.address.to_tron(),
            "event_index": row.log_index,
            "event_name": name,
            "event": format!("{name}(address indexed {}, address indexed {}, uint256 {})", names[0], names[1], names[2]),
            "result": result,
            "result_type": {names[0]: "address", names[1]: "address", names[2]: "uint256"},
            "transaction_id": row.entry.tx.id.to_string(),
        });
        if row.block.header.height > solid {
            object["_unconfirmed"] = true.into();
        }
        object
    }
}

fn zero_x(address: Address) -> String {
    format!("0x{}", hex::encode(address.as_bytes()))
}

#[cfg(test)]
#[path = "v1_tests.rs"]
mod tests;
