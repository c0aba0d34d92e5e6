//! Thousands of payments on one address: each further one must cost about as much as the first.

#[path = "support/domain.rs"]
mod domain;
#[path = "support/store.rs"]
mod store;

use std::time::{Duration, Instant};

use domain::amount::Amount;
use domain::changes::ChainChange;
use domain::ledger::{self, AmbiguityRule, AmountPolicy};
use domain::payment::{AmountMode, Payment};
use domain::test_support::{Adjust, CHAIN, CREATED, block, payment, transfer, units, usdt};

const POLICY: AmountPolicy = AmountPolicy {
    ambiguity: AmbiguityRule::Reject,
    unique_cap: Amount::from_base_units(10_000),
};

async fn fill(name: &str, count: u128, make: impl Fn(u128) -> Payment, policy: AmountPolicy) {
    let store = store::in_memory();
    let genesis = block(100, Vec::new()).header;
    store::decide(&store, move |_| {
        Ok(domain::changes::Changes {
            chain: Some((CHAIN, ChainChange::Jump(genesis))),
            ..Default::default()
        })
    })
    .await
    .expect("jumps");
    let started = Instant::now();
    let mut last = Duration::ZERO;
    for n in 1..=count {
        let new = make(n);
        let one = Instant::now();
        store::decide(&store, move |view| {
            ledger::create(view, new, policy, CREATED)
        })
        .await
        .expect("created");
        last = one.elapsed();
    }
    let all = started.elapsed();
    let transfers = (0..10).map(|n| transfer(n, n as u32, usdt(10))).collect();
    let one = Instant::now();
    store::decide(&store, move |view| {
        ledger::extend(view, CHAIN, &block(101, transfers), CREATED)
    })
    .await
    .expect("extends");
    println!(
        "{name}: {count} creates {all:?}, the last {last:?}, a block of 10 transfers {:?}",
        one.elapsed()
    );
}

#[tokio::test]
async fn measure() {
    let count: u128 = std::env::var("COUNT")
        .ok()
        .and_then(|c| c.parse().ok())
        .unwrap_or(500);
    fill(
        "distinct amounts",
        count,
        |n| payment(n).asking(units(10_000_000 + n * 100)),
        POLICY,
    )
    .await;
    fill(
        "unique amounts",
        count,
        |n| payment(n).with(|p| p.amount_mode = AmountMode::Unique),
        POLICY,
    )
    .await;
    let oldest_first = AmountPolicy {
        ambiguity: AmbiguityRule::OldestFirst,
        ..POLICY
    };
    fill("oldest first, one amount", count, payment, oldest_first).await;
}
