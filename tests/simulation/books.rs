//! What must be on disk, as the commits told it: plain maps that every commit moves on.
//!
//! Refuses to judge; `witness` does.

use std::collections::{BTreeMap, BTreeSet};

use paybell::domain::chain::BlockHeader;
use paybell::domain::changes::ChainChange;
use paybell::domain::delivery::{DeliveryState, DeliveryUpdate};
use paybell::domain::ids::{BlockHash, ChainId, Height, PaymentId, TransferKey, UnixMs};
use paybell::domain::payment::{Credit, CreditState, Payment, TransferRecord, TransferState};
use paybell::store::{EventRow, Write};

/// A webhook that is owed, or was.
#[derive(Debug, Clone)]
pub struct Owed {
    pub payment: Option<PaymentId>,
    pub url: String,
    pub state: DeliveryState,
    pub attempts: u32,
}

/// One chain as far as it was processed.
#[derive(Debug, Clone, Default)]
pub struct ChainBook {
    pub tip: Option<BlockHeader>,
    /// The highest tip so far; a fork takes blocks back for the moment that it takes to read others.
    pub highest: Height,
    pub final_height: Height,
    /// The block of the last jump: the hub knows none below it, and follows a fork there unseen.
    pub remembered_from: Height,
    /// Every block that stands processed, and the commit that took it in.
    pub path: BTreeMap<u64, (BlockHeader, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Created(PaymentId),
    Cancelled(PaymentId),
}

#[derive(Debug, Default)]
pub struct Books {
    pub payments: BTreeMap<PaymentId, Payment>,
    /// As they were when the janitor took them away.
    pub removed: BTreeMap<PaymentId, Payment>,
    /// Whose live credit a transfer is.
    pub owners: BTreeMap<TransferKey, PaymentId>,
    pub transfers: BTreeMap<TransferKey, TransferRecord>,
    pub events: BTreeMap<u64, EventRow>,
    pub last_sequence: u64,
    /// By the number of the event.
    pub owed: BTreeMap<u64, Owed>,
    pub chains: BTreeMap<ChainId, ChainBook>,
    /// Commits so far.
    pub commits: u64,
    pub commands: Vec<(u64, Command)>,
    /// What is older may have been removed.
    pub pruned_before: UnixMs,
    /// Events that a receiver took.
    pub heard: BTreeSet<u64>,
    /// Payments whose receiver wants to hear no more of them.
    pub gone: BTreeSet<PaymentId>,
    /// Commits before each block's transfers were last read.
    pub reads: BTreeMap<BlockHash, u64>,
    /// The commit that created each payment.
    pub births: BTreeMap<PaymentId, u64>,
    /// Where sockets were that were not resumed, though they asked for it.
    pub unresumed: Vec<u64>,
    /// Payments whose creation was answered.
    pub answered: BTreeSet<PaymentId>,
}

pub fn key_of(chain: ChainId, credit: &Credit) -> TransferKey {
    TransferKey {
        chain,
        txid: credit.txid,
        log_index: credit.log_index,
    }
}

pub fn live(payment: &Payment) -> impl Iterator<Item = &Credit> {
    payment
        .credits
        .iter()
        .filter(|c| c.state != CreditState::Reverted)
}

impl Books {
    pub fn chain(&self, id: ChainId) -> ChainBook {
        self.chains.get(&id).cloned().unwrap_or_default()
    }

    /// A block's transfers were read when there had been so many commits.
    pub fn read(&mut self, block: BlockHash, commits: u64) {
        self.reads.insert(block, commits);
    }

    /// Whether a payment was there before the block's transfers were read. Of one made while the block waited for its
    /// commit nobody can know what the block holds for it: its payer cannot have known it either.
    pub fn knew(&self, payment: PaymentId, block: BlockHash) -> bool {
        let read = self.reads.get(&block).copied().unwrap_or(0);
        self.births
            .get(&payment)
            .is_some_and(|birth| *birth <= read)
    }

    pub fn watches(&self, chain: ChainId) -> bool {
        self.payments
            .values()
            .any(|p| p.chain == chain && p.watched)
    }

