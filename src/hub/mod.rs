//! Floor 1, the hub: which socket listens to what, and the fan-out of each committed event to them.
//!
//! An event is written at most once per kind of channel and of framing, only when somebody listens, and its bytes are
//! shared. The publisher never waits: it puts pointers into bounded queues. A payment's own
//! channel tells what its payer may read, whoever listens. Refuses to know sockets and the store's reads.

mod announce;
mod frames;
mod outbox;
mod payer;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use dashmap::DashMap;
use tokio::sync::watch;

use crate::domain::ids::{PaymentId, Sequence};
use crate::store::{EventRow, EventScope};

pub use announce::announce;
pub use frames::{Frames, Framing, passing_record, progress};
pub use outbox::{Next, Outbox, OutboxLimits, Push};
pub use payer::copy_for_payer;

type Listeners = Vec<Arc<Outbox>>;

/// Who listens. All methods may be called from any thread.
#[derive(Debug)]
pub struct Hub {
    frames: Frames,
    by_payment: DashMap<PaymentId, Listeners>,
    to_all: RwLock<Listeners>,
    newest: watch::Sender<Sequence>,
    crowded: Arc<AtomicUsize>,
}

/// A channel that feeds a queue, until this is dropped.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    scope: EventScope,
    outbox: Arc<Outbox>,
}

impl Hub {
    /// `epoch` names the event log whose numbers are published.
    pub fn new(epoch: &str) -> Arc<Self> {
        Arc::new(Self {
            frames: Frames::new(epoch),
            by_payment: DashMap::new(),
            to_all: RwLock::default(),
            newest: watch::Sender::new(Sequence(0)),
            crowded: Arc::default(),
        })
    }

    /// A queue for one socket or stream, which any number of its channels then feed.
    pub fn outbox(&self, limits: OutboxLimits, framing: Framing) -> Arc<Outbox> {
        Arc::new(Outbox::new(limits, framing, Arc::clone(&self.crowded)))
    }

    /// What writes this hub's messages.
    pub const fn frames(&self) -> &Frames {
        &self.frames
    }

