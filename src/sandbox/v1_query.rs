//! Reading a `/v1` query string: filters, paging, and TronGrid's two spellings of names and addresses.
//!
//! Refuses what is malformed with the text of TronGrid's 400.

use std::collections::HashMap;

use super::params::decode_hex;
use super::rows::{Order, Position};
use crate::domain::address::Address;

/// Rows on a page, unless asked for otherwise, and at most.
const DEFAULT_LIMIT: usize = 20;
pub const MAX_LIMIT: usize = 200;
/// `min_timestamp` is floored to this, in milliseconds.
const TIME_GRAIN_MS: u64 = 1_000;

/// A question that TronGrid refuses.
pub struct BadRequest(pub String);

/// What rows are wanted, and how many.
pub struct Filter {
    pub order: Order,
    pub limit: usize,
    pub after: Option<Position>,
    pub confirmed: Option<Confirmation>,
    pub min_time: u64,
    pub max_time: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    OnlyConfirmed,
    OnlyUnconfirmed,
}

/// Names come in snake_case or camelCase.
pub fn read_query(query: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (snake_case(&name), value.into_owned()))
        .collect()
}

fn snake_case(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
        text
    })
}

pub fn is_true(query: &HashMap<String, String>, name: &str) -> bool {
    query.get(name).is_some_and(|text| text == "true")
}

pub fn number(query: &HashMap<String, String>, name: &str) -> Result<Option<u64>, BadRequest> {
    let Some(text) = query.get(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let refusal = || {
        BadRequest(format!(
            "Invalid {name} provided: a whole number is required."
        ))
    };
    text.parse().map(Some).map_err(|_| refusal())
}

pub fn read_filter(
    query: &HashMap<String, String>,
    times: [&str; 2],
) -> Result<Filter, BadRequest> {
    let confirmed = match (
        is_true(query, "only_confirmed"),
        is_true(query, "only_unconfirmed"),
    ) {
        (true, true) => {
            return Err(BadRequest(
                "only_confirmed and only_unconfirmed cannot both be true.".to_owned(),
            ));
        }
        (true, false) => Some(Confirmation::OnlyConfirmed),
        (false, true) => Some(Confirmation::OnlyUnconfirmed),
        (false, false) => None,
    };
    let order = match query.get("order_by").map(String::as_str) {
        None | Some("" | "block_timestamp,desc") => Order::NewestFirst,
        Some("block_timestamp,asc") => Order::OldestFirst,
        Some(_) => {
            return Err(BadRequest(
                "Invalid order_by provided: block_timestamp,asc or block_timestamp,desc."
                    .to_owned(),
            ));
        }
    };
    let limit = number(query, "limit")?.map_or(DEFAULT_LIMIT, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    if limit == 0 {
        return Err(BadRequest(
            "Invalid limit provided: it must be at least 1.".to_owned(),
        ));
    }
    let after = match query.get("fingerprint").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(
            Position::from_fingerprint(text)
                .ok_or_else(|| BadRequest("Invalid fingerprint provided.".to_owned()))?,
        ),
    };
    let min_time = number(query, times[0])?.unwrap_or(0);
    Ok(Filter {
        order,
        limit: limit.min(MAX_LIMIT),
        after,
        confirmed,
        min_time: min_time - min_time % TIME_GRAIN_MS,
        max_time: number(query, times[1])?.unwrap_or(u64::MAX),
    })
}

/// Base58, `41...` or `0x...`.
pub fn read_address(text: &str) -> Option<Address> {
    if let Ok(address) = Address::from_tron(text) {
        return Some(address);
    }
    let bytes = decode_hex(text)?;
    match *bytes.as_slice() {
        [0x41, ref rest @ ..] if rest.len() == 20 => {
            Some(Address::from_bytes(rest.try_into().ok()?))
        }
        ref bare if bare.len() == 20 => Some(Address::from_bytes(bare.try_into().ok()?)),
        _ => None,
    }
}
