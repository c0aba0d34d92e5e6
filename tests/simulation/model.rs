//! The naive model: given the final chain alone, and when payments were made and cancelled, what must have come of each.
//!
//! It knows no forks, nodes, crashes or retries: it goes through the blocks of the final chain once. From the history it
//! takes only what rightly matters: which commands came before which block was taken in, and blocks that were passed over
//! while nothing was watched. What may differ from a run without faults: event numbers and how often a status was told
//! (a fork seen or not), `final_confirmations`, times of closing, and who of several equal payments is oldest.

use std::collections::{BTreeMap, BTreeSet};

use paybell::domain::chain::{BlockHeader, Transfer};
use paybell::domain::ids::{ChainId, PaymentId, TransferKey, UnixMs};
use paybell::domain::payment::{MatchRule, Payment, Status, TransferState};

use crate::books::{Books, Command, key_of, live};
use crate::chain::SimChain;
use crate::journal::Journal;

/// How much older than its payment a block may be, ms: usually, and above the height known at creation.
const SKEW_MS: u64 = 30_000;
const SKEW_ABOVE_MS: u64 = 600_000;

/// An address is watched at least so long after the deadline, s.
const LEAST_WATCH_SECONDS: u64 = 3_600;

fn unwatched_after(payment: &Payment) -> UnixMs {
    let seconds = payment.grace_seconds.max(LEAST_WATCH_SECONDS);
    payment.expires_at.plus_seconds(seconds)
}

/// A final block that the hub took in, and after which commands.
struct Processed {
    header: BlockHeader,
    transfers: Vec<Transfer>,
    commit: u64,
    /// Payments that were made between its reading and its commit.
    strangers: BTreeSet<PaymentId>,
}

struct Model<'a> {
    payments: BTreeMap<PaymentId, &'a Payment>,
    order: Vec<PaymentId>,
    cancelled: BTreeSet<PaymentId>,
    received: BTreeMap<PaymentId, u128>,
    /// Every transfer that reached a watched address: whose credit it is, if anyone's.
    owners: BTreeMap<TransferKey, Option<PaymentId>>,
    /// Transfers that nobody need have noticed.
    optional: BTreeSet<TransferKey>,
}

/// Compares what the hub came to with what the final chain says.
pub fn check(books: &Books, id: ChainId, chain: &SimChain, journal: &Journal) {
    let mut model = Model {
        payments: of_chain(books, id).map(|p| (p.id, p)).collect(),
        order: Vec::new(),
        cancelled: BTreeSet::new(),
        received: BTreeMap::new(),
        owners: BTreeMap::new(),
        optional: BTreeSet::new(),
    };
    model.run(books, id, chain);
    let tip = books.chain(id).tip;
    for payment in model.payments.values() {
        let expected = model.status(payment, tip);
        journal.check(7, payment.status == expected, || {
            format!(
                "payment {} is {:?}; the final chain says {expected:?}",
                payment.id, payment.status
            )
        });
        let credits: BTreeSet<_> = live(payment).map(|c| key_of(id, c)).collect();
        let owned = model.owners.iter().filter(|(_, o)| **o == Some(payment.id));
        let owned: BTreeSet<_> = owned.map(|(key, _)| *key).collect();
        journal.check(7, credits == owned, || {
            format!(
                "payment {} has the credits {credits:?}; the final chain says {owned:?}",
                payment.id
            )
        });
    }
    model.check_records(books, id, journal);
}

/// All payments there ever were.
fn of_chain(books: &Books, id: ChainId) -> impl Iterator<Item = &Payment> {
    let all = books.payments.values().chain(books.removed.values());
    all.filter(move |p| p.chain == id)
}

