//! A hub: its parts put together, and its tasks run side by side until the end.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use warp::Filter;

use super::build::{self, Setting};
use super::print_line;
use crate::api::{self, ApiContext};
use crate::chains::Chains;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::delivery::dispatcher;
use crate::delivery::guard::{GuardedResolver, SystemLookup};
use crate::delivery::sender::{Sender, SenderLimits};
use crate::delivery::signature::Secret;
use crate::entropy::SystemEntropy;
use crate::follower::{self, Follower};
use crate::hub;
use crate::index::Index;
use crate::janitor;
use crate::ledger_task::{Announcer, Entropy, Ledger};
use crate::sandbox::Sandbox;
use crate::server;
use crate::shutdown::Shutdown;
use crate::store::redb::RedbStore;
use crate::store::{Store, Write};

/// Everything that a running hub needs, built and not yet started.
pub struct Hub {
    config: Config,
    store: Arc<RedbStore>,
    ledger: Ledger,
    chains: Chains,
    index: Arc<Index>,
    announcer: Arc<Announcer>,
    commits: UnboundedReceiver<Arc<Write>>,
    sockets: Arc<hub::Hub>,
    resolver: GuardedResolver,
    secrets: Arc<[Secret]>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    sandbox: Option<Sandbox>,
}
