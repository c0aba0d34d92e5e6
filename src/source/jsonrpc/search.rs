//! Searching many final blocks at once for transfers to given addresses, with one `eth_getLogs` for thousands of blocks.
//!
//! A node whose log index has a hole answers such a search with nothing, and no error. So each search also asks for
//! transfers that are known to be there, one at either end of the span: an answer without them is not believed. A node
//! that is behind clips the span without a word, so the span's last block is asked for in the same batch. Where an end
//! holds no transfer to ask for, a second answer must agree; where neither does, the node must have shown a log before.
//! Refuses to search blocks that are not final.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

use super::{Call, JsonRpc, LOGS, MAX_BATCH, block_of};
use crate::domain::address::Address;
use crate::domain::chain::{Block, Transfer};
use crate::domain::ids::{BlockHash, Height};
use crate::source::error::SourceError;
use crate::source::jsonrpc_wire::{self as wire, LocatedTransfer, Outcome};
use crate::source::tron_json::WireError;
use crate::source::{FetchedHeader, Found, Span};

/// Alternatives for one topic; java-tron takes no more.
pub(in crate::source) const MAX_TOPIC_WORDS: usize = 1_000;

/// A span's ends: the block before it, and its last.
const ENDS: usize = 2;

/// The blocks at a span's ends as another API tells them, or as their receipts do.
#[derive(Debug, Clone)]
pub(in crate::source) struct Proof {
    pub ends: Vec<Block>,
}

/// A transfer that the answer must show.
struct Witness {
    height: Height,
    hash: BlockHash,
    transfer: Transfer,
}

impl JsonRpc {
    /// Searches a span.
    ///
    /// # Errors
    /// `Incomplete` when the answer lacks what is known to be there.
    pub(in crate::source) async fn search_span(
        &self,
        span: Span,
        addresses: &[Address],
        proof: &Proof,
    ) -> Result<Found, SourceError> {
        let wanted: HashSet<Address> = addresses.iter().copied().collect();
        let witnesses: Vec<Witness> = proof
            .ends
            .iter()
            .filter_map(|block| witness_in(block, &wanted))
            .collect();
        let mut found = self.logs_in(span, addresses, &witnesses).await?;
        if witnesses.len() < ENDS {
            let again = self.logs_in(span, addresses, &witnesses).await?;
            if again != found {
                return Err(self.incomplete(span, "two searches found different transfers"));
            }
        }
        if found.is_empty() && !self.shows_logs.load(Ordering::Relaxed) {
            let what = "nothing in these blocks is known to be there, and the node has yet to show that it finds anything";
            return Err(self.incomplete(span, what));
        }
        if !found.is_empty() {
            self.shows_logs.store(true, Ordering::Relaxed);
        }
        found.retain(|t| wanted.contains(&t.transfer.to) && t.height > span.after.header.height);
        Ok(Found {
            blocks: self.blocks_of(found, span.last).await?,
            last: span.last.header,
        })
    }

    fn incomplete(&self, span: Span, what: &str) -> SourceError {
        SourceError::Incomplete {
            asked: self.asked(LOGS, Some(span.last.header.height)),
            what: what.to_owned(),
        }
    }

    /// All transfers to the addresses in the span and in the block before it, in the order of the chain.
    async fn logs_in(
        &self,
        span: Span,
        addresses: &[Address],
        witnesses: &[Witness],
    ) -> Result<Vec<LocatedTransfer>, SourceError> {
        let asked = self.asked(LOGS, Some(span.last.header.height));
        let room = MAX_TOPIC_WORDS - witnesses.len();
        let chunks: Vec<&[Address]> = addresses.chunks(room).collect();
        let mut found = BTreeMap::new();
        for batch in chunks.chunks(MAX_BATCH - 1) {
            let searches = batch
                .iter()
                .map(|chunk| self.search_call(span, chunk, witnesses));
            let last = Call::block_at(span.last.header.height);
            let calls: Vec<Call> = searches.chain([last]).collect();
            let answers = self
                .batch(&asked, &calls, |mut outcomes| {
                    must_have_last(span, outcomes.pop())?;
                    let each = outcomes.into_iter();
                    each.map(|outcome| {
                        let json = outcome?.ok_or_else(|| WireError::missing("result"))?;
                        wire::parse_logs(json, self.contract)
                    })
                    .collect::<Result<Vec<_>, _>>()
                })
                .await?;
            for answer in answers {
                self.must_show(span, witnesses, &answer)?;
                let each = answer.into_iter();
                found.extend(each.map(|t| ((t.height, t.transfer.log_index), t)));
            }
        }
        Ok(found.into_values().collect())
    }

