//! What must hold of the hub after all the kills, exactly.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::node::{FIRST_HEIGHT, Node};
use crate::support::receiver::Receiver;
use crate::support::{eventually, get};
use crate::world::{Order, UNFINAL_BLOCKS, World, transaction_id};

/// All items of a list of the API.
pub async fn all(hub: &str, path: &str) -> Vec<Value> {
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

/// Waits until the hub has read past the last fork, every paid payment is completed, and no webhook is owed.
pub async fn everything_is_done(world: &World, hub: &str) {
    world.calm_down();
    let settled = world.node.head() + 2 + UNFINAL_BLOCKS as u64;
    eventually("every transfer is in a block again", async || {
        world.books().paying.is_empty().then_some(())
    })
    .await;
    eventually("the hub has read past the last fork", async || {
        let health = get(&format!("{hub}/health")).await.json();
        let tip = health["chains"][0]["tip"].as_u64()?;
        (tip >= settled).then_some(())
    })
    .await;
    let paid = world.books().orders.iter().filter(|o| o.paid).count() as u64;
    eventually("every paid payment is completed", async || {
        let stats = get(&format!("{hub}/stats")).await.json();
        let completed = stats["payments"]["completed"].as_u64();
        (completed.unwrap_or_else(|| panic!("{stats}")) >= paid).then_some(())
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

/// Where each transaction stands in the chain as it is now: height, and the log's place in its block.
fn places(node: &Node) -> BTreeMap<String, (u64, u64)> {
    let chain = node.chain.lock().expect("a lock");
    let mut places = BTreeMap::new();
    for (height, block) in (FIRST_HEIGHT..).zip(&chain.blocks) {
        for (log_index, info) in (0..).zip(&block.infos) {
            let before = places.insert(text(info, "id").to_owned(), (height, log_index));
            assert!(before.is_none(), "the test's chain holds {info} twice");
        }
    }
    places
}

/// Every 201 is there with its order id and its money, from the block where the money is now; nothing else is.
pub fn check_payments(world: &World, payments: &[Value]) {
    let orders = &world.books().orders;
    let places = places(&world.node);
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
        let credits = found["transfers"].as_array().expect("a list").iter();
        let standing: Vec<_> = credits
            .filter(|credit| credit["state"] != "reverted")
            .map(|credit| {
                let place = (&credit["block_number"], &credit["log_index"]);
                let (height, log_index) = (place.0.as_u64(), place.1.as_u64());
                (
                    text(credit, "transaction_hash").to_owned(),
                    (height, log_index),
                )
            })
            .collect();
        let paid_by = order.paid.then(|| {
            let id = transaction_id(order.number);
            let (height, log_index) = places[&id];
            (id, (Some(height), Some(log_index)))
        });
        assert_eq!(standing, Vec::from_iter(paid_by), "{found}");
    }
}

/// How far a payment has come, by its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Pending,
    Confirming,
    Completed,
}

/// The stage after an event. `None` for an event that cannot happen there: above all a second completion, and a final
/// completion that is taken back.
fn next_stage(order: &Order, stage: Option<Stage>, event: &str) -> Option<Stage> {
    match (stage, event) {
        (None, "payment.created") => Some(Stage::Pending),
        (Some(Stage::Pending), "payment.detected") if order.paid => Some(Stage::Confirming),
        (Some(Stage::Confirming), "payment.completed") => Some(Stage::Completed),
        (Some(Stage::Confirming), "payment.reverted") => Some(Stage::Pending),
        (Some(Stage::Completed), "payment.reverted") if order.is_early() => Some(Stage::Pending),
        _ => None,
    }
}

/// Numbers without a gap, and of every payment a history that is possible and ends where the payment does.
/// Returns how many events took something back.
pub fn check_events(orders: &[Order], events: &[Value]) -> usize {
    let mut kinds: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (number, event) in (1_u64..).zip(events) {
        assert_eq!(event["sequence"], number, "numbers have no gap");
        let order = text(event, "order_id").to_owned();
        kinds.entry(order).or_default().push(text(event, "type"));
    }
    assert_eq!(kinds.len(), orders.len(), "events of orders only");
    for order in orders {
        let history = &kinds[&format!("order-{}", order.number)];
        let mut stage = None;
        for event in history {
            stage = next_stage(order, stage, event);
            assert!(stage.is_some(), "{order:?}: {event} in {history:?}");
        }
        let expected = if order.paid {
            Stage::Completed
        } else {
            Stage::Pending
        };
        assert_eq!(stage, Some(expected), "{order:?}: {history:?}");
    }
    events
        .iter()
        .filter(|e| e["type"] == "payment.reverted")
        .count()
}

/// Every event's webhook arrived, and no payment's webhooks overtook each other. Returns how many came twice.
pub fn check_webhooks(events: &[Value], receiver: &Receiver) -> usize {
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
