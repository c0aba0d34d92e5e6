//! The witness: told of every commit right when the hub is, checks it against the chain's truth and the books.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use paybell::domain::chain::Transfer;
use paybell::domain::changes::{ChainChange, PaymentChange};
use paybell::domain::delivery::DeliveryState;
use paybell::domain::event::EventKind;
use paybell::domain::ids::{ChainId, TransferKey};
use paybell::domain::payment::{
    CreditState, Finality, Payment, Status, TransferState, UnmatchedReason,
};
use paybell::store::{Observer, Write};

use crate::books::{Books, key_of, live};
use crate::chain::SimChain;
use crate::journal::{Journal, tell};

/// Chains by their number.
pub type Chains = Vec<Arc<Mutex<SimChain>>>;

/// Attempts before a webhook is given up.
const ATTEMPTS: u32 = 10;

pub struct Witness {
    books: Mutex<Books>,
    chains: Chains,
    pub journal: Journal,
    /// A commit that the disk failed: it may be on disk or not.
    in_doubt: Mutex<Option<Write>>,
}

impl Witness {
    pub fn new(chains: Chains, journal: Journal) -> Arc<Self> {
        Arc::new(Self {
            books: Mutex::default(),
            chains,
            journal,
            in_doubt: Mutex::default(),
        })
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    pub fn chain(&self, id: ChainId) -> MutexGuard<'_, SimChain> {
        self.chains[usize::from(id.0)].lock().unwrap()
    }

    pub fn doubt(&self, write: Write) {
        *self.in_doubt.lock().unwrap() = Some(write);
    }

    pub fn doubts_a_prune(&self) -> bool {
        let doubt = self.in_doubt.lock().unwrap();
        doubt.as_ref().is_some_and(|write| write.prune.is_some())
    }

    pub fn take_doubt(&self) -> Option<Write> {
        self.in_doubt.lock().unwrap().take()
    }

    /// Checks a commit and enters it into the books.
    pub fn take(&self, write: &Write) {
        let mut books = self.books();
        self.tell(write);
        self.numbers(&books, write);
        for change in &write.changes.payments {
            self.follows_the_books(&books, change);
            self.status_is_told(write, change);
        }
        self.records_of_attempts(&books, write);
        if let Some((chain, change)) = write.changes.chain {
            self.before_the_move(&books, chain, change);
        }
        self.one_owner(&books, write);
        books.apply(write);
        for change in &write.changes.payments {
            if let Some(after) = &change.after {
                self.credits_are_real(&books, change, after);
                self.completion_is_due(&books, change, after);
            }
        }
        if let Some((chain, change)) = write.changes.chain {
            self.after_the_move(&books, write, chain, change);
        }
    }

    fn tell(&self, write: &Write) {
        let changes = &write.changes;
        if let Some((chain, change)) = changes.chain {
            let (word, height) = match change {
                ChainChange::Append(h) => ("takes in block", h.height),
                ChainChange::Rollback(h) => ("goes back to block", h.height),
                ChainChange::Jump(h) => ("jumps to block", h.height),
                ChainChange::Final(height) => ("learns final", height),
                ChainChange::Skip(h) => ("has searched up to block", h.height),
            };
            if matches!(change, ChainChange::Rollback(_)) {
                self.journal.saw("a fork taken back");
            }
            tell!(self.journal, "  hub: chain {} {word} {height}", chain.0);
        }
        for record in &changes.transfers {
            let tx = hex(&record.key.txid.0[..8]);
            tell!(
                self.journal,
                "  hub: transfer {tx}/{} of {} is {:?}",
                record.key.log_index,
                record.amount.base_units(),
                record.state
            );
            if let TransferState::Unmatched { reason, .. } = record.state {
                self.journal.saw(match reason {
                    UnmatchedReason::WrongAmount => "unmatched: wrong amount",
                    UnmatchedReason::Late => "unmatched: late",
                    UnmatchedReason::Extra => "unmatched: extra",
                    UnmatchedReason::Cancelled => "unmatched: cancelled",
                    UnmatchedReason::Early => "unmatched: early",
                    UnmatchedReason::TooMany => "unmatched: too many",
                });
            }
        }
        for event in &write.events {
            let row = &event.row;
            let whose = row.payment.map(|p| p.to_string()).unwrap_or_default();
            let (number, kind) = (row.sequence.0, row.kind.as_str());
            tell!(self.journal, "  hub: event {number} {kind} {whose}");
            self.journal.saw(kind);
        }
        for update in &write.changes.deliveries {
            let (id, state) = (update.after.id, update.after.state);
            tell!(self.journal, "  hub: delivery {id} is {state:?}");
        }
    }

