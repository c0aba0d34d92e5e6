//! One life of the hub: the real parts, put together as the application does, on simulated surroundings.

use std::sync::Arc;
use std::time::Duration;

use paybell::api::live::LiveContext;
use paybell::api::wire::WireEncoder;
use paybell::chains::{Chain, ChainSpec, Chains};
use paybell::clock::Clock;
use paybell::delivery::attempt::CallbackSecrets;
use paybell::delivery::callback_url::CallbackPolicy;
use paybell::delivery::dispatcher;
use paybell::delivery::gauges::Gauges;
use paybell::delivery::signature::Secret;
use paybell::domain::address::Address;
use paybell::domain::amount::Decimals;
use paybell::domain::ids::PaymentId;
use paybell::domain::ledger::AmountPolicy;
use paybell::domain::payment::Finality;
use paybell::follower::{self, Follower, ProgressSink};
use paybell::hub;
use paybell::index::Index;
use paybell::janitor;
use paybell::ledger_task::{Announcer, Ledger};
use paybell::source::Source;
use paybell::source::endpoints::Endpoints;
use paybell::store::redb::{Location, Options, RedbStore, Threads};
use paybell::store::{Store, StoreError, StoreIdentity, Write};
use paybell::trends::Trends;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::chain::{FINAL_LAG, SLOT_MS};
use crate::clock::{SimClock, SimEntropy, stream};
use crate::disk::Disk;
use crate::gate::Gate;
use crate::node::SimNode;
use crate::receiver::Receivers;
use crate::witness::{Overheard, Witness};

pub const CHAIN_NAMES: [&str; 2] = ["tron", "nile"];
/// Old payments and events go after this time.
pub const RETENTION: Duration = Duration::from_secs(3_600);
/// How long a stop may take.
const DRAIN: Duration = Duration::from_secs(10);
const CACHE_BYTES: usize = 1024 * 1024;

/// What outlives a life.
pub struct Surroundings {
    pub seed: u64,
    pub clock: Arc<SimClock>,
    pub entropy: Arc<SimEntropy>,
    pub nodes: Vec<Vec<Arc<SimNode>>>,
    pub receivers: Arc<Receivers>,
    pub witness: Arc<Witness>,
    pub secrets: Arc<[Secret]>,
    pub policy: AmountPolicy,
}

pub struct Hub {
    pub store: Arc<RedbStore>,
    pub ledger: Ledger,
    pub chains: Chains,
    pub sockets: Arc<LiveContext>,
    pub gauges: Arc<Gauges>,
    pub tasks: JoinSet<&'static str>,
    stop: watch::Sender<bool>,
}

pub fn open(disk: &Disk) -> Result<RedbStore, StoreError> {
    RedbStore::open(Options {
        location: Location::Backend(Box::new(disk.clone())),
        cache_bytes: CACHE_BYTES,
        new_identity: StoreIdentity {
            epoch: "e-sim".to_owned(),
            token_secret: [1; 32],
            webhook_secret: [2; 32],
        },
        threads: Threads::Caller,
    })
}

fn chain(id: paybell::domain::ids::ChainId, name: &str) -> Arc<Chain> {
    Arc::new(Chain::new(ChainSpec {
        id,
        name: name.to_owned(),
        currency: "USDT_TRC20",
        decimals: Decimals::USDT_TRON,
        contract: Address::from_bytes([0xcc; 20]),
        slot_ms: SLOT_MS,
        default_finality: Finality::Final,
        usual_final_depth: u32::try_from(FINAL_LAG + 1).unwrap(),
    }))
}

struct Progress(Arc<hub::Hub>);

impl ProgressSink for Progress {
    fn progress(&self, payment: PaymentId, confirmations: u32, required: u32) {
        self.0.progress(payment, confirmations, required);
    }
}

/// What the hub's parts share.
struct Shared<'a> {
    around: &'a Surroundings,
    store: Arc<dyn Store>,
    ledger: Ledger,
    chains: Chains,
    index: Arc<Index>,
    announcer: Arc<Announcer>,
    live: Arc<hub::Hub>,
    gauges: Arc<Gauges>,
    trends: Arc<Trends>,
    stopped: watch::Receiver<bool>,
}

impl Hub {
    /// Builds the hub on an open store and starts its parts.
    pub async fn start(
        around: &Surroundings,
        store: Arc<RedbStore>,
        disk: Disk,
        life: u64,
    ) -> Result<Self, StoreError> {
        let rng = stream(around.seed ^ (life << 32), "gate");
        let witness = Arc::clone(&around.witness);
        let gate = Arc::new(Gate::new(Arc::clone(&store), witness, disk, rng));
        let (stop, stopped) = watch::channel(false);
        let (shared, commits) = Shared::new(around, gate, stopped).await?;
        store.observe(Arc::new(Overheard {
            witness: Arc::clone(&around.witness),
            announcer: Arc::clone(&shared.announcer) as _,
        }));
        tokio::spawn(hub::announce(commits, Arc::clone(&shared.live)));
        let mut tasks = JoinSet::new();
        shared.spawn_followers(&mut tasks);
        shared.spawn_dispatcher(&mut tasks);
        shared.spawn_janitor(&mut tasks);
        Ok(Self {
            store,
            sockets: Arc::new(shared.socket_context()),
            ledger: shared.ledger,
            chains: shared.chains,
            gauges: shared.gauges,
            tasks,
            stop,
        })
    }

