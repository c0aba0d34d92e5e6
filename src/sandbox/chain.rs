//! The chain itself: blocks in order, what waits for the next one, forks, the solid head.
//!
//! Pure: no clock, no I/O; times are handed in and randomness follows from the seed. Refuses to
//! fork a solid block away, and keeps a bounded number of blocks, transactions and waiting ones.

use std::collections::{HashMap, HashSet, VecDeque};

use fastrand::Rng;
use thiserror::Error;

use super::actors::{Actors, WITNESSES};
use super::block::{Block, Included, Pending};
use super::execute;
use super::noise::{self, Anchor, Payment};
use super::state::{Journal, State};
use crate::domain::ids::{BlockHash, TxId};

/// Blocks that must follow a block before it is solid: with its own, 19 of 27 representatives.
pub const SOLID_LAG: u64 = 18;
/// Blocks kept by default; older ones are forgotten, as on a lite node.
pub const KEPT_BLOCKS: usize = 40_000;
/// The unsolid blocks and a solid one for them to stand on.
const MIN_KEPT_BLOCKS: usize = SOLID_LAG as usize + 2;
/// Transactions kept, over all blocks.
const MAX_TRANSACTIONS: usize = 200_000;
/// Transactions that may wait for a block.
pub const MAX_PENDING: usize = 10_000;
/// Transactions that fit a block.
const MAX_BLOCK_TRANSACTIONS: usize = 2_000;
/// How often a payment is made anew when it equals one that waits already.
const MAX_TWIN_RETRIES: u32 = 16;
/// One block in so many carries no background traffic at all.
const QUIET_BLOCK_ODDS: u32 = 24;

/// The parts of the options that shape the chain.
#[derive(Debug, Clone, Copy)]
pub struct ChainOptions {
    /// Milliseconds between blocks.
    pub block_ms: u64,
    pub seed: u64,
    /// Background transactions a block, on average.
    pub noise_per_block: u32,
    /// How many blocks to keep; never fewer than the unsolid ones.
    pub kept_blocks: usize,
}

pub struct Chain {
    pub options: ChainOptions,
    pub actors: Actors,
    pub state: State,
    rng: Rng,
    blocks: VecDeque<Block>,
    by_id: HashMap<BlockHash, u64>,
    by_tx: HashMap<TxId, u64>,
    pending: VecDeque<Pending>,
    genesis: BlockHash,
    forks: u64,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum SubmitError {
    #[error("{MAX_PENDING} transactions already wait for a block; mine one first")]
    Full,
    #[error("the transaction is already on the chain or waiting")]
    Duplicate,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum ForkError {
    #[error("depth must be at least 1")]
    Zero,
    #[error(
        "depth {depth} would replace solid blocks: head is {head}, solid is {solid}, so at most {most}"
    )]
    Solid {
        depth: u64,
        head: u64,
        solid: u64,
        most: u64,
    },
    #[error("transaction {0} is not in the last {1} blocks, so it cannot be dropped")]
    NotThere(TxId, u64),
}

/// What a fork did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forked {
    pub from_height: u64,
    pub old_head: BlockHash,
    pub new_head: BlockHash,
    pub dropped: Vec<TxId>,
    pub included_again: usize,
}

impl Chain {
    /// A chain whose history of `history` blocks ends at `now`'s slot.
    pub fn new(options: ChainOptions, history: u64, now_ms: u64) -> Self {
        let actors = Actors::new(options.seed);
        let mut state = State::default();
        actors.fund(&mut state);
        // Genesis is never undone.
        drop(state.take_journal());
        let genesis = Block::genesis();
        let mut chain = Self {
            options,
            actors,
            state,
            rng: Rng::with_seed(options.seed),
            by_id: HashMap::from([(genesis.id, 0)]),
            by_tx: HashMap::new(),
            genesis: genesis.id,
            blocks: VecDeque::from([genesis]),
            pending: VecDeque::new(),
            forks: 0,
        };
        let slot = now_ms - now_ms % options.block_ms;
        let first = slot.saturating_sub(options.block_ms * history.saturating_sub(1));
        for n in 0..history {
            chain.produce(first + n * options.block_ms);
        }
        chain
    }

    pub fn head(&self) -> &Block {
        // Never empty: genesis starts it, and pruning and forking both leave solid blocks in place.
        &self.blocks[self.blocks.len() - 1]
    }

