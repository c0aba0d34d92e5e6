//! Random histories of payments, cancellations, assignments by hand, blocks, forks and finality, compared after every step with a model
//! that knows no history but the blocks now on the chain: it replays them, with the commands between them, from nothing.
//!
//! What a fork must undo is undone in the model by not being there. Four things rightly outlive the blocks that
//! caused them, and are all that the model remembers besides: the deepest tip that ever stood on a block still on
//! the chain, counted from the decision where an operator credited the block's transfer later (a confirmation once reached stays while its block does), the newest final height, which cancellations
//! were accepted, and that an end was announced (only enough money undoes it).
//!
//! Left out on purpose: which reason an unmatched transfer is given and on whom it is blamed (`matcher_tests`), that
//! addresses stop being watched (no history here lasts the hour for which they are), jumps, batches and removal.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::address::Address;
use super::chain::{Block, BlockHeader, Transfer};
use super::changes::{Changes, PaymentKeys, View};
use super::ids::{PaymentId, TransferKey, TxId, UnixMs};
use super::ledger::{self, AmbiguityRule, AmountPolicy, Refusal};
use super::payment::*;
use super::test_support::*;

const START: u64 = 100;
const NOW: UnixMs = UnixMs(1_800_000_000_000);

#[derive(Debug, Clone)]
enum Op {
    Create {
        address: u8,
        units: u8,
        tolerance: u8,
        accumulate: bool,
        unique: bool,
        depth: u8,
        slots: u8,
    },
    Cancel(prop::sample::Index),
    /// Any transfer ever seen, to any payment.
    Assign(prop::sample::Index, prop::sample::Index),
    Block(Vec<Sent>),
    Fork(u8),
    Final(u8),
}

#[derive(Debug, Clone)]
enum Sent {
    New {
        address: u8,
        units: u8,
    },
    /// One that a fork dropped, perhaps at another place in its block.
    Dropped(prop::sample::Index),
    /// The transfer before it once more, as another log of its transaction.
    Twin,
    /// Another log of the transaction before it.
    Same {
        address: u8,
        units: u8,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let sent = || {
        prop_oneof![
            4 => (1_u8..4, 1_u8..14).prop_map(|(address, units)| Sent::New { address, units }),
            3 => any::<prop::sample::Index>().prop_map(Sent::Dropped),
            1 => Just(Sent::Twin),
            1 => (1_u8..4, 0_u8..14).prop_map(|(address, units)| Sent::Same { address, units }),
        ]
    };
    let create = (
        1_u8..3,
        8_u8..13,
        prop_oneof![3 => Just(0_u8), 1 => 1_u8..4, 1 => Just(20)],
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.2),
        0_u8..4,
        0_u8..12,
    );
    prop_oneof![
        3 => create.prop_map(|(address, units, tolerance, accumulate, unique, depth, slots)| {
            Op::Create { address, units, tolerance, accumulate, unique, depth, slots }
        }),
        1 => any::<prop::sample::Index>().prop_map(Op::Cancel),
        2 => any::<[prop::sample::Index; 2]>().prop_map(|[which, whom]| Op::Assign(which, whom)),
        6 => prop::collection::vec(sent(), 0..4).prop_map(Op::Block),
        2 => (1_u8..16).prop_map(Op::Fork),
        2 => (0_u8..8).prop_map(Op::Final),
    ]
}

/// A block on the chain, and the deepest tip that has stood on it.
#[derive(Debug, Clone)]
struct Standing {
    block: Block,
    step: usize,
    deepest: u64,
}

#[derive(Debug, Clone, Copy)]
enum Command {
    Created(PaymentId),
    Cancelled(PaymentId),
    Assigned(Decision),
}

/// What an operator has said: this money pays for this payment.
#[derive(Debug, Clone, Copy)]
struct Decision {
    key: TransferKey,
    money: Money,
    payment: PaymentId,
    /// The deepest tip since.
    deepest: u64,
}

type Money = (TxId, Address, Address, u128);

fn money_of(t: &Transfer) -> Money {
    (t.txid, t.from, t.to, t.amount.base_units())
}

/// What the model remembers.
#[derive(Debug)]
struct Model {
    chain: Vec<Standing>,
    commands: Vec<(usize, Command)>,
    final_height: u64,
    ended: BTreeSet<PaymentId>,
}

