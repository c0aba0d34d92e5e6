//! Transfers assigned by hand: what the operator's word overrides, what it does not, and what forks make of it.

use super::api_key::KeyId;
use super::changes::Changes;
use super::event::{AfterCompletion, EventKind};
use super::ids::{Height, TransferKey};
use super::ledger::{self, Refusal};
use super::ledger_test_support::*;
use super::payment::*;
use super::test_support::*;

/// The next block, on a branch of its own.
fn extend(state: &mut MemoryState, branch: u8, transfers: Vec<super::chain::Transfer>) -> Changes {
    let (tip, _) = state.cursors[&CHAIN];
    let mut next = block_on(0, branch, tip.0 + 1, transfers);
    next.header.parent = state.blocks[&(CHAIN, tip)].hash;
    state
        .decide(|view| ledger::extend(view, CHAIN, &next, NOW))
        .expect("extends")
}

fn assign(state: &mut MemoryState, key: TransferKey, n: u128) -> Result<Changes, Refusal> {
    state.decide(|view| ledger::assign(view, &key, id(n), Some(KeyId(7)), NOW))
}

const SEEN: [EventKind; 2] = [EventKind::TransferAssigned, EventKind::Detected];
const AT_ONCE: [EventKind; 3] = [
    EventKind::TransferAssigned,
    EventKind::Detected,
    EventKind::Completed,
];

#[test]
fn too_little_is_enough_when_an_operator_says_so_and_the_sum_stays_true() {
    let mut state = with_payments([payment(1)]);
    let short = units(9_990_000);
    extend(&mut state, 0, vec![transfer(1, 0, short)]);
    assert_eq!(status(&state, 1), Status::Pending);
    let changes = assign(&mut state, key(1, 0), 1).expect("assigned");
    assert_eq!(kinds(&changes), SEEN);
    let audit = &changes.events[0];
    let assigned = audit.transfer.and_then(|t| t.assigned).expect("a decision");
    assert_eq!(
        assigned,
        Assignment {
            payment: id(1),
            at: NOW,
            reason: UnmatchedReason::WrongAmount,
            meant_for: Some(id(1)),
            by: Some(KeyId(7)),
        }
    );
    assert_eq!(status(&state, 1), Status::Confirming);
    assert_eq!(kinds(&finalize(&mut state, 101)), [EventKind::Completed]);
    assert_eq!(state.payments[&id(1)].received(), short);
}

/// What the transfer was kept for does not matter; each of these is final already, so the payment completes at once.
#[test]
fn every_reason_and_every_status_can_be_overruled() {
    let cancelled = payment(2).with(|p| p.address = address(2));
    let expired = payment(3).with(|p| {
        p.address = address(3);
        p.expires_at = slot(101);
    });
    let paid = payment(4).with(|p| p.address = address(4));
    let early = payment(5).with(|p| {
        p.address = address(5);
        p.created_at = slot(400);
        p.created_above = Height(400);
        p.expires_at = slot(500);
    });
    let mut state = with_payments([payment(1), cancelled, expired, paid, early]);
    state
        .decide(|view| ledger::cancel(view, id(2), NOW))
        .expect("cancelled");
    extend(&mut state, 0, vec![transfer_to(4, 40, 0, usdt(10))]);
    extend(
        &mut state,
        0,
        vec![
            transfer_to(1, 1, 0, usdt(7)),
            transfer_to(2, 2, 1, usdt(10)),
            transfer_to(3, 3, 2, usdt(10)),
            transfer_to(4, 4, 3, usdt(10)),
            transfer_to(5, 5, 4, usdt(10)),
        ],
    );
    finalize(&mut state, 102);
    let reasons = ["wrong_amount", "cancelled", "late", "extra", "early"];
    for (n, reason) in (1_u32..).zip(reasons) {
        let key = key(u64::from(n), n - 1);
        let TransferState::Unmatched { reason: known, .. } = state.transfers[&key].state else {
            panic!("{:?}", state.transfers[&key]);
        };
        assert_eq!(known.as_str(), reason);
        let changes = assign(&mut state, key, u128::from(n)).expect("assigned");
        let expected = if n == 4 { &AT_ONCE[..1] } else { &AT_ONCE[..] };
        assert_eq!(kinds(&changes), expected, "{reason}");
        let last = changes.events.last().and_then(|e| e.payment.as_ref());
        assert_eq!(last.map(|p| p.status), Some(Status::Completed));
    }
    assert_eq!(state.payments[&id(4)].received(), usdt(20));
}