    pub fn head_height(&self) -> u64 {
        self.head().header.height
    }

    pub fn solid_height(&self) -> u64 {
        self.head_height().saturating_sub(SOLID_LAG)
    }

    /// The oldest height still kept.
    pub fn lowest_height(&self) -> u64 {
        self.blocks[0].header.height
    }

    pub fn genesis(&self) -> BlockHash {
        self.genesis
    }

    pub fn block(&self, height: u64) -> Option<&Block> {
        let index = height.checked_sub(self.lowest_height())?;
        self.blocks.get(usize::try_from(index).ok()?)
    }

    pub fn height_of(&self, id: BlockHash) -> Option<u64> {
        self.by_id.get(&id).copied()
    }

    /// The height of the block that holds a transaction.
    pub fn height_of_tx(&self, id: TxId) -> Option<u64> {
        self.by_tx.get(&id).copied()
    }

    pub fn is_pending(&self, id: TxId) -> bool {
        self.pending.iter().any(|pending| pending.tx.id == id)
    }

    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    pub fn kept_transactions(&self) -> usize {
        self.by_tx.len()
    }

    /// The time of the next block: the slot that the clock shows, and never before the slot after the head's.
    pub fn next_time(&self, now_ms: u64) -> u64 {
        let slot = now_ms - now_ms % self.options.block_ms;
        slot.max(self.head().header.time + self.options.block_ms)
    }

    /// Puts a transaction in line for the next block.
    ///
    /// # Errors
    /// When it is there already, or too many wait.
    pub fn submit(&mut self, pending: Pending) -> Result<TxId, SubmitError> {
        if self.pending.len() >= MAX_PENDING {
            return Err(SubmitError::Full);
        }
        let id = pending.tx.id;
        if self.by_tx.contains_key(&id) || self.is_pending(id) {
            return Err(SubmitError::Duplicate);
        }
        self.pending.push_back(pending);
        Ok(id)
    }

    /// Builds a payment's transaction and puts it in line.
    ///
    /// # Errors
    /// As [`Self::submit`].
    pub fn submit_payment(&mut self, payment: &Payment) -> Result<TxId, SubmitError> {
        let anchor = Anchor {
            time: self.head().header.time + self.options.block_ms,
            ..self.anchor()
        };
        // Two equal payments made in the same millisecond would be the same transaction.
        for _ in 0..MAX_TWIN_RETRIES {
            let pending = noise::pay(&self.actors, &mut self.rng, anchor, payment);
            match self.submit(pending) {
                Err(SubmitError::Duplicate) => {}
                decided => return decided,
            }
        }
        Err(SubmitError::Duplicate)
    }

    pub fn some_stranger(&mut self) -> crate::domain::address::Address {
        noise::stranger(&self.actors, &mut self.rng)
    }

    fn anchor(&self) -> Anchor {
        let solid = self
            .block(self.solid_height())
            .unwrap_or_else(|| self.head());
        Anchor {
            reference: solid.id,
            time: self.head().header.time,
        }
    }

    /// Appends a block: everything that waits, scattered in background traffic.
    pub fn produce(&mut self, time: u64) -> &Block {
        let waiting = self.pending.len().min(MAX_BLOCK_TRANSACTIONS);
        let mut waiting: VecDeque<Pending> = self.pending.drain(..waiting).collect();
        let anchor = Anchor {
            time,
            ..self.anchor()
        };
        let mut noise = self.noise_count();
        let mut batch = Vec::with_capacity(waiting.len() + noise);
        while noise + waiting.len() > 0 {
            // Each place is as likely to go to any remaining transaction; those that wait keep their order.
            if self.rng.usize(0..noise + waiting.len()) < noise {
                noise -= 1;
                batch.push(noise::stranger_tx(&self.actors, &mut self.rng, anchor));
            } else {
                batch.extend(waiting.pop_front());
            }
        }
        self.append(time, batch);
        self.prune();
        self.head()
    }

    fn noise_count(&mut self) -> usize {
        let mean = self.options.noise_per_block;
        if mean == 0 || self.rng.u32(0..QUIET_BLOCK_ODDS) == 0 {
            return 0;
        }
        self.rng.u32(mean / 2..=mean.saturating_add(mean / 2)) as usize
    }

