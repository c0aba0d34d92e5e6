//! Attempts to have a transfer settle the wrong payment, or be blamed on it.

use super::amount::Amount;
use super::ids::{Height, PaymentId};
use super::matcher::{Verdict, judge};
use super::payment::{MAX_CREDITS, *};
use super::test_support::{Adjust, address, id, key, payment, slot, txid, units, usdt};

fn arriving(height: u64, amount: Amount) -> TransferRecord {
    TransferRecord {
        key: key(1, 0),
        from: address(9),
        to: address(1),
        amount,
        height: Height(height),
        block_time: slot(height),
        state: TransferState::Reverted,
        assigned: None,
    }
}

fn judged(amount: Amount, candidates: &[Payment]) -> Verdict {
    judge(&arriving(150, amount), candidates)
}

fn unmatched(reason: UnmatchedReason, payment: Option<PaymentId>) -> Verdict {
    Verdict::Unmatched { reason, payment }
}

fn in_status(n: u128, status: Status) -> Payment {
    payment(n).with(|p| p.status = status)
}

fn gathering(n: u128) -> Payment {
    payment(n).with(|p| p.rule = MatchRule::Accumulate)
}

#[test]
fn an_exact_payment_takes_its_amount_and_no_other() {
    let p = [payment(1)];
    assert_eq!(judged(usdt(10), &p), Verdict::Credit(id(1)));
    assert_eq!(judged(units(9_999_999), &p), Verdict::Mismatch(id(1)));
    assert_eq!(judged(units(10_000_001), &p), Verdict::Mismatch(id(1)));
    assert_eq!(judged(Amount::MAX, &p), Verdict::Mismatch(id(1)));
}

#[test]
fn a_tolerance_reaches_both_ways_and_the_nearest_amount_wins() {
    let wide = payment(1).with(|p| p.tolerance = usdt(2));
    let near = payment(2).asking(usdt(11)).with(|p| p.tolerance = usdt(2));
    assert_eq!(
        judged(usdt(8), std::slice::from_ref(&wide)),
        Verdict::Credit(id(1))
    );
    assert_eq!(
        judged(usdt(12), std::slice::from_ref(&wide)),
        Verdict::Credit(id(1))
    );
    assert_eq!(
        judged(units(12_000_001), std::slice::from_ref(&wide)),
        Verdict::Mismatch(id(1))
    );
    assert_eq!(judged(usdt(11), &[wide, near]), Verdict::Credit(id(2)));
}

#[test]
fn among_equals_the_oldest_is_paid_first() {
    let three = [payment(1), payment(2), payment(3)];
    assert_eq!(judged(usdt(10), &three), Verdict::Credit(id(1)));
    let paid = [in_status(1, Status::Confirming), payment(2), payment(3)];
    assert_eq!(judged(usdt(10), &paid), Verdict::Credit(id(2)));
}

#[test]
fn an_exact_fit_goes_before_an_accumulating_payment() {
    let both = [gathering(1), payment(2)];
    assert_eq!(judged(usdt(10), &both), Verdict::Credit(id(2)));
    assert_eq!(judged(usdt(7), &both), Verdict::Credit(id(1)));
}

#[test]
fn several_accumulating_payments_fill_oldest_first() {
    let both = [gathering(1), gathering(2)];
    assert_eq!(judged(usdt(3), &both), Verdict::Credit(id(1)));
    let first_done = [
        gathering(1).with(|p| p.status = Status::Completed),
        gathering(2),
    ];
    assert_eq!(judged(usdt(3), &first_done), Verdict::Credit(id(2)));
}

#[test]
fn after_the_deadline_it_is_late() {
    let late = arriving(201, usdt(10));
    assert_eq!(
        judge(&arriving(200, usdt(10)), &[payment(1)]),
        Verdict::Credit(id(1))
    );
    assert_eq!(
        judge(&late, &[payment(1)]),
        Verdict::Late(id(1)),
        "not yet expired"
    );
    for status in [Status::Expired, Status::Underpaid] {
        assert_eq!(judge(&late, &[in_status(1, status)]), Verdict::Late(id(1)));
    }
    let gathering = gathering(1).with(|p| p.status = Status::Underpaid);
    assert_eq!(
        judge(&arriving(201, usdt(3)), &[gathering]),
        Verdict::Late(id(1))
    );
}

