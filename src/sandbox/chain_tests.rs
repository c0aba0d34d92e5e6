//! Tests of the chain model: linkage, solidity, forks, reproducibility, limits.

use super::*;
use crate::domain::address::Address;
use crate::sandbox::noise::Kind;
use crate::sandbox::state::{Slot, Token};
use crate::sandbox::vm::ContractResult;

const NOW: u64 = 1_800_000_001_234;
const SHOP: Address = Address::from_bytes([7; 20]);

fn options(seed: u64, noise_per_block: u32) -> ChainOptions {
    ChainOptions {
        block_ms: 3000,
        seed,
        noise_per_block,
        kept_blocks: 50,
    }
}

fn chain(noise_per_block: u32) -> Chain {
    Chain::new(options(7, noise_per_block), 40, NOW)
}

fn payment(kind: Kind, amount: u128) -> Payment {
    Payment {
        from: Address::from_bytes([9; 20]),
        to: vec![(SHOP, amount)],
        kind,
    }
}

fn mine(chain: &mut Chain) -> u64 {
    let time = chain.next_time(NOW);
    chain.produce(time).header.height
}

fn shop_balance(chain: &Chain) -> u128 {
    chain.state.get(Slot::Balance(Token::Usdt, SHOP))
}

#[test]
fn a_new_chain_has_a_linked_history_up_to_the_current_slot() {
    let chain = chain(4);
    assert_eq!(chain.head_height(), 40);
    assert_eq!(chain.solid_height(), 22);
    assert_eq!(chain.head().header.time, NOW - NOW % 3000);
    for height in 1..=40 {
        let block = chain.block(height).expect("kept");
        assert_eq!(
            block.header.parent,
            chain.block(height - 1).expect("kept").id
        );
        assert_eq!(block.header.time % 3000, 0);
        assert_eq!(block.id.0[..8], height.to_be_bytes());
        assert_eq!(
            block.entries.is_empty(),
            block.header.tx_trie_root == [0; 32]
        );
        assert_eq!(chain.height_of(block.id), Some(height));
    }
    assert!(chain.block(41).is_none());
}

#[test]
fn the_seed_alone_decides() {
    assert_eq!(chain(5).head().id, chain(5).head().id);
    let other = Chain::new(options(8, 5), 40, NOW);
    assert_ne!(chain(5).head().id, other.head().id);
    assert_eq!(chain(5).genesis(), other.genesis());
}

#[test]
fn background_traffic_has_every_shape() {
    let mut chain = chain(30);
    for _ in 0..9 {
        mine(&mut chain);
    }
    let entries: Vec<_> = (1..=49)
        .flat_map(|height| &chain.block(height).expect("kept").entries)
        .collect();
    for wanted in [
        None,
        Some(ContractResult::Success),
        Some(ContractResult::Revert),
        Some(ContractResult::OutOfEnergy),
    ] {
        assert!(
            entries.iter().any(|entry| entry.receipt.result == wanted),
            "{wanted:?}"
        );
    }
    assert!(entries.iter().any(|entry| entry.receipt.logs.len() > 1));
    assert!(entries.iter().any(|entry| entry.receipt.energy_usage > 0));
    assert!(entries.iter().any(|entry| entry.receipt.energy_fee > 0));
    let mut ids = HashSet::new();
    assert!(entries.iter().all(|entry| ids.insert(entry.tx.id)));
}

#[test]
fn a_payment_lands_in_the_next_block_and_no_payer_is_too_poor() {
    let mut chain = chain(3);
    for kind in [Kind::Transfer, Kind::TransferFrom, Kind::Internal] {
        let before = shop_balance(&chain);
        let id = chain
            .submit_payment(&payment(kind, 1_500_000))
            .expect("accepted");
        assert!(chain.is_pending(id));
        let height = mine(&mut chain);
        assert_eq!(chain.height_of_tx(id), Some(height));
        assert_eq!(shop_balance(&chain), before + 1_500_000, "{kind:?}");
    }
    for kind in [Kind::Failed, Kind::FakeToken] {
        let before = shop_balance(&chain);
        let id = chain.submit_payment(&payment(kind, 1)).expect("accepted");
        let height = mine(&mut chain);
        let block = chain.block(height).expect("kept");
        let entry = &block.entries[block.position(id).expect("there")];
        assert_eq!(entry.receipt.logs.is_empty(), kind == Kind::Failed);
        assert_eq!(shop_balance(&chain), before);
    }
}