/// A payer who sends to the address of an earlier order is the everyday case where every payment has its own address.
#[test]
fn money_at_another_address_of_the_chain_can_be_assigned() {
    let other = payment(2).with(|p| p.address = address(2));
    let mut state = with_payments([payment(1), other]);
    extend(&mut state, 0, vec![transfer_to(1, 1, 0, usdt(3))]);
    assign(&mut state, key(1, 0), 2).expect("assigned");
    assert_eq!(status(&state, 2), Status::Confirming);
    assert_eq!(status(&state, 1), Status::Pending);
    let foreign = payment(3).with(|p| p.chain = super::ids::ChainId(7));
    state.payments.insert(id(3), foreign);
    extend(&mut state, 0, vec![transfer_to(1, 2, 0, usdt(3))]);
    let refused = assign(&mut state, key(2, 0), 3);
    assert!(matches!(refused, Err(Refusal::OtherChain(other)) if other == id(3)));
}

#[test]
fn a_transfer_settles_one_payment_and_saying_it_again_changes_nothing() {
    let mut state = with_payments([payment(1), payment(2).asking(usdt(20))]);
    let both = vec![transfer(1, 0, usdt(7)), transfer(2, 1, usdt(10))];
    extend(&mut state, 0, both);
    assign(&mut state, key(1, 0), 2).expect("assigned");
    let before = state.clone();
    let again = assign(&mut state, key(1, 0), 2).expect("the same again");
    assert_eq!(again, Changes::default());
    for (key, n) in [(key(1, 0), 1), (key(2, 1), 1), (key(2, 1), 2)] {
        let refused = assign(&mut state, key, n);
        assert!(
            matches!(refused, Err(Refusal::AlreadySettles(_))),
            "{refused:?}"
        );
    }
    let unknown = assign(&mut state, key(9, 0), 1);
    assert!(matches!(unknown, Err(Refusal::NoSuchTransfer)));
    extend(&mut state, 0, vec![transfer(3, 0, usdt(4))]);
    let nobody = assign(&mut state, key(3, 0), 9);
    assert!(matches!(nobody, Err(Refusal::NoSuchPayment)));
    assert_eq!(state.payments, before.payments);
}

#[test]
fn the_payments_own_depth_decides_when_it_counts() {
    let deep = payment(1).with(|p| p.finality = Finality::Depth(3));
    let mut state = with_payments([deep]);
    extend(&mut state, 0, vec![transfer(1, 0, usdt(1))]);
    let seen = assign(&mut state, key(1, 0), 1).expect("assigned");
    assert_eq!(kinds(&seen), SEEN);
    assert_eq!(kinds(&extend(&mut state, 0, Vec::new())), []);
    let third = extend(&mut state, 0, Vec::new());
    assert_eq!(kinds(&third), [EventKind::Completed]);
}

/// Forked away, the transfer is taken back like any other. When it comes back, at whatever place in its block, it is
/// the same money and the same decision: it must not settle whoever happens to wait for that amount by then.
#[test]
fn a_forked_transfer_goes_back_to_the_payment_it_was_assigned_to() {
    let mut state = with_payments([payment(1), payment(2).asking(usdt(20))]);
    let short = transfer(1, 4, usdt(7));
    extend(&mut state, 0, vec![short]);
    assign(&mut state, key(1, 4), 1).expect("assigned");
    let taken = roll_back(&mut state, 100);
    assert_eq!(kinds(&taken), [EventKind::Reverted]);
    assert_eq!(status(&state, 1), Status::Pending);
    let refused = assign(&mut state, key(1, 4), 2);
    assert!(matches!(refused, Err(Refusal::ForkedAway)), "{refused:?}");
    let rival = payment(3).asking(usdt(7));
    state
        .decide(|view| ledger::create(view, rival, OLDEST_FIRST, NOW))
        .expect("created");
    let back = transfer(1, 2, usdt(7));
    let changes = extend(&mut state, 1, vec![back]);
    assert_eq!(kinds(&changes), [EventKind::Detected]);
    assert_eq!(status(&state, 1), Status::Confirming);
    assert_eq!(status(&state, 3), Status::Pending);
    let record = &state.transfers[&key(1, 2)];
    assert!(record.state == TransferState::Credited(id(1)) && record.assigned.is_some());
    assert_eq!(state.transfers[&key(1, 4)].assigned, None, "used once");
    // Another transfer of the same transaction is other money.
    let twin = transfer(1, 7, usdt(7));
    extend(&mut state, 1, vec![twin]);
    assert_eq!(
        state.transfers[&key(1, 7)].state,
        TransferState::Credited(id(3))
    );
    finalize(&mut state, 101);
    assert_eq!(status(&state, 1), Status::Completed);
}

