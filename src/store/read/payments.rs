//! The list of payments by every filter: each has its way to the payments, and narrows what the others leave.
//!
//! An order, a transaction or an address leads to its own payments alone; only a list without any of these walks all.
//! Refuses to look at more than [`SCAN_ROWS`] rows for one page: such a page ends early, with a `next`.

use std::collections::BTreeSet;

use redb::ReadOnlyTable;

use super::{SCAN_ROWS, Snapshot, newest_first};
use crate::domain::address::Address;
use crate::domain::ids::{ChainId, PaymentId, TxId};
use crate::domain::payment::{Payment, TransferRecord, TransferState};
use crate::store::rows::Stored;
use crate::store::tables::{self, Bytes};
use crate::store::view::{database, keys};
use crate::store::{Page, PaymentFilter, StoreError};

/// Most telling first.
enum Way<'a> {
    Order(&'a str),
    Transaction(TxId),
    Address(Address),
    All,
}

impl<'a> Way<'a> {
    fn of(filter: &'a PaymentFilter) -> Self {
        match filter {
            PaymentFilter {
                order_id: Some(order),
                ..
            } => Self::Order(order),
            PaymentFilter {
                transaction: Some(txid),
                ..
            } => Self::Transaction(*txid),
            PaymentFilter {
                address: Some(address),
                ..
            } => Self::Address(*address),
            _ => Self::All,
        }
    }
}

impl Snapshot {
    pub fn payments(
        &self,
        filter: &PaymentFilter,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Page<Payment, PaymentId>, StoreError> {
        match Way::of(filter) {
            Way::Order(order) => {
                let ids = self.payment_of_order(order)?;
                self.picked(newest(ids, after).map(Ok), filter, limit)
            }
            Way::Transaction(txid) => {
                let ids = self.payments_of_transaction(txid, filter.chain)?;
                self.picked(newest(ids, after).map(Ok), filter, limit)
            }
            Way::Address(address) => self.payments_of_address(address, filter, after, limit),
            Way::All => {
                let table = self.open(tables::PAYMENTS)?;
                let end = after.map(tables::payment);
                let end = end.as_ref().map(|key| &key[..]);
                let page = newest_first(&table, end, limit, |p| filter.wants(p))?;
                Ok(Page {
                    items: page.items,
                    next: page.next.as_deref().and_then(tables::payment_from),
                })
            }
        }
    }

    fn payment_of_order(&self, order_id: &str) -> Result<BTreeSet<PaymentId>, StoreError> {
        let orders = self.open(tables::ORDERS)?;
        let id = orders.get(order_id.as_bytes()).map_err(database)?;
        let id = id.and_then(|guard| tables::payment_from(guard.value()));
        Ok(id.into_iter().collect())
    }

    /// The payments that a transaction's transfers are credited to, whichever chain it is on.
    fn payments_of_transaction(
        &self,
        txid: TxId,
        only: Option<ChainId>,
    ) -> Result<BTreeSet<PaymentId>, StoreError> {
        let transfers = self.open(tables::TRANSFERS)?;
        let chains = match only {
            Some(chain) => vec![chain],
            None => chains_of(&transfers)?,
        };
        let mut found = BTreeSet::new();
        for chain in chains {
            let prefix = tables::transaction(chain, txid);
            let end = tables::after_prefix(&prefix);
            let range = transfers.range::<&[u8]>(&prefix[..]..&end[..]);
            for entry in range.map_err(database)?.take(SCAN_ROWS) {
                let (_, row) = entry.map_err(database)?;
                if let TransferState::Credited(id) = TransferRecord::decode(row.value())?.state {
                    found.insert(id);
                }
            }
        }
        Ok(found)
    }

    fn payments_of_address(
        &self,
        address: Address,
        filter: &PaymentFilter,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Page<Payment, PaymentId>, StoreError> {
        let index = self.open(tables::ADDRESS_PAYMENTS)?;
        let start = address.as_bytes();
        let end = match after {
            Some(after) => tables::address_payment(address, after),
            None => tables::after_prefix(start),
        };
        let entries = index.range::<&[u8]>(&start[..]..&end[..]);
        let ids = entries.map_err(database)?.rev().map(|entry| {
            let (key, _) = entry.map_err(database)?;
            tables::trailing_payment(key.value())
                .ok_or_else(|| StoreError::Corrupt("an address's payment".to_owned()))
        });
        self.picked(ids, filter, limit)
    }

    /// A page of the payments with these ids, which come newest first.
    fn picked(
        &self,
        ids: impl Iterator<Item = Result<PaymentId, StoreError>>,
        filter: &PaymentFilter,
        limit: usize,
    ) -> Result<Page<Payment, PaymentId>, StoreError> {
        let mut page = Page {
            items: Vec::new(),
            next: None,
        };
        let mut last = None;
        for (looked_at, id) in ids.enumerate() {
            if page.items.len() == limit || looked_at == SCAN_ROWS {
                page.next = last;
                break;
            }
            let id = id?;
            last = Some(id);
            let payment = self.payment(id)?;
            page.items.extend(payment.filter(|p| filter.wants(p)));
        }
        Ok(page)
    }
}

/// The chains that have any transfers: from the first of one to the first behind it.
fn chains_of(transfers: &ReadOnlyTable<Bytes, Bytes>) -> Result<Vec<ChainId>, StoreError> {
    let (mut found, mut from) = (Vec::new(), Vec::new());
    while let Some(first) = keys(transfers, &from, &tables::after_prefix(&[]), 1)?.first() {
        let Some(chain) = tables::leading_chain(first) else {
            break;
        };
        found.push(chain);
        from = tables::after_prefix(&chain.0.to_be_bytes());
    }
    Ok(found)
}

/// Those behind the cursor, the newest first.
fn newest(ids: BTreeSet<PaymentId>, after: Option<PaymentId>) -> impl Iterator<Item = PaymentId> {
    let ids = ids.into_iter().rev();
    ids.filter(move |id| after.is_none_or(|after| *id < after))
}
