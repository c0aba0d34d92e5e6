//! Many sockets at their worst, against the real binary: peers that never read, never answer or talk nonsense beside some
//! that do as they should; thousands that come back at once after a kill; and a drain with all kinds of them open.
//!
//! Each storm prints what it measured and asserts a bound that a debug build on two busy cores keeps.

#[path = "socket_storm/bad_peers.rs"]
mod bad_peers;
#[path = "socket_storm/client.rs"]
mod client;
#[path = "socket_storm/comeback.rs"]
mod comeback;
#[path = "socket_storm/drain.rs"]
mod drain;
mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{create, get, order_id};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Storms that measure run one after the other.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Who asks for events at once.
const SHOPS: u32 = 4;

/// Memory that a process holds, in KiB.
fn rss_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let digits = line.and_then(|line| line.split_whitespace().nth(1));
    digits.expect("VmRSS").parse().expect("a number")
}

/// Creates a payment, which is an event, at an amount that no other has. Returns its order id.
async fn event(hub: &str, number: u32, filler_bytes: usize) -> String {
    let order_id = order_id();
    event_of(hub, &order_id, number, filler_bytes).await;
    order_id
}

async fn event_of(hub: &str, order_id: &str, number: u32, filler_bytes: usize) -> Value {
    let fields = json!({
        "order_id": order_id,
        "expected_amount_usdt": format!("{}.{:06}", 5 + number / 1_000_000, number % 1_000_000),
        "metadata": {"filler": "x".repeat(filler_bytes)},
    });
    create(hub, fields).await
}

/// Has so many events happen, as quickly as a few shops make them.
async fn events(hub: &str, count: u32, filler_bytes: usize) {
    let mut shops = JoinSet::new();
    for shop in 0..SHOPS {
        let hub = hub.to_owned();
        shops.spawn(async move {
            for number in (shop..count).step_by(SHOPS as usize) {
                event(&hub, number, filler_bytes).await;
            }
        });
    }
    shops.join_all().await;
}

/// How many sockets and streams are open, as the hub counts them.
async fn open(hub: &str) -> (u64, u64) {
    let stats = get(&format!("{hub}/stats")).await.json();
    let count = |name: &str| stats[name].as_u64().expect("a number");
    (count("sockets"), count("streams"))
}

/// The value below which so many hundredths of all lie.
fn percentile(sorted: &[Duration], hundredths: usize) -> Duration {
    sorted[(sorted.len() - 1) * hundredths / 100]
}
