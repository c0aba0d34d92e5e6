//! What a chain tells: block headers, token transfers, and blocks that hold both.
//!
//! A `Block` is only ever built from a header and logs known to belong together.

use super::address::Address;
use super::amount::Amount;
use super::ids::{BlockHash, Height, TxId, UnixMs};

/// The part of a block that says where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    pub height: Height,
    pub hash: BlockHash,
    pub parent: BlockHash,
    pub time: UnixMs,
}

/// One `Transfer` log of the watched token contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    pub txid: TxId,
    /// Counts over the whole block, from 0.
    pub log_index: u32,
    pub from: Address,
    pub to: Address,
    /// The event's value; never a call's argument. Never zero.
    pub amount: Amount,
}

/// A block with every non-zero transfer of the token in it, in log order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub header: BlockHeader,
    pub transfers: Vec<Transfer>,
}
