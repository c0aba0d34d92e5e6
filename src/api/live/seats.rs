//! The places of those who wait for events: how many of each kind are taken, and the number that places each in the drain.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::limits::LiveLimits;

/// What a seat is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatKind {
    Socket,
    Stream,
    LongPoll,
}

#[derive(Debug, Default)]
struct Taken {
    sockets: u64,
    streams: u64,
    long_polls: u64,
    /// Seats so far.
    ever: u64,
}

impl Taken {
    fn of(&mut self, kind: SeatKind) -> &mut u64 {
        match kind {
            SeatKind::Socket => &mut self.sockets,
            SeatKind::Stream => &mut self.streams,
            SeatKind::LongPoll => &mut self.long_polls,
        }
    }
}

/// All seats of a hub.
#[derive(Debug, Default)]
pub struct Seats(Mutex<Taken>);

/// One of them, given back when dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    kind: SeatKind,
    number: u64,
}

impl Seats {
    /// Takes a seat; sockets and streams share theirs.
    pub fn take(self: &Arc<Self>, kind: SeatKind, limits: &LiveLimits) -> Option<Seat> {
        let mut taken = self.lock();
        let (in_use, limit) = match kind {
            SeatKind::Socket | SeatKind::Stream => {
                (taken.sockets + taken.streams, limits.connections)
            }
            SeatKind::LongPoll => (taken.long_polls, limits.long_polls),
        };
        if in_use >= limit {
            return None;
        }
        *taken.of(kind) += 1;
        taken.ever += 1;
        Some(Seat {
            seats: Arc::clone(self),
            kind,
            number: taken.ever,
        })
    }

    pub fn sockets(&self) -> u64 {
        self.lock().sockets
    }

    pub fn streams(&self) -> u64 {
        self.lock().streams
    }

    pub fn long_polls(&self) -> u64 {
        self.lock().long_polls
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Differs from every other seat's; see [`LiveLimits::shutdown_delay`].
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *self.seats.lock().of(self.kind) -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_streams_share_their_seats_and_give_them_back() {
        let limits = LiveLimits {
            connections: 2,
            long_polls: 1,
            ..LiveLimits::default()
        };
        let seats = Arc::new(Seats::default());
        let take = |kind| seats.take(kind, &limits);
        let (socket, stream) = (take(SeatKind::Socket), take(SeatKind::Stream));
        let numbers = [&socket, &stream].map(|seat| seat.as_ref().map(Seat::number));
        assert_eq!(numbers, [Some(1), Some(2)]);
        assert!(take(SeatKind::Socket).is_none() && take(SeatKind::Stream).is_none());
        let poll = take(SeatKind::LongPoll);
        assert!(poll.is_some() && take(SeatKind::LongPoll).is_none());
        drop(socket);
        assert_eq!((seats.sockets(), seats.streams()), (0, 1));
        assert!(take(SeatKind::Stream).is_some());
        drop((stream, poll));
        assert_eq!((seats.streams(), seats.long_polls()), (0, 0));
    }
}