#[test]
fn equal_payments_get_different_ids() {
    let mut chain = chain(0);
    let mut ids = HashSet::new();
    for _ in 0..200 {
        if let Ok(id) = chain.submit_payment(&payment(Kind::Transfer, 1)) {
            ids.insert(id);
        }
    }
    mine(&mut chain);
    assert_eq!(shop_balance(&chain), ids.len() as u128);
    assert_eq!(ids.len(), 200);
}

#[test]
fn a_fork_replaces_blocks_takes_dropped_payments_back_and_keeps_the_rest() {
    let mut chain = chain(3);
    let kept = chain
        .submit_payment(&payment(Kind::Transfer, 100))
        .expect("accepted");
    mine(&mut chain);
    let dropped = chain
        .submit_payment(&payment(Kind::Transfer, 20))
        .expect("accepted");
    mine(&mut chain);
    let before: Vec<_> = (40..=42)
        .map(|height| chain.block(height).expect("kept").id)
        .collect();
    let forked = chain.fork(2, &[dropped]).expect("shallow");
    assert_eq!((forked.from_height, forked.new_head), (41, chain.head().id));
    assert_eq!(chain.head_height(), 42);
    let after: Vec<_> = (40..=42)
        .map(|height| chain.block(height).expect("kept").id)
        .collect();
    assert_eq!(before[0], after[0]);
    assert!(before[1] != after[1] && before[2] != after[2]);
    assert_eq!(chain.block(42).expect("kept").header.parent, after[1]);
    assert!(chain.height_of_tx(kept).is_some());
    assert_eq!(chain.height_of_tx(dropped), None);
    assert_eq!(chain.height_of(before[2]), None);
    assert_eq!(shop_balance(&chain), 100);
}

#[test]
fn forking_an_empty_block_changes_its_id_every_time() {
    let mut chain = chain(0);
    let mut ids = HashSet::from([chain.head().id]);
    for _ in 0..5 {
        chain.fork(1, &[]).expect("shallow");
        assert!(ids.insert(chain.head().id));
    }
}

#[test]
fn solid_blocks_stay() {
    let mut chain = chain(2);
    let head = chain.head().id;
    assert_eq!(chain.fork(0, &[]), Err(ForkError::Zero));
    let refused = chain.fork(SOLID_LAG + 1, &[]).expect_err("too deep");
    assert_eq!(
        refused,
        ForkError::Solid {
            depth: 19,
            head: 40,
            solid: 22,
            most: 18
        }
    );
    let stranger = TxId([1; 32]);
    assert_eq!(
        chain.fork(3, &[stranger]),
        Err(ForkError::NotThere(stranger, 3))
    );
    assert_eq!(chain.head().id, head);
    chain.fork(SOLID_LAG, &[]).expect("just shallow enough");
    assert_eq!(chain.solid_height(), 22);
}

#[test]
fn balances_are_what_they_would_have_been_without_the_fork() {
    let mut forked = chain(6);
    let mut straight = chain(6);
    forked.fork(10, &[]).expect("shallow");
    for chain in [&mut forked, &mut straight] {
        let id = chain
            .submit_payment(&payment(Kind::Transfer, 5))
            .expect("accepted");
        mine(chain);
        assert!(chain.height_of_tx(id).is_some());
    }
    for stranger in &straight.actors.strangers {
        let slot = Slot::Balance(Token::Usdt, stranger.address());
        let difference = forked.state.get(slot).abs_diff(straight.state.get(slot));
        // The block after the fork differs by its noise alone.
        assert!(difference <= 5_000_000_000 * 9);
    }
    assert_eq!(shop_balance(&forked), shop_balance(&straight));
}

#[test]
fn old_blocks_are_forgotten_but_never_the_unsolid_ones() {
    let mut chain = chain(0);
    for _ in 0..30 {
        mine(&mut chain);
    }
    assert!(chain.block(1).is_none());
    assert_eq!(chain.head_height() - chain.lowest_height() + 1, 50);
    assert_eq!(chain.by_id.len(), 50);
    chain.fork(5, &[]).expect("shallow");
}
