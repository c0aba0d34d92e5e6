//! What the sandbox's contracts do when called: state changes, logs, return data, energy.
//!
//! Refuses by reverting, as a contract does; undoing a reverted call's changes is for the caller.

use super::contracts::{
    APPROVAL_TOPIC, Contract, TRANSFER_TOPIC, Word, address_word, number_word, read_disperse,
    selector, split_calldata, word_address, word_number,
};
use super::state::{Slot, State, Token};
use crate::domain::address::Address;

/// `Transaction.Result.contractResult`, the values the sandbox produces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContractResult {
    Success,
    Revert,
    OutOfEnergy,
}

/// One event, as the contract emitted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub address: Address,
    pub topics: Vec<Word>,
    pub data: Vec<u8>,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub result: ContractResult,
    pub logs: Vec<Log>,
    pub output: Vec<u8>,
    pub energy: u64,
    /// The contracts that the called contract called in turn.
    pub inner_calls: Vec<Address>,
}

/// Energy of a transfer to someone who holds the token, and to someone who does not yet.
const TRANSFER_ENERGY: u64 = 64_285;
const FIRST_TRANSFER_ENERGY: u64 = 130_285;
const TRANSFER_FROM_EXTRA_ENERGY: u64 = 13_000;
const APPROVE_ENERGY: u64 = 99_764;
const VIEW_ENERGY: u64 = 935;
const REVERT_ENERGY: u64 = 2_311;
/// What a forwarding contract adds for each inner call.
const INNER_CALL_ENERGY: u64 = 21_000;

/// Without limit: such an allowance is never used up, as in USDT's own code.
const UNLIMITED: u128 = u128::MAX;

impl ContractResult {
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Revert => "REVERT",
            Self::OutOfEnergy => "OUT_OF_ENERGY",
        }
    }

    /// The text that goes, as hex, into a receipt's `resMessage`.
    pub fn message(self) -> Option<&'static str> {
        match self {
            Self::Success => None,
            Self::Revert => Some("REVERT opcode executed"),
            Self::OutOfEnergy => Some(
                "Not enough energy for 'SSTORE' operation executing: curInvokeEnergyLimit[10000], curOpEnergy[20000], usedEnergy[9874]",
            ),
        }
    }
}

impl Outcome {
    fn success(output: Vec<u8>, energy: u64) -> Self {
        let result = ContractResult::Success;
        Self {
            result,
            logs: Vec::new(),
            output,
            energy,
            inner_calls: Vec::new(),
        }
    }

    /// A failure that changed nothing and says nothing.
    pub fn failure(result: ContractResult, energy: u64) -> Self {
        Self {
            result,
            logs: Vec::new(),
            output: Vec::new(),
            energy,
            inner_calls: Vec::new(),
        }
    }

    fn revert() -> Self {
        Self::failure(ContractResult::Revert, REVERT_ENERGY)
    }
}

/// Runs a call. A failed call's changes are rolled back.
pub fn call(state: &mut State, caller: Address, contract: Contract, data: &[u8]) -> Outcome {
    let point = state.checkpoint();
    let outcome = match split_calldata(data) {
        None => Outcome::revert(),
        Some((head, words)) => match contract {
            Contract::Token(token) => token_call(state, token, caller, head, &words),
            Contract::Forwarder => forward(state, caller, head, &words),
            Contract::Disperser => disperse(state, caller, head, &words),
        },
    };
    if outcome.result != ContractResult::Success {
        state.roll_back(point);
    }
    outcome
}

fn token_call(
    state: &mut State,
    token: Token,
    caller: Address,
    head: [u8; 4],
    words: &[Word],
) -> Outcome {
    let is = |signature: &str| head == selector(signature);
    match words {
        [to, amount] if is("transfer(address,uint256)") => {
            transfer(state, token, caller, word_address(to), word_number(amount))
        }
        [from, to, amount] if is("transferFrom(address,address,uint256)") => {
            let (from, to) = (word_address(from), word_address(to));
            transfer_from(state, token, caller, from, to, word_number(amount))
        }
        [spender, amount] if is("approve(address,uint256)") => {
            approve(state, token, caller, word_address(spender), amount)
        }
        [who] if is("balanceOf(address)") => {
            view_number(state.get(Slot::Balance(token, word_address(who))))
        }
        [owner, spender] if is("allowance(address,address)") => {
            let slot = Slot::Allowance(token, word_address(owner), word_address(spender));
            match state.get(slot) {
                UNLIMITED => Outcome::success(vec![0xff; 32], VIEW_ENERGY),
                allowed => view_number(allowed),
            }
        }
        [] if is("decimals()") => view_number(6),
        [] if is("totalSupply()") => view_number(super::actors::TOTAL_SUPPLY),
        [] if is("symbol()") => view_text("USDT"),
        [] if is("name()") => view_text("Tether USD"),
        _ => Outcome::revert(),
    }
}

