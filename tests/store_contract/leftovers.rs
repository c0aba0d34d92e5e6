//! What is gone stays gone, and what never was cannot be changed.

use paybell::store::{CommitError, DeliveryFilter, Store, StoreError};

use crate::deliveries::{prune, record};
use crate::domain::changes::{ChainChange, Changes, PaymentChange};
use crate::domain::delivery::DeliveryState;
use crate::domain::ids::{Height, UnixMs};
use crate::domain::payment::{Finality, Status, TransferRecord, TransferState, UnmatchedReason};
use crate::domain::test_support::*;
use crate::store::{apply, decide, in_memory, look};
use crate::{called_back, create};

/// What the store remembers behind the tip.
const MAX_FORK_BLOCKS: u64 = 4_096;
const FAR: UnixMs = UnixMs(u64::MAX);

fn seen_at(tx: u64, height: u64, state: TransferState) -> TransferRecord {
    TransferRecord {
        key: key(tx, 0),
        from: address(2),
        to: address(1),
        amount: usdt(1),
        height: Height(height),
        block_time: slot(height),
        state,
        assigned: None,
    }
}

async fn commit_transfers(store: &dyn Store, transfers: Vec<TransferRecord>) {
    let changes = Changes {
        transfers,
        ..Changes::default()
    };
    apply(store, changes).await;
}

/// Heights of the transfers that a fork would take back.
async fn can_be_forked_away(store: &dyn Store) -> Vec<u64> {
    let above = look(store, |view| {
        view.transfers_above(CHAIN, Height(0)).expect("reads")
    });
    above.await.into_iter().map(|t| t.height.0).collect()
}

/// A delivery was done with and its event pruned while another attempt was on its way; the attempt's record brought
/// the delivery back, due for ever, with no event to send.
#[tokio::test]
async fn an_attempt_recorded_too_late_brings_no_delivery_back() {
    let store = in_memory();
    create(&store, called_back(1)).await.expect("created");
    let all = || store.deliveries(DeliveryFilter::default(), None, 10);
    let under_way = all().await.expect("reads").items.remove(0);
    record(&store, &under_way, DeliveryState::Delivered(CREATED))
        .await
        .expect("recorded");
    prune(&store, FAR, 10).await;
    record(&store, &under_way, DeliveryState::Due(CREATED))
        .await
        .expect("ignored");
    assert!(all().await.expect("reads").items.is_empty());
    assert!(
        store
            .attempts(under_way.id)
            .await
            .expect("reads")
            .is_empty()
    );
    assert_eq!(store.counters().deliveries_due, 0);
    assert_eq!(store.next_due(UnixMs(0)).await.expect("reads"), None);
}

/// Pruning left the unmatched transfer's place among those that a fork takes back. Seen again in another block, it
/// was then listed twice, and taken back twice.
#[tokio::test]
async fn a_pruned_transfer_leaves_no_trace() {
    let store = in_memory();
    let lost = TransferState::Unmatched {
        reason: UnmatchedReason::WrongAmount,
        payment: None,
    };
    let kept = TransferState::Credited(id(1));
    commit_transfers(&store, vec![seen_at(1, 5, lost), seen_at(2, 6, kept)]).await;
    prune(&store, FAR, 10).await;
    commit_transfers(&store, vec![seen_at(1, 7, lost)]).await;
    assert_eq!(can_be_forked_away(&store).await, [6, 7]);
}

/// On a chain whose payments ask for a depth nobody asks for its final height, and what could be forked away was
/// kept for ever.
#[tokio::test]
async fn what_is_too_deep_for_any_fork_is_forgotten() {
    let store = in_memory();
    let step = async |change, transfers| {
        let changes = Changes {
            chain: Some((CHAIN, change)),
            transfers,
            ..Changes::default()
        };
        apply(&store, changes).await;
    };
    let header = |height| block(height, Vec::new()).header;
    step(ChainChange::Jump(header(1)), Vec::new()).await;
    for height in 2..=MAX_FORK_BLOCKS + 10 {
        let credited = TransferState::Credited(id(1));
        let transfers = (height < 20).then(|| seen_at(height, height, credited));
        step(
            ChainChange::Append(header(height)),
            transfers.into_iter().collect(),
        )
        .await;
    }
    assert_eq!(store.block(CHAIN, Height(9)).await.expect("reads"), None);
    let oldest = store.block(CHAIN, Height(10)).await.expect("reads");
    assert_eq!(oldest, Some(header(10)));
    assert_eq!(
        can_be_forked_away(&store).await,
        (10..20).collect::<Vec<_>>()
    );
}

/// A depth of nothing was written as the number that means "final", and read back so: a payment content with the
/// first block then waited a minute for the nineteenth.
#[tokio::test]
async fn a_depth_of_nothing_does_not_become_final() {
    let store = in_memory();
    let new = payment(1).with(|p| p.finality = Finality::Depth(0));
    create(&store, new).await.expect("created");
    let back = store.payment(id(1)).await.expect("reads").expect("there");
    assert_eq!(back.finality, Finality::Depth(1));
}

/// In a release build the count went round to 18 quintillion; the commit must fail instead, and change nothing.
#[tokio::test]
async fn a_change_from_a_state_that_never_was_is_refused() {
    let store = in_memory();
    let ghost = Changes {
        payments: vec![PaymentChange {
            before: Some(payment(1)),
            after: Some(payment(1).with(|p| p.status = Status::Expired)),
        }],
        ..Changes::default()
    };
    let outcome = decide(&store, move |_| Ok(ghost)).await;
    assert!(
        matches!(outcome, Err(CommitError::Store(StoreError::Corrupt(_)))),
        "{outcome:?}"
    );
    assert_eq!(store.counters().total(), 0);
    assert_eq!(store.payment(id(1)).await.expect("reads"), None);
    create(&store, payment(2))
        .await
        .expect("the writer goes on");
}
