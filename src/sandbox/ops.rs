//! The other half of `/wallet`: every operation that is no plain read, by name.
//!
//! Refuses names that it does not know; the HTTP layer makes a 404 of that.

use serde_json::Value;

use super::node::{Node, Scope};
use super::params::{NodeError, Params};
use super::{accounts, broadcast, network, trigger};

/// An operation, by the last part of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Broadcast,
    SignWeight,
    ConstantCall,
    BuildCall,
    EstimateEnergy,
    CreateTransfer,
    Account,
    Resources,
    Contract,
    ContractInfo,
    NodeInfo,
    ChainParameters,
    Witnesses,
    EnergyPrices,
    BandwidthPrices,
    NextMaintenance,
}

impl Op {
    pub fn named(name: &str, scope: Scope) -> Option<Self> {
        let on_both = match name {
            "triggerconstantcontract" => Self::ConstantCall,
            "estimateenergy" => Self::EstimateEnergy,
            "getaccount" => Self::Account,
            "getnodeinfo" => Self::NodeInfo,
            "listwitnesses" => Self::Witnesses,
            _ if scope == Scope::Solid => return None,
            "broadcasttransaction" => Self::Broadcast,
            "getsignweight" => Self::SignWeight,
            "triggersmartcontract" => Self::BuildCall,
            "createtransaction" => Self::CreateTransfer,
            "getaccountresource" | "getaccountnet" => Self::Resources,
            "getcontract" => Self::Contract,
            "getcontractinfo" => Self::ContractInfo,
            "getchainparameters" => Self::ChainParameters,
            "getenergyprices" => Self::EnergyPrices,
            "getbandwidthprices" => Self::BandwidthPrices,
            "getnextmaintenancetime" => Self::NextMaintenance,
            _ => return None,
        };
        Some(on_both)
    }

    /// Operations that do without a body.
    pub fn takes_nothing(self) -> bool {
        use Op::{
            BandwidthPrices, ChainParameters, EnergyPrices, NextMaintenance, NodeInfo, Witnesses,
        };
        matches!(
            self,
            NodeInfo
                | ChainParameters
                | Witnesses
                | EnergyPrices
                | BandwidthPrices
                | NextMaintenance
        )
    }

    /// Operations that a node takes by POST alone.
    pub fn is_post_only(self) -> bool {
        use Op::{Broadcast, BuildCall, ConstantCall, CreateTransfer, EstimateEnergy, SignWeight};
        matches!(
            self,
            Broadcast | SignWeight | ConstantCall | BuildCall | EstimateEnergy | CreateTransfer
        )
    }

    /// # Errors
    /// What a node would report with HTTP 200.
    pub fn answer(self, node: &mut Node<'_>, params: &Params) -> Result<Value, NodeError> {
        match self {
            Self::Broadcast => broadcast::broadcast(node, params),
            Self::SignWeight => broadcast::sign_weight(node, params),
            Self::ConstantCall => Ok(trigger::constant(node, params)),
            Self::BuildCall => Ok(trigger::build(node, params)),
            Self::EstimateEnergy => Ok(trigger::estimate(node, params)),
            Self::CreateTransfer => trigger::create_transfer(node, params),
            Self::Account => accounts::account(node, params),
            Self::Resources => accounts::resources(node, params),
            Self::Contract => accounts::contract(params),
            Self::ContractInfo => accounts::contract_info(params),
            Self::NodeInfo => Ok(network::node_info(node)),
            Self::ChainParameters => Ok(network::chain_parameters()),
            Self::Witnesses => Ok(network::witnesses(node)),
            Self::EnergyPrices => Ok(network::energy_prices()),
            Self::BandwidthPrices => Ok(network::bandwidth_prices()),
            Self::NextMaintenance => Ok(network::next_maintenance(node)),
        }
    }
}