/// The places of equal transfers in one transaction shift by one: the first takes the decision, and the second, which
/// now stands where the first stood, must be judged like any other and not be taken for settled.
#[test]
fn equal_transfers_that_change_places_are_each_settled_once() {
    let mut state = with_payments([payment(1), payment(2).asking(usdt(20))]);
    let pair = |first| vec![transfer(1, first, usdt(7)), transfer(1, first + 1, usdt(7))];
    extend(&mut state, 0, pair(3));
    assign(&mut state, key(1, 3), 2).expect("assigned");
    roll_back(&mut state, 100);
    extend(&mut state, 1, pair(2));
    let by_hand = state.transfers[&key(1, 2)];
    assert_eq!(by_hand.state, TransferState::Credited(id(2)));
    let judged = state.transfers[&key(1, 3)];
    assert!(
        matches!(judged.state, TransferState::Unmatched { .. }),
        "{judged:?}"
    );
    assert_eq!(judged.assigned, None);
    assert_eq!(state.payments[&id(2)].received(), usdt(7));
}

/// Found by the model: two equal transfers of one transaction, each assigned to another payment, came back one place
/// further down. The first took the place of the second, and the second's decision was lost with the record there.
#[test]
fn a_decision_is_not_lost_to_a_twin_that_takes_its_place() {
    let mut state = with_payments([payment(1), payment(2).asking(usdt(20))]);
    let pair = |first| vec![transfer(1, first, usdt(7)), transfer(1, first + 1, usdt(7))];
    extend(&mut state, 0, pair(3));
    assign(&mut state, key(1, 3), 1).expect("assigned");
    assign(&mut state, key(1, 4), 2).expect("assigned");
    for (branch, first) in (1..).zip([4, 2, 3, 5]) {
        roll_back(&mut state, 100);
        extend(&mut state, branch, pair(first));
        for n in [1, 2] {
            assert_eq!(status(&state, n), Status::Confirming, "at {first}");
            assert_eq!(state.payments[&id(n)].received(), usdt(7));
        }
    }
}

/// A cancellation stands: when a fork takes the assigned transfer away, the payment must not wait for money again.
#[test]
fn a_cancelled_payment_is_cancelled_again_once_its_transfer_is_gone() {
    let depth_one = payment(1).with(|p| p.finality = Finality::Depth(1));
    let mut state = with_payments([depth_one]);
    state
        .decide(|view| ledger::cancel(view, id(1), NOW))
        .expect("cancelled");
    extend(&mut state, 0, vec![transfer(1, 0, usdt(10))]);
    let changes = assign(&mut state, key(1, 0), 1).expect("assigned");
    assert_eq!(kinds(&changes), AT_ONCE);
    let taken = roll_back(&mut state, 100);
    assert_eq!(kinds(&taken), [EventKind::Reverted]);
    assert_eq!(taken.events[0].after_completion, AfterCompletion::Yes);
    assert_eq!(status(&state, 1), Status::Cancelled);
    extend(&mut state, 1, vec![transfer(2, 0, usdt(10))]);
    assert_eq!(status(&state, 1), Status::Cancelled);
    extend(&mut state, 1, vec![transfer(1, 0, usdt(10))]);
    assert_eq!(status(&state, 1), Status::Completed);
}

/// A receiver that is told only of completions takes a reverted one for unpaid; here it still is paid.
#[test]
fn losing_an_extra_transfer_takes_no_completion_back() {
    let depth_one = payment(1).with(|p| p.finality = Finality::Depth(1));
    let mut state = with_payments([depth_one]);
    extend(&mut state, 0, vec![transfer(1, 0, usdt(10))]);
    extend(&mut state, 0, vec![transfer(2, 0, usdt(10))]);
    let extra = assign(&mut state, key(2, 0), 1).expect("assigned");
    assert_eq!(kinds(&extra), [EventKind::TransferAssigned]);
    let taken = roll_back(&mut state, 101);
    assert_eq!(kinds(&taken), [EventKind::Reverted]);
    assert_eq!(taken.events[0].after_completion, AfterCompletion::No);
    assert_eq!(status(&state, 1), Status::Completed);
    // It comes back to a payment that is complete, and is told so.
    let back = extend(&mut state, 1, vec![transfer(2, 0, usdt(10))]);
    assert_eq!(kinds(&back), [EventKind::Detected]);
    let told = back.events[0].payment.as_ref().map(|p| p.status);
    assert_eq!(told, Some(Status::Completed));
    assert_eq!(state.payments[&id(1)].received(), usdt(20));
}

#[test]
fn one_payment_takes_a_bounded_number_of_assignments() {
    let mut state = with_payments([payment(1)]);
    let many = u32::try_from(MAX_CREDITS).expect("small") + 1;
    let dust = (0..many).map(|n| transfer(1, n, units(1))).collect();
    extend(&mut state, 0, dust);
    for n in 0..many - 1 {
        assign(&mut state, key(1, n), 1).expect("assigned");
    }
    let refused = assign(&mut state, key(1, many - 1), 1);
    assert!(matches!(refused, Err(Refusal::TooManyAssigned(full)) if full == id(1)));
    assert_eq!(state.payments[&id(1)].credits.len(), MAX_CREDITS);
}
