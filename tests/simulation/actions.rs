//! What can happen in the world, how often, and how each happening begins. To add one: a variant, a line in `TABLE`, an arm.

use fastrand::Rng;
use paybell::domain::ids::ChainId;

use crate::hub::{Hub, RETENTION};
use crate::journal::tell;
use crate::node;
use crate::receiver::{self, RECEIVERS};
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

    /// Ends a life of the hub, or shifts its clock.
    pub const fn disturbs_the_hub(self) -> bool {
        matches!(
            self,
            Self::Restart
                | Self::Kill
                | Self::LongKill
                | Self::CutPower
                | Self::FailDisk
                | Self::ClockJump
                | Self::AgePastRetention
        )
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

    pub fn any_chain(&mut self) -> ChainId {
        ChainId(self.rng.u16(..2))
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
            4 | 5 => node::Mood::Astray(self.rng.usize(..4)),
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
