//! Who lives on the sandbox chain: witnesses, strangers who trade in the background, the collector,
//! and the publicly known test account. All of them follow from the seed.

use super::keys::Keypair;
use super::state::{Slot, State, Token};
use crate::domain::address::Address;

/// Super representatives that take turns producing blocks.
pub const WITNESSES: u64 = 27;
/// Accounts whose transfers fill the blocks.
const STRANGERS: u64 = 60;

const USDT_UNIT: u128 = 1_000_000;
const SUN_PER_TRX: u128 = 1_000_000;
/// What the test account owns at genesis.
const TEST_USDT: u128 = 1_000_000 * USDT_UNIT;
const TEST_TRX: u128 = 1_000_000 * SUN_PER_TRX;
/// What every stranger owns at genesis.
const STRANGER_USDT: u128 = 100_000_000 * USDT_UNIT;
const STRANGER_TRX: u128 = 100_000_000 * SUN_PER_TRX;
/// What `totalSupply()` answers; the order of magnitude of USDT on TRON.
pub const TOTAL_SUPPLY: u128 = 80_000_000_000 * USDT_UNIT;

/// The cast.
pub struct Actors {
    pub witnesses: Vec<Keypair>,
    pub strangers: Vec<Keypair>,
    /// Calls `transferFrom` on others' behalf.
    pub collector: Keypair,
    /// Private key 1: publicly known, for real clients to send from.
    pub test: Keypair,
}

impl Actors {
    pub fn new(seed: u64) -> Self {
        let many = |label: &str, count| {
            (0..count)
                .map(|n| Keypair::derive(label, seed, n))
                .collect()
        };
        let mut one = [0_u8; 32];
        one[31] = 1;
        Self {
            witnesses: many("witness", WITNESSES),
            strangers: many("stranger", STRANGERS),
            collector: Keypair::derive("collector", seed, 0),
            test: Keypair::from_scalar(&one).unwrap_or_else(|| Keypair::derive("test", seed, 0)),
        }
    }

    /// The genesis allocation.
    pub fn fund(&self, state: &mut State) {
        for stranger in &self.strangers {
            for token in [Token::Usdt, Token::Fake] {
                state.set(Slot::Balance(token, stranger.address()), STRANGER_USDT);
            }
            state.set(Slot::Trx(stranger.address()), STRANGER_TRX);
        }
        state.set(Slot::Balance(Token::Usdt, self.test.address()), TEST_USDT);
        state.set(Slot::Trx(self.test.address()), TEST_TRX);
        state.set(Slot::Trx(self.collector.address()), STRANGER_TRX);
        for witness in &self.witnesses {
            state.set(Slot::Trx(witness.address()), 0);
        }
    }

    /// The key of an address, where the sandbox has it.
    pub fn key_of(&self, address: Address) -> Option<&Keypair> {
        [&self.test, &self.collector]
            .into_iter()
            .chain(&self.strangers)
            .find(|pair| pair.address() == address)
    }

    /// Signs for addresses whose key nobody here has, as a test chain may.
    pub fn signer_for(&self, address: Address) -> &Keypair {
        self.key_of(address).unwrap_or(&self.collector)
    }
}