/// What the model comes to: credits by payment, and every transfer's owner.
#[derive(Debug, Default)]
struct Replay {
    order: Vec<PaymentId>,
    cancelled: BTreeSet<PaymentId>,
    credits: BTreeMap<PaymentId, Vec<(TransferKey, u128, usize)>>,
    transfers: BTreeMap<TransferKey, Option<PaymentId>>,
    /// Amount and block of what settles nothing.
    unmatched: BTreeMap<TransferKey, (u128, usize)>,
    by_hand: BTreeSet<TransferKey>,
    /// The deepest tip since the decision, where that came after the block.
    decided_late: BTreeMap<TransferKey, u64>,
    /// Decisions whose money is not on the chain.
    waiting: Vec<Decision>,
}

impl Replay {
    fn sum(&self, id: PaymentId) -> u128 {
        let credits = self.credits.get(&id).into_iter().flatten();
        credits.map(|(_, amount, _)| amount).sum()
    }

    /// What was assigned to a payment, with its blocks.
    fn assigned(&self, id: PaymentId) -> impl Iterator<Item = (TransferKey, usize)> {
        let credits = self.credits.get(&id).into_iter().flatten();
        let by_hand = credits.filter(|(key, _, _)| self.by_hand.contains(key));
        by_hand.map(|(key, _, place)| (*key, *place))
    }

    fn is_paid(&self, p: &Payment) -> bool {
        if self.assigned(p.id).next().is_some() {
            return true;
        }
        let needed = p
            .to_pay
            .base_units()
            .saturating_sub(p.tolerance.base_units());
        self.sum(p.id) > 0 && self.sum(p.id) >= needed
    }

    fn take(
        &mut self,
        payments: &BTreeMap<PaymentId, Payment>,
        place: usize,
        header: &BlockHeader,
        t: &Transfer,
    ) {
        let key = TransferKey {
            chain: CHAIN,
            txid: t.txid,
            log_index: t.log_index,
        };
        let amount = t.amount.base_units();
        let here: Vec<&Payment> = self
            .order
            .iter()
            .map(|id| &payments[id])
            .filter(|p| p.address == t.to)
            .collect();
        if here.is_empty() || amount == 0 || self.transfers.contains_key(&key) {
            return;
        }
        let decided = |d: &Decision| d.money == money_of(t);
        if let Some(at) = self.waiting.iter().position(decided) {
            let decision = self.waiting.remove(at);
            self.settle_by_hand(decision.payment, key, amount, place);
            return;
        }
        let takes = |p: &&Payment| {
            let skew = if header.height > p.created_above {
                600_000
            } else {
                30_000
            };
            header.time.0 + skew >= p.created_at.0
                && header.time <= p.expires_at
                && !self.cancelled.contains(&p.id)
                && !self.is_paid(p)
        };
        let off = |p: &Payment| p.to_pay.base_units().abs_diff(amount);
        let exact = here
            .iter()
            .copied()
            .filter(takes)
            .filter(|p| p.rule == MatchRule::Exact && off(p) <= p.tolerance.base_units())
            .min_by_key(|p| (off(p), p.id));
        let gathering = |p: &&Payment| p.rule == MatchRule::Accumulate;
        let owner = exact
            .or_else(|| here.iter().copied().filter(takes).find(gathering))
            .map(|p| p.id);
        self.transfers.insert(key, owner);
        match owner {
            Some(id) => {
                let credits = self.credits.entry(id).or_default();
                credits.push((key, amount, place));
            }
            None => {
                self.unmatched.insert(key, (amount, place));
            }
        }
    }

    fn settle_by_hand(&mut self, id: PaymentId, key: TransferKey, amount: u128, place: usize) {
        self.transfers.insert(key, Some(id));
        self.by_hand.insert(key);
        let credits = self.credits.entry(id).or_default();
        credits.push((key, amount, place));
    }

    /// Money that is on the chain is settled where it is; money that a fork took is waited for.
    fn assign(&mut self, decision: Decision) {
        match self.unmatched.remove(&decision.key) {
            Some((amount, place)) => {
                self.decided_late.insert(decision.key, decision.deepest);
                self.settle_by_hand(decision.payment, decision.key, amount, place);
            }
            None => self.waiting.push(decision),
        }
    }
}

impl Model {
    fn replay(&self, payments: &BTreeMap<PaymentId, Payment>) -> Replay {
        let mut replay = Replay::default();
        let mut commands = self.commands.iter().peekable();
        for (place, standing) in self.chain.iter().enumerate() {
            while let Some((_, command)) = commands.next_if(|(step, _)| *step < standing.step) {
                replay.command(*command);
            }
            for transfer in &standing.block.transfers {
                replay.take(payments, place, &standing.block.header, transfer);
            }
        }
        commands.for_each(|(_, command)| replay.command(*command));
        replay
    }