    fn append(&mut self, time: u64, batch: Vec<Pending>) {
        let height = self.head_height() + 1;
        let mut seen = HashSet::new();
        let entries: Vec<Included> = batch
            .into_iter()
            .filter(|pending| {
                seen.insert(pending.tx.id) && !self.by_tx.contains_key(&pending.tx.id)
            })
            .map(|pending| execute::run(&mut self.state, pending))
            .collect();
        self.by_tx
            .extend(entries.iter().map(|entry| (entry.tx.id, height)));
        let slot = time / self.options.block_ms;
        let witness = ((slot + self.turn()) % WITNESSES) as usize;
        let parent = self.head().id;
        let undo = self.state.take_journal();
        let block = Block::seal(
            height,
            time,
            parent,
            &self.actors.witnesses[witness],
            entries,
            undo,
        );
        self.by_id.insert(block.id, height);
        self.blocks.push_back(block);
        if let Some(solid) = height.checked_sub(SOLID_LAG) {
            self.forget_undo(solid);
        }
    }

    /// How far the producing order is shifted: a new branch comes from other witnesses.
    fn turn(&self) -> u64 {
        if self.forks == 0 {
            0
        } else {
            1 + self.forks % (WITNESSES - 1)
        }
    }

    fn forget_undo(&mut self, height: u64) {
        let lowest = self.lowest_height();
        let index = height
            .checked_sub(lowest)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(block) = index.and_then(|index| self.blocks.get_mut(index)) {
            block.undo = Journal::default();
        }
    }

    fn prune(&mut self) {
        while self.blocks.len() > self.options.kept_blocks.max(MIN_KEPT_BLOCKS)
            || (self.by_tx.len() > MAX_TRANSACTIONS && self.lowest_height() < self.solid_height())
        {
            let Some(old) = self.blocks.pop_front() else {
                return;
            };
            self.by_id.remove(&old.id);
            for entry in &old.entries {
                self.by_tx.remove(&entry.tx.id);
            }
        }
    }

    /// Replaces the newest `depth` blocks by another branch of the same length and times. Dropped
    /// transactions vanish; the others are executed again, spread evenly, in their old order.
    ///
    /// # Errors
    /// When it would undo a solid block, or a transaction to drop is not there. Nothing changes then.
    pub fn fork(&mut self, depth: u64, drop: &[TxId]) -> Result<Forked, ForkError> {
        let (head, solid) = (self.head_height(), self.solid_height());
        if depth == 0 {
            return Err(ForkError::Zero);
        }
        if depth > head - solid {
            return Err(ForkError::Solid {
                depth,
                head,
                solid,
                most: head - solid,
            });
        }
        let base = head - depth;
        if let Some(stray) = drop
            .iter()
            .find(|id| self.height_of_tx(**id).is_none_or(|height| height <= base))
        {
            return Err(ForkError::NotThere(*stray, depth));
        }
        let old_head = self.head().id;
        let (times, mut kept) = self.unwind(depth);
        kept.retain(|pending| !drop.contains(&pending.tx.id));
        self.forks += 1;
        let included_again = kept.len();
        let blocks = times.len();
        let mut rest = kept.into_iter();
        for (n, time) in times.into_iter().enumerate() {
            let share = included_again * (n + 1) / blocks - included_again * n / blocks;
            let batch = rest.by_ref().take(share).collect();
            self.append(time, batch);
        }
        let new_head = self.head().id;
        Ok(Forked {
            from_height: base + 1,
            old_head,
            new_head,
            dropped: drop.to_vec(),
            included_again,
        })
    }

    /// Takes blocks off the head, newest first; their times and transactions come back oldest first.
    fn unwind(&mut self, depth: u64) -> (Vec<u64>, Vec<Pending>) {
        let mut blocks: Vec<Block> = Vec::new();
        for _ in 0..depth {
            let Some(mut block) = self.blocks.pop_back() else {
                break;
            };
            self.by_id.remove(&block.id);
            for entry in &block.entries {
                self.by_tx.remove(&entry.tx.id);
            }
            self.state.undo(std::mem::take(&mut block.undo));
            blocks.push(block);
        }
        blocks.reverse();
        let times = blocks.iter().map(|block| block.header.time).collect();
        let entries = blocks.into_iter().flat_map(|block| block.entries);
        (
            times,
            entries
                .map(|entry| Pending {
                    tx: entry.tx,
                    power: entry.power,
                })
                .collect(),
        )
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
