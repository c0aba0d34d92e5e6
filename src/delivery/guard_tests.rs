//! Attempts to have the hub call where it must not: every special range in every spelling, names that mix good and bad
//! addresses, and names that change their mind between creation and send.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::callback_url::{
    CallbackError, CallbackPolicy, CallbackUrl, InsecureCallbacks, PrivateCallbacks,
};
use super::guard::{GuardedResolver, SystemLookup};
use super::outcome::{AttemptOutcome, Failure, Verdict};
use super::sender::{Sender, SenderLimits, SignedWebhook};
use super::test_receiver::{Receiver, ScriptedLookup, SilentLookup, Then};

const STRICT: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Refused,
    private: PrivateCallbacks::Refused,
};
const DEMO: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::LoopbackOnly,
    ..STRICT
};
const INSECURE: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Allowed,
    ..STRICT
};
const CLOSED_NETWORK: CallbackPolicy = CallbackPolicy {
    private: PrivateCallbacks::Allowed,
    ..STRICT
};
const LAXEST: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Allowed,
    private: PrivateCallbacks::Allowed,
};
const ALL: [CallbackPolicy; 5] = [STRICT, DEMO, INSECURE, CLOSED_NETWORK, LAXEST];

/// Hosts that no policy lets through.
const NEVER: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "0",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.1.1",
    "0xa9fea9fe",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "2852039166",
    "169.254.43518",
    "169.254.169.254.",
    "１６９。２５４。１６９。２５４",
    "100.100.100.200",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "4294967295",
    "[::]",
    "[::127.0.0.1]",
    "[::8.8.8.8]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:8.8.8.8]",
    "[::ffff:0:10.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::8.8.8.8]",
    "[64:ff9b:1::10.0.0.1]",
    "[100::1]",
    "[2001::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::]",
    "[2002:808:808::]",
    "[3fff::1]",
    "[5f00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
];

const LOOPBACK: &[&str] = &[
    "127.0.0.1",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "①②⑦.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
];

const PRIVATE: &[&str] = &[
    "10.0.0.1",
    "10.1",
    "167772161",
    "0xA000001",
    "012.0.0.1",
    "10.0.0.1.",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "192.168.257",
    "100.64.0.1",
    "[fc00::1]",
    "[fd12:3456:789a::1]",
];

const PUBLIC: &[&str] = &[
    "8.8.8.8",
    "134744072",
    "0x8.0x8.0x8.0x8",
    "172.32.0.1",
    "[2606:4700::1111]",
    "[2a00:1450::1]",
];

fn parse(host: &str, policy: CallbackPolicy) -> Result<CallbackUrl, CallbackError> {
    CallbackUrl::parse(&format!("https://{host}/hook"), policy)
}

fn by_address(host: &str, policy: CallbackPolicy) -> bool {
    match parse(host, policy) {
        Ok(_) => true,
        Err(CallbackError::Address(_)) => false,
        Err(other) => panic!("{host} under {policy:?}: {other}"),
    }
}

#[test]
fn literal_addresses_in_every_spelling() {
    for policy in ALL {
        for host in NEVER {
            assert!(!by_address(host, policy), "{host} under {policy:?}");
        }
        for host in PUBLIC {
            assert!(by_address(host, policy), "{host} under {policy:?}");
        }
        for host in LOOPBACK {
            let expected = policy.insecure != InsecureCallbacks::Refused;
            assert_eq!(by_address(host, policy), expected, "{host}: {policy:?}");
        }
        for host in PRIVATE {
            let expected = policy.private == PrivateCallbacks::Allowed;
            assert_eq!(by_address(host, policy), expected, "{host}: {policy:?}");
        }
    }
}

