//! The real binary under load, killed with SIGKILL at random moments and started again, again and again.
//!
//! Afterwards every payment that was answered with 201 is there, every paid one was completed once, event numbers have
//! no gap, and every webhook owed was delivered, in order for each payment. A failure prints the seed that repeats it as
//! far as time allows: `CRASH_SEED`.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};
use support::node::{Node, transaction};
use support::receiver::Receiver;
use support::{Program, WALLET, client, config, eventually, get};

/// Kills of a hub that is up and under load.
const KILLS: u32 = 20;
/// Kills of a hub that may not even be up, each before one of those.
const KILLS_AT_START_EVERY: u32 = 2;
const SHOPS: usize = 3;
const SLOT_MS: u32 = 100;
/// The longest that a hub lives; ms.
const LONGEST_LIFE_MS: u64 = 1_200;
/// The longest pause between two creations of one shop; ms.
const LONGEST_PAUSE_MS: u64 = 30;
/// Transfers that one block takes at most.
const BLOCK_TRANSFERS: usize = 8;
/// Blocks behind the head that are not final yet.
const UNFINAL_BLOCKS: usize = 3;
/// Webhooks that the receiver refuses, spread over the lives.
const REFUSALS: usize = 8;

/// An order as its shop knows it.
#[derive(Debug, Clone)]
struct Order {
    number: u64,
    /// What a 201 told; absent while the answer never came.
    payment: Option<String>,
    paid: bool,
}

#[derive(Default)]
struct Ledger {
    orders: Vec<Order>,
    /// Numbers of orders whose transfers wait for a block.
    paying: Vec<u64>,
}

/// What outlives every hub: the chain, the receiver, and the shops' books.
#[derive(Clone)]
struct World {
    node: Node,
    receiver: Receiver,
    books: Arc<Mutex<Ledger>>,
}

impl World {
    async fn start() -> Self {
        Self {
            node: Node::start().await,
            receiver: Receiver::start().await,
            books: Arc::default(),
        }
    }

