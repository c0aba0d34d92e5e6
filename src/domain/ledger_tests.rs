//! Blocks, forks, deadlines and finality: attempts to have a transfer counted twice, lost, or counted too early.

use std::collections::BTreeMap;

use super::amount::Amount;
use super::chain::{Block, Transfer};
use super::changes::{ChainChange, Changes, Unfinished, View};
use super::event::{AfterCompletion, EventKind};
use super::ids::{Height, UnixMs};
use super::ledger::{self, BATCH_PAYMENTS, Refusal, Watching};
use super::ledger_test_support::{self, NOW, OLDEST_FIRST, finalize, kinds, roll_back, status};
use super::payment::*;
use super::test_support::*;

/// A ledger at block 100 with these payments, their creation no longer told of.
fn with_payments(payments: impl IntoIterator<Item = Payment>) -> MemoryState {
    let mut state = ledger_test_support::with_payments(payments);
    state.events.clear();
    state
}

fn extend(state: &mut MemoryState, block: &Block) -> Changes {
    state
        .decide(|view| ledger::extend(view, CHAIN, block, NOW))
        .expect("extends")
}

/// Blocks of the main branch up to this height, the last with transfers.
fn run_to(state: &mut MemoryState, height: u64, transfers: Vec<Transfer>) -> Changes {
    while tip(state) + 1 < height {
        let next = tip(state) + 1;
        extend(state, &block(next, Vec::new()));
    }
    extend(state, &block(height, transfers))
}

fn tip(state: &MemoryState) -> u64 {
    state.cursors[&CHAIN].0.0
}

fn at_depth(n: u128, depth: u32) -> Payment {
    payment(n).with(|p| p.finality = Finality::Depth(depth))
}

fn unmatched(state: &MemoryState, tx: u64) -> UnmatchedReason {
    match state.transfers[&key(tx, 0)].state {
        TransferState::Unmatched { reason, .. } => reason,
        other => panic!("transfer {tx} is {other:?}"),
    }
}

#[test]
fn seen_then_final_then_completed() {
    let mut state = with_payments([payment(1)]);
    let seen = run_to(&mut state, 110, vec![transfer(1, 0, usdt(10))]);
    assert_eq!(kinds(&seen), [EventKind::Detected]);
    assert_eq!(status(&state, 1), Status::Confirming);
    assert_eq!(kinds(&run_to(&mut state, 128, Vec::new())), []);
    assert_eq!(kinds(&finalize(&mut state, 109)), []);
    assert_eq!(kinds(&finalize(&mut state, 110)), [EventKind::Completed]);
    assert_eq!(status(&state, 1), Status::Completed);
    assert_eq!(state.events.last().map(|e| e.confirmations), Some(19));
    assert_eq!(
        state.transfers[&key(1, 0)].state,
        TransferState::Credited(id(1))
    );
}

#[test]
fn the_same_block_twice_changes_nothing() {
    let mut state = with_payments([payment(1)]);
    run_to(&mut state, 110, vec![transfer(1, 0, usdt(10))]);
    let before = state.clone();
    let again = block(110, vec![transfer(1, 0, usdt(10))]);
    let refused = state.decide(|view| ledger::extend(view, CHAIN, &again, NOW));
    assert!(matches!(refused, Err(Refusal::NotNext { height }) if height == Height(110)));
    assert_eq!(state, before);
}

#[test]
fn a_block_must_follow_ours() {
    let mut state = with_payments([payment(1)]);
    let extend = |state: &mut MemoryState, block: &Block| {
        state
            .decide(|view| ledger::extend(view, CHAIN, block, NOW))
            .expect_err("refused")
    };
    let gap = extend(&mut state, &block(102, Vec::new()));
    assert!(matches!(gap, Refusal::NotNext { .. }));
    let other = extend(&mut state, &block_on(7, 0, 101, Vec::new()));
    assert!(matches!(other, Refusal::ParentMismatch { parent, .. } if parent == hash(7, 100)));
    let nowhere = extend(&mut MemoryState::default(), &block(101, Vec::new()));
    assert!(matches!(nowhere, Refusal::NotNext { .. }));
}

