//! The sandbox over HTTP, as a client meets it: shapes, absences, errors, faults, limits; and driven
//! by the real client libraries where they are installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paybell::clock::SystemClock;
use paybell::sandbox::{Sandbox, SandboxOptions, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use warp::Filter;

const SHOP: &str = "TX8qeDzWJ3ePxwajj18PGbcc7FwV1dhqt3";
const USDT: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";
/// How long a condition may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A sandbox on a port of its own. It mines only when told to, unless `mining` is called.
struct Host {
    base: String,
    sandbox: Sandbox,
    client: reqwest::Client,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Host {
    async fn start(options: SandboxOptions) -> Self {
        let sandbox = Sandbox::new(options, Arc::new(SystemClock));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(sandbox.clone(), listener, 1_000, stopped));
        // Whoever comes second finds it installed already.
        let _installed = rustls::crypto::ring::default_provider()
            .install_default()
            .is_ok();
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            base,
            sandbox,
            client,
            stop,
            server,
        }
    }

    async fn quiet() -> Self {
        Self::start(SandboxOptions {
            noise_per_block: 0,
            history_blocks: 40,
            ..SandboxOptions::default()
        })
        .await
    }

    fn mining(&self) -> JoinHandle<()> {
        let (sandbox, stopped) = (self.sandbox.clone(), self.stop.subscribe());
        tokio::spawn(async move { sandbox.mine(stopped).await })
    }

    async fn send(&self, method: &str, path: &str, body: Option<String>) -> (u16, String) {
        let method = method.parse().expect("a method");
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .timeout(PATIENCE);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let response = request.send().await.expect("an answer");
        (
            response.status().as_u16(),
            response.text().await.expect("a body"),
        )
    }

    async fn get(&self, path: &str) -> Value {
        let (status, text) = self.send("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, text) = self.send("POST", path, Some(body.to_string())).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    async fn pay(&self, amount: &str, kind: &str) -> String {
        let answer = self
            .post(
                "/sandbox/transfer",
                json!({"to": SHOP, "amount": amount, "kind": kind}),
            )
            .await;
        answer["txid"].as_str().expect("an id").to_owned()
    }

    async fn mine(&self, blocks: u64) -> u64 {
        let answer = self.post("/sandbox/mine", json!({"blocks": blocks})).await;
        answer["head"]["number"].as_u64().expect("a height")
    }

    async fn stop(self) {
        self.stop.send(true).expect("someone listens");
        tokio::time::timeout(PATIENCE, self.server)
            .await
            .expect("stops in time")
            .expect("no panic");
    }
}

#[tokio::test]
async fn reads_answer_to_get_and_post_alike() {
    let host = Host::quiet().await;
    let by_get = host.get("/wallet/getnowblock").await;
    let by_post = host.post("/wallet/getnowblock", json!({})).await;
    assert_eq!(by_get, by_post);
    assert_eq!(by_get["block_header"]["raw_data"]["number"], 40);
    assert_eq!(host.get("/wallet/getblock").await, by_get);
    assert_eq!(
        host.get("/wallet/getblock?id_or_num=40&detail=true").await,
        by_get
    );
    assert_eq!(host.get("/wallet/getblockbynum?num=40").await, by_get);
    let id = by_get["blockID"].as_str().expect("text");
    assert_eq!(
        host.get(&format!("/wallet/getblockbyid?value={id}")).await,
        by_get
    );
    let visible = host.get("/wallet/getnowblock?visible=true").await;
    assert!(
        visible["block_header"]["raw_data"]["witness_address"]
            .as_str()
            .expect("text")
            .starts_with('T')
    );
    assert_eq!(
        host.get("/walletsolidity/getnowblock").await["block_header"]["raw_data"]["number"],
        22
    );
    assert_eq!(
        host.get("/walletsolidity/getblockbynum?num=23").await,
        json!({})
    );
    assert_eq!(
        host.get("/wallet/gettransactioninfobyblocknum?num=40")
            .await,
        json!([])
    );
    assert_eq!(
        host.get("/wallet/gettransactioninfobyblocknum?num=99999")
            .await,
        json!([])
    );
    let range = host
        .post(
            "/wallet/getblockbylimitnext",
            json!({"startNum": 38, "endNum": 41}),
        )
        .await;
    assert_eq!(range["block"].as_array().map(Vec::len), Some(3));
    host.stop().await;
}

#[tokio::test]
async fn errors_come_as_a_node_sends_them() {
    let host = Host::quiet().await;
    let bad_id = host
        .post("/wallet/getblock", json!({"id_or_num": "zz"}))
        .await;
    assert_eq!(bad_id, json!({"Error": "id must be legal block hash."}));
    let quoted = host
        .post("/wallet/getblockbynum", json!({"num": "40"}))
        .await;
    assert!(
        quoted["Error"]
            .as_str()
            .expect("text")
            .starts_with("class org.tron.core.services.http.JsonFormat$ParseException : ")
    );
    let (status, text) = host
        .send("POST", "/wallet/getblockbynum", Some("{".to_owned()))
        .await;
    assert!(status == 200 && text.contains("Error"), "{status} {text}");
    let (status, text) = host
        .send("POST", "/wallet/getblockbynum", Some(" ".repeat(5_000_000)))
        .await;
    assert!(
        status == 200 && text.contains("body size is too big"),
        "{status}"
    );
    for (method, path, wanted) in [
        ("GET", "/wallet/nothing", 404),
        ("GET", "/", 404),
        ("GET", "/wallet", 404),
        ("POST", "/walletsolidity/broadcasttransaction", 404),
        ("PUT", "/wallet/getnowblock", 405),
        ("GET", "/wallet/broadcasttransaction", 405),
        ("GET", "/jsonrpc", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/accounts/x/transactions/trc20", 400),
    ] {
        let (status, text) = host.send(method, path, None).await;
        assert_eq!(status, wanted, "{method} {path}: {text}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_payment_is_seen_alike_by_every_api() {
    let host = Host::start(SandboxOptions {
        noise_per_block: 6,
        history_blocks: 40,
        ..SandboxOptions::default()
    })
    .await;
    let id = host.pay("10.50", "transfer").await;
    assert_eq!(
        host.get(&format!("/wallet/gettransactioninfobyid?value={id}"))
            .await,
        json!({})
    );
    let height = host.mine(1).await;
    let info = host
        .get(&format!("/wallet/gettransactioninfobyid?value={id}"))
        .await;
    assert_eq!(info["blockNumber"], height);
    let infos = host
        .get(&format!(
            "/wallet/gettransactioninfobyblocknum?num={height}"
        ))
        .await;
    assert!(infos.as_array().expect("a list").contains(&info));
    let block = host
        .get(&format!("/wallet/getblockbynum?num={height}"))
        .await;
    let ids: Vec<&str> = block["transactions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|tx| tx["txID"].as_str())
        .collect();
    assert!(ids.contains(&id.as_str()));
    let rows = host
        .get(&format!(
            "/v1/accounts/{SHOP}/transactions/trc20?only_to=true&contract_address={USDT}"
        ))
        .await;
    assert_eq!(
        (
            &rows["data"][0]["transaction_id"],
            &rows["data"][0]["value"]
        ),
        (&json!(id), &json!("10500000"))
    );
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionReceipt", "params": [format!("0x{id}")]});
    let receipt = host.post("/jsonrpc", request).await;
    assert_eq!(
        receipt["result"]["logs"][0]["data"],
        format!("0x{:064x}", 10_500_000)
    );
    assert_eq!(
        receipt["result"]["blockHash"],
        format!("0x{}", block["blockID"].as_str().expect("text"))
    );
    let solid = format!("/walletsolidity/gettransactioninfobyid?value={id}");
    host.mine(17).await;
    assert_eq!(host.get(&solid).await, json!({}));
    host.mine(1).await;
    assert_eq!(host.get(&solid).await, info);
    host.stop().await;
}

#[tokio::test]
async fn forks_take_payments_back_and_say_what_they_did() {
    let host = Host::quiet().await;
    let kept = host.pay("1", "transfer").await;
    host.mine(1).await;
    let lost = host.pay("2", "transfer").await;
    host.mine(1).await;
    let before = host.get("/wallet/getblockbynum?num=41").await;
    let forked = host
        .post("/sandbox/fork", json!({"depth": 2, "drop": [lost]}))
        .await;
    assert_eq!(
        (&forked["from_height"], &forked["included_again"]),
        (&json!(41), &json!(1))
    );
    let after = host.get("/wallet/getblockbynum?num=41").await;
    assert_ne!(before["blockID"], after["blockID"]);
    assert_eq!(
        before["block_header"]["raw_data"]["parentHash"],
        after["block_header"]["raw_data"]["parentHash"]
    );
    assert_eq!(
        host.get(&format!(
            "/wallet/getblockbyid?value={}",
            before["blockID"].as_str().expect("text")
        ))
        .await,
        json!({})
    );
    assert_eq!(
        host.get(&format!("/wallet/gettransactioninfobyid?value={lost}"))
            .await,
        json!({})
    );
    assert_eq!(
        host.get(&format!("/wallet/gettransactionbyid?value={kept}"))
            .await["txID"],
        kept
    );
    let (status, text) = host
        .send("POST", "/sandbox/fork", Some(r#"{"depth":19}"#.to_owned()))
        .await;
    assert!(status == 400 && text.contains("solid"), "{status} {text}");
    host.stop().await;
}

#[tokio::test]
async fn faults_spoil_what_they_are_told_to() {
    let host = Host::quiet().await;
    host.pay("1", "transfer").await;
    let height = host.mine(1).await;
    for (kind, status, hint) in [
        ("429", 429, "exceeds the frequency limit"),
        ("403_suspended", 403, "suspended for 30s"),
        ("500", 500, "500"),
        ("404_spurious", 404, "Not Found"),
        ("html_502", 502, "<html>"),
    ] {
        host.post("/sandbox/fault", json!({"kind": kind, "times": 1}))
            .await;
        let (got, text) = host.send("GET", "/wallet/getnowblock", None).await;
        assert!(got == status && text.contains(hint), "{kind}: {got} {text}");
        let (healed, _) = host.send("GET", "/wallet/getnowblock", None).await;
        assert_eq!(healed, 200);
    }
    host.post("/sandbox/fault", json!({"kind": "empty_logs", "times": 1}))
        .await;
    let infos = format!("/wallet/gettransactioninfobyblocknum?num={height}");
    assert_eq!(host.get(&infos).await, json!([]));
    assert_eq!(host.get(&infos).await.as_array().map(Vec::len), Some(1));
    host.post("/sandbox/fault", json!({"kind": "head_back", "times": 1}))
        .await;
    assert_eq!(
        host.get("/wallet/getnowblock").await["block_header"]["raw_data"]["number"],
        height - 5
    );
    host.post(
        "/sandbox/fault",
        json!({"kind": "stale_node", "for_ms": 3_600_000}),
    )
    .await;
    host.mine(3).await;
    assert_eq!(
        host.get("/wallet/getnowblock").await["block_header"]["raw_data"]["number"],
        height
    );
    assert_eq!(
        host.get("/sandbox/state").await["faults"][0]["kind"],
        "stale_node"
    );
    let (status, _) = host.send("DELETE", "/sandbox/fault", None).await;
    assert_eq!(status, 200);
    assert_eq!(
        host.get("/wallet/getnowblock").await["block_header"]["raw_data"]["number"],
        height + 3
    );
    host.stop().await;
}

#[tokio::test]
async fn faults_of_delivery_break_off_drip_and_hang() {
    let host = Host::quiet().await;
    let url = format!("{}/wallet/getnowblock", host.base);
    host.post("/sandbox/fault", json!({"kind": "truncated", "times": 1}))
        .await;
    let response = host.client.get(&url).send().await.expect("a head");
    assert!(response.content_length().expect("announced") > 100);
    assert!(response.text().await.is_err());
    host.post("/sandbox/fault", json!({"kind": "slow_drip", "times": 1}))
        .await;
    let dripping = host
        .client
        .get(&url)
        .timeout(Duration::from_millis(600))
        .send()
        .await
        .expect("a head");
    assert!(dripping.text().await.expect_err("too slow").is_timeout());
    host.post(
        "/sandbox/fault",
        json!({"kind": "timeout", "times": 1, "path": "/wallet"}),
    )
    .await;
    let hanging = host
        .client
        .get(&url)
        .timeout(Duration::from_millis(200))
        .send()
        .await;
    assert!(hanging.expect_err("no answer").is_timeout());
    assert_eq!(
        host.get("/wallet/getnowblock").await["block_header"]["raw_data"]["number"],
        40
    );
    host.stop().await;
}

#[tokio::test]
async fn control_refuses_with_json_and_counts_requests() {
    let host = Host::quiet().await;
    for (method, path, body, wanted, hint) in [
        (
            "POST",
            "/sandbox/transfer",
            r#"{"to":"x","amount":1}"#,
            400,
            "34 characters",
        ),
        ("POST", "/sandbox/mine", r#"{"blocks":0}"#, 400, "from 1"),
        (
            "POST",
            "/sandbox/fault",
            r#"{"kind":"fire","times":1}"#,
            400,
            "expected one of",
        ),
        ("GET", "/sandbox/transfer", "", 405, "takes POST"),
        ("GET", "/sandbox/nothing", "", 404, "no such endpoint"),
        ("GET", "/sandbox", "", 404, "no such endpoint"),
    ] {
        let (status, text) = host.send(method, path, Some(body.to_owned())).await;
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert!(
            status == wanted && answer["error"].as_str().expect("text").contains(hint),
            "{path}: {status} {text}"
        );
    }
    let (status, _) = host
        .send("POST", "/sandbox/transfer", Some(" ".repeat(300_000)))
        .await;
    assert_eq!(status, 413);
    host.get("/wallet/getnowblock").await;
    host.get(&format!("/v1/accounts/{SHOP}/transactions/trc20"))
        .await;
    host.post(
        "/jsonrpc",
        json!({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber"}),
    )
    .await;
    let counts = host.get("/sandbox/requests").await;
    assert_eq!(counts["paths"]["/wallet/getnowblock"], 1);
    assert_eq!(counts["paths"]["/v1/accounts/{}/transactions/trc20"], 1);
    assert_eq!(
        (&counts["jsonrpc"]["eth_blockNumber"], &counts["total"]),
        (&json!(1), &json!(3))
    );
    host.stop().await;
}

#[tokio::test]
async fn the_demo_receiver_keeps_what_arrives() {
    let host = Host::quiet().await;
    let response = host
        .client
        .post(format!("{}/sandbox/webhook", host.base))
        .header("webhook-id", "evt_1")
        .header("webhook-timestamp", "1700000000")
        .header("webhook-signature", "v1,abc")
        .body(r#"{"type":"payment.completed"}"#)
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        response.text().await.expect("a body"),
        r#"{"received":true}"#
    );
    let shown = host.get("/sandbox/webhooks").await;
    assert_eq!(shown["data"][0]["body"]["type"], "payment.completed");
    assert_eq!(shown["data"][0]["webhook_signature"], "v1,abc");
    host.stop().await;
}

#[tokio::test]
async fn browsers_may_ask_from_anywhere() {
    let host = Host::quiet().await;
    for path in ["/wallet/getnowblock", "/sandbox/state"] {
        let url = format!("{}{path}", host.base);
        let preflight = host
            .client
            .request("OPTIONS".parse().expect("a method"), &url)
            .send()
            .await
            .expect("an answer");
        assert_eq!(preflight.headers()["access-control-allow-headers"], "*");
        let answer = host.client.get(&url).send().await.expect("an answer");
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    }
    host.stop().await;
}

#[tokio::test]
async fn control_routes_leave_other_paths_alone() {
    let sandbox = Sandbox::new(
        SandboxOptions {
            noise_per_block: 0,
            ..SandboxOptions::default()
        },
        Arc::new(SystemClock),
    );
    let hub = sandbox
        .control_routes()
        .or(warp::path("health").map(|| "hub"))
        .map(warp::reply::Reply::into_response);
    let health = warp::test::request().path("/health").reply(&hub).await;
    assert_eq!(health.body(), "hub");
    let state = warp::test::request()
        .path("/sandbox/state")
        .reply(&hub)
        .await;
    assert_eq!(state.status(), 200);
    for path in ["/", "/sandboxes", "/wallet/getnowblock"] {
        assert_eq!(
            warp::test::request().path(path).reply(&hub).await.status(),
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_clock_mines_until_paused_and_stops_on_shutdown() {
    let options = SandboxOptions {
        block_ms: 20,
        noise_per_block: 0,
        ..SandboxOptions::default()
    };
    let host = Host::start(options).await;
    let miner = host.mining();
    let deadline = Instant::now() + PATIENCE;
    let head = async |host: &Host| {
        host.get("/sandbox/state").await["head"]["number"]
            .as_u64()
            .expect("a height")
    };
    let start = head(&host).await;
    while head(&host).await < start + 3 {
        assert!(Instant::now() < deadline, "no blocks");
    }
    let state = host.get("/sandbox/state").await;
    assert_eq!(state["head"]["timestamp"].as_u64().expect("a time") % 20, 0);
    host.post("/sandbox/pause", json!({})).await;
    let paused = head(&host).await;
    assert_eq!(host.mine(2).await, paused + 2);
    host.post("/sandbox/resume", json!({})).await;
    while head(&host).await < paused + 4 {
        assert!(Instant::now() < deadline, "no blocks after resuming");
    }
    host.stop().await;
    tokio::time::timeout(PATIENCE, miner)
        .await
        .expect("stops in time")
        .expect("no panic");
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sandbox_clients")
}

/// Runs a client script against a chain that mines by itself.
async fn drive(mut command: Command) {
    let host = Host::start(SandboxOptions {
        block_ms: 200,
        noise_per_block: 8,
        ..SandboxOptions::default()
    })
    .await;
    let miner = host.mining();
    command.arg(&host.base);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic")
        .expect("it starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{out}\n{err}\n(packages missing? tests/run prepare installs them)"
    );
    host.stop().await;
    miner.await.expect("no panic");
}

/// Its packages are installed by `tests/run prepare`.
#[tokio::test(flavor = "multi_thread")]
async fn tronweb_gets_along_with_it() {
    let mut command = Command::new("node");
    command.arg(clients().join("tronweb.mjs"));
    drive(command).await;
}

/// Its packages are in the environment that `tests/run prepare` makes and puts first on the path.
#[tokio::test(flavor = "multi_thread")]
async fn tronpy_gets_along_with_it() {
    let mut command = Command::new("python3");
    command.arg(clients().join("tronpy_client.py"));
    drive(command).await;
}
