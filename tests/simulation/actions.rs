//! What can happen in the world, how often, and how each happening begins. To add one: a variant, a line in `TABLE`, an arm.

use fastrand::Rng;
use paybell::domain::address::Address;
use paybell::domain::amount::Amount;
use paybell::domain::ids::{ChainId, PaymentId};
use paybell::domain::payment::{
    AmountMode, Callback, CallbackScope, Finality, MatchRule, Payment, Status,
};

use crate::chain::Log;
use crate::hub::{Hub, RETENTION};
use crate::journal::tell;
use crate::node;
use crate::receiver::{self, RECEIVERS, url_of};
use crate::world::{LifeEnd, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create,
    Cancel,
    Pay,
    PayInPieces,
    PayStranger,
    SkipSlot,
    Fork,
    Split,
    Adopt,
    StallFinality,
    ResumeFinality,
    NodeMood,
    NodesDown,
    NodesWell,
    ReceiverMood,
    ReceiversWell,
    ClockJump,
    Restart,
    Kill,
    LongKill,
    CutPower,
    FailDisk,
    AgePastRetention,
}

impl Action {
    pub const fn is_about_nodes(self) -> bool {
        matches!(self, Self::NodeMood | Self::NodesDown | Self::NodesWell)
    }
}

/// How often each happens, against the sum.
const TABLE: [(Action, u32); 23] = [
    (Action::Create, 110),
    (Action::Cancel, 12),
    (Action::Pay, 150),
    (Action::PayInPieces, 30),
    (Action::PayStranger, 15),
    (Action::SkipSlot, 25),
    (Action::Fork, 40),
    (Action::Split, 15),
    (Action::Adopt, 15),
    (Action::StallFinality, 6),
    (Action::ResumeFinality, 8),
    (Action::NodeMood, 60),
    (Action::NodesDown, 5),
    (Action::NodesWell, 30),
    (Action::ReceiverMood, 25),
    (Action::ReceiversWell, 15),
    (Action::ClockJump, 6),
    (Action::Restart, 6),
    (Action::Kill, 12),
    (Action::LongKill, 2),
    (Action::CutPower, 10),
    (Action::FailDisk, 4),
    (Action::AgePastRetention, 2),
];

/// Whole USDT that payments ask for; few, so that they collide.
const PRICES: [u128; 5] = [5, 5, 7, 10, 12];
const USDT: u128 = 1_000_000;
/// Addresses of a chain; the first is the crowded one.
const ADDRESSES: u8 = 4;
const EXPIRIES_SECONDS: [u64; 5] = [15, 45, 90, 300, 86_400];
const GRACE_SECONDS: [u64; 3] = [0, 600, 7_200];

impl World {
    /// Does one thing; some end the hub's life.
    pub fn act(&mut self, hub: &mut Hub) -> Option<LifeEnd> {
        let action = self.draw();
        self.journal.saw(label(action));
        match action {
            Action::Create => self.create(hub),
            Action::Cancel => self.cancel(hub),
            Action::Pay => self.pay(1),
            Action::PayInPieces => {
                let pieces = self.rng.u128(2..4);
                self.pay(pieces);
            }
            Action::PayStranger => self.pay_stranger(),
            Action::SkipSlot => self.skips += self.rng.u32(1..4),
            Action::Fork => self.fork(),
            Action::Split => self.split(),
            Action::Adopt => self.adopt(),
            Action::StallFinality => self.finality(true),
            Action::ResumeFinality => self.finality(false),
            Action::NodeMood => self.node_mood(),
            Action::NodesDown => self.nodes_feel(&node::Mood::Down),
            Action::NodesWell => self.nodes_feel(&node::Mood::Well),
            Action::ReceiverMood => self.receiver_mood(),
            Action::ReceiversWell => self.receivers_well(),
            Action::ClockJump => self.clock_jump(),
            Action::CutPower => {
                let operations = self.rng.u64(1..40);
                tell!(
                    self.journal,
                    "the power will fail in {operations} operations"
                );
                self.disk.cut_power_in(operations);
            }
            Action::FailDisk => {
                let operations = self.rng.u64(1..40);
                tell!(
                    self.journal,
                    "the disk will fail in {operations} operations"
                );
                self.disk.fail_once_in(operations);
            }
            Action::AgePastRetention => {
                let ms = i64::try_from(RETENTION.as_millis()).unwrap();
                self.around.clock.jump(ms);
                tell!(self.journal, "the wall clock goes past the retention time");
                return Some(LifeEnd::Drained);
            }
            Action::Restart => return Some(LifeEnd::Drained),
            Action::Kill => return Some(LifeEnd::Killed),
            Action::LongKill => return Some(LifeEnd::KilledForHours),
        }
        None
    }