#[test]
fn one_transfer_listed_twice_in_a_block_counts_once() {
    let mut state = with_payments([payment(1), payment(2)]);
    let twice = vec![transfer(1, 0, usdt(10)), transfer(1, 0, usdt(10))];
    run_to(&mut state, 101, twice);
    assert_eq!(status(&state, 1), Status::Confirming);
    assert_eq!(status(&state, 2), Status::Pending);
}

/// BTCPay USDt #64 lost payments by keying on the transaction.
#[test]
fn one_transaction_with_two_transfers_pays_two() {
    let other = payment(2).with(|p| p.address = address(2));
    let mut state = with_payments([payment(1), other, payment(3)]);
    let three = vec![
        transfer(1, 0, usdt(10)),
        transfer_to(2, 1, 1, usdt(10)),
        transfer(1, 2, usdt(10)),
    ];
    let changes = run_to(&mut state, 101, three);
    assert_eq!(kinds(&changes), [EventKind::Detected; 3]);
    for n in 1..=3 {
        assert_eq!(status(&state, n), Status::Confirming);
    }
}

#[test]
fn two_payments_of_one_amount_are_never_both_paid_by_one_transfer() {
    let mut state = with_payments([at_depth(1, 1), at_depth(2, 1)]);
    run_to(&mut state, 101, vec![transfer(1, 0, usdt(10))]);
    assert_eq!(status(&state, 1), Status::Completed);
    assert_eq!(status(&state, 2), Status::Pending);
    run_to(&mut state, 102, vec![transfer(2, 0, usdt(10))]);
    assert_eq!(status(&state, 2), Status::Completed);
    let third = run_to(&mut state, 103, vec![transfer(3, 0, usdt(10))]);
    assert_eq!(kinds(&third), [EventKind::TransferUnmatched]);
    assert_eq!(unmatched(&state, 3), UnmatchedReason::Extra);
}

/// The store shows a block's earlier transfers only after the commit; a payment that one of them paid must not be
/// offered to the next. More payments here than candidates are looked at.
#[test]
fn a_block_full_of_equal_transfers_pays_as_many_equal_payments() {
    let mut state = with_payments((1..=200).map(payment));
    let transfers = (0..200).map(|n| transfer(u64::from(n), n, usdt(10)));
    run_to(&mut state, 101, transfers.collect());
    for n in 1..=200 {
        let p = &state.payments[&id(n)];
        assert_eq!(p.status, Status::Confirming);
        assert_eq!(p.credits[0].txid, txid(n as u64 - 1), "oldest first");
    }
}

#[test]
fn zero_and_strangers_are_ignored() {
    let mut state = with_payments([payment(1)]);
    let changes = run_to(
        &mut state,
        101,
        vec![transfer(1, 0, Amount::ZERO), transfer_to(9, 2, 1, usdt(10))],
    );
    assert_eq!(kinds(&changes), []);
    assert!(changes.transfers.is_empty() && changes.payments.is_empty());
}

#[test]
fn what_settles_nothing_is_kept_and_told() {
    let mut state = with_payments([payment(1)]);
    let wrong = run_to(&mut state, 101, vec![transfer(1, 0, usdt(7))]);
    assert_eq!(kinds(&wrong), [EventKind::Mismatched]);
    assert_eq!(unmatched(&state, 1), UnmatchedReason::WrongAmount);
    state
        .decide(|view| ledger::cancel(view, id(1), NOW))
        .expect("cancelled");
    let cancelled = run_to(&mut state, 102, vec![transfer(2, 0, usdt(10))]);
    assert_eq!(kinds(&cancelled), [EventKind::TransferUnmatched]);
    assert_eq!(unmatched(&state, 2), UnmatchedReason::Cancelled);
}

#[test]
fn it_expires_only_after_a_block_past_the_deadline() {
    let mut state = with_payments([payment(1)]);
    assert_eq!(kinds(&run_to(&mut state, 200, Vec::new())), []);
    assert_eq!(status(&state, 1), Status::Pending);
    let changes = run_to(&mut state, 201, vec![transfer(1, 0, usdt(10))]);
    assert_eq!(kinds(&changes), [EventKind::Expired, EventKind::Late]);
    assert_eq!(unmatched(&state, 1), UnmatchedReason::Late);
}

