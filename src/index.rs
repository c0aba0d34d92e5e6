//! Which addresses are watched, and which payments are being confirmed: the store's answer kept in memory.
//!
//! Derived from the store, rebuilt at start, moved on after each commit and before the commit is announced.
//! It only narrows down a block's transfers; the ledger decides on the store itself.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use crate::domain::address::Address;
use crate::domain::changes::{PaymentChange, PaymentKeys};
use crate::domain::ids::{ChainId, Height, PaymentId, Watched};
use crate::domain::payment::{Awaits, Finality, Payment};
use crate::store::{Store, StoreError, WatchedPayment};

/// A payment that waits for confirmations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirming {
    pub chain: ChainId,
    /// Height of its newest credit.
    pub height: Height,
    pub awaits: Awaits,
    pub finality: Finality,
}

/// How much is watched on one chain.
#[derive(Debug, Default)]
struct ChainCounts {
    watched: AtomicU64,
    open: AtomicU64,
}

/// The index. All methods are callable from any thread; none blocks for I/O.
#[derive(Debug, Default)]
pub struct Index {
    addresses: DashMap<Watched, u32>,
    /// In the order of creation, so that equal histories are told equally.
    confirming: Mutex<BTreeMap<PaymentId, Confirming>>,
    counts: DashMap<ChainId, ChainCounts>,
}

impl Index {
    /// Fills an empty index with what the store holds.
    pub fn load(
        &self,
        watched: impl IntoIterator<Item = WatchedPayment>,
        open: impl IntoIterator<Item = (ChainId, u64)>,
        confirming: impl IntoIterator<Item = Payment>,
    ) {
        for entry in watched {
            self.watch(entry.watched);
        }
        for (chain, count) in open {
            let counts = self.counts.entry(chain).or_default();
            counts.open.store(count, Ordering::Relaxed);
        }
        for payment in confirming {
            self.set_confirming(payment.id, confirming_of(&payment));
        }
    }

    /// Fills an empty index from the store, at start.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn rebuild(
        &self,
        chains: impl IntoIterator<Item = ChainId>,
        store: &dyn Store,
    ) -> Result<(), StoreError> {
        let mut open = Vec::new();
        for chain in chains {
            open.push((chain, store.open_on(chain).await?.count));
        }
        self.load(store.watched().await?, open, store.confirming().await?);
        Ok(())
    }

    /// Whether any payment takes notice of transfers to this address.
    pub fn is_watched(&self, watched: &Watched) -> bool {
        self.addresses.contains_key(watched)
    }

    /// All watched addresses of a chain, in order.
    pub fn addresses_on(&self, chain: ChainId) -> Vec<Address> {
        let watched = self.addresses.iter();
        let mut found: Vec<Address> = watched
            .filter(|entry| entry.key().chain == chain)
            .map(|entry| entry.key().address)
            .collect();
        found.sort_unstable();
        found
    }

    /// Payments on the chain that take notice of transfers, in their grace period or open.
    pub fn watched_on(&self, chain: ChainId) -> u64 {
        self.counts
            .get(&chain)
            .map_or(0, |c| c.watched.load(Ordering::Relaxed))
    }

    /// Open payments on the chain.
    pub fn open_on(&self, chain: ChainId) -> u64 {
        self.counts
            .get(&chain)
            .map_or(0, |c| c.open.load(Ordering::Relaxed))
    }

    /// Payments of a chain that wait for confirmations.
    pub fn confirming_on(&self, chain: ChainId) -> Vec<(PaymentId, Confirming)> {
        let confirming = self
            .confirming
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        confirming
            .iter()
            .filter(|(_, c)| c.chain == chain)
            .map(|(id, c)| (*id, *c))
            .collect()
    }

    /// Takes over one payment's change after its commit.
    pub fn apply(&self, change: &PaymentChange) {
        let before = PaymentKeys::of_option(change.before.as_ref()).watched;
        let after = PaymentKeys::of_option(change.after.as_ref()).watched;
        if before != after {
            if let Some(watched) = after {
                self.watch(watched);
            }
            if let Some(watched) = before {
                self.unwatch(watched);
            }
        }
        self.count_open(change);
        if let Some(payment) = change.after.as_ref().or(change.before.as_ref()) {
            let confirming = change.after.as_ref().and_then(confirming_of);
            self.set_confirming(payment.id, confirming);
        }
    }

    fn count_open(&self, change: &PaymentChange) {
        let is_open = |p: &Option<Payment>| p.as_ref().is_some_and(|p| p.status.is_open());
        let Some(payment) = change.after.as_ref().or(change.before.as_ref()) else {
            return;
        };
        let counts = self.counts.entry(payment.chain).or_default();
        match (is_open(&change.before), is_open(&change.after)) {
            (false, true) => {
                counts.open.fetch_add(1, Ordering::Relaxed);
            }
            (true, false) => {
                counts.open.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    fn watch(&self, watched: Watched) {
        *self.addresses.entry(watched).or_insert(0) += 1;
        self.counts
            .entry(watched.chain)
            .or_default()
            .watched
            .fetch_add(1, Ordering::Relaxed);
    }

    fn unwatch(&self, watched: Watched) {
        if let Some(mut count) = self.addresses.get_mut(&watched) {
            *count = count.saturating_sub(1);
        }
        self.addresses.remove_if(&watched, |_, count| *count == 0);
        self.counts
            .entry(watched.chain)
            .or_default()
            .watched
            .fetch_sub(1, Ordering::Relaxed);
    }

    fn set_confirming(&self, id: PaymentId, state: Option<Confirming>) {
        let mut confirming = self
            .confirming
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match state {
            Some(state) => confirming.insert(id, state),
            None => confirming.remove(&id),
        };
    }
}

fn confirming_of(payment: &Payment) -> Option<Confirming> {
    Some(Confirming {
        chain: payment.chain,
        height: payment.last_credit()?.height,
        awaits: payment.awaits()?,
        finality: payment.finality,
    })
}
