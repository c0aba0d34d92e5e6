//! `paybell listen` against the real hub, both real binaries: what it prints and forwards, through kills, with a hub that
//! is not there yet, and how it ends.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use paybell::delivery::signature::{Received, Secret, verify};
use serde_json::{Value, json};
use support::receiver::{self, Receiver};
use support::{BINARY, PATIENCE, Program, create, eventually, get, post};
use tokio::net::TcpListener;

const BLOCK_MS: u32 = 200;
const TOLERANCE_S: u64 = 60;

type Lines = Arc<Mutex<Vec<String>>>;

/// A running `paybell listen`, and every line that it wrote.
struct Listener {
    child: Child,
    out: Lines,
    err: Lines,
}

impl Listener {
    fn start(hub: &str, more: &[&str]) -> Self {
        Self::with_environment(hub, more, &[])
    }

    fn with_environment(hub: &str, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["listen", "--url", hub])
            .args(more)
            .env_remove("PAYBELL_KEY")
            .env("PAYBELL_LOG", "warn")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let out = collect(child.stdout.take().expect("a pipe"));
        let err = collect(child.stderr.take().expect("a pipe"));
        Self { child, out, err }
    }

    fn out(&self) -> Vec<String> {
        self.out.lock().expect("a lock").clone()
    }

    fn err(&self) -> String {
        self.err.lock().expect("a lock").join("\n")
    }

    /// The events of `--json`, in the order in which they were printed.
    fn events(&self) -> Vec<Value> {
        let lines = self.out();
        let parse = |line: &String| serde_json::from_str(line).expect("one object a line");
        lines.iter().map(parse).collect()
    }

    fn sequences(&self) -> Vec<u64> {
        let events = self.events();
        let numbers = events
            .iter()
            .map(|e| e["sequence"].as_u64().expect("a number"));
        numbers.collect()
    }

    /// Waits for a word on stderr, so often.
    async fn says(&self, word: &str, times: usize) {
        eventually(&format!("it says {word:?} on stderr"), async || {
            (self.err().matches(word).count() >= times).then_some(())
        })
        .await;
    }

    async fn prints(&self, what: &str, fits: impl Fn(&[String]) -> bool) {
        eventually(what, async || fits(&self.out()).then_some(())).await;
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill")
            .args([name, &pid])
            .status()
            .expect("kill");
        assert!(status.success());
    }

    async fn exit_code(mut self) -> (Option<i32>, String) {
        let status = eventually("it ends", async || self.child.try_wait().expect("a child")).await;
        eventually("all it said is read", async || {
            (Arc::strong_count(&self.err) == 1).then_some(())
        })
        .await;
        (status.code(), self.err())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().expect("reaped");
        }
    }
}

fn collect(pipe: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let kept = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            kept.lock().expect("a lock").push(line);
        }
    });
    lines
}

fn id_of(payment: &Value) -> &str {
    payment["payment_id"].as_str().expect("an id")
}

async fn cancel(hub: &str, payment: &Value) {
    let url = format!("{hub}/v1/payments/{}/cancel", id_of(payment));
    assert_eq!(post(&url, &json!({})).await.status, 200);
}

/// The numbers and bytes of the log, as the hub itself lists them.
async fn log_of(hub: &str) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = get(&format!("{hub}/v1/events?after={after}&limit=100"))
            .await
            .json();
        all.extend(page["data"].as_array().expect("a list").iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = next.parse().expect("a number"),
            None => return all,
        }
    }
}