    /// Stops as a signal would have it stop, and closes the store.
    pub async fn drain(&mut self) {
        self.stop.send_replace(true);
        let rest = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, rest).await.is_err() {
            self.tasks.shutdown().await;
        }
        self.store.close();
    }
}

impl<'a> Shared<'a> {
    async fn new(
        around: &'a Surroundings,
        store: Arc<dyn Store>,
        stopped: watch::Receiver<bool>,
    ) -> Result<(Self, UnboundedReceiver<Arc<Write>>), StoreError> {
        let mut chains = Vec::new();
        for name in CHAIN_NAMES {
            chains.push(chain(store.chain_id(name).await?, name));
        }
        let chains = Chains::new(chains);
        let index = Arc::new(Index::default());
        let ids = chains.iter().map(|chain| chain.spec.id);
        index.rebuild(ids, store.as_ref()).await?;
        let ids = chains.iter().map(|chain| chain.spec.id);
        let clock = Arc::clone(&around.clock) as _;
        let trends = Arc::new(Trends::new(clock, ids, store.last_sequence()));
        let (announcer, commits) = Announcer::new(Arc::clone(&index), Arc::clone(&trends));
        let ledger = Ledger::new(
            Arc::clone(&store),
            Arc::clone(&around.clock) as _,
            Arc::clone(&around.entropy) as _,
            Arc::new(WireEncoder {
                chains: chains.clone(),
            }),
            around.policy,
        );
        let shared = Self {
            around,
            live: hub::Hub::new(&store.identity().epoch),
            store,
            ledger,
            chains,
            index,
            announcer: Arc::new(announcer),
            gauges: Arc::default(),
            trends,
            stopped,
        };
        Ok((shared, commits))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.around.clock) as _
    }

    fn spawn_followers(&self, tasks: &mut JoinSet<&'static str>) {
        for (chain, nodes) in self.chains.iter().zip(&self.around.nodes) {
            let sources = nodes.iter().map(|n| Arc::clone(n) as Arc<dyn Source>);
            let slot = Duration::from_millis(SLOT_MS);
            let endpoints = Endpoints::new(sources.collect(), slot, self.clock()).unwrap();
            let follower = Follower::new(follower::Parts {
                chain: Arc::clone(chain),
                endpoints: Arc::new(endpoints),
                ledger: self.ledger.clone(),
                store: Arc::clone(&self.store),
                index: Arc::clone(&self.index),
                progress: Arc::new(Progress(Arc::clone(&self.live))),
                clock: self.clock(),
                least_wait: None,
            });
            let following = follower.run(self.announcer.watch_changed(), self.stopped.clone());
            spawn(tasks, "a follower", following);
        }
    }

    fn spawn_dispatcher(&self, tasks: &mut JoinSet<&'static str>) {
        let parts = dispatcher::Parts {
            store: Arc::clone(&self.store),
            ledger: self.ledger.clone(),
            sender: Arc::clone(&self.around.receivers) as _,
            policy: CallbackPolicy::default(),
            secrets: CallbackSecrets::new(Arc::clone(&self.around.secrets), self.store.identity()),
            clock: self.clock(),
            entropy: Arc::clone(&self.around.entropy) as _,
            due: Arc::clone(&self.announcer.deliveries_due),
            gauges: Arc::clone(&self.gauges),
            trends: Arc::clone(&self.trends),
        };
        let dispatching = dispatcher::run(parts, self.stopped.clone(), DRAIN);
        spawn(tasks, "the dispatcher", dispatching);
    }

    fn spawn_janitor(&self, tasks: &mut JoinSet<&'static str>) {
        let (ledger, store) = (self.ledger.clone(), Arc::clone(&self.store));
        let stopped = self.stopped.clone();
        let cleaning = janitor::run(ledger, store, self.clock(), RETENTION, stopped);
        spawn(tasks, "the janitor", cleaning);
    }

    fn socket_context(&self) -> LiveContext {
        LiveContext::new(
            Arc::clone(&self.live),
            Arc::clone(&self.store),
            self.clock(),
            self.chains.clone(),
            self.stopped.clone(),
        )
    }
}

fn spawn(
    tasks: &mut JoinSet<&'static str>,
    name: &'static str,
    part: impl Future<Output = ()> + Send + 'static,
) {
    tasks.spawn(async move {
        part.await;
        name
    });
}
