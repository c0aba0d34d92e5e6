//! A node spoken to through JSON-RPC (`eth_getBlockByNumber`, `eth_getLogs`, `eth_getBlockReceipts`).
//!
//! Owns the calls, batches of them, and the rules by which logs are tied to a header. Refuses to take an empty list of
//! logs for an empty block without proof: some nodes answer `eth_getLogs` with nothing, always or for fresh blocks.
//!
//! Source of the API: <https://developers.tron.network/reference/json-rpc-api>, java-tron's `TronJsonRpcImpl`, and
//! <https://ethereum.org/en/developers/docs/apis/json-rpc/>.

mod search;

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use url::Url;

use super::connection::Connection;
use super::error::{Asked, SourceError};
use super::jsonrpc_wire::{self as wire, LocatedTransfer, Outcome};
use super::tron_json::WireError;
use super::tron_log::TRANSFER_TOPIC;
use super::{Contents, FetchedHeader, Source, Usage};
use crate::domain::address::Address;
use crate::domain::chain::{Block, Transfer};
use crate::domain::ids::{BlockHash, Height, UnixMs};

pub(super) use search::MAX_TOPIC_WORDS;
pub(super) use search::Proof;

/// Where java-tron and TronGrid answer JSON-RPC.
const PATH: &str = "/jsonrpc";
/// Calls in one batch; java-tron takes no more.
pub(super) const MAX_BATCH: usize = 100;
/// Fresh blocks without a log whose second reading is waited for. Few forks compete at a time.
const MAX_DOUBTS: usize = 64;

const BLOCK: &str = " eth_getBlockByNumber";
const LOGS: &str = " eth_getLogs";
const RECEIPTS: &str = " eth_getBlockReceipts";

/// One node's JSON-RPC API.
pub(super) struct JsonRpc {
    connection: Arc<Connection>,
    url: Url,
    contract: Address,
    slot_ms: u64,
    /// Blocks that have transactions and, by a first reading, no logs; with the time of that reading.
    doubts: Mutex<Vec<(BlockHash, UnixMs)>>,
    /// A search has found something here, so its log index is not missing altogether.
    shows_logs: AtomicBool,
}

/// One call of a batch.
struct Call {
    method: &'static str,
    params: String,
}

impl Call {
    fn block(at: &str) -> Self {
        Self {
            method: "eth_getBlockByNumber",
            params: format!(r#"["{at}",false]"#),
        }
    }

    fn block_at(height: Height) -> Self {
        Self::block(&format!("{:#x}", height.0))
    }

    /// With the id that says which answer is its.
    fn json(&self, id: usize) -> String {
        let Self { method, params } = self;
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
    }
}

impl JsonRpc {
    /// The API below the node's URL, or at the URL itself where that has a path and no other API is asked.
    pub(super) fn new(
        connection: Arc<Connection>,
        contract: Address,
        slot_ms: u64,
        at: At,
    ) -> Self {
        let url = match at {
            At::BelowUrl => connection.join(PATH),
            At::Url => connection.url_or(PATH),
        };
        Self {
            connection,
            url,
            contract,
            slot_ms,
            doubts: Mutex::default(),
            shows_logs: AtomicBool::new(false),
        }
    }

    fn asked(&self, method: &'static str, height: Option<Height>) -> Asked {
        self.connection.asked(method, height)
    }

    async fn call<T>(
        &self,
        asked: &Asked,
        call: &Call,
        read: impl Fn(Option<&str>) -> Result<T, WireError>,
    ) -> Result<T, SourceError> {
        let body = call.json(0);
        self.connection
            .post(self.url.clone(), asked, body, |body| {
                read(wire::parse_answer(body)?)
            })
            .await
    }

