//! `/sandbox/...`: what a person or a test may order of the chain.
//!
//! Refuses bad orders with 400 and a text that names the mistake and the remedy; never touches the
//! chain before an order is understood whole.

use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer::Answer;
use super::chain::{Chain, MAX_PENDING, SubmitError};
use super::contracts::{DISPERSER, FAKE_USDT, FORWARDER, MAX_RECIPIENTS, USDT};
use super::faults::FaultOrder;
use super::noise::{Kind, Payment};
use super::state::{Slot, Token};
use crate::domain::address::Address;
use crate::domain::amount::{Amount, Decimals};
use crate::domain::ids::TxId;

/// Blocks that one order may mine.
pub const MAX_MINED: u64 = 10_000;
/// Transactions that one fork may drop.
const MAX_DROPPED: usize = 1_000;
/// More USDT than there is: the most that one payment may move, in base units.
const MAX_PAYMENT: u128 = 1_000_000_000_000 * 1_000_000;

/// A refusal's text.
type Refusal = String;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransferOrder<'a> {
    to: String,
    #[serde(borrow)]
    amount: &'a RawValue,
    from: Option<String>,
    #[serde(default)]
    kind: Kind,
    /// Only for `multi`: who else the transaction pays.
    #[serde(borrow, default)]
    also: Vec<AlsoOrder<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlsoOrder<'a> {
    to: String,
    #[serde(borrow)]
    amount: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForkOrder {
    depth: u64,
    #[serde(default)]
    drop: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MineOrder {
    blocks: u64,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], example: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| format!("the body is not understood: {error}; send for example {example}"))
}

fn address(field: &str, text: &str) -> Result<Address, Refusal> {
    Address::from_tron(text).map_err(|error| format!("{field} is not a TRON address: {error}"))
}

/// Reads a decimal from the JSON text itself, quoted or not, so that no float comes between.
fn amount(field: &str, raw: &RawValue) -> Result<u128, Refusal> {
    let text = raw.get();
    let quoted: Option<String> = text
        .starts_with('"')
        .then(|| serde_json::from_str(text).ok())
        .flatten();
    let parsed = Amount::parse(quoted.as_deref().unwrap_or(text), Decimals::USDT_TRON);
    let units = parsed.map(Amount::base_units).map_err(|error| {
        format!(
            "{field} is not an amount of USDT: {error}; send a decimal such as 10.5 or \"10.50\""
        )
    })?;
    if units > MAX_PAYMENT {
        return Err(format!(
            "{field} is more USDT than there is; send at most {}",
            MAX_PAYMENT / 1_000_000
        ));
    }
    Ok(units)
}

/// `POST /sandbox/transfer`.
pub fn transfer(chain: &mut Chain, body: &[u8]) -> Answer {
    match read_payment(chain, body) {
        Err(refusal) => Answer::refusal(StatusCode::BAD_REQUEST, refusal),
        Ok(payment) => match chain.submit_payment(&payment) {
            Ok(id) => Answer::json(&json!({"txid": id.to_string()})),
            Err(full @ SubmitError::Full) => {
                Answer::refusal(StatusCode::TOO_MANY_REQUESTS, full.to_string())
            }
            Err(twin @ SubmitError::Duplicate) => {
                Answer::refusal(StatusCode::CONFLICT, twin.to_string())
            }
        },
    }
}

fn read_payment(chain: &mut Chain, body: &[u8]) -> Result<Payment, Refusal> {
    let order: TransferOrder<'_> = read(body, r#"{"to":"T...","amount":"10.50"}"#)?;
    if order.kind != Kind::Multi && !order.also.is_empty() {
        return Err("also is only for kind multi".to_owned());
    }
    if order.also.len() >= MAX_RECIPIENTS {
        return Err(format!(
            "one transaction pays at most {MAX_RECIPIENTS} recipients"
        ));
    }
    let main = (address("to", &order.to)?, amount("amount", order.amount)?);
    let mut to = vec![main];
    for other in &order.also {
        to.push((
            address("also.to", &other.to)?,
            amount("also.amount", other.amount)?,
        ));
    }
    if order.kind == Kind::Multi && order.also.is_empty() {
        // A stranger comes first, so that the payment's log is not its transaction's first.
        to.insert(0, (chain.some_stranger(), main.1));
    }
    let from = match &order.from {
        Some(text) => address("from", text)?,
        None => chain.some_stranger(),
    };
    Ok(Payment {
        from,
        to,
        kind: order.kind,
    })
}

