//! The network around the node: its heads, its parameters, its witnesses, its prices.

use serde_json::{Value, json};

use super::block::Block;
use super::execute::{BANDWIDTH_PRICE_SUN, ENERGY_PRICE_SUN};
use super::node::{Node, Scope};
use super::render::AddressForm;

/// `getnodeinfo`: tells both heads as `Num:N,ID:hash`.
pub fn node_info(node: &Node<'_>) -> Value {
    let view = node.view(Scope::Head);
    let point = |block: &Block| format!("Num:{},ID:{}", block.header.height, block.id);
    let solid = view
        .block(view.solid_height())
        .unwrap_or_else(|| view.head());
    json!({
        "beginSyncNum": view.head_height(),
        "block": point(view.head()),
        "solidityBlock": point(solid),
        "currentConnectCount": 27,
        "activeConnectCount": 9,
        "passiveConnectCount": 18,
        "totalFlow": 0,
        "peerList": [],
        "configNodeInfo": {
            "codeVersion": "4.8.1", "p2pVersion": "0", "listenPort": 18888,
            "discoverEnable": true, "activeNodeSize": 0, "passiveNodeSize": 0, "sendNodeSize": 0,
            "maxConnectCount": 30, "supportConstant": true,
        },
        "machineInfo": {},
        "cheatWitnessInfoMap": {},
    })
}

/// `getchainparameters`: those that say what a transaction costs.
pub fn chain_parameters() -> Value {
    json!({"chainParameter": [
        {"key": "getMaintenanceTimeInterval", "value": 21_600_000},
        {"key": "getCreateAccountFee", "value": 100_000},
        {"key": "getTransactionFee", "value": BANDWIDTH_PRICE_SUN},
        {"key": "getCreateNewAccountFeeInSystemContract", "value": 1_000_000},
        {"key": "getEnergyFee", "value": ENERGY_PRICE_SUN},
        {"key": "getMemoFee", "value": 1_000_000},
        {"key": "getFreeNetLimit", "value": 600},
        {"key": "getMaxFeeLimit", "value": 15_000_000_000_u64},
        {"key": "getTotalEnergyLimit", "value": 180_000_000_000_u64},
        {"key": "getAllowTvmCompatibleEvm", "value": 1},
    ]})
}

/// `listwitnesses`; `visible` is ignored on a real node too.
pub fn witnesses(node: &Node<'_>) -> Value {
    let all = node.chain.actors.witnesses.iter();
    let shown = all.map(|pair| {
        json!({"address": AddressForm::Hex.show(pair.address()), "voteCount": 1_000_000, "url": "http://127.0.0.1", "isJobs": true})
    });
    json!({"witnesses": shown.collect::<Vec<_>>()})
}

/// `getenergyprices` and `getbandwidthprices`: since when, and how many sun.
pub fn energy_prices() -> Value {
    json!({"prices": format!("0:{ENERGY_PRICE_SUN}")})
}

pub fn bandwidth_prices() -> Value {
    json!({"prices": format!("0:{BANDWIDTH_PRICE_SUN}")})
}

/// `getnextmaintenancetime`: the end of the current six hours.
pub fn next_maintenance(node: &Node<'_>) -> Value {
    const INTERVAL_MS: u64 = 6 * 3_600_000;
    json!({"num": (node.chain.head().header.time / INTERVAL_MS + 1) * INTERVAL_MS})
}
