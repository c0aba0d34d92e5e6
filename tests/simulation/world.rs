//! The world: everything outside the hub, the lives of the hub in it, and its end in a state at rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use paybell::delivery::signature::Secret;
use paybell::domain::amount::Amount;
use paybell::domain::ids::{ChainId, UnixMs};
use paybell::domain::ledger::{AmbiguityRule, AmountPolicy};
use tokio::runtime::Builder;

use crate::actions::{self, Action};
use crate::audit::{self, Difference};
use crate::chain::{SLOT_MS, SimChain};
use crate::clock::{SimClock, SimEntropy, stream};
use crate::disk::Disk;
use crate::hub::{self, CHAIN_NAMES, Hub, Surroundings};
use crate::journal::{Broken, Journal, Telling, tell};
use crate::node::SimNode;
use crate::opening::Opening;
use crate::pace::WELL_MS;
use crate::receiver::Receivers;
use crate::subscriber::Subscriber;
use crate::witness::Witness;

const START: UnixMs = UnixMs(1_799_999_998_000);
pub const CHAINS: [ChainId; 2] = [ChainId(0), ChainId(1)];
const NODES: usize = 2;
/// Slots of a run before it is led to rest.
const STEPS: std::ops::Range<u32> = 30..70;

/// How a life of the hub ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifeEnd {
    Drained,
    Killed,
    /// And the chains stand still meanwhile.
    KilledForHours,
    PowerCut,
    Done,
}

/// What came of a run.
pub struct Outcome {
    pub broken: Option<Broken>,
    pub hash: u64,
    pub seen: BTreeMap<&'static str, u64>,
}

pub struct World {
    pub rng: Rng,
    pub journal: Journal,
    pub around: Surroundings,
    pub disk: Disk,
    /// What happens in this run, and how often.
    pub habits: Vec<(Action, u32)>,
    pub opening: Opening,
    /// Slots to come without a block.
    pub skips: u32,
    pub orders: u64,
    pub subscriber: Arc<Subscriber>,
    steps_left: u32,
    lives: u64,
    born: UnixMs,
    next_slot: UnixMs,
}

/// Runs one seed to its end.
pub fn run(seed: u64, telling: Telling) -> Outcome {
    let mut world = World::new(seed, telling);
    loop {
        let end = world.live();
        if end == LifeEnd::Done || world.journal.broken().is_some() {
            break;
        }
        world.between_lives(end);
    }
    Outcome {
        broken: world.journal.broken(),
        hash: world.journal.hash(),
        seen: world.journal.seen(),
    }
}

impl World {
    fn new(seed: u64, telling: Telling) -> Self {
        let mut rng = stream(seed, "world");
        let journal = Journal::new(telling);
        let clock = Arc::new(SimClock::new(START));
        let chains: Vec<_> = (0..2)
            .map(|number| Arc::new(Mutex::new(SimChain::new(number, START))))
            .collect();
        let witness = Witness::new(chains.clone(), journal.clone());
        let nodes = CHAIN_NAMES.iter().zip(&chains).map(|(name, chain)| {
            let node = |n| {
                let (chain, clock) = (Arc::clone(chain), Arc::clone(&clock));
                let name = format!("{name}-{n}.example");
                Arc::new(SimNode::new(name, chain, clock, Arc::clone(&witness), seed))
            };
            (0..NODES).map(node).collect()
        });
        let nodes: Vec<Vec<Arc<SimNode>>> = nodes.collect();
        let secrets: Arc<[Secret]> = Arc::new([Secret::generate([7; 32])]);
        let receivers = Receivers::new(
            Arc::clone(&witness),
            Arc::clone(&clock),
            Arc::clone(&secrets),
            seed,
        );
        let mut habits = actions::habits(&mut rng);
        let opening = Opening::draw(&mut rng);
        opening.set(&nodes, &chains[0], &mut habits);
        let policy = AmountPolicy {
            ambiguity: if rng.bool() {
                AmbiguityRule::Reject
            } else {
                AmbiguityRule::OldestFirst
            },
            unique_cap: Amount::from_base_units(10_000),
        };
        Self {
            steps_left: rng.u32(STEPS),
            habits,
            opening,
            rng,
            journal,
            disk: Disk::holding(Vec::new(), u64::MAX),
            skips: 0,
            orders: 0,
            subscriber: Subscriber::new(Arc::clone(&witness)),
            lives: 0,
            born: START,
            next_slot: START.plus_ms(SLOT_MS),
            around: Surroundings {
                seed,
                clock,
                entropy: Arc::new(SimEntropy::new(seed)),
                nodes,
                receivers: Arc::new(receivers),
                witness,
                secrets,
                policy,
            },
        }
    }

