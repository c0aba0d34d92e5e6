//! Catching up over final blocks that were searched instead of read: the ledger must come to the same end as when it is
//! led through every block.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::chain::{Block, Transfer};
use super::event::EventKind;
use super::ids::{Height, PaymentId};
use super::ledger::{self, Refusal};
use super::ledger_test_support::{NOW, with_payments};
use super::payment::*;
use super::test_support::*;

const START: u64 = 100;

fn payments() -> impl Strategy<Value = Vec<Payment>> {
    let one = (
        1..4_u128,
        1..4_u8,
        any::<bool>(),
        0..4_u32,
        1..250_u64,
        0..600_u64,
    );
    let one = one.prop_map(|(amount, to, exact, depth, slots, grace_seconds)| {
        payment(0).asking(usdt(amount)).with(|p| {
            p.address = address(to);
            p.rule = if exact {
                MatchRule::Exact
            } else {
                MatchRule::Accumulate
            };
            p.finality = match depth {
                0 => Finality::Final,
                n => Finality::Depth(n * 5),
            };
            p.expires_at = slot(START + slots);
            p.grace_seconds = grace_seconds;
        })
    });
    proptest::collection::vec(one, 1..9).prop_map(|all| {
        let numbered = all.into_iter().zip(1..);
        numbered
            .map(|(p, n)| p.with(|p| (p.id, p.order_id) = (id(n), format!("order-{n}"))))
            .collect()
    })
}

/// Blocks after the start, most of them empty; transfers go to the watched addresses and to others.
fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let transfers = proptest::collection::vec((1..6_u8, 1..4_u128), 1..4);
    let busy = proptest::collection::vec((1..60_u64, transfers), 1..30);
    (busy, 1..1_300_u64).prop_map(|(busy, rest)| {
        let (mut blocks, mut height, mut tx) = (Vec::new(), START, 0);
        let mut add = |transfers: Vec<Transfer>| {
            height += 1;
            blocks.push(block(height, transfers));
        };
        for (gap, transfers) in busy {
            (1..gap).for_each(|_| add(Vec::new()));
            let made = transfers
                .into_iter()
                .zip(0..)
                .map(|((to, amount), log_index)| {
                    tx += 1;
                    transfer_to(to, tx, log_index, usdt(amount))
                });
            add(made.collect());
        }
        (0..rest).for_each(|_| add(Vec::new()));
        blocks
    })
}

fn start(payments: &[Payment]) -> MemoryState {
    with_payments(payments.iter().cloned())
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

/// Each payment's events in order, but for transfers that settle nothing: one of these may follow the completion that it
/// preceded where the block was not yet final.
fn told(state: &MemoryState) -> BTreeMap<Option<PaymentId>, Vec<EventKind>> {
    let mut told: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let kept = state.events.iter();
    for event in kept.filter(|event| event.kind != EventKind::TransferUnmatched) {
        let payment = event.payment.as_ref().map(|p| p.id);
        told.entry(payment).or_default().push(event.kind);
    }
    told
}

/// Whose an unmatched transfer most likely was is a guess among the nearest few, and how many are looked at depends on
/// how many have moved on in the same commit.
fn without_guesses(state: &MemoryState) -> Vec<TransferRecord> {
    let records = state.transfers.values().copied();
    records
        .map(|mut record| {
            if let TransferState::Unmatched { payment, .. } = &mut record.state {
                *payment = None;
            }
            record
        })
        .collect()
}

/// What may differ is only how many confirmations were counted at the moment of completion.
fn without_counts(state: &MemoryState) -> Vec<Payment> {
    let payments = state.payments.values().cloned();
    payments
        .map(|p| p.with(|p| p.final_confirmations = None))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn searching_final_blocks_comes_to_the_same_as_walking_them(payments in payments(), blocks in blocks()) {
        let (mut walked, mut skipped) = (start(&payments), start(&payments));
        walk(&mut walked, &blocks);
        skip(&mut skipped, &blocks);
        prop_assert_eq!(without_counts(&walked), without_counts(&skipped));
        prop_assert_eq!(without_guesses(&walked), without_guesses(&skipped));
        prop_assert_eq!(told(&walked), told(&skipped));
        prop_assert_eq!(&walked.cursors, &skipped.cursors);
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
