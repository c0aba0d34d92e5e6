//! The amount of a new payment among those of its neighbours on the address: refused when ambiguous, or made unique.
//!
//! Part of the ledger's creation; reads claims, writes nothing.

use super::amount::Amount;
use super::changes::View;
use super::claim::{ClaimGroup, ClaimKey, ClaimOrder, ClaimQuery};
use super::ledger::Refusal;
use super::payment::{MatchRule, Payment};

/// Claims of an address's payments on any amount from `low` to `high`.
fn claims_of(
    new: &Payment,
    rule: MatchRule,
    group: ClaimGroup,
    (low, high): (Amount, Amount),
    limit: usize,
) -> ClaimQuery {
    ClaimQuery {
        watched: new.watched_address(),
        rule,
        group,
        low,
        high,
        order: ClaimOrder::Rising,
        limit,
    }
}

pub(super) const ANY_AMOUNT: (Amount, Amount) = (Amount::ZERO, Amount::MAX);

/// Refuses a payment while an open one on the address could claim the same transfer.
pub(super) fn refuse_rivals(view: &dyn View, new: &Payment) -> Result<(), Refusal> {
    let own = ClaimKey::of(new).claim;
    let span = match new.rule {
        MatchRule::Exact => (own.low(), own.high()),
        MatchRule::Accumulate => ANY_AMOUNT,
    };
    for (rule, span) in [
        (MatchRule::Exact, span),
        (MatchRule::Accumulate, ANY_AMOUNT),
    ] {
        for group in ClaimGroup::OPEN {
            let rivals = view.claims(&claims_of(new, rule, group, span, 1))?;
            if let Some(rival) = rivals.first() {
                return Err(Refusal::AmountAmbiguous(rival.id));
            }
        }
    }
    Ok(())
}

/// The least amount from the expected one upwards that no open or grace-period payment on the address claims.
///
/// A closed payment that takes any amount does not count: no choice of amount could keep its payer's next transfer apart.
pub(super) fn unique_amount(
    view: &dyn View,
    new: &Payment,
    cap: Amount,
) -> Result<Amount, Refusal> {
    if new.rule == MatchRule::Accumulate {
        return refuse_rivals(view, new).map(|()| new.expected);
    }
    for group in ClaimGroup::OPEN {
        let query = claims_of(new, MatchRule::Accumulate, group, ANY_AMOUNT, 1);
        if let Some(rival) = view.claims(&query)?.first() {
            return Err(Refusal::AmountAmbiguous(rival.id));
        }
    }
    let limit = new.expected.saturating_add(cap);
    let low = new.expected.saturating_sub(new.tolerance);
    let high = limit.saturating_add(new.tolerance);
    let mut taken = Vec::new();
    for group in ClaimGroup::ALL {
        let query = claims_of(new, MatchRule::Exact, group, (low, high), usize::MAX);
        for claim in view.claims(&query)? {
            taken.push((
                claim.low().saturating_sub(new.tolerance),
                claim.high().saturating_add(new.tolerance),
            ));
        }
    }
    taken.sort_unstable();
    let mut candidate = new.expected;
    for (from, to) in taken {
        if from > candidate {
            break;
        }
        if to >= candidate {
            candidate = to
                .checked_add(Amount::from_base_units(1))
                .ok_or(Refusal::NoUniqueAmount(cap))?;
        }
    }
    if candidate > limit {
        return Err(Refusal::NoUniqueAmount(cap));
    }
    Ok(candidate)
}