#[tokio::test]
async fn it_prints_a_line_an_event_as_it_happens() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let listener = Listener::start(&demo.hub().replace("http", "ws"), &[]);
    listener.says("connected to", 1).await;
    let text = "\u{1b}[31mred\u{202e}\u{7}";
    let payment = create(
        demo.hub(),
        json!({"order_id": "ORDER\u{1f514}1", "metadata": {"t": text}}),
    )
    .await;
    cancel(demo.hub(), &payment).await;
    listener
        .prints("both lines", |lines| lines.len() == 2)
        .await;
    let (lines, id) = (listener.out(), id_of(&payment));
    for (line, words) in lines.iter().zip([
        ["payment.created", "ORDER\u{1f514}1", " 5.0 ", "pending"],
        ["payment.cancelled", "ORDER\u{1f514}1", " 5.0 ", "cancelled"],
    ]) {
        for word in words {
            assert!(line.contains(word), "{word} in {line}");
        }
        assert!(
            line.starts_with("20") && line.ends_with(&id[24..]),
            "{line}"
        );
        assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
    }
    let column = |line: &str| line.find("ORDER").expect("an order");
    assert_eq!(column(&lines[0]), column(&lines[1]), "aligned");
    listener.signal("-INT");
    assert_eq!(listener.exit_code().await.0, Some(0));
}

#[tokio::test]
async fn json_is_the_log_byte_for_byte_from_where_it_was_asked_for() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let hub = demo.hub();
    for n in 0..150 {
        create(
            hub,
            json!({"expected_amount_usdt": format!("{}", n + 1), "metadata": [1.50, n]}),
        )
        .await;
    }
    let listener = Listener::start(&format!("{hub}/ws"), &["--json", "--since", "20"]);
    listener
        .prints("the old ones", |lines| lines.len() == 130)
        .await;
    create(
        hub,
        json!({"expected_amount_usdt": "1000", "metadata": {"a": 1}}),
    )
    .await;
    listener
        .prints("and the new one", |lines| lines.len() == 131)
        .await;
    assert_eq!(listener.sequences(), (21..=151).collect::<Vec<_>>());
    let page = get(&format!("{hub}/v1/events?after=150")).await.text;
    assert!(page.contains(&listener.out()[130]), "the same bytes");
    assert_eq!(listener.events(), log_of(hub).await[20..]);
    listener.signal("-TERM");
    assert_eq!(listener.exit_code().await.0, Some(0));
}

/// Metadata is given back as it was written, line breaks too: a line of `--json` must stay one line.
#[tokio::test]
async fn a_line_break_inside_of_an_event_does_not_break_its_line() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let listener = Listener::start(demo.hub(), &["--json", "--since", "0"]);
    let body = format!(
        "{{\"wallet_address\":\"{}\",\"expected_amount_usdt\":\"5\",\"order_id\":\"A\",\"metadata\":{{\n\"n\":\r\n1.50}}}}",
        support::WALLET
    );
    let answer = support::post_text(&format!("{}/v1/payments", demo.hub()), &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    listener
        .prints("the event", |lines| !lines.is_empty())
        .await;
    assert_eq!(listener.out().len(), 1);
    assert_eq!(listener.events()[0]["metadata"]["n"], 1.5);
}

#[tokio::test]
async fn one_payment_s_events_open_to_its_token_and_nothing_else() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let (mine, other) = (
        create(demo.hub(), json!({})).await,
        create(demo.hub(), json!({"expected_amount_usdt": "7"})).await,
    );
    let token = mine["client_token"].as_str().expect("a token");
    let only = ["--json", "--since", "0", "--payment", id_of(&mine)];
    let listener = Listener::with_environment(demo.hub(), &only, &[("PAYBELL_KEY", token)]);
    listener
        .prints("its creation", |lines| lines.len() == 1)
        .await;
    cancel(demo.hub(), &other).await;
    cancel(demo.hub(), &mine).await;
    listener.prints("its end", |lines| lines.len() == 2).await;
    let kinds: Vec<_> = listener
        .events()
        .iter()
        .map(|e| (e["payment_id"].clone(), e["type"].clone()))
        .collect();
    let id = &mine["payment_id"];
    assert_eq!(
        kinds,
        [
            (id.clone(), json!("payment.created")),
            (id.clone(), json!("payment.cancelled"))
        ]
    );
    assert!(!listener.err().contains(token));
    // The token of one payment opens no other, and not the whole.
    for more in [vec!["--payment", id_of(&other)], vec![]] {
        let refused = Listener::with_environment(demo.hub(), &more, &[("PAYBELL_KEY", token)]);
        let (code, told) = refused.exit_code().await;
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.contains("forbidden") && !told.contains(token),
            "{told}"
        );
    }
}

