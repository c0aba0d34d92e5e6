//! What the ledger's tests share: one moment, one policy, and decisions in one line each.

use super::amount::Amount;
use super::changes::Changes;
use super::event::EventKind;
use super::ids::{Height, UnixMs};
use super::ledger::{self, AmbiguityRule, AmountPolicy};
use super::payment::{Payment, Status};
use super::test_support::{CHAIN, MemoryState, id};

pub const NOW: UnixMs = UnixMs(1_800_000_000_000);
pub const OLDEST_FIRST: AmountPolicy = AmountPolicy {
    ambiguity: AmbiguityRule::OldestFirst,
    unique_cap: Amount::ZERO,
};

/// A ledger at block 100 with these payments.
pub fn with_payments(payments: impl IntoIterator<Item = Payment>) -> MemoryState {
    let mut state = MemoryState::starting_at(100);
    for new in payments {
        state
            .decide(|view| ledger::create(view, new, OLDEST_FIRST, NOW))
            .expect("created");
    }
    state
}

/// Back to a block of ours.
pub fn roll_back(state: &mut MemoryState, height: u64) -> Changes {
    let to = state.blocks[&(CHAIN, Height(height))];
    state
        .decide(|view| ledger::rollback(view, CHAIN, &to, NOW))
        .expect("rolls back")
}

pub fn finalize(state: &mut MemoryState, height: u64) -> Changes {
    let header = state.blocks[&(CHAIN, Height(height))];
    state
        .decide(|view| ledger::finalize(view, CHAIN, &header, NOW))
        .expect("finalizes")
}

pub fn kinds(changes: &Changes) -> Vec<EventKind> {
    changes.events.iter().map(|e| e.kind).collect()
}

pub fn status(state: &MemoryState, n: u128) -> Status {
    state.payments[&id(n)].status
}