    fn status(&self, replay: &Replay, p: &Payment) -> Status {
        let decided = replay.assigned(p.id).next().is_some();
        if replay.cancelled.contains(&p.id) && !decided {
            return Status::Cancelled;
        }
        if replay.is_paid(p) {
            let confirmed: u128 = replay.credits[&p.id]
                .iter()
                .filter(|(key, _, place)| self.is_confirmed(replay, p, key, *place))
                .map(|(_, amount, _)| amount)
                .sum();
            let needed = p
                .to_pay
                .base_units()
                .saturating_sub(p.tolerance.base_units());
            let stands = replay
                .assigned(p.id)
                .any(|(key, place)| self.is_confirmed(replay, p, &key, place));
            return if stands || confirmed > 0 && confirmed >= needed {
                Status::Completed
            } else {
                Status::Confirming
            };
        }
        let tip = self.chain.last().expect("a tip");
        let past = tip.block.header.time > p.expires_at;
        match (past || self.ended.contains(&p.id), replay.sum(p.id) > 0) {
            (false, _) => Status::Pending,
            (true, true) => Status::Underpaid,
            (true, false) => Status::Expired,
        }
    }

    fn is_confirmed(&self, replay: &Replay, p: &Payment, key: &TransferKey, place: usize) -> bool {
        let standing = &self.chain[place];
        let height = standing.block.header.height.0;
        let late = replay.decided_late.get(key);
        let deepest = late.copied().unwrap_or(standing.deepest);
        match p.finality {
            Finality::Final => height <= self.final_height,
            Finality::Depth(n) => deepest + 1 - height >= u64::from(n),
        }
    }

    fn tip(&self) -> &BlockHeader {
        &self.chain.last().expect("a tip").block.header
    }
}

impl Replay {
    fn command(&mut self, command: Command) {
        match command {
            Command::Created(id) => self.order.push(id),
            Command::Cancelled(id) => {
                self.cancelled.insert(id);
            }
            Command::Assigned(decision) => self.assign(decision),
        }
    }
}

/// The ledger and its model, side by side.
struct World {
    state: MemoryState,
    model: Model,
    policy: AmountPolicy,
    step: usize,
    branch: u8,
    next_tx: u64,
    dropped: Vec<Transfer>,
    logs: BTreeMap<(TxId, u32), Money>,
}

impl World {
    fn new(ambiguity: AmbiguityRule) -> Self {
        Self {
            state: MemoryState::starting_at(START),
            model: Model {
                chain: vec![Standing {
                    block: block(START, Vec::new()),
                    step: 0,
                    deepest: START,
                }],
                commands: Vec::new(),
                final_height: 0,
                ended: BTreeSet::new(),
            },
            policy: AmountPolicy {
                ambiguity,
                unique_cap: units(5),
            },
            step: 0,
            branch: 0,
            next_tx: 1,
            dropped: Vec::new(),
            logs: BTreeMap::new(),
        }
    }

    /// Decides twice, to see that it comes to the same, and once carries it out.
    fn decide(
        &mut self,
        decision: impl Fn(&dyn View) -> Result<Changes, Refusal>,
    ) -> Result<Changes, Refusal> {
        let first = decision(&self.state)?;
        let second = self.state.decide(&decision)?;
        assert_eq!(first, second, "equal inputs, equal outputs");
        Ok(second)
    }

    fn run(&mut self, op: Op) {
        self.step += 1;
        match op {
            Op::Create { .. } => self.create(&op),
            Op::Cancel(index) => self.cancel(index),
            Op::Assign(which, whom) => self.assign(which, whom),
            Op::Block(sent) => self.block(&sent),
            Op::Fork(depth) => self.fork(u64::from(depth)),
            Op::Final(below) => self.finalize(u64::from(below)),
        }
        self.check();
    }