#[test]
fn plain_http_goes_only_where_the_policy_says() {
    let scheme = |url: &str, policy| CallbackUrl::parse(url, policy).err();
    for url in [
        "http://shop.example/",
        "http://localhost:3000/",
        "HTTP://8.8.8.8/",
    ] {
        assert_eq!(scheme(url, STRICT), Some(CallbackError::Insecure), "{url}");
        assert_eq!(scheme(url, INSECURE), None, "{url}");
    }
    for url in [
        "http://localhost:3000/",
        "http://LOCALHOST/",
        "http://localhost./",
        "http://shop.localhost/",
        "http://127.0.0.1:5000/",
        "http://[::1]/",
    ] {
        assert_eq!(scheme(url, DEMO), None, "{url}");
    }
    for url in [
        "http://shop.example/",
        "http://8.8.8.8/",
        "http://localhost.shop.example/",
        "http://notlocalhost/",
    ] {
        let expected = Some(CallbackError::InsecureElsewhere);
        assert_eq!(scheme(url, DEMO), expected, "{url}");
    }
    assert_eq!(scheme("https://shop.example/", DEMO), None);
}

#[test]
fn malformed_urls_are_named() {
    let refused = |text: &str| CallbackUrl::parse(text, LAXEST).expect_err(text);
    for text in [
        "",
        "hook",
        "/hook",
        "shop.example/hook",
        "//shop.example",
        "https://",
        "https:///",
    ] {
        let found = refused(text);
        assert!(matches!(found, CallbackError::Syntax(_)), "{text}: {found}");
    }
    for text in [
        "ftp://shop.example/",
        "file:///etc/passwd",
        "gopher://a/",
        "javascript:1",
        "shop.example:80/",
    ] {
        assert_eq!(refused(text), CallbackError::Scheme, "{text}");
    }
    for text in [
        "https://a@shop.example/",
        "https://a:b@shop.example/",
        "https://:b@shop.example/",
        "https://8.8.8.8@10.0.0.1/",
    ] {
        assert_eq!(refused(text), CallbackError::UserInfo, "{text}");
    }
    for text in [
        " https://shop.example/",
        "https://shop.example/a b",
        "https://shop.example/\n",
        "https://sh\top.example/",
        "https://shop.example/\u{a0}",
        "https://shop.example/\0",
    ] {
        assert_eq!(refused(text), CallbackError::Character, "{text:?}");
    }
    for text in [
        "https://shop.example../",
        "https://shop..example/",
        "https://.shop.example/",
        "https://./",
    ] {
        assert_eq!(refused(text), CallbackError::EmptyLabel, "{text}");
    }
    assert_eq!(refused("https://shop.example:0/"), CallbackError::PortZero);
    for text in [
        "https://1.2.3.4.5/",
        "https://256.0.0.1/",
        "https://[::1/",
        "https://a<b/",
        "https://shop.example:65536/",
    ] {
        let found = refused(text);
        assert!(matches!(found, CallbackError::Syntax(_)), "{text}: {found}");
    }
}

#[test]
fn the_length_is_counted_in_bytes_and_as_sent() {
    let of = |bytes: usize| format!("https://shop.example/{}", "a".repeat(bytes - 21));
    assert!(CallbackUrl::parse(&of(2048), STRICT).is_ok());
    assert_eq!(
        CallbackUrl::parse(&of(2049), STRICT),
        Err(CallbackError::TooLong(2049))
    );
    let umlauts = format!("https://shop.example/{}", "ü".repeat(1000));
    assert_eq!(
        CallbackUrl::parse(&umlauts, STRICT),
        Err(CallbackError::TooLong(6021))
    );
}

#[test]
fn one_receiver_has_one_spelling_and_its_token_is_not_printed() {
    let url =
        CallbackUrl::parse("HTTPS://Shop.Example.:443/hook?token=1#part", STRICT).expect("fine");
    assert_eq!(url.as_str(), "https://shop.example/hook?token=1");
    assert_eq!(url.origin(), "https://shop.example");
    assert_eq!(url.name(), Some("shop.example"));
    assert_eq!(format!("{url:?}"), "CallbackUrl(https://shop.example)");
    let again = CallbackUrl::parse(url.as_str(), STRICT).expect("fine");
    assert_eq!(again, url);
    let literal = CallbackUrl::parse("https://0x8.8.8.8:8443", STRICT).expect("fine");
    assert_eq!(
        (literal.as_str(), literal.name()),
        ("https://8.8.8.8:8443/", None)
    );
}

