//! Floor 3, the follower: walks one chain block by block and hands each to the ledger.
//!
//! One endpoint a round, so that a block's header and logs never come from two nodes. It proposes; the ledger checks
//! that each block extends the cursor. Refuses to skip a block: the cursor moves only past blocks read whole, except
//! where nothing is watched.

mod catch_up;
#[cfg(test)]
mod catch_up_tests;
mod fork;
mod oldest;
pub mod pace;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use thiserror::Error;
use tokio::sync::watch;

use crate::chains::{Chain, EndpointStanding};
use crate::clock::Clock;
use crate::domain::address::Address;
use crate::domain::chain::{Block, BlockHeader};
use crate::domain::changes::{Cursor, Unfinished};
use crate::domain::ids::{ChainId, Height, PaymentId, TxId, UnixMs, Watched};
use crate::domain::ledger::{Refusal, Watching};
use crate::domain::payment::{Awaits, Finality, depth};
use crate::index::Index;
use crate::ledger_task::Ledger;
use crate::shutdown::{self, Shutdown};
use crate::source::endpoints::{EndpointStats, Endpoints};
use crate::source::{FetchedHeader, Source, SourceError, is_far_below};
use crate::store::{CommitError, Store, StoreError, Write, describe};
use catch_up::{Searched, Told};
use oldest::oldest_kept;
use pace::{IDLE_WAIT, Pace, Seen};

/// Blocks fetched side by side while catching up.
const CATCH_UP_PARALLEL: usize = 8;
/// Blocks walked in one piece; the last one's headers are asked for at once where the node offers that.
const WALK_BLOCKS: u64 = 100;
/// Fewer headers are asked for one by one.
const HEADERS_AT_ONCE_FROM: usize = 3;
/// Before the oldest open payment's creation, when the first cursor is looked for.
const START_MARGIN_MS: u64 = 60_000;

/// How often the node is asked for the block to start from before the oldest that it keeps must do.
const START_TRIES: u32 = 2;

/// Why a round ended early. The next one goes on from the stored cursor.
#[derive(Debug, Error)]
pub enum RoundError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{node} does not show block {height}, though its head is {head}")]
    Gap {
        node: String,
        height: Height,
        head: Height,
    },
    #[error(
        "{node} is on a branch that leaves ours below the final block {final_height}; the cursor stays until the nodes agree"
    )]
    BelowFinal { node: String, final_height: Height },
    #[error("{node} contradicts itself: the block above its block {height} does not follow it")]
    Torn { node: String, height: Height },
    #[error(
        "{node} is far behind: its head is {head}, and block {tip} was read before; should its chain have begun anew, the hub needs a new data file"
    )]
    FarBehind {
        node: String,
        head: Height,
        tip: Height,
    },
}

impl RoundError {
    /// What a node's answers contradict, themselves or the chain that is followed, though each of them is sound.
    fn contradiction(&self) -> Option<String> {
        match self {
            Self::Source(_) | Self::Commit(_) | Self::Store(_) => None,
            Self::Gap { .. }
            | Self::BelowFinal { .. }
            | Self::Torn { .. }
            | Self::FarBehind { .. } => Some(self.to_string()),
        }
    }
}

/// Told of confirmations as blocks come in.
pub trait ProgressSink: Send + Sync + 'static {
    fn progress(&self, payment: PaymentId, confirmations: u32, required: u32);
}

/// What a follower works with.
pub struct Parts {
    pub chain: Arc<Chain>,
    pub endpoints: Arc<Endpoints>,
    pub ledger: Ledger,
    pub store: Arc<dyn Store>,
    pub index: Arc<Index>,
    pub progress: Arc<dyn ProgressSink>,
    pub clock: Arc<dyn Clock>,
    /// The operator's bound on how often a head is asked for.
    pub least_wait: Option<Duration>,
}

pub struct Follower {
    parts: Parts,
    cursor: Option<Cursor>,
    pace: Pace,
    /// The tip at which the final head was last asked for.
    asked_final_at: Height,
    /// How often the block to start from was not to be had.
    failed_starts: u32,
    /// The newest block with a transfer to a watched address: until it is final, a fork can take it back, and
    /// the chain is followed at its own pace.
    newest_transfer: Height,
    catch_up: Option<Told>,
}

