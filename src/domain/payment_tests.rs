//! Attempts to bring a payment into a status that its credits, the chain's time and its final height do not justify.

use super::amount::Amount;
use super::claim::Width;
use super::ids::{Height, UnixMs};
use super::payment::*;
use super::test_support::{Adjust, CREATED, address, id, key, payment, slot, txid, units, usdt};

const NOW: UnixMs = UnixMs(1_800_000_000_000);

fn at(tip: u64, final_height: u64) -> ChainPoint {
    ChainPoint {
        tip: Height(tip),
        tip_time: slot(tip),
        final_height: Height(final_height),
    }
}

fn credit(tx: u64, height: u64, amount: Amount) -> Credit {
    Credit {
        txid: txid(tx),
        log_index: 0,
        from: address(9),
        amount,
        height: Height(height),
        block_time: slot(height),
        state: CreditState::Seen,
        basis: Basis::Matched,
    }
}

fn accumulating(n: u128) -> Payment {
    payment(n).with(|p| p.rule = MatchRule::Accumulate)
}

#[test]
fn a_final_payment_confirms_then_completes_when_its_block_is_final() {
    let mut p = payment(1);
    p.credit(credit(1, 110, usdt(10)));
    p.settle(at(110, 92), NOW);
    assert_eq!(p.status, Status::Confirming);
    assert_eq!(p.awaits(), Some(Awaits::Final(Height(110))));
    assert_eq!(p.confirmations_at(Height(110)), 1);
    assert_eq!((p.closed_at, p.completed_at), (None, None));
    p.settle(at(127, 109), NOW);
    assert_eq!(p.status, Status::Confirming, "one block short of final");
    p.settle(at(128, 110), NOW);
    assert_eq!(p.status, Status::Completed);
    assert_eq!((p.closed_at, p.completed_at), (Some(NOW), Some(NOW)));
    assert_eq!(p.final_confirmations, Some(19));
    assert_eq!(p.confirmations_at(Height(5_000)), 19, "frozen");
    assert_eq!(p.awaits(), None);
}

#[test]
fn a_depth_counts_the_block_itself_as_the_first() {
    for (wanted, completed_at_tip) in [(0, 110), (1, 110), (2, 111), (20, 129)] {
        let mut p = payment(1).with(|p| p.finality = Finality::Depth(wanted));
        p.credit(credit(1, 110, usdt(10)));
        assert_eq!(p.awaits(), Some(Awaits::Tip(Height(completed_at_tip))));
        for tip in 110..=completed_at_tip {
            p.settle(at(tip, 0), NOW);
            let expected = if tip == completed_at_tip {
                Status::Completed
            } else {
                Status::Confirming
            };
            assert_eq!(p.status, expected, "depth {wanted} at {tip}");
        }
    }
}

#[test]
fn an_absurd_depth_is_never_reached_and_never_overflows() {
    let mut p = payment(1).with(|p| p.finality = Finality::Depth(u32::MAX));
    p.credit(credit(1, u64::MAX - 1, usdt(10)));
    assert_eq!(p.awaits(), Some(Awaits::Tip(Height(u64::MAX))));
    assert_eq!(depth(Height(0), Height(u64::MAX)), u32::MAX);
    assert_eq!(depth(Height(7), Height(6)), 0);
    assert_eq!(depth(Height(6), Height(6)), 1);
}

#[test]
fn the_deadline_itself_is_in_time_and_the_next_millisecond_is_late() {
    let p = payment(1);
    assert!(p.in_time(p.expires_at) && p.accepts(p.expires_at));
    let late = p.expires_at.plus_ms(1);
    assert!(!p.in_time(late) && !p.accepts(late));
    let mut p = payment(1);
    p.settle(at(200, 0), NOW);
    assert_eq!(p.status, Status::Pending, "the block at the deadline");
    p.settle(at(201, 0), NOW);
    assert_eq!(p.status, Status::Expired, "the block after it");
    assert_eq!(p.closed_at, Some(NOW));
}

#[test]
fn money_short_of_the_amount_at_the_deadline_is_underpaid() {
    let mut p = accumulating(1);
    p.credit(credit(1, 150, usdt(9)));
    p.settle(at(200, 200), NOW);
    assert_eq!(p.status, Status::Pending);
    p.settle(at(201, 200), NOW);
    assert_eq!(p.status, Status::Underpaid);
}

#[test]
fn enough_money_before_the_deadline_outlives_it() {
    let mut p = payment(1);
    p.credit(credit(1, 200, usdt(10)));
    p.settle(at(200, 100), NOW);
    p.settle(at(500, 100), NOW);
    assert_eq!(p.status, Status::Confirming, "finality stalls for an hour");
    p.settle(at(501, 200), NOW);
    assert_eq!(p.status, Status::Completed);
}

