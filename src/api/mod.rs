//! Floor 5, the API: HTTP and sockets in, JSON out. Refuses to decide anything about payments.

mod answer;
mod body;
mod mistake;
pub mod problem;
mod request;
pub mod token;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::chains::Chains;
use crate::clock::Clock;
use crate::domain::ids::UnixMs;
use crate::index::Index;
use crate::ledger_task::{Entropy, Ledger};
use crate::store::Store;
use token::ClientTokens;

/// What every handler can reach.
pub struct ApiContext {
    pub ledger: Ledger,
    pub store: Arc<dyn Store>,
    pub index: Arc<Index>,
    pub chains: Chains,
    pub tokens: ClientTokens,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub started_at: UnixMs,
    /// Open sockets, for `/stats`.
    pub sockets: Arc<AtomicU64>,
}