#[test]
fn a_block_processed_days_late_still_pays_in_time() {
    let mut state = with_payments([at_depth(1, 1)]);
    let much_later = UnixMs(NOW.0 * 2);
    run_to(&mut state, 199, Vec::new());
    let in_time = block(200, vec![transfer(1, 0, usdt(10))]);
    state
        .decide(|view| ledger::extend(view, CHAIN, &in_time, much_later))
        .expect("extends");
    assert_eq!(status(&state, 1), Status::Completed);
}

#[test]
fn pieces_add_up_and_too_few_are_underpaid() {
    let gathering = |n| payment(n).with(|p| p.rule = MatchRule::Accumulate);
    let mut state = with_payments([gathering(1)]);
    let first = run_to(&mut state, 101, vec![transfer(1, 0, usdt(4))]);
    assert_eq!(kinds(&first), [EventKind::Detected]);
    assert_eq!(status(&state, 1), Status::Pending);
    let mut other = state.clone();
    run_to(&mut other, 102, vec![transfer(2, 0, usdt(7))]);
    assert_eq!(status(&other, 1), Status::Confirming);
    let done = finalize(&mut other, 102);
    assert_eq!(kinds(&done), [EventKind::Completed, EventKind::Overpaid]);
    let ended = run_to(&mut state, 201, Vec::new());
    assert_eq!(kinds(&ended), [EventKind::Underpaid]);
}

#[test]
fn a_detection_that_completes_at_once_is_told_as_two() {
    let mut state = with_payments([at_depth(1, 1)]);
    let changes = run_to(&mut state, 101, vec![transfer(1, 0, usdt(10))]);
    assert_eq!(kinds(&changes), [EventKind::Detected, EventKind::Completed]);
    let statuses: Vec<_> = changes
        .events
        .iter()
        .filter_map(|e| e.payment.as_ref().map(|p| (p.status, p.completed_at)))
        .collect();
    assert_eq!(
        statuses,
        [(Status::Confirming, None), (Status::Completed, Some(NOW))]
    );
}

#[test]
fn a_fork_takes_back_and_the_new_branch_gives_again() {
    // The transfer comes back in the same block, in a later one, and at another place among the logs.
    for (height, log_index) in [(110, 0), (111, 0), (111, 5)] {
        let mut state = with_payments([payment(1)]);
        run_to(&mut state, 110, vec![transfer(1, 0, usdt(10))]);
        let back = roll_back(&mut state, 109);
        assert_eq!(kinds(&back), [EventKind::Reverted]);
        assert_eq!(back.events[0].after_completion, AfterCompletion::No);
        assert_eq!(status(&state, 1), Status::Pending);
        assert_eq!(state.transfers[&key(1, 0)].state, TransferState::Reverted);
        let mut parent = 0;
        for h in 110..height {
            extend(&mut state, &block_on(parent, 1, h, Vec::new()));
            parent = 1;
        }
        let again = vec![transfer(1, log_index, usdt(10))];
        let seen = extend(&mut state, &block_on(parent, 1, height, again));
        assert_eq!(kinds(&seen), [EventKind::Detected]);
        let p = &state.payments[&id(1)];
        assert_eq!((p.status, p.received()), (Status::Confirming, usdt(10)));
        assert_eq!(kinds(&finalize(&mut state, height)), [EventKind::Completed]);
    }
}

#[test]
fn a_completion_at_a_depth_can_be_taken_back() {
    let mut state = with_payments([at_depth(1, 3)]);
    run_to(&mut state, 110, vec![transfer(1, 0, usdt(10))]);
    assert_eq!(kinds(&run_to(&mut state, 111, Vec::new())), []);
    assert_eq!(
        kinds(&run_to(&mut state, 112, Vec::new())),
        [EventKind::Completed]
    );
    let back = roll_back(&mut state, 108);
    assert_eq!(kinds(&back), [EventKind::Reverted]);
    assert_eq!(back.events[0].after_completion, AfterCompletion::Yes);
    assert_eq!(status(&state, 1), Status::Pending);
    extend(&mut state, &block_on(0, 1, 109, Vec::new()));
    assert!(state.payments[&id(1)].watched);
}

#[test]
fn a_fork_above_the_credit_leaves_it() {
    let mut state = with_payments([at_depth(1, 3)]);
    run_to(&mut state, 110, vec![transfer(1, 0, usdt(10))]);
    run_to(&mut state, 115, Vec::new());
    assert_eq!(kinds(&roll_back(&mut state, 110)), []);
    assert_eq!(status(&state, 1), Status::Completed);
}