#[test]
fn refusals_name_the_field_and_the_remedy() {
    let text = |url: &str| CallbackUrl::parse(url, STRICT).expect_err(url).to_string();
    assert_eq!(
        text("https://10.0.0.1/"),
        "callback_url: the address is a private network, 10.0.0.0/8, which is not called; \
         use a public host (in a closed network, set allow_private_callbacks)"
    );
    assert_eq!(
        text("http://shop.example/"),
        "callback_url: http is not accepted; use https (to develop, run `paybell demo` or set allow_insecure_callbacks)"
    );
    assert!(text("shop.example").starts_with("callback_url: it is not an absolute URL"));
}

#[test]
fn one_bad_address_spoils_a_name() {
    let name = "shop.example";
    let check = |policy: CallbackPolicy, addresses: &[&str]| {
        let parsed: Vec<_> = addresses
            .iter()
            .map(|a| a.parse().expect("valid"))
            .collect();
        policy.check_resolved(name, &parsed).is_ok()
    };
    assert!(check(STRICT, &["8.8.8.8", "2606:4700::1111"]));
    for bad in [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:8.8.8.8",
        "64:ff9b::a00:1",
        "fd00::1",
    ] {
        assert!(!check(STRICT, &[bad]), "{bad}");
        assert!(!check(STRICT, &["8.8.8.8", bad]), "{bad} last");
        assert!(!check(STRICT, &[bad, "8.8.8.8"]), "{bad} first");
    }
    assert!(check(CLOSED_NETWORK, &["10.0.0.1", "8.8.8.8"]));
    assert!(!check(CLOSED_NETWORK, &["10.0.0.1", "169.254.169.254"]));
    assert!(!check(CLOSED_NETWORK, &["127.0.0.1"]));
}

#[test]
fn localhost_must_be_here() {
    let elsewhere = ["8.8.8.8".parse().expect("valid")];
    for name in ["localhost", "shop.localhost", "LocalHost."] {
        let found = LAXEST.check_resolved(name, &elsewhere);
        assert_eq!(found, Err(CallbackError::LocalhostElsewhere), "{name}");
    }
}

fn guard(policy: CallbackPolicy, answers: &[&[&str]]) -> (GuardedResolver, Arc<ScriptedLookup>) {
    let lookup = Arc::new(ScriptedLookup::new(answers));
    (GuardedResolver::new(policy, lookup.clone()), lookup)
}

async fn send(guard: GuardedResolver, url: &CallbackUrl) -> AttemptOutcome {
    let limits = SenderLimits {
        connect_timeout: Duration::from_millis(500),
        deadline: Duration::from_secs(2),
        ..SenderLimits::default()
    };
    let sender = Sender::new(guard, limits).expect("a client");
    let webhook = SignedWebhook::new(&[], "evt_1", 1, "{}".into());
    sender.send(url, webhook).await
}

