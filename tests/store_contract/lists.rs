//! Lists: newest first, cut into pages that miss nothing and repeat nothing, with every filter.

use paybell::store::{DeliveryFilter, EventScope, PaymentFilter, Store, TransferFilter};

use crate::domain::changes::{ChainChange, Changes, PaymentChange};
use crate::domain::ids::{ChainId, Height, Sequence, TransferKey};
use crate::domain::ledger;
use crate::domain::payment::{
    Basis, Credit, CreditState, Status, TransferRecord, TransferState, UnmatchedReason,
};
use crate::domain::test_support::*;
use crate::{audit, called_back, create, store};

/// 60 payments on two chains; every third is cancelled.
async fn filled() -> paybell::store::redb::RedbStore {
    let store = store::in_memory();
    for chain in [CHAIN, ChainId(1)] {
        let start = block(100, Vec::new()).header;
        store::decide(&store, move |_| {
            Ok(Changes {
                chain: Some((chain, ChainChange::Jump(start))),
                ..Changes::default()
            })
        })
        .await
        .unwrap();
    }
    for n in 1..=60 {
        create(
            &store,
            called_back(n).with(|p| p.chain = ChainId((n % 2) as u16)),
        )
        .await
        .unwrap();
        if n % 3 == 0 {
            store::decide(&store, move |v| ledger::cancel(v, id(n), CREATED))
                .await
                .unwrap();
        }
    }
    store
}

#[tokio::test]
async fn payments_by_every_filter() {
    let store = filled().await;
    for status in [
        None,
        Some(Status::Pending),
        Some(Status::Cancelled),
        Some(Status::Expired),
    ] {
        for chain in [None, Some(ChainId(0)), Some(ChainId(1)), Some(ChainId(2))] {
            let filter = PaymentFilter {
                status,
                chain,
                ..PaymentFilter::default()
            };
            let found: Vec<_> = audit::payments(&store, &filter)
                .await
                .iter()
                .map(|p| p.id)
                .collect();
            let expected: Vec<_> = (1..=60_u128)
                .rev()
                .filter(|n| chain.is_none_or(|c| u128::from(c.0) == n % 2))
                .filter(|n| match status {
                    None => true,
                    Some(Status::Cancelled) => n % 3 == 0,
                    Some(Status::Pending) => n % 3 != 0,
                    Some(_) => false,
                })
                .map(id)
                .collect();
            assert_eq!(found, expected, "{status:?} {chain:?}");
        }
    }
    audit::whole(&store).await;
}

#[tokio::test]
async fn an_order_with_other_filters() {
    let store = filled().await;
    let filter = |order: &str, status, chain| PaymentFilter {
        status,
        chain,
        order_id: Some(order.to_owned()),
        ..PaymentFilter::default()
    };
    for (given, found) in [
        (filter("order-6", None, None), 1),
        (
            filter("order-6", Some(Status::Cancelled), Some(ChainId(0))),
            1,
        ),
        (filter("order-6", Some(Status::Pending), None), 0),
        (filter("order-6", None, Some(ChainId(1))), 0),
        (filter("order-61", None, None), 0),
        (filter("", None, None), 0),
    ] {
        let page = store.payments(given.clone(), None, 10).await.unwrap();
        assert_eq!((page.items.len(), page.next), (found, None), "{given:?}");
    }
}

