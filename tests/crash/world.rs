//! What outlives every hub that the crash test kills: the chain with its forks, the receiver, and the shops' books.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::support::node::{Node, transaction};
use crate::support::receiver::Receiver;
use crate::support::{WALLET, client};

pub const SLOT_MS: u32 = 100;
/// The longest pause between two creations of one shop; ms.
const LONGEST_PAUSE_MS: u64 = 30;
/// Transfers that one block takes at most.
const BLOCK_TRANSFERS: usize = 8;
/// Blocks behind the head that are not final yet.
pub const UNFINAL_BLOCKS: usize = 3;
/// Blocks that a fork takes away at most; what is final stays.
const FORK_BLOCKS: usize = 2;
/// One slot of so many brings a fork of the chain's own accord.
const SLOTS_PER_FORK: u32 = 8;
/// Payments that complete one block deep, before they are final: one of so many.
const EARLY_EVERY: u64 = 3;

/// An order as its shop knows it.
#[derive(Debug, Clone)]
pub struct Order {
    pub number: u64,
    /// What a 201 told; absent while the answer never came.
    pub payment: Option<String>,
    pub paid: bool,
}

impl Order {
    /// Whether it completes one block deep, so that a fork may take its completion back.
    pub const fn is_early(&self) -> bool {
        self.number.is_multiple_of(EARLY_EVERY)
    }
}

#[derive(Default)]
pub struct Books {
    pub orders: Vec<Order>,
    /// Numbers of orders whose transfers wait for a block.
    pub paying: Vec<u64>,
}

#[derive(Clone)]
pub struct World {
    pub node: Node,
    pub receiver: Receiver,
    books: Arc<Mutex<Books>>,
    /// Forks that the next slots owe.
    forks_owed: Arc<AtomicUsize>,
    forks: Arc<AtomicUsize>,
    calm: Arc<AtomicBool>,
}

impl World {
    pub async fn start() -> Self {
        Self {
            node: Node::start().await,
            receiver: Receiver::start().await,
            books: Arc::default(),
            forks_owed: Arc::default(),
            forks: Arc::default(),
            calm: Arc::default(),
        }
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("a lock")
    }

    /// Has the next slot fork the chain.
    pub fn fork_soon(&self) {
        self.forks_owed.fetch_add(1, Ordering::Relaxed);
    }

    /// No fork from now on.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// How many forks there were.
    pub fn forks(&self) -> usize {
        self.forks.load(Ordering::Relaxed)
    }

    fn body(&self, number: u64) -> Value {
        let early = number.is_multiple_of(EARLY_EVERY);
        json!({
            "wallet_address": WALLET,
            "order_id": format!("order-{number}"),
            // An amount that no other order asks for.
            "expected_amount_usdt": format!("5.{number:06}"),
            "callback_url": self.receiver.url(),
            "confirmations": if early { json!(1) } else { json!("final") },
        })
    }

    /// Asks for a payment. `None` when the hub was killed before its answer came.
    pub async fn order(
        &self,
        http: &reqwest::Client,
        hub: &str,
        number: u64,
    ) -> Option<(u16, Value)> {
        let request = http
            .post(format!("{hub}/v1/payments"))
            .header("content-type", "application/json")
            .body(self.body(number).to_string());
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let answer = serde_json::from_slice(&response.bytes().await.ok()?).ok()?;
        Some((status, answer))
    }

    /// One shop: places orders until the hub no longer answers, and has two of three paid.
    pub async fn shop(self, hub: String, mut rng: Rng) {
        let http = client();
        loop {
            let number = {
                let mut books = self.books();
                let number = books.orders.len() as u64;
                books.orders.push(Order {
                    number,
                    payment: None,
                    paid: false,
                });
                number
            };
            let Some((status, answer)) = self.order(&http, &hub, number).await else {
                return;
            };
            assert_eq!(status, 201, "{answer}");
            let id = answer["payment_id"].as_str().expect("an id").to_owned();
            {
                let mut books = self.books();
                let order = &mut books.orders[number as usize];
                order.payment = Some(id);
                order.paid = rng.u8(..3) > 0;
                if order.paid {
                    books.paying.push(number);
                }
            }
            tokio::time::sleep(Duration::from_millis(rng.u64(..LONGEST_PAUSE_MS))).await;
        }
    }

    /// The chain goes on whether a hub looks or not, and forks now and then. What a fork drops comes back in other
    /// blocks, in another order.
    pub async fn mine(self, mut rng: Rng) {
        let mut slots = tokio::time::interval(Duration::from_millis(SLOT_MS.into()));
        let mut miner = Miner::default();
        loop {
            slots.tick().await;
            let owed = self.forks_owed.swap(0, Ordering::Relaxed) > 0;
            let calm = self.calm.load(Ordering::Relaxed);
            let mut rounds = 1;
            if !calm
                && (owed || rng.u32(..SLOTS_PER_FORK) == 0)
                && miner.blocks.len() > UNFINAL_BLOCKS
            {
                rounds += miner.drop_newest(&self, &mut rng);
            }
            for _ in 0..rounds {
                miner.add(&self);
            }
            if miner.blocks.len() > UNFINAL_BLOCKS {
                self.node.finalize(UNFINAL_BLOCKS);
            }
        }
    }
}

/// Which orders each block above the first pays, and how often each height was mined.
#[derive(Default)]
struct Miner {
    blocks: Vec<Vec<u64>>,
    branches: Vec<u8>,
}

impl Miner {
    /// A hash and a time that no block at this height had before: the branch counts how often it was mined.
    fn add(&mut self, world: &World) {
        let paying: Vec<u64> = {
            let mut books = world.books();
            let count = books.paying.len().min(BLOCK_TRANSFERS);
            books.paying.drain(..count).collect()
        };
        let at = self.blocks.len();
        if at == self.branches.len() {
            self.branches.push(0);
        } else {
            self.branches[at] += 1;
        }
        let infos = paying.iter().map(|number| transfer_for(*number)).collect();
        world.node.add_block(self.branches[at], infos);
        self.blocks.push(paying);
    }

    /// Takes one block or two away. Returns how many.
    fn drop_newest(&mut self, world: &World, rng: &mut Rng) -> usize {
        let depth = rng.usize(1..=FORK_BLOCKS);
        let kept = self.blocks.len() - depth;
        let mut dropped: Vec<u64> = self.blocks.drain(kept..).flatten().collect();
        rng.shuffle(&mut dropped);
        world.node.drop_blocks(depth);
        let mut books = world.books();
        // Some come back at once, some behind those that wait already.
        let soon = rng.usize(..=dropped.len());
        let late = dropped.split_off(soon);
        books.paying.splice(..0, dropped);
        books.paying.extend(late);
        world.forks.fetch_add(1, Ordering::Relaxed);
        depth
    }
}

/// The transaction's id of an order, as 64 hexadecimal digits.
pub fn transaction_id(number: u64) -> String {
    format!("{number:064x}")
}

fn transfer_for(number: u64) -> Value {
    let mut transaction = transaction(1, &[(WALLET, 5_000_000 + number)]);
    transaction["id"] = json!(transaction_id(number));
    transaction
}
