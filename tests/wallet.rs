//! Watch-only wallets in the real binary: the addresses of a wallet whose private side is elsewhere, paid on the sandbox
//! chain, and never given out twice whatever happens to the program.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use futures::future::join_all;
use serde_json::{Value, json};
use support::{BINARY, Program, config, create, get, pay, post, status_of};

const BLOCK_MS: u32 = 100;
/// Creations side by side, each over a connection of its own.
const AT_ONCE: usize = 200;

/// A new random account and its first addresses, both derived from the private side by ethers and tronweb.
fn account() -> (String, Vec<String>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox_clients/account.mjs");
    let output = Command::new("node").arg(script).output().expect("node");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{told}\n(packages missing? tests/run prepare installs them)"
    );
    let account: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let addresses = account["addresses"].as_array().expect("a list");
    (text(&account["xpub"]), addresses.iter().map(text).collect())
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn with_wallet(folder: &Path, node: &str, name: &str, xpub: &str) -> Value {
    let mut settings = config(folder, node, BLOCK_MS);
    settings["wallets"] = json!([{"name": name, "chain": "tron", "xpub": xpub}]);
    settings
}

/// A new payment from the wallet; `wallet_address` is left out.
async fn create_in(hub: &str, wallet: &str) -> Value {
    create(hub, json!({"wallet": wallet, "wallet_address": null})).await
}

fn path(index: usize) -> String {
    format!("m/44'/195'/0'/0/{index}")
}

#[tokio::test]
async fn a_random_wallets_addresses_are_those_of_its_private_side() {
    let (xpub, expected) = account();
    let (sandbox, folder) = (Program::sandbox(BLOCK_MS), tempfile::tempdir().unwrap());
    let settings = with_wallet(folder.path(), sandbox.url("sandbox"), "main", &xpub);
    let hub = Program::serve(folder.path(), &settings);
    let made = join_all((0..AT_ONCE).map(|_| create_in(hub.hub(), "main"))).await;
    let by_path: BTreeMap<String, String> = made
        .iter()
        .map(|m| (text(&m["derivation_path"]), text(&m["wallet_address"])))
        .collect();
    assert_eq!(by_path.len(), AT_ONCE);
    for index in 0..AT_ONCE {
        let address = by_path.get(&path(index)).expect("no gap");
        if let Some(expected) = expected.get(index) {
            assert_eq!(address, expected, "0/{index} of {xpub}");
        }
    }
    let stats = get(&format!("{}/stats", hub.hub())).await;
    assert_eq!(stats.json()["wallets"][0]["next_index"], AT_ONCE);
    assert!(!stats.text.contains(&xpub[20..]));
    let file = folder.path().join("config.json");
    let check = Command::new(BINARY)
        .args(["check-config", "--config", file.to_str().unwrap()])
        .output()
        .unwrap();
    let (told, wrong) = (
        String::from_utf8_lossy(&check.stdout),
        String::from_utf8_lossy(&check.stderr),
    );
    assert_eq!(check.status.code(), Some(0), "{wrong}");
    let line = format!("first address    {} (0/0)", expected[0]);
    assert!(
        told.contains(&line) && !told.contains(&xpub[20..]),
        "{told}"
    );
}

#[tokio::test]
async fn a_derived_address_is_paid_and_the_next_goes_on_after_a_kill_and_under_another_name() {
    let (xpub, expected) = account();
    let (sandbox, folder) = (Program::sandbox(BLOCK_MS), tempfile::tempdir().unwrap());
    let node = sandbox.url("sandbox");
    let settings = with_wallet(folder.path(), node, "main", &xpub);
    let hub = Program::serve(folder.path(), &settings);
    let first = create_in(hub.hub(), "main").await;
    assert_eq!(first["wallet_address"], *expected[0]);
    let txid = pay(node, &expected[0], "5").await;
    let done = status_of(hub.hub(), &text(&first["payment_id"]), "completed").await;
    assert_eq!(done["transaction_hash"], *txid);
    assert_eq!(
        (&done["wallet"], text(&done["derivation_path"])),
        (&json!("main"), path(0))
    );
    let open = create_in(hub.hub(), "main").await;
    hub.kill();

    let hub = Program::serve(folder.path(), &settings);
    let third = create_in(hub.hub(), "main").await;
    assert_eq!(text(&third["derivation_path"]), path(2));
    pay(node, &expected[1], "5").await;
    status_of(hub.hub(), &text(&open["payment_id"]), "completed").await;
    assert_eq!(hub.terminate(), Some(0));

    let renamed = with_wallet(folder.path(), node, "shop", &xpub);
    let hub = Program::serve(folder.path(), &renamed);
    let fourth = create_in(hub.hub(), "shop").await;
    assert_eq!(fourth["wallet_address"], *expected[3]);
    assert_eq!(fourth["wallet"], "shop");
    let old = get(&format!(
        "{}/v1/payments/{}",
        hub.hub(),
        text(&done["payment_id"])
    ))
    .await;
    assert_eq!(old.json()["wallet"], "main", "as it was called then");
}

#[tokio::test]
async fn a_wallet_brings_its_chain_along_and_keeps_to_it() {
    let (xpub, expected) = account();
    let (sandbox, folder) = (Program::sandbox(BLOCK_MS), tempfile::tempdir().unwrap());
    let mut settings = with_wallet(folder.path(), sandbox.url("sandbox"), "side", &xpub);
    let mut second = settings["chains"][0].clone();
    second["name"] = json!("nile");
    settings["chains"].as_array_mut().unwrap().push(second);
    settings["wallets"][0]["chain"] = json!("nile");
    let hub = Program::serve(folder.path(), &settings);
    let made = create_in(hub.hub(), "side").await;
    assert_eq!(
        (&made["chain"], &made["wallet_address"]),
        (&json!("nile"), &json!(expected[0]))
    );
    let named = json!({"wallet": "side", "wallet_address": null, "chain": "nile"});
    let made = create(hub.hub(), named).await;
    assert_eq!(made["wallet_address"], *expected[1]);
    let elsewhere =
        json!({"wallet": "side", "chain": "tron", "expected_amount_usdt": "5", "order_id": "A"});
    let refused = post(&format!("{}/v1/payments", hub.hub()), &elsewhere).await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.json()["errors"][0],
        json!({"pointer": "/chain", "detail": "the wallet's chain is nile: leave chain out or say nile"})
    );
    let classic = json!({"wallet": "side", "expected_amount_usdt": 5, "order_id": "B", "callback_url": "http://127.0.0.1:9/"});
    let classic = post(&format!("{}/create_payment", hub.hub()), &classic).await;
    assert_eq!(classic.status, 201, "{}", classic.text);
    assert_eq!(classic.json()["wallet_address"], *expected[2]);
}