    /// One life of the hub, on a runtime of its own: to kill it is to drop that.
    fn live(&mut self) -> LifeEnd {
        self.lives += 1;
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let end = runtime.block_on(async {
            self.around.clock.begin_life();
            let end = self.life().await;
            self.around.clock.end_life();
            end
        });
        drop(runtime);
        end
    }

    async fn life(&mut self) -> LifeEnd {
        self.born = self.around.clock.true_now();
        self.around.receivers.begin_life();
        tell!(self.journal, "the hub starts, life {}", self.lives);
        let store = match hub::open(&self.disk) {
            Ok(store) => Arc::new(store),
            Err(error) => return self.failed_start(&paybell::store::describe(&error)),
        };
        if !self.is_as_left(&store).await {
            self.disk.stop();
            return LifeEnd::PowerCut;
        }
        let started = Hub::start(&self.around, store, self.disk.clone(), self.lives).await;
        let mut hub = match started {
            Ok(hub) => hub,
            Err(error) => return self.failed_start(&paybell::store::describe(&error)),
        };
        let rng = stream(self.around.seed ^ (self.lives << 32), "client");
        let subscriber = Arc::clone(&self.subscriber);
        tokio::spawn(subscriber.run(Arc::clone(&hub.sockets), rng));
        let end = self.steps(&mut hub).await;
        match end {
            LifeEnd::Drained | LifeEnd::Done => hub.drain().await,
            _ => self.disk.stop(),
        }
        end
    }

    fn failed_start(&mut self, why: &str) -> LifeEnd {
        let failed = self.disk.has_failed();
        self.journal
            .check(5, failed, || format!("the hub does not start: {why}"));
        self.disk.stop();
        LifeEnd::PowerCut
    }

    /// Whether the store holds what it held when the last life ended; a commit that the disk failed may count or not.
    async fn is_as_left(&self, store: &paybell::store::redb::RedbStore) -> bool {
        let witness = &self.around.witness;
        // Events that a failed prune took with it would else be missed before anyone asks what it did.
        if witness.doubts_a_prune() && audit::has_forgotten(store, witness).await {
            self.take_what_failed();
        }
        let mut compared = audit::compare(store, witness).await;
        if matches!(compared, Err(Difference::Found(_))) && self.take_what_failed() {
            compared = audit::compare(store, witness).await;
        }
        match compared {
            Ok(()) => {
                witness.take_doubt();
                true
            }
            Err(Difference::Unreadable) => {
                let failed = self.disk.has_failed();
                self.journal
                    .check(5, failed, || "the store cannot be read".to_owned());
                false
            }
            Err(Difference::Found(what)) => {
                self.journal.broke(5, format!("after a restart, {what}"));
                false
            }
        }
    }

    /// Enters the commit that the disk failed into the books, if there was one.
    fn take_what_failed(&self) -> bool {
        let witness = &self.around.witness;
        let Some(write) = witness.take_doubt() else {
            return false;
        };
        self.journal.saw("a commit that failed and yet is on disk");
        witness.take(&write);
        true
    }

    async fn steps(&mut self, hub: &mut Hub) -> LifeEnd {
        while self.steps_left > 0 {
            self.steps_left -= 1;
            self.journal.next_step();
            for _ in 0..self.rng.u8(..4) {
                if let Some(end) = self.act(hub) {
                    let ms = self.rng.u64(..2_000);
                    self.wait(ms).await;
                    return end;
                }
            }
            if let Some(end) = self.pass_slot().await {
                return end;
            }
            self.check(hub).await;
            if self.journal.broken().is_some() {
                return LifeEnd::Killed;
            }
        }
        self.come_to_rest(hub).await;
        LifeEnd::Done
    }

