//! Attempts to have the hub call where it must not: names that mix good and bad addresses, names that change their mind
//! between creation and send, and name servers that do not answer. Literal addresses are in `callback_url_tests`.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::callback_url::{
    CallbackError, CallbackPolicy, CallbackUrl, InsecureCallbacks, PrivateCallbacks,
};
use super::guard::GuardedResolver;
use super::lookup::{FairLookup, SystemLookup};
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
fn parse(host: &str, policy: CallbackPolicy) -> Result<CallbackUrl, CallbackError> {
    CallbackUrl::parse(&format!("https://{host}/hook"), policy)
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
    let guard = GuardedResolver::new(DEMO, Arc::new(FairLookup::new(Arc::new(SystemLookup))));
    assert_eq!(guard.check_resolved(&url).await, Ok(()));
}

/// A connection attempt would sit in the backlog by now, because the sender has finished.
async fn nobody_came(listener: &TcpListener) -> bool {
    tokio::time::timeout(Duration::from_millis(50), listener.accept())
        .await
        .is_err()
}
