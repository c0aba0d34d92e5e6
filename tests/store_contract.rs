//! The store's contract, tried on the built-in store: what is committed is read back whole, what is refused leaves no
//! trace, numbers have no gaps, lists can be walked, and neither a kill nor a power cut loses what was answered.
#![allow(clippy::unwrap_used)]

#[path = "store_contract/answers.rs"]
mod answers;
#[path = "store_contract/audit.rs"]
mod audit;
#[path = "store_contract/chain.rs"]
mod chain;
#[path = "store_contract/deliveries.rs"]
mod deliveries;
#[path = "store_contract/differential.rs"]
mod differential;
#[path = "support/disk.rs"]
mod disk;
#[path = "support/domain.rs"]
mod domain;
#[path = "store_contract/endpoints.rs"]
mod endpoints;
#[path = "store_contract/files.rs"]
mod files;
#[path = "store_contract/keys.rs"]
mod keys;
#[path = "store_contract/leftovers.rs"]
mod leftovers;
#[path = "store_contract/lists.rs"]
mod lists;
#[path = "store_contract/plans.rs"]
mod plans;
#[path = "store_contract/power_loss.rs"]
mod power_loss;
#[path = "support/store.rs"]
mod store;
#[path = "store_contract/wallets.rs"]
mod wallets;
#[path = "store_contract/webhook_orders.rs"]
mod webhook_orders;

use domain::ledger::{AmbiguityRule, AmountPolicy};
use domain::payment::{Callback, CallbackScope, Payment};
use domain::test_support::{self, Adjust};

/// Payments of one amount may stand side by side, so that tests need not tell them apart.
pub const POLICY: AmountPolicy = AmountPolicy {
    ambiguity: AmbiguityRule::OldestFirst,
    unique_cap: domain::amount::Amount::from_base_units(10_000),
};

/// A payment whose callback hears of everything.
pub fn called_back(n: u128) -> Payment {
    test_support::payment(n).with(|p| {
        p.callback = Some(Callback {
            url: format!("https://shop.example/{n}"),
            scope: CallbackScope::Everything,
        });
    })
}

/// Commits a new payment as the ledger does.
pub async fn create(
    store: &dyn paybell::store::Store,
    new: Payment,
) -> Result<std::sync::Arc<paybell::store::Write>, paybell::store::CommitError> {
    store::decide(store, move |view| {
        domain::ledger::create(view, new, POLICY, test_support::CREATED)
    })
    .await
}