    fn search_call(&self, span: Span, addresses: &[Address], witnesses: &[Witness]) -> Call {
        let known = witnesses.iter().map(|witness| witness.transfer.to);
        let words: Vec<String> = addresses
            .iter()
            .copied()
            .chain(known)
            .map(|address| format!(r#""0x{:0>64}""#, hex::encode(address.as_bytes())))
            .collect();
        let filter = self.token_filter(&format!(",null,[{}]", words.join(",")));
        let (from, to) = (span.after.header.height.0, span.last.header.height.0);
        Call {
            method: "eth_getLogs",
            params: format!(r#"[{{"fromBlock":"{from:#x}","toBlock":"{to:#x}",{filter}}}]"#),
        }
    }

    fn must_show(
        &self,
        span: Span,
        witnesses: &[Witness],
        answer: &[LocatedTransfer],
    ) -> Result<(), SourceError> {
        let shows = |w: &&Witness| {
            answer
                .iter()
                .any(|t| (t.height, t.hash, t.transfer) == (w.height, w.hash, w.transfer))
        };
        match witnesses.iter().find(|witness| !shows(witness)) {
            None => Ok(()),
            Some(missing) => Err(self.incomplete(
                span,
                &format!(
                    "the search does not show transaction {} of block {}, which is known to be there",
                    missing.transfer.txid, missing.height
                ),
            )),
        }
    }

    /// Puts transfers together with the headers of their blocks.
    async fn blocks_of(
        &self,
        found: Vec<LocatedTransfer>,
        last: FetchedHeader,
    ) -> Result<Vec<Block>, SourceError> {
        let mut by_height: BTreeMap<Height, Vec<LocatedTransfer>> = BTreeMap::new();
        for transfer in found {
            by_height.entry(transfer.height).or_default().push(transfer);
        }
        let heights: Vec<Height> = by_height.keys().copied().collect();
        let mut headers = BTreeMap::from([(last.header.height, last)]);
        let unknown: Vec<Height> = heights
            .into_iter()
            .filter(|height| *height != last.header.height)
            .collect();
        for batch in unknown.chunks(MAX_BATCH) {
            let fetched = self.headers(batch).await?;
            headers.extend(fetched.into_iter().flatten().map(|h| (h.header.height, h)));
        }
        let mut blocks = Vec::with_capacity(by_height.len());
        for (height, transfers) in by_height {
            let asked = self.asked(LOGS, Some(height));
            let header = headers.get(&height).ok_or_else(|| SourceError::NotReady {
                asked: asked.clone(),
                what: "the node does not have the block whose logs it gave".to_owned(),
            })?;
            let transfers = super::in_block(transfers, header)
                .map_err(|wrong| self.connection.wrong_answer(&asked, wrong))?;
            blocks.push(Block {
                header: header.header,
                transfers,
            });
        }
        Ok(blocks)
    }
}

/// The node that searched must have the span's last block, or it left out what it does not have.
fn must_have_last(span: Span, shown: Option<Outcome<'_>>) -> Result<(), WireError> {
    let last = span.last.header;
    let shown = match shown.transpose()?.flatten() {
        Some(json) => block_of(last.height, json)?.header.hash,
        None => {
            return Err(WireError::Mismatch {
                what: format!("the node that searched does not have block {}", last.height),
            });
        }
    };
    if shown == last.hash {
        return Ok(());
    }
    Err(WireError::Mismatch {
        what: format!(
            "the node that searched has block {shown}, not {}",
            last.hash
        ),
    })
}

/// A transfer of the block to an address that nobody watches and that received once: busy addresses would fill the
/// answer.
fn witness_in(block: &Block, watched: &HashSet<Address>) -> Option<Witness> {
    let times = |address| block.transfers.iter().filter(|t| t.to == address).count();
    let stranger = |t: &&Transfer| !watched.contains(&t.to);
    let transfer = block
        .transfers
        .iter()
        .filter(stranger)
        .min_by_key(|t| times(t.to))
        .or_else(|| block.transfers.first())?;
    Some(Witness {
        height: block.header.height,
        hash: block.header.hash,
        transfer: *transfer,
    })
}
