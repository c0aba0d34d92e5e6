//! The built-in store against `MemoryState`, the store as simple as it can be said: the same random decisions must come
//! to the same on both, and every question a plan can ask must get the same answer.

use std::cmp::Reverse;

use fastrand::Rng;
use paybell::store::{EventScope, PaymentFilter, Store, TransferFilter};

use crate::domain::amount::Amount;
use crate::domain::api_key::KeyId;
use crate::domain::chain::{Block, BlockHeader};
use crate::domain::changes::{Changes, Timer, View};
use crate::domain::claim::{ClaimGroup, ClaimOrder, ClaimQuery};
use crate::domain::idempotency::{self, KeyedRequest};
use crate::domain::ids::{ChainId, Height, PaymentId, TransferKey, UnixMs, Watched};
use crate::domain::ledger::{self, AmbiguityRule, AmountPolicy, Refusal, Watching};
use crate::domain::payment::{AmountMode, Finality, MatchRule, Payment, Status, TransferState};
use crate::domain::test_support::*;
use crate::domain::wallet;
use crate::webhook_orders::{self, Order};
use crate::{POLICY, answers, audit, called_back, keys, store};

const SEEDS: u64 = 40;
const STEPS: usize = 90;
const CHAINS: [ChainId; 2] = [CHAIN, ChainId(1)];
const NOW: UnixMs = UnixMs(1_800_000_000_000);

/// A command, decided so far that it can be given twice.
#[derive(Debug, Clone)]
enum Op {
    Create(Box<Payment>, AmbiguityRule),
    CreateInWallet(Box<Payment>, AmbiguityRule),
    CreateOnce(Box<Payment>, KeyedRequest),
    Forget(UnixMs),
    Cancel(PaymentId),
    Assign(TransferKey, PaymentId),
    Extend(ChainId, Block),
    Rollback(ChainId, BlockHeader),
    Finalize(ChainId, BlockHeader),
    Jump(ChainId, BlockHeader),
    CatchUp(ChainId),
    RemoveOld(UnixMs),
    Webhooks(Order),
    Keys(keys::Order),
}

impl Op {
    fn decide(&self, view: &dyn View, now: UnixMs) -> Result<Changes, Refusal> {
        match self {
            Self::Create(new, ambiguity) => {
                let policy = AmountPolicy {
                    ambiguity: *ambiguity,
                    unique_cap: units(5),
                };
                ledger::create(view, (**new).clone(), policy, now)
            }
            Self::CreateInWallet(new, ambiguity) => {
                let policy = AmountPolicy {
                    ambiguity: *ambiguity,
                    unique_cap: units(5),
                };
                let mut from = wallet("main");
                from.chain = new.chain;
                wallet::create(view, &from, (**new).clone(), policy, now)
            }
            Self::CreateOnce(new, request) => {
                let create = || ledger::create(view, (**new).clone(), POLICY, now);
                let answer = |payment: &Payment| Ok(answers::answer_of(payment));
                idempotency::once(view, request, now, create, answer)
            }
            Self::Forget(now) => Ok(idempotency::forget(view, *now)?),
            Self::Cancel(id) => ledger::cancel(view, *id, now),
            Self::Assign(key, id) => {
                ledger::assign(view, key, *id, Some(KeyId(id.0.as_u128())), now)
            }
            Self::Extend(chain, block) => ledger::extend(view, *chain, block, now),
            Self::Rollback(chain, to) => ledger::rollback(view, *chain, to, now),
            Self::Finalize(chain, header) => ledger::finalize(view, *chain, header, now),
            Self::Jump(chain, to) => ledger::jump(view, *chain, to, Watching::Nothing),
            Self::CatchUp(chain) => ledger::catch_up(view, *chain, now),
            Self::RemoveOld(before) => ledger::remove_old(view, *before),
            Self::Webhooks(order) => order.decide(view, now),
            Self::Keys(order) => order.decide(view, now),
        }
    }
}

/// Draws commands that make sense on the state, and some that do not.
struct Draw<'a> {
    rng: &'a mut Rng,
    state: &'a MemoryState,
    step: u64,
}