    fn draw(&mut self) -> Action {
        let sum: u32 = self.habits.iter().map(|(_, weight)| weight).sum();
        let mut place = self.rng.u32(..sum);
        for (action, weight) in self.habits.clone() {
            if place < weight {
                return action;
            }
            place -= weight;
        }
        Action::SkipSlot
    }

    fn any_chain(&mut self) -> ChainId {
        ChainId(self.rng.u16(..2))
    }

    fn any_payment(&mut self) -> Option<Payment> {
        let books = self.around.witness.books();
        let open: Vec<_> = books
            .payments
            .values()
            .filter(|p| p.status == Status::Pending)
            .collect();
        let all: Vec<_> = books.payments.values().collect();
        let from = if open.is_empty() || self.rng.u8(..4) == 0 {
            all
        } else {
            open
        };
        let chosen = self.rng.choice(from).cloned();
        drop(books);
        chosen
    }

    fn create(&mut self, hub: &mut Hub) {
        if self.orders > 3
            && let Some(mood) = self.wakes.take()
        {
            self.around.nodes[0]
                .iter()
                .for_each(|node| node.feel(mood.clone()));
        }
        let new = self.new_payment(hub);
        let ledger = hub.ledger.clone();
        let witness = std::sync::Arc::clone(&self.around.witness);
        let (id, terms) = (new.id, (new.chain, new.rule, new.finality, new.amount_mode));
        tell!(
            self.journal,
            "create {} of {} {terms:?} until {}",
            id,
            new.to_pay.base_units(),
            new.expires_at.0
        );
        hub.tasks.spawn(async move {
            match ledger.create(new).await {
                Ok(_) => {
                    witness.books().answered.insert(id);
                    witness.journal.saw("a payment answered");
                }
                Err(error) => {
                    tell!(witness.journal, "  create {id}: {error}");
                    witness.journal.saw("a payment refused");
                }
            }
            "a request"
        });
    }

    fn new_payment(&mut self, hub: &Hub) -> Payment {
        use paybell::clock::Clock;
        self.orders += 1;
        let now = self.around.clock.now();
        let chain = self.rng.usize(..2);
        let chain = hub.chains.iter().nth(chain).unwrap();
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        let id = uuid::Builder::from_unix_timestamp_millis(now.0, &random).into_uuid();
        let price = PRICES[self.rng.usize(..PRICES.len())] * USDT;
        let rng = &mut self.rng;
        let tolerance = [0, 0, 0, USDT / 10, USDT][rng.usize(..5)];
        let scope = if rng.bool() {
            CallbackScope::Everything
        } else {
            CallbackScope::CompletionOnly
        };
        let url = url_of(rng.usize(..RECEIVERS), self.orders);
        Payment {
            id: PaymentId(id),
            chain: chain.spec.id,
            address: address(if rng.bool() { 1 } else { rng.u8(1..=ADDRESSES) }),
            order_id: format!("order-{}", self.orders),
            expected: Amount::from_base_units(price),
            to_pay: Amount::from_base_units(price),
            rule: if rng.u8(..3) == 0 {
                MatchRule::Accumulate
            } else {
                MatchRule::Exact
            },
            amount_mode: if rng.u8(..4) == 0 {
                AmountMode::Unique
            } else {
                AmountMode::Fixed
            },
            tolerance: Amount::from_base_units(tolerance),
            finality: match rng.u8(..5) {
                0 => Finality::Depth(1),
                1 => Finality::Depth(rng.u32(2..8)),
                _ => Finality::Final,
            },
            created_at: now,
            created_above: chain.known_height(),
            expires_at: now.plus_seconds(EXPIRIES_SECONDS[rng.usize(..EXPIRIES_SECONDS.len())]),
            grace_seconds: GRACE_SECONDS[rng.usize(..GRACE_SECONDS.len())],
            status: Status::Pending,
            closed_at: None,
            completed_at: None,
            final_confirmations: None,
            credits: Vec::new(),
            callback: (rng.u8(..4) > 0).then_some(Callback { url, scope }),
            success_url: None,
            metadata: None,
            watched: true,
        }
    }