    fn numbers(&self, books: &Books, write: &Write) {
        let expected = books.last_sequence + 1..;
        for (expected, event) in expected.zip(&write.events) {
            let number = event.row.sequence.0;
            self.journal.check(6, number == expected, || {
                format!("event {number} where {expected} is next")
            });
        }
    }

    /// A change starts from what the last commit left.
    fn follows_the_books(&self, books: &Books, change: &PaymentChange) {
        let Some(payment) = change.before.as_ref().or(change.after.as_ref()) else {
            return;
        };
        let known = books.payments.get(&payment.id);
        self.journal.check(7, known == change.before.as_ref(), || {
            format!("payment {} changes from what it was not", payment.id)
        });
        if change.after.is_none() {
            self.journal.saw("a payment removed by the janitor");
            let ended = !payment.status.is_open() && !payment.watched;
            self.journal.check(8, ended, || {
                format!("payment {} was removed while it was watched", payment.id)
            });
        }
    }

    fn status_is_told(&self, write: &Write, change: &PaymentChange) {
        let Some(after) = &change.after else { return };
        let told = |kind| {
            let mut events = write.events.iter().map(|e| &e.row);
            events.any(|row| row.payment == Some(after.id) && row.kind == kind)
        };
        let before = change.before.as_ref().map(|p| p.status);
        let due = match (before, after.status) {
            (None, _) => Some(EventKind::Created),
            (Some(before), status) if before == status => None,
            (_, Status::Completed) => Some(EventKind::Completed),
            (_, Status::Underpaid) => Some(EventKind::Underpaid),
            (_, Status::Expired) => Some(EventKind::Expired),
            (_, Status::Cancelled) => Some(EventKind::Cancelled),
            (_, Status::Pending | Status::Confirming) => None,
        };
        self.journal.check(2, due.is_none_or(told), || {
            format!("payment {} became {:?} untold", after.id, after.status)
        });
        let keys = |p: &Payment| -> BTreeSet<_> { live(p).map(|c| key_of(p.chain, c)).collect() };
        let had = change.before.as_ref().map(keys).unwrap_or_default();
        let has = keys(after);
        if !had.is_subset(&has) {
            self.journal.check(2, told(EventKind::Reverted), || {
                format!("payment {} lost a credit untold", after.id)
            });
            if before == Some(Status::Completed) {
                self.journal.saw("a completion taken back");
            }
        }
        if !has.is_subset(&had) {
            self.journal.check(2, told(EventKind::Detected), || {
                format!("payment {} got a credit untold", after.id)
            });
        }
    }

    /// What is recorded as delivered was heard, and a record never changes after that.
    fn records_of_attempts(&self, books: &Books, write: &Write) {
        for update in &write.changes.deliveries {
            let number = update.after.id.sequence.0;
            let Some(owed) = books.owed.get(&number) else {
                // Removed by the janitor while the attempt was under way.
                continue;
            };
            self.journal.check(6, owed.state.is_due(), || {
                format!("delivery {number} was done with and is recorded again")
            });
            if let DeliveryState::Delivered(_) = update.after.state {
                let heard = books.heard.contains(&number);
                self.journal.check(6, heard, || {
                    format!("delivery {number} is recorded, but nobody heard it")
                });
            }
            if let DeliveryState::Exhausted(_) = update.after.state {
                self.journal.saw("a webhook given up");
                let gone = owed.payment.is_some_and(|id| books.gone.contains(&id));
                let may = update.after.attempts >= ATTEMPTS || gone;
                let attempts = update.after.attempts;
                self.journal.check(6, may, || {
                    format!("delivery {number} is given up after {attempts} attempts")
                });
            }
        }
    }

