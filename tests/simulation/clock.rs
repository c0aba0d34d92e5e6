//! Simulated time and chance: tokio's paused clock with an offset that the story moves, and random bytes from the seed.

use std::sync::Mutex;

use fastrand::Rng;
use paybell::clock::Clock;
use paybell::domain::ids::UnixMs;
use paybell::ledger_task::Entropy;
use tokio::time::Instant;

/// Chance of one kind, from the run's seed: each part of the world has a stream of its own.
pub fn stream(seed: u64, name: &str) -> Rng {
    let salt = name.bytes().fold(0_u64, |salt, byte| {
        salt.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt)
}

struct State {
    /// True time at the start of this life, ms.
    base_ms: u64,
    /// Each life has a runtime of its own, and tokio's time starts anew with it.
    life: Option<Instant>,
    /// What the hub's wall clock is ahead of the true time, ms.
    offset_ms: i64,
    /// True time of the last jump.
    jumped_at_ms: u64,
}

/// The hub's wall clock, and the true time that chains keep.
pub struct SimClock(Mutex<State>);

impl SimClock {
    pub fn new(start: UnixMs) -> Self {
        Self(Mutex::new(State {
            base_ms: start.0,
            life: None,
            offset_ms: 0,
            jumped_at_ms: 0,
        }))
    }

    /// Call inside the life's runtime.
    pub fn begin_life(&self) {
        self.0.lock().unwrap().life = Some(Instant::now());
    }

    /// Call inside the life's runtime, last.
    pub fn end_life(&self) {
        let now = self.true_now();
        let mut state = self.0.lock().unwrap();
        (state.base_ms, state.life) = (now.0, None);
    }

    /// Between two lives.
    pub fn pass(&self, ms: u64) {
        self.0.lock().unwrap().base_ms += ms;
    }

    pub fn true_now(&self) -> UnixMs {
        let state = self.0.lock().unwrap();
        let elapsed = state.life.map_or(0, |life| life.elapsed().as_millis());
        UnixMs(state.base_ms + u64::try_from(elapsed).unwrap())
    }

    pub fn jump(&self, by_ms: i64) {
        let now = self.true_now();
        let mut state = self.0.lock().unwrap();
        state.offset_ms += by_ms;
        state.jumped_at_ms = now.0;
    }

    pub fn offset_ms(&self) -> i64 {
        self.0.lock().unwrap().offset_ms
    }

    /// How long the wall clock has run evenly.
    pub fn steady_ms(&self) -> u64 {
        let now = self.true_now();
        now.0 - self.0.lock().unwrap().jumped_at_ms.min(now.0)
    }
}

impl Clock for SimClock {
    fn now(&self) -> UnixMs {
        UnixMs(self.true_now().0.saturating_add_signed(self.offset_ms()))
    }
}

/// Randomness from the seed.
pub struct SimEntropy(Mutex<Rng>);

impl SimEntropy {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(stream(seed, "entropy")))
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap().fill(bytes);
    }
}
