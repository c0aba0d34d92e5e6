//! Catching up after an outage: final blocks are searched for the watched addresses, thousands at a time, where the
//! node offers that and where it is cheaper than reading them; and how far a catch-up has come.
//!
//! A payment created during the search is none of its business: whatever pays it comes in a block that was not yet
//! final when the search began. Refuses to search what a fork could still replace.

use crate::chains::{CatchUp, Chain};
use crate::domain::chain::{Block, BlockHeader};
use crate::domain::changes::Cursor;
use crate::domain::ids::{Height, UnixMs};
use crate::shutdown::Shutdown;
use crate::source::{FetchedHeader, SearchLimits, Source, SourceError, Span};

use super::{Follower, RoundError};

/// Ends of spans whose headers are asked for at once.
const MAX_ENDS: usize = 100;
/// Shorter gaps are not worth a word.
const TOLD_FROM_BLOCKS: u64 = 100;
const TOLD_EVERY_MS: u64 = 10_000;

/// What came of an attempt to search.
pub(super) enum Searched {
    /// As far as it can be searched now; the rest is walked.
    Done,
    /// More can be searched, from another cursor.
    Again,
    Interrupted,
}

impl Follower {
    /// Takes in the final blocks of a long gap by searching them.
    pub(super) async fn search(
        &mut self,
        source: &dyn Source,
        head: &FetchedHeader,
        shutdown: &Shutdown,
    ) -> Result<Searched, RoundError> {
        let Some(cursor) = self.cursor else {
            return Ok(Searched::Done);
        };
        let Some(limits) = source.search_limits() else {
            return Ok(Searched::Done);
        };
        let gap = |to: Height| to.0.saturating_sub(cursor.tip.height.0);
        if !self.is_search_worth_it(limits, gap(head.header.height)) {
            return Ok(Searched::Done);
        }
        let finalized = source.final_head().await?.header;
        let is_sound = finalized.height <= head.header.height;
        if !is_sound || !self.is_search_worth_it(limits, gap(finalized.height)) {
            return Ok(Searched::Done);
        }
        let Some(ends) = ends(source, limits, cursor.tip.height, finalized).await? else {
            return Ok(Searched::Done);
        };
        if ends[0].header.hash != cursor.tip.hash {
            self.follow_fork(source, head).await?;
            return Ok(Searched::Again);
        }
        for pair in ends.windows(2) {
            let span = Span {
                after: pair[0],
                last: pair[1],
            };
            if !self.search_span(source, span).await? {
                return Ok(Searched::Done);
            }
            self.tell_catch_up(head.header.height);
            if *shutdown.borrow() {
                return Ok(Searched::Interrupted);
            }
        }
        Ok(Searched::Again)
    }

    /// A search asks for every watched address in every span; reading asks for every block.
    fn is_search_worth_it(&self, limits: SearchLimits, blocks: u64) -> bool {
        let watched = self.parts.index.watched_on(self.id());
        let per_span = watched.div_ceil(limits.addresses.max(1) as u64);
        let spans = blocks.div_ceil(limits.blocks.max(1));
        blocks >= limits.worth_from_blocks && per_span.saturating_mul(spans) < blocks
    }

    /// False where the node does not offer the search after all.
    async fn search_span(&mut self, source: &dyn Source, span: Span) -> Result<bool, RoundError> {
        let addresses = self.parts.index.addresses_on(self.id());
        let blocks = if addresses.is_empty() {
            Vec::new()
        } else {
            match source.search(span, &addresses).await? {
                Some(found) => found.blocks,
                None => return Ok(false),
            }
        };
        let reached = blocks.last().map(|block| block.header.height);
        for block in blocks {
            self.take_in_final(block).await?;
        }
        if reached != Some(span.last.header.height) {
            self.take_in_final(Block {
                header: span.last.header,
                transfers: Vec::new(),
            })
            .await?;
        }
        Ok(true)
    }