    /// A transfer is credited to one payment at most.
    fn one_owner(&self, books: &Books, write: &Write) {
        let mut owners = books.owners.clone();
        let payments = &write.changes.payments;
        for before in payments.iter().filter_map(|c| c.before.as_ref()) {
            for credit in live(before) {
                owners.remove(&key_of(before.chain, credit));
            }
        }
        for after in payments.iter().filter_map(|c| c.after.as_ref()) {
            for credit in live(after) {
                let other = owners.insert(key_of(after.chain, credit), after.id);
                self.journal.check(1, other.is_none(), || {
                    format!("a transfer settles {} and {}", after.id, other.unwrap())
                });
            }
        }
    }

    /// Every new credit is a transfer to the payment's address in the processed block of its height.
    fn credits_are_real(&self, books: &Books, change: &PaymentChange, after: &Payment) {
        let chain = self.chain(after.chain);
        let book = &books.chains.get(&after.chain);
        for credit in live(after) {
            let known = change.before.iter().flat_map(live).any(|c| c == credit);
            if known {
                continue;
            }
            let key = key_of(after.chain, credit);
            let place = book.and_then(|b| b.path.get(&credit.height.0));
            let transfers = place
                .and_then(|(header, _)| chain.block(&header.hash))
                .map(|block| block.transfers())
                .unwrap_or_default();
            let real = transfers.iter().any(|t| {
                (t.txid, t.log_index) == (credit.txid, credit.log_index)
                    && (t.amount, t.to) == (credit.amount, after.address)
            });
            self.journal.check(1, real, || {
                format!("payment {} has a credit that no block holds", after.id)
            });
            let recorded = books.transfers.get(&key).is_some_and(|r| {
                r.state == TransferState::Credited(after.id) && r.height == credit.height
            });
            self.journal.check(1, recorded, || {
                format!("payment {} has a credit without a record", after.id)
            });
        }
    }

    fn completion_is_due(&self, books: &Books, change: &PaymentChange, after: &Payment) {
        let book = books.chain(after.chain);
        let tip = book.tip.map(|t| t.height).unwrap_or_default();
        for credit in live(after).filter(|c| c.state == CreditState::Confirmed) {
            let already = change.before.iter().flat_map(live).any(|c| c == credit);
            let deep = match after.finality {
                Finality::Final => credit.height <= book.final_height,
                Finality::Depth(n) => tip.0 + 1 >= credit.height.0 + u64::from(n),
            };
            self.journal.check(2, already || deep, || {
                format!("a credit of {} is confirmed too early", after.id)
            });
        }
        let became = change.before.as_ref().map(|p| p.status) != Some(after.status);
        if became && after.status == Status::Completed {
            let confirmed: u128 = live(after)
                .filter(|c| c.state == CreditState::Confirmed)
                .map(|c| c.amount.base_units())
                .sum();
            let needed = after.to_pay.saturating_sub(after.tolerance).base_units();
            self.journal.check(2, confirmed >= needed.max(1), || {
                format!("payment {} completed by {confirmed} of {needed}", after.id)
            });
            self.journal.saw(match after.finality {
                Finality::Final => "completed when final",
                Finality::Depth(_) => "completed at a depth",
            });
        }
    }
}

/// Ended by its deadline, with some money or none; of these two a fork can turn one into the other at any time.
pub fn has_ended(payment: &Payment) -> bool {
    matches!(payment.status, Status::Expired | Status::Underpaid)
}

pub fn key(chain: ChainId, transfer: &Transfer) -> TransferKey {
    TransferKey {
        chain,
        txid: transfer.txid,
        log_index: transfer.log_index,
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The witness hears of a commit before the hub's own announcer does.
pub struct Overheard {
    pub witness: Arc<Witness>,
    pub announcer: Arc<dyn Observer>,
}

impl Observer for Overheard {
    fn committed(&self, write: &Arc<Write>) {
        self.witness.take_doubt();
        self.witness.ends_without_block(write);
        self.witness.take(write);
        self.announcer.committed(write);
    }
}
