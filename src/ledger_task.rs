//! Floor 3: from a command to a commit to its announcement.
//!
//! Wraps the pure ledger: gives each decision the time, numbers and encodes its events, has the store commit
//! it, and, as the store's observer, moves the index on before anyone hears of the commit. Decides nothing itself.

mod keys;
mod webhooks;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::domain::api_key::KeyId;
use crate::domain::api_keys::KeyChange;
use crate::domain::chain::{Block, BlockHeader};
use crate::domain::changes::{Changes, PaymentChange, View, ViewError};
use crate::domain::endpoints::Endpoints;
use crate::domain::event::{Event, SealedEvent};
use crate::domain::idempotency::{self, Answer, AnswerError, KeyedRequest};
use crate::domain::ids::{BlockHash, ChainId, EventId, PaymentId, Sequence, TransferKey, UnixMs};
use crate::domain::ledger::{self, AmountPolicy, Refusal, Watching};
use crate::domain::payment::Payment;
use crate::domain::wallet::{self, Wallet};
use crate::due_bell::DueBell;
use crate::index::Index;
use crate::store::{
    CommitError, EventRow, NewEvent, Observer, Plan, Prune, Store, StoreError, Write,
};
use crate::trends::Trends;

pub use webhooks::TestSent;

/// Randomness, passed in.
pub trait Entropy: Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]);
}

/// Writes an event as the JSON object that sockets push and webhooks carry.
pub trait EventEncoder: Send + Sync + 'static {
    fn encode(&self, sealed: &SealedEvent) -> Bytes;
}

/// Writes the answer to a request that creates a payment, inside the commit, from the payment as it is committed.
pub type AnswerWriter = Box<dyn FnOnce(&Payment) -> Result<Answer, AnswerError> + Send>;

/// The front of the ledger: one method a command. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    policy: AmountPolicy,
}

/// What turns decided events into rows.
struct Sealer {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    encoder: Arc<dyn EventEncoder>,
}

