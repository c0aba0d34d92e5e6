//! Tests of the contracts: moves, allowances, all-or-nothing payments, reverts.

use super::*;
use crate::sandbox::contracts::{USDT, calldata, disperse_calldata};

const ALICE: Address = Address::from_bytes([1; 20]);
const BOB: Address = Address::from_bytes([2; 20]);
const CAROL: Address = Address::from_bytes([3; 20]);

fn world() -> State {
    let mut state = State::default();
    state.set(Slot::Balance(Token::Usdt, ALICE), 100);
    state
}

fn balance(state: &State, who: Address) -> u128 {
    state.get(Slot::Balance(Token::Usdt, who))
}

fn usdt(state: &mut State, caller: Address, signature: &str, words: &[Word]) -> Outcome {
    call(
        state,
        caller,
        Contract::Token(Token::Usdt),
        &calldata(signature, words),
    )
}

#[test]
fn a_transfer_moves_and_logs_its_event() {
    let mut state = world();
    let outcome = usdt(
        &mut state,
        ALICE,
        "transfer(address,uint256)",
        &[address_word(BOB), number_word(40)],
    );
    assert_eq!(outcome.result, ContractResult::Success);
    assert_eq!(outcome.output, vec![0; 32]);
    assert_eq!(outcome.logs.len(), 1);
    assert_eq!(outcome.logs[0].address, USDT);
    assert_eq!(
        outcome.logs[0].topics,
        [TRANSFER_TOPIC, address_word(ALICE), address_word(BOB)]
    );
    assert_eq!((balance(&state, ALICE), balance(&state, BOB)), (60, 40));
}

#[test]
fn too_little_and_absurd_amounts_revert_without_a_trace() {
    let mut state = world();
    for amount in [number_word(101), [0xff; 32]] {
        let outcome = usdt(
            &mut state,
            ALICE,
            "transfer(address,uint256)",
            &[address_word(BOB), amount],
        );
        assert_eq!(
            (outcome.result, outcome.logs.len()),
            (ContractResult::Revert, 0)
        );
    }
    assert_eq!(balance(&state, ALICE), 100);
}

#[test]
fn allowances_are_needed_and_used_up_unless_unlimited() {
    let mut state = world();
    let pull = [address_word(ALICE), address_word(CAROL), number_word(30)];
    let refused = usdt(
        &mut state,
        BOB,
        "transferFrom(address,address,uint256)",
        &pull,
    );
    assert_eq!(refused.result, ContractResult::Revert);
    usdt(
        &mut state,
        ALICE,
        "approve(address,uint256)",
        &[address_word(BOB), number_word(30)],
    );
    let first = usdt(
        &mut state,
        BOB,
        "transferFrom(address,address,uint256)",
        &pull,
    );
    assert_eq!(first.result, ContractResult::Success);
    let second = usdt(
        &mut state,
        BOB,
        "transferFrom(address,address,uint256)",
        &pull,
    );
    assert_eq!(second.result, ContractResult::Revert);
    usdt(
        &mut state,
        ALICE,
        "approve(address,uint256)",
        &[address_word(BOB), [0xff; 32]],
    );
    usdt(
        &mut state,
        BOB,
        "transferFrom(address,address,uint256)",
        &pull,
    );
    let left = usdt(
        &mut state,
        BOB,
        "allowance(address,address)",
        &[address_word(ALICE), address_word(BOB)],
    );
    assert_eq!(left.output, vec![0xff; 32]);
}

#[test]
fn dispersing_pays_all_or_nobody() {
    let mut state = world();
    let ok = call(
        &mut state,
        ALICE,
        Contract::Disperser,
        &disperse_calldata(USDT, &[(BOB, 10), (CAROL, 20)]),
    );
    assert_eq!(
        (ok.result, ok.logs.len(), ok.inner_calls.len()),
        (ContractResult::Success, 2, 2)
    );
    let broke = call(
        &mut state,
        ALICE,
        Contract::Disperser,
        &disperse_calldata(USDT, &[(BOB, 10), (CAROL, 2000)]),
    );
    assert_eq!(
        (broke.result, broke.logs.len()),
        (ContractResult::Revert, 0)
    );
    assert_eq!((balance(&state, BOB), balance(&state, CAROL)), (10, 20));
}

#[test]
fn strings_come_abi_encoded_and_unknown_calls_revert() {
    let mut state = world();
    let symbol = usdt(&mut state, ALICE, "symbol()", &[]);
    assert_eq!(symbol.output.len(), 96);
    assert_eq!(&symbol.output[64..68], b"USDT");
    assert_eq!(
        usdt(&mut state, ALICE, "mint(uint256)", &[number_word(1)]).result,
        ContractResult::Revert
    );
    assert_eq!(
        call(&mut state, ALICE, Contract::Forwarder, &[1, 2, 3]).result,
        ContractResult::Revert
    );
}
