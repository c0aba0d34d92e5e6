//! A simulated chain: every block that was ever made, the branch that counts, branches beside it, and what is final.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use paybell::domain::address::Address;
use paybell::domain::amount::Amount;
use paybell::domain::chain::{BlockHeader, Transfer};
use paybell::domain::ids::{BlockHash, Height, TxId, UnixMs};

pub const SLOT_MS: u64 = 3_000;
/// Height of the first block; real chains are old.
pub const FIRST_HEIGHT: u64 = 1_000;
/// Blocks behind the head that can still be forked away.
pub const FINAL_LAG: u64 = 18;
/// Blocks that a chain has when the story begins.
const PAST_BLOCKS: u64 = 100;
/// Branches beside the main one that are remembered.
const MAX_BRANCHES: usize = 3;

/// One log of a transaction: to whom, how much; zero is possible.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    pub to: Address,
    pub amount: Amount,
}

/// A transaction that succeeded. One that failed leaves no logs and is not here.
#[derive(Debug, Clone)]
pub struct Tx {
    pub id: TxId,
    pub logs: Vec<Log>,
}

#[derive(Debug, Clone)]
pub struct SimBlock {
    pub header: BlockHeader,
    pub txs: Vec<Tx>,
}

impl SimBlock {
    /// What a sound source reads from it: every transfer that moves something, its index counted over all logs.
    pub fn transfers(&self) -> Vec<Transfer> {
        let logs = self
            .txs
            .iter()
            .flat_map(|tx| tx.logs.iter().map(|log| (tx.id, log)));
        (0_u32..)
            .zip(logs)
            .filter(|(_, (_, log))| !log.amount.is_zero())
            .map(|(log_index, (txid, log))| Transfer {
                txid,
                log_index,
                from: Address::from_bytes([0x77; 20]),
                to: log.to,
                amount: log.amount,
            })
            .collect()
    }
}

/// Hashes from the first block to a head.
pub type Path = Vec<BlockHash>;

/// What becomes of the transactions of blocks that a fork replaces.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// At the same place on the new branch.
    Kept,
    /// Into some later block.
    Moved,
    /// Never again, as when the payer spent the coins otherwise.
    Gone,
}

#[derive(Debug)]
pub struct SimChain {
    number: u8,
    blocks: BTreeMap<BlockHash, SimBlock>,
    pub main: Path,
    pub branches: Vec<Path>,
    /// Branches that what is final has left behind; a node that hangs on one does not know it.
    dead: Vec<Path>,
    pub final_height: Height,
    pub finality_stalls: bool,
    /// Its nodes do not keep what is older.
    pub kept_from: Height,
    mempool: Vec<Tx>,
    made_blocks: u64,
    made_txs: u64,
    /// No fork reaches below this height: the chain stood still there for hours.
    fork_floor: u64,
}

impl SimChain {
    /// A chain with a past of final blocks that ends at `now`.
    pub fn new(number: u8, now: UnixMs) -> Self {
        let mut chain = Self {
            number,
            blocks: BTreeMap::new(),
            main: Vec::new(),
            branches: Vec::new(),
            dead: Vec::new(),
            final_height: Height(FIRST_HEIGHT),
            finality_stalls: false,
            kept_from: Height(FIRST_HEIGHT),
            mempool: Vec::new(),
            made_blocks: 0,
            made_txs: 0,
            fork_floor: 0,
        };
        for back in (0..PAST_BLOCKS).rev() {
            let header = chain.next_header(&chain.main, now.minus_ms(back * SLOT_MS));
            let main = std::mem::take(&mut chain.main);
            chain.main = chain.grown(main, header, Vec::new());
        }
        chain.settle_final();
        chain
    }

    pub fn block(&self, hash: &BlockHash) -> Option<&SimBlock> {
        self.blocks.get(hash)
    }