    fn cancel(&mut self, hub: &mut Hub) {
        let Some(payment) = self.any_payment() else {
            return;
        };
        let (ledger, id) = (hub.ledger.clone(), payment.id);
        let journal = self.journal.clone();
        tell!(journal, "cancel {id}");
        hub.tasks.spawn(async move {
            if let Err(error) = ledger.cancel(id).await {
                tell!(journal, "  cancel {id}: {error}");
            }
            "a request"
        });
    }

    /// A transfer to some payment's address: the amount, less, more, in pieces, of one transaction or several, with
    /// dust and nothing beside it.
    fn pay(&mut self, pieces: u128) {
        let Some(payment) = self.any_payment() else {
            return;
        };
        let asked = payment.to_pay.base_units();
        let amount = match self.rng.u8(..10) {
            0 => asked - 1,
            1 => asked + 1,
            2 => asked / 2,
            3 => asked * 2,
            4 => payment.tolerance.base_units().max(1),
            _ => asked,
        };
        let log = |amount| Log {
            to: payment.address,
            amount: Amount::from_base_units(amount),
        };
        let mut logs = Vec::new();
        for piece in 0..pieces {
            let rest = if piece == 0 { amount % pieces } else { 0 };
            logs.push(log(amount / pieces + rest));
        }
        match self.rng.u8(..8) {
            0 => logs.insert(0, log(0)),
            1 => logs.push(log(1)),
            2 => logs.push(Log {
                to: address(self.rng.u8(1..=ADDRESSES)),
                amount: Amount::from_base_units(asked),
            }),
            _ => {}
        }
        tell!(self.journal, "pay {amount} in {pieces} for {}", payment.id);
        let mut chain = self.around.witness.chain(payment.chain);
        if self.rng.bool() {
            chain.send(logs);
        } else {
            for log in logs {
                chain.send(vec![log]);
            }
        }
    }

    fn pay_stranger(&mut self) {
        let id = self.any_chain();
        let to = address(self.rng.u8(100..110));
        let amount = Amount::from_base_units(self.rng.u128(1..20 * USDT));
        self.around.witness.chain(id).send(vec![Log { to, amount }]);
    }

    fn fork(&mut self) {
        let id = self.any_chain();
        let mut chain = self.around.witness.chain(id);
        let most = chain.max_fork().min(18);
        if most == 0 {
            return;
        }
        let depth = if self.rng.bool() {
            self.rng.u64(1..=most.min(3))
        } else {
            self.rng.u64(1..=most)
        };
        chain.fork(depth, &mut self.rng);
        tell!(self.journal, "chain {} forks {depth} deep", id.0);
        if depth > 10 {
            self.journal.saw("a fork more than ten deep");
        }
    }

    fn split(&mut self) {
        let id = self.any_chain();
        let now = self.around.clock.true_now();
        let mut chain = self.around.witness.chain(id);
        let most = chain.max_fork().min(6);
        if most == 0 {
            return;
        }
        let depth = self.rng.u64(1..=most);
        chain.split(depth, now);
        tell!(
            self.journal,
            "chain {} has a branch from {depth} below",
            id.0
        );
    }

    fn adopt(&mut self) {
        let id = self.any_chain();
        let mut chain = self.around.witness.chain(id);
        let Some(branch) = self.rng.choice(chain.rivals()) else {
            return;
        };
        chain.adopt(branch, &mut self.rng);
        let head = chain.head().height;
        tell!(
            self.journal,
            "chain {} goes on with a branch to {head}",
            id.0
        );
        self.journal.saw("a branch adopted");
    }

    fn finality(&mut self, stalls: bool) {
        let id = self.any_chain();
        self.around.witness.chain(id).finality_stalls = stalls;
        tell!(self.journal, "chain {}: finality stalls: {stalls}", id.0);
    }

