//! Whether the peer is still there: pings, pongs, and the time to `connect`. Times are passed in.

use std::time::Duration;

use tokio::time::Instant;

use crate::api::live::LiveLimits;

/// Whether the peer is there: what is awaited next from it or owed to it, and by when.
#[derive(Debug)]
pub struct Heartbeat {
    awaiting: Awaiting,
    at: Instant,
    ping_every: Duration,
    pong_within: Duration,
    next_ping: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaiting {
    Connect,
    PingTime,
    Pong,
}

/// What a heartbeat's deadline means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    NotYet,
    SendPing,
    NeverConnected,
    NoPong,
}

impl Heartbeat {
    pub fn new(limits: &LiveLimits, now: Instant) -> Self {
        Self {
            awaiting: Awaiting::Connect,
            at: now + limits.authenticate_within,
            ping_every: limits.ping_every,
            pong_within: limits.pong_within,
            next_ping: now,
        }
    }

    pub fn deadline(&self) -> Instant {
        self.at
    }

    pub fn connected(&mut self, now: Instant) {
        self.next_ping = now + self.ping_every;
        (self.awaiting, self.at) = (Awaiting::PingTime, self.next_ping);
    }

    /// An unasked pong is harmless.
    pub fn pong(&mut self) {
        if self.awaiting == Awaiting::Pong {
            (self.awaiting, self.at) = (Awaiting::PingTime, self.next_ping);
        }
    }

    pub fn beat(&mut self, now: Instant) -> Beat {
        if now < self.at {
            return Beat::NotYet;
        }
        match self.awaiting {
            Awaiting::Connect => Beat::NeverConnected,
            Awaiting::Pong => Beat::NoPong,
            Awaiting::PingTime => {
                self.next_ping = now + self.ping_every;
                (self.awaiting, self.at) = (Awaiting::Pong, now + self.pong_within);
                Beat::SendPing
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_heartbeat_asks_waits_and_gives_up() {
        let limits = LiveLimits::default();
        let start = Instant::now();
        let mut heart = Heartbeat::new(&limits, start);
        assert_eq!(heart.beat(start + ms(9_999)), Beat::NotYet);
        heart.connected(start);
        assert_eq!(heart.beat(start + ms(10_000)), Beat::NotYet);
        assert_eq!(heart.beat(start + ms(25_000)), Beat::SendPing);
        heart.pong();
        heart.pong();
        assert_eq!(heart.deadline(), start + ms(50_000));
        assert_eq!(heart.beat(start + ms(50_000)), Beat::SendPing);
        assert_eq!(heart.beat(start + ms(57_999)), Beat::NotYet);
        assert_eq!(heart.beat(start + ms(58_000)), Beat::NoPong);

        let mut silent = Heartbeat::new(&limits, start);
        assert_eq!(silent.beat(start + ms(10_000)), Beat::NeverConnected);
    }
}