    fn books(&self) -> MutexGuard<'_, Ledger> {
        self.books.lock().expect("a lock")
    }

    fn body(&self, number: u64) -> Value {
        json!({
            "wallet_address": WALLET,
            "order_id": format!("order-{number}"),
            // An amount that no other order asks for.
            "expected_amount_usdt": format!("5.{number:06}"),
            "callback_url": self.receiver.url(),
            // Some wait for one block, some until it is final.
            "confirmations": if number.is_multiple_of(3) { json!(1) } else { json!("final") },
        })
    }

    /// Asks for a payment. `None` when the hub was killed before its answer came.
    async fn order(&self, http: &reqwest::Client, hub: &str, number: u64) -> Option<(u16, Value)> {
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
    async fn shop(self, hub: String, mut rng: Rng) {
        let http = client();
        loop {
            let number = {
                let mut books = self.books();
                let number = books.orders.len() as u64;
                let (payment, paid) = (None, false);
                books.orders.push(Order {
                    number,
                    payment,
                    paid,
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

    /// The chain goes on whether a hub looks or not.
    async fn mine(self) {
        let mut slots = tokio::time::interval(Duration::from_millis(SLOT_MS.into()));
        let mut blocks = 1;
        loop {
            slots.tick().await;
            let paying: Vec<u64> = {
                let mut books = self.books();
                let count = books.paying.len().min(BLOCK_TRANSFERS);
                books.paying.drain(..count).collect()
            };
            self.node
                .add_block(0, paying.into_iter().map(transfer_for).collect());
            blocks += 1;
            if blocks > UNFINAL_BLOCKS {
                self.node.finalize(UNFINAL_BLOCKS);
            }
        }
    }
}

fn transfer_for(number: u64) -> Value {
    let mut transaction = transaction(1, &[(WALLET, 5_000_000 + number)]);
    transaction["id"] = json!(format!("{number:064x}"));
    transaction
}

/// Starts a hub, lets shops order from it, and kills it at a random moment.
async fn life_under_load(world: &World, folder: &Path, rng: &mut Rng) {
    let hub = serve(world, folder).await;
    let shops: Vec<_> = (0..SHOPS)
        .map(|_| tokio::spawn(world.clone().shop(hub.hub().to_owned(), rng.fork())))
        .collect();
    tokio::time::sleep(Duration::from_millis(rng.u64(..LONGEST_LIFE_MS))).await;
    hub.kill();
    for shop in shops {
        shop.await.expect("a shop had a wrong answer");
    }
}

async fn serve(world: &World, folder: &Path) -> Program {
    let (folder, settings) = (
        folder.to_owned(),
        config(folder, &world.node.url(), SLOT_MS),
    );
    tokio::task::spawn_blocking(move || Program::serve(&folder, &settings))
        .await
        .expect("it starts")
}

/// Kills a hub that has just been started, wherever it is: making its file, recovering it, loading what it holds.
async fn kill_at_start(world: &World, folder: &Path, rng: &mut Rng) {
    let file = folder.join("config.json");
    let settings = config(folder, &world.node.url(), SLOT_MS);
    std::fs::write(&file, settings.to_string()).expect("written");
    let mut child = Command::new(env!("CARGO_BIN_EXE_paybell"))
        .args(["serve", "--config", file.to_str().expect("a path")])
        .env("PAYBELL_LOG", "error")
        .stdout(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .expect("the binary starts");
    tokio::time::sleep(Duration::from_micros(rng.u64(..60_000))).await;
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

/// All items of a list of the API.
async fn all(hub: &str, path: &str) -> Vec<Value> {
    let (mut items, mut after) = (Vec::new(), String::new());
    loop {
        let page = get(&format!("{hub}{path}limit=100{after}")).await.json();
        items.extend(page["data"].as_array().expect("a list").iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return items,
        }
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {object}"))
}

/// Asks again for what was never answered: afterwards it exists, whether the first request had arrived or not.
async fn settle_doubts(world: &World, hub: &str) -> (usize, usize) {
    let doubtful: Vec<u64> = {
        let books = world.books();
        let doubtful = books.orders.iter().filter(|o| o.payment.is_none());
        doubtful.map(|o| o.number).collect()
    };
    let (mut lost, mut kept) = (0, 0);
    for number in doubtful {
        match world
            .order(&client(), hub, number)
            .await
            .expect("an answer")
        {
            (201, _) => lost += 1,
            (409, answer) if answer.to_string().contains("order_id") => kept += 1,
            other => panic!("{other:?}"),
        }
    }
    (lost, kept)
}

/// Every 201 is there with its order id and its money; nothing else is.
fn check_payments(orders: &[Order], payments: &[Value]) {
    let by_order: BTreeMap<&str, &Value> =
        payments.iter().map(|p| (text(p, "order_id"), p)).collect();
    assert_eq!(by_order.len(), payments.len(), "an order has two payments");
    assert_eq!(by_order.len(), orders.len(), "every order has its payment");
    for order in orders {
        let found = by_order[format!("order-{}", order.number).as_str()];
        if let Some(id) = &order.payment {
            assert_eq!(text(found, "payment_id"), id);
        }
        let expected = if order.paid { "completed" } else { "pending" };
        assert_eq!(text(found, "status"), expected, "{found}");
        let credits = found["transfers"].as_array().map_or(0, Vec::len);
        assert_eq!(credits, usize::from(order.paid), "{found}");
    }
}

/// Numbers without a gap, and of every payment exactly the events that its life comes to.
fn check_events(orders: &[Order], events: &[Value]) {
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (number, event) in (1_u64..).zip(events) {
        assert_eq!(event["sequence"], number, "numbers have no gap");
        let order = text(event, "order_id").to_owned();
        kinds.entry(order).or_default().push(text(event, "type"));
    }
    let paid = ["payment.created", "payment.detected", "payment.completed"];
    for order in orders {
        let expected = if order.paid { &paid[..] } else { &paid[..1] };
        let name = format!("order-{}", order.number);
        assert_eq!(kinds[&name], expected, "{name}");
    }
}

/// Every event's webhook arrived, and no payment's webhooks overtook each other. Returns how many came twice.
fn check_webhooks(events: &[Value], receiver: &Receiver) -> usize {
    let received: Vec<Value> = receiver.received().iter().map(|r| r.json()).collect();
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut arrived = BTreeSet::new();
    for webhook in &received {
        let number = webhook["sequence"].as_u64().expect("a number");
        let before = last.insert(text(webhook, "payment_id").to_owned(), number);
        assert!(before.is_none_or(|b| b <= number), "overtaken: {webhook}");
        arrived.insert(number);
    }
    let owed: BTreeSet<u64> = (1..=events.len() as u64).collect();
    assert_eq!(arrived, owed, "every webhook owed has arrived");
    received.len() - arrived.len()
}

async fn everything_is_done(world: &World, hub: &str) {
    let paid = world.books().orders.iter().filter(|o| o.paid).count() as u64;
    eventually("every paid payment is completed", async || {
        let open = world.books().paying.len();
        let stats = get(&format!("{hub}/stats")).await.json();
        let completed = stats["payments"]["completed"].as_u64();
        (open == 0 && completed.unwrap_or_else(|| panic!("{stats}")) >= paid).then_some(())
    })
    .await;
    eventually("no webhook is owed any more", async || {
        let due = get(&format!("{hub}/v1/deliveries?state=due&limit=1"))
            .await
            .json();
        due["data"].as_array()?.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_forgets_nothing() {
    let seed = std::env::var("CRASH_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let now = || {
        std::time::UNIX_EPOCH
            .elapsed()
            .expect("after 1970")
            .as_micros() as u64
    };
    let seed: u64 = seed.unwrap_or_else(now);
    println!("CRASH_SEED={seed}");
    let (started, mut rng) = (Instant::now(), Rng::with_seed(seed));
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let mining = tokio::spawn(world.clone().mine());
    for round in 0..KILLS {
        if round % KILLS_AT_START_EVERY == 0 {
            kill_at_start(&world, folder.path(), &mut rng).await;
        }
        if rng.usize(..KILLS as usize) < REFUSALS {
            world.receiver.answer_next([500]);
        }
        life_under_load(&world, folder.path(), &mut rng).await;
    }
    println!("{KILLS} kills under load in {:?}", started.elapsed());
    let hub = serve(&world, folder.path()).await;
    let (lost, kept) = settle_doubts(&world, hub.hub()).await;
    everything_is_done(&world, hub.hub()).await;
    mining.abort();
    let orders = world.books().orders.clone();
    check_payments(&orders, &all(hub.hub(), "/v1/payments?").await);
    let events = all(hub.hub(), "/v1/events?").await;
    check_events(&orders, &events);
    let twice = check_webhooks(&events, &world.receiver);
    let paid = orders.iter().filter(|o| o.paid).count();
    println!(
        "{} orders, {paid} paid; never answered: {lost} not there, {kept} there; {} events; {twice} webhooks came twice; {:?}",
        orders.len(),
        events.len(),
        started.elapsed()
    );
    assert_eq!(hub.terminate(), Some(0));
}