    async fn take_in_final(&mut self, block: Block) -> Result<(), RoundError> {
        let Some(cursor) = self.cursor else {
            return Ok(());
        };
        let header = block.header;
        let write = self
            .parts
            .ledger
            .extend_final(self.id(), cursor.tip.hash, block)
            .await?;
        self.finish_work(&write).await?;
        self.cursor = Some(Cursor {
            tip: header,
            final_height: header.height,
        });
        self.show_tip(&header);
        Ok(())
    }

    pub(super) fn show_tip(&self, header: &BlockHeader) {
        self.parts.chain.update(|s| {
            s.tip = Some(header.height);
            s.tip_time = Some(header.time);
        });
        self.tell_progress(header.height);
    }

    /// Notes that a gap is being closed, and says how far that has come.
    pub(super) fn tell_catch_up(&mut self, head: Height) {
        let Some(tip) = self.cursor.map(|c| c.tip.height) else {
            return;
        };
        let now = self.parts.clock.now();
        let chain = &self.parts.chain;
        if self.catch_up.is_none() && head.0.saturating_sub(tip.0) >= TOLD_FROM_BLOCKS {
            let blocks = head.0 - tip.0;
            tracing::info!(chain = %chain.spec.name, blocks, from = %tip, to = %head, "catching up");
            self.catch_up = Some(Told {
                progress: CatchUp {
                    from: tip,
                    to: head,
                    started_at: now,
                },
                at: now,
            });
        }
        let Some(told) = &mut self.catch_up else {
            return;
        };
        told.progress.to = told.progress.to.max(head);
        let progress = told.progress;
        if tip >= progress.to {
            tell_end(chain, &progress, now);
            self.catch_up = None;
        } else if now >= told.at.plus_ms(TOLD_EVERY_MS) {
            told.at = now;
            tell_middle(chain, &progress, tip, now);
        }
        let shown = self.catch_up.as_ref().map(|told| told.progress);
        chain.update(|s| s.catch_up = shown);
    }
}

/// The headers between which spans lie, the cursor's height first. They are asked for together with the final head's,
/// which proves that all of them are final: `None` where the node shows another there, or not all of them, as one
/// does whose JSON-RPC is behind.
async fn ends(
    source: &dyn Source,
    limits: SearchLimits,
    tip: Height,
    finalized: BlockHeader,
) -> Result<Option<Vec<FetchedHeader>>, SourceError> {
    let step = usize::try_from(limits.blocks).unwrap_or(usize::MAX).max(1);
    let steps = (tip.0..finalized.height.0).step_by(step);
    let mut heights: Vec<Height> = steps.take(MAX_ENDS - 1).map(Height).collect();
    heights.push(finalized.height);
    let found = source.headers(&heights).await?.unwrap_or_default();
    let shown: Option<Vec<FetchedHeader>> = found.into_iter().collect();
    let proven = |ends: &Vec<FetchedHeader>| {
        let last = ends.last().map(|end| end.header.hash);
        ends.len() == heights.len() && last == Some(finalized.hash)
    };
    let mut ends = shown.filter(proven);
    // After a very long outage the last step is a leap; it is taken next time.
    if let Some(ends) = &mut ends
        && heights.len() == MAX_ENDS
    {
        ends.pop();
    }
    Ok(ends)
}

/// A catch-up, and when it was last spoken of.
pub(super) struct Told {
    progress: CatchUp,
    at: UnixMs,
}

fn tell_end(chain: &Chain, progress: &CatchUp, now: UnixMs) {
    let seconds = progress.seconds_until(now);
    let blocks = progress.to.0 - progress.from.0;
    tracing::info!(chain = %chain.spec.name, blocks, seconds, "caught up");
}

fn tell_middle(chain: &Chain, progress: &CatchUp, tip: Height, now: UnixMs) {
    let left = progress.to.0 - tip.0;
    let seconds_left = progress.seconds_left(tip, now);
    tracing::info!(chain = %chain.spec.name, at = %tip, left, seconds_left, "catching up");
}
