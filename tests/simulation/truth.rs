//! What the witness knows of the chains: whether the hub's cursor moves along the truth, and finds all that is there.

use std::collections::BTreeSet;

use paybell::domain::chain::BlockHeader;
use paybell::domain::changes::{ChainChange, Unfinished};
use paybell::domain::ids::ChainId;
use paybell::domain::payment::{Status, TransferState};
use paybell::store::Write;

use crate::books::{Books, live};
use crate::witness::{Witness, has_ended, hex, key};

impl Witness {
    pub fn before_the_move(&self, books: &Books, id: ChainId, change: ChainChange) {
        let book = books.chain(id);
        let chain = self.chain(id);
        match change {
            ChainChange::Append(header) => {
                let extends = book.tip.is_some_and(|tip| {
                    tip.hash == header.parent && tip.height.next() == header.height
                });
                self.journal.check(3, extends, || {
                    format!(
                        "chain {}: block {} does not follow the cursor",
                        id.0, header.height
                    )
                });
                self.journal
                    .check(3, chain.block(&header.hash).is_some(), || {
                        format!("chain {}: block {} was never made", id.0, header.height)
                    });
            }
            ChainChange::Rollback(header) => {
                let known = book.path.get(&header.height.0);
                let ours =
                    header.height < book.remembered_from || known.is_none_or(|(h, _)| *h == header);
                self.journal.check(3, ours, || {
                    format!(
                        "chain {}: rolled back to {}, a block not ours",
                        id.0, header.height
                    )
                });
            }
            ChainChange::Jump(header) => {
                let may = book.tip.is_none() || !books.watches(id);
                self.journal.check(3, may, || {
                    format!("chain {}: jumped to {} while watching", id.0, header.height)
                });
                drop(chain);
                self.starts_early_enough(books, id, &header);
            }
            ChainChange::Skip(header) => {
                let from_truth = book
                    .tip
                    .is_some_and(|tip| tip.height < header.height && chain.is_on_main(&tip));
                self.journal.check(3, from_truth, || {
                    format!("chain {}: searched on from a block that is not final", id.0)
                });
                let truly = header.height <= chain.final_height && chain.is_on_main(&header);
                self.journal.check(2, truly, || {
                    let height = header.height;
                    format!(
                        "chain {}: block {height} was searched and is not final",
                        id.0
                    )
                });
                drop(chain);
                self.all_found_below(books, id, &header);
            }
            ChainChange::Final(height) => {
                let ours = book.path.get(&height.0).map(|(h, _)| *h).or(book.tip);
                let truly = height <= chain.final_height
                    && ours.is_none_or(|h| h.height != height || chain.is_on_main(&h));
                self.journal.check(2, truly, || {
                    format!(
                        "chain {}: block {height} is taken for final and is not",
                        id.0
                    )
                });
            }
        }
    }

    /// The first block is older than every payment that waits.
    fn starts_early_enough(&self, books: &Books, id: ChainId, header: &BlockHeader) {
        let open = books
            .payments
            .values()
            .filter(|p| p.chain == id && p.status.is_open());
        let Some(oldest) = open.map(|p| p.created_at).min() else {
            return;
        };
        self.journal.saw("a first start with payments waiting");
        let chain = self.chain(id);
        let known = chain
            .at(&chain.main, chain.kept_from)
            .map(|b| b.header.time);
        let early = header.time <= oldest || known.is_none_or(|time| time > oldest);
        self.journal.check(3, early, || {
            format!(
                "chain {}: starts at {}, {} ms after a payment",
                id.0,
                header.height,
                header.time.0 - oldest.0
            )
        });
    }

    pub fn after_the_move(&self, books: &Books, write: &Write, id: ChainId, change: ChainChange) {
        match change {
            ChainChange::Append(header) | ChainChange::Skip(header) => {
                self.all_found(books, id, &header);
                self.nothing_invented(write, id, &header);
                self.deadlines(books, write, id, &header);
            }
            ChainChange::Rollback(header) => {
                let above = books.payments.values().filter(|p| p.chain == id);
                for payment in above {
                    let left = live(payment).any(|c| c.height > header.height);
                    self.journal.check(2, !left, || {
                        format!("payment {} keeps a credit of a forked block", payment.id)
                    });
                }
            }
            ChainChange::Jump(_) | ChainChange::Final(_) => {}
        }
    }