    pub fn at(&self, path: &[BlockHash], height: Height) -> Option<&SimBlock> {
        let place = usize::try_from(height.0.checked_sub(FIRST_HEIGHT)?).ok()?;
        self.blocks.get(path.get(place)?)
    }

    pub fn head_of(&self, path: &[BlockHash]) -> BlockHeader {
        self.blocks[path.last().unwrap()].header
    }

    pub fn head(&self) -> BlockHeader {
        self.head_of(&self.main)
    }

    pub fn main_blocks(&self) -> impl Iterator<Item = &SimBlock> {
        self.main.iter().map(|hash| &self.blocks[hash])
    }

    pub fn is_on_main(&self, header: &BlockHeader) -> bool {
        self.at(&self.main, header.height)
            .is_some_and(|b| b.header.hash == header.hash)
    }

    /// A transaction for one of the next blocks.
    pub fn send(&mut self, logs: Vec<Log>) -> TxId {
        self.made_txs += 1;
        let mut id = [self.number; 32];
        id[..8].copy_from_slice(&self.made_txs.to_be_bytes());
        self.mempool.push(Tx { id: TxId(id), logs });
        TxId(id)
    }

    /// The main branch grows by a block with some of what waits; the branches beside it may grow too.
    pub fn grow(&mut self, now: UnixMs, rng: &mut Rng) {
        let taken = self.take_some(rng);
        let header = self.next_header(&self.main, now);
        let main = std::mem::take(&mut self.main);
        self.main = self.grown(main, header, taken);
        for at in 0..self.branches.len() {
            if rng.u8(..12) > 0 {
                let path = self.branches[at].clone();
                let header = self.next_header(&path, now);
                self.branches[at] = self.grown(path, header, Vec::new());
            }
        }
        self.settle_final();
    }

    /// The chain stands still and goes on with a block at `now`.
    pub fn halt_until(&mut self, now: UnixMs, rng: &mut Rng) {
        self.branches.clear();
        self.fork_floor = self.head().height.0;
        self.grow(now, rng);
    }

    fn take_some(&mut self, rng: &mut Rng) -> Vec<Tx> {
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for tx in std::mem::take(&mut self.mempool) {
            if rng.u8(..10) < 8 {
                taken.push(tx);
            } else {
                left.push(tx);
            }
        }
        self.mempool = left;
        taken
    }

    /// The deepest fork that is possible now.
    pub fn max_fork(&self) -> u64 {
        let floor = self.final_height.0.max(self.fork_floor);
        self.head().height.0 - floor
    }

    /// Replaces the newest `depth` blocks of the main branch by as many others; the old ones become a branch beside it.
    pub fn fork(&mut self, depth: u64, rng: &mut Rng) {
        let keep = self.main.len() - usize::try_from(depth).unwrap();
        let mut path = self.main[..keep].to_vec();
        let mut moved = Vec::new();
        let replaced: Path = self.main[keep..].to_vec();
        for hash in replaced {
            let old = self.blocks[&hash].clone();
            let mut txs = std::mem::take(&mut moved);
            for tx in old.txs {
                match fate(rng) {
                    Fate::Kept => txs.push(tx),
                    Fate::Moved => moved.push(tx),
                    Fate::Gone => {}
                }
            }
            if rng.bool() {
                txs.reverse();
            }
            let header = self.next_header(&path, old.header.time);
            path = self.grown(path, header, txs);
        }
        self.mempool.append(&mut moved);
        self.switch_to(path);
    }

    /// A branch beside the main one, from `depth` below the head, grown by one block.
    pub fn split(&mut self, depth: u64, now: UnixMs) {
        let keep = self.main.len() - usize::try_from(depth).unwrap();
        let path = self.main[..keep].to_vec();
        let time = self.blocks[path.last().unwrap()]
            .header
            .time
            .plus_ms(SLOT_MS)
            .max(now.minus_ms(SLOT_MS));
        let header = self.next_header(&path, time);
        let path = self.grown(path, header, Vec::new());
        let mut path = path;
        while path.len() + 1 < self.main.len() {
            let time = self.blocks[path.last().unwrap()].header.time;
            let header = self.next_header(&path, time.plus_ms(SLOT_MS));
            path = self.grown(path, header, Vec::new());
        }
        self.remember(path);
    }