#[test]
fn an_expired_payment_takes_what_a_fork_brings_in_time() {
    for status in [Status::Expired, Status::Underpaid] {
        assert_eq!(
            judged(usdt(10), &[in_status(1, status)]),
            Verdict::Credit(id(1))
        );
    }
}

#[test]
fn what_was_paid_or_cancelled_takes_nothing_more() {
    for (status, reason) in [
        (Status::Confirming, UnmatchedReason::Extra),
        (Status::Completed, UnmatchedReason::Extra),
        (Status::Cancelled, UnmatchedReason::Cancelled),
    ] {
        let candidates = [in_status(1, status)];
        assert_eq!(
            judged(usdt(10), &candidates),
            unmatched(reason, Some(id(1)))
        );
    }
}

/// A payer who sent his 10 twice had the second 10 held against the one who was asked for 20, whose page then told
/// him that he had sent the wrong amount.
#[test]
fn a_second_payment_of_a_paid_order_is_not_blamed_on_another() {
    let both = [in_status(1, Status::Completed), payment(2).asking(usdt(20))];
    assert_eq!(
        judged(usdt(10), &both),
        unmatched(UnmatchedReason::Extra, Some(id(1)))
    );
}

/// It was called "extra: the payment it fits was already paid", though it fitted none.
#[test]
fn a_wrong_amount_beside_a_paid_order_is_a_wrong_amount() {
    let paid = [in_status(1, Status::Completed)];
    assert_eq!(
        judged(usdt(7), &paid),
        unmatched(UnmatchedReason::WrongAmount, Some(id(1)))
    );
}

#[test]
fn a_wrong_amount_between_two_waiting_is_nobodys() {
    let both = [payment(1), payment(2).asking(usdt(20))];
    assert_eq!(
        judged(usdt(15), &both),
        unmatched(UnmatchedReason::WrongAmount, None)
    );
}

#[test]
fn a_wrong_amount_among_closed_ones_is_told_to_the_nearest() {
    let closed = [
        in_status(1, Status::Completed).asking(usdt(100)),
        in_status(2, Status::Completed).asking(usdt(20)),
        in_status(3, Status::Expired)
            .asking(usdt(90))
            .with(|p| p.expires_at = slot(120)),
    ];
    let verdict = judged(usdt(21), &closed);
    assert_eq!(
        verdict,
        unmatched(UnmatchedReason::WrongAmount, Some(id(2)))
    );
}

#[test]
fn before_anyone_asked_it_is_early() {
    let early = arriving(50, usdt(10));
    let two = [payment(1).asking(usdt(20)), payment(2)];
    assert_eq!(
        judge(&early, &two),
        unmatched(UnmatchedReason::Early, Some(id(2)))
    );
    assert_eq!(judge(&early, &[]), unmatched(UnmatchedReason::Early, None));
    // One that existed takes it; the younger one does not stand in the way.
    let older = payment(1).with(|p| p.created_at = slot(40));
    assert_eq!(judge(&early, &[older, payment(2)]), Verdict::Credit(id(1)));
}

#[test]
fn a_payment_full_of_pieces_takes_only_the_one_that_completes_it() {
    let full = gathering(1).with(|p| {
        for n in 0..MAX_CREDITS as u64 {
            p.credit(Credit {
                txid: txid(1_000 + n),
                log_index: 0,
                from: address(9),
                amount: units(1),
                height: Height(140),
                block_time: slot(140),
                state: CreditState::Seen,
                basis: Basis::Matched,
            });
        }
    });
    let candidates = [full];
    assert_eq!(
        judged(usdt(1), &candidates),
        unmatched(UnmatchedReason::TooMany, Some(id(1)))
    );
    assert_eq!(judged(usdt(10), &candidates), Verdict::Credit(id(1)));
}