impl Ledger {
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        encoder: Arc<dyn EventEncoder>,
        policy: AmountPolicy,
    ) -> Self {
        let sealer = Arc::new(Sealer {
            clock,
            entropy,
            encoder,
        });
        Self {
            store,
            sealer,
            policy,
        }
    }

    /// Commits a new payment. It arrives checked and pending; see [`ledger::create`]. Returns it as committed.
    pub async fn create(&self, new: Payment) -> Result<Payment, CommitError> {
        let policy = self.policy;
        let write = self
            .decide(move |view, now| ledger::create(view, new, policy, now))
            .await?;
        changed_payment(&write)
    }

    /// Commits a new payment at a wallet's next address; see [`wallet::create`]. Returns it as committed.
    pub async fn create_in(
        &self,
        wallet: Arc<Wallet>,
        new: Payment,
    ) -> Result<Payment, CommitError> {
        let policy = self.policy;
        let write = self
            .decide(move |view, now| wallet::create(view, &wallet, new, policy, now))
            .await?;
        changed_payment(&write)
    }

    /// Commits a new payment, at the wallet's next address where one is given, together with the answer to its request.
    /// Returns the answer.
    ///
    /// # Errors
    /// [`Refusal::AlreadyAnswered`] holds the answer when the request took effect before.
    pub async fn create_once(
        &self,
        new: Payment,
        wallet: Option<Arc<Wallet>>,
        request: KeyedRequest,
        answer: AnswerWriter,
    ) -> Result<Answer, CommitError> {
        let policy = self.policy;
        let write = self
            .decide(move |view, now| {
                let create = || match wallet {
                    Some(wallet) => wallet::create(view, &wallet, new, policy, now),
                    None => ledger::create(view, new, policy, now),
                };
                idempotency::once(view, &request, now, create, answer)
            })
            .await?;
        let kept = write.changes.answers.first();
        let answer = kept.and_then(|change| Some(change.after.as_ref()?.answer.clone()));
        answer.ok_or(CommitError::Store(StoreError::Closed))
    }

    /// Removes kept answers whose time is over.
    pub async fn forget_answers(&self) -> Result<Arc<Write>, CommitError> {
        self.decide(move |view, now| Ok(idempotency::forget(view, now)?))
            .await
    }

    /// Cancels a payment that waits for money. Returns it as committed.
    pub async fn cancel(&self, id: PaymentId) -> Result<Payment, CommitError> {
        let write = self
            .decide(move |view, now| ledger::cancel(view, id, now))
            .await?;
        changed_payment(&write)
    }

    /// Settles a payment with a transfer that settled nothing.
    pub async fn assign(
        &self,
        key: TransferKey,
        id: PaymentId,
        by: Option<KeyId>,
    ) -> Result<(), CommitError> {
        self.decide(move |view, now| ledger::assign(view, &key, id, by, now))
            .await
            .map(|_| ())
    }

    pub async fn extend(&self, chain: ChainId, block: Block) -> Result<Arc<Write>, CommitError> {
        self.decide(move |view, now| ledger::extend(view, chain, &block, now))
            .await
    }

    /// Moves the cursor over final blocks that were searched; see [`ledger::extend_final`].
    pub async fn extend_final(
        &self,
        chain: ChainId,
        after: BlockHash,
        block: Block,
    ) -> Result<Arc<Write>, CommitError> {
        self.decide(move |view, now| ledger::extend_final(view, chain, after, &block, now))
            .await
    }

    pub async fn catch_up(&self, chain: ChainId) -> Result<Arc<Write>, CommitError> {
        self.decide(move |view, now| ledger::catch_up(view, chain, now))
            .await
    }

    pub async fn rollback(
        &self,
        chain: ChainId,
        to: BlockHeader,
    ) -> Result<Arc<Write>, CommitError> {
        self.decide(move |view, now| ledger::rollback(view, chain, &to, now))
            .await
    }

    pub async fn finalize(
        &self,
        chain: ChainId,
        header: BlockHeader,
    ) -> Result<Arc<Write>, CommitError> {
        self.decide(move |view, now| ledger::finalize(view, chain, &header, now))
            .await
    }

    pub async fn jump(
        &self,
        chain: ChainId,
        to: BlockHeader,
        watching: Watching,
    ) -> Result<Arc<Write>, CommitError> {
        self.decide(move |view, _| ledger::jump(view, chain, &to, watching))
            .await
    }

    /// Only for a chain that is known to have begun anew.
    pub async fn restart(
        &self,
        chain: ChainId,
        to: BlockHeader,
    ) -> Result<Arc<Write>, CommitError> {
        self.decide(move |view, now| ledger::restart(view, chain, &to, now))
            .await
    }

    pub async fn remove_old(&self, before: UnixMs) -> Result<Arc<Write>, CommitError> {
        self.decide(move |view, _| ledger::remove_old(view, before))
            .await
    }

    /// Removes old events and what hangs on them.
    pub async fn prune(&self, prune: Prune) -> Result<Arc<Write>, CommitError> {
        self.store
            .commit(Box::new(move |_| {
                Ok(Write {
                    prune: Some(prune),
                    ..Write::default()
                })
            }))
            .await
    }

    async fn decide<F>(&self, decision: F) -> Result<Arc<Write>, CommitError>
    where
        F: FnOnce(&dyn View, UnixMs) -> Result<Changes, Refusal> + Send + 'static,
    {
        let sealer = Arc::clone(&self.sealer);
        let plan: Plan = Box::new(move |view| {
            let changes = decision(view, sealer.clock.now())?;
            Ok(sealer.seal(view, changes)?)
        });
        self.store.commit(plan).await
    }
}

fn changed_payment(write: &Write) -> Result<Payment, CommitError> {
    write
        .changes
        .payments
        .first()
        .and_then(|change| change.after.clone())
        .ok_or(CommitError::Store(StoreError::Closed))
}

impl Sealer {
    /// Gives each event its number, id and bytes, and names the endpoints it is owed to.
    fn seal(&self, view: &dyn View, mut changes: Changes) -> Result<Write, ViewError> {
        let mut sequence = view.next_sequence()?;
        let mut events = Vec::with_capacity(changes.events.len());
        let endpoints = view.endpoints()?;
        let endpoints = endpoints.after(&changes.endpoints);
        for event in std::mem::take(&mut changes.events) {
            events.push(self.seal_one(sequence, event, &endpoints));
            sequence = Sequence(sequence.0 + 1);
        }
        Ok(Write {
            changes,
            events,
            ..Write::default()
        })
    }

