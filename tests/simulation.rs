//! The simulation: the real ledger, followers, store and dispatcher, and real socket sessions, on simulated chains, nodes, disk, clock,
//! chance and receivers. One seed decides everything; one thread runs it; the same seed tells the same story.
//!
//! A run goes through some dozens of block slots full of payments, transfers, forks, lying nodes, kills and power cuts. Every commit
//! is checked right when the hub hears of it, every restart compares the whole store, and at the end a naive model says what must have
//! come of each payment, from the final chain alone.
//!
//! `SIM_SEED=7 cargo test --test simulation -- --nocapture` tells one run's story; `SIM_FROM` and `SIM_SEEDS` choose others.
#![allow(clippy::unwrap_used)]

#[path = "simulation/actions.rs"]
mod actions;
#[path = "simulation/audit.rs"]
mod audit;
#[path = "simulation/books.rs"]
mod books;
#[path = "simulation/chain.rs"]
mod chain;
#[path = "simulation/clock.rs"]
mod clock;
#[path = "simulation/coverage.rs"]
mod coverage;
#[path = "support/disk.rs"]
mod disk;
#[path = "simulation/gate.rs"]
mod gate;
#[path = "simulation/hub.rs"]
mod hub;
#[path = "simulation/journal.rs"]
mod journal;
#[path = "simulation/model.rs"]
mod model;
#[path = "simulation/node.rs"]
mod node;
#[path = "simulation/opening.rs"]
mod opening;
#[path = "simulation/pace.rs"]
mod pace;
#[path = "simulation/receiver.rs"]
mod receiver;
#[path = "simulation/rest.rs"]
mod rest;
#[path = "simulation/shop.rs"]
mod shop;
#[path = "simulation/subscriber.rs"]
mod subscriber;
#[path = "simulation/truth.rs"]
mod truth;
#[path = "simulation/witness.rs"]
mod witness;
#[path = "simulation/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use journal::Telling;

/// Seeds of a usual run.
const SEEDS: u64 = 2_000;
const THREADS: usize = 2;

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, not {text}")),
    )
}

/// What is wrong with a seed, with the command that shows it.
fn run(seed: u64, telling: Telling) -> Result<world::Outcome, String> {
    let replay = format!("SIM_SEED={seed} cargo test --test simulation -- --nocapture");
    let outcome = catch_unwind(AssertUnwindSafe(|| world::run(seed, telling)))
        .map_err(|_| format!("seed {seed} panicked\nreplay: {replay}"))?;
    match &outcome.broken {
        Some(broken) => Err(format!("{broken}\nreplay: {replay}")),
        None => Ok(outcome),
    }
}

#[test]
fn every_seed_keeps_the_invariants() {
    if let Some(seed) = from_environment("SIM_SEED") {
        run(seed, Telling::Aloud).unwrap_or_else(|broken| panic!("{broken}"));
        return;
    }
    let from = from_environment("SIM_FROM").unwrap_or(0);
    let seeds = from_environment("SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(from);
    let seen: Mutex<BTreeMap<&str, u64>> = Mutex::default();
    let broken: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds || broken.lock().unwrap().len() >= 3 {
                        return;
                    }
                    match run(seed, Telling::Silent) {
                        Ok(outcome) => {
                            let mut seen = seen.lock().unwrap();
                            for (what, count) in outcome.seen {
                                *seen.entry(what).or_insert(0) += count;
                            }
                        }
                        Err(what) => broken.lock().unwrap().push(what),
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    let seen = seen.into_inner().unwrap();
    for (what, count) in &seen {
        println!("{count:>9}  {what}");
    }
    let gaps = coverage::gaps(&seen, seeds);
    assert!(
        gaps.is_empty(),
        "the simulation misses something: {gaps:#?}"
    );
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in [1, 2, 3, 4, 5] {
        let hashes = [(); 2].map(|()| world::run(seed, Telling::Silent).hash);
        assert_eq!(hashes[0], hashes[1], "seed {seed}");
    }
}
