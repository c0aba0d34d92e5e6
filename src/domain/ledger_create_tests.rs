//! Creating and cancelling: attempts to get two payments that one transfer could pay, or one order twice.

use super::amount::Amount;
use super::event::EventKind;
use super::ids::{PaymentId, UnixMs};
use super::ledger::{self, AmbiguityRule, AmountPolicy, Refusal};
use super::payment::*;
use super::test_support::*;

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const REJECT: AmountPolicy = AmountPolicy {
    ambiguity: AmbiguityRule::Reject,
    unique_cap: Amount::from_base_units(100),
};
const OLDEST_FIRST: AmountPolicy = AmountPolicy {
    ambiguity: AmbiguityRule::OldestFirst,
    ..REJECT
};

fn create(state: &mut MemoryState, new: Payment, policy: AmountPolicy) -> Result<Payment, Refusal> {
    let id = new.id;
    let before = state.clone();
    let outcome = state.decide(|view| ledger::create(view, new, policy, NOW));
    if outcome.is_err() {
        assert_eq!(*state, before, "a refusal changes nothing");
    }
    outcome.map(|_| state.payments[&id].clone())
}

fn close(state: &mut MemoryState, n: u128, status: Status) {
    let payment = state.payments.get_mut(&id(n)).expect("there");
    payment.status = status;
    payment.closed_at = Some(NOW);
}

fn unique(n: u128) -> Payment {
    payment(n).with(|p| p.amount_mode = AmountMode::Unique)
}

fn rival(outcome: Result<Payment, Refusal>) -> PaymentId {
    match outcome {
        Err(Refusal::AmountAmbiguous(id)) => id,
        other => panic!("not ambiguous: {other:?}"),
    }
}

#[test]
fn an_order_is_taken_once_whatever_became_of_it() {
    let mut state = MemoryState::default();
    create(&mut state, payment(1), REJECT).expect("created");
    assert_eq!(state.events.len(), 1);
    assert_eq!(state.events[0].kind, EventKind::Created);
    assert_eq!(state.events[0].payment, Some(payment(1)));
    let again = payment(2).asking(usdt(3)).with(|p| {
        p.order_id = "order-1".to_owned();
        p.address = address(7);
        p.chain = super::ids::ChainId(3);
    });
    for status in Status::ALL {
        close(&mut state, 1, status);
        let refused = create(&mut state, again.clone(), OLDEST_FIRST);
        assert!(matches!(refused, Err(Refusal::OrderTaken(other)) if other == id(1)));
    }
}

#[test]
fn an_open_payment_of_the_same_amount_is_in_the_way_a_closed_one_is_not() {
    for status in Status::ALL {
        let mut state = MemoryState::default();
        create(&mut state, payment(1), REJECT).expect("created");
        close(&mut state, 1, status);
        let second = create(&mut state, payment(2), REJECT);
        if status.is_open() {
            assert_eq!(rival(second), id(1));
            create(&mut state, payment(2), OLDEST_FIRST).expect("allowed");
        } else {
            second.expect("created");
        }
    }
}

#[test]
fn another_amount_address_or_chain_is_not_in_the_way() {
    let mut state = MemoryState::default();
    create(&mut state, payment(1), REJECT).expect("created");
    create(&mut state, payment(2).asking(units(10_000_001)), REJECT).expect("another amount");
    create(
        &mut state,
        payment(3).with(|p| p.address = address(2)),
        REJECT,
    )
    .expect("another address");
    let chain = super::ids::ChainId(1);
    create(&mut state, payment(4).with(|p| p.chain = chain), REJECT).expect("another chain");
}

#[test]
fn tolerances_of_both_sides_add_up() {
    for (old, new, distance, clash) in [
        (0, 0, 0, true),
        (0, 0, 1, false),
        (5, 0, 5, true),
        (5, 0, 6, false),
        (0, 5, 5, true),
        (3, 4, 7, true),
        (3, 4, 8, false),
        (1_000_000, 4, 1_000_004, true),
        (1_000_000, 4, 1_000_005, false),
    ] {
        for direction in [1, -1_i64] {
            let mut state = MemoryState::default();
            let first = payment(1).with(|p| p.tolerance = units(old));
            create(&mut state, first, REJECT).expect("created");
            let amount = 10_000_000_i64 + direction * distance;
            let second = payment(2)
                .asking(units(u128::try_from(amount).expect("positive")))
                .with(|p| p.tolerance = units(new));
            let outcome = create(&mut state, second, REJECT);
            assert_eq!(
                outcome.is_err(),
                clash,
                "{old} {new} {distance} {direction}"
            );
        }
    }
}