    /// Branches that are about as long as the main one: the longest wins, so no other can.
    pub fn rivals(&self) -> Vec<usize> {
        let long_enough = self.main.len().saturating_sub(2);
        let all = self.branches.iter().enumerate();
        all.filter(|(_, path)| path.len() >= long_enough)
            .map(|(at, _)| at)
            .collect()
    }

    /// A branch beside the main one becomes the main one. What only the old one held may come again.
    pub fn adopt(&mut self, branch: usize, rng: &mut Rng) {
        let path = self.branches.remove(branch);
        let fork = self
            .main
            .iter()
            .zip(&path)
            .take_while(|(a, b)| a == b)
            .count();
        for hash in &self.main[fork..] {
            for tx in self.blocks[hash].txs.clone() {
                if !matches!(fate(rng), Fate::Gone) {
                    self.mempool.push(tx);
                }
            }
        }
        self.switch_to(path);
    }

    fn switch_to(&mut self, path: Path) {
        let old = std::mem::replace(&mut self.main, path);
        self.remember(old);
        // No transaction is on one branch twice.
        let included: BTreeSet<TxId> = self
            .main_blocks()
            .flat_map(|b| b.txs.iter().map(|tx| tx.id))
            .collect();
        let mut known = BTreeSet::new();
        self.mempool
            .retain(|tx| !included.contains(&tx.id) && known.insert(tx.id));
    }

    fn remember(&mut self, path: Path) {
        self.branches.push(path);
        if self.branches.len() > MAX_BRANCHES {
            self.branches.remove(0);
        }
    }

    fn settle_final(&mut self) {
        if !self.finality_stalls {
            let height = Height(self.head().height.0.saturating_sub(FINAL_LAG));
            self.final_height = self.final_height.max(height);
        }
        // A branch that leaves the main one below what is final is dead.
        let place = usize::try_from(self.final_height.0 - FIRST_HEIGHT).unwrap();
        let last_final = self.main[place];
        let (alive, dead): (Vec<Path>, Vec<Path>) = std::mem::take(&mut self.branches)
            .into_iter()
            .partition(|path| path.get(place) == Some(&last_final));
        self.branches = alive;
        self.dead.extend(dead);
        let surplus = self.dead.len().saturating_sub(MAX_BRANCHES);
        self.dead.drain(..surplus);
    }

    /// A branch beside the main one, alive or dead.
    pub fn beside(&self, branch: usize) -> Option<&Path> {
        self.branches.iter().chain(&self.dead).nth(branch)
    }

    fn next_header(&self, path: &[BlockHash], time: UnixMs) -> BlockHeader {
        let parent = path.last().map(|hash| self.blocks[hash].header);
        let height = parent.map_or(FIRST_HEIGHT, |p| p.height.0 + 1);
        let mut hash = [self.number; 32];
        hash[..8].copy_from_slice(&height.to_be_bytes());
        hash[8..16].copy_from_slice(&(self.made_blocks + 1).to_be_bytes());
        BlockHeader {
            height: Height(height),
            hash: BlockHash(hash),
            parent: parent.map_or(BlockHash([0; 32]), |p| p.hash),
            time: parent.map_or(time, |p| time.max(p.time.plus_ms(SLOT_MS))),
        }
    }

    fn grown(&mut self, mut path: Path, header: BlockHeader, txs: Vec<Tx>) -> Path {
        self.made_blocks += 1;
        self.blocks.insert(header.hash, SimBlock { header, txs });
        path.push(header.hash);
        path
    }
}

fn fate(rng: &mut Rng) -> Fate {
    match rng.u8(..10) {
        0..5 => Fate::Kept,
        5..8 => Fate::Moved,
        _ => Fate::Gone,
    }
}