    fn seal_one(&self, sequence: Sequence, event: Event, endpoints: &Endpoints) -> NewEvent {
        let mut random = [0_u8; 16];
        self.entropy.fill(&mut random);
        let id = ulid::Ulid::from_parts(event.at.0, u128::from_be_bytes(random));
        let sealed = SealedEvent {
            sequence,
            id: EventId(id.0),
            event,
        };
        let body = self.encoder.encode(&sealed);
        let event = sealed.event;
        NewEvent {
            owed: endpoints.owed(&event),
            row: EventRow {
                sequence,
                id: sealed.id,
                kind: event.kind,
                at: event.at,
                payment: event.payment.map(|p| p.id),
                block_time: event.transfer.map(|t| t.block_time),
                body,
            },
        }
    }
}

/// Moves the index and the trends on and passes each commit to those who speak.
pub struct Announcer {
    index: Arc<Index>,
    trends: Arc<Trends>,
    /// Wakes the followers: something new may be watched.
    watch_changed: watch::Sender<()>,
    /// Wakes the dispatcher: something new may be due.
    pub deliveries_due: Arc<DueBell>,
    /// Wakes those whose API key may have ended.
    keys_changed: watch::Sender<()>,
    events: mpsc::UnboundedSender<Arc<Write>>,
}

impl Announcer {
    /// The receiver yields every commit that has events, in commit order.
    ///
    /// The queue is not bounded by count, but each entry is a commit that was already paid for on disk, and its
    /// reader only copies pointers into bounded queues.
    pub fn new(
        index: Arc<Index>,
        trends: Arc<Trends>,
    ) -> (Self, mpsc::UnboundedReceiver<Arc<Write>>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let announcer = Self {
            index,
            trends,
            watch_changed: watch::Sender::new(()),
            deliveries_due: Arc::default(),
            keys_changed: watch::Sender::new(()),
            events,
        };
        (announcer, receiver)
    }

    /// Changes whenever a payment was created, or opened again.
    pub fn watch_changed(&self) -> watch::Receiver<()> {
        self.watch_changed.subscribe()
    }

    /// Changes whenever an API key was made or revoked.
    pub fn keys_changed(&self) -> watch::Receiver<()> {
        self.keys_changed.subscribe()
    }
}

/// Whether a payment waits for the chain that did not wait before.
fn opens(change: &PaymentChange) -> bool {
    let is_open = |payment: &Option<Payment>| payment.as_ref().is_some_and(|p| p.status.is_open());
    !is_open(&change.before) && is_open(&change.after)
}

impl Observer for Announcer {
    fn committed(&self, write: &Arc<Write>) {
        for change in &write.changes.payments {
            self.index.apply(change);
        }
        if write.changes.payments.iter().any(opens) {
            self.watch_changed.send_replace(());
        }
        let keys = &write.changes.api_keys;
        if keys
            .iter()
            .any(|change| matches!(change, KeyChange::Put(_)))
        {
            self.keys_changed.send_replace(());
        }
        self.trends.committed(write);
        self.deliveries_due.ring_for(write);
        if !write.events.is_empty() && self.events.send(Arc::clone(write)).is_err() {
            tracing::debug!("the hub is gone; commits are no longer announced");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::domain::payment::Status;
    use crate::domain::test_support::{Adjust, payment};

    fn change(before: Option<Status>, after: Status) -> Arc<Write> {
        let at = |status| payment(1).with(|p| p.status = status);
        Arc::new(Write {
            changes: Changes {
                payments: vec![PaymentChange {
                    before: before.map(at),
                    after: Some(at(after)),
                }],
                ..Changes::default()
            },
            ..Write::default()
        })
    }

    /// A transfer assigned by hand opens a payment that had ended; an idle follower would look at its chain, and ask
    /// what is final there, only a minute later.
    #[test]
    fn followers_are_woken_by_whatever_opens_a_payment() {
        let trends = Trends::new(Arc::new(SystemClock), [], Sequence(0));
        let (announcer, _events) = Announcer::new(Arc::default(), Arc::new(trends));
        let mut changed = announcer.watch_changed();
        for (before, after, wakes) in [
            (None, Status::Pending, true),
            (Some(Status::Pending), Status::Confirming, false),
            (Some(Status::Confirming), Status::Completed, false),
            (Some(Status::Expired), Status::Confirming, true),
            (Some(Status::Cancelled), Status::Completed, false),
        ] {
            changed.mark_unchanged();
            announcer.committed(&change(before, after));
            let woken = changed.has_changed().expect("the announcer is there");
            assert_eq!(woken, wakes, "{before:?} to {after:?}");
        }
    }
}