/// Killed and started again on the same data, five times, with payments made at every moment of it.
#[tokio::test]
async fn over_kills_of_the_hub_each_event_comes_once_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a path");
    let port = free_port().await;
    let listen = format!("127.0.0.1:{port}");
    let start = || {
        let (listen, data) = (listen.clone(), data.to_owned());
        tokio::task::spawn_blocking(move || {
            let block_ms = BLOCK_MS.to_string();
            let arguments = [
                "demo",
                "--listen",
                &listen,
                "--sandbox-listen",
                "127.0.0.1:0",
                "--block-ms",
                &block_ms,
                "--data",
                &data,
            ];
            Program::start(&arguments, &[], &["hub", "sandbox"])
        })
    };
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let more = [
        "--json",
        "--since",
        "0",
        "--forward-to",
        &url,
        "--secret",
        receiver::SECRET,
    ];
    let listener = Listener::start(&format!("http://{listen}"), &more);
    // It is not there yet.
    listener.says("cannot reach", 1).await;
    let mut made = 0;
    for life in 1..=5_u64 {
        let hub = start().await.expect("it starts");
        answers(&hub).await;
        for _ in 0..4 {
            made += 1;
            create(
                hub.hub(),
                json!({"expected_amount_usdt": format!("{made}")}),
            )
            .await;
        }
        listener.says("connected to", life as usize).await;
        // More than a socket replays at once, in one of the lives.
        let many = if life == 3 { 560 } else { 10 };
        for _ in 0..many {
            made += 1;
            create(
                hub.hub(),
                json!({"expected_amount_usdt": format!("{made}")}),
            )
            .await;
        }
        let status = hub.kill();
        assert_eq!(status.code(), None, "killed");
    }
    let hub = start().await.expect("it starts");
    answers(&hub).await;
    let last = create(hub.hub(), json!({"expected_amount_usdt": "0.5"})).await;
    let log = log_of(hub.hub()).await;
    assert!(log.len() > made, "{} events", log.len());
    listener
        .prints("the last event", |lines| {
            lines.iter().any(|line| line.contains(id_of(&last)))
        })
        .await;
    let log = log_of(hub.hub()).await;
    listener
        .prints("all events", |lines| lines.len() >= log.len())
        .await;
    assert_eq!(listener.events(), log);
    eventually("all are forwarded", async || {
        (receiver.received().len() >= log.len()).then_some(())
    })
    .await;
    let received = receiver.received();
    let mut forwarded: Vec<u64> = received
        .iter()
        .map(|r| r.json()["sequence"].as_u64().expect("a number"))
        .collect();
    forwarded.sort_unstable();
    assert_eq!(
        forwarded,
        (1..=log.len() as u64).collect::<Vec<_>>(),
        "each once"
    );
    println!("{} events over 5 kills", log.len());
}

/// The test's own connections to the hub before end with it; a request on one of them would fail.
async fn answers(hub: &Program) {
    let url = format!("{}/health", hub.hub());
    eventually("the hub answers", async || {
        support::client().get(&url).send().await.ok()
    })
    .await;
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn what_is_forwarded_is_signed_and_in_order_for_each_payment() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let listener = Listener::start(demo.hub(), &["--forward-to", &url]);
    listener.says("connected to", 1).await;
    let told = listener.err();
    let secret = told
        .split_whitespace()
        .find(|word| word.starts_with("whsec_"));
    let secret = Secret::parse(secret.expect("it is shown")).expect("a secret");
    assert!(
        !told.contains("token=abc"),
        "the URL's query is the receiver's own business: {told}"
    );
    // The first is refused twice, and its payment's second waits for it.
    receiver.answer_next([500, 503]);
    let payment = create(demo.hub(), json!({})).await;
    cancel(demo.hub(), &payment).await;
    listener
        .prints("both arrived", |lines| {
            lines.iter().filter(|l| l.contains("-> 200 in ")).count() == 2
        })
        .await;
    let received = receiver.received();
    let kinds: Vec<_> = received.iter().map(|r| r.kind()).collect();
    let created = "payment.created";
    assert_eq!(kinds, [created, created, created, "payment.cancelled"]);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    for webhook in &received {
        let webhook = Received {
            id: webhook.header("webhook-id"),
            timestamp: webhook.header("webhook-timestamp"),
            signature: webhook.header("webhook-signature"),
            body: &webhook.body,
        };
        verify(std::slice::from_ref(&secret), webhook, now, TOLERANCE_S)
            .expect("a signature of the shown secret");
    }
    let page = get(&format!("{}/v1/events", demo.hub())).await.text;
    let body = String::from_utf8(received[0].body.clone()).expect("text");
    assert!(page.contains(&body), "the same bytes");
    let lines = listener.out();
    for told in [
        "status 500, after",
        "again in 500 ms",
        "status 503: overloaded, after",
        "again in 1000 ms",
    ] {
        assert!(
            lines.iter().any(|line| line.contains(told)),
            "{told} in {lines:#?}"
        );
    }
}