    fn create(&mut self, op: &Op) {
        let &Op::Create {
            address: to,
            units: amount,
            tolerance,
            accumulate,
            unique,
            depth,
            slots,
        } = op
        else {
            return;
        };
        let tip = *self.model.tip();
        let new = payment(self.step as u128)
            .asking(units(u128::from(amount)))
            .with(|p| {
                p.address = address(to);
                p.tolerance = units(u128::from(tolerance));
                p.created_at = tip.time;
                p.created_above = tip.height;
                p.expires_at = UnixMs(tip.time.0 + u64::from(slots) * SLOT_MS);
                if accumulate {
                    p.rule = MatchRule::Accumulate;
                }
                if unique {
                    p.amount_mode = AmountMode::Unique;
                }
                if depth > 0 {
                    p.finality = Finality::Depth(u32::from(depth));
                }
            });
        let (id, policy) = (new.id, self.policy);
        let created = self.decide(|view| ledger::create(view, new.clone(), policy, NOW));
        if created.is_ok() {
            self.model.commands.push((self.step, Command::Created(id)));
        }
    }

    fn cancel(&mut self, index: prop::sample::Index) {
        let ids: Vec<_> = self.state.payments.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = *index.get(&ids);
        let pending = self.state.payments[&id].status == Status::Pending;
        let outcome = self.decide(|view| ledger::cancel(view, id, NOW));
        assert_eq!(outcome.is_ok(), pending);
        if pending {
            self.model
                .commands
                .push((self.step, Command::Cancelled(id)));
        }
    }

    fn assign(&mut self, which: prop::sample::Index, whom: prop::sample::Index) {
        let records: Vec<_> = self.state.transfers.values().copied().collect();
        let ids: Vec<_> = self.state.payments.keys().copied().collect();
        if records.is_empty() || ids.is_empty() {
            return;
        }
        let (record, payment) = (*which.get(&records), *whom.get(&ids));
        // The oldest decision comes first where two wait for equal money.
        let now = NOW.plus_ms(self.step as u64);
        let outcome = self.decide(|view| ledger::assign(view, &record.key, payment, None, now));
        let settled_so =
            record.state == TransferState::Credited(payment) && record.assigned.is_some();
        match record.state {
            TransferState::Unmatched { .. } => {
                outcome.expect("settles nothing yet");
                let money = (record.key.txid, record.from, record.to);
                let decision = Decision {
                    key: record.key,
                    money: (money.0, money.1, money.2, record.amount.base_units()),
                    payment,
                    deepest: self.model.tip().height.0,
                };
                self.model
                    .commands
                    .push((self.step, Command::Assigned(decision)));
            }
            _ if settled_so => assert_eq!(outcome.expect("the same again"), Changes::default()),
            _ => assert!(outcome.is_err(), "{record:?} settled {payment} as well"),
        }
    }

    fn block(&mut self, sent: &[Sent]) {
        let mut transfers: Vec<Transfer> = Vec::new();
        for (log_index, one) in (0_u32..).zip(sent) {
            let (to, tx, amount) = match one {
                Sent::New { address, units } => (*address, self.new_tx(), *units),
                Sent::Same { address, units } => (*address, self.next_tx - 1, *units),
                Sent::Twin => {
                    let twin = transfers.last().map(|t| Transfer { log_index, ..*t });
                    transfers.extend(twin);
                    continue;
                }
                Sent::Dropped(index) => {
                    if !self.dropped.is_empty() {
                        let at = index.index(self.dropped.len());
                        let again = self.dropped.swap_remove(at);
                        transfers.push(Transfer { log_index, ..again });
                    }
                    continue;
                }
            };
            let amount = units(u128::from(amount));
            transfers.push(transfer_to(to, tx, log_index, amount));
        }
        transfers.retain(|t| self.is_possible(t));
        let tip = *self.model.tip();
        let height = tip.height.next();
        let block = Block {
            header: BlockHeader {
                height,
                hash: hash(self.branch, height.0),
                parent: tip.hash,
                time: slot(height.0),
            },
            transfers,
        };
        self.decide(|view| ledger::extend(view, CHAIN, &block, NOW))
            .expect("extends");
        let before = self.state.clone();
        let again = self
            .state
            .decide(|view| ledger::extend(view, CHAIN, &block, NOW));
        assert!(again.is_err() && self.state == before, "twice is once");
        self.model.chain.push(Standing {
            block,
            step: self.step,
            deepest: height.0,
        });
        for standing in &mut self.model.chain {
            standing.deepest = standing.deepest.max(height.0);
        }
        for (_, command) in &mut self.model.commands {
            if let Command::Assigned(decision) = command {
                decision.deepest = decision.deepest.max(height.0);
            }
        }
    }

    /// No log of a transaction is two different transfers.
    fn is_possible(&mut self, t: &Transfer) -> bool {
        let known = self.logs.entry((t.txid, t.log_index));
        *known.or_insert(money_of(t)) == money_of(t)
    }