impl Follower {
    pub fn new(parts: Parts) -> Self {
        let pace = Pace::new(parts.chain.spec.slot_ms, parts.least_wait);
        Self {
            parts,
            cursor: None,
            pace,
            asked_final_at: Height(0),
            failed_starts: 0,
            newest_transfer: Height(0),
            catch_up: None,
        }
    }

    /// Follows the chain until `shutdown` turns true; `watch_changed` wakes it when a payment is created.
    pub async fn run(mut self, mut watch_changed: watch::Receiver<()>, mut shutdown: Shutdown) {
        loop {
            watch_changed.mark_unchanged();
            let wait = self.round_and_wait(&shutdown).await;
            // What the wait was chosen by: a payment created since must still be able to cut it short.
            let idle = self.parts.chain.read(|s| s.idle);
            tokio::select! {
                biased;
                () = shutdown::requested(&mut shutdown) => return,
                // Only an idle follower has reason to look sooner.
                Ok(()) = watch_changed.changed(), if idle => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn id(&self) -> ChainId {
        self.parts.chain.spec.id
    }

    fn is_watched(&self, address: Address) -> bool {
        let chain = self.id();
        self.parts.index.is_watched(&Watched { chain, address })
    }

    /// Nothing is open, and nothing that was found can still be forked away.
    fn is_idle(&self) -> bool {
        self.parts.index.open_on(self.id()) == 0 && !self.awaits_finality()
    }

    fn awaits_finality(&self) -> bool {
        let final_height = self.cursor.map(|c| c.final_height).unwrap_or_default();
        let confirming = self.parts.index.confirming_on(self.id());
        self.newest_transfer > final_height
            || confirming
                .iter()
                .any(|(_, c)| matches!(c.awaits, Awaits::Final(_)))
    }

    /// One round, its outcome on record, and how long to wait before the next.
    pub async fn round_and_wait(&mut self, shutdown: &Shutdown) -> Duration {
        let outcome = self.round(shutdown).await;
        let now = self.parts.clock.now();
        let idle = self.is_idle();
        let endpoints = self
            .parts
            .endpoints
            .snapshot()
            .into_iter()
            .map(standing_of)
            .collect();
        let cursor = self.cursor;
        self.parts.chain.update(|s| {
            s.idle = idle;
            s.endpoints = endpoints;
            s.tip = cursor.map(|c| c.tip.height);
            s.tip_time = cursor.map(|c| c.tip.time);
            s.final_height = cursor.map(|c| c.final_height).filter(|h| h.0 > 0);
            match &outcome {
                Ok(_) => {
                    s.last_success_at = Some(now);
                    s.last_error = None;
                }
                Err(error) => {
                    s.last_error = Some(describe(error));
                    s.last_error_at = Some(now);
                }
            }
        });
        let seen = match outcome {
            Ok(seen) => seen,
            Err(error) => self.note_failure(&error),
        };
        let wait = self.pace.wait_after(seen, now);
        let failed = matches!(seen, Seen::Failed(_));
        if idle && !failed {
            wait.max(IDLE_WAIT)
        } else {
            wait
        }
    }

    fn note_failure(&mut self, error: &RoundError) -> Seen {
        // What the store holds is the truth; a refusal means that our copy was not.
        self.cursor = None;
        if let RoundError::BelowFinal { .. } = error {
            // The head was another chain's: the next one may be lower.
            self.parts.chain.update(|s| s.head = s.tip);
        }
        let chain = &self.parts.chain.spec.name;
        match error {
            RoundError::Source(SourceError::NotReady { .. } | SourceError::Mismatch { .. }) => {
                tracing::debug!(%chain, %error, "the node is not ready; asking again");
            }
            _ => {
                tracing::warn!(%chain, error = %describe(error), "following is interrupted; trying again")
            }
        }
        Seen::Failed(self.parts.endpoints.all_refuse_for())
    }

    /// Brings the cursor up to the node's head, then asks what is final where someone waits for it.
    pub async fn round(&mut self, shutdown: &Shutdown) -> Result<Seen, RoundError> {
        let source = self.parts.endpoints.pick();
        let ended = self.round_with(source.as_ref(), shutdown).await;
        match &ended {
            Ok(_) => source.round_ended(None),
            Err(error) => {
                if let Some(contradiction) = error.contradiction() {
                    source.round_ended(Some(contradiction));
                }
            }
        }
        ended
    }

    async fn round_with(
        &mut self,
        source: &dyn Source,
        shutdown: &Shutdown,
    ) -> Result<Seen, RoundError> {
        let head = source.head().await?;
        let seen = self.note_head(&head.header);
        if self.cursor.is_none() {
            self.load_cursor().await?;
        }
        match self.cursor {
            None => self.start(source, &head).await?,
            Some(cursor) if self.nothing_to_find() => {
                let (now, before) = (head.header.height, cursor.tip.height);
                if is_far_below(before, now) {
                    second_word(source, &head).await?;
                }
                // A cursor that a wrong node's head took too far comes back as well.
                if now > before || is_far_below(now, before) {
                    self.jump(&head.header, Watching::Nothing).await?;
                }
            }
            Some(cursor) if is_far_below(head.header.height, cursor.tip.height) => {
                return Err(RoundError::FarBehind {
                    node: source.name().to_owned(),
                    head: head.header.height,
                    tip: cursor.tip.height,
                });
            }
            Some(_) => self.walk(source, head, shutdown).await?,
        }
        self.ask_final(source).await?;
        Ok(seen)
    }

    async fn load_cursor(&mut self) -> Result<(), RoundError> {
        self.cursor = self.parts.store.cursor(self.id()).await?;
        let is_first = self.newest_transfer == Height(0);
        if let Some(cursor) = self.cursor.filter(|_| is_first && !self.nothing_to_find()) {
            // What was found before this start may not be final yet; the tip is the most cautious guess.
            self.newest_transfer = cursor.tip.height;
        }
        Ok(())
    }

    /// No block between the cursor and the head can matter.
    fn nothing_to_find(&self) -> bool {
        self.parts.index.watched_on(self.id()) == 0 && !self.awaits_finality()
    }

    fn note_head(&self, head: &BlockHeader) -> Seen {
        let before = self.parts.chain.standing().head;
        let is_old = |known| head.height <= known && !is_far_below(head.height, known);
        if before.is_some_and(is_old) {
            return Seen::SameHead;
        }
        self.parts.chain.update(|s| {
            s.head = Some(head.height);
            s.head_time = Some(head.time);
        });
        Seen::NewHead(head.time)
    }

    /// Sets the first cursor: at the head, or before the oldest open payment where there is one already.
    async fn start(&mut self, source: &dyn Source, head: &FetchedHeader) -> Result<(), RoundError> {
        second_word(source, head).await?;
        let open = self.parts.store.open_on(self.id()).await?;
        let Some(created_at) = open.oldest_created_at else {
            return self.jump(&head.header, Watching::Nothing).await;
        };
        let since = UnixMs(created_at.0.saturating_sub(START_MARGIN_MS));
        let age_ms = head.header.time.0.saturating_sub(since.0);
        // Slots can be missed but never doubled, so that many blocks back is old enough.
        let blocks = age_ms.div_ceil(self.parts.chain.spec.slot_ms);
        let height = Height(head.header.height.0.saturating_sub(blocks));
        let from = match self.header_at(source, height, head).await {
            Ok(from) => from,
            Err(RoundError::Gap { .. }) if self.failed_starts >= START_TRIES => {
                oldest_kept(source, height, head).await?
            }
            Err(error) => {
                self.failed_starts += u32::from(matches!(error, RoundError::Gap { .. }));
                return Err(error);
            }
        };
        self.jump(&from.header, Watching::Something).await
    }

    async fn jump(&mut self, to: &BlockHeader, watching: Watching) -> Result<(), RoundError> {
        let jumped = self.parts.ledger.jump(self.id(), *to, watching).await;
        match jumped {
            Ok(_) => {}
            // A payment was created meanwhile: walk instead, next time.
            Err(CommitError::Refused(Refusal::JumpWhileWatching)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.cursor = self.parts.store.cursor(self.id()).await?;
        Ok(())
    }

    async fn header_at(
        &self,
        source: &dyn Source,
        height: Height,
        head: &FetchedHeader,
    ) -> Result<FetchedHeader, RoundError> {
        if height == head.header.height {
            return Ok(*head);
        }
        let shown = source.header(height).await?;
        shown.ok_or_else(|| gap(source, height, head))
    }

    /// Takes in every block between the cursor and `head`, in order.
    async fn walk(
        &mut self,
        source: &dyn Source,
        head: FetchedHeader,
        shutdown: &Shutdown,
    ) -> Result<(), RoundError> {
        self.tell_catch_up(head.header.height);
        loop {
            match self.search(source, &head, shutdown).await? {
                Searched::Done => {}
                Searched::Again => continue,
                Searched::Interrupted => return Ok(()),
            }
            let Some(cursor) = self.cursor.filter(|c| c.tip.height < head.header.height) else {
                return Ok(());
            };
            let reached = self.walk_branch(source, cursor, &head, shutdown).await;
            self.cursor = Some(reached.cursor);
            self.newest_transfer = reached.newest_transfer;
            self.tell_catch_up(head.header.height);
            match reached.walked? {
                Walked::Whole => {}
                Walked::Interrupted => return Ok(()),
                Walked::ToFork => self.follow_fork(source, &head).await?,
            }
        }
    }

    /// Takes in some blocks from the cursor on; says how far it came and why it stopped.
    async fn walk_branch(
        &self,
        source: &dyn Source,
        from: Cursor,
        head: &FetchedHeader,
        shutdown: &Shutdown,
    ) -> Reached {
        let mut reached = Reached {
            cursor: from,
            newest_transfer: self.newest_transfer,
            walked: Ok(Walked::Whole),
        };
        let first = from.tip.height.next().0;
        let most = from.tip.height.0.saturating_add(WALK_BLOCKS);
        let last = head.header.height.0.min(most);
        let heights: Vec<Height> = (first..=last).map(Height).collect();
        let asked = self.headers_to_head(source, &from.tip, &heights, head);
        let known = match asked.await {
            Ok(known) => known,
            Err(error) => {
                reached.walked = Err(error.into());
                return reached;
            }
        };
        let known = &known;
        let fetches = heights.into_iter().map(|height| async move {
            let header = match known.get(&height) {
                Some(header) => *header,
                None => self.header_at(source, height, head).await?,
            };
            self.vouched_block(source, &header).await
        });
        let mut blocks = std::pin::pin!(futures::stream::iter(fetches).buffered(CATCH_UP_PARALLEL));
        while let Some(block) = blocks.next().await {
            let stop = match self.step(block, &mut reached).await {
                Ok(None) if *shutdown.borrow() => Ok(Walked::Interrupted),
                Ok(None) => continue,
                Ok(Some(stop)) => Ok(stop),
                Err(error) => Err(error),
            };
            reached.walked = stop;
            break;
        }
        reached
    }

    /// A block, with the node's second word on what pays a watched address: that is worth one more request.
    async fn vouched_block(
        &self,
        source: &dyn Source,
        header: &FetchedHeader,
    ) -> Result<Block, RoundError> {
        let block = source.block(header).await?;
        let hits = block.transfers.iter().filter(|t| self.is_watched(t.to));
        let txids: Vec<TxId> = hits.map(|t| t.txid).collect();
        if !txids.is_empty() {
            source.vouch(header, &txids).await?;
        }
        Ok(block)
    }

    /// The headers up to the head, told in one request. None where they are not one chain from the cursor to that very
    /// head: what tells many headers at once can hang on a branch that the node's other answers know nothing of.
    async fn headers_to_head(
        &self,
        source: &dyn Source,
        tip: &BlockHeader,
        heights: &[Height],
        head: &FetchedHeader,
    ) -> Result<HashMap<Height, FetchedHeader>, SourceError> {
        let ends_there = heights.last() == Some(&head.header.height);
        if heights.len() < HEADERS_AT_ONCE_FROM || !ends_there {
            return Ok(HashMap::new());
        }
        let found = source.headers(heights).await?.unwrap_or_default();
        let chain: Option<Vec<FetchedHeader>> = found.into_iter().collect();
        let is_ours = |chain: &Vec<FetchedHeader>| {
            let parents = std::iter::once(tip.hash).chain(chain.iter().map(|h| h.header.hash));
            let linked = chain
                .iter()
                .zip(parents)
                .all(|(h, parent)| h.header.parent == parent);
            linked && chain.last().map(|h| h.header) == Some(head.header)
        };
        let chain = chain.filter(is_ours).unwrap_or_default();
        Ok(chain.into_iter().map(|h| (h.header.height, h)).collect())
    }

    /// Takes in one fetched block; says when the walk must stop.
    async fn step(
        &self,
        block: Result<Block, RoundError>,
        reached: &mut Reached,
    ) -> Result<Option<Walked>, RoundError> {
        let block = block?;
        if block.header.parent != reached.cursor.tip.hash {
            return Ok(Some(Walked::ToFork));
        }
        let header = block.header;
        if let Found::Transfers = self.take_in(block).await? {
            reached.newest_transfer = reached.newest_transfer.max(header.height);
        }
        reached.cursor.tip = header;
        Ok(None)
    }

    /// Has the ledger process a block; says whether it brought a transfer to a watched address.
    async fn take_in(&self, mut block: Block) -> Result<Found, RoundError> {
        block.transfers.retain(|t| self.is_watched(t.to));
        let header = block.header;
        let write = self.parts.ledger.extend(self.id(), block).await?;
        self.finish_work(&write).await?;
        self.show_tip(&header);
        Ok(if write.changes.transfers.is_empty() {
            Found::Nothing
        } else {
            Found::Transfers
        })
    }

    /// Asks again while a commit left work over.
    async fn finish_work(&self, write: &Arc<Write>) -> Result<(), RoundError> {
        let mut unfinished = write.changes.unfinished;
        while unfinished == Unfinished::Yes {
            unfinished = self
                .parts
                .ledger
                .catch_up(self.id())
                .await?
                .changes
                .unfinished;
        }
        Ok(())
    }

    fn tell_progress(&self, tip: Height) {
        for (id, confirming) in self.parts.index.confirming_on(self.id()) {
            let required = match confirming.finality {
                Finality::Final => self.parts.chain.spec.usual_final_depth,
                Finality::Depth(n) => n,
            };
            self.parts
                .progress
                .progress(id, depth(confirming.height, tip), required);
        }
    }
}

/// Asks for a head once more, by its number. A cursor that jumped to a block that is not there would wait for it forever,
/// so one answer is not enough for a jump.
async fn second_word(source: &dyn Source, head: &FetchedHeader) -> Result<(), RoundError> {
    let height = head.header.height;
    let shown = source.header(height).await?;
    if shown.map(|s| s.header) == Some(head.header) {
        return Ok(());
    }
    Err(gap(source, height, head))
}

fn gap(source: &dyn Source, height: Height, head: &FetchedHeader) -> RoundError {
    RoundError::Gap {
        node: source.name().to_owned(),
        height,
        head: head.header.height,
    }
}

/// How far a walk came.
struct Reached {
    cursor: Cursor,
    /// Known also of a walk that failed: what it found before can still be forked away.
    newest_transfer: Height,
    walked: Result<Walked, RoundError>,
}

enum Found {
    Nothing,
    Transfers,
}

enum Walked {
    Whole,
    ToFork,
    Interrupted,
}

fn standing_of(stats: EndpointStats) -> EndpointStanding {
    EndpointStanding {
        name: stats.name,
        healthy: stats.healthy,
        requests_today: stats.requests_today,
        requests_left_today: stats.requests_left_today,
        suspended_until: stats.suspended_until,
        last_error: stats.last_error,
    }
}
