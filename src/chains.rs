//! The chains that the hub follows: what each is, and where each stands right now.
//!
//! Shared by the follower, which writes the standing, and by the API, which shows it. Decides nothing.

use std::sync::{Arc, RwLock};

use crate::domain::address::Address;
use crate::domain::amount::Decimals;
use crate::domain::ids::{ChainId, Height, UnixMs};
use crate::domain::payment::Finality;

/// What does not change while the program runs.
#[derive(Debug, Clone)]
pub struct ChainSpec {
    pub id: ChainId,
    /// The configured name, as the API shows it: `tron`.
    pub name: String,
    /// `USDT_TRC20`.
    pub currency: &'static str,
    pub decimals: Decimals,
    pub contract: Address,
    pub slot_ms: u64,
    /// What a payment asks for when it does not say.
    pub default_finality: Finality,
    /// Confirmations a final block usually has; shown as the goal, never used to decide.
    pub usual_final_depth: u32,
}

/// Requests to one endpoint of a chain.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EndpointStanding {
    pub name: String,
    pub healthy: bool,
    pub requests_today: u64,
    /// `None` where no daily budget is set.
    pub requests_left_today: Option<u64>,
    pub suspended_until: Option<UnixMs>,
    pub last_error: Option<String>,
}

/// A gap that is being closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatchUp {
    /// The last block processed before.
    pub from: Height,
    pub to: Height,
    pub started_at: UnixMs,
}

impl CatchUp {
    pub fn seconds_until(&self, now: UnixMs) -> u64 {
        now.0.saturating_sub(self.started_at.0) / 1000
    }

    /// At the pace so far; `None` before there is one.
    pub fn seconds_left(&self, tip: Height, now: UnixMs) -> Option<u64> {
        let done = tip.0.saturating_sub(self.from.0);
        let left = self.to.0.saturating_sub(tip.0);
        let took_ms = now.0.saturating_sub(self.started_at.0);
        left.saturating_mul(took_ms)
            .checked_div(done)
            .map(|ms| ms.div_ceil(1000))
    }
}

/// Where a chain stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Standing {
    /// The newest height any node told of.
    pub head: Option<Height>,
    pub head_time: Option<UnixMs>,
    /// The last block processed.
    pub tip: Option<Height>,
    pub tip_time: Option<UnixMs>,
    pub final_height: Option<Height>,
    /// Wall time of the last answer that made sense.
    pub last_success_at: Option<UnixMs>,
    pub last_error: Option<String>,
    pub last_error_at: Option<UnixMs>,
    pub catch_up: Option<CatchUp>,
    /// Nothing is watched: heads are asked for once a minute only.
    pub idle: bool,
    pub endpoints: Vec<EndpointStanding>,
}

impl Standing {
    /// Blocks known to exist that are not processed yet.
    pub fn blocks_behind(&self) -> u64 {
        match (self.head, self.tip) {
            (Some(head), Some(tip)) => head.0.saturating_sub(tip.0),
            _ => 0,
        }
    }
}

/// One followed chain.
#[derive(Debug)]
pub struct Chain {
    pub spec: ChainSpec,
    standing: RwLock<Standing>,
}

impl Chain {
    pub fn new(spec: ChainSpec) -> Self {
        Self {
            spec,
            standing: RwLock::default(),
        }
    }

    /// A copy of the present standing.
    pub fn standing(&self) -> Standing {
        self.read(Standing::clone)
    }

    /// Looks at the present standing without copying it.
    pub fn read<T>(&self, look: impl FnOnce(&Standing) -> T) -> T {
        let standing = self
            .standing
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        look(&standing)
    }

    pub fn update(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = self
            .standing
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut standing);
    }

    /// The newest height known, for placing a new payment.
    pub fn known_height(&self) -> Height {
        self.read(|standing| standing.head.max(standing.tip))
            .unwrap_or_default()
    }
}

/// All chains, in the order of the configuration; the first is the default.
#[derive(Debug, Clone)]
pub struct Chains(Arc<Vec<Arc<Chain>>>);

impl Chains {
    pub fn new(chains: Vec<Arc<Chain>>) -> Self {
        Self(Arc::new(chains))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Chain>> {
        self.0.iter()
    }

    /// The chain of a payment that names none.
    pub fn default_chain(&self) -> Option<&Arc<Chain>> {
        self.0.first()
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Chain>> {
        self.0.iter().find(|c| c.spec.name == name)
    }

    pub fn by_id(&self, id: ChainId) -> Option<&Arc<Chain>> {
        self.0.iter().find(|c| c.spec.id == id)
    }
}
