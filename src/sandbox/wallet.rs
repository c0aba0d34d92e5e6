//! The reading half of `/wallet` and `/walletsolidity`: blocks, transactions, receipts.
//!
//! Answers what is absent as java-tron does: `{}` for a block or transaction, `[]` for receipts.

use serde_json::{Value, json};

use super::params::{NodeError, Params, decode_hex};
use super::render::{self, AddressForm, Detail};
use super::view::{Located, LogIndex, View};
use crate::domain::ids::{BlockHash, TxId};

/// Blocks of one `getblockbylimitnext`.
const MAX_BLOCK_RANGE: i64 = 100;

/// A read, by the last part of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    NowBlock,
    Block,
    BlockByNum,
    BlockById,
    BlockByLimitNext,
    BlockByLatestNum,
    InfoByBlockNum,
    InfoById,
    TransactionById,
}

impl Read {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "getnowblock" => Self::NowBlock,
            "getblock" => Self::Block,
            "getblockbynum" => Self::BlockByNum,
            "getblockbyid" => Self::BlockById,
            "getblockbylimitnext" => Self::BlockByLimitNext,
            "getblockbylatestnum" => Self::BlockByLatestNum,
            "gettransactioninfobyblocknum" => Self::InfoByBlockNum,
            "gettransactioninfobyid" => Self::InfoById,
            "gettransactionbyid" => Self::TransactionById,
            _ => return None,
        })
    }

    /// Reads that do without a body.
    pub fn takes_nothing(self) -> bool {
        matches!(self, Self::NowBlock | Self::Block)
    }

    /// # Errors
    /// What a node would report with HTTP 200.
    pub fn answer(self, view: View<'_>, params: &Params) -> Result<Value, NodeError> {
        let form = params.form;
        match self {
            Self::NowBlock => Ok(render::block(view.head(), Detail::Full, form)),
            Self::Block => block(view, params),
            Self::BlockByNum => block_by_num(view, params),
            Self::BlockById => {
                let id = <[u8; 32]>::try_from(params.bytes("value")?).map(BlockHash);
                let found = id.ok().and_then(|id| view.block_by_id(id));
                Ok(found.map_or_else(
                    || json!({}),
                    |found| render::block(found, Detail::Full, form),
                ))
            }
            Self::BlockByLimitNext => block_range(view, params),
            Self::BlockByLatestNum => latest_blocks(view, params),
            Self::InfoByBlockNum => info_by_block_num(view, params),
            Self::InfoById => {
                let found = located(view, params)?.filter(|_| view.logs == LogIndex::Working);
                Ok(found.map_or_else(|| json!({}), |at| render::info(at, form)))
            }
            Self::TransactionById => {
                let found = located(view, params)?;
                Ok(found.map_or_else(|| json!({}), |at| render::included(at.entry, form)))
            }
        }
    }
}

fn located<'a>(view: View<'a>, params: &Params) -> Result<Option<Located<'a>>, NodeError> {
    let id = <[u8; 32]>::try_from(params.bytes("value")?).map(TxId);
    Ok(id.ok().and_then(|id| view.transaction(id)))
}

/// `getblock`: by height, by hash, or the head; without transactions unless `detail` is true.
fn block(view: View<'_>, params: &Params) -> Result<Value, NodeError> {
    let detail = if params.flag("detail") {
        Detail::Full
    } else {
        Detail::HeaderOnly
    };
    let wanted = params.text("id_or_num").unwrap_or_default();
    let found = if wanted.is_empty() {
        Some(view.head())
    } else if let Ok(number) = wanted.parse::<i64>() {
        match u64::try_from(number) {
            Ok(number) => view.block(number),
            // java-tron's own words, wrong as they are.
            Err(_) => return Ok(json!({"Error": "num must be non-positive number."})),
        }
    } else {
        match legal_hash(view, &wanted) {
            Some(id) => view.block_by_id(id),
            None => return Ok(json!({"Error": "id must be legal block hash."})),
        }
    };
    Ok(found.map_or_else(
        || json!({}),
        |found| render::block(found, detail, params.form),
    ))
}

/// 64 hex digits whose first eight bytes are a height the node has reached.
fn legal_hash(view: View<'_>, text: &str) -> Option<BlockHash> {
    if text.len() != 64 {
        return None;
    }
    let bytes = <[u8; 32]>::try_from(decode_hex(text)?).ok()?;
    let height = u64::from_be_bytes(bytes[..8].try_into().ok()?);
    (height <= view.head_height()).then_some(BlockHash(bytes))
}

fn block_by_num(view: View<'_>, params: &Params) -> Result<Value, NodeError> {
    let number = params.int("num")?.unwrap_or(0);
    let found = u64::try_from(number)
        .ok()
        .and_then(|height| view.block(height));
    Ok(found.map_or_else(
        || json!({}),
        |found| render::block(found, Detail::Full, params.form),
    ))
}

/// `[startNum, endNum)`; a range that is empty or too wide is `{}`.
fn block_range(view: View<'_>, params: &Params) -> Result<Value, NodeError> {
    let start = params.int("startNum")?.unwrap_or(0);
    let end = params.int("endNum")?.unwrap_or(0);
    let width = end.saturating_sub(start);
    if end <= 0 || !(1..=MAX_BLOCK_RANGE).contains(&width) {
        return Ok(json!({}));
    }
    Ok(block_list(view, start..end, params.form))
}

fn latest_blocks(view: View<'_>, params: &Params) -> Result<Value, NodeError> {
    let count = params.int("num")?.unwrap_or(0);
    // java-tron's own bound: 0 < num < 100.
    if !(1..MAX_BLOCK_RANGE).contains(&count) {
        return Ok(json!({}));
    }
    let end = view.head_height().cast_signed() + 1;
    Ok(block_list(
        view,
        end.saturating_sub(count)..end,
        params.form,
    ))
}

fn block_list(view: View<'_>, heights: std::ops::Range<i64>, form: AddressForm) -> Value {
    let blocks: Vec<Value> = heights
        .filter_map(|height| view.block(u64::try_from(height).ok()?))
        .map(|found| render::block(found, Detail::Full, form))
        .collect();
    json!({"block": blocks})
}

/// `[]` for an empty block and for one that does not exist alike; `{}` for a height that cannot be.
fn info_by_block_num(view: View<'_>, params: &Params) -> Result<Value, NodeError> {
    let number = params.int("num")?.unwrap_or(0);
    let Some(height) = u64::try_from(number).ok().filter(|height| *height > 0) else {
        return Ok(json!({}));
    };
    let Some(block) = view.block(height) else {
        return Ok(json!([]));
    };
    let infos = view.receipts(block).iter().enumerate();
    Ok(infos
        .map(|(index, entry)| {
            render::info(
                Located {
                    block,
                    index,
                    entry,
                },
                params.form,
            )
        })
        .collect())
}

#[cfg(test)]
#[path = "wallet_tests.rs"]
mod tests;