#[test]
fn a_fork_around_the_deadline_counts_what_the_new_branch_has_in_time() {
    let mut state = with_payments([payment(1).with(|p| p.grace_seconds = 0)]);
    run_to(&mut state, 203, Vec::new());
    assert_eq!(status(&state, 1), Status::Expired);
    roll_back(&mut state, 199);
    let in_time = block_on(0, 1, 200, vec![transfer(1, 0, usdt(10))]);
    assert_eq!(kinds(&extend(&mut state, &in_time)), [EventKind::Detected]);
    assert_eq!(status(&state, 1), Status::Confirming);
    // And the other way round: in time on the old branch, late on the new one.
    roll_back(&mut state, 199);
    extend(&mut state, &block_on(0, 2, 200, Vec::new()));
    let late = block_on(2, 2, 201, vec![transfer(1, 0, usdt(10))]);
    assert_eq!(
        kinds(&extend(&mut state, &late)),
        [EventKind::Expired, EventKind::Late]
    );
}

/// The rollback changed an underpaid payment to expired, and nobody was told.
#[test]
fn an_end_that_a_fork_makes_worse_is_told() {
    let gathering = payment(1).with(|p| p.rule = MatchRule::Accumulate);
    let mut state = with_payments([gathering]);
    run_to(&mut state, 190, vec![transfer(1, 0, usdt(4))]);
    assert_eq!(
        kinds(&run_to(&mut state, 201, Vec::new())),
        [EventKind::Underpaid]
    );
    let back = roll_back(&mut state, 189);
    assert_eq!(kinds(&back), [EventKind::Reverted, EventKind::Expired]);
}

/// A payment lost its transfer to a fork, and the new branch paid another one with it. When the first one's time to
/// be removed came, it took the other's transfer along.
#[test]
fn a_removed_payment_leaves_what_another_got() {
    let mut state = with_payments([at_depth(1, 1)]);
    run_to(&mut state, 110, vec![transfer(1, 0, usdt(10))]);
    roll_back(&mut state, 109);
    state
        .decide(|view| ledger::cancel(view, id(1), NOW))
        .expect("cancelled");
    state
        .decide(|view| ledger::create(view, at_depth(2, 1), OLDEST_FIRST, NOW))
        .expect("created");
    extend(
        &mut state,
        &block_on(0, 1, 110, vec![transfer(1, 0, usdt(10))]),
    );
    assert_eq!(status(&state, 2), Status::Completed);
    if let Some(p) = state.payments.get_mut(&id(1)) {
        p.watched = false;
    }
    state
        .decide(|view| ledger::remove_old(view, UnixMs(NOW.0 + 1)))
        .expect("removed");
    assert!(!state.payments.contains_key(&id(1)));
    assert_eq!(
        state.transfers[&key(1, 0)].state,
        TransferState::Credited(id(2))
    );
}

#[test]
fn a_fork_takes_back_what_was_unmatched_too() {
    let mut state = with_payments([payment(1)]);
    run_to(&mut state, 110, vec![transfer(1, 0, usdt(7))]);
    assert_eq!(kinds(&roll_back(&mut state, 109)), []);
    assert_eq!(state.transfers[&key(1, 0)].state, TransferState::Reverted);
    assert!(state.recent.is_empty());
}

#[test]
fn no_fork_reaches_below_the_final_height_or_off_our_chain() {
    let mut state = with_payments([payment(1)]);
    run_to(&mut state, 130, vec![transfer(1, 0, usdt(10))]);
    finalize(&mut state, 120);
    let rolls = |to: &Block| ledger::rollback(&state, CHAIN, &to.header, NOW).map(|c| c.chain);
    let final_block = block(120, Vec::new());
    assert_eq!(
        rolls(&final_block).expect("the final block itself stays"),
        Some((CHAIN, ChainChange::Rollback(final_block.header)))
    );
    assert!(rolls(&block(119, Vec::new())).is_err());
    let foreign = rolls(&block_on(0, 3, 125, Vec::new()));
    assert!(matches!(foreign, Err(Refusal::NotOurs { .. })));
    assert!(matches!(
        rolls(&block(131, Vec::new())),
        Err(Refusal::NotOurs { .. })
    ));
}