#[test]
fn a_tolerance_counts_downwards_and_an_overpayment_upwards() {
    let near = |amount| {
        let mut p = accumulating(1).with(|p| p.tolerance = units(5));
        p.credit(credit(1, 110, amount));
        p.settle(at(110, 110), NOW);
        (p.status, p.is_overpaid())
    };
    assert_eq!(near(units(9_999_994)), (Status::Pending, false));
    assert_eq!(near(units(9_999_995)), (Status::Completed, false));
    assert_eq!(near(units(10_000_005)), (Status::Completed, false));
    assert_eq!(near(units(10_000_006)), (Status::Completed, true));
}

/// With a tolerance of the whole amount nothing was needed, and nothing was already confirmed: the payment completed
/// with its only transfer in a block that could still be forked away. Found by `ledger_model_tests`.
#[test]
fn a_tolerance_of_all_of_it_still_asks_for_something_confirmed() {
    let mut p = accumulating(1).with(|p| p.tolerance = usdt(50));
    p.settle(at(150, 150), NOW);
    assert_eq!(p.status, Status::Pending, "nothing came");
    p.credit(credit(1, 151, units(1)));
    p.settle(at(151, 150), NOW);
    assert_eq!(p.status, Status::Confirming);
    p.settle(at(151, 151), NOW);
    assert_eq!(p.status, Status::Completed);
}

#[test]
fn sums_beyond_the_largest_number_stay_the_largest_number() {
    let mut p = accumulating(1).asking(Amount::MAX);
    p.credit(credit(1, 110, Amount::MAX));
    p.credit(credit(2, 110, Amount::MAX));
    assert_eq!(p.received(), Amount::MAX);
    p.settle(at(110, 110), NOW);
    assert_eq!(p.status, Status::Completed);
}

#[test]
fn a_reverted_credit_is_worth_nothing_and_can_come_back() {
    let mut p = payment(1).with(|p| p.finality = Finality::Depth(1));
    p.credit(credit(1, 110, usdt(10)));
    p.settle(at(110, 0), NOW);
    assert_eq!(p.status, Status::Completed);
    assert!(p.revert(&key(1, 0)));
    assert!(!p.revert(&key(1, 0)), "only once");
    assert!(!p.revert(&key(2, 0)), "never an unknown one");
    p.settle(at(109, 0), NOW);
    assert_eq!(p.status, Status::Pending);
    assert_eq!((p.closed_at, p.completed_at), (None, None));
    assert_eq!(p.final_confirmations, None);
    assert_eq!(p.credits.len(), 1, "kept as history");
    p.credit(credit(1, 111, usdt(10)));
    p.settle(at(111, 0), NOW);
    assert_eq!(p.status, Status::Completed);
    assert_eq!(p.credits.len(), 1, "the same transfer is one credit");
    assert_eq!(p.received(), usdt(10));
}

#[test]
fn a_confirmed_credit_stays_so_when_a_fork_above_it_lowers_the_tip() {
    let mut p = payment(1).with(|p| p.finality = Finality::Depth(5));
    p.credit(credit(1, 110, usdt(10)));
    p.settle(at(114, 0), NOW);
    assert_eq!(p.status, Status::Completed);
    p.settle(at(111, 0), NOW);
    assert_eq!(p.status, Status::Completed);
}

/// An underpaid payment that a fork emptied went back to pending when the next part came, and was announced as
/// underpaid a second time; an expired one did the same. Once announced, only enough money undoes an end.
#[test]
fn an_end_is_undone_only_by_enough_money() {
    let mut p = accumulating(1);
    p.credit(credit(1, 150, usdt(4)));
    p.settle(at(201, 0), NOW);
    assert_eq!(p.status, Status::Underpaid);
    assert!(p.revert(&key(1, 0)));
    p.settle(at(149, 0), NOW);
    assert_eq!(
        p.status,
        Status::Expired,
        "the fork went back before the deadline"
    );
    p.credit(credit(2, 150, usdt(4)));
    p.settle(at(150, 0), NOW);
    assert_eq!(p.status, Status::Underpaid);
    assert!(p.accepts(slot(151)), "the rest may come in time");
    p.credit(credit(3, 151, usdt(6)));
    p.settle(at(151, 0), NOW);
    assert_eq!(p.status, Status::Confirming);
}

#[test]
fn a_cancelled_payment_stays_cancelled_whatever_comes() {
    let mut p = accumulating(1);
    p.credit(credit(1, 110, usdt(4)));
    p.cancel(NOW);
    assert!(!p.accepts(slot(111)));
    p.credit(credit(2, 111, usdt(6)));
    p.settle(at(300, 300), NOW);
    assert_eq!(p.status, Status::Cancelled);
    assert!(p.revert(&key(1, 0)));
    p.settle(at(109, 100), NOW);
    assert_eq!(p.status, Status::Cancelled);
    assert_eq!(p.awaits(), None);
}