impl Draw<'_> {
    fn op(&mut self) -> Op {
        let chain = CHAINS[self.rng.usize(..2)];
        let Some((tip, final_height)) = self.state.cursors.get(&chain).copied() else {
            return Op::Jump(chain, block(100, Vec::new()).header);
        };
        let tip_header = self.state.blocks[&(chain, tip)];
        if self.rng.u8(..3) == 0 {
            return Op::Webhooks(Order::draw(self.rng, self.state, self.step));
        }
        if self.rng.u8(..12) == 0 {
            return Op::Keys(keys::Order::draw(self.rng, self.state));
        }
        match self.rng.u8(..27) {
            0..7 => self.create(chain),
            7 => Op::Cancel(id(u128::from(self.rng.u64(..=self.step)))),
            8..16 => self.extend(chain, &tip_header),
            16..18 => self.rollback(chain, tip, final_height),
            18..20 => self.finalize(chain, tip),
            20 => Op::Jump(chain, block(tip.0 + self.rng.u64(1..50), Vec::new()).header),
            21 => Op::CatchUp(chain),
            22 => Op::Forget(NOW.plus_ms(24 * 3600 * 1000 + self.rng.u64(..=self.step))),
            24.. => self.assign(),
            _ => Op::RemoveOld(NOW.plus_ms(self.rng.u64(..=self.step))),
        }
    }

    fn create(&mut self, chain: ChainId) -> Op {
        let (rng, n) = (&mut *self.rng, u128::from(self.step));
        let tip_time = self.state.cursors[&chain].0;
        let tip_time = self.state.blocks[&(chain, tip_time)].time;
        let new = called_back(n).asking(units(rng.u128(8..13))).with(|p| {
            p.chain = chain;
            p.address = address(rng.u8(1..4));
            p.tolerance = units([0, 0, 1, 3, 20][rng.usize(..5)]);
            p.expires_at = tip_time.plus_ms(rng.u64(0..60_000));
            p.grace_seconds = rng.u64(0..8_000);
            p.finality = [Finality::Final, Finality::Depth(1), Finality::Depth(3)][rng.usize(..3)];
            if rng.u8(..4) == 0 {
                p.rule = MatchRule::Accumulate;
            }
            if rng.u8(..4) == 0 {
                p.amount_mode = AmountMode::Unique;
            }
            if rng.u8(..8) == 0 {
                p.order_id = "order-1".to_owned();
            }
        });
        let rules = [AmbiguityRule::Reject, AmbiguityRule::OldestFirst];
        let (new, rule) = (Box::new(new), rules[rng.usize(..2)]);
        match rng.u8(..6) {
            0 => return Op::CreateInWallet(new, rule),
            1..3 => return Op::CreateOnce(new, answers::keyed(rng.u128(..4))),
            _ => {}
        }
        Op::Create(new, rule)
    }

    fn assign(&mut self) -> Op {
        let known: Vec<_> = self.state.transfers.keys().copied().collect();
        let key = self.rng.choice(known).unwrap_or(key(99, 0));
        Op::Assign(key, id(u128::from(self.rng.u64(..=self.step))))
    }

    fn extend(&mut self, chain: ChainId, tip: &BlockHeader) -> Op {
        let height = tip.height.0 + 1;
        let rng = &mut *self.rng;
        let transfers = (0..rng.u32(0..5))
            .map(|n| transfer_to(rng.u8(1..4), rng.u64(..40), n, units(rng.u128(0..14))))
            .collect();
        let mut next = block_on(0, rng.u8(..4), height, transfers);
        next.header.parent = tip.hash;
        // Mostly one slot, sometimes over deadlines, sometimes over the grace's end.
        let gap = [3_000, 3_000, 3_000, 60_000, 4_000_000][rng.usize(..5)];
        next.header.time = tip.time.plus_ms(gap);
        if rng.u8(..10) == 0 {
            next.header.parent = hash(9, height);
        }
        Op::Extend(chain, next)
    }

    fn rollback(&mut self, chain: ChainId, tip: Height, final_height: Height) -> Op {
        let back = self.rng.u64(..8);
        let to = Height(
            tip.0
                .saturating_sub(back)
                .max(final_height.0.saturating_sub(1)),
        );
        let known = self.state.blocks.get(&(chain, to)).copied();
        Op::Rollback(chain, known.unwrap_or(block(to.0, Vec::new()).header))
    }

    fn finalize(&mut self, chain: ChainId, tip: Height) -> Op {
        let height = Height(tip.0.saturating_sub(self.rng.u64(..6)));
        let known = self.state.blocks.get(&(chain, height)).copied();
        Op::Finalize(chain, known.unwrap_or(block(height.0, Vec::new()).header))
    }
}