/// Nobody listens on the receiver's port: told, tried four times, passed over; the stream does not wait for it.
#[tokio::test]
async fn a_receiver_that_is_down_holds_nothing_up() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let url = format!("http://127.0.0.1:{}/hook", free_port().await);
    let listener = Listener::start(
        demo.hub(),
        &["--forward-to", &url, "--secret", receiver::SECRET],
    );
    listener.says("connected to", 1).await;
    assert!(
        !listener.err().contains("whsec_"),
        "a given secret is not shown"
    );
    for n in 1..=20 {
        create(demo.hub(), json!({"expected_amount_usdt": n.to_string()})).await;
    }
    let events = |lines: &[String]| {
        lines
            .iter()
            .filter(|l| l.contains("payment.created"))
            .count()
    };
    listener
        .prints("all events", |lines| events(lines) == 20)
        .await;
    let given_up = listener
        .out()
        .iter()
        .filter(|l| l.contains("given up"))
        .count();
    assert!(given_up < 20, "the stream did not wait for the tries");
    listener
        .prints("the first is passed over", |lines| {
            let of_first = lines.iter().filter(|l| l.contains(" #1  -> no connection"));
            let of_first: Vec<_> = of_first.collect();
            of_first.len() == 4 && of_first[3].contains("given up")
        })
        .await;
    listener.signal("-INT");
    assert_eq!(listener.exit_code().await.0, Some(0));
}

/// More waits for the receiver than is kept in memory: the rest is read again, and arrives in its turn.
#[tokio::test]
async fn a_slow_receiver_gets_every_event_however_many_wait() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let receiver = Receiver::start().await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", proxy.local_addr().expect("an address"));
    let listener = Listener::start(demo.hub(), &["--json", "--forward-to", &url]);
    listener.says("connected to", 1).await;
    const EVENTS: usize = 700;
    for n in 1..=EVENTS {
        create(demo.hub(), json!({"expected_amount_usdt": n.to_string()})).await;
    }
    listener
        .prints("all events", |lines| lines.len() == EVENTS)
        .await;
    assert!(receiver.received().is_empty());
    // Only now does anyone accept.
    let target = receiver.url().replace("http://", "");
    let target = target.split('/').next().expect("an authority").to_owned();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = proxy.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                let mut to = tokio::net::TcpStream::connect(target)
                    .await
                    .expect("the receiver");
                if let Err(error) = tokio::io::copy_bidirectional(&mut from, &mut to).await {
                    println!("a proxied connection broke: {error}");
                }
            });
        }
    });
    eventually("all arrived", async || {
        let mut numbers: Vec<_> = receiver
            .received()
            .iter()
            .map(|r| r.json()["sequence"].as_u64())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        (numbers.len() == EVENTS).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_bad_key_ends_it_with_the_reason() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let unknown = "0190a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b";
    for (more, said) in [
        (vec!["--key", "pb_hunter2"], "unknown or revoked"),
        (vec!["--key", "hunter2"], "not well-formed"),
        (vec!["--payment", unknown], "no such payment"),
    ] {
        let (code, told) = Listener::start(demo.hub(), &more).exit_code().await;
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(said) && !told.contains("hunter2"), "{told}");
    }
    // A server, but no hub.
    let (code, told) = Listener::start(demo.url("sandbox"), &[]).exit_code().await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("404"), "{told}");
}

