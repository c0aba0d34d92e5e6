//! What the wire needs of a payment's chain.

use crate::chains::Chains;
use crate::domain::amount::{Amount, Decimals};
use crate::domain::ids::{ChainId, Height, UnixMs};
use crate::domain::payment::Finality;

/// Stands in for a chain that was taken out of the configuration while its payments are still kept.
const REMOVED: &str = "removed";

/// A chain as its payments show it.
#[derive(Clone, Copy)]
pub struct ChainFace<'a> {
    pub name: &'a str,
    pub currency: &'a str,
    pub decimals: Decimals,
    pub tip: Height,
    /// Of the newest block processed.
    pub time: Option<UnixMs>,
    /// The newest final height that the hub has asked for.
    pub final_height: Height,
    usual_final_depth: u32,
}

impl<'a> ChainFace<'a> {
    pub fn of(chains: &'a Chains, id: ChainId) -> Self {
        match chains.by_id(id) {
            Some(chain) => Self {
                name: &chain.spec.name,
                currency: chain.spec.currency,
                decimals: chain.spec.decimals,
                tip: chain.read(|standing| standing.tip).unwrap_or_default(),
                time: chain.read(|standing| standing.tip_time),
                final_height: chain.read(|s| s.final_height).unwrap_or_default(),
                usual_final_depth: chain.spec.usual_final_depth,
            },
            None => Self {
                name: REMOVED,
                currency: REMOVED,
                decimals: Decimals::USDT_TRON,
                tip: Height::default(),
                time: None,
                final_height: Height::default(),
                usual_final_depth: 0,
            },
        }
    }

    pub fn decimal(&self, amount: Amount) -> String {
        amount.to_decimal(self.decimals)
    }

    /// The goal that a progress bar shows.
    pub fn confirmations_required(&self, finality: Finality) -> u32 {
        match finality {
            Finality::Final => self.usual_final_depth,
            Finality::Depth(depth) => depth,
        }
    }
}
