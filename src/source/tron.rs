//! A TRON node spoken to through its HTTP API (java-tron, TronGrid and what imitates them).
//!
//! Owns the paths, the request bodies and the rules by which logs are tied to a header. Refuses
//! to retry, to follow redirects, and to take an empty answer for an empty block without proof.
//!
//! Source of the API: <https://developers.tron.network/reference>, java-tron's servlets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::connection::Connection;
use super::error::{Asked, SourceError};
use super::tron_wire::{self, Infos, WireError};
use super::{Contents, FetchedHeader, Source, Usage};
use crate::domain::address::Address;
use crate::domain::chain::Block;
use crate::domain::ids::{BlockHash, Height, TxId};

/// How long a node that lacks `getblock` is asked by the older paths, before `getblock` is
/// tried again: load-balanced nodes answer 404 now and then for paths that exist.
const OLD_PATHS_FOR_MS: u64 = 600_000;

const INFOS: &str = "/wallet/gettransactioninfobyblocknum";
const BLOCK_BY_NUMBER: &str = "/wallet/getblockbynum";

/// One TRON node or provider.
pub struct TronHttp {
    connection: Arc<Connection>,
    contract: Address,
    /// Until then this node's blocks are asked for by the older paths, for each view.
    old_paths_until: [AtomicU64; 2],
    /// A header whose root said "no transactions" belonged to a block that had some.
    roots_lie: AtomicBool,
}

/// Which of a node's two views of the chain is asked: all blocks, or the final ones.
#[derive(Clone, Copy)]
enum View {
    Newest,
    Final,
}

impl View {
    const fn get_block(self) -> &'static str {
        match self {
            Self::Newest => "/wallet/getblock",
            Self::Final => "/walletsolidity/getblock",
        }
    }

    const fn get_now_block(self) -> &'static str {
        match self {
            Self::Newest => "/wallet/getnowblock",
            Self::Final => "/walletsolidity/getnowblock",
        }
    }
}

/// What a second look at a block says of its transactions.
enum SecondLook {
    NoTransactions,
    Transactions,
    /// The node does not offer the request.
    Unavailable(SourceError),
}

impl TronHttp {
    pub(super) fn new(connection: Arc<Connection>, contract: Address) -> Self {
        Self {
            connection,
            contract,
            old_paths_until: [AtomicU64::new(0), AtomicU64::new(0)],
            roots_lie: AtomicBool::new(false),
        }
    }

