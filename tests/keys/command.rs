//! `paybell keys`: on the data file where no hub runs, through the socket beside it where one does; and no secret in a log.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::ws::Socket;
use crate::support::{BINARY, Program, config, create, eventually, get};
use crate::{ask, get_as, make};

/// How a command ended, and what it wrote.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the program in a folder to its end.
pub fn paybell(folder: &Path, arguments: &[&str]) -> Ended {
    let output = Command::new(BINARY)
        .args(arguments)
        .current_dir(folder)
        .env_remove("PAYBELL_LOG")
        .output()
        .expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A folder with a configuration, and a node to follow.
struct Shop {
    folder: tempfile::TempDir,
    _sandbox: Program,
    settings: Value,
}

impl Shop {
    fn new() -> Self {
        Self::with_data("paybell.redb")
    }

    fn with_data(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sandbox = Program::sandbox(1000);
        let mut settings = config(folder.path(), sandbox.url("sandbox"), 1000);
        settings["data"] = json!(folder.path().join(name));
        let file = folder.path().join("config.json");
        std::fs::write(file, settings.to_string()).expect("written");
        Self {
            folder,
            _sandbox: sandbox,
            settings,
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("paybell.redb.sock")
    }

    fn serve(&self) -> Program {
        Program::serve(self.folder.path(), &self.settings)
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        paybell(self.folder.path(), &[&["keys"], arguments].concat())
    }

    fn fine(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        ended
    }

    /// Makes a key and returns it: it stands alone on stdout.
    fn key(&self, name: &str, scope: &str) -> String {
        let made = self.fine(&["create", "--name", name, "--scope", scope]);
        let key = made.stdout.strip_suffix('\n').expect("a line");
        assert!(
            key.starts_with("pb_") && !key.contains(char::is_whitespace),
            "{key:?}"
        );
        assert!(made.stderr.contains("only time"), "{}", made.stderr);
        assert!(!made.stderr.contains(key), "shown once, on stdout");
        key.to_owned()
    }

    /// The id of the key with this name, as the list shows it.
    fn id(&self, name: &str) -> String {
        let list = self.fine(&["list"]).stdout;
        let line = list
            .lines()
            .find(|line| line.ends_with(&format!("  {name}")));
        let line = line.unwrap_or_else(|| panic!("{name} is not in {list}"));
        line.split(' ').next().expect("an id").to_owned()
    }
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked_with_and_without_a_running_hub() {
    let shop = Shop::new();
    let missing = shop.run(&["list"]);
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.stderr.contains("there is no data file"),
        "{}",
        missing.stderr
    );
    assert!(
        !shop.folder.path().join("paybell.redb").exists(),
        "looking makes nothing"
    );
    let first = shop.run(&["create", "--name", "shop", "--scope", "write"]);
    assert_eq!((first.code, first.stdout.as_str()), (Some(1), ""));
    assert!(
        first.stderr.contains("must have the scope admin"),
        "{}",
        first.stderr
    );
    let boss = shop.key("the boss", "admin");
    assert!(!shop.socket().exists());

    let hub = shop.serve();
    let (reader, url) = (
        shop.key("reader", "read"),
        format!("{}/v1/payments", hub.hub()),
    );
    for (key, status) in [(&boss, 200), (&reader, 200)] {
        assert_eq!(get_as(key, &url).await.status, status);
    }
    let list = shop.fine(&["list"]).stdout;
    for secret in [&boss, &reader] {
        assert!(!list.contains(secret.rsplit('_').next().unwrap()), "{list}");
    }
    assert!(
        !list.contains("webhook secret"),
        "the configuration has it: {list}"
    );
    let mut socket = Socket::open(hub.hub()).await;
    socket
        .command(json!({"id": 1, "connect": {"token": reader}}))
        .await;
    let revoked = shop.fine(&["revoke", &shop.id("reader")]);
    assert!(revoked.stdout.contains("is revoked"), "{}", revoked.stdout);
    assert_eq!(socket.closed().await, 4500);
    assert_eq!(get_as(&reader, &url).await.status, 401);
    for (wrong, code, told) in [
        ("key_00000000000000000000000009", 1, "no API key of this id"),
        ("nonsense", 2, "keys list"),
    ] {
        let ended = shop.run(&["revoke", wrong]);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
    }
    // The operator is not bound by the rule of the last admin key, and is told; the key itself names it too.
    let last = shop.fine(&["revoke", &boss]);
    assert!(
        last.stderr.contains("No key of scope admin is left"),
        "{}",
        last.stderr
    );
    assert_eq!(get_as(&boss, &url).await.status, 401);
    assert_eq!(get(&url).await.status, 401, "the hub stays locked");
    let again = shop.key("again", "admin");
    assert_eq!(get_as(&again, &url).await.status, 200);
    assert_eq!(hub.terminate(), Some(0));

    let list = shop.fine(&["list"]).stdout;
    let states: Vec<_> = list
        .lines()
        .skip(1)
        .map(|line| line.contains("revoked"))
        .collect();
    assert_eq!(states, [false, true, true], "newest first: {list}");
    shop.fine(&["revoke", &shop.id("again")]);
    let hub = shop.serve();
    let url = format!("{}/v1/payments", hub.hub());
    assert_eq!(get_as(&again, &url).await.status, 401);
}

#[tokio::test]
async fn the_socket_is_the_owner_s_alone_and_a_stale_one_is_replaced() {
    let shop = Shop::new();
    for round in 0..2 {
        let hub = shop.serve();
        let socket = shop.socket();
        eventually("the socket is there", async || {
            socket.exists().then_some(())
        })
        .await;
        let found = std::fs::symlink_metadata(&socket).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        let data = std::fs::metadata(shop.folder.path().join("paybell.redb")).unwrap();
        assert_eq!(
            data.permissions().mode() & 0o077,
            0,
            "the data holds secrets"
        );
        shop.fine(&["list"]);
        match round {
            0 => {
                hub.kill();
                assert!(socket.exists(), "a kill leaves it");
                shop.fine(&["list"]);
            }
            _ => {
                assert_eq!(hub.terminate(), Some(0));
                assert!(!socket.exists(), "an end in good order removes it");
            }
        }
    }
}

/// A socket's path has at most 107 bytes; a hub whose data lies deeper says so and runs.
#[tokio::test]
async fn a_path_too_long_for_a_socket_costs_the_socket_only() {
    let name = format!("{}.redb", "deep".repeat(25));
    let shop = Shop::with_data(&name);
    let log = shop.folder.path().join("hub.log");
    let hub = Program::serve_logging(shop.folder.path(), &shop.settings, "info", &log);
    create(hub.hub(), json!({})).await;
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(
        told.contains("there is no socket") && told.contains("107"),
        "{told}"
    );
    let list = shop.run(&["list"]);
    assert_eq!(list.code, Some(1));
    assert!(
        list.stderr.contains("in use by another process"),
        "{}",
        list.stderr
    );
    assert_eq!(hub.terminate(), Some(0));
    shop.fine(&["list"]);
}

/// Without `webhook_secrets` the hub makes one, and this is where it is shown: with and without a running hub, after a
/// rotation too.
#[tokio::test]
async fn the_list_shows_a_webhook_secret_that_the_hub_made() {
    let mut shop = Shop::new();
    shop.settings["webhook_secrets"] = json!([]);
    let hub = shop.serve();
    let secret = |shop: &Shop| {
        let list = shop.fine(&["list"]).stdout;
        let line = list
            .lines()
            .find_map(|line| line.strip_prefix("webhook secret "));
        line.unwrap_or_else(|| panic!("{list}")).to_owned()
    };
    let made = secret(&shop);
    assert!(made.starts_with("whsec_"), "{made}");
    let over_http = get(&format!("{}/v1/endpoints/callbacks", hub.hub())).await;
    assert_eq!(
        over_http.json()["secret"],
        Value::Null,
        "told once over HTTP"
    );
    let url = format!("{}/v1/endpoints/callbacks/rotate", hub.hub());
    let rotated = ask(None, "POST", &url, &json!({}))
        .await
        .text()
        .await
        .unwrap();
    let rotated: Value = serde_json::from_str(&rotated).unwrap();
    assert_eq!(rotated["secret"], secret(&shop));
    assert_ne!(rotated["secret"], made);
    hub.terminate();
    assert_eq!(rotated["secret"], secret(&shop));
}

/// Everything logged, everything done: no key and no part of one is in the log.
#[tokio::test]
async fn no_log_holds_a_key() {
    let shop = Shop::new();
    let log = shop.folder.path().join("hub.log");
    let hub = Program::serve_logging(shop.folder.path(), &shop.settings, "trace", &log);
    let by_operator = shop.key("boss", "admin");
    let over_http = make(hub.hub(), Some(&by_operator), "write").await.text;
    let wrong = format!("{}x", &over_http[..over_http.len() - 1]);
    for key in [&by_operator, &over_http, &wrong] {
        get_as(key, &format!("{}/v1/keys/current", hub.hub())).await;
        let mut socket = Socket::open(hub.hub()).await;
        socket
            .command(json!({"id": 1, "connect": {"token": key}}))
            .await;
    }
    shop.fine(&["revoke", &over_http]);
    assert_eq!(hub.terminate(), Some(0));
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(
        told.contains("an API key was made") && told.contains("TRACE"),
        "it was logged"
    );
    for key in [&by_operator, &over_http, &wrong] {
        let secret = key.rsplit('_').next().unwrap();
        assert!(!told.contains(&secret[..12]), "{key} is in the log");
    }
    let data = std::fs::read(shop.folder.path().join("paybell.redb")).unwrap();
    for key in [&by_operator, &over_http] {
        let secret = key.rsplit('_').next().unwrap();
        let (text, bytes) = (secret.as_bytes(), bs58::decode(secret).into_vec().unwrap());
        for wanted in [text, &bytes[..]] {
            let found = data.windows(wanted.len()).any(|part| part == wanted);
            assert!(!found, "the data file holds a key");
        }
    }
}

/// `paybell listen` with a real key hears everything, with a revoked one nothing.
#[tokio::test]
async fn listen_takes_a_real_key() {
    let shop = Shop::new();
    let (hub, boss) = (shop.serve(), shop.key("boss", "admin"));
    let reader = shop.key("reader", "read");
    let lines = shop.folder.path().join("events");
    let start = |key: &str| {
        Command::new(BINARY)
            .args(["listen", "--url", hub.hub(), "--json", "--since", "0"])
            .env("PAYBELL_KEY", key)
            .stdout(std::fs::File::create(&lines).unwrap())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the binary starts")
    };
    let mut listening = start(&reader);
    let body = json!({"wallet_address": crate::support::WALLET, "expected_amount_usdt": "5", "order_id": "one"});
    let made = ask(
        Some(&boss),
        "POST",
        &format!("{}/v1/payments", hub.hub()),
        &body,
    )
    .await;
    assert_eq!(made.status(), 201);
    eventually("the event is printed", async || {
        let printed = std::fs::read_to_string(&lines).unwrap();
        printed.contains("payment.created").then_some(())
    })
    .await;
    shop.fine(&["revoke", &reader]);
    let ended = eventually("it ends", async || listening.try_wait().expect("a child")).await;
    assert_eq!(
        ended.code(),
        Some(1),
        "a revoked key is no reason to try again"
    );
    let refused = start(&reader).wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("unknown or revoked") && !told.contains(&reader),
        "{told}"
    );
}
