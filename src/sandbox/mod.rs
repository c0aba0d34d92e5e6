//! The sandbox chain: a TRON of its own that answers like a TronGrid host, for the demo, for tests,
//! and for anyone who builds an integration.
//!
//! `chain` and what it stands on is a pure model; `http` puts it on the wire. Block times follow the
//! clock that is handed in, everything else follows from the seed. Refuses to hold real value: its
//! keys are derived from the seed or publicly known.
//!
//! In reading order: `proto`, `keys`, `tx` (what the network hashes and signs); `state`, `contracts`,
//! `vm`, `execute` (what a transaction does); `block`, `actors`, `noise`, `chain`; `view`, `params`,
//! `render`, `rows`, `node` (how a node sees and shows it); `wallet`, `ops`, `v1`, `jsonrpc` (its APIs); `control`,
//! `faults`, `counts`, `inbox` (what `/sandbox` offers); `answer`, `http`.

mod accounts;
mod actors;
mod answer;
mod block;
mod broadcast;
mod chain;
mod contracts;
mod control;
mod counts;
mod execute;
mod faults;
mod http;
mod inbox;
mod jsonrpc;
mod jsonrpc_blocks;
mod jsonrpc_logs;
mod keys;
mod network;
mod node;
mod noise;
mod ops;
mod pack;
mod params;
mod proto;
mod render;
mod rows;
mod state;
mod trigger;
mod tx;
mod v1;
mod v1_query;
mod view;
mod vm;
mod wallet;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::clock::Clock;
use crate::server;
use crate::shutdown::Shutdown;
use chain::{Chain, ChainOptions};
use counts::Counts;
use faults::Faults;
use inbox::Inbox;

/// How long connections may linger once the sandbox is told to stop.
const DRAIN: Duration = Duration::from_secs(2);
/// The shortest block time; below it, a block could take longer to make than to wait for.
const MIN_BLOCK_MS: u64 = 20;
/// The longest block time: an hour.
const MAX_BLOCK_MS: u64 = 3_600_000;
/// The most background traffic, in transactions a block.
const MAX_NOISE: u32 = 1_000;
/// The longest history a new chain starts with, in blocks.
const MAX_HISTORY: u64 = 5_000;

/// What shapes a sandbox chain. Values out of range are brought into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxOptions {
    /// Milliseconds between blocks, 20 to 3,600,000.
    pub block_ms: u64,
    /// Decides keys, background traffic and all else that looks random.
    pub seed: u64,
    /// Background transactions a block, on average; at most 1,000.
    pub noise_per_block: u32,
    /// Blocks that exist from the start, 40 to 5,000, so that there is a solid head at once.
    pub history_blocks: u64,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            block_ms: 3_000,
            seed: 0x7061_7962_656c_6c21,
            noise_per_block: 20,
            history_blocks: 60,
        }
    }
}

/// A handle to a running sandbox; clones share the same chain.
#[derive(Clone)]
pub struct Sandbox {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    world: Mutex<World>,
}

/// Everything that changes, under one lock that is never held across an await.
struct World {
    chain: Chain,
    pace: Pace,
    faults: Faults,
    counts: Counts,
    inbox: Inbox,
}

/// Whether the clock makes blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Running,
    Paused,
}

impl Sandbox {
    /// A chain with a short history that ends at the current slot.
    pub fn new(options: SandboxOptions, clock: Arc<dyn Clock>) -> Self {
        let chain_options = ChainOptions {
            block_ms: options.block_ms.clamp(MIN_BLOCK_MS, MAX_BLOCK_MS),
            seed: options.seed,
            noise_per_block: options.noise_per_block.min(MAX_NOISE),
            kept_blocks: chain::KEPT_BLOCKS,
        };
        let history = options.history_blocks.clamp(40, MAX_HISTORY);
        let world = World {
            chain: Chain::new(chain_options, history, clock.now().0),
            pace: Pace::Running,
            faults: Faults::default(),
            counts: Counts::default(),
            inbox: Inbox::default(),
        };
        Self {
            shared: Arc::new(Shared {
                clock,
                world: Mutex::new(world),
            }),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A panic elsewhere leaves at worst a half-made block; a test chain goes on with it.
        self.shared
            .world
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        self.shared.clock.now().0
    }

    /// Makes one block a slot, unless paused, until `shutdown` turns true.
    pub async fn mine(&self, mut shutdown: Shutdown) {
        let block_ms = self.world().chain.options.block_ms;
        let mut next_slot = (self.now_ms() / block_ms + 1) * block_ms;
        loop {
            let wait = Duration::from_millis(next_slot.saturating_sub(self.now_ms()));
            tokio::select! {
                // An error means that the sender is gone, and with it whoever would say stop.
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(wait) => {}
            }
            let now = self.now_ms();
            if now < next_slot {
                continue;
            }
            let mut world = self.world();
            if world.pace == Pace::Running {
                let time = world.chain.next_time(now);
                world.chain.produce(time);
            }
            next_slot = (now / block_ms + 1) * block_ms;
        }
    }

    /// Mines blocks at once, letting others in between.
    async fn mine_now(&self, blocks: u64) {
        for _ in 0..blocks {
            {
                let mut world = self.world();
                let time = world.chain.next_time(self.now_ms());
                world.chain.produce(time);
            }
            tokio::task::yield_now().await;
        }
    }

    /// What a TronGrid host answers, its 404s included. Faults apply here.
    pub fn node_routes(&self) -> BoxedFilter<(Response,)> {
        http::node_routes(self)
    }

    /// `/sandbox/...` and nothing else: other paths are rejected as not found.
    pub fn control_routes(&self) -> BoxedFilter<(Response,)> {
        http::control_routes(self)
    }
}

/// Serves node and control on one listener until `shutdown` turns true.
pub async fn serve(
    sandbox: Sandbox,
    listener: TcpListener,
    max_connections: usize,
    shutdown: Shutdown,
) {
    let routes = sandbox.control_routes().or(sandbox.node_routes());
    let routes = routes.unify().boxed();
    server::serve(listener, routes, max_connections, shutdown, DRAIN).await;
}