fn text<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: &Result<T, E>) -> String {
    format!("{outcome:?}")
}

/// Asks both everything that a plan can ask.
fn ask_both(real: &dyn View, simple: &MemoryState) {
    for chain in CHAINS {
        assert_eq!(text(&real.cursor(chain)), text(&simple.cursor(chain)));
        assert_eq!(text(&real.watches(chain)), text(&simple.watches(chain)));
        for n in 0..5 {
            let watched = Watched {
                chain,
                address: address(n),
            };
            assert_eq!(
                text(&real.watches_address(watched)),
                text(&simple.watches_address(watched))
            );
        }
        for height in 90..260 {
            let at = Height(height);
            assert_eq!(text(&real.block(chain, at)), text(&simple.block(chain, at)));
        }
        for height in [0, 100, 103, 110] {
            let (a, b) = (
                real.transfers_above(chain, Height(height)),
                simple.transfers_above(chain, Height(height)),
            );
            assert_eq!(text(&a), text(&b), "transfers above {height}");
        }
        ask_timers(real, simple, chain);
        ask_claims(real, simple, chain);
    }
    for (key, record) in &simple.transfers {
        assert_eq!(real.transfer(key).unwrap().as_ref(), Some(record));
        let (a, b) = (
            real.promises(key.chain, key.txid),
            simple.promises(key.chain, key.txid),
        );
        assert_eq!(text(&a), text(&b), "promises of {key}");
    }
    for payment in simple.payments.values() {
        assert_eq!(real.payment(payment.id).unwrap().as_ref(), Some(payment));
        let by_order = real.payment_by_order(&payment.order_id).unwrap();
        assert_eq!(by_order, Some(payment.id));
    }
    for n in 0..4 {
        let key = answers::keyed(n).key;
        assert_eq!(text(&real.kept_answer(key)), text(&simple.kept_answer(key)));
    }
    for (time, limit) in [
        (NOW.plus_ms(20), 1000),
        (UnixMs(u64::MAX), 1),
        (UnixMs(u64::MAX), 1000),
    ] {
        let (a, b) = (
            real.answers_before(time, limit),
            simple.answers_before(time, limit),
        );
        assert_eq!(text(&a), text(&b), "answers before {time:?}");
    }
    assert_eq!(text(&real.next_sequence()), text(&simple.next_sequence()));
    webhook_orders::ask_both(real, simple);
    assert_eq!(real.api_keys().unwrap(), simple.api_keys);
}

fn ask_timers(real: &dyn View, simple: &MemoryState, chain: ChainId) {
    for timer in [
        Timer::Deadline(chain),
        Timer::GraceEnd(chain),
        Timer::Closed,
    ] {
        for time in [slot(103), slot(120), NOW.plus_ms(20), UnixMs(u64::MAX)] {
            for limit in [3, 1000] {
                let (a, b) = (
                    real.timers_before(timer, time, limit),
                    simple.timers_before(timer, time, limit),
                );
                assert_eq!(text(&a), text(&b), "{timer:?} before {time:?}");
            }
        }
    }
    if let Ok(Some(cursor)) = simple.cursor(chain) {
        for limit in [1, 3, 1000] {
            let (a, b) = (
                real.awaiting(chain, cursor.point(), limit),
                simple.awaiting(chain, cursor.point(), limit),
            );
            assert_eq!(text(&a), text(&b), "awaiting");
        }
    }
}

fn ask_claims(real: &dyn View, simple: &MemoryState, chain: ChainId) {
    for group in ClaimGroup::ALL {
        for rule in [MatchRule::Exact, MatchRule::Accumulate] {
            for order in [ClaimOrder::Rising, ClaimOrder::Falling] {
                for (low, high) in [(0, u128::MAX), (9, 9), (11, 14)] {
                    for limit in [1, 2, 1000] {
                        let query = ClaimQuery {
                            watched: Watched {
                                chain,
                                address: address(1),
                            },
                            rule,
                            group,
                            low: Amount::from_base_units(low),
                            high: Amount::from_base_units(high),
                            order,
                            limit,
                        };
                        assert_eq!(
                            text(&real.claims(&query)),
                            text(&simple.claims(&query)),
                            "{query:?}"
                        );
                    }
                }
            }
        }
    }
}