impl Model<'_> {
    fn run(&mut self, books: &Books, id: ChainId, chain: &SimChain) {
        let book = books.chain(id);
        let mut commands = books.commands.iter().peekable();
        let taken_in = chain.main_blocks().filter_map(|block| {
            let (header, commit) = *book.path.get(&block.header.height.0)?;
            (header == block.header).then(|| Processed {
                header,
                transfers: block.transfers(),
                commit,
                strangers: of_chain(books, id)
                    .filter(|p| !books.knew(p.id, header.hash))
                    .map(|p| p.id)
                    .collect(),
            })
        });
        for block in taken_in {
            while let Some((_, command)) = commands.next_if(|(at, _)| *at < block.commit) {
                self.command(*command);
            }
            for transfer in &block.transfers {
                self.take(id, &block, transfer, books);
            }
        }
        commands.for_each(|(_, command)| self.command(*command));
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Created(id) if self.payments.contains_key(&id) => self.order.push(id),
            Command::Cancelled(id) => {
                self.cancelled.insert(id);
            }
            Command::Created(_) => {}
        }
    }

    fn is_paid(&self, p: &Payment) -> bool {
        let needed = p.to_pay.saturating_sub(p.tolerance).base_units().max(1);
        self.received.get(&p.id).is_some_and(|sum| *sum >= needed)
    }

    fn takes(&self, p: &Payment, block: &BlockHeader) -> bool {
        let skew = if block.height > p.created_above {
            SKEW_ABOVE_MS
        } else {
            SKEW_MS
        };
        block.time.0 + skew >= p.created_at.0
            && block.time <= p.expires_at
            && !self.cancelled.contains(&p.id)
            && !self.is_paid(p)
    }

    fn take(&mut self, id: ChainId, processed: &Processed, transfer: &Transfer, books: &Books) {
        let block = &processed.header;
        let amount = transfer.amount.base_units();
        let here: Vec<&Payment> = self
            .order
            .iter()
            .map(|id| self.payments[id])
            .filter(|p| p.address == transfer.to)
            .collect();
        let key = TransferKey {
            chain: id,
            txid: transfer.txid,
            log_index: transfer.log_index,
        };
        let noticed = books.transfers.contains_key(&key);
        let all_strangers = here.iter().all(|p| processed.strangers.contains(&p.id));
        if here.is_empty() || (all_strangers && !noticed) {
            return;
        }
        let off = |p: &Payment| p.to_pay.base_units().abs_diff(amount);
        let mut takers: Vec<&Payment> = here
            .iter()
            .copied()
            .filter(|p| self.takes(p, block))
            .collect();
        takers.sort_by_key(|p| p.id);
        let exact = takers
            .iter()
            .filter(|p| p.rule == MatchRule::Exact && off(p) <= p.tolerance.base_units())
            .min_by_key(|p| off(p));
        let gathering = takers.iter().find(|p| p.rule == MatchRule::Accumulate);
        let owner = exact.or(gathering).map(|p| p.id);
        if here.iter().all(|p| block.time > unwatched_after(p)) {
            self.optional.insert(key);
        }
        self.owners.insert(key, owner);
        if let Some(owner) = owner {
            *self.received.entry(owner).or_default() += amount;
        }
    }

    fn status(&self, p: &Payment, tip: Option<BlockHeader>) -> Status {
        if self.cancelled.contains(&p.id) {
            return Status::Cancelled;
        }
        if self.is_paid(p) {
            return Status::Completed;
        }
        if tip.is_none_or(|tip| tip.time <= p.expires_at) {
            return Status::Pending;
        }
        match self.received.get(&p.id) {
            Some(1..) => Status::Underpaid,
            _ => Status::Expired,
        }
    }

    /// What reached a watched address is on record, credited or unmatched; nothing else is.
    fn check_records(&self, books: &Books, id: ChainId, journal: &Journal) {
        for (key, owner) in &self.owners {
            let Some(record) = books.transfers.get(key) else {
                let gone = match owner {
                    Some(owner) => books.removed.contains_key(owner),
                    None => books.pruned_before.0 > 0,
                };
                journal.check(8, gone || self.optional.contains(key), || {
                    format!("transfer {key:?} reached a watched address and is not kept")
                });
                continue;
            };
            let told = match record.state {
                TransferState::Credited(id) => Some(Some(id)),
                TransferState::Unmatched { .. } => Some(None),
                TransferState::Reverted => None,
            };
            let agrees = told == Some(*owner) || self.optional.contains(key);
            journal.check(8, agrees, || {
                format!("transfer {key:?} is {told:?}; the final chain says {owner:?}")
            });
        }
        for (key, record) in books.transfers.iter().filter(|(key, _)| key.chain == id) {
            let stands = record.state != TransferState::Reverted;
            journal.check(8, !stands || self.owners.contains_key(key), || {
                format!("transfer {key:?} stands, but is not on the final chain")
            });
        }
    }
}
