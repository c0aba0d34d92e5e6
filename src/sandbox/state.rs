//! The chain's world state: who owns what, and a journal that can take every change back.
//!
//! Refuses nothing by itself; which changes are allowed is for `vm` and `broadcast` to decide.

use std::collections::HashMap;

use crate::domain::address::Address;

/// The two tokens of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    Usdt,
    /// Emits the same events from another contract address.
    Fake,
}

/// One number in the world state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Base units.
    Balance(Token, Address),
    /// What the second address may spend of the first one's tokens; `u128::MAX` is without limit.
    Allowance(Token, Address, Address),
    /// Sun. An account exists once it has this slot, even at zero.
    Trx(Address),
}

/// What undoes one block: every slot's earlier value, in the order of change.
#[derive(Debug, Default)]
pub struct Journal(Vec<(Slot, Option<u128>)>);

/// A point to roll back to.
#[derive(Debug, Clone, Copy)]
pub struct Checkpoint(usize);

#[derive(Default)]
pub struct State {
    slots: HashMap<Slot, u128>,
    journal: Journal,
}

impl State {
    pub fn get(&self, slot: Slot) -> u128 {
        self.slots.get(&slot).copied().unwrap_or(0)
    }

    pub fn exists(&self, slot: Slot) -> bool {
        self.slots.contains_key(&slot)
    }

    pub fn set(&mut self, slot: Slot, value: u128) {
        let before = self.slots.insert(slot, value);
        self.journal.0.push((slot, before));
    }

    /// Moves an amount between two slots; `false`, and no change, when the first has too little.
    #[must_use]
    pub fn move_amount(&mut self, from: Slot, to: Slot, amount: u128) -> bool {
        let Some(rest) = self.get(from).checked_sub(amount) else {
            return false;
        };
        self.set(from, rest);
        let Some(sum) = self.get(to).checked_add(amount) else {
            self.set(from, rest + amount);
            return false;
        };
        self.set(to, sum);
        true
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.journal.0.len())
    }

    pub fn roll_back(&mut self, point: Checkpoint) {
        let undone = self.journal.0.split_off(point.0.min(self.journal.0.len()));
        self.restore(undone);
    }

    /// Everything changed since the last call, to keep beside the block that changed it.
    pub fn take_journal(&mut self) -> Journal {
        std::mem::take(&mut self.journal)
    }

    /// Undoes a block. Blocks are undone newest first.
    pub fn undo(&mut self, journal: Journal) {
        self.restore(journal.0);
    }

    fn restore(&mut self, changes: Vec<(Slot, Option<u128>)>) {
        for (slot, before) in changes.into_iter().rev() {
            match before {
                Some(value) => self.slots.insert(slot, value),
                None => self.slots.remove(&slot),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> Slot {
        Slot::Trx(Address::from_bytes([n; 20]))
    }

    #[test]
    fn moves_need_the_funds_and_survive_a_move_to_oneself() {
        let mut state = State::default();
        state.set(account(1), 10);
        assert!(!state.move_amount(account(1), account(2), 11));
        assert!(state.move_amount(account(1), account(2), 4));
        assert!(state.move_amount(account(1), account(1), 6));
        assert_eq!((state.get(account(1)), state.get(account(2))), (6, 4));
        state.set(account(2), u128::MAX);
        assert!(!state.move_amount(account(1), account(2), 1));
        assert_eq!(state.get(account(1)), 6);
    }

    #[test]
    fn undoing_restores_values_and_absences() {
        let mut state = State::default();
        state.set(account(1), 10);
        let first = state.take_journal();
        let point = state.checkpoint();
        state.set(account(1), 5);
        state.set(account(2), 5);
        state.roll_back(point);
        assert_eq!(state.get(account(1)), 10);
        assert!(!state.exists(account(2)));
        state.set(account(2), 1);
        let second = state.take_journal();
        state.undo(second);
        state.undo(first);
        assert!(!state.exists(account(1)) && !state.exists(account(2)));
    }
}
