//! A node's view of the chain: up to which height it has got, and whether its log index works.
//!
//! The solid API, a stale node and a node whose head went back are all the same chain seen through
//! another view.

use super::block::{Block, Included};
use super::chain::{Chain, SOLID_LAG};
use crate::domain::ids::{BlockHash, TxId};

/// Whether a node answers queries for logs and receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogIndex {
    Working,
    /// Blocks are there, their logs are not (yet).
    Empty,
}

#[derive(Clone, Copy)]
pub struct View<'a> {
    pub chain: &'a Chain,
    lowest: u64,
    head: u64,
    solid: u64,
    pub logs: LogIndex,
}

/// A transaction where it lies.
#[derive(Clone, Copy)]
pub struct Located<'a> {
    pub block: &'a Block,
    pub index: usize,
    pub entry: &'a Included,
}

impl<'a> View<'a> {
    /// What a healthy node shows.
    pub fn healthy(chain: &'a Chain) -> Self {
        Self {
            chain,
            lowest: chain.lowest_height(),
            head: chain.head_height(),
            solid: chain.solid_height(),
            logs: LogIndex::Working,
        }
    }

    /// What a node shows that knows no block above a height.
    #[must_use]
    pub fn up_to(self, height: u64) -> Self {
        let head = self.head.min(height).max(self.chain.lowest_height());
        let solid = self
            .solid
            .min(head.saturating_sub(SOLID_LAG))
            .max(self.chain.lowest_height());
        Self {
            head,
            solid,
            ..self
        }
    }

    /// What the `/walletsolidity` API shows: the solid part only.
    #[must_use]
    pub fn solid_only(self) -> Self {
        Self {
            head: self.solid,
            ..self
        }
    }

    #[must_use]
    pub fn without_logs(self) -> Self {
        Self {
            logs: LogIndex::Empty,
            ..self
        }
    }

    /// One height alone; `None` is nothing at all. Solid stays what it was.
    #[must_use]
    pub fn only(self, height: Option<u64>) -> Self {
        let within = height.filter(|height| (self.lowest..=self.head).contains(height));
        let (lowest, head) = within.map_or((1, 0), |height| (height, height));
        Self {
            lowest,
            head,
            ..self
        }
    }

    pub fn lowest_height(&self) -> u64 {
        self.lowest
    }

    pub fn head_height(&self) -> u64 {
        self.head
    }

    pub fn solid_height(&self) -> u64 {
        self.solid
    }

    pub fn head(&self) -> &'a Block {
        self.block(self.head).unwrap_or_else(|| self.chain.head())
    }

    pub fn block(&self, height: u64) -> Option<&'a Block> {
        (height <= self.head)
            .then(|| self.chain.block(height))
            .flatten()
    }

    pub fn block_by_id(&self, id: BlockHash) -> Option<&'a Block> {
        self.block(self.chain.height_of(id)?)
    }

    pub fn transaction(&self, id: TxId) -> Option<Located<'a>> {
        let block = self.block(self.chain.height_of_tx(id)?)?;
        let index = block.position(id)?;
        Some(Located {
            block,
            index,
            entry: &block.entries[index],
        })
    }

    /// A block's transactions as its receipt store knows them.
    pub fn receipts(&self, block: &'a Block) -> &'a [Included] {
        match self.logs {
            LogIndex::Working => &block.entries,
            LogIndex::Empty => &[],
        }
    }
}
