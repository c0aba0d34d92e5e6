//! Every limit of sockets, streams and long polls, in one place so that tests can shorten them.

use std::time::Duration;

use crate::hub::OutboxLimits;

/// Limits and times. The defaults are the wire contract's.
#[derive(Debug, Clone)]
pub struct LiveLimits {
    /// Open sockets and streams in all; more are answered with 503.
    pub connections: u64,
    /// Requests that wait for an event at once; more are answered with 503.
    pub long_polls: u64,
    pub channels: usize,
    /// A client that is refused a channel this often is closed with 4504.
    pub refused_channels: u32,
    /// Largest frame and message from a client.
    pub frame_bytes: usize,
    /// The same with what its frames and fragments cost around it, and with what was read ahead of the next.
    pub message_bytes_on_the_wire: usize,
    pub queue: OutboxLimits,
    /// Most events that a resumed channel replays; beyond it, a snapshot.
    pub replay_events: usize,
    pub replay_bytes: usize,
    /// From the handshake to `connect`.
    pub authenticate_within: Duration,
    pub ping_every: Duration,
    pub pong_within: Duration,
    /// Comments that keep a stream from looking idle to whatever it runs through.
    pub stream_ping_every: Duration,
    /// Events go into one piece of a stream up to so many bytes.
    pub stream_chunk_bytes: usize,
    /// One frame must leave within this time, or the peer is taken for dead.
    pub write_within: Duration,
    /// The store must answer within this time.
    pub lookup_within: Duration,
    /// How long a closed socket waits for the peer's own close.
    pub linger: Duration,
    /// One inbound frame each, on average.
    pub frame_interval: Duration,
    /// Frames that may come at once.
    pub frame_burst: u32,
    /// At a shutdown, sockets and streams are closed spread over this time.
    pub shutdown_spread: Duration,
    /// What a socket has after its turn to flush and close, before it is dropped.
    pub shutdown_grace: Duration,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            long_polls: 1_000,
            channels: 8,
            refused_channels: 8,
            frame_bytes: 4 * 1024,
            message_bytes_on_the_wire: 64 * 1024,
            queue: OutboxLimits::default(),
            replay_events: 500,
            replay_bytes: 512 * 1024,
            authenticate_within: Duration::from_secs(10),
            ping_every: Duration::from_secs(25),
            pong_within: Duration::from_secs(8),
            stream_ping_every: Duration::from_secs(15),
            stream_chunk_bytes: 16 * 1024,
            write_within: Duration::from_secs(20),
            lookup_within: Duration::from_secs(5),
            linger: Duration::from_secs(1),
            frame_interval: Duration::from_millis(50),
            frame_burst: 40,
            shutdown_spread: Duration::from_secs(5),
            shutdown_grace: Duration::from_secs(2),
        }
    }
}

impl LiveLimits {
    /// When in the drain time the connection with this number is closed. Golden-ratio steps spread any run of numbers evenly.
    pub fn shutdown_delay(&self, connection: u64) -> Duration {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let fraction = connection.wrapping_mul(GOLDEN) as f64 / u64::MAX as f64;
        self.shutdown_spread.mul_f64(fraction.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shutdown_delays_are_spread_and_bounded() {
        let limits = LiveLimits::default();
        let delays: Vec<_> = (0..100).map(|n| limits.shutdown_delay(n)).collect();
        assert!(delays.iter().all(|d| *d <= limits.shutdown_spread));
        for tenth in 0..10 {
            let from = limits.shutdown_spread * tenth / 10;
            let to = limits.shutdown_spread * (tenth + 1) / 10;
            let count = delays.iter().filter(|d| (from..to).contains(*d)).count();
            assert!((5..=15).contains(&count), "{count} of 100 in tenth {tenth}");
        }
    }
}
