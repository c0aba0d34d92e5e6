//! `paybell listen` against the real hub, both real binaries: what it prints and forwards, through kills, with a hub that
//! is not there yet, and how it ends.

#[path = "listen/forward.rs"]
mod forward;
#[path = "listen/hub.rs"]
mod hub;
#[path = "listen/listener.rs"]
mod listener;
mod support;

use std::process::{Command, Stdio};

use listener::{Listener, collect};
use serde_json::{Value, json};
use support::{BINARY, Program, create, eventually, get, post};
use tokio::net::TcpListener;

const BLOCK_MS: u32 = 200;

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

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

/// As a key is written, and of no hub.
const NOBODY_S_KEY: &str = "pb_00000000000000000000000001_11111111111111111111111111111111";

#[tokio::test]
async fn a_bad_key_ends_it_with_the_reason() {
    let demo = Program::demo(BLOCK_MS, &[]);
    let unknown = "0190a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b";
    for (more, said) in [
        (
            vec!["--key", "pb_hunter2"],
            "the API key is not well-formed",
        ),
        (vec!["--key", NOBODY_S_KEY], "unknown or revoked"),
        (vec!["--key", "hunter2"], "not well-formed"),
        (vec!["--payment", unknown], "no such payment"),
    ] {
        let (code, told) = Listener::start(demo.hub(), &more).exit_code().await;
        assert_eq!(code, Some(1), "{told}");
        let shown = ["hunter2", NOBODY_S_KEY].map(|key| told.contains(key));
        assert!(told.contains(said) && shown == [false; 2], "{told}");
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