#[tokio::test]
async fn wrong_usage_exits_with_2_and_repeats_no_secret() {
    for (url, more, named) in [
        ("127.0.0.1:5000", vec![], "--url"),
        ("ws://127.0.0.1:5000/v1", vec![], "--url"),
        ("ws://127.0.0.1:5000", vec!["--payment", "7"], "--payment"),
        (
            "ws://127.0.0.1:5000",
            vec!["--since", "yesterday"],
            "--since",
        ),
        (
            "ws://127.0.0.1:5000",
            vec!["--forward-to", "localhost:3000"],
            "--forward-to",
        ),
        ("ws://127.0.0.1:5000", vec!["--key", "hunter 2"], "--key"),
        (
            "ws://127.0.0.1:5000",
            vec!["--forward-to", "http://localhost", "--secret", "hunter2"],
            "--secret",
        ),
    ] {
        let (code, told) = Listener::start(url, &more).exit_code().await;
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains(named) && !told.contains("hunter"), "{told}");
    }
}

/// `paybell listen | head -1`: the next line finds nobody, and that is no failure.
#[tokio::test]
async fn a_closed_stdout_ends_it_quietly() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let mut child = Command::new(BINARY)
        .args(["listen", "--url", demo.hub()])
        .env("PAYBELL_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let err = collect(child.stderr.take().expect("a pipe"));
    eventually("it is connected", async || {
        let told = err.lock().expect("a lock").join(" ");
        told.contains("connected to").then_some(())
    })
    .await;
    create(demo.hub(), json!({})).await;
    let status = eventually("it ends", async || child.try_wait().expect("a child")).await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(err.lock().expect("a lock").len(), 1, "it says nothing more");
}

/// Something listens, but says nothing.
#[tokio::test]
async fn a_silent_hub_is_given_up_and_tried_again() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let listener = Listener::start(&url, &[]);
    let second = async {
        let (first, _) = silent.accept().await.expect("a connection");
        let (second, _) = silent.accept().await.expect("another one");
        (first, second)
    };
    tokio::time::timeout(PATIENCE, second)
        .await
        .expect("it tries again");
    assert!(
        listener
            .err()
            .contains("no answer within 15 s; trying again in"),
        "{}",
        listener.err()
    );
}

/// Shut down in good order, and back within a moment.
#[tokio::test]
async fn a_hub_that_shuts_down_says_so_and_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a path");
    let demo = Program::demo(BLOCK_MS, &["--data", data]);
    let address = demo.hub().strip_prefix("http://").expect("http").to_owned();
    let listener = Listener::start(demo.hub(), &["--json"]);
    listener.says("connected to", 1).await;
    create(demo.hub(), json!({})).await;
    listener.prints("one event", |lines| lines.len() == 1).await;
    assert_eq!(demo.terminate(), Some(0));
    listener.says("closed with 4001", 1).await;
    let arguments = [
        "demo",
        "--listen",
        &address,
        "--sandbox-listen",
        "127.0.0.1:0",
        "--data",
        data,
    ];
    let demo = Program::start(&arguments, &[], &["hub"]);
    answers(&demo).await;
    create(demo.hub(), json!({"expected_amount_usdt": "6"})).await;
    listener
        .prints("the other one", |lines| lines.len() == 2)
        .await;
    assert_eq!(listener.sequences(), [1, 2]);
    // A hub with new data has another log; what it holds is new.
    let address = demo.hub().strip_prefix("http://").expect("http").to_owned();
    demo.kill();
    let arguments = [
        "demo",
        "--listen",
        &address,
        "--sandbox-listen",
        "127.0.0.1:0",
    ];
    let demo = Program::start(&arguments, &[], &["hub"]);
    answers(&demo).await;
    create(demo.hub(), json!({"expected_amount_usdt": "7"})).await;
    listener.says("new event log", 1).await;
    listener
        .prints("the new log's event", |lines| lines.len() == 3)
        .await;
    assert_eq!(listener.sequences(), [1, 2, 1]);
}
