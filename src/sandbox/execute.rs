//! Executing one transaction against the world state: its effects, its fees, its receipt.

use super::block::{Included, Pending, Receipt};
use super::contracts::Contract;
use super::state::{Slot, State};
use super::tx::{Call, Transaction};
use super::vm::{self, ContractResult, Outcome};
use crate::domain::address::Address;

/// Sun per unit of energy, the network's price since August 2025.
pub const ENERGY_PRICE_SUN: u64 = 100;
/// Sun per byte of bandwidth.
pub const BANDWIDTH_PRICE_SUN: u64 = 1_000;
/// Bytes that java-tron adds to a transaction's size for its result.
const RESULT_BYTES: u64 = 64;
/// Energy burnt by a call that was forced to revert.
const FORCED_REVERT_ENERGY: u64 = 14_650;

/// Runs a transaction; it always yields a receipt, since only valid ones reach a block.
pub fn run(state: &mut State, pending: Pending) -> Included {
    let Pending { tx, power } = pending;
    for (slot, least) in &power.grants {
        if state.get(*slot) < *least {
            state.set(*slot, *least);
        }
    }
    let owner = tx.raw.call.owner();
    let mut receipt = match &tx.raw.call {
        Call::Transfer { owner, to, amount } => {
            let amount = u128::try_from(*amount).unwrap_or(0);
            // Checked when it was accepted; a fork may have made it void since, and then it moves nothing.
            let _moved = state.move_amount(Slot::Trx(*owner), Slot::Trx(*to), amount);
            Receipt::default()
        }
        Call::Trigger(trigger) => {
            let affordable = u64::try_from(tx.raw.fee_limit).unwrap_or(0) / ENERGY_PRICE_SUN;
            let outcome = match power.forced {
                Some(result) => Outcome::failure(result, FORCED_REVERT_ENERGY.min(affordable)),
                None => limited(
                    state,
                    trigger.owner,
                    trigger.contract,
                    &trigger.data,
                    affordable,
                ),
            };
            contract_receipt(outcome, owner)
        }
    };
    receipt.net_fee = bandwidth_fee(&tx);
    if receipt.net_fee == 0 {
        receipt.net_usage = bandwidth(&tx);
    }
    receipt.fee = receipt.energy_fee + receipt.net_fee;
    let left = state
        .get(Slot::Trx(owner))
        .saturating_sub(u128::from(receipt.fee));
    if receipt.fee > 0 && state.exists(Slot::Trx(owner)) {
        state.set(Slot::Trx(owner), left);
    }
    Included { tx, power, receipt }
}

/// A call that may not use more energy than its fee limit pays for.
fn limited(
    state: &mut State,
    caller: Address,
    contract: Address,
    data: &[u8],
    affordable: u64,
) -> Outcome {
    let Some(contract) = Contract::at(contract) else {
        return Outcome::failure(ContractResult::Revert, 0);
    };
    let point = state.checkpoint();
    let outcome = vm::call(state, caller, contract, data);
    if outcome.energy > affordable {
        state.roll_back(point);
        return Outcome::failure(ContractResult::OutOfEnergy, affordable);
    }
    outcome
}

fn contract_receipt(outcome: Outcome, owner: Address) -> Receipt {
    let mut receipt = Receipt {
        energy_total: outcome.energy,
        result: Some(outcome.result),
        output: outcome.output,
        logs: outcome.logs,
        inner_calls: outcome.inner_calls,
        ..Receipt::default()
    };
    if has_staked_energy(owner) {
        receipt.energy_usage = outcome.energy;
    } else {
        receipt.energy_fee = outcome.energy * ENERGY_PRICE_SUN;
    }
    receipt
}

/// A third of all accounts has staked for energy, so that receipts come in both shapes.
fn has_staked_energy(owner: Address) -> bool {
    owner.as_bytes()[19].is_multiple_of(3)
}

/// Bytes that a transaction counts for.
fn bandwidth(tx: &Transaction) -> u64 {
    tx.encode().len() as u64 + RESULT_BYTES
}

/// Sun that a transaction's bytes cost; half of all accounts have bandwidth of their own.
pub fn bandwidth_fee(tx: &Transaction) -> u64 {
    if tx.raw.call.owner().as_bytes()[18].is_multiple_of(2) {
        bandwidth(tx) * BANDWIDTH_PRICE_SUN
    } else {
        0
    }
}
