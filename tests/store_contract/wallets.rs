//! Addresses of wallets: an index is taken with its payment or not at all, and never again.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use paybell::store::{CommitError, PaymentFilter, Store, Write};

use crate::domain::account_key::AccountId;
use crate::domain::ids::UnixMs;
use crate::domain::ledger;
use crate::domain::test_support::*;
use crate::domain::wallet::{self, NextIndex};
use crate::store::decide;
use crate::{POLICY, audit, called_back, store};

fn account() -> AccountId {
    wallet("main").key.id()
}

/// Commits a new payment at the wallet's next address, as the ledger does.
pub async fn create(store: &dyn Store, n: u128) -> Result<Arc<Write>, CommitError> {
    decide(store, move |view| {
        wallet::create(view, &wallet("main"), called_back(n), POLICY, CREATED)
    })
    .await
}

async fn indices(store: &dyn Store) -> BTreeSet<u32> {
    let payments = audit::payments(store, &PaymentFilter::default()).await;
    let derived = payments.into_iter().filter_map(|p| p.derivation);
    derived.map(|d| d.index.get()).collect()
}

/// Where no payment was removed, the indices have no gap, and the next is behind the last.
pub async fn counted_as_payments_say(store: &dyn Store) {
    let next = store.next_index(account()).await.unwrap();
    assert_eq!(indices(store).await, (0..next.0).collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_share_no_index_and_leave_no_gap() {
    let store = store::in_memory();
    let made = join_all((0..200).map(|n| create(&store, n))).await;
    let addresses: BTreeSet<_> = made
        .into_iter()
        .map(|write| {
            write.unwrap().changes.payments[0]
                .after
                .clone()
                .unwrap()
                .address
        })
        .collect();
    assert_eq!(addresses.len(), 200);
    assert_eq!(store.next_index(account()).await.unwrap(), NextIndex(200));
    counted_as_payments_say(&store).await;
}

#[tokio::test]
async fn an_index_outlives_its_payment_and_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let open = || store::open(paybell::store::redb::Location::File(&path)).unwrap();
    let first = open();
    for n in 0..3 {
        create(&first, n).await.unwrap();
        decide(&first, move |view| ledger::cancel(view, id(n), CREATED))
            .await
            .unwrap();
    }
    // The grace ends by chain time, and retention takes the payments away.
    let jump = block(100, Vec::new()).header;
    let grace_end = UnixMs(slot(200).0 + 2 * 86_400_000);
    let late = crate::domain::chain::Block {
        header: crate::domain::chain::BlockHeader {
            time: grace_end,
            ..block(101, Vec::new()).header
        },
        transfers: Vec::new(),
    };
    decide(&first, move |view| {
        ledger::jump(view, CHAIN, &jump, ledger::Watching::Nothing)
    })
    .await
    .unwrap();
    decide(&first, move |view| {
        ledger::extend(view, CHAIN, &late, CREATED)
    })
    .await
    .unwrap();
    decide(&first, |view| ledger::remove_old(view, UnixMs(u64::MAX)))
        .await
        .unwrap();
    assert_eq!(first.counters().total(), 0, "removed");
    first.close();
    drop(first);
    let again = open();
    create(&again, 9).await.unwrap();
    assert_eq!(indices(&again).await, BTreeSet::from([3]));
}

#[tokio::test]
async fn a_refused_payment_takes_no_index() {
    let store = store::in_memory();
    create(&store, 1).await.unwrap();
    assert!(matches!(
        create(&store, 1).await,
        Err(CommitError::Refused(_))
    ));
    assert_eq!(store.next_index(account()).await.unwrap(), NextIndex(1));
}
