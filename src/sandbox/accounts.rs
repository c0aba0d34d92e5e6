//! Accounts and contracts as `getaccount`, `getaccountresource`, `getaccountnet` and `getcontract`
//! show them; unknown ones are `{}`.

use serde_json::{Value, json};

use super::broadcast::owner_permission;
use super::contracts::Contract;
use super::keys::keccak;
use super::node::Node;
use super::params::{NodeError, Params, read_address};
use super::render::AddressForm;
use super::state::Slot;
use crate::domain::address::Address;

/// Free bandwidth of every account, in bytes a day.
const FREE_BANDWIDTH: u64 = 600;
/// When every account here was created: the genesis of TRON's mainnet, Unix milliseconds.
const CREATED_MS: u64 = 1_529_891_469_000;
/// The operations that a default active permission allows, from mainnet.
const ACTIVE_OPERATIONS: &str = "7fff1fc0033ec30f000000000000000000000000000000000000000000000000";

fn exists(node: &Node<'_>, address: Address) -> bool {
    node.chain.state.exists(Slot::Trx(address)) || Contract::at(address).is_some()
}

/// `getaccount`.
///
/// # Errors
/// When the address is malformed.
pub fn account(node: &Node<'_>, params: &Params) -> Result<Value, NodeError> {
    let address = params.address("address")?;
    if !exists(node, address) {
        return Ok(json!({}));
    }
    let mut account = json!({
        "address": params.form.show(address),
        "create_time": CREATED_MS,
        "net_window_size": 28_800_000,
        "net_window_optimized": true,
        "account_resource": {"energy_window_size": 28_800_000, "energy_window_optimized": true},
        "owner_permission": owner_permission(address, params.form),
        "active_permission": [{
            "type": "Active", "id": 2, "permission_name": "active", "threshold": 1,
            "operations": ACTIVE_OPERATIONS,
            "keys": [{"address": params.form.show(address), "weight": 1}],
        }],
    });
    let balance = node.chain.state.get(Slot::Trx(address));
    if balance > 0 {
        account["balance"] = u64::try_from(balance).unwrap_or(u64::MAX).into();
    }
    if Contract::at(address).is_some() {
        account["type"] = "Contract".into();
    }
    Ok(account)
}

/// `getaccountresource` and `getaccountnet`; what is nought is left out.
///
/// # Errors
/// When the address is malformed.
pub fn resources(node: &Node<'_>, params: &Params) -> Result<Value, NodeError> {
    if !exists(node, params.address("address")?) {
        return Ok(json!({}));
    }
    Ok(json!({
        "freeNetLimit": FREE_BANDWIDTH,
        "TotalNetLimit": 43_200_000_000_u64,
        "TotalNetWeight": 26_000_000_000_u64,
        "TotalEnergyLimit": 180_000_000_000_u64,
        "TotalEnergyWeight": 19_000_000_000_u64,
    }))
}

/// `getcontract`.
///
/// # Errors
/// When the address is malformed.
pub fn contract(params: &Params) -> Result<Value, NodeError> {
    Ok(described(params)?.unwrap_or_else(|| json!({})))
}

/// `getcontractinfo`.
///
/// # Errors
/// When the address is malformed.
pub fn contract_info(params: &Params) -> Result<Value, NodeError> {
    Ok(match described(params)? {
        Some(contract) => {
            json!({"runtimecode": contract["bytecode"], "smart_contract": contract, "contract_state": {"update_cycle": 1}})
        }
        None => json!({}),
    })
}

fn described(params: &Params) -> Result<Option<Value>, NodeError> {
    let text = params.text("value").unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let address = read_address(&text, params.form)?;
    Ok(Contract::at(address).map(|contract| describe(address, contract, params.form)))
}

fn describe(address: Address, contract: Contract, form: AddressForm) -> Value {
    // There is no bytecode behind the sandbox's contracts; a name in hex stands in for it.
    let bytecode = hex::encode(contract.name());
    json!({
        "origin_address": form.show(Address::from_bytes([0x5a; 20])),
        "contract_address": form.show(address),
        "abi": contract.abi(),
        "bytecode": bytecode,
        "consume_user_resource_percent": 100,
        "name": contract.name(),
        "origin_energy_limit": 10_000_000,
        "code_hash": hex::encode(keccak(bytecode.as_bytes())),
    })
}
