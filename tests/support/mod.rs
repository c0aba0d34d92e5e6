//! What the whole-system tests share: the real binary as a child process, receivers, sockets, and waiting on conditions.
#![allow(dead_code)]

pub mod bad_receiver;
pub mod node;
pub mod raw;
pub mod receiver;
pub mod ws;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_paybell");
/// The longest that any condition may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// An address from the vectors.
pub const WALLET: &str = "TQq3EYEiaYr95r6ePRQwycukCEAE4qWkE7";
pub const OTHER_WALLET: &str = "TX8qeDzWJ3ePxwajj18PGbcc7FwV1dhqt3";

/// A running `paybell`, ended when dropped.
pub struct Program {
    child: Child,
    /// Lines of stdout by their first word: `hub`, `sandbox`.
    urls: Vec<(String, String)>,
}

impl Program {
    /// Starts the binary and waits until it has told the URLs named in `wanted`.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)], wanted: &[&str]) -> Self {
        let mut command = quiet(BINARY);
        command.args(arguments).envs(environment.iter().copied());
        Self::run(command, wanted)
    }

    /// Starts the binary with so many file descriptors.
    pub fn with_descriptors(limit: u32, arguments: &[&str], wanted: &[&str]) -> Self {
        let mut command = quiet("sh");
        command
            .args(["-c", r#"ulimit -n "$0" && exec "$@""#])
            .args([&limit.to_string(), BINARY])
            .args(arguments);
        Self::run(command, wanted)
    }

    fn run(mut command: Command, wanted: &[&str]) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut urls = Vec::new();
        while !wanted
            .iter()
            .all(|w| urls.iter().any(|(name, _): &(String, String)| name == w))
        {
            let line = lines
                .next()
                .expect("the binary ended before it was up")
                .expect("text");
            let mut words = line.split_whitespace();
            if let (Some(name), Some(url)) = (words.next(), words.next())
                && url.starts_with("http://")
            {
                urls.push((name.to_owned(), url.trim_end_matches('/').to_owned()));
            }
        }
        // Whatever else it prints must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, urls }
    }

    /// `paybell demo` on free ports.
    pub fn demo(block_ms: u32, more: &[&str]) -> Self {
        let block_ms = block_ms.to_string();
        let mut arguments = vec![
            "demo",
            "--listen",
            "127.0.0.1:0",
            "--sandbox-listen",
            "127.0.0.1:0",
            "--block-ms",
            &block_ms,
        ];
        arguments.extend(more);
        Self::start(&arguments, &[], &["hub", "sandbox"])
    }

    /// `paybell sandbox` on a free port.
    pub fn sandbox(block_ms: u32) -> Self {
        let block_ms = block_ms.to_string();
        Self::start(
            &[
                "sandbox",
                "--listen",
                "127.0.0.1:0",
                "--block-ms",
                &block_ms,
            ],
            &[],
            &["sandbox"],
        )
    }

    /// `paybell serve` with this configuration, written into `folder`.
    pub fn serve(folder: &Path, config: &Value) -> Self {
        let file = folder.join("config.json");
        std::fs::write(&file, config.to_string()).expect("written");
        Self::start(
            &["serve", "--config", file.to_str().expect("a path")],
            &[],
            &["hub"],
        )
    }

    /// The same with a log of this level in a file.
    pub fn serve_logging(folder: &Path, config: &Value, level: &str, log: &Path) -> Self {
        let file = folder.join("config.json");
        std::fs::write(&file, config.to_string()).expect("written");
        let mut command = quiet(BINARY);
        command
            .args(["serve", "--config"])
            .arg(&file)
            .env("PAYBELL_LOG", level)
            .stderr(std::fs::File::create(log).expect("a file"));
        Self::run(command, &["hub"])
    }

    pub fn url(&self, name: &str) -> &str {
        let found = self.urls.iter().find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("no URL of {name}")).1
    }

    pub fn hub(&self) -> &str {
        self.url("hub")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as `kill -9` does. Returns how it ended: it may have been quicker.
    pub fn kill(mut self) -> ExitStatus {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped")
    }

    /// Asks it to end, as SIGTERM does.
    pub fn ask_to_end(&self) {
        let status = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .expect("kill");
        assert!(status.success());
    }

    /// Asks it to end and waits. Returns its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        self.ask_to_end();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "SIGTERM did not end it");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A command that logs little unless the tests are told otherwise.
fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    let log = std::env::var("PAYBELL_TEST_LOG").unwrap_or_else(|_| "warn".into());
    command.env_remove("RUST_BACKTRACE").env("PAYBELL_LOG", log);
    command
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().expect("reaped");
        }
    }
}

/// A configuration for `serve` against one node, on free ports.
pub fn config(folder: &Path, node: &str, block_ms: u32) -> Value {
    json!({
        "listen": "127.0.0.1:0",
        "data": folder.join("paybell.redb"),
        "chains": [{
            "name": "tron",
            "endpoints": [{"url": node, "requests_per_second": 1000, "requests_per_day": 10_000_000}],
            "slot_ms": block_ms,
        }],
        "allow_insecure_callbacks": true,
        "webhook_secrets": [receiver::SECRET],
    })
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e} in {:?}", self.text))
    }
}

thread_local! {
    /// One for each test: connections belong to the test's own runtime.
    static CLIENT: reqwest::Client = paybell::source::http::http_client().expect("a client");
}

pub fn client() -> reqwest::Client {
    CLIENT.with(Clone::clone)
}

pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.expect("text"),
    }
}

pub async fn get(url: &str) -> Answer {
    send(client().get(url)).await
}

pub async fn post(url: &str, body: &Value) -> Answer {
    post_text(url, &body.to_string()).await
}

pub async fn post_text(url: &str, body: &str) -> Answer {
    let request = client()
        .post(url)
        .header("content-type", "application/json")
        .body(body.to_owned());
    send(request).await
}

/// Creates a payment by `/v1` and returns the answer's object.
pub async fn create(hub: &str, fields: Value) -> Value {
    let mut body =
        json!({"wallet_address": WALLET, "expected_amount_usdt": "5.00", "order_id": order_id()});
    for (name, value) in fields.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let answer = post(&format!("{hub}/v1/payments"), &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

/// An order id that no other has.
pub fn order_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!(
        "order-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Pays in the sandbox; returns the transaction's id.
pub async fn pay(sandbox: &str, to: &str, amount: &str) -> String {
    let answer = post(
        &format!("{sandbox}/sandbox/transfer"),
        &json!({"to": to, "amount": amount}),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["txid"].as_str().expect("a txid").to_owned()
}

/// Asks until `found` finds something; panics with `what` when patience ends.
pub async fn eventually<T, F>(what: &str, mut found: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = found().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the payment has the status, and returns its object.
pub async fn status_of(hub: &str, id: &str, status: &str) -> Value {
    let url = format!("{hub}/v1/payments/{id}");
    eventually(&format!("{id} is {status}"), async || {
        let payment = get(&url).await.json();
        (payment["status"] == status).then_some(payment)
    })
    .await
}
