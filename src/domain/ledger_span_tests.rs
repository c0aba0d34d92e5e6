//! Catching up over final blocks that were searched instead of read: the ledger must come to the same end as when it is
//! led through every block.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::chain::{Block, Transfer};
use super::event::EventKind;
use super::ids::{Height, PaymentId, UnixMs};
use super::ledger::{self, AmbiguityRule, AmountPolicy, Refusal};
use super::payment::*;
use super::test_support::*;

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const START: u64 = 100;
const HISTORIES: u64 = 150;
const POLICY: AmountPolicy = AmountPolicy {
    ambiguity: AmbiguityRule::OldestFirst,
    unique_cap: super::amount::Amount::ZERO,
};

fn random_payment(n: u128, rng: &mut Rng) -> Payment {
    payment(n).asking(usdt(rng.u128(1..4))).with(|p| {
        p.address = address(rng.u8(1..4));
        p.rule = match rng.bool() {
            true => MatchRule::Exact,
            false => MatchRule::Accumulate,
        };
        p.finality = match rng.u32(..4) {
            0 => Finality::Final,
            n => Finality::Depth(n * 5),
        };
        p.expires_at = slot(START + rng.u64(1..250));
        p.grace_seconds = rng.u64(..600);
    })
}

/// Blocks after the start; some hold transfers, to the watched addresses or to others.
fn random_blocks(rng: &mut Rng) -> Vec<Block> {
    let mut tx = 0;
    let count = rng.u64(1..1_600);
    (START + 1..=START + count)
        .map(|height| {
            let transfers = match rng.u8(..12) {
                0 => rng.u32(1..4),
                _ => 0,
            };
            let made = (0..transfers).map(|log_index| {
                tx += 1;
                transfer_to(rng.u8(1..6), tx, log_index, usdt(rng.u128(1..4)))
            });
            let made: Vec<Transfer> = made.collect();
            block(height, made)
        })
        .collect()
}

fn start(payments: &[Payment]) -> MemoryState {
    let mut state = MemoryState::starting_at(START);
    for new in payments.iter().cloned() {
        state
            .decide(|view| ledger::create(view, new, POLICY, NOW))
            .expect("created");
    }
    state
}

fn walk(state: &mut MemoryState, blocks: &[Block]) {
    for block in blocks {
        state
            .decide(|view| ledger::extend(view, CHAIN, block, NOW))
            .expect("extends");
        state
            .decide(|view| ledger::finalize(view, CHAIN, &block.header, NOW))
            .expect("is final");
    }
}

/// Takes in only what a search finds, and the last block.
fn skip(state: &mut MemoryState, blocks: &[Block]) {
    let last = blocks.len() - 1;
    for (n, block) in blocks.iter().enumerate() {
        let mut found = block.clone();
        found.transfers.retain(|t| t.to.as_bytes()[0] < 4);
        if found.transfers.is_empty() && n != last {
            continue;
        }
        let after = state.blocks[&(CHAIN, state.cursors[&CHAIN].0)].hash;
        state
            .decide(|view| ledger::extend_final(view, CHAIN, after, &found, NOW))
            .expect("skips");
    }
}

/// Each payment's events in order, and how many more transfers came that settle nothing: one of these may follow the
/// completion that it preceded where the block was not yet final.
fn told(state: &MemoryState) -> BTreeMap<Option<PaymentId>, (Vec<EventKind>, usize)> {
    let mut told: BTreeMap<_, (Vec<_>, usize)> = BTreeMap::new();
    for event in &state.events {
        let (kinds, extra) = told
            .entry(event.payment.as_ref().map(|p| p.id))
            .or_default();
        match event.kind {
            EventKind::TransferUnmatched => *extra += 1,
            kind => kinds.push(kind),
        }
    }
    told
}

/// What may differ is only how many confirmations were counted at the moment of completion.
fn without_counts(state: &MemoryState) -> Vec<Payment> {
    let payments = state.payments.values().cloned();
    payments
        .map(|p| p.with(|p| p.final_confirmations = None))
        .collect()
}

#[test]
fn searching_final_blocks_comes_to_the_same_as_walking_them() {
    let mut kinds = BTreeMap::new();
    for seed in 0..HISTORIES {
        let mut rng = Rng::with_seed(seed);
        let payments: Vec<_> = (1..=rng.u128(1..9))
            .map(|n| random_payment(n, &mut rng))
            .collect();
        let blocks = random_blocks(&mut rng);
        let (mut walked, mut skipped) = (start(&payments), start(&payments));
        walk(&mut walked, &blocks);
        skip(&mut skipped, &blocks);
        assert_eq!(
            without_counts(&walked),
            without_counts(&skipped),
            "seed {seed}"
        );
        assert_eq!(walked.transfers, skipped.transfers, "seed {seed}");
        assert_eq!(told(&walked), told(&skipped), "seed {seed}");
        assert_eq!(walked.cursors, skipped.cursors, "seed {seed}");
        for event in &skipped.events {
            *kinds.entry(event.kind.as_str()).or_insert(0) += 1;
        }
    }
    for kind in [
        "payment.completed",
        "payment.underpaid",
        "payment.expired",
        "payment.late",
    ] {
        assert!(kinds[kind] > 20, "{kinds:?}");
    }
}

#[test]
fn the_cursor_moves_only_forward_and_only_from_where_the_search_began() {
    let mut state = start(&[payment(1)]);
    let (tip, far) = (hash(0, START), block(START + 50, Vec::new()));
    let refused = |state: &mut MemoryState, after, block: &Block| {
        let refusal = state
            .decide(|view| ledger::extend_final(view, CHAIN, after, block, NOW))
            .expect_err("refused");
        assert!(matches!(
            refusal,
            Refusal::NotNext { .. } | Refusal::ParentMismatch { .. }
        ));
    };
    refused(&mut state, hash(9, START), &far);
    refused(&mut state, tip, &block(START, Vec::new()));
    refused(&mut state, tip, &block_on(7, 7, START + 1, Vec::new()));
    skip(&mut state, std::slice::from_ref(&far));
    assert_eq!(
        state.cursors[&CHAIN],
        (Height(START + 50), Height(START + 50))
    );
    // The same answer a second time changes nothing.
    refused(&mut state, tip, &far);
    // What a fork would have to go below is final.
    let below = block(START + 20, Vec::new()).header;
    let refusal = state
        .decide(|view| ledger::rollback(view, CHAIN, &below, NOW))
        .expect_err("refused");
    assert!(matches!(
        refusal,
        Refusal::NotOurs { .. } | Refusal::BelowFinal(_)
    ));
}