    fn new_tx(&mut self) -> u64 {
        self.next_tx += 1;
        self.next_tx - 1
    }

    fn fork(&mut self, depth: u64) {
        let tip = self.model.tip().height.0;
        let to_height = tip.saturating_sub(depth).max(START);
        let to = self.model.chain[(to_height - START) as usize].block.header;
        let below_final = to_height < self.model.final_height;
        let outcome = self.decide(|view| ledger::rollback(view, CHAIN, &to, NOW));
        assert_eq!(outcome.is_err(), below_final);
        if below_final {
            return;
        }
        self.branch = self.branch.wrapping_add(1);
        for standing in self.model.chain.drain((to_height - START) as usize + 1..) {
            self.dropped.extend(standing.block.transfers);
        }
    }

    fn finalize(&mut self, below: u64) {
        let height = self.model.tip().height.0.saturating_sub(below).max(START);
        let header = self.model.chain[(height - START) as usize].block.header;
        self.decide(|view| ledger::finalize(view, CHAIN, &header, NOW))
            .expect("ours");
        self.model.final_height = self.model.final_height.max(height);
    }

    fn check(&mut self) {
        let replay = self.model.replay(&self.state.payments);
        self.check_transfers(&replay);
        for p in self.state.payments.values() {
            let status = self.model.status(&replay, p);
            assert_eq!(p.status, status, "status of {:?}\n{replay:#?}", p);
            match status {
                Status::Expired | Status::Underpaid => self.model.ended.insert(p.id),
                Status::Confirming | Status::Completed => self.model.ended.remove(&p.id),
                Status::Pending | Status::Cancelled => false,
            };
            let live = p
                .credits
                .iter()
                .filter(|c| c.state != CreditState::Reverted);
            let credits: BTreeSet<_> = live
                .map(|c| (key_of(c), c.amount.base_units(), c.height.0 - START))
                .collect();
            let expected = replay.credits.get(&p.id).into_iter().flatten();
            let expected: BTreeSet<_> = expected
                .map(|(key, amount, place)| (*key, *amount, *place as u64))
                .collect();
            assert_eq!(credits, expected, "credits of {}", p.id);
            assert_eq!(p.received().base_units(), replay.sum(p.id));
            assert_eq!(p.closed_at.is_some(), !status.is_open());
            assert_eq!(p.completed_at.is_some(), status == Status::Completed);
            assert!(p.watched, "within the hour");
            let keys = PaymentKeys::of(p);
            assert_eq!(keys.watched.is_some(), keys.claim.is_some());
        }
        self.check_events();
    }

    /// What reached a watched address is owned by one payment or kept as unmatched; what is off the chain, by none.
    fn check_transfers(&self, replay: &Replay) {
        for (key, record) in &self.state.transfers {
            let owner = match record.state {
                TransferState::Credited(id) => Some(Some(id)),
                TransferState::Unmatched { .. } => Some(None),
                TransferState::Reverted => None,
            };
            assert_eq!(owner.as_ref(), replay.transfers.get(key), "{key:?}");
            let recent = self.state.recent.contains(&(CHAIN, record.height, *key));
            let can_fork = owner.is_some() && record.height.0 > self.model.final_height;
            assert_eq!(recent, can_fork, "{key:?}");
        }
        for key in replay.transfers.keys() {
            assert!(self.state.transfers.contains_key(key), "{key:?} was lost");
        }
    }

    /// No status without an event that tells it: the last event of each payment shows what it now is.
    fn check_events(&self) {
        let mut told: BTreeMap<PaymentId, Status> = BTreeMap::new();
        for payment in self.state.events.iter().filter_map(|e| e.payment.as_ref()) {
            told.insert(payment.id, payment.status);
        }
        for p in self.state.payments.values() {
            assert_eq!(
                told.get(&p.id),
                Some(&p.status),
                "what was told of {}",
                p.id
            );
        }
    }
}

fn key_of(credit: &Credit) -> TransferKey {
    TransferKey {
        chain: CHAIN,
        txid: credit.txid,
        log_index: credit.log_index,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_comes_to_what_its_chain_says(
        oldest_first: bool,
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let ambiguity = if oldest_first { AmbiguityRule::OldestFirst } else { AmbiguityRule::Reject };
        let mut world = World::new(ambiguity);
        for op in ops {
            world.run(op);
        }
    }
}