    /// From now on, every event of the scope that is published goes into the queue. A queue listens to a scope once.
    pub fn subscribe(self: &Arc<Self>, scope: EventScope, outbox: &Arc<Outbox>) -> Subscription {
        match scope {
            EventScope::All => self
                .to_all
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Arc::clone(outbox)),
            EventScope::Payment(id) => self
                .by_payment
                .entry(id)
                .or_default()
                .push(Arc::clone(outbox)),
        }
        Subscription {
            hub: Arc::clone(self),
            scope,
            outbox: Arc::clone(outbox),
        }
    }

    /// The number of the newest event published, for those who wait for one; 0 before the first.
    pub fn newest(&self) -> watch::Receiver<Sequence> {
        self.newest.subscribe()
    }

    /// The same, now. Whoever subscribes first and looks here second gets every event above this number.
    pub fn newest_now(&self) -> Sequence {
        *self.newest.borrow()
    }

    /// Gives a committed event to all who listen. Called by one task, in commit order.
    pub fn publish(&self, row: &EventRow) {
        // Before the fan-out: a subscriber whom the fan-out may have missed must find the number here.
        self.newest.send_replace(row.sequence);
        if let Some(payment) = row.payment
            && let Some(listeners) = self.by_payment.get(&payment)
        {
            self.fan_out(row, EventScope::Payment(payment), &listeners);
        }
        let listeners = self.to_all.read().unwrap_or_else(PoisonError::into_inner);
        self.fan_out(row, EventScope::All, &listeners);
    }

    /// Tells a payment's listeners how far it is confirmed. Only the newest such message waits in a queue.
    pub fn progress(&self, payment: PaymentId, confirmations: u32, required: u32) {
        let Some(listeners) = self.by_payment.get(&payment) else {
            return;
        };
        let mut written = [const { None }; Framing::COUNT];
        for outbox in listeners.iter() {
            let framing = outbox.framing();
            let frame = written[framing as usize]
                .get_or_insert_with(|| frames::progress(framing, payment, confirmations, required));
            outbox.push(Push::Progress {
                payment,
                frame: frame.clone(),
            });
        }
    }

    /// Queues that are more than half full.
    fn crowded(&self) -> usize {
        self.crowded.load(Ordering::Relaxed)
    }

    fn fan_out(&self, row: &EventRow, channel: EventScope, listeners: &[Arc<Outbox>]) {
        let mut written = [const { None }; Framing::COUNT];
        for outbox in listeners {
            let framing = outbox.framing();
            let frame = written[framing as usize]
                .get_or_insert_with(|| self.frames.event(framing, row, channel));
            outbox.push(Push::Event {
                channel,
                sequence: row.sequence,
                frame: frame.clone(),
            });
        }
    }

    fn unsubscribe(&self, scope: EventScope, outbox: &Arc<Outbox>) {
        let remove = |listeners: &mut Listeners| {
            if let Some(at) = listeners.iter().position(|o| Arc::ptr_eq(o, outbox)) {
                listeners.swap_remove(at);
            }
        };
        match scope {
            EventScope::All => {
                remove(&mut self.to_all.write().unwrap_or_else(PoisonError::into_inner));
            }
            EventScope::Payment(id) => {
                self.by_payment.remove_if_mut(&id, |_, listeners| {
                    remove(listeners);
                    listeners.is_empty()
                });
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.unsubscribe(self.scope, &self.outbox);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::event::EventKind;
    use crate::domain::ids::{EventId, UnixMs};

    pub(crate) fn payment(n: u128) -> PaymentId {
        PaymentId(uuid::Uuid::from_u128(n))
    }

    pub(crate) fn row(sequence: u64, payment: Option<PaymentId>) -> EventRow {
        EventRow {
            sequence: Sequence(sequence),
            id: EventId(u128::from(sequence)),
            kind: EventKind::Detected,
            at: UnixMs(sequence),
            payment,
            block_time: None,
            body: Bytes::from(format!(r#"{{"sequence":{sequence}}}"#)),
        }
    }

    pub(crate) fn drain(outbox: &Outbox) -> Vec<String> {
        let mut frames = Vec::new();
        while let Next::Push(push) = outbox.pop() {
            frames.push(String::from_utf8(push.into_frame().to_vec()).expect("UTF-8"));
        }
        frames
    }

    #[test]
    fn each_channel_gets_its_events_in_its_own_envelope() {
        let hub = Hub::new("e\"1");
        let (one, all) = (
            hub.outbox(Default::default(), Framing::Socket),
            hub.outbox(Default::default(), Framing::Socket),
        );
        let _one = hub.subscribe(EventScope::Payment(payment(1)), &one);
        let _all = hub.subscribe(EventScope::All, &all);
        hub.publish(&row(1, Some(payment(1))));
        hub.publish(&row(2, Some(payment(2))));
        hub.publish(&row(3, None));
        assert_eq!(
            drain(&one),
            [
                r#"{"push":{"channel":"payment:00000000-0000-0000-0000-000000000001","epoch":"e\"1","seq":1,"event":{"sequence":1}}}"#
            ]
        );
        let to_all = drain(&all);
        assert_eq!(to_all.len(), 3);
        assert_eq!(
            to_all[2],
            r#"{"push":{"channel":"payments","epoch":"e\"1","seq":3,"event":{"sequence":3}}}"#
        );
    }

    #[test]
    fn progress_goes_to_the_payment_s_channel_only() {
        let hub = Hub::new("e");
        let outbox = hub.outbox(Default::default(), Framing::Socket);
        let _all = hub.subscribe(EventScope::All, &outbox);
        hub.progress(payment(1), 6, 19);
        assert!(drain(&outbox).is_empty());
        let _one = hub.subscribe(EventScope::Payment(payment(1)), &outbox);
        hub.progress(payment(1), 6, 19);
        hub.progress(payment(1), 7, 19);
        assert_eq!(
            drain(&outbox),
            [
                r#"{"push":{"channel":"payment:00000000-0000-0000-0000-000000000001","progress":{"confirmations":7,"required":19}}}"#
            ]
        );
    }

    #[test]
    fn listeners_share_one_encoding() {
        let hub = Hub::new("e");
        let outboxes: Vec<_> = (0..3)
            .map(|_| hub.outbox(Default::default(), Framing::Socket))
            .collect();
        let _subscriptions: Vec<_> = outboxes
            .iter()
            .map(|o| hub.subscribe(EventScope::All, o))
            .collect();
        hub.publish(&row(1, None));
        let pointers: Vec<_> = outboxes
            .iter()
            .map(|o| match o.pop() {
                Next::Push(push) => push.into_frame().as_ptr(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(pointers.iter().all(|p| *p == pointers[0]));
    }

    #[test]
    fn a_dropped_subscription_hears_nothing_and_leaves_nothing() {
        let hub = Hub::new("e");
        let (first, second) = (
            hub.outbox(Default::default(), Framing::Socket),
            hub.outbox(Default::default(), Framing::Socket),
        );
        let scope = EventScope::Payment(payment(1));
        let subscriptions = [
            hub.subscribe(scope, &first),
            hub.subscribe(EventScope::All, &first),
        ];
        let kept = hub.subscribe(scope, &second);
        drop(subscriptions);
        hub.publish(&row(1, Some(payment(1))));
        assert!(drain(&first).is_empty());
        assert_eq!(drain(&second).len(), 1);
        drop(kept);
        assert!(hub.by_payment.is_empty());
        assert!(hub.to_all.read().expect("a lock").is_empty());
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn one_slow_queue_does_not_touch_another() {
        let hub = Hub::new("e");
        let limits = OutboxLimits {
            messages: 2,
            bytes: 1000,
        };
        let slow = hub.outbox(limits, Framing::Socket);
        let quick = hub.outbox(Default::default(), Framing::Socket);
        let _slow = hub.subscribe(EventScope::All, &slow);
        let _quick = hub.subscribe(EventScope::All, &quick);
        for n in 1..=10 {
            hub.publish(&row(n, None));
        }
        assert_eq!(slow.pop(), Next::Slow);
        assert_eq!(drain(&quick).len(), 10);
        assert_eq!(hub.newest_now(), Sequence(10));
    }
}
