//! When to ask for the next head: at the slot's time plus what this node usually needs, then in short steps.
//!
//! Pure: time comes in, a wait goes out. Knows nothing of requests.

use std::time::Duration;

use crate::domain::ids::UnixMs;

/// While nothing is open a head is asked for this often.
pub const IDLE_WAIT: Duration = Duration::from_secs(60);
/// The longest wait after failures that name none themselves.
const MAX_BACKOFF_MS: u64 = 10_000;
const FIRST_BACKOFF_MS: u64 = 250;
/// Polls are never closer together than this.
const MIN_WAIT_MS: u64 = 20;

/// What the last round saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A block newer than any before, with its chain time.
    NewHead(UnixMs),
    /// No newer block yet.
    SameHead,
    /// The node failed; it may have said for how long to stay away.
    Failed(Option<Duration>),
}

/// The schedule of one chain.
#[derive(Debug, Clone)]
pub struct Pace {
    slot_ms: u64,
    /// The operator's bound on how often a head is asked for.
    least_wait_ms: u64,
    /// How long after its slot a block usually shows; learned.
    offset_ms: u64,
    misses: u32,
    failures: u32,
}

impl Pace {
    pub fn new(slot_ms: u64, least_wait: Option<Duration>) -> Self {
        let least_wait_ms =
            least_wait.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        Self {
            slot_ms: slot_ms.max(1),
            least_wait_ms,
            offset_ms: slot_ms / 10,
            misses: 0,
            failures: 0,
        }
    }

    /// How long to wait before the next round.
    pub fn wait_after(&mut self, seen: Seen, now: UnixMs) -> Duration {
        let wait_ms = match seen {
            Seen::NewHead(time) => self.until_next_block(time, now),
            Seen::SameHead => self.until_retry(),
            Seen::Failed(stay_away) => self.after_failure(stay_away),
        };
        Duration::from_millis(wait_ms.max(self.least_wait_ms).max(MIN_WAIT_MS))
    }

    fn until_next_block(&mut self, block_time: UnixMs, now: UnixMs) -> u64 {
        if self.misses == 0 {
            self.offset_ms = self.offset_ms.saturating_sub(self.slot_ms / 300);
        }
        self.misses = 0;
        self.failures = 0;
        let expected = block_time.0.saturating_add(self.slot_ms + self.offset_ms);
        match expected.checked_sub(now.0) {
            Some(wait_ms) if wait_ms <= 2 * self.slot_ms => wait_ms,
            // Behind, or the chain's clock and ours differ: one block a slot, counted from now.
            _ => self.slot_ms,
        }
    }

    fn until_retry(&mut self) -> u64 {
        self.failures = 0;
        if self.misses == 0 {
            self.offset_ms = (self.offset_ms + self.slot_ms / 20).min(self.slot_ms / 2);
        }
        self.misses = self.misses.saturating_add(1);
        // A missed slot costs a few polls, a stalled chain one per slot.
        match self.misses {
            0..=3 => self.slot_ms / 8,
            4..=8 => self.slot_ms / 3,
            _ => self.slot_ms,
        }
    }

    fn after_failure(&mut self, stay_away: Option<Duration>) -> u64 {
        let backoff_ms = FIRST_BACKOFF_MS
            .saturating_mul(1 << self.failures.min(10))
            .min(MAX_BACKOFF_MS);
        self.failures = self.failures.saturating_add(1);
        let asked_ms = stay_away.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        backoff_ms.max(asked_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(wait: Duration) -> u64 {
        u64::try_from(wait.as_millis()).expect("short")
    }

    #[test]
    fn the_next_poll_is_at_the_next_slot_plus_the_learned_offset() {
        let mut pace = Pace::new(3000, None);
        let wait = ms(pace.wait_after(Seen::NewHead(UnixMs(9_000)), UnixMs(9_400)));
        assert!((2_600..=2_900).contains(&wait), "{wait}");
    }

    #[test]
    fn the_offset_grows_with_misses_and_shrinks_with_hits() {
        let mut pace = Pace::new(3000, None);
        let first = ms(pace.wait_after(Seen::NewHead(UnixMs(0)), UnixMs(0)));
        pace.wait_after(Seen::SameHead, UnixMs(3_300));
        let after_miss = ms(pace.wait_after(Seen::NewHead(UnixMs(3_000)), UnixMs(3_000)));
        assert!(after_miss > first);
        for n in 2..400 {
            pace.wait_after(Seen::NewHead(UnixMs(n * 3_000)), UnixMs(n * 3_000));
        }
        let settled = ms(pace.wait_after(Seen::NewHead(UnixMs(0)), UnixMs(0)));
        assert_eq!(settled, 3_000);
    }

    #[test]
    fn a_chain_in_another_time_is_polled_once_a_slot() {
        let mut pace = Pace::new(3000, None);
        for now in [0, 1_000_000_000] {
            let wait = ms(pace.wait_after(Seen::NewHead(UnixMs(500_000_000)), UnixMs(now)));
            assert_eq!(wait, 3_000);
        }
    }

    #[test]
    fn a_stalled_chain_is_not_hammered() {
        let mut pace = Pace::new(3000, None);
        let total: u64 = (0..40)
            .map(|_| ms(pace.wait_after(Seen::SameHead, UnixMs(0))))
            .sum();
        assert!(total > 30 * 3000);
    }

    #[test]
    fn failures_back_off_and_obey_the_node_and_the_operator() {
        let mut pace = Pace::new(3000, Some(Duration::from_secs(5)));
        assert_eq!(ms(pace.wait_after(Seen::Failed(None), UnixMs(0))), 5_000);
        let asked = Seen::Failed(Some(Duration::from_secs(30)));
        assert_eq!(ms(pace.wait_after(asked, UnixMs(0))), 30_000);
        for _ in 0..100 {
            pace.wait_after(Seen::Failed(None), UnixMs(0));
        }
        assert_eq!(ms(pace.wait_after(Seen::Failed(None), UnixMs(0))), 10_000);
        assert_eq!(
            ms(pace.wait_after(Seen::NewHead(UnixMs(0)), UnixMs(0))),
            5_000
        );
    }
}
