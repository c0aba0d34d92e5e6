//! A TRON node by whichever of its APIs it offers: its own HTTP API for blocks, JSON-RPC for searches, or JSON-RPC alone.
//!
//! Owns the choice, by configuration or by probing. What one API reads the other would read alike, so the choice can
//! change between two questions. Refuses to give up on a node for the want of one API: what JSON-RPC cannot do is done
//! block by block.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::connection::{Connection, NodeConfig, NodeConfigError};
use super::error::SourceError;
use super::jsonrpc::{At, JsonRpc, MAX_BATCH, MAX_TOPIC_WORDS, Proof};
use super::tron::TronHttp;
use super::{FetchedHeader, Found, SearchLimits, Source, Span, Usage};
use crate::clock::Clock;
use crate::domain::address::Address;
use crate::domain::chain::Block;
use crate::domain::ids::{Height, TxId, UnixMs};

/// Blocks in one search: java-tron takes 5,000, and the block before the first is asked for too.
const MAX_SPAN_BLOCKS: u64 = 4_900;
/// A search costs a handful of requests, whatever the gap.
const WORTH_FROM_BLOCKS: u64 = 100;
/// A node that cannot search so few is not asked to.
const MIN_SPAN_BLOCKS: u64 = 150;
/// Failures of batches and searches in a row after which the work goes on without them.
const FAILURES_IN_A_ROW: u32 = 3;
/// How long an API that turned out missing or unreliable is left alone.
const LEFT_ALONE_MS: u64 = 600_000;

/// Which of a node's APIs are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Api {
    /// Blocks by HTTP and searches by JSON-RPC, as far as each is offered.
    #[default]
    Auto,
    Http,
    JsonRpc,
}

/// One TRON node or provider.
pub struct TronNode {
    http: TronHttp,
    rpc: JsonRpc,
    api: Api,
    connection: Arc<Connection>,
    /// JSON-RPC tells times in whole seconds; for a chain with shorter slots they would not be the blocks' own.
    whole_seconds: bool,
    /// Until then blocks are read by JSON-RPC, because the HTTP API is not there.
    http_missing_until: AtomicU64,
    /// Until then batches and searches are not tried.
    rpc_missing_until: AtomicU64,
    rpc_failures: AtomicU32,
    span_blocks: AtomicU64,
}

