//! Floor 2, the source: how the hub reads a chain through somebody's node.
//!
//! Owns the questions (head, final head, header, block) and what a node's answers are worth.
//! Refuses to schedule, to retry and to remember blocks: the follower does that. A [`Block`]
//! leaves here only with logs that are known to belong to its header.

pub mod budget;
mod connection;
pub mod endpoints;
pub mod error;
#[cfg(test)]
mod fake_node;
mod health;
pub mod http;
mod jsonrpc;
pub mod jsonrpc_wire;
pub mod node;
pub mod tron;
mod tron_infos;
mod tron_json;
mod tron_log;
pub mod tron_wire;

use crate::domain::address::Address;
use crate::domain::chain::{Block, BlockHeader};
use crate::domain::ids::{Height, TxId, UnixMs};

pub use connection::{NodeConfig, NodeConfigError};
pub use error::{Asked, SourceError};

/// Heads go backwards where several nodes answer under one name, but not by more blocks than this: such a head is another
/// node's mistake or another chain's, now or before.
pub const MAX_HEAD_BACK_BLOCKS: u64 = 100;

/// Whether a head is too far below a height seen before for a node that is merely behind.
pub fn is_far_below(head: Height, seen: Height) -> bool {
    head.0.saturating_add(MAX_HEAD_BACK_BLOCKS) < seen.0
}

/// A header and what it says of its block's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchedHeader {
    pub header: BlockHeader,
    pub contents: Contents,
}

/// Whether a block holds transactions, as far as its header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    Empty,
    NotEmpty,
    Unknown,
}

/// What an endpoint has been asked, and whether it may be asked more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Requests sent since the last UTC midnight.
    pub requests_today: u64,
    /// What is left of the daily budget; `None` where there is no such budget.
    pub requests_left_today: Option<u64>,
    /// The node said to stay away until then.
    pub suspended_until: Option<UnixMs>,
    /// Every request before then is refused without being sent: a suspension, or a spent day.
    pub refuses_until: Option<UnixMs>,
}

/// Final blocks to be searched: those above `after`, up to and with `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub after: FetchedHeader,
    pub last: FetchedHeader,
}

/// How much one search covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchLimits {
    /// Blocks in one span.
    pub blocks: u64,
    /// Addresses that one request can ask for.
    pub addresses: usize,
    /// A shorter gap is read block by block.
    pub worth_from_blocks: u64,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The blocks with transfers to the addresses, lowest first, each with these transfers alone.
    pub blocks: Vec<Block>,
    /// The header of the span's last block.
    pub last: BlockHeader,
}

/// One node, or one picked for a round of questions. Never answers from two nodes.
///
/// No method retries, and none should be wrapped in a time-out of the caller's: every request
/// has its own, and an answer that is dropped half-way is not counted for or against the node.
#[async_trait::async_trait]
pub trait Source: Send + Sync + 'static {
    /// The newest block that the node has.
    ///
    /// # Errors
    /// Any [`SourceError`]; the caller asks again later.
    async fn head(&self) -> Result<FetchedHeader, SourceError>;

    /// The newest block that can no longer be forked away.
    ///
    /// # Errors
    /// Any [`SourceError`].
    async fn final_head(&self) -> Result<FetchedHeader, SourceError>;

    /// The header at `height`; `None` when the node does not have it (yet). A load-balanced
    /// node says `None` for blocks that exist, so it proves nothing.
    ///
    /// # Errors
    /// Any [`SourceError`]; `Mismatch` when another height's block is returned.
    async fn header(&self, height: Height) -> Result<Option<FetchedHeader>, SourceError>;

    /// The transfers of exactly this header's block.
    ///
    /// # Errors
    /// `Mismatch` when the node's logs belong to another block at that height, `NotReady` when
    /// it cannot tell them yet; both are worth asking again after the header was read anew.
    async fn block(&self, header: &FetchedHeader) -> Result<Block, SourceError>;

    /// Makes sure that these transactions are in exactly this header's block, where [`Source::block`] had to go by less
    /// than its hash.
    ///
    /// # Errors
    /// `Mismatch` when one is not, `NotReady` when the node cannot tell yet.
    async fn vouch(&self, _header: &FetchedHeader, _txids: &[TxId]) -> Result<(), SourceError> {
        Ok(())
    }

    /// The headers at these heights, in the same order, with one request for many; `None` where the node does not
    /// offer that. A missing header proves nothing.
    ///
    /// # Errors
    /// Any [`SourceError`].
    async fn headers(
        &self,
        _heights: &[Height],
    ) -> Result<Option<Vec<Option<FetchedHeader>>>, SourceError> {
        Ok(None)
    }

    /// Whether blocks can be searched here, as far as is known, and how many at once.
    fn search_limits(&self) -> Option<SearchLimits> {
        None
    }

    /// The blocks of a span of final blocks in which one of the addresses received something; `None` where the node
    /// does not offer that after all, or not reliably.
    ///
    /// # Errors
    /// Any [`SourceError`]; after one that means "too much" the limits are lower.
    async fn search(
        &self,
        _span: Span,
        _addresses: &[Address],
    ) -> Result<Option<Found>, SourceError> {
        Ok(None)
    }

    /// How a round of questions ended: whether answers that were sound one by one made sense together. A source that
    /// keeps no record passes it over.
    fn round_ended(&self, _contradiction: Option<String>) {}

    /// The endpoint's host, for logs and stats; never the API key.
    fn name(&self) -> &str;

    /// Requests of today and what is left. A source that counts nothing keeps the default.
    fn usage(&self) -> Usage {
        Usage::default()
    }
}