#[test]
fn only_who_waits_accepts() {
    for status in Status::ALL {
        let p = payment(1).with(|p| p.status = status);
        let waits = matches!(
            status,
            Status::Pending | Status::Expired | Status::Underpaid
        );
        assert_eq!(p.accepts(slot(150)), waits, "{status:?}");
        assert_eq!(Status::parse(status.as_str()), Some(status));
    }
}

/// With a grace of nothing, the address was forgotten one block after the deadline; a fork of two blocks that
/// moved the transfer into the last block in time then lost it without a trace.
#[test]
fn an_address_is_watched_for_an_hour_after_the_deadline_at_least() {
    let p = payment(1).with(|p| p.grace_seconds = 0);
    assert_eq!(p.grace_end(), p.expires_at);
    assert_eq!(p.unwatch_at(), p.expires_at.plus_seconds(3_600));
    let p = payment(1);
    assert_eq!(p.unwatch_at(), p.grace_end());
}

/// A payment that was completed and forgotten, then reopened by a deep fork, waited for money at an address that
/// nobody watched.
#[test]
fn what_waits_again_watches_again() {
    let mut p = payment(1).with(|p| p.finality = Finality::Depth(1));
    p.credit(credit(1, 110, usdt(10)));
    p.settle(at(110, 0), NOW);
    p.watched = false;
    assert!(p.revert(&key(1, 0)));
    p.settle(at(109, 0), NOW);
    assert_eq!((p.status, p.watched), (Status::Pending, true));
}

/// After an outage the newest height known is hours old, and every block since is above it. A transfer made before
/// the payment existed then paid it: anyone could see a transfer of 37.50 arrive and order for exactly that.
#[test]
fn a_block_above_a_stale_height_is_not_proof_of_being_younger() {
    let p = payment(1).with(|p| p.created_above = Height(0));
    let hour_before = UnixMs(CREATED.0 - 3_600_000);
    assert!(!p.existed_at(Height(90), hour_before));
    let clock_ahead = UnixMs(CREATED.0 - 300_000);
    assert!(p.existed_at(Height(101), clock_ahead), "clocks may differ");
    assert!(!p.existed_at(Height(0), clock_ahead));
    assert!(p.existed_at(Height(0), UnixMs(CREATED.0 - 30_000)));
    assert!(!p.existed_at(Height(0), UnixMs(CREATED.0 - 30_001)));
}

/// Sixty-four transfers of dust filled an accumulating payment for good; the real money after them was refused.
#[test]
fn dust_cannot_block_the_transfer_that_completes() {
    let mut p = accumulating(1);
    for tx in 0..MAX_CREDITS as u64 {
        assert!(p.has_room_for(units(1)));
        p.credit(credit(tx, 110, units(1)));
    }
    assert!(!p.has_room_for(units(1)));
    assert!(p.has_room_for(usdt(10)));
    assert!(!p.has_room_for(units(9_999_935)));
    assert!(p.has_room_for(units(9_999_936)));
}

#[test]
fn forks_without_end_leave_a_bounded_history() {
    let mut p = payment(1);
    for tx in 0..1_000 {
        p.credit(credit(tx, 110, usdt(10)));
        assert!(p.revert(&key(tx, 0)));
    }
    p.credit(credit(1_000, 110, usdt(10)));
    assert!(p.credits.len() <= MAX_CREDITS + 1);
    assert_eq!(p.received(), usdt(10));
}

#[test]
fn the_newest_live_credit_tells_the_transaction() {
    let mut p = accumulating(1);
    assert_eq!(p.last_credit(), None);
    assert_eq!(p.confirmations_at(Height(500)), 0);
    p.credit(credit(1, 110, usdt(1)));
    p.credit(credit(2, 112, usdt(1)));
    p.credit(credit(3, 111, usdt(1)));
    assert_eq!(p.last_credit().map(|c| c.txid), Some(txid(2)));
    assert_eq!(p.awaits(), Some(Awaits::Final(Height(110))), "the oldest");
    assert!(p.revert(&key(2, 0)));
    assert_eq!(p.last_credit().map(|c| c.txid), Some(txid(3)));
    assert_eq!(p.id, id(1));
}

#[test]
fn a_width_holds_exactly_the_tolerances_of_its_digits() {
    let cases = [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (255, 8), (256, 9)];
    for (tolerance, width) in cases {
        assert_eq!(Width::of(units(tolerance)), Width(width), "{tolerance}");
        assert!(Width(width).max_tolerance() >= units(tolerance));
    }
    assert_eq!(Width::of(Amount::MAX), Width(128));
    assert_eq!(Width(128).max_tolerance(), Amount::MAX);
    assert_eq!(Width(0).max_tolerance(), Amount::ZERO);
}
