//! One socket's or stream's bounded queue: what its channels owe it and it has not been sent yet.
//!
//! Any thread may push; one session pops. Refuses to block a pusher, and refuses to drop anything silently: a queue
//! that would grow beyond its limit is emptied and stays `Slow`, which its session answers by closing the socket.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::frames::Framing;
use crate::domain::ids::{PaymentId, Sequence};
use crate::store::EventScope;

/// Queue slots kept for the next burst; a longer queue gives its memory back once it is empty.
const KEPT_SLOTS: usize = 16;

/// How much may wait for one socket.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    pub messages: usize,
    pub bytes: usize,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            messages: 256,
            bytes: 256 * 1024,
        }
    }
}

/// A message owed to a socket, encoded and shared with the other sockets that get the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    Event {
        channel: EventScope,
        sequence: Sequence,
        frame: Bytes,
    },
    Progress {
        payment: PaymentId,
        frame: Bytes,
    },
}

impl Push {
    /// The channel that owes it.
    pub fn channel(&self) -> EventScope {
        match self {
            Self::Event { channel, .. } => *channel,
            Self::Progress { payment, .. } => EventScope::Payment(*payment),
        }
    }

    pub fn into_frame(self) -> Bytes {
        match self {
            Self::Event { frame, .. } | Self::Progress { frame, .. } => frame,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Event { frame, .. } | Self::Progress { frame, .. } => frame.len(),
        }
    }

    fn is_superseded_by(&self, newer: &Self) -> bool {
        match (self, newer) {
            (Self::Progress { payment: old, .. }, Self::Progress { payment: new, .. }) => {
                old == new
            }
            _ => false,
        }
    }
}

/// What a session finds in its queue.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Push(Push),
    Empty,
    /// The limit was passed; what was queued is gone, and the socket must be closed.
    Slow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Keeping,
    /// More than half full: counted, so that a burst can pause for those who would keep up.
    Crowded,
    Slow,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Push>,
    bytes: usize,
    standing: Standing,
}

/// The queue of one socket.
#[derive(Debug)]
pub struct Outbox {
    limits: OutboxLimits,
    framing: Framing,
    state: Mutex<State>,
    filled: Notify,
    crowded: Arc<AtomicUsize>,
}

impl Outbox {
    /// `crowded` counts the queues that are more than half full.
    pub(super) fn new(limits: OutboxLimits, framing: Framing, crowded: Arc<AtomicUsize>) -> Self {
        let state = State {
            queue: VecDeque::new(),
            bytes: 0,
            standing: Standing::Keeping,
        };
        Self {
            limits,
            framing,
            state: Mutex::new(state),
            filled: Notify::new(),
            crowded,
        }
    }

    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Takes the oldest message. Only the socket's own session may call this.
    pub fn pop(&self) -> Next {
        let mut state = self.lock();
        if state.standing == Standing::Slow {
            return Next::Slow;
        }
        let Some(push) = state.queue.pop_front() else {
            if state.queue.capacity() > KEPT_SLOTS {
                state.queue.shrink_to(KEPT_SLOTS);
            }
            return Next::Empty;
        };
        state.bytes -= push.bytes();
        self.judge(&mut state);
        Next::Push(push)
    }