fn view_number(value: u128) -> Outcome {
    Outcome::success(number_word(value).to_vec(), VIEW_ENERGY)
}

/// An ABI-encoded string: offset, length, bytes padded to a word.
fn view_text(text: &str) -> Outcome {
    let mut output = number_word(32).to_vec();
    output.extend_from_slice(&number_word(text.len() as u128));
    output.extend_from_slice(text.as_bytes());
    output.resize(output.len().next_multiple_of(32), 0);
    Outcome::success(output, VIEW_ENERGY)
}

fn transfer(
    state: &mut State,
    token: Token,
    from: Address,
    to: Address,
    amount: Option<u128>,
) -> Outcome {
    let target = Slot::Balance(token, to);
    let energy = if state.get(target) == 0 {
        FIRST_TRANSFER_ENERGY
    } else {
        TRANSFER_ENERGY
    };
    let moved =
        amount.filter(|amount| state.move_amount(Slot::Balance(token, from), target, *amount));
    let Some(amount) = moved else {
        return Outcome::revert();
    };
    // USDT's functions return zeros even where they succeed.
    let mut outcome = Outcome::success(vec![0; 32], energy);
    outcome
        .logs
        .push(event(token, TRANSFER_TOPIC, from, to, number_word(amount)));
    outcome
}

fn transfer_from(
    state: &mut State,
    token: Token,
    spender: Address,
    from: Address,
    to: Address,
    amount: Option<u128>,
) -> Outcome {
    let allowance = Slot::Allowance(token, from, spender);
    let allowed = state.get(allowance);
    let Some(rest) = amount.and_then(|amount| allowed.checked_sub(amount)) else {
        return Outcome::revert();
    };
    if allowed != UNLIMITED {
        state.set(allowance, rest);
    }
    let mut outcome = transfer(state, token, from, to, amount);
    outcome.energy += TRANSFER_FROM_EXTRA_ENERGY;
    outcome
}

fn approve(
    state: &mut State,
    token: Token,
    owner: Address,
    spender: Address,
    amount: &Word,
) -> Outcome {
    let value = word_number(amount).unwrap_or(UNLIMITED);
    state.set(Slot::Allowance(token, owner, spender), value);
    let mut outcome = Outcome::success(vec![0; 32], APPROVE_ENERGY);
    outcome
        .logs
        .push(event(token, APPROVAL_TOPIC, owner, spender, *amount));
    outcome
}

fn event(token: Token, topic: Word, from: Address, to: Address, value: Word) -> Log {
    let address = match token {
        Token::Usdt => super::contracts::USDT,
        Token::Fake => super::contracts::FAKE_USDT,
    };
    Log {
        address,
        topics: vec![topic, address_word(from), address_word(to)],
        data: value.to_vec(),
    }
}

fn forward(state: &mut State, caller: Address, head: [u8; 4], words: &[Word]) -> Outcome {
    match words {
        [token, to, amount] if head == selector("forward(address,address,uint256)") => {
            let payment = [(word_address(to), word_number(amount))];
            pay_all(state, caller, word_address(token), &payment)
        }
        _ => Outcome::revert(),
    }
}

fn disperse(state: &mut State, caller: Address, head: [u8; 4], words: &[Word]) -> Outcome {
    match read_disperse(words) {
        Some((token, payments)) if head == selector("disperse(address,address[],uint256[])") => {
            let payments: Vec<_> = payments.into_iter().map(|(to, n)| (to, Some(n))).collect();
            pay_all(state, caller, token, &payments)
        }
        _ => Outcome::revert(),
    }
}

/// Moves the caller's tokens, all or nothing. Everyone has approved the sandbox's own contracts.
fn pay_all(
    state: &mut State,
    caller: Address,
    token_address: Address,
    payments: &[(Address, Option<u128>)],
) -> Outcome {
    let Some(Contract::Token(token)) = Contract::at(token_address) else {
        return Outcome::revert();
    };
    let mut all = Outcome::success(Vec::new(), 0);
    for (to, amount) in payments {
        let one = transfer(state, token, caller, *to, *amount);
        if one.result != ContractResult::Success {
            return Outcome::revert();
        }
        all.energy += one.energy + INNER_CALL_ENERGY;
        all.logs.extend(one.logs);
        all.inner_calls.push(token_address);
    }
    all
}

#[cfg(test)]
#[path = "vm_tests.rs"]
mod tests;