#[test]
fn an_accumulating_payment_shares_its_address_with_no_open_one() {
    let gathering = |n| {
        payment(n)
            .asking(usdt(77))
            .with(|p| p.rule = MatchRule::Accumulate)
    };
    let mut state = MemoryState::default();
    create(&mut state, gathering(1), REJECT).expect("created");
    assert_eq!(rival(create(&mut state, payment(2), REJECT)), id(1));
    assert_eq!(rival(create(&mut state, gathering(2), REJECT)), id(1));
    assert_eq!(rival(create(&mut state, unique(2), REJECT)), id(1));
    let mut state = MemoryState::default();
    create(&mut state, payment(1), REJECT).expect("created");
    assert_eq!(rival(create(&mut state, gathering(2), REJECT)), id(1));
}

#[test]
fn unique_takes_the_least_free_amount() {
    let mut state = MemoryState::default();
    let paid: Vec<u128> = (1..=4)
        .map(|n| create(&mut state, unique(n), REJECT).expect("created"))
        .map(|p| p.to_pay.base_units())
        .collect();
    assert_eq!(paid, [10_000_000, 10_000_001, 10_000_002, 10_000_003]);
    assert_eq!(state.payments[&id(4)].expected, usdt(10));
    // A gap that comes free is used; one that is only closed but in its grace period is not.
    close(&mut state, 2, Status::Completed);
    let next = create(&mut state, unique(5), REJECT).expect("created");
    assert_eq!(next.to_pay, units(10_000_004));
    if let Some(p) = state.payments.get_mut(&id(2)) {
        p.watched = false;
    }
    let next = create(&mut state, unique(6), REJECT).expect("created");
    assert_eq!(next.to_pay, units(10_000_001));
}

#[test]
fn unique_keeps_clear_of_tolerances() {
    let mut state = MemoryState::default();
    let wide = payment(1)
        .asking(units(9_999_990))
        .with(|p| p.tolerance = units(15));
    create(&mut state, wide, REJECT).expect("created");
    let new = unique(2).with(|p| p.tolerance = units(2));
    let made = create(&mut state, new, REJECT).expect("created");
    assert_eq!(made.to_pay, units(9_999_990 + 15 + 2 + 1));
}

#[test]
fn unique_ends_at_its_cap() {
    let mut state = MemoryState::default();
    for n in 0..=100 {
        create(&mut state, unique(n + 1), REJECT).expect("created");
    }
    let refused = create(&mut state, unique(500), REJECT);
    assert!(matches!(refused, Err(Refusal::NoUniqueAmount(cap)) if cap == units(100)));
    create(&mut state, unique(501).asking(units(10_000_101)), REJECT).expect("beyond the crowd");
}

#[test]
fn unique_at_the_end_of_all_numbers_is_refused_not_wrapped() {
    let mut state = MemoryState::default();
    create(&mut state, unique(1).asking(Amount::MAX), REJECT).expect("created");
    let refused = create(&mut state, unique(2).asking(Amount::MAX), REJECT);
    assert!(matches!(refused, Err(Refusal::NoUniqueAmount(_))));
}

/// A completed payment that had taken any amount kept its address from getting unique amounts for a whole day.
#[test]
fn a_closed_accumulating_payment_is_not_in_the_way_of_unique_amounts() {
    let mut state = MemoryState::default();
    let gathering = payment(1).with(|p| p.rule = MatchRule::Accumulate);
    create(&mut state, gathering, REJECT).expect("created");
    close(&mut state, 1, Status::Completed);
    let made = create(&mut state, unique(2), REJECT).expect("created");
    assert_eq!(made.to_pay, usdt(10));
}

#[test]
fn only_a_pending_payment_can_be_cancelled() {
    for status in Status::ALL {
        let mut state = MemoryState::default();
        create(&mut state, payment(1), REJECT).expect("created");
        close(&mut state, 1, status);
        let outcome = state.decide(|view| ledger::cancel(view, id(1), NOW));
        if status == Status::Pending {
            outcome.expect("cancelled");
            let p = &state.payments[&id(1)];
            assert_eq!((p.status, p.closed_at), (Status::Cancelled, Some(NOW)));
            assert!(p.watched, "its payer may still send");
            assert_eq!(
                state.events.last().map(|e| e.kind),
                Some(EventKind::Cancelled)
            );
        } else {
            assert!(matches!(outcome, Err(Refusal::NotCancellable(s)) if s == status));
            assert_eq!(state.events.len(), 1);
        }
    }
    let unknown = MemoryState::default().decide(|view| ledger::cancel(view, id(1), NOW));
    assert!(matches!(unknown, Err(Refusal::NoSuchPayment)));
}
