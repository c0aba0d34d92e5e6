//! Blocks and receipts as the chain keeps them, and the hashes that tie blocks together.

use super::keys::{Keypair, sha256};
use super::proto::Message;
use super::state::Journal;
use super::tx::{Transaction, tron_bytes};
use super::vm::{ContractResult, Log};
use crate::domain::address::Address;
use crate::domain::ids::{BlockHash, TxId};

/// `BlockHeader.raw.version` of mainnet in 2026.
pub const BLOCK_VERSION: i64 = 34;

/// `BlockHeader.raw`: what a block's id is the hash of.
#[derive(Debug, Clone)]
pub struct Header {
    pub height: u64,
    /// Unix milliseconds.
    pub time: u64,
    pub tx_trie_root: [u8; 32],
    pub parent: BlockHash,
    pub witness: Vec<u8>,
    pub version: i64,
}

/// What executing a transaction came to; `TransactionInfo` without what the block already says.
#[derive(Debug, Clone, Default)]
pub struct Receipt {
    /// Sun; the sum of what energy and bandwidth were paid with.
    pub fee: u64,
    pub energy_usage: u64,
    pub energy_fee: u64,
    pub energy_total: u64,
    pub net_usage: u64,
    pub net_fee: u64,
    /// Absent for plain TRX transfers.
    pub result: Option<ContractResult>,
    pub output: Vec<u8>,
    pub logs: Vec<Log>,
    pub inner_calls: Vec<Address>,
}

/// What the sandbox may do with a transaction beyond the rules, so that it can be executed again
/// after a fork with the same effect.
#[derive(Debug, Clone, Default)]
pub struct Power {
    /// Slots raised to at least these values before execution.
    pub grants: Vec<(super::state::Slot, u128)>,
    /// Fails this way whatever the contract says.
    pub forced: Option<ContractResult>,
}

/// A transaction waiting for a block.
#[derive(Debug, Clone)]
pub struct Pending {
    pub tx: Transaction,
    pub power: Power,
}

/// A transaction in a block.
#[derive(Debug)]
pub struct Included {
    pub tx: Transaction,
    pub power: Power,
    pub receipt: Receipt,
}

#[derive(Debug)]
pub struct Block {
    pub id: BlockHash,
    pub header: Header,
    pub witness_signature: Vec<u8>,
    pub entries: Vec<Included>,
    /// Takes the block's changes back; dropped once the block is solid.
    pub undo: Journal,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        Message::new()
            .int(1, self.time.cast_signed())
            .bytes(2, &self.tx_trie_root)
            .bytes(3, &self.parent.0)
            .int(7, self.height.cast_signed())
            .bytes(9, &self.witness)
            .int(10, self.version)
            .finish()
    }

    /// SHA-256 of the header, its first eight bytes replaced by the height.
    pub fn id(&self) -> BlockHash {
        let mut id = sha256(&self.encode());
        id[..8].copy_from_slice(&self.height.to_be_bytes());
        BlockHash(id)
    }
}

impl Block {
    /// Seals executed transactions under a header signed by the witness.
    pub fn seal(
        height: u64,
        time: u64,
        parent: BlockHash,
        witness: &Keypair,
        entries: Vec<Included>,
        undo: Journal,
    ) -> Self {
        let header = Header {
            height,
            time,
            tx_trie_root: merkle_root(&entries),
            parent,
            witness: tron_bytes(witness.address()).to_vec(),
            version: BLOCK_VERSION,
        };
        let signature = witness.sign(&sha256(&header.encode())).to_vec();
        Self {
            id: header.id(),
            header,
            witness_signature: signature,
            entries,
            undo,
        }
    }

    /// The block everything starts from: the same on every sandbox chain, so that its chain id is.
    pub fn genesis() -> Self {
        let header = Header {
            height: 0,
            time: 0,
            tx_trie_root: [0; 32],
            parent: BlockHash(sha256(b"paybell sandbox chain")),
            witness: b"paybell sandbox".to_vec(),
            version: 0,
        };
        Self {
            id: header.id(),
            header,
            witness_signature: Vec::new(),
            entries: Vec::new(),
            undo: Journal::default(),
        }
    }

    /// How many logs the block's transactions before this one emitted.
    pub fn logs_before(&self, index: usize) -> usize {
        self.entries
            .iter()
            .take(index)
            .map(|entry| entry.receipt.logs.len())
            .sum()
    }

    pub fn position(&self, id: TxId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.tx.id == id)
    }
}

/// java-tron's Merkle tree: pairs are hashed, an odd leaf moves up as it is; no leaves, all zeros.
fn merkle_root(entries: &[Included]) -> [u8; 32] {
    let mut level: Vec<[u8; 32]> = entries
        .iter()
        .map(|entry| sha256(&encode_in_block(entry)))
        .collect();
    if level.is_empty() {
        return [0; 32];
    }
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => sha256(&[left.as_slice(), right].concat()),
                [alone] => *alone,
                _ => [0; 32],
            })
            .collect();
    }
    level[0]
}

/// A transaction as it lies in a block: with its result, `ret { contractRet }`.
fn encode_in_block(entry: &Included) -> Vec<u8> {
    const RET_FIELD: u64 = 5;
    const CONTRACT_RET_FIELD: u64 = 3;
    let number = match entry.receipt.result {
        None | Some(ContractResult::Success) => 1,
        Some(ContractResult::Revert) => 2,
        Some(ContractResult::OutOfEnergy) => 10,
    };
    let ret = Message::new().int(CONTRACT_RET_FIELD, number).finish();
    let mut bytes = entry.tx.encode();
    bytes.extend(Message::new().item(RET_FIELD, &ret).finish());
    bytes
}