    /// Every transfer of the block to a watched address is on record.
    fn all_found(&self, books: &Books, id: ChainId, header: &BlockHeader) {
        let chain = self.chain(id);
        let transfers = chain
            .block(&header.hash)
            .map(|block| block.transfers())
            .unwrap_or_default();
        if transfers.is_empty() {
            return;
        }
        let watched: BTreeSet<_> = books
            .payments
            .values()
            .filter(|p| p.chain == id && p.watched && books.knew(p.id, header.hash))
            .map(|p| p.address)
            .collect();
        for transfer in transfers.iter().filter(|t| watched.contains(&t.to)) {
            let key = key(id, transfer);
            let found = books
                .transfers
                .get(&key)
                .is_some_and(|r| r.state != TransferState::Reverted && r.height == header.height);
            self.journal.check(3, found, || {
                let tx = hex(&transfer.txid.0[..8]);
                let height = header.height;
                format!(
                    "chain {}: transfer {tx} in block {height} is not on record",
                    id.0
                )
            });
        }
    }

    /// No block that a search passed over holds a transfer to an address that was watched when it began.
    fn all_found_below(&self, books: &Books, id: ChainId, header: &BlockHeader) {
        let tip = books.chain(id).tip.map(|tip| tip.height.0).unwrap_or(0);
        let passed: Vec<BlockHeader> = self
            .chain(id)
            .main_blocks()
            .map(|block| block.header)
            .filter(|block| block.height.0 > tip && block.height < header.height)
            .collect();
        self.journal.saw("a span searched");
        for block in &passed {
            self.all_found(books, id, block);
        }
    }

    fn nothing_invented(&self, write: &Write, id: ChainId, header: &BlockHeader) {
        let chain = self.chain(id);
        let transfers = chain
            .block(&header.hash)
            .map(|block| block.transfers())
            .unwrap_or_default();
        for record in &write.changes.transfers {
            let real = transfers.iter().any(|t| {
                key(id, t) == record.key && (t.amount, t.to) == (record.amount, record.to)
            });
            self.journal.check(8, real, || {
                format!(
                    "chain {}: a record of what block {} does not hold",
                    id.0, header.height
                )
            });
        }
    }

    /// Ends come by chain time, and no later than the first block beyond the deadline.
    fn deadlines(&self, books: &Books, write: &Write, id: ChainId, header: &BlockHeader) {
        for change in &write.changes.payments {
            let Some(after) = &change.after else { continue };
            let became = !change.before.as_ref().is_some_and(has_ended);
            let ended = has_ended(after);
            self.journal.check(
                4,
                !became || !ended || after.expires_at < header.time,
                || format!("payment {} ended before its deadline on chain", after.id),
            );
        }
        if write.changes.unfinished == Unfinished::Yes {
            return;
        }
        let waiting = books
            .payments
            .values()
            .filter(|p| p.chain == id && p.status == Status::Pending);
        for payment in waiting.filter(|p| p.expires_at < header.time) {
            self.journal.broke(
                4,
                format!(
                    "payment {} is past its deadline and still waits",
                    payment.id
                ),
            );
        }
    }

    /// Whether an end that came without a block was due: only a fork may bring one, to what had ended before.
    pub fn ends_without_block(&self, write: &Write) {
        let block = write.changes.chain.map(|(_, change)| change);
        if matches!(block, Some(ChainChange::Append(_) | ChainChange::Skip(_))) {
            return;
        }
        let books = self.books();
        for change in &write.changes.payments {
            let (Some(before), Some(after)) = (&change.before, &change.after) else {
                continue;
            };
            let ended = has_ended(after);
            let tip = books.chain(after.chain).tip.map(|t| t.time);
            let due = tip.is_some_and(|time| after.expires_at < time);
            let became = ended && !has_ended(before);
            self.journal.check(4, !became || due, || {
                format!(
                    "payment {} ended without a block beyond its deadline",
                    after.id
                )
            });
        }
    }
}
