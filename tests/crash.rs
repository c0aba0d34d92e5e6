//! The real binary under load, killed with SIGKILL at random moments and started again, 200 times and more: while it
//! serves, while it drains after SIGTERM, while the chain forks, and while it starts.
//!
//! Afterwards every payment that was answered with 201 is there, every paid one stands completed once, by the transfer
//! of the final chain, event numbers have no gap, and every webhook owed was delivered, in order for each payment. A
//! failure prints the seed that repeats it as far as time allows: `CRASH_SEED`.

#[path = "crash/checks.rs"]
mod checks;
mod support;
#[path = "crash/world.rs"]
mod world;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use checks::{all, check_events, check_payments, check_webhooks, everything_is_done};
use fastrand::Rng;
use support::{Program, client, config};
use world::{SLOT_MS, World};

/// Kills of a hub that is up and under load.
const KILLS: u32 = 200;
/// Kills of a hub that may not even be up, each before one of those.
const KILLS_AT_START_EVERY: u32 = 5;
const SHOPS: usize = 3;
/// Most lives are short, so that there can be many; one of so many is long.
const LONG_LIFE_EVERY: u32 = 10;
const SHORT_LIFE_MS: u64 = 400;
const LONG_LIFE_MS: u64 = 1_200;
/// The longest that a hub follows a fork before it is killed.
const LAST_MOMENTS_MS: u64 = 150;
/// The longest that a hub drains before it is killed; most have ended by then.
const DRAIN_MS: u64 = 30;
const SIGKILL: i32 = 9;
/// The longest that a starting hub lives: recovery and loading take less.
const START_US: u64 = 60_000;
/// Webhooks that the receiver refuses, spread over the lives.
const REFUSALS: usize = 8;

/// What the hub is in the middle of when it is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Serving,
    Draining,
    Forking,
}

impl Moment {
    fn pick(rng: &mut Rng) -> Self {
        match rng.u8(..4) {
            0 => Self::Draining,
            1 => Self::Forking,
            _ => Self::Serving,
        }
    }
}

/// Kills that met a hub alive, and lives that ended in good order instead.
#[derive(Debug, Default)]
struct Kills {
    serving: u32,
    draining: u32,
    forking: u32,
    drained: u32,
}

impl Kills {
    const fn count(&mut self, killed: Option<Moment>) {
        match killed {
            Some(Moment::Serving) => self.serving += 1,
            Some(Moment::Draining) => self.draining += 1,
            Some(Moment::Forking) => self.forking += 1,
            None => self.drained += 1,
        }
    }

    const fn sum(&self) -> u32 {
        self.serving + self.draining + self.forking
    }
}

/// Starts a hub, lets shops order from it, and kills it at a random moment. Returns what it was in the middle of; nothing
/// when it had drained to its end before.
async fn life_under_load(world: &World, folder: &Path, rng: &mut Rng) -> Option<Moment> {
    let hub = serve(world, folder).await;
    let shops: Vec<_> = (0..SHOPS)
        .map(|_| tokio::spawn(world.clone().shop(hub.hub().to_owned(), rng.fork())))
        .collect();
    let longest_ms = match rng.u32(..LONG_LIFE_EVERY) {
        0 => LONG_LIFE_MS,
        _ => SHORT_LIFE_MS,
    };
    live(rng.u64(..longest_ms)).await;
    let moment = Moment::pick(rng);
    match moment {
        Moment::Serving => {}
        Moment::Draining => {
            hub.ask_to_end();
            live(rng.u64(..DRAIN_MS)).await;
        }
        Moment::Forking => {
            world.fork_soon();
            live(rng.u64(..LAST_MOMENTS_MS)).await;
        }
    }
    let ended = hub.kill();
    for shop in shops {
        shop.await.expect("a shop had a wrong answer");
    }
    if ended.signal() == Some(SIGKILL) {
        return Some(moment);
    }
    assert!(
        matches!(moment, Moment::Draining) && ended.success(),
        "it ended by itself: {ended}"
    );
    None
}

async fn live(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
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
    tokio::time::sleep(Duration::from_micros(rng.u64(..START_US))).await;
    child.kill().expect("killed");
    child.wait().expect("reaped");
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

/// The seed that `CRASH_SEED` names, or another one each time.
fn seed() -> u64 {
    let given = std::env::var("CRASH_SEED").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        now.as_micros() as u64
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_forgets_nothing() {
    let seed = seed();
    println!("CRASH_SEED={seed}");
    let (started, mut rng) = (Instant::now(), Rng::with_seed(seed));
    let (world, folder) = (World::start().await, tempfile::tempdir().unwrap());
    let mining = tokio::spawn(world.clone().mine(rng.fork()));
    let mut kills = Kills::default();
    while kills.sum() < KILLS {
        if kills.sum().is_multiple_of(KILLS_AT_START_EVERY) {
            kill_at_start(&world, folder.path(), &mut rng).await;
        }
        if rng.usize(..KILLS as usize) < REFUSALS {
            world.receiver.refuse_a_new_one();
        }
        kills.count(life_under_load(&world, folder.path(), &mut rng).await);
    }
    println!("{kills:?} in {:?}", started.elapsed());
    let hub = serve(&world, folder.path()).await;
    let (lost, kept) = settle_doubts(&world, hub.hub()).await;
    everything_is_done(&world, hub.hub()).await;
    mining.abort();
    check_payments(&world, &all(hub.hub(), "/v1/payments?").await);
    let orders = world.books().orders.clone();
    let events = all(hub.hub(), "/v1/events?").await;
    let reverted = check_events(&orders, &events);
    let twice = check_webhooks(&events, &world.receiver);
    let paid = orders.iter().filter(|o| o.paid).count();
    println!(
        "{} orders, {paid} paid; never answered: {lost} not there, {kept} there; {} forks took back {reverted} \
         transfers; {} events; {twice} webhooks came twice; {:?}",
        orders.len(),
        world.forks(),
        events.len(),
        started.elapsed()
    );
    assert!(kills.draining > 0 && kills.forking > 0, "{kills:?}");
    assert!(reverted > 0, "no fork took anything back");
    assert_eq!(hub.terminate(), Some(0));
}