    /// One request with several calls; `read` gets their outcomes in the order of the calls.
    async fn batch<T>(
        &self,
        asked: &Asked,
        calls: &[Call],
        read: impl Fn(Vec<Outcome<'_>>) -> Result<T, WireError>,
    ) -> Result<T, SourceError> {
        let mut body = String::from("[");
        for (id, call) in calls.iter().enumerate() {
            let comma = if id == 0 { "" } else { "," };
            body.push_str(comma);
            body.push_str(&call.json(id));
        }
        body.push(']');
        self.connection
            .post(self.url.clone(), asked, body, |body| {
                read(wire::parse_batch(body, calls.len())?)
            })
            .await
    }

    async fn header_by_tag(&self, tag: &str) -> Result<FetchedHeader, SourceError> {
        let asked = self.asked(BLOCK, None);
        let found = self
            .call(&asked, &Call::block(tag), |found| {
                found.map(wire::parse_block).transpose()
            })
            .await?;
        found.ok_or_else(|| SourceError::NotReady {
            asked,
            what: format!("the node has no {tag} block"),
        })
    }

    /// The headers at up to [`MAX_BATCH`] heights, in one request, in the same order.
    ///
    /// # Errors
    /// `Mismatch` when another height's block is returned.
    pub(super) async fn headers(
        &self,
        heights: &[Height],
    ) -> Result<Vec<Option<FetchedHeader>>, SourceError> {
        let asked = self.asked(BLOCK, heights.first().copied());
        let calls: Vec<Call> = heights
            .iter()
            .map(|height| Call::block_at(*height))
            .collect();
        self.batch(&asked, &calls, |outcomes| {
            let each = outcomes.into_iter().zip(heights);
            each.map(|(outcome, height)| match outcome? {
                Some(json) => block_of(*height, json).map(Some),
                None => Ok(None),
            })
            .collect()
        })
        .await
    }

    /// The token's transfers of one block, by the node's log index.
    async fn logs(&self, header: &FetchedHeader) -> Result<Vec<Transfer>, SourceError> {
        let (height, hash) = (header.header.height, header.header.hash);
        let asked = self.asked(LOGS, Some(height));
        let mut params = String::new();
        let written = write!(
            params,
            r#"[{{"blockHash":"0x{hash}",{}}}]"#,
            self.token_filter("")
        );
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        let call = Call {
            method: "eth_getLogs",
            params,
        };
        let found = self
            .call(&asked, &call, |found| {
                let json = found.ok_or_else(|| WireError::malformed("result", "null"))?;
                wire::parse_logs(json, self.contract)
            })
            .await
            .map_err(unknown_block)?;
        in_block(found, header).map_err(|wrong| self.connection.wrong_answer(&asked, wrong))
    }

    /// The members of a log filter that ask for the token's transfers; `third` is what `topics` says of the payee.
    fn token_filter(&self, third: &str) -> String {
        let (contract, topic) = (
            hex::encode(self.contract.as_bytes()),
            hex::encode(TRANSFER_TOPIC),
        );
        format!(r#""address":"0x{contract}","topics":["0x{topic}"{third}]"#)
    }

    /// The block as its receipts tell it, which needs no log index. `None` where the node does not offer them.
    pub(super) async fn block_by_receipts(
        &self,
        header: &FetchedHeader,
    ) -> Result<Option<Block>, SourceError> {
        let (height, hash) = (header.header.height, header.header.hash);
        let asked = self.asked(RECEIPTS, Some(height));
        let call = Call {
            method: "eth_getBlockReceipts",
            params: format!(r#"["{:#x}"]"#, height.0),
        };
        let found = self
            .call(&asked, &call, |found| {
                found
                    .map(|json| wire::parse_receipts(json, hash, self.contract))
                    .transpose()
            })
            .await;
        let receipts = match found {
            Err(error) if error.means_path_is_missing() => return Ok(None),
            other => other?,
        };
        let not_ready = |what: &str| SourceError::NotReady {
            asked: asked.clone(),
            what: what.to_owned(),
        };
        let receipts =
            receipts.ok_or_else(|| not_ready("no receipts of a block whose header it gave"))?;
        if receipts.transactions == 0 && header.contents == Contents::NotEmpty {
            return Err(not_ready(
                "no receipts yet for a block that has transactions",
            ));
        }
        let transfers = in_block(receipts.transfers, header)
            .map_err(|wrong| self.connection.wrong_answer(&asked, wrong))?;
        Ok(Some(Block {
            header: header.header,
            transfers,
        }))
    }

    /// A block that has transactions shows no logs: its receipts tell, or else a second reading a slot later.
    async fn block_in_doubt(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
        if let Some(block) = self.block_by_receipts(header).await? {
            return Ok(block);
        }
        let (hash, now) = (header.header.hash, self.connection.now());
        let mut doubts = self.doubts();
        let first_read = match doubts.iter().find(|(doubted, _)| *doubted == hash) {
            Some((_, at)) => *at,
            None => {
                if doubts.len() == MAX_DOUBTS {
                    doubts.remove(0);
                }
                doubts.push((hash, now));
                now
            }
        };
        if now < first_read.plus_ms(self.slot_ms) {
            return Err(SourceError::NotReady {
                asked: self.asked(LOGS, Some(header.header.height)),
                what: "no logs for a block that has transactions; they are read again a slot later"
                    .to_owned(),
            });
        }
        doubts.retain(|(doubted, _)| *doubted != hash);
        Ok(Block {
            header: header.header,
            transfers: Vec::new(),
        })
    }

    fn doubts(&self) -> MutexGuard<'_, Vec<(BlockHash, UnixMs)>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a node's JSON-RPC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// At `/jsonrpc` below the configured URL, beside the other API.
    BelowUrl,
    /// At the configured URL, or at its `/jsonrpc` where it has no path.
    Url,
}

fn block_of(height: Height, json: &str) -> Result<FetchedHeader, WireError> {
    let found = wire::parse_block(json)?;
    if found.header.height == height {
        return Ok(found);
    }
    Err(WireError::Mismatch {
        what: format!("the header is of height {}", found.header.height),
    })
}

/// The transfers, if all of them are of this block; sorted by log index.
fn in_block(
    found: Vec<LocatedTransfer>,
    header: &FetchedHeader,
) -> Result<Vec<Transfer>, WireError> {
    let (height, hash) = (header.header.height, header.header.hash);
    if let Some(other) = found.iter().find(|t| (t.height, t.hash) != (height, hash)) {
        return Err(WireError::Mismatch {
            what: format!(
                "a log is of block {} {}, not {hash}",
                other.height, other.hash
            ),
        });
    }
    let mut transfers: Vec<Transfer> = found.into_iter().map(|t| t.transfer).collect();
    transfers.sort_unstable_by_key(|t| t.log_index);
    if transfers
        .windows(2)
        .any(|t| t[0].log_index == t[1].log_index)
    {
        return Err(WireError::malformed("result", "two logs have one logIndex"));
    }
    Ok(transfers)
}

/// A node that lacks the block of a hash says so by an error, with the code of wrong parameters or of anything.
fn unknown_block(error: SourceError) -> SourceError {
    match error {
        SourceError::Refused {
            asked,
            code: -32602 | -32000,
            text,
        } => SourceError::NotReady { asked, what: text },
        other => other,
    }
}

#[async_trait::async_trait]
impl Source for JsonRpc {
    async fn head(&self) -> Result<FetchedHeader, SourceError> {
        self.header_by_tag("latest").await
    }

    async fn final_head(&self) -> Result<FetchedHeader, SourceError> {
        self.header_by_tag("finalized").await
    }

    async fn header(&self, height: Height) -> Result<Option<FetchedHeader>, SourceError> {
        let asked = self.asked(BLOCK, Some(height));
        self.call(&asked, &Call::block_at(height), |found| {
            found.map(|json| block_of(height, json)).transpose()
        })
        .await
    }

    async fn block(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
        let empty = header.contents == Contents::Empty || header.header.height == Height(0);
        let transfers = if empty {
            Vec::new()
        } else {
            let found = self.logs(header).await?;
            if found.is_empty() {
                return self.block_in_doubt(header).await;
            }
            found
        };
        Ok(Block {
            header: header.header,
            transfers,
        })
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