fn refusal(outcome: &AttemptOutcome) -> &CallbackError {
    match &outcome.verdict {
        Verdict::Failed {
            failure: Failure::Refused(refusal),
            retry_after: None,
        } => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn creation_asks_the_network_and_every_answer_counts() {
    let url = parse("shop.example", STRICT).expect("fine");
    let (good, lookup) = guard(STRICT, &[&["8.8.8.8"]]);
    assert_eq!(good.check_resolved(&url).await, Ok(()));
    assert_eq!(lookup.names(), ["shop.example"]);
    let (mixed, _) = guard(STRICT, &[&["8.8.8.8", "10.0.0.1"]]);
    assert!(matches!(
        mixed.check_resolved(&url).await,
        Err(CallbackError::ResolvedAddress(_))
    ));
}

#[tokio::test]
async fn creation_does_not_depend_on_the_network() {
    let url = parse("shop.example", STRICT).expect("fine");
    let (nowhere, _) = guard(STRICT, &[]);
    assert_eq!(nowhere.check_resolved(&url).await, Ok(()));
}

#[tokio::test]
async fn creation_looks_no_literal_up_but_still_checks_it() {
    let url = parse("127.0.0.1", DEMO).expect("fine in the demo");
    let (strict, lookup) = guard(STRICT, &[&["8.8.8.8"]]);
    assert!(matches!(
        strict.check_resolved(&url).await,
        Err(CallbackError::Address(_))
    ));
    assert!(lookup.names().is_empty());
}

/// A name shows a public address while the payment is created, and this machine when the webhook is sent.
#[tokio::test]
async fn rebinding_between_creation_and_send_gains_nothing() {
    let inside = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = inside.local_addr().expect("bound").port();
    let url = parse(&format!("rebind.example:{port}"), STRICT).expect("fine");
    let (guard, lookup) = guard(STRICT, &[&["8.8.8.8"], &["127.0.0.1"]]);
    assert_eq!(guard.check_resolved(&url).await, Ok(()));

    let outcome = send(guard, &url).await;
    assert!(matches!(
        refusal(&outcome),
        CallbackError::ResolvedAddress(_)
    ));
    assert_eq!(lookup.names().len(), 2);
    assert_eq!(outcome.status, None);
    let reason = outcome.verdict.reason().expect("a reason");
    assert!(reason.contains("this machine (loopback)"), "{reason}");
    assert!(nobody_came(&inside).await);
}

#[tokio::test]
async fn a_mixed_answer_at_send_reaches_neither_address() {
    let inside = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = inside.local_addr().expect("bound").port();
    let url = CallbackUrl::parse(&format!("http://shop.example:{port}/"), INSECURE).expect("fine");
    let (guard, _) = guard(INSECURE, &[&["127.0.0.1", "10.0.0.1"]]);
    let outcome = send(guard, &url).await;
    assert!(matches!(
        refusal(&outcome),
        CallbackError::ResolvedAddress(_)
    ));
    assert!(nobody_came(&inside).await);
}

/// A URL accepted by the demo's policy stays in the store; the hub then runs by the strict one.
#[tokio::test]
async fn a_stricter_policy_holds_for_urls_accepted_before_it() {
    let mut receiver = Receiver::start("", Then::Close).await;
    let url = CallbackUrl::parse(&receiver.url(), DEMO).expect("fine in the demo");
    let (strict, _) = guard(STRICT, &[]);
    let outcome = send(strict, &url).await;
    assert!(matches!(refusal(&outcome), CallbackError::Address(_)));
    assert!(receiver.heard_nothing());
}

#[tokio::test]
async fn names_that_do_not_resolve_fail_the_attempt() {
    let url = parse("shop.example", STRICT).expect("fine");
    for answers in [&[][..], &[&[][..]][..]] {
        let (guard, _) = guard(STRICT, answers);
        let outcome = send(guard, &url).await;
        assert!(
            matches!(
                &outcome.verdict,
                Verdict::Failed {
                    failure: Failure::Unresolved(_),
                    ..
                }
            ),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn too_many_addresses_fail_the_attempt() {
    let url = parse("shop.example", STRICT).expect("fine");
    let many = ["8.8.8.8"; 65];
    let (guard, _) = guard(STRICT, &[&many]);
    let reason = send(guard, &url).await.verdict.reason().expect("a reason");
    assert!(reason.contains("65 addresses"), "{reason}");
}

#[tokio::test]
async fn a_silent_name_server_costs_no_more_than_the_connect_timeout() {
    let url = parse("shop.example", STRICT).expect("fine");
    let guard = GuardedResolver::new(STRICT, Arc::new(SilentLookup));
    let outcome = send(guard, &url).await;
    assert!(
        matches!(
            &outcome.verdict,
            Verdict::Failed {
                failure: Failure::ConnectTimeout(_),
                ..
            }
        ),
        "{outcome:?}"
    );
    assert!(outcome.latency_ms < 1500, "{}", outcome.latency_ms);
}

#[tokio::test]
async fn the_systems_own_resolver_knows_localhost() {
    let url = parse("localhost", DEMO).expect("fine in the demo");
    let guard = GuardedResolver::new(DEMO, Arc::new(SystemLookup::default()));
    assert_eq!(guard.check_resolved(&url).await, Ok(()));
}

/// A connection attempt would sit in the backlog by now, because the sender has finished.
async fn nobody_came(listener: &TcpListener) -> bool {
    tokio::time::timeout(Duration::from_millis(50), listener.accept())
        .await
        .is_err()
}