    fn node_mood(&mut self) {
        let id = self.any_chain();
        let nodes = &self.around.nodes[usize::from(id.0)];
        let node = &nodes[self.rng.usize(..nodes.len())];
        let mood = match self.rng.u8(..12) {
            0 => node::Mood::Down,
            1 => node::Mood::Flaky,
            2 => node::Mood::Behind(self.rng.u64(1..8)),
            3 => node::Mood::Stale(self.around.witness.chain(id).main.clone()),
            4 | 5 => node::Mood::Astray(self.rng.usize(..2)),
            6 => node::Mood::Forgetful,
            7 => node::Mood::LogsLag,
            8 => node::Mood::Torn,
            9 => node::Mood::Hanging,
            10 => node::Mood::Throttling,
            _ => node::Mood::Well,
        };
        node.feel(mood);
        use paybell::source::Source;
        tell!(self.journal, "{}: {}", node.name(), node.mood());
        self.journal.saw(node.mood());
    }

    fn nodes_feel(&mut self, mood: &node::Mood) {
        let id = self.any_chain();
        for node in &self.around.nodes[usize::from(id.0)] {
            node.feel(mood.clone());
        }
        tell!(self.journal, "all nodes of chain {}: {}", id.0, mood.name());
    }

    fn receiver_mood(&mut self) {
        use receiver::Mood;
        let receiver = self.rng.usize(..RECEIVERS);
        let mood = match self.rng.u8(..12) {
            0..4 => Mood::Failing,
            4 | 5 => Mood::TimingOut,
            6 | 7 => Mood::AnswerLost,
            8 => Mood::Gone,
            9 => Mood::Overloaded,
            10 => Mood::Slow,
            _ => Mood::Well,
        };
        tell!(self.journal, "receiver {receiver}: {mood:?}");
        self.around.receivers.feel(receiver, mood);
    }

    pub fn receivers_well(&mut self) {
        for receiver in 0..RECEIVERS {
            self.around.receivers.feel(receiver, receiver::Mood::Well);
        }
        tell!(self.journal, "all receivers well");
    }

    fn clock_jump(&mut self) {
        let by_ms = match self.rng.u8(..4) {
            0 => self.rng.i64(-600_000..0),
            1 => self.rng.i64(0..600_000),
            _ => self.rng.i64(-5_000..5_000),
        };
        self.around.clock.jump(by_ms);
        tell!(self.journal, "the wall clock jumps by {by_ms} ms");
    }
}

/// Each run has habits of its own: some things never happen in it, some much more often. What only shows when
/// something else stays away would not show otherwise.
pub fn habits(rng: &mut Rng) -> Vec<(Action, u32)> {
    let usual = |action| matches!(action, Action::Create | Action::Pay);
    TABLE
        .into_iter()
        .map(|(action, weight)| match rng.u8(..8) {
            0 | 1 if !usual(action) => (action, 0),
            2 => (action, 2 * weight),
            _ => (action, weight),
        })
        .collect()
}

fn address(n: u8) -> Address {
    Address::from_bytes([n; 20])
}

/// An action's name for the coverage count.
const fn label(action: Action) -> &'static str {
    match action {
        Action::Create => "action: create",
        Action::Cancel => "action: cancel",
        Action::Pay => "action: pay",
        Action::PayInPieces => "action: pay in pieces",
        Action::PayStranger => "action: pay a stranger",
        Action::SkipSlot => "action: skip slots",
        Action::Fork => "action: fork",
        Action::Split => "action: split",
        Action::Adopt => "action: adopt",
        Action::StallFinality => "action: stall finality",
        Action::ResumeFinality => "action: resume finality",
        Action::NodeMood => "action: node mood",
        Action::NodesDown => "action: nodes down",
        Action::NodesWell => "action: nodes well",
        Action::ReceiverMood => "action: receiver mood",
        Action::ReceiversWell => "action: receivers well",
        Action::ClockJump => "action: clock jump",
        Action::Restart => "action: restart",
        Action::Kill => "action: kill",
        Action::LongKill => "action: long kill",
        Action::CutPower => "action: cut power",
        Action::FailDisk => "action: fail disk",
        Action::AgePastRetention => "action: age past retention",
    }
}