    /// Waits until there is something to pop. Cancel-safe.
    pub async fn ready(&self) {
        loop {
            {
                let state = self.lock();
                if state.standing == Standing::Slow || !state.queue.is_empty() {
                    return;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Queues a message, in place of an older one that it supersedes.
    pub(super) fn push(&self, push: Push) {
        let mut state = self.lock();
        if state.standing == Standing::Slow {
            return;
        }
        if matches!(push, Push::Progress { .. })
            && let Some(at) = state.queue.iter().position(|p| p.is_superseded_by(&push))
            && let Some(old) = state.queue.remove(at)
        {
            state.bytes -= old.bytes();
        }
        let was_empty = state.queue.is_empty();
        state.bytes += push.bytes();
        state.queue.push_back(push);
        self.judge(&mut state);
        let is_slow = state.standing == Standing::Slow;
        drop(state);
        if was_empty || is_slow {
            self.filled.notify_one();
        }
    }

    /// Sets the standing by what is queued now.
    fn judge(&self, state: &mut State) {
        let (messages, bytes) = (state.queue.len(), state.bytes);
        let standing = if messages > self.limits.messages || bytes > self.limits.bytes {
            Standing::Slow
        } else if messages > self.limits.messages / 2 || bytes > self.limits.bytes / 2 {
            Standing::Crowded
        } else {
            Standing::Keeping
        };
        if standing == Standing::Slow {
            state.queue = VecDeque::new();
            state.bytes = 0;
        }
        match (state.standing, standing) {
            (Standing::Crowded, Standing::Crowded) => {}
            (Standing::Crowded, _) => {
                self.crowded.fetch_sub(1, Ordering::Relaxed);
            }
            (_, Standing::Crowded) => {
                self.crowded.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        state.standing = standing;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if self.lock().standing == Standing::Crowded {
            self.crowded.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(messages: usize, bytes: usize) -> (Outbox, Arc<AtomicUsize>) {
        let crowded = Arc::new(AtomicUsize::new(0));
        let outbox = Outbox::new(
            OutboxLimits { messages, bytes },
            Framing::Socket,
            Arc::clone(&crowded),
        );
        (outbox, crowded)
    }

    fn event(sequence: u64, size: usize) -> Push {
        Push::Event {
            channel: EventScope::All,
            sequence: Sequence(sequence),
            frame: vec![b'x'; size].into(),
        }
    }

    fn progress(payment: u128, text: &'static str) -> Push {
        Push::Progress {
            payment: PaymentId(uuid::Uuid::from_u128(payment)),
            frame: Bytes::from_static(text.as_bytes()),
        }
    }

    #[test]
    fn what_is_pushed_comes_out_in_order() {
        let (outbox, _) = outbox(4, 100);
        for n in 1..=4 {
            outbox.push(event(n, 10));
        }
        for n in 1..=4 {
            assert_eq!(outbox.pop(), Next::Push(event(n, 10)));
        }
        assert_eq!(outbox.pop(), Next::Empty);
    }

    #[test]
    fn one_message_or_one_byte_too_many_makes_it_slow_for_good() {
        let (by_count, _) = outbox(4, 1000);
        for n in 1..=5 {
            by_count.push(event(n, 1));
        }
        assert_eq!(by_count.pop(), Next::Slow);
        by_count.push(event(6, 1));
        assert_eq!(by_count.pop(), Next::Slow);

        let (by_bytes, _) = outbox(100, 20);
        by_bytes.push(event(1, 10));
        by_bytes.push(event(2, 10));
        by_bytes.push(event(3, 1));
        assert_eq!(by_bytes.pop(), Next::Slow);
    }

    #[test]
    fn only_the_newest_progress_of_a_payment_is_kept_and_it_comes_after_earlier_events() {
        let (outbox, _) = outbox(8, 100);
        outbox.push(progress(1, "1 of 19"));
        outbox.push(progress(2, "5 of 19"));
        outbox.push(event(7, 1));
        outbox.push(progress(1, "2 of 19"));
        let order = [progress(2, "5 of 19"), event(7, 1), progress(1, "2 of 19")];
        for expected in order {
            assert_eq!(outbox.pop(), Next::Push(expected));
        }
        assert_eq!(outbox.pop(), Next::Empty);
    }

    #[test]
    fn endless_progress_never_fills_a_queue() {
        let (outbox, _) = outbox(2, 100);
        for _ in 0..1000 {
            outbox.push(progress(1, "many"));
        }
        assert_eq!(outbox.pop(), Next::Push(progress(1, "many")));
        assert_eq!(outbox.pop(), Next::Empty);
    }

    #[test]
    fn crowded_queues_are_counted_until_they_drain_fall_behind_or_go() {
        let crowded_count = |c: &Arc<AtomicUsize>| c.load(Ordering::Relaxed);
        let (first, crowded) = outbox(4, 100);
        for n in 1..=3 {
            first.push(event(n, 1));
        }
        assert_eq!(crowded_count(&crowded), 1);
        first.pop();
        assert_eq!(crowded_count(&crowded), 0);
        for n in 4..=6 {
            first.push(event(n, 1));
        }
        assert_eq!(first.pop(), Next::Slow);
        assert_eq!(crowded_count(&crowded), 0);

        let (second, crowded) = outbox(4, 100);
        second.push(event(1, 60));
        assert_eq!(crowded_count(&crowded), 1);
        drop(second);
        assert_eq!(crowded_count(&crowded), 0);
    }

    #[tokio::test]
    async fn a_waiting_session_is_woken_by_the_first_push_and_by_slowness() {
        let (outbox, _) = outbox(1, 100);
        let outbox = Arc::new(outbox);
        let waiting = tokio::spawn({
            let outbox = Arc::clone(&outbox);
            async move { outbox.ready().await }
        });
        tokio::task::yield_now().await;
        outbox.push(event(1, 1));
        waiting.await.expect("woken");
        outbox.push(event(2, 1));
        outbox.ready().await;
        assert_eq!(outbox.pop(), Next::Slow);
    }
}