impl TronNode {
    /// # Errors
    /// When the URL or the key cannot be used.
    pub fn new(
        config: &NodeConfig,
        client: reqwest::Client,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NodeConfigError> {
        let connection = Arc::new(Connection::new(config, client, clock)?);
        let at = match config.api {
            Api::JsonRpc => At::Url,
            Api::Auto | Api::Http => At::BelowUrl,
        };
        Ok(Self {
            http: TronHttp::new(Arc::clone(&connection), config.contract),
            rpc: JsonRpc::new(Arc::clone(&connection), config.contract, config.slot_ms, at),
            api: config.api,
            connection,
            whole_seconds: config.slot_ms.is_multiple_of(1_000),
            http_missing_until: AtomicU64::new(0),
            rpc_missing_until: AtomicU64::new(0),
            rpc_failures: AtomicU32::new(0),
            span_blocks: AtomicU64::new(MAX_SPAN_BLOCKS),
        })
    }

    fn is_before(&self, until: &AtomicU64) -> bool {
        self.connection.now() < UnixMs(until.load(Ordering::Relaxed))
    }

    fn leave_alone(&self, until: &AtomicU64) {
        let at = self.connection.now().plus_ms(LEFT_ALONE_MS);
        until.store(at.0, Ordering::Relaxed);
    }

    fn reads_by_rpc(&self) -> bool {
        match self.api {
            Api::Http => false,
            Api::JsonRpc => true,
            Api::Auto => self.is_before(&self.http_missing_until),
        }
    }

    /// What reads single blocks.
    fn reader(&self) -> &dyn Source {
        if self.reads_by_rpc() {
            &self.rpc
        } else {
            &self.http
        }
    }

    fn searches(&self) -> bool {
        let exact = self.whole_seconds || self.reads_by_rpc();
        self.api != Api::Http && exact && !self.is_before(&self.rpc_missing_until)
    }

    /// What is only a shorter way may fail: with less of it, or without it, the work goes on. A node that always
    /// fails here must not hold up what it does well.
    fn shorter_way<T>(&self, outcome: Result<T, SourceError>) -> Result<Option<T>, SourceError> {
        let error = match outcome {
            Ok(found) => {
                self.rpc_failures.store(0, Ordering::Relaxed);
                return Ok(Some(found));
            }
            Err(error) => error,
        };
        // Our own restraint is no news of the node, and reading block by block would only spend more.
        if matches!(error, SourceError::Budget { .. }) {
            return Err(error);
        }
        let blocks = self.span_blocks.load(Ordering::Relaxed);
        if error.means_too_much() && blocks > MIN_SPAN_BLOCKS {
            self.span_blocks
                .store((blocks / 2).max(MIN_SPAN_BLOCKS), Ordering::Relaxed);
            return Err(error);
        }
        let failures = self.rpc_failures.fetch_add(1, Ordering::Relaxed) + 1;
        if !error.is_lasting() && failures < FAILURES_IN_A_ROW {
            return Err(error);
        }
        self.rpc_failures.store(0, Ordering::Relaxed);
        self.leave_alone(&self.rpc_missing_until);
        self.span_blocks.store(MAX_SPAN_BLOCKS, Ordering::Relaxed);
        if error.means_path_is_missing() {
            tracing::info!(%error, "this node offers no JSON-RPC: after an outage it is asked block by block");
        } else {
            tracing::warn!(%error, "this node's JSON-RPC is not relied on: it is asked block by block");
        }
        Ok(None)
    }

    /// The block as something else than the log index tells it.
    async fn independent(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
        if !self.reads_by_rpc() {
            return self.http.block(header).await;
        }
        match self.rpc.block_by_receipts(header).await? {
            Some(block) => Ok(block),
            None => self.rpc.block(header).await,
        }
    }

    async fn searched(&self, span: Span, addresses: &[Address]) -> Result<Found, SourceError> {
        let (before, after) =
            futures::future::join(self.independent(&span.after), self.independent(&span.last))
                .await;
        let proof = Proof {
            ends: vec![before?, after?],
        };
        self.rpc.search_span(span, addresses, &proof).await
    }
}

#[async_trait::async_trait]
impl Source for TronNode {
    async fn head(&self) -> Result<FetchedHeader, SourceError> {
        let missing = match self.reader().head().await {
            Err(error) if error.means_path_is_missing() && self.api == Api::Auto => error,
            outcome => return outcome,
        };
        if self.reads_by_rpc() {
            self.http_missing_until.store(0, Ordering::Relaxed);
            return Err(missing);
        }
        let head = self.rpc.head().await.map_err(|_| missing)?;
        self.leave_alone(&self.http_missing_until);
        tracing::info!(
            endpoint = self.name(),
            "this node is read by JSON-RPC: it offers no HTTP API"
        );
        Ok(head)
    }

    async fn final_head(&self) -> Result<FetchedHeader, SourceError> {
        self.reader().final_head().await
    }

    async fn header(&self, height: Height) -> Result<Option<FetchedHeader>, SourceError> {
        self.reader().header(height).await
    }

    async fn block(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
        self.reader().block(header).await
    }

    async fn vouch(&self, header: &FetchedHeader, txids: &[TxId]) -> Result<(), SourceError> {
        self.reader().vouch(header, txids).await
    }

    async fn headers(
        &self,
        heights: &[Height],
    ) -> Result<Option<Vec<Option<FetchedHeader>>>, SourceError> {
        if !self.searches() || heights.len() > MAX_BATCH {
            return Ok(None);
        }
        self.shorter_way(self.rpc.headers(heights).await)
    }

    fn search_limits(&self) -> Option<SearchLimits> {
        self.searches().then(|| SearchLimits {
            blocks: self.span_blocks.load(Ordering::Relaxed),
            // Room for the transfers that are asked for as proof.
            addresses: MAX_TOPIC_WORDS - 2,
            worth_from_blocks: WORTH_FROM_BLOCKS,
        })
    }

    async fn search(
        &self,
        span: Span,
        addresses: &[Address],
    ) -> Result<Option<Found>, SourceError> {
        if !self.searches() {
            return Ok(None);
        }
        let found = self.shorter_way(self.searched(span, addresses).await)?;
        if found.is_some() {
            let blocks = self.span_blocks.load(Ordering::Relaxed);
            let more = (blocks + blocks / 8).min(MAX_SPAN_BLOCKS);
            self.span_blocks.store(more, Ordering::Relaxed);
        }
        Ok(found)
    }

    fn name(&self) -> &str {
        self.connection.host()
    }

    fn usage(&self) -> Usage {
        self.connection.usage()
    }
}

#[cfg(test)]
mod tests;
