//! How often a client may speak. Refuses to know the clock: times are passed in.

use std::time::Duration;

use tokio::time::Instant;

use crate::api::live::LiveLimits;

/// Counts inbound frames against the rate: a bucket that is kept as the time at which it would be full again.
#[derive(Debug)]
pub struct Pace {
    full_at: Instant,
    interval: Duration,
    depth: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaceVerdict {
    Within,
    OverRate,
}

impl Pace {
    pub fn new(limits: &LiveLimits, now: Instant) -> Self {
        Self {
            full_at: now,
            interval: limits.frame_interval,
            depth: limits.frame_interval * limits.frame_burst,
        }
    }

    pub fn count(&mut self, now: Instant) -> PaceVerdict {
        let full_at = self.full_at.max(now) + self.interval;
        if full_at - now > self.depth {
            return PaceVerdict::OverRate;
        }
        self.full_at = full_at;
        PaceVerdict::Within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_pace_allows_a_burst_and_then_the_rate() {
        let limits = LiveLimits::default();
        let start = Instant::now();
        let mut pace = Pace::new(&limits, start);
        for _ in 0..40 {
            assert_eq!(pace.count(start), PaceVerdict::Within);
        }
        assert_eq!(pace.count(start), PaceVerdict::OverRate);
        assert_eq!(pace.count(start + ms(49)), PaceVerdict::OverRate);
        assert_eq!(pace.count(start + ms(50)), PaceVerdict::Within);
        assert_eq!(pace.count(start + ms(50)), PaceVerdict::OverRate);
        let later = start + ms(60_000);
        assert!((0..40).all(|_| pace.count(later) == PaceVerdict::Within));
    }
}