    pub fn apply(&mut self, write: &Write) {
        self.commits += 1;
        for change in &write.changes.payments {
            self.payment(change.before.as_ref(), change.after.as_ref());
        }
        for record in &write.changes.transfers {
            self.transfers.insert(record.key, *record);
        }
        for event in &write.events {
            let number = event.row.sequence.0;
            self.last_sequence = number;
            self.events.insert(number, event.row.clone());
            for (_, url) in &event.owed {
                let owed = Owed {
                    payment: event.row.payment,
                    url: url.clone(),
                    state: DeliveryState::Due(event.row.at),
                    attempts: 0,
                };
                self.owed.insert(number, owed);
            }
        }
        for update in &write.changes.deliveries {
            self.delivery(update);
        }
        if let Some((chain, change)) = write.changes.chain {
            self.move_chain(chain, change);
        }
        if let Some(prune) = write.prune {
            self.pruned_before = self.pruned_before.max(prune.before);
            self.transfers.retain(|_, record| {
                let unmatched = matches!(record.state, TransferState::Unmatched { .. });
                !(unmatched && record.block_time < prune.before)
            });
        }
    }

    fn payment(&mut self, before: Option<&Payment>, after: Option<&Payment>) {
        for (payment, credit) in before.iter().flat_map(|p| live(p).map(|c| (p.chain, c))) {
            self.owners.remove(&key_of(payment, credit));
        }
        match (before, after) {
            (_, Some(after)) => {
                for credit in live(after) {
                    self.owners.insert(key_of(after.chain, credit), after.id);
                }
                if before.is_none() {
                    self.births.insert(after.id, self.commits);
                    self.commands
                        .push((self.commits, Command::Created(after.id)));
                }
                let cancelled = paybell::domain::payment::Status::Cancelled;
                if after.status == cancelled && before.is_some_and(|b| b.status != cancelled) {
                    self.commands
                        .push((self.commits, Command::Cancelled(after.id)));
                }
                self.payments.insert(after.id, after.clone());
            }
            (Some(before), None) => {
                self.payments.remove(&before.id);
                self.remove_own_transfers(before);
                self.removed.insert(before.id, before.clone());
            }
            (None, None) => {}
        }
    }

    fn remove_own_transfers(&mut self, payment: &Payment) {
        for credit in &payment.credits {
            let key = key_of(payment.chain, credit);
            let own = self.transfers.get(&key).is_some_and(|t| match t.state {
                TransferState::Credited(id) => id == payment.id,
                TransferState::Unmatched { .. } => false,
                TransferState::Reverted => true,
            });
            if own {
                self.transfers.remove(&key);
            }
        }
    }

    fn delivery(&mut self, update: &DeliveryUpdate) {
        if let Some(owed) = self.owed.get_mut(&update.after.id.sequence.0) {
            owed.state = update.after.state;
            owed.attempts = update.after.attempts;
        }
    }

    fn move_chain(&mut self, id: ChainId, change: ChainChange) {
        let commits = self.commits;
        let book = self.chains.entry(id).or_default();
        match change {
            ChainChange::Append(header) => {
                book.path.insert(header.height.0, (header, commits));
                book.tip = Some(header);
            }
            ChainChange::Rollback(header) => {
                book.path.retain(|height, _| *height <= header.height.0);
                book.tip = Some(header);
            }
            ChainChange::Jump(header) => {
                book.tip = Some(header);
                book.final_height = book.final_height.min(header.height);
                book.remembered_from = header.height;
            }
            ChainChange::Final(height) => book.final_height = height,
            ChainChange::Skip(header) => {
                book.path.insert(header.height.0, (header, commits));
                book.tip = Some(header);
                book.final_height = header.height;
            }
        }
        let tip = book.tip.map(|tip| tip.height).unwrap_or_default();
        book.highest = book.highest.max(tip);
    }

    /// What the janitor removed from the front of the log.
    pub fn forget_events_below(&mut self, first: u64) {
        self.events.retain(|number, _| *number >= first);
        self.owed.retain(|number, _| *number >= first);
    }
}