#[test]
fn a_final_hash_that_is_not_ours_is_refused() {
    let mut state = with_payments([payment(1)]);
    run_to(&mut state, 110, vec![transfer(1, 0, usdt(10))]);
    run_to(&mut state, 130, Vec::new());
    for foreign in [block_on(0, 5, 110, Vec::new()), block(131, Vec::new())] {
        let refused = ledger::finalize(&state, CHAIN, &foreign.header, NOW);
        assert!(matches!(refused, Err(Refusal::NotOurs { .. })));
    }
    finalize(&mut state, 111);
    assert_eq!(status(&state, 1), Status::Completed);
    let old = ledger::finalize(&state, CHAIN, &block(110, Vec::new()).header, NOW);
    assert_eq!(old.expect("nothing new"), Changes::default());
}

#[test]
fn grace_ends_once_and_then_the_address_is_free() {
    let grace = payment(1).with(|p| p.grace_seconds = 3_600);
    let mut state = with_payments([grace]);
    run_to(&mut state, 201, Vec::new());
    let last_noticed = 200 + 3_600_000 / SLOT_MS;
    let late = run_to(&mut state, last_noticed, vec![transfer(1, 0, usdt(10))]);
    assert_eq!(kinds(&late), [EventKind::Late]);
    let after = run_to(&mut state, last_noticed + 1, vec![transfer(2, 0, usdt(10))]);
    assert_eq!(kinds(&after), []);
    assert!(!state.payments[&id(1)].watched);
    assert!(!state.watches(CHAIN).expect("reads"));
}

#[test]
fn what_exceeds_a_batch_is_caught_up_with() {
    let count = BATCH_PAYMENTS as u128 + 10;
    let mut state = MemoryState::starting_at(100);
    for n in 1..=count {
        let spread = address((n % 200) as u8);
        state
            .payments
            .insert(id(n), payment(n).with(|p| p.address = spread));
    }
    let open = |state: &MemoryState| {
        let mut by_status: BTreeMap<Status, usize> = BTreeMap::new();
        for p in state.payments.values() {
            *by_status.entry(p.status).or_default() += 1;
        }
        by_status
    };
    let past = Block {
        header: super::chain::BlockHeader {
            time: slot(201),
            ..block(101, Vec::new()).header
        },
        transfers: Vec::new(),
    };
    assert_eq!(extend(&mut state, &past).unfinished, Unfinished::Yes);
    assert_eq!(open(&state)[&Status::Expired], BATCH_PAYMENTS);
    let rest = state
        .decide(|view| ledger::catch_up(view, CHAIN, NOW))
        .expect("catches up");
    assert_eq!(rest.unfinished, Unfinished::No);
    assert_eq!(rest.events.len(), 10);
    assert_eq!(open(&state)[&Status::Expired] as u128, count);
}

/// The follower looks whether anything is watched, then asks for a head, then jumps. A payment created in between
/// had the blocks it was paid in jumped over.
#[test]
fn no_jump_over_blocks_that_someone_waits_for() {
    let mut state = with_payments([payment(1)]);
    let to = block(500, Vec::new()).header;
    for watching in [Watching::Nothing, Watching::Something] {
        let refused = state.decide(|view| ledger::jump(view, CHAIN, &to, watching));
        assert!(matches!(refused, Err(Refusal::JumpWhileWatching)));
    }
    let mut fresh = MemoryState::default();
    for at in [500, 900, 300] {
        let to = block(at, Vec::new()).header;
        fresh
            .decide(|view| ledger::jump(view, CHAIN, &to, Watching::Nothing))
            .expect("jumps");
        assert_eq!(tip(&fresh), at);
    }
    let refused = fresh.decide(|view| ledger::jump(view, CHAIN, &to, Watching::Something));
    assert!(matches!(refused, Err(Refusal::JumpWhileWatching)));
}

/// Found in the demo: a late transfer was told with the confirmations of the one that had come in time.
#[test]
fn an_event_tells_the_confirmations_of_the_transfer_it_names() {
    let mut state = with_payments([payment(1).with(|p| p.rule = MatchRule::Accumulate)]);
    run_to(&mut state, 101, vec![transfer(1, 0, usdt(2))]);
    let changes = run_to(&mut state, 400, vec![transfer(2, 0, usdt(3))]);
    let last = changes.events.last().expect("an event");
    assert_eq!(last.kind, EventKind::Late);
    assert_eq!(last.confirmations, 1);
}