    /// A block's header by height, or the newest one; `None` for `{}`.
    async fn fetch_header(
        &self,
        view: View,
        height: Option<Height>,
    ) -> Result<Option<FetchedHeader>, SourceError> {
        let old_paths_until = &self.old_paths_until[view as usize];
        if self.connection.now().0 < old_paths_until.load(Ordering::Relaxed) {
            return self.header_by_old_paths(view, height).await;
        }
        let body = match height {
            Some(height) => format!(r#"{{"id_or_num":"{height}","detail":false}}"#),
            None => r#"{"detail":false}"#.to_owned(),
        };
        let asked = self.asked(view.get_block(), height);
        match self.ask(&asked, body, tron_wire::parse_header).await {
            Err(error) if error.means_path_is_missing() => {
                let found = self.header_by_old_paths(view, height).await?;
                let until = self.connection.now().plus_ms(OLD_PATHS_FOR_MS);
                old_paths_until.store(until.0, Ordering::Relaxed);
                tracing::info!(%error, "this node is asked for whole blocks instead of headers");
                Ok(found)
            }
            outcome => outcome,
        }
    }

    async fn header_by_old_paths(
        &self,
        view: View,
        height: Option<Height>,
    ) -> Result<Option<FetchedHeader>, SourceError> {
        if let Some(height) = height {
            return self.full_block(height, tron_wire::parse_header).await;
        }
        let asked = self.asked(view.get_now_block(), None);
        self.ask(&asked, "{}".to_owned(), tron_wire::parse_header)
            .await
    }

    async fn newest(&self, view: View) -> Result<FetchedHeader, SourceError> {
        let found = self.fetch_header(view, None).await?;
        found.ok_or_else(|| SourceError::NotReady {
            asked: self.asked(view.get_block(), None),
            what: "the node has no block at all".to_owned(),
        })
    }

    /// Asks for the whole block at a height, however large.
    async fn full_block<T>(
        &self,
        height: Height,
        parse: impl Fn(&[u8]) -> Result<T, WireError>,
    ) -> Result<T, SourceError> {
        let asked = self.asked(BLOCK_BY_NUMBER, Some(height));
        self.ask(&asked, format!(r#"{{"num":{height}}}"#), parse)
            .await
    }

    /// What a full block that is not there, or is another's, means after its header was given.
    fn not_this_block(&self, header: &FetchedHeader, found: Option<BlockHash>) -> SourceError {
        let asked = self.asked(BLOCK_BY_NUMBER, Some(header.header.height));
        match found {
            None => SourceError::NotReady {
                asked,
                what: "the node does not have the block whose header it gave".to_owned(),
            },
            Some(hash) => SourceError::Mismatch {
                asked,
                what: format!("the block is {hash}, not {}", header.header.hash),
            },
        }
    }

    async fn infos(&self, header: &FetchedHeader) -> Result<Infos, SourceError> {
        let height = header.header.height;
        let asked = self.asked(INFOS, Some(height));
        self.ask(&asked, format!(r#"{{"num":{height}}}"#), |body| {
            tron_wire::parse_infos(body, &header.header, self.contract)
        })
        .await
    }

    /// Asks for the whole block, which alone tells an empty block from one whose logs the node
    /// does not have (yet).
    async fn second_look(&self, header: &FetchedHeader) -> Result<SecondLook, SourceError> {
        let height = header.header.height;
        let summary = match self.full_block(height, tron_wire::parse_summary).await {
            Err(error) if error.means_path_is_missing() => {
                return Ok(SecondLook::Unavailable(error));
            }
            outcome => outcome?,
        };
        match summary {
            None => Err(self.not_this_block(header, None)),
            Some(found) if found.hash != header.header.hash => {
                Err(self.not_this_block(header, Some(found.hash)))
            }
            Some(found) => Ok(match found.contents {
                Contents::NotEmpty => SecondLook::Transactions,
                Contents::Empty | Contents::Unknown => SecondLook::NoTransactions,
            }),
        }
    }

    /// Whether a block whose header says so is empty indeed. `[]` from the list of infos would
    /// prove nothing, so the block itself is asked for instead: the same one request.
    async fn is_empty_indeed(&self, header: &FetchedHeader) -> Result<bool, SourceError> {
        match self.second_look(header).await? {
            SecondLook::NoTransactions => Ok(true),
            SecondLook::Transactions => {
                self.roots_lie.store(true, Ordering::Relaxed);
                tracing::warn!(
                    endpoint = %self.connection.host(), height = %header.header.height,
                    "the header's txTrieRoot is zero but the block has transactions"
                );
                Ok(false)
            }
            // Nothing better is to be had here than the header's word and an empty list.
            SecondLook::Unavailable(_) => Ok(self.infos(header).await?.transactions == 0),
        }
    }

    fn asked(&self, path: &'static str, height: Option<Height>) -> Asked {
        self.connection.asked(path, height)
    }

    async fn ask<T>(
        &self,
        asked: &Asked,
        body: String,
        parse: impl Fn(&[u8]) -> Result<T, WireError>,
    ) -> Result<T, SourceError> {
        let url = self.connection.join(asked.path);
        self.connection.post(url, asked, body, parse).await
    }
}

#[async_trait::async_trait]
impl Source for TronHttp {
    async fn head(&self) -> Result<FetchedHeader, SourceError> {
        self.newest(View::Newest).await
    }

    async fn final_head(&self) -> Result<FetchedHeader, SourceError> {
        self.newest(View::Final).await
    }

    async fn header(&self, height: Height) -> Result<Option<FetchedHeader>, SourceError> {
        let found = self.fetch_header(View::Newest, Some(height)).await?;
        match found {
            Some(other) if other.header.height != height => Err(SourceError::Mismatch {
                asked: self.asked(View::Newest.get_block(), Some(height)),
                what: format!("the header is of height {}", other.header.height),
            }),
            found => Ok(found),
        }
    }

    async fn block(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
        let empty = Block {
            header: header.header,
            transfers: Vec::new(),
        };
        // Block 0 is written, not executed: it has transactions but no infos, ever.
        if header.header.height == Height(0) {
            return Ok(empty);
        }
        let said_empty =
            header.contents == Contents::Empty && !self.roots_lie.load(Ordering::Relaxed);
        if said_empty && self.is_empty_indeed(header).await? {
            return Ok(empty);
        }
        let infos = self.infos(header).await?;
        if infos.transactions > 0 {
            return Ok(Block {
                header: header.header,
                transfers: infos.transfers,
            });
        }
        match self.second_look(header).await? {
            SecondLook::NoTransactions => Ok(empty),
            SecondLook::Transactions => Err(SourceError::NotReady {
                asked: self.asked(INFOS, Some(header.header.height)),
                what: "no logs yet for a block that has transactions".to_owned(),
            }),
            SecondLook::Unavailable(error) => Err(error),
        }
    }

    /// Infos name no hash: their height and slot time stand in for it, and a representative that runs two nodes can
    /// produce two blocks in one slot. The block itself tells which transactions are its own.
    async fn vouch(&self, header: &FetchedHeader, txids: &[TxId]) -> Result<(), SourceError> {
        let height = header.header.height;
        let (hash, members) = match self.full_block(height, tron_wire::parse_members).await {
            Err(error) if error.means_path_is_missing() => return Ok(()),
            Err(error) => return Err(error),
            Ok(None) => return Err(self.not_this_block(header, None)),
            Ok(Some(found)) => found,
        };
        if hash != header.header.hash {
            return Err(self.not_this_block(header, Some(hash)));
        }
        match txids.iter().find(|txid| !members.contains(txid)) {
            None => Ok(()),
            Some(txid) => Err(SourceError::Mismatch {
                asked: self.asked(BLOCK_BY_NUMBER, Some(height)),
                what: format!("transaction {txid} of its logs is not in it"),
            }),
        }
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
