//! Hubs that are killed, shut down, replaced, silent, and behind TLS.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::net::TcpListener;

use crate::listener::Listener;
use crate::support::receiver::{self, Receiver};
use crate::support::{self, PATIENCE, Program, create, eventually};
use crate::{BLOCK_MS, free_port, id_of, log_of};

async fn create_many(hub: &Program, made: &mut usize, count: usize) {
    for _ in 0..count {
        *made += 1;
        let amount = made.to_string();
        create(hub.hub(), json!({"expected_amount_usdt": amount})).await;
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
    for life in 1..=5 {
        let hub = start().await.expect("it starts");
        answers(&hub).await;
        // In one of the lives the listener hears of nothing until there is more than a socket replays at once.
        let unheard = if life == 3 { 560 } else { 4 };
        listener.signal("-STOP");
        create_many(&hub, &mut made, unheard).await;
        listener.signal("-CONT");
        listener.says("connected to", life).await;
        create_many(&hub, &mut made, 10).await;
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

/// Ends TLS in front of a hub, as a proxy does. Returns its port, and the PEM text of the authority that vouches for it.
async fn behind_tls(hub: &str) -> (u16, String) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a root");
    let key = KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).expect("names");
    let certificate = certificate.signed_by(&key, &Issuer::new(authority, authority_key));
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(root.der())
    );
    paybell::source::http::install_crypto_provider();
    let chain = vec![certificate.expect("signed").der().clone()];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they fit");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let target = hub.strip_prefix("http://").expect("http").to_owned();
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            let (acceptor, target) = (acceptor.clone(), target.clone());
            tokio::spawn(async move {
                let mut from = acceptor.accept(from).await?;
                let mut to = tokio::net::TcpStream::connect(target).await?;
                tokio::io::copy_bidirectional(&mut from, &mut to).await
            });
        }
    });
    (port, pem)
}

/// Both ways to the hub, the socket and the log, over TLS by the one stack; and not past a certificate nobody vouches for.
#[tokio::test]
async fn a_hub_behind_tls_is_followed_if_its_certificate_is_good() {
    let demo = Program::demo(BLOCK_MS, &[]);
    create(demo.hub(), json!({})).await;
    let (port, authority) = behind_tls(demo.hub()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, authority).expect("written");
    let trusting = [("SSL_CERT_FILE", file.to_str().expect("a path"))];
    let (url, more) = (
        format!("wss://127.0.0.1:{port}"),
        ["--json", "--since", "0"],
    );
    let listener = Listener::with_environment(&url, &more, &trusting);
    listener.says("connected to https://127.0.0.1", 1).await;
    create(demo.hub(), json!({"expected_amount_usdt": "6"})).await;
    listener
        .prints("old and new", |lines| lines.len() == 2)
        .await;
    let distrusting = Listener::start(&url, &more);
    distrusting.says("TLS failed", 1).await;
    let told = distrusting.err();
    assert!(told.contains("UnknownIssuer"), "{told}");
    assert!(distrusting.out().is_empty());
}
