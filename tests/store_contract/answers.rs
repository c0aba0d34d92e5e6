//! Kept answers: written in the commit of the payment they speak of, read back byte for byte, and forgotten after a day.

use std::sync::Arc;

use futures::future::join_all;
use paybell::store::redb::Location;
use paybell::store::{CommitError, PaymentFilter, Store, Write};

use crate::domain::changes::Unfinished;
use crate::domain::idempotency::{self, Answer, IdempotencyKey, KeyedRequest, RequestDigest};
use crate::domain::ids::UnixMs;
use crate::domain::ledger::{self, Refusal};
use crate::domain::payment::Payment;
use crate::domain::test_support::*;
use crate::store::decide;
use crate::{POLICY, audit, called_back, store};

const DAY_MS: u64 = 24 * 3600 * 1000;

pub fn keyed(n: u128) -> KeyedRequest {
    let mut bytes = [7; 32];
    bytes[..16].copy_from_slice(&n.to_be_bytes());
    KeyedRequest {
        key: IdempotencyKey(bytes),
        digest: RequestDigest([n as u8; 32]),
    }
}

/// An answer that tells which payment it speaks of, with every byte there is.
pub fn answer_of(payment: &Payment) -> Answer {
    let mut body = payment.id.to_string().into_bytes();
    body.extend(0..=u8::MAX);
    Answer {
        location: format!("/v1/payments/{}\u{1f514}", payment.id),
        body,
    }
}

/// Commits a new payment under a key, as the ledger does.
pub async fn create_once(
    store: &dyn Store,
    request: KeyedRequest,
    new: Payment,
    now: UnixMs,
) -> Result<Arc<Write>, CommitError> {
    decide(store, move |view| {
        let create = || ledger::create(view, new, POLICY, now);
        idempotency::once(view, &request, now, create, |payment| {
            Ok(answer_of(payment))
        })
    })
    .await
}

async fn forget(store: &dyn Store, now: UnixMs) -> usize {
    let write = decide(store, move |view| Ok(idempotency::forget(view, now)?)).await;
    write.unwrap().changes.answers.len()
}

/// The answers under the keys `keyed(n)` and the payments `id(n)`: both or neither, and they speak of each other.
pub async fn go_with_their_payments(store: &dyn Store, numbers: impl IntoIterator<Item = u128>) {
    for n in numbers {
        let payment = store.payment(id(n)).await.unwrap();
        let kept = store.kept_answer(keyed(n).key).await.unwrap();
        assert_eq!(
            kept.map(|kept| kept.answer),
            payment.as_ref().map(answer_of),
            "payment {n} and its answer"
        );
    }
}

#[tokio::test]
async fn an_answer_is_read_back_byte_for_byte_also_from_the_reopened_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let store = store::open(Location::File(&path)).unwrap();
    create_once(&store, keyed(1), called_back(1), CREATED)
        .await
        .unwrap();
    let before = store.kept_answer(keyed(1).key).await.unwrap().unwrap();
    assert_eq!(before.answer, answer_of(&called_back(1)));
    assert_eq!(
        (before.request, before.created_at),
        (keyed(1).digest, CREATED)
    );
    // The payment goes on; the answer stays what it was.
    decide(&store, |view| ledger::cancel(view, id(1), CREATED))
        .await
        .unwrap();
    assert_eq!(
        store.kept_answer(keyed(1).key).await.unwrap(),
        Some(before.clone())
    );
    store.close();
    drop(store);
    let store = store::open(Location::File(&path)).unwrap();
    assert_eq!(store.kept_answer(keyed(1).key).await.unwrap(), Some(before));
    assert_eq!(store.kept_answer(keyed(2).key).await.unwrap(), None);
}

/// In one group commit, where each plan sees what the one before left.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_takes_effect_and_the_others_hear_its_answer() {
    let store = store::in_memory();
    let outcomes =
        join_all((1..=50).map(|n| create_once(&store, keyed(1), called_back(n), CREATED)));
    let payments = outcomes
        .await
        .into_iter()
        .filter_map(|outcome| match outcome {
            Ok(write) => write.changes.payments[0].after.clone(),
            Err(CommitError::Refused(Refusal::AlreadyAnswered(answer))) => {
                assert!(answer.body.len() > 256);
                None
            }
            Err(other) => panic!("{other}"),
        });
    let made: Vec<_> = payments.collect();
    assert_eq!(made.len(), 1);
    assert_eq!(
        audit::payments(&store, &PaymentFilter::default()).await,
        made
    );
    let kept = store.kept_answer(keyed(1).key).await.unwrap().unwrap();
    assert_eq!(kept.answer, answer_of(&made[0]));
    audit::whole(&store).await;
}

#[tokio::test]
async fn a_key_is_free_again_after_a_day_whether_its_answer_was_removed_or_not() {
    let store = store::in_memory();
    let later = CREATED.plus_ms(DAY_MS);
    create_once(&store, keyed(1), called_back(1), CREATED)
        .await
        .unwrap();
    create_once(&store, keyed(1), called_back(2), later)
        .await
        .unwrap();
    let kept = store.kept_answer(keyed(1).key).await.unwrap().unwrap();
    assert_eq!(kept.answer, answer_of(&called_back(2)));
    // The first answer's time went with it: what is removed now is the second, once its own day is over.
    assert_eq!(forget(&store, later).await, 0);
    assert_eq!(forget(&store, later.plus_ms(DAY_MS - 1)).await, 0);
    assert_eq!(forget(&store, later.plus_ms(DAY_MS)).await, 1);
    assert_eq!(forget(&store, UnixMs(u64::MAX)).await, 0);
    assert_eq!(store.kept_answer(keyed(1).key).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_refused_keeps_no_answer() {
    let store = store::in_memory();
    create_once(&store, keyed(1), called_back(1), CREATED)
        .await
        .unwrap();
    let taken = called_back(2).with(|p| p.order_id = called_back(1).order_id);
    let refused = create_once(&store, keyed(2), taken, CREATED).await;
    assert!(matches!(
        refused,
        Err(CommitError::Refused(Refusal::OrderTaken(_)))
    ));
    assert_eq!(store.kept_answer(keyed(2).key).await.unwrap(), None);
    create_once(&store, keyed(2), called_back(2), CREATED)
        .await
        .unwrap();
    go_with_their_payments(&store, 1..=2).await;
}

#[tokio::test]
async fn many_are_forgotten_in_pieces() {
    let store = store::in_memory();
    let count = idempotency::BATCH_ANSWERS as u128 + 3;
    let made =
        join_all((1..=count).map(|n| create_once(&store, keyed(n), called_back(n), CREATED)));
    assert!(made.await.iter().all(Result::is_ok));
    let (mut removed, now) = (Vec::new(), CREATED.plus_ms(DAY_MS));
    loop {
        let write = decide(&store, move |view| Ok(idempotency::forget(view, now)?)).await;
        let changes = write.unwrap().changes.clone();
        removed.push(changes.answers.len());
        if changes.unfinished == Unfinished::No {
            break;
        }
    }
    assert_eq!(removed, [idempotency::BATCH_ANSWERS, 3]);
    audit::whole(&store).await;
}
