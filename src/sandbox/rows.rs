//! Every log of a view in order, in either direction, from any position on.

use super::block::{Block, Included};
use super::view::View;
use super::vm::Log;

/// Which way a list runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

/// A log's place in the chain; sorts as the chain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub height: u64,
    pub tx: u32,
    /// Counts over the transaction.
    pub log: u32,
}

/// A log where it lies.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub block: &'a Block,
    pub tx_index: usize,
    pub entry: &'a Included,
    /// Counts over the transaction.
    pub log_index: usize,
    pub log: &'a Log,
}

impl Position {
    /// An opaque text that names the position.
    pub fn to_fingerprint(self) -> String {
        format!("{:016x}{:08x}{:08x}", self.height, self.tx, self.log)
    }

    pub fn from_fingerprint(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        Some(Self {
            height: u64::from_str_radix(&text[..16], 16).ok()?,
            tx: u32::from_str_radix(&text[16..24], 16).ok()?,
            log: u32::from_str_radix(&text[24..], 16).ok()?,
        })
    }
}

impl Row<'_> {
    pub fn position(&self) -> Position {
        let index = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position {
            height: self.block.header.height,
            tx: index(self.tx_index),
            log: index(self.log_index),
        }
    }
}

/// A block's logs, first to last.
pub fn of_block<'a>(view: View<'a>, block: &'a Block) -> impl DoubleEndedIterator<Item = Row<'a>> {
    view.receipts(block)
        .iter()
        .enumerate()
        .flat_map(move |(tx_index, entry)| {
            let logs = entry.receipt.logs.iter().enumerate();
            logs.map(move |(log_index, log)| Row {
                block,
                tx_index,
                entry,
                log_index,
                log,
            })
        })
}

/// Every log after a position, oldest first.
pub fn oldest_first<'a>(view: View<'a>, after: Option<Position>) -> impl Iterator<Item = Row<'a>> {
    let first = after
        .map_or(0, |position| position.height)
        .max(view.lowest_height());
    (first..=view.head_height())
        .filter_map(move |height| view.block(height))
        .flat_map(move |block| of_block(view, block))
        .filter(move |row| after.is_none_or(|position| row.position() > position))
}

/// Every log before a position, newest first.
pub fn newest_first<'a>(view: View<'a>, before: Option<Position>) -> impl Iterator<Item = Row<'a>> {
    let last = before
        .map_or(u64::MAX, |position| position.height)
        .min(view.head_height());
    (view.lowest_height()..=last)
        .rev()
        .filter_map(move |height| view.block(height))
        .flat_map(move |block| of_block(view, block).rev())
        .filter(move |row| before.is_none_or(|position| row.position() < position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_read_back_and_garbage_does_not() {
        let position = Position {
            height: 66_987_565,
            tx: 3,
            log: 1,
        };
        assert_eq!(
            Position::from_fingerprint(&position.to_fingerprint()),
            Some(position)
        );
        for bad in ["", "x", &"z".repeat(32), &"é".repeat(16), &"0".repeat(33)] {
            assert_eq!(Position::from_fingerprint(bad), None, "{bad}");
        }
    }
}
