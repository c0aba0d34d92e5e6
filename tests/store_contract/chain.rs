//! The chain's part of a store: cursor, blocks, rollback, jump, and what is forgotten once it is final.

use paybell::store::Store;

use crate::domain::chain::BlockHeader;
use crate::domain::changes::{ChainChange, Changes, Cursor};
use crate::domain::ids::{ChainId, Height};
use crate::domain::ledger;
use crate::domain::test_support::*;
use crate::{audit, called_back, create, store};

async fn change(store: &dyn Store, chain: ChainId, change: ChainChange) {
    store::decide(store, move |_| {
        Ok(Changes {
            chain: Some((chain, change)),
            ..Changes::default()
        })
    })
    .await
    .unwrap();
}

fn header(height: u64) -> BlockHeader {
    block(height, Vec::new()).header
}

async fn known(store: &dyn Store, chain: ChainId, heights: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut found = Vec::new();
    for height in heights {
        if let Some(block) = store.block(chain, Height(height)).await.unwrap() {
            assert_eq!(block.height, Height(height));
            found.push(height);
        }
    }
    found
}

async fn cursor(store: &dyn Store, chain: ChainId) -> (u64, u64) {
    let cursor = store.cursor(chain).await.unwrap().unwrap();
    (cursor.tip.height.0, cursor.final_height.0)
}

#[tokio::test]
async fn the_cursor_moves_as_told_and_each_chain_has_its_own() {
    let store = store::in_memory();
    let other = ChainId(7);
    assert_eq!(store.cursor(CHAIN).await.unwrap(), None);
    change(&store, CHAIN, ChainChange::Jump(header(100))).await;
    change(&store, other, ChainChange::Jump(header(5))).await;
    for height in 101..=110 {
        change(&store, CHAIN, ChainChange::Append(header(height))).await;
    }
    assert_eq!(
        store.cursor(CHAIN).await.unwrap(),
        Some(Cursor {
            tip: header(110),
            final_height: Height(0)
        })
    );
    change(&store, CHAIN, ChainChange::Final(Height(104))).await;
    assert_eq!(cursor(&store, CHAIN).await, (110, 104));
    assert_eq!(
        known(&store, CHAIN, 90..120).await,
        (104..=110).collect::<Vec<_>>()
    );
    change(&store, CHAIN, ChainChange::Rollback(header(106))).await;
    assert_eq!(cursor(&store, CHAIN).await, (106, 104));
    assert_eq!(known(&store, CHAIN, 90..120).await, [104, 105, 106]);
    assert_eq!(cursor(&store, other).await, (5, 0));
    assert_eq!(known(&store, other, 0..120).await, [5]);
}

/// The oldest known block has a parent that is not kept; a fork can still end there.
#[tokio::test]
async fn a_rollback_below_the_oldest_known_block() {
    let store = store::in_memory();
    change(&store, CHAIN, ChainChange::Jump(header(100))).await;
    change(&store, CHAIN, ChainChange::Append(header(101))).await;
    create(&store, called_back(1)).await.unwrap();
    let paid = block(102, vec![transfer(1, 0, usdt(10))]);
    let extended = store::decide(&store, move |v| ledger::extend(v, CHAIN, &paid, CREATED)).await;
    extended.unwrap();
    assert_eq!(store.confirming().await.unwrap().len(), 1);
    let to = header(99);
    let back = store::decide(&store, move |v| ledger::rollback(v, CHAIN, &to, CREATED)).await;
    back.unwrap();
    assert_eq!(cursor(&store, CHAIN).await, (99, 0));
    assert_eq!(known(&store, CHAIN, 90..120).await, [99]);
    assert!(store.confirming().await.unwrap().is_empty());
    let next = block(100, vec![transfer(1, 3, usdt(10))]);
    let again = store::decide(&store, move |v| ledger::extend(v, CHAIN, &next, CREATED)).await;
    again.unwrap();
    assert_eq!(store.confirming().await.unwrap().len(), 1);
    audit::whole(&store).await;
}

#[tokio::test]
async fn a_jump_forgets_the_blocks_before_it_and_those_after() {
    let store = store::in_memory();
    change(&store, CHAIN, ChainChange::Jump(header(100))).await;
    change(&store, CHAIN, ChainChange::Append(header(101))).await;
    change(&store, CHAIN, ChainChange::Final(Height(101))).await;
    change(&store, CHAIN, ChainChange::Jump(header(500))).await;
    assert_eq!(cursor(&store, CHAIN).await, (500, 101));
    assert_eq!(known(&store, CHAIN, 90..600).await, [500]);
    // To another network under the same name: what was final there is not final here.
    change(&store, CHAIN, ChainChange::Jump(header(50))).await;
    assert_eq!(cursor(&store, CHAIN).await, (50, 50));
    assert_eq!(known(&store, CHAIN, 0..600).await, [50]);
}

/// Heights next to the greatest that a chain can have, and chains next to each other: no range runs over its end.
#[tokio::test]
async fn the_greatest_heights_and_chains_do_not_run_into_each_other() {
    let store = store::in_memory();
    let (low, high) = (ChainId(u16::MAX - 1), ChainId(u16::MAX));
    let top = u64::MAX - 1;
    for chain in [low, high] {
        change(&store, chain, ChainChange::Jump(header(top - 2))).await;
        change(&store, chain, ChainChange::Append(header(top - 1))).await;
        change(&store, chain, ChainChange::Append(header(top))).await;
    }
    change(&store, low, ChainChange::Rollback(header(top - 2))).await;
    assert_eq!(cursor(&store, low).await, (top - 2, 0));
    assert_eq!(cursor(&store, high).await, (top, 0));
    change(&store, high, ChainChange::Final(Height(top))).await;
    assert_eq!(cursor(&store, high).await, (top, top));
    assert_eq!(known(&store, low, top - 3..=top).await, [top - 2]);
}

#[tokio::test]
async fn chains_keep_their_numbers() {
    let store = store::in_memory();
    let names = ["tron", "tron-nile", "", "a/b", "\u{10ffff}\u{10ffff}"];
    let mut numbers = Vec::new();
    for name in names {
        numbers.push(store.chain_id(name).await.unwrap().0);
    }
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    for (name, number) in names.iter().zip(numbers).rev() {
        assert_eq!(store.chain_id(name).await.unwrap().0, number);
    }
}

#[tokio::test]
async fn open_payments_are_counted_with_the_oldest() {
    let store = store::in_memory();
    change(&store, CHAIN, ChainChange::Jump(header(100))).await;
    for n in 1..=4 {
        create(
            &store,
            called_back(n)
                .asking(usdt(n))
                .with(|p| p.created_at = slot(100 + n as u64)),
        )
        .await
        .unwrap();
    }
    let paid = block(101, vec![transfer(1, 0, usdt(2)), transfer(2, 1, usdt(3))]);
    store::decide(&store, move |v| ledger::extend(v, CHAIN, &paid, CREATED))
        .await
        .unwrap();
    store::decide(&store, |v| ledger::cancel(v, id(1), CREATED))
        .await
        .unwrap();
    let open = store.open_on(CHAIN).await.unwrap();
    assert_eq!((open.count, open.oldest_created_at), (3, Some(slot(102))));
    let none = store.open_on(ChainId(3)).await.unwrap();
    assert_eq!((none.count, none.oldest_created_at), (0, None));
    audit::whole(&store).await;
}