/// How many blocks `POST /sandbox/mine` asks for; an empty body asks for one.
///
/// # Errors
/// The refusal, ready to send.
pub fn read_mine(body: &[u8]) -> Result<u64, Answer> {
    if body.trim_ascii().is_empty() {
        return Ok(1);
    }
    let order = read::<MineOrder>(body, r#"{"blocks":1}"#);
    order
        .and_then(|order| {
            let fits = (1..=MAX_MINED).contains(&order.blocks);
            fits.then_some(order.blocks)
                .ok_or_else(|| format!("blocks must be from 1 to {MAX_MINED}"))
        })
        .map_err(|refusal| Answer::refusal(StatusCode::BAD_REQUEST, refusal))
}

/// `POST /sandbox/fork`.
pub fn fork(chain: &mut Chain, body: &[u8]) -> Answer {
    let order = read::<ForkOrder>(body, r#"{"depth":2,"drop":[]}"#).and_then(|order| {
        if order.drop.len() > MAX_DROPPED {
            return Err(format!("drop may name at most {MAX_DROPPED} transactions"));
        }
        let ids = order.drop.iter().map(|text| {
            TxId::from_hex(text)
                .ok_or_else(|| "drop must list transaction ids: 64 hex digits each".to_owned())
        });
        Ok((order.depth, ids.collect::<Result<Vec<_>, _>>()?))
    });
    let forked =
        order.and_then(|(depth, drop)| chain.fork(depth, &drop).map_err(|error| error.to_string()));
    match forked {
        Err(refusal) => Answer::refusal(StatusCode::BAD_REQUEST, refusal),
        Ok(forked) => Answer::json(&json!({
            "from_height": forked.from_height,
            "old_head": forked.old_head.to_string(),
            "new_head": forked.new_head.to_string(),
            "dropped": forked.dropped.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "included_again": forked.included_again,
        })),
    }
}

