//! Plans: committed whole and read back in every field, refused without a trace, numbered without gaps, told in order.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use paybell::store::{CommitError, Counters, EventScope, Observer, Store, StoreError, Write};

use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::changes::{Changes, PaymentChange};
use crate::domain::ids::{ChainId, Height, Sequence, UnixMs};
use crate::domain::ledger::{self, Refusal};
use crate::domain::payment::*;
use crate::domain::test_support::*;
use crate::{audit, called_back, create, store};

fn credit(n: u8, state: CreditState) -> Credit {
    Credit {
        txid: txid(u64::from(n)),
        log_index: u32::from(n),
        from: address(n),
        amount: Amount::from_base_units(u128::MAX - u128::from(n)),
        height: Height(u64::MAX - u64::from(n)),
        block_time: UnixMs(u64::MAX),
        state,
        basis: if n.is_multiple_of(2) {
            Basis::Matched
        } else {
            Basis::ByHand
        },
    }
}

/// Payments in which every field has a value that no other field has.
fn unusual_payments() -> Vec<Payment> {
    let full = payment(u128::MAX).with(|p| {
        p.chain = ChainId(u16::MAX);
        p.address = Address::from_bytes([0xfe; 20]);
        p.order_id = "Bestellung \u{1f514} 1\u{0}\n\"".to_owned();
        p.expected = Amount::from_base_units(u128::MAX - 7);
        p.to_pay = Amount::from_base_units(u128::MAX - 8);
        p.rule = MatchRule::Accumulate;
        p.amount_mode = AmountMode::Unique;
        p.tolerance = Amount::from_base_units(u128::MAX);
        p.finality = Finality::Depth(u32::MAX);
        p.created_at = UnixMs(1);
        p.created_above = Height(u64::MAX);
        p.expires_at = UnixMs(u64::MAX - 1);
        p.grace_seconds = u64::MAX;
        p.status = Status::Completed;
        p.closed_at = Some(UnixMs(3));
        p.cancelled_at = Some(UnixMs(5));
        p.completed_at = Some(UnixMs(4));
        p.final_confirmations = Some(u32::MAX);
        p.credits = vec![
            credit(1, CreditState::Seen),
            credit(2, CreditState::Confirmed),
            credit(3, CreditState::Reverted),
        ];
        p.callback = Some(Callback {
            url: "https://x.example/?a=1".to_owned(),
            scope: CallbackScope::CompletionOnly,
        });
        p.success_url = Some("https://y.example".to_owned());
        p.metadata = Some(r#"{"a":[1,2,{"b":null}]}"#.to_owned());
        p.watched = false;
    });
    let mut all = vec![full, payment(0).with(|p| p.order_id = String::new())];
    for (n, status) in (10..).zip(Status::ALL) {
        all.push(called_back(n).with(|p| p.status = status));
    }
    all
}

#[tokio::test]
async fn every_field_is_read_back() {
    let store = store::in_memory();
    for given in unusual_payments() {
        let new = given.clone();
        let change = PaymentChange {
            before: None,
            after: Some(new),
        };
        store::decide(&store, move |_| {
            Ok(Changes {
                payments: vec![change],
                ..Changes::default()
            })
        })
        .await
        .unwrap();
        assert_eq!(store.payment(given.id).await.unwrap(), Some(given));
    }
    audit::whole(&store).await;
}

/// What the reader of a file gets is what the writer gave, also of events.
#[tokio::test]
async fn events_are_read_back_as_they_were_answered() {
    let store = store::in_memory();
    let mut answered = Vec::new();
    for n in 1..=5 {
        let write = create(&store, called_back(n)).await.unwrap();
        answered.extend(write.events.iter().map(|e| e.row.clone()));
    }
    let all = store.events(EventScope::All, Sequence(0), 100).await;
    assert_eq!(all.unwrap(), answered);
    let one = store
        .events(EventScope::Payment(id(3)), Sequence(0), 100)
        .await;
    assert_eq!(one.unwrap(), answered[2..3]);
    assert_eq!(store.last_sequence(), Sequence(5));
}

/// Refused plans between good ones of the same group: the good ones are there, of the others there is nothing.
#[tokio::test]
async fn a_refused_plan_leaves_no_trace_and_disturbs_no_neighbour() {
    let store = store::in_memory();
    create(&store, payment(1)).await.unwrap();
    let plans = (2..=200_u128).map(|n| {
        let refused = n % 3 == 0;
        let order = if refused { 1 } else { n };
        create(
            &store,
            called_back(n).with(|p| p.order_id = format!("order-{order}")),
        )
    });
    let outcomes = join_all(plans).await;
    for (n, outcome) in (2..).zip(&outcomes) {
        let found = store.payment(id(n)).await.unwrap();
        match outcome {
            Ok(write) => assert_eq!(found, write.changes.payments[0].after),
            Err(CommitError::Refused(Refusal::OrderTaken(by))) => {
                assert_eq!((*by, found), (id(1), None));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(outcomes.iter().filter(|o| o.is_err()).count(), 66);
    assert_eq!(store.counters().total(), 1 + 199 - 66);
    audit::whole(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_creates_with_one_order_id_one_wins() {
    let store = Arc::new(store::in_memory());
    let tasks = (1..=64).map(|n| {
        let store = Arc::clone(&store);
        let new = called_back(n).with(|p| p.order_id = "the one".to_owned());
        tokio::spawn(async move { create(store.as_ref(), new).await })
    });
    let outcomes: Vec<_> = join_all(tasks)
        .await
        .into_iter()
        .map(|o| o.unwrap())
        .collect();
    let winners: Vec<_> = outcomes
        .iter()
        .flatten()
        .map(|w| w.changes.payments[0].after.clone().unwrap().id)
        .collect();
    assert_eq!(winners.len(), 1);
    for outcome in &outcomes {
        if let Err(CommitError::Refused(Refusal::OrderTaken(by))) = outcome {
            assert_eq!(*by, winners[0]);
        } else {
            assert!(outcome.is_ok(), "{outcome:?}");
        }
    }
    assert_eq!(store.counters().of(Status::Pending), 1);
    assert_eq!(store.last_sequence(), Sequence(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_have_no_gaps_over_concurrent_commits() {
    let store = Arc::new(store::in_memory());
    let tasks = (0..8_u128).map(|lane| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut numbers = Vec::new();
            for n in 0..40 {
                let n = lane * 1000 + n + 1;
                let new = called_back(n).with(|p| {
                    if n % 5 == 0 {
                        p.order_id = "taken".to_owned();
                    }
                });
                if let Ok(write) = create(store.as_ref(), new).await {
                    numbers.extend(write.events.iter().map(|e| e.row.sequence.0));
                    // What was answered is there for the very next reader.
                    assert!(store.last_sequence().0 >= *numbers.last().unwrap());
                    assert!(store.payment(id(n)).await.unwrap().is_some());
                }
            }
            assert!(numbers.is_sorted());
            numbers
        })
    });
    let mut seen = BTreeSet::new();
    for numbers in join_all(tasks).await {
        for number in numbers.unwrap() {
            assert!(seen.insert(number), "{number} was given out twice");
        }
    }
    let count = seen.len() as u64;
    assert_eq!(seen, (1..=count).collect());
    audit::whole(store.as_ref()).await;
}

/// Invariants of the answered writes, noted in the order in which the observer hears of them.
#[derive(Default)]
struct Notes {
    sequences: Mutex<Vec<u64>>,
}

impl Observer for Notes {
    fn committed(&self, write: &Arc<Write>) {
        let numbers = write.events.iter().map(|e| e.row.sequence.0);
        self.sequences.lock().unwrap().extend(numbers);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_observer_hears_in_commit_order_and_before_the_caller() {
    let (store, notes) = (Arc::new(store::in_memory()), Arc::new(Notes::default()));
    store.observe(notes.clone());
    let tasks = (1..=300_u128).map(|n| {
        let (store, notes) = (Arc::clone(&store), Arc::clone(&notes));
        tokio::spawn(async move {
            let write = create(store.as_ref(), payment(n)).await.unwrap();
            let own = write.events[0].row.sequence.0;
            let heard = notes.sequences.lock().unwrap();
            assert!(
                heard.contains(&own),
                "{own} was answered before it was told"
            );
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let heard = notes.sequences.lock().unwrap().clone();
    assert_eq!(heard, (1..=300).collect::<Vec<_>>());
}

#[tokio::test]
async fn counters_are_right_after_everything() {
    let store = store::in_memory();
    create(&store, called_back(1)).await.unwrap();
    create(&store, payment(2)).await.unwrap();
    let cancelled = store::decide(&store, |view| ledger::cancel(view, id(1), CREATED)).await;
    cancelled.unwrap();
    let mut expected = Counters {
        deliveries_due: 2,
        ..Counters::default()
    };
    expected.by_status[0] = 1;
    expected.by_status[5] = 1;
    assert_eq!(store.counters(), expected);
    assert_eq!((store.counters().total(), store.counters().open()), (2, 1));
    audit::whole(&store).await;
}

#[tokio::test]
async fn a_closed_store_says_so_and_had_committed_what_waited() {
    let store = Arc::new(store::in_memory());
    let waiting: Vec<_> = (1..=50)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { create(store.as_ref(), payment(n)).await.is_ok() })
        })
        .collect();
    let closing = Arc::clone(&store);
    tokio::task::spawn_blocking(move || closing.close())
        .await
        .unwrap();
    let mut committed = 0;
    for task in waiting {
        committed += u64::from(task.await.unwrap());
    }
    assert_eq!(store.counters().total(), committed);
    let late = create(store.as_ref(), payment(99)).await;
    assert!(matches!(late, Err(CommitError::Store(StoreError::Closed))));
    // Closing twice is nothing.
    store.close();
    assert_eq!(store.last_sequence(), Sequence(committed));
}

/// A bug in one decision must not end the writer: a hub that answers reads but can never write again is worse than
/// one request that fails.
#[tokio::test]
async fn a_plan_that_panics_fails_alone() {
    let store = store::in_memory();
    let broken = store.commit(Box::new(|_| panic!("a bug in a plan")));
    let (broken, good) = futures::join!(broken, create(&store, payment(1)));
    assert!(matches!(broken, Err(CommitError::Store(_))), "{broken:?}");
    good.unwrap();
    create(&store, payment(2)).await.unwrap();
    audit::whole(&store).await;
}
