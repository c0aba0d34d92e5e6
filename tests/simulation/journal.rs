//! The story of one run: every line goes into a hash, is printed on demand, and the first broken invariant ends the run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

/// What the nine invariants of the design are called here.
const INVARIANTS: [&str; 9] = [
    "a transfer settles at most one payment",
    "completes only by final or asked depth; reverted is told",
    "everything in an accepted block is found",
    "time on chain decides",
    "what was answered or announced is on disk",
    "events without gaps, deliveries at least once and in order",
    "killed at any instant, the same state",
    "what is not matched is kept",
    "one's trouble never slows another",
];

/// Bytes of FNV-1a, 64 bits.
const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;
const HASH_FACTOR: u64 = 0x0100_0000_01b3;

/// An invariant that did not hold.
#[derive(Debug, Clone)]
pub struct Broken {
    /// 1 to 9, as in the design.
    pub invariant: usize,
    pub step: u32,
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "invariant {} ({}) broken at step {}: {}",
            self.invariant,
            INVARIANTS[self.invariant - 1],
            self.step,
            self.what
        )
    }
}

/// Whether the story is printed as it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    Aloud,
    Silent,
}

#[derive(Debug)]
struct State {
    telling: Telling,
    step: u32,
    hash: u64,
    seen: BTreeMap<&'static str, u64>,
    broken: Option<Broken>,
}

/// Clones write the same story.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Mutex<State>>);

impl Journal {
    pub fn new(telling: Telling) -> Self {
        Self(Arc::new(Mutex::new(State {
            telling,
            step: 0,
            hash: HASH_START,
            seen: BTreeMap::new(),
            broken: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub fn next_step(&self) {
        self.state().step += 1;
    }

    pub fn tell(&self, line: fmt::Arguments<'_>) {
        let mut state = self.state();
        let text = format!("{:>4}  {line}", state.step);
        for byte in text.bytes() {
            state.hash = (state.hash ^ u64::from(byte)).wrapping_mul(HASH_FACTOR);
        }
        if state.telling == Telling::Aloud {
            println!("{text}");
        }
    }

    /// Counts something that a good simulation must have seen.
    pub fn saw(&self, outcome: &'static str) {
        *self.state().seen.entry(outcome).or_insert(0) += 1;
    }

    /// The first one counts; what follows is most likely its consequence.
    pub fn broke(&self, invariant: usize, what: String) {
        let mut state = self.state();
        let step = state.step;
        state.broken.get_or_insert(Broken {
            invariant,
            step,
            what,
        });
    }

    pub fn check(&self, invariant: usize, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broke(invariant, what());
        }
    }

    pub fn broken(&self) -> Option<Broken> {
        self.state().broken.clone()
    }

    pub fn hash(&self) -> u64 {
        self.state().hash
    }

    pub fn seen(&self) -> BTreeMap<&'static str, u64> {
        self.state().seen.clone()
    }
}

/// `tell!(journal, "...", ..)`: one line of the story.
macro_rules! tell {
    ($journal:expr, $($line:tt)*) => { $journal.tell(format_args!($($line)*)) };
}
pub(crate) use tell;