/// Reads `POST /sandbox/fault`.
///
/// # Errors
/// The refusal's text.
pub fn read_fault(body: &[u8]) -> Result<FaultOrder, Refusal> {
    read(body, r#"{"kind":"429","times":3}"#)
}

/// The parts of `GET /sandbox/state` that the chain knows.
pub fn state(chain: &Chain) -> Value {
    let point = |height: u64| {
        let block = chain.block(height).unwrap_or_else(|| chain.head());
        json!({"number": block.header.height, "id": block.id.to_string(), "timestamp": block.header.time})
    };
    let test = chain.actors.test.address();
    json!({
        "head": point(chain.head_height()),
        "solid": point(chain.solid_height()),
        "lowest": chain.lowest_height(),
        "block_ms": chain.options.block_ms,
        "seed": chain.options.seed,
        "noise_per_block": chain.options.noise_per_block,
        "pending": chain.pending(),
        "max_pending": MAX_PENDING,
        "kept_transactions": chain.kept_transactions(),
        "contracts": {
            "usdt": USDT.to_tron(), "fake_token": FAKE_USDT.to_tron(),
            "internal": FORWARDER.to_tron(), "multi": DISPERSER.to_tron(),
        },
        "test_account": {
            "note": "a publicly known key: for this sandbox only",
            "address": test.to_tron(),
            "private_key": chain.actors.test.private_hex(),
            "usdt": Amount::from_base_units(chain.state.get(Slot::Balance(Token::Usdt, test))).to_decimal(Decimals::USDT_TRON),
            "trx_sun": chain.state.get(Slot::Trx(test)).to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::chain::ChainOptions;

    fn chain() -> Chain {
        Chain::new(
            ChainOptions {
                block_ms: 3000,
                seed: 1,
                noise_per_block: 0,
                kept_blocks: 100,
            },
            40,
            1_800_000_000_000,
        )
    }

    fn error_of(answer: &Answer) -> String {
        let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        format!(
            "{} {}",
            answer.status.as_u16(),
            value["error"].as_str().unwrap_or_default()
        )
    }

    #[test]
    fn amounts_are_read_from_the_text_itself() {
        let mut chain = chain();
        let shop = "TX8qeDzWJ3ePxwajj18PGbcc7FwV1dhqt3";
        for text in ["10.50", "\"10.50\"", "1.05e1", "\"10.5\"", "1050e-2"] {
            let body = format!(r#"{{"to":"{shop}","amount":{text}}}"#);
            assert_eq!(
                transfer(&mut chain, body.as_bytes()).status,
                StatusCode::OK,
                "{text}"
            );
        }
        chain.produce(chain.next_time(0));
        let slot = Slot::Balance(Token::Usdt, Address::from_tron(shop).expect("valid"));
        assert_eq!(chain.state.get(slot), 5 * 10_500_000);
    }

    #[test]
    fn bad_transfers_are_told_what_to_do() {
        let mut chain = chain();
        let shop = "TX8qeDzWJ3ePxwajj18PGbcc7FwV1dhqt3";
        for (body, hint) in [
            ("", "send for example"),
            ("[]", "send for example"),
            (r#"{"amount":1}"#, "missing field `to`"),
            (r#"{"to":"x","amount":1}"#, "34 characters"),
            (
                &format!(r#"{{"to":"{shop}","amount":"ten"}}"#),
                "not a decimal number",
            ),
            (&format!(r#"{{"to":"{shop}","amount":-1}}"#), "negative"),
            (
                &format!(r#"{{"to":"{shop}","amount":0.0000001}}"#),
                "6 digits",
            ),
            (
                &format!(r#"{{"to":"{shop}","amount":1e20}}"#),
                "than there is",
            ),
            (
                &format!(r#"{{"to":"{shop}","amount":null}}"#),
                "not a decimal number",
            ),
            (
                &format!(r#"{{"to":"{shop}","amount":1,"kind":"gift"}}"#),
                "expected one of",
            ),
            (
                &format!(r#"{{"to":"{shop}","amount":1,"from":"me"}}"#),
                "from is not",
            ),
            (
                &format!(r#"{{"to":"{shop}","amount":1,"fee":2}}"#),
                "unknown field",
            ),
            (
                &format!(r#"{{"to":"{shop}","amount":1,"also":[{{"to":"{shop}","amount":1}}]}}"#),
                "only for kind multi",
            ),
        ] {
            let error = error_of(&transfer(&mut chain, body.as_bytes()));
            assert!(
                error.starts_with("400 ") && error.contains(hint),
                "{body}: {error}"
            );
        }
        assert_eq!(chain.pending(), 0);
    }

    #[test]
    fn bad_forks_and_mines_are_told_what_to_do() {
        let mut chain = chain();
        for (body, hint) in [
            (r#"{"depth":0}"#, "at least 1"),
            (r#"{"depth":19}"#, "at most 18"),
            (r#"{"depth":2,"drop":["x"]}"#, "64 hex digits"),
            (r#"{"depth":-1}"#, "send for example"),
            ("{}", "missing field `depth`"),
        ] {
            let error = error_of(&fork(&mut chain, body.as_bytes()));
            assert!(
                error.starts_with("400 ") && error.contains(hint),
                "{body}: {error}"
            );
        }
        assert_eq!(read_mine(b""), Ok(1));
        assert_eq!(read_mine(br#"{"blocks":7}"#), Ok(7));
        for bad in [
            &br#"{"blocks":0}"#[..],
            br#"{"blocks":10001}"#,
            br#"{"blocks":"x"}"#,
            b"nonsense",
        ] {
            assert!(read_mine(bad).is_err());
        }
    }
}