    async fn wait(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// Time goes on to the next slot, in pieces, and the chains grow. Ends the life of a hub without a disk.
    pub async fn pass_slot(&mut self) -> Option<LifeEnd> {
        loop {
            let now = self.around.clock.true_now();
            let Some(rest) = self.next_slot.0.checked_sub(now.0).filter(|r| *r > 0) else {
                break;
            };
            let piece = self.rng.u64(1..=SLOT_MS);
            self.wait(piece.min(rest)).await;
            if !self.disk.has_power() {
                tell!(self.journal, "the power is gone");
                return Some(LifeEnd::PowerCut);
            }
            if self.disk.has_failed() && self.rng.u8(..4) == 0 {
                tell!(self.journal, "the hub is killed for its failing disk");
                return Some(LifeEnd::Killed);
            }
        }
        self.slot();
        None
    }

    fn slot(&mut self) {
        let at = self.next_slot;
        self.next_slot = at.plus_ms(SLOT_MS);
        if self.skips > 0 {
            self.skips -= 1;
            return;
        }
        for id in CHAINS {
            let mut chain = self.around.witness.chain(id);
            chain.grow(at, &mut self.rng);
        }
    }

    /// What must hold at every step.
    pub async fn check(&mut self, hub: &mut Hub) {
        while let Some(ended) = hub.tasks.try_join_next() {
            match ended {
                Ok("a request") => {}
                Ok(part) => self.journal.broke(9, format!("{part} ended by itself")),
                Err(error) => self.journal.broke(7, format!("a part failed: {error}")),
            }
        }
        for chain in hub.chains.iter() {
            if let Some(error) = chain.standing().last_error {
                tell!(self.journal, "  hub: chain {}: {error}", chain.spec.id.0);
            }
        }
        if self.disk.has_failed() {
            return;
        }
        if let Err(Difference::Found(what)) = audit::forget(&hub.store, &self.around.witness).await
        {
            self.journal.broke(8, what);
        }
        if self.around.clock.true_now().0 - self.born.0 >= WELL_MS {
            self.check_pace();
            self.check_deliveries(hub).await;
        }
    }

    /// The time until the hub starts again; the disk is as the end left it.
    fn between_lives(&mut self, end: LifeEnd) {
        tell!(self.journal, "the hub's life ends: {end:?}");
        self.journal.saw(match end {
            LifeEnd::Drained => "end: drained",
            LifeEnd::Killed => "end: killed",
            LifeEnd::KilledForHours => "end: killed for hours",
            LifeEnd::PowerCut => "end: power cut",
            LifeEnd::Done => "end: done",
        });
        self.disk = if end == LifeEnd::PowerCut {
            let survives = self.rng.u8(..5);
            let rng = &mut self.rng;
            let bytes = self.disk.after_power_loss(|| rng.u8(..4) < survives);
            Disk::holding(bytes, u64::MAX)
        } else {
            self.disk.after_kill()
        };
        if self.rng.u8(..6) == 0 {
            self.disk.cut_power_in(self.rng.u64(1..30));
            tell!(self.journal, "the power will fail while the hub starts");
        }
        if end == LifeEnd::KilledForHours {
            return self.stand_still();
        }
        let ms = match self.rng.u8(..8) {
            0 => self.rng.u64(60_000..400_000),
            _ => self.rng.u64(0..20_000),
        };
        self.around.clock.pass(ms);
        while self.next_slot <= self.around.clock.true_now() {
            self.slot();
        }
    }

    /// Hours without hub and blocks.
    fn stand_still(&mut self) {
        let now = self.around.clock.true_now();
        let slots = self.rng.u64(2_400..3_600);
        self.next_slot = UnixMs(now.0 - now.0 % SLOT_MS + slots * SLOT_MS);
        self.around.clock.pass(self.next_slot.0 - now.0);
        for id in CHAINS {
            let at = self.next_slot;
            self.around.witness.chain(id).halt_until(at, &mut self.rng);
        }
        self.next_slot = self.next_slot.plus_ms(SLOT_MS);
        tell!(self.journal, "hours pass without blocks");
    }
}