/// 60 payments on one address, every third cancelled; a transaction that pays three of them, on either chain another.
#[tokio::test]
async fn payments_by_address_and_by_transaction_with_other_filters() {
    let store = filled().await;
    let credited: Vec<TransferRecord> = [(0, 4), (0, 40), (0, 10), (1, 7)]
        .into_iter()
        .zip(0..)
        .map(|((chain, n), log_index)| TransferRecord {
            key: TransferKey {
                chain: ChainId(chain),
                txid: txid(5),
                log_index,
            },
            from: address(9),
            to: address(1),
            amount: usdt(10),
            height: Height(101),
            block_time: slot(101),
            state: TransferState::Credited(id(n)),
            assigned: None,
        })
        .collect();
    let mut payments = Vec::new();
    for record in &credited {
        let TransferState::Credited(id) = record.state else {
            continue;
        };
        let before = store.payment(id).await.unwrap();
        let after = before
            .clone()
            .map(|p| p.with(|p| p.credits.push(credit_of(record))));
        payments.push(PaymentChange { before, after });
    }
    let changes = Changes {
        transfers: credited,
        payments,
        ..Changes::default()
    };
    store::apply(&store, changes).await;
    let (here, tx) = (Some(address(1)), Some(txid(5)));
    for (address, transaction, chain, status, expected) in [
        (
            here,
            None,
            None,
            Some(Status::Cancelled),
            (1..=20).rev().map(|n| n * 3).collect(),
        ),
        (here, tx, None, None, vec![40, 10, 7, 4]),
        (None, tx, None, None, vec![40, 10, 7, 4]),
        (None, tx, Some(ChainId(1)), None, vec![7]),
        (None, tx, Some(ChainId(2)), None, vec![]),
        (
            Some(crate::domain::test_support::address(2)),
            tx,
            None,
            None,
            vec![],
        ),
        (None, tx, None, Some(Status::Cancelled), vec![]),
        (None, Some(txid(6)), None, None, vec![]),
    ] {
        let filter = PaymentFilter {
            status,
            chain,
            address,
            transaction,
            order_id: None,
        };
        let found = audit::payments(&store, &filter).await;
        let found: Vec<_> = found.iter().map(|p| p.id).collect();
        let expected: Vec<_> = expected.into_iter().map(id).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let by_tx = PaymentFilter {
        transaction: tx,
        ..PaymentFilter::default()
    };
    let page = store
        .payments(by_tx.clone(), Some(id(39)), 2)
        .await
        .unwrap();
    assert_eq!(
        page.items.iter().map(|p| p.id).collect::<Vec<_>>(),
        [id(10), id(7)]
    );
    assert_eq!(page.next, Some(id(7)));
    let by_address = PaymentFilter {
        address: here,
        ..PaymentFilter::default()
    };
    let page = store.payments(by_address, Some(id(3)), 2).await.unwrap();
    assert_eq!((page.items.len(), page.next), (2, None));
    audit::whole(&store).await;
}

fn credit_of(transfer: &TransferRecord) -> Credit {
    Credit {
        txid: transfer.key.txid,
        log_index: transfer.key.log_index,
        from: transfer.from,
        amount: transfer.amount,
        height: transfer.height,
        block_time: transfer.block_time,
        state: CreditState::Seen,
        basis: Basis::Matched,
    }
}

/// On a crowded address a page ends after so many rows, wherever it has come, and the walk goes on behind it.
#[tokio::test]
async fn a_page_of_a_crowded_address_has_a_bound() {
    const MANY: u128 = 10_050;
    let store = store::in_memory();
    let payments = (1..=MANY)
        .map(|n| PaymentChange {
            before: None,
            after: Some(payment(n).with(|p| {
                p.order_id = format!("order-{n}");
                if n <= 2 {
                    p.status = Status::Expired;
                }
            })),
        })
        .collect();
    let changes = Changes {
        payments,
        ..Changes::default()
    };
    store::apply(&store, changes).await;
    let filter = PaymentFilter {
        address: Some(address(1)),
        status: Some(Status::Expired),
        ..PaymentFilter::default()
    };
    let page = store.payments(filter.clone(), None, 5).await.unwrap();
    assert!(page.items.is_empty());
    assert_eq!(page.next, Some(id(MANY - 9_999)));
    assert_eq!(audit::payments(&store, &filter).await.len(), 2);
}

/// A cursor is a place, not a row: it may name one that is gone or never was.
#[tokio::test]
async fn a_cursor_that_names_nothing_is_still_a_place() {
    let store = filled().await;
    let all = PaymentFilter::default();
    let page = store
        .payments(all.clone(), Some(id(u128::MAX)), 3)
        .await
        .unwrap();
    assert_eq!(page.items[0].id, id(60));
    assert_eq!(page.next, Some(id(58)));
    let page = store.payments(all.clone(), Some(id(0)), 3).await.unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
    let page = store.payments(all, Some(id(4)), 3).await.unwrap();
    assert_eq!(
        (page.items.len(), page.next),
        (3, None),
        "the last page says so"
    );
}

#[tokio::test]
async fn deliveries_by_payment_and_state() {
    let store = filled().await;
    let all = audit::deliveries(&store, &DeliveryFilter::default()).await;
    assert_eq!(all.len(), 80);
    assert!(all.is_sorted_by(|a, b| a.id > b.id), "newest first");
    for n in [1, 3] {
        let filter = DeliveryFilter {
            payment: Some(id(n)),
            ..DeliveryFilter::default()
        };
        let found = audit::deliveries(&store, &filter).await;
        let expected: Vec<_> = all
            .iter()
            .filter(|d| d.payment == Some(id(n)))
            .cloned()
            .collect();
        assert_eq!(found, expected);
        let first = store.deliveries(filter, None, 1).await.unwrap();
        assert_eq!(first.next.is_some(), n == 3);
    }
    for (state, count) in [("due", 80), ("delivered", 0), ("exhausted", 0)] {
        let filter = DeliveryFilter {
            state: Some(state),
            ..DeliveryFilter::default()
        };
        assert_eq!(audit::deliveries(&store, &filter).await.len(), count);
    }
}

#[tokio::test]
async fn events_of_all_and_of_one() {
    let store = filled().await;
    assert_eq!(audit::events(&store, EventScope::All).await.len(), 80);
    for n in 1..=60 {
        let own = audit::events(&store, EventScope::Payment(id(n))).await;
        assert_eq!(own.len(), if n % 3 == 0 { 2 } else { 1 });
        assert!(own.iter().all(|e| e.payment == Some(id(n))));
    }
    let none = store
        .events(EventScope::All, Sequence(80), 10)
        .await
        .unwrap();
    assert!(none.is_empty());
    let none = store
        .events(EventScope::All, Sequence(u64::MAX), 10)
        .await
        .unwrap();
    assert!(none.is_empty());
}

/// Two blocks of one time on two chains, and one of another; every other transfer has a payment it seems meant for.
#[tokio::test]
async fn what_settled_nothing_by_time_and_by_payment() {
    let store = store::in_memory();
    let transfers: Vec<TransferRecord> = (0..30_u64)
        .map(|n| TransferRecord {
            key: TransferKey {
                chain: ChainId((n % 2) as u16),
                txid: txid(n * 7 % 30),
                log_index: 1,
            },
            from: address(9),
            to: address(1),
            amount: usdt(1),
            height: Height(100 + n % 3),
            block_time: slot(100 + n % 3),
            state: TransferState::Unmatched {
                reason: UnmatchedReason::Late,
                payment: (n % 2 == 0).then(|| id(u128::from(n % 4 + 1))),
            },
            assigned: None,
        })
        .collect();
    let changes = Changes {
        transfers: transfers.clone(),
        ..Changes::default()
    };
    store::apply(&store, changes).await;
    let mut sorted = transfers.clone();
    sorted.sort_by_key(|t| std::cmp::Reverse(t.place()));
    let all = TransferFilter::default();
    assert_eq!(audit::unmatched(&store, all).await, sorted);
    for (n, count) in [(1, 8), (3, 7), (2, 0)] {
        let meant_for = Some(id(n));
        let found = audit::unmatched(&store, TransferFilter { meant_for }).await;
        assert_eq!(found.len(), count, "meant for {n}");
    }
    for transfer in &transfers {
        let found = store.transfer(transfer.key).await.unwrap();
        assert_eq!(found.as_ref(), Some(transfer));
    }
    // One that is settled leaves the list, and its place stays a place.
    let mut settled = sorted[10];
    settled.state = TransferState::Credited(id(1));
    let changes = Changes {
        transfers: vec![settled],
        ..Changes::default()
    };
    store::apply(&store, changes).await;
    let page = store
        .unmatched(all, Some(settled.place()), 5)
        .await
        .unwrap();
    assert_eq!(page.items, sorted[11..16]);
    assert_eq!(page.next, Some(sorted[15].place()));
    let last = store
        .unmatched(all, Some(sorted[29].place()), 5)
        .await
        .unwrap();
    assert!(last.items.is_empty() && last.next.is_none());
}