async fn run(seed: u64) -> (usize, usize) {
    let mut rng = Rng::with_seed(seed);
    let (real, mut simple) = (store::in_memory(), MemoryState::default());
    let mut refused = 0;
    for step in 1..=STEPS as u64 {
        let op = Draw {
            rng: &mut rng,
            state: &simple,
            step,
        }
        .op();
        let now = NOW.plus_ms(step);
        let given = op.clone();
        let expected = simple.decide(|view| op.decide(view, now));
        let outcome = store::decide(&real, move |view| given.decide(view, now)).await;
        match (&outcome, &expected) {
            (Ok(write), Ok(changes)) => {
                let written = Changes {
                    events: changes.events.clone(),
                    ..write.changes.clone()
                };
                assert_eq!(&written, changes, "seed {seed}, step {step}: {op:?}");
            }
            (Err(a), Err(b)) => {
                refused += 1;
                assert_eq!(
                    a.to_string(),
                    b.to_string(),
                    "seed {seed}, step {step}: {op:?}"
                );
            }
            _ => panic!("seed {seed}, step {step}, {op:?}: {outcome:?} but {expected:?}"),
        }
    }
    compare(&real, &simple).await;
    (refused, simple.events.len())
}

/// Each with the others and without.
fn filters() -> Vec<PaymentFilter> {
    let mut filters = Vec::new();
    for to in [None, Some(1), Some(3)] {
        for transaction in (0..40).step_by(3).map(Some).chain([None]) {
            for chain in [None, Some(CHAINS[0]), Some(CHAINS[1])] {
                for status in [None, Some(Status::Completed), Some(Status::Pending)] {
                    for order in [None, Some("order-1"), Some("order-7")] {
                        filters.push(PaymentFilter {
                            status,
                            chain,
                            order_id: order.map(str::to_owned),
                            address: to.map(address),
                            transaction: transaction.map(txid),
                        });
                    }
                }
            }
        }
    }
    filters
}

async fn compare(real: &paybell::store::redb::RedbStore, simple: &MemoryState) {
    let asked = simple.clone();
    store::decide(real, move |view| {
        ask_both(view, &asked);
        Ok(Changes::default())
    })
    .await
    .unwrap();
    let mut payments = audit::payments(real, &PaymentFilter::default()).await;
    payments.reverse();
    assert_eq!(
        payments,
        simple.payments.values().cloned().collect::<Vec<_>>()
    );
    for filter in filters() {
        let listed = audit::payments(real, &filter).await;
        let wanted = simple.payments.values().rev().filter(|p| filter.wants(p));
        let wanted: Vec<Payment> = wanted.cloned().collect();
        assert_eq!(listed, wanted, "{filter:?}");
    }
    let events = audit::events(real, EventScope::All).await;
    let bodies: Vec<_> = events.iter().map(|e| e.body.clone()).collect();
    assert_eq!(
        bodies,
        simple.events.iter().map(store::body).collect::<Vec<_>>()
    );
    let mut unmatched: Vec<_> = simple
        .transfers
        .values()
        .filter(|t| matches!(t.state, TransferState::Unmatched { .. }))
        .copied()
        .collect();
    unmatched.sort_by_key(|t| Reverse(t.place()));
    let listed = audit::unmatched(real, TransferFilter::default()).await;
    assert_eq!(listed, unmatched, "what settled nothing, newest first");
    for chain in CHAINS {
        let cursor = real.cursor(chain).await.unwrap();
        assert_eq!(cursor, simple.cursor(chain).unwrap());
    }
    let account = wallet("main").key.id();
    assert_eq!(
        real.next_index(account).await.unwrap(),
        simple.next_index(account).unwrap()
    );
    webhook_orders::compare(real, simple).await;
    assert_eq!(real.api_keys(), simple.api_keys);
    audit::whole(real).await;
}

#[tokio::test]
async fn the_built_in_store_and_the_simple_one_agree() {
    let only = std::env::var("DIFFERENTIAL_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let seeds = only.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    let (mut refused, mut events) = (0, 0);
    for seed in seeds {
        println!("DIFFERENTIAL_SEED={seed}");
        let (r, e) = run(seed).await;
        refused += r;
        events += e;
    }
    println!("{STEPS} commands each: {refused} refused alike, {events} events alike");
}
