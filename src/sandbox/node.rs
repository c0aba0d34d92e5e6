//! One node answering one request: the chain, and whatever is wrong with the node at the moment.

use super::chain::Chain;
use super::contracts::Contract;
use super::counts::Counts;
use super::faults::Hit;
use super::view::View;
use super::vm::{self, Outcome};
use crate::domain::address::Address;

/// Which of a host's two APIs was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `/wallet`: everything up to the head.
    Head,
    /// `/walletsolidity`: up to the solid head.
    Solid,
}

pub struct Node<'a> {
    pub chain: &'a mut Chain,
    pub counts: &'a mut Counts,
    pub hit: Option<Hit>,
    /// Unix milliseconds.
    pub now_ms: u64,
}

impl Node<'_> {
    /// The chain as this node shows it.
    pub fn view(&self, scope: Scope) -> View<'_> {
        let view = View::healthy(self.chain);
        let view = self.hit.map_or(view, |hit| hit.distort(view));
        match scope {
            Scope::Head => view,
            Scope::Solid => view.solid_only(),
        }
    }

    /// Runs a call on the current state and takes its changes back.
    pub fn simulate(&mut self, caller: Address, contract: Contract, data: &[u8]) -> Outcome {
        let state = &mut self.chain.state;
        let point = state.checkpoint();
        let outcome = vm::call(state, caller, contract, data);
        state.roll_back(point);
        outcome
    }
}
