//! One life of the hub: the real parts, put together as the application does, on simulated surroundings.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use paybell::api::socket::access::OpenAccess;
use paybell::api::socket::{Origins, SocketContext, SocketLimits};
use paybell::api::token::ClientTokens;
use paybell::api::wire::{self, PaymentObject, WireEncoder};
use paybell::chains::{Chain, ChainSpec, Chains};
use paybell::clock::Clock;
use paybell::delivery::callback_url::CallbackPolicy;
use paybell::delivery::dispatcher;
use paybell::delivery::signature::Secret;
use paybell::domain::address::Address;
use paybell::domain::amount::Decimals;
use paybell::domain::ids::PaymentId;
use paybell::domain::ledger::AmountPolicy;
use paybell::domain::payment::{Finality, Payment};
use paybell::follower::{self, Follower, ProgressSink};
use paybell::hub;
use paybell::index::Index;
use paybell::janitor;
use paybell::ledger_task::{Announcer, Ledger};
use paybell::source::Source;
use paybell::source::endpoints::Endpoints;
use paybell::store::redb::{Location, Options, RedbStore, Threads};
use paybell::store::{Store, StoreError, StoreIdentity};
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
    pub sockets: Arc<SocketContext>,
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

impl Hub {
    /// Builds the hub on an open store and starts its parts.
    pub async fn start(
        around: &Surroundings,
        store: Arc<RedbStore>,
        disk: Disk,
        life: u64,
    ) -> Result<Self, StoreError> {
        let rng = stream(around.seed ^ (life << 32), "gate");
        let gate: Arc<dyn Store> = Arc::new(Gate::new(
            Arc::clone(&store),
            Arc::clone(&around.witness),
            disk,
            rng,
        ));
        let mut chains = Vec::new();
        for name in CHAIN_NAMES {
            chains.push(chain(gate.chain_id(name).await?, name));
        }
        let chains = Chains::new(chains);
        let index = Arc::new(Index::default());
        let ids = chains.iter().map(|chain| chain.spec.id);
        index.rebuild(ids, gate.as_ref()).await?;
        let (announcer, commits) = Announcer::new(Arc::clone(&index));
        let announcer = Arc::new(announcer);
        store.observe(Arc::new(Overheard {
            witness: Arc::clone(&around.witness),
            announcer: Arc::clone(&announcer) as _,
        }));
        let ledger = Ledger::new(
            Arc::clone(&gate),
            Arc::clone(&around.clock) as _,
            Arc::clone(&around.entropy) as _,
            Arc::new(WireEncoder {
                chains: chains.clone(),
            }),
            around.policy,
        );
        let live = hub::Hub::new(&store.identity().epoch);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for (chain, nodes) in chains.iter().zip(&around.nodes) {
            let sources = nodes.iter().map(|n| Arc::clone(n) as Arc<dyn Source>);
            let slot = Duration::from_millis(SLOT_MS);
            let clock = Arc::clone(&around.clock) as Arc<dyn Clock>;
            let endpoints = Endpoints::new(sources.collect(), slot, clock).unwrap();
            let follower = Follower::new(follower::Parts {
                chain: Arc::clone(chain),
                endpoints: Arc::new(endpoints),
                ledger: ledger.clone(),
                store: Arc::clone(&gate),
                index: Arc::clone(&index),
                progress: Arc::new(Progress(Arc::clone(&live))),
                clock: Arc::clone(&around.clock) as _,
                least_wait: None,
            });
            let (changed, stopped) = (announcer.watch_changed(), stopped.clone());
            tasks.spawn(async move {
                follower.run(changed, stopped).await;
                "a follower"
            });
        }
        let parts = dispatcher::Parts {
            store: Arc::clone(&gate),
            ledger: ledger.clone(),
            sender: Arc::clone(&around.receivers) as _,
            policy: CallbackPolicy::default(),
            secrets: Arc::clone(&around.secrets),
            clock: Arc::clone(&around.clock) as _,
            entropy: Arc::clone(&around.entropy) as _,
            due: Arc::clone(&announcer.deliveries_due),
        };
        let dispatching = dispatcher::run(parts, stopped.clone(), DRAIN);
        tasks.spawn(async move {
            dispatching.await;
            "the dispatcher"
        });
        let cleaning = janitor::run(
            ledger.clone(),
            Arc::clone(&gate),
            Arc::clone(&around.clock) as _,
            RETENTION,
            stopped.clone(),
        );
        tasks.spawn(async move {
            cleaning.await;
            "the janitor"
        });
        tokio::spawn(hub::announce(commits, Arc::clone(&live)));
        let sockets = Arc::new(socket_context(around, &gate, live, &chains, stopped));
        Ok(Self {
            store,
            ledger,
            chains,
            sockets,
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

fn socket_context(
    around: &Surroundings,
    gate: &Arc<dyn Store>,
    live: Arc<hub::Hub>,
    chains: &Chains,
    shutdown: watch::Receiver<bool>,
) -> SocketContext {
    let chains = chains.clone();
    SocketContext {
        hub: live,
        store: Arc::clone(gate),
        tokens: ClientTokens::new(gate.identity().token_secret),
        keys: Arc::new(OpenAccess),
        clock: Arc::clone(&around.clock) as _,
        snapshot: Arc::new(move |payment: &Payment| {
            wire::encode(&PaymentObject::new(payment, &chains))
                .unwrap_or_else(|_| Bytes::from_static(b"null"))
        }),
        origins: Origins::new([]),
        limits: SocketLimits::default(),
        sockets: Arc::new(AtomicU64::new(0)),
        shutdown,
    }
}
