//! Receivers that misbehave on purpose. Whatever they do, the sender says what happened, in time, and reads no more
//! than it said it would.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::callback_url::{CallbackPolicy, CallbackUrl, InsecureCallbacks, PrivateCallbacks};
use super::guard::GuardedResolver;
use super::outcome::{AttemptOutcome, Failure, Verdict};
use super::sender::{Sender, SenderLimits, SignedWebhook};
use super::signature::{Received, Secret, verify};
use super::test_receiver::{Heard, Receiver, ScriptedLookup, Then, header};
use crate::domain::retry::RetryAfter;

const POLICY: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Allowed,
    private: PrivateCallbacks::Refused,
};
/// Long enough for a loopback connection on a busy machine, short enough for a test.
const SHORT: Duration = Duration::from_millis(300);
/// What every attempt must be over by when its deadline is [`SHORT`].
const SHORT_AND_SOME_MS: u64 = 1500;
const LIMITS: SenderLimits = SenderLimits {
    connect_timeout: Duration::from_secs(5),
    deadline: Duration::from_secs(10),
    answer_bytes: 16 * 1024,
};
const TIME_S: u64 = 784_111_777;
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn sender(limits: SenderLimits) -> Sender {
    let lookup = Arc::new(ScriptedLookup::new(&[&["127.0.0.1"]]));
    Sender::new(GuardedResolver::new(POLICY, lookup), limits).expect("a client")
}

fn within(deadline: Duration) -> SenderLimits {
    SenderLimits { deadline, ..LIMITS }
}

fn url(text: &str) -> CallbackUrl {
    CallbackUrl::parse(text, POLICY).expect("permitted")
}

fn webhook() -> SignedWebhook {
    let secret = Secret::generate([1; 32]);
    SignedWebhook::new(&[secret], "evt_1", TIME_S, r#"{"id":"evt_1"}"#.into())
}

async fn attempt(receiver: &Receiver, limits: SenderLimits) -> AttemptOutcome {
    sender(limits).send(&url(&receiver.url()), webhook()).await
}

/// Sends one webhook to a receiver that answers so and then does that.
async fn provoke(answer: &str, then: Then) -> AttemptOutcome {
    attempt(&Receiver::start(answer, then).await, LIMITS).await
}

async fn provoke_briefly(answer: &str, then: Then) -> AttemptOutcome {
    let outcome = attempt(&Receiver::start(answer, then).await, within(SHORT)).await;
    let took = outcome.latency_ms;
    assert!((300..SHORT_AND_SOME_MS).contains(&took), "{outcome:?}");
    outcome
}

fn failure_of(outcome: &AttemptOutcome) -> &Failure {
    match &outcome.verdict {
        Verdict::Failed { failure, .. } => failure,
        other => panic!("not a failure: {other:?}"),
    }
}

#[tokio::test]
async fn a_good_receiver_gets_a_request_that_it_can_verify() {
    let mut receiver = Receiver::start(OK, Then::Serve).await;
    let outcome = attempt(&receiver, LIMITS).await;
    assert!(matches!(outcome.verdict, Verdict::Delivered), "{outcome:?}");
    assert_eq!(
        (outcome.status, outcome.excerpt.as_str()),
        (Some(200), "ok")
    );
    assert_eq!(outcome.verdict.reason(), None);

    let request = receiver.request().await;
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    let get = |name| header(&request, name).expect(name);
    assert_eq!(get("content-type"), "application/json");
    assert_eq!(
        get("user-agent"),
        concat!("paybell/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(get("host"), receiver.address.to_string());
    let (_, body) = request.split_once("\r\n\r\n").expect("a body");
    let received = Received {
        id: get("webhook-id"),
        timestamp: get("webhook-timestamp"),
        signature: get("webhook-signature"),
        body: body.as_bytes(),
    };
    assert_eq!(
        verify(&[Secret::generate([1; 32])], received, TIME_S, 0),
        Ok(())
    );
}

#[tokio::test]
async fn a_name_is_resolved_by_the_guard_and_sent_as_host() {
    let mut receiver = Receiver::start(OK, Then::Serve).await;
    let target = url(&format!(
        "http://shop.example:{}/a?b=c",
        receiver.address.port()
    ));
    let outcome = sender(LIMITS).send(&target, webhook()).await;
    assert!(matches!(outcome.verdict, Verdict::Delivered), "{outcome:?}");
    let request = receiver.request().await;
    assert!(request.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{request}");
    let host = format!("shop.example:{}", receiver.address.port());
    assert_eq!(header(&request, "host"), Some(host.as_str()));
}

#[tokio::test]
async fn success_without_a_body_and_until_the_connection_closes() {
    for answer in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 202 Accepted\r\n\r\nlater",
        "HTTP/1.0 200 OK\r\n\r\n",
    ] {
        let outcome = provoke(answer, Then::Close).await;
        assert!(matches!(outcome.verdict, Verdict::Delivered), "{outcome:?}");
    }
}

#[tokio::test]
async fn silence_before_the_headers_ends_at_the_deadline() {
    for answer in ["", "HTTP/1.1 200 OK\r\ncontent-le"] {
        let outcome = provoke_briefly(answer, Then::Hang).await;
        assert!(
            matches!(failure_of(&outcome), Failure::AnswerTimeout(_)),
            "{outcome:?}"
        );
        assert_eq!(outcome.status, None);
    }
}

#[tokio::test]
async fn silence_after_the_headers_ends_at_the_deadline_and_is_no_success() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nthanks";
    let outcome = provoke_briefly(answer, Then::Hang).await;
    assert!(
        matches!(failure_of(&outcome), Failure::BodyTimeout(_)),
        "{outcome:?}"
    );
    assert_eq!(
        (outcome.status, outcome.excerpt.as_str()),
        (Some(200), "thanks")
    );
}

/// Every byte arrives in time; the answer as a whole never does.
#[tokio::test]
async fn dripping_buys_no_time() {
    let body = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let outcome = provoke_briefly(body, Then::Drip).await;
    assert!(
        matches!(failure_of(&outcome), Failure::BodyTimeout(_)),
        "{outcome:?}"
    );
    assert!(outcome.excerpt.starts_with("xx"), "{outcome:?}");

    let outcome = provoke_briefly("HTTP/1.1 200 OK\r\nx-head: ", Then::Drip).await;
    assert!(
        matches!(failure_of(&outcome), Failure::AnswerTimeout(_)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn interim_answers_are_no_answer() {
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(50);
    let outcome = provoke_briefly(&hints, Then::Hang).await;
    assert!(
        matches!(failure_of(&outcome), Failure::AnswerTimeout(_)),
        "{outcome:?}"
    );
    let outcome = provoke(&format!("{hints}{OK}"), Then::Serve).await;
    assert!(matches!(outcome.verdict, Verdict::Delivered), "{outcome:?}");
}

#[tokio::test]
async fn a_status_other_than_success_is_known_before_its_body_ends() {
    let answer = "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 10\r\n\r\nbusy";
    let outcome = provoke_briefly(answer, Then::Hang).await;
    let Verdict::Overloaded {
        status: 503,
        retry_after,
    } = outcome.verdict
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(retry_after, Some(RetryAfter::from_seconds(7)));
    assert_eq!(outcome.excerpt, "busy");
}

/// A failure that drips its text would hold its place for the whole deadline, though its status has said all.
#[tokio::test]
async fn the_text_of_a_failure_is_not_waited_for_long() {
    for (head, status) in [("500 Oops", 500), ("410 Gone", 410), ("429 Busy", 429)] {
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 99999\r\n\r\n");
        let outcome = provoke(&answer, Then::Drip).await;
        assert_eq!(outcome.status, Some(status));
        assert!(outcome.excerpt.starts_with('x'), "{outcome:?}");
        assert!((900..5_000).contains(&outcome.latency_ms), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_failure_and_then_a_success_over_one_connection() {
    let failure = b"HTTP/1.1 500 Oops\r\ncontent-length: 5\r\n\r\ntrace";
    let script: [(&[u8], Then); 2] = [(failure, Then::Serve), (OK.as_bytes(), Then::Serve)];
    let receiver = Receiver::scripted(&script).await;
    let (sender, target) = (sender(LIMITS), url(&receiver.url()));
    let first = sender.send(&target, webhook()).await;
    assert!(matches!(failure_of(&first), Failure::Status(500)));
    let second = sender.send(&target, webhook()).await;
    assert!(matches!(second.verdict, Verdict::Delivered), "{second:?}");
    assert_eq!(second.excerpt, "ok");
}

/// The body is not for us to unpack: an answer that says gzip and is not, or is a bomb, is as good as any.
#[tokio::test]
async fn a_packed_body_is_left_packed() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 6\r\n\r\n";
    for body in [b"\x1f\x8b\x08\x00ab", b"no zip"] {
        let answer = [&head[..], &body[..]].concat();
        let mut receiver = Receiver::scripted(&[(&answer, Then::Serve)]).await;
        let outcome = attempt(&receiver, LIMITS).await;
        assert!(matches!(outcome.verdict, Verdict::Delivered), "{outcome:?}");
        let request = receiver.request().await;
        assert_eq!(
            header(&request, "accept-encoding"),
            None,
            "none is asked for"
        );
    }
}

/// A connection that its receiver closed after the answer is not written to again.
#[tokio::test]
async fn a_kept_connection_closed_between_two_webhooks_costs_nothing() {
    let mut receiver = Receiver::start(OK, Then::Close).await;
    let (sender, target) = (sender(LIMITS), url(&receiver.url()));
    for turn in 0..20 {
        let outcome = sender.send(&target, webhook()).await;
        assert!(
            matches!(outcome.verdict, Verdict::Delivered),
            "{turn}: {outcome:?}"
        );
        receiver.request().await;
        assert!(matches!(receiver.hear().await, Heard::HungUp(0)));
    }
}

/// The receiver may have acted on it before it hung up, so it is no success, and the next attempt is made anew.
#[tokio::test]
async fn a_kept_connection_that_ends_under_a_webhook_is_a_failure_and_the_next_one_arrives() {
    for end in [Then::Close, Then::Reset] {
        let script: [(&[u8], Then); 3] = [
            (OK.as_bytes(), Then::Serve),
            (b"", end),
            (OK.as_bytes(), Then::Serve),
        ];
        let receiver = Receiver::scripted(&script).await;
        let (sender, target) = (sender(LIMITS), url(&receiver.url()));
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            outcomes.push(sender.send(&target, webhook()).await);
        }
        assert!(matches!(outcomes[0].verdict, Verdict::Delivered));
        assert!(matches!(failure_of(&outcomes[1]), Failure::NoAnswer(_)));
        assert!(matches!(outcomes[2].verdict, Verdict::Delivered));
    }
}

#[tokio::test]
async fn a_success_that_may_have_no_body_is_one_whatever_follows() {
    for answer in [
        "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\nsurprise",
        "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n",
    ] {
        let outcome = provoke(answer, Then::Hang).await;
        assert!(matches!(outcome.verdict, Verdict::Delivered), "{outcome:?}");
    }
}

/// Interim answers and header lines as fast as they are taken: the deadline and the limits hold.
#[tokio::test]
async fn floods_before_the_answer_end() {
    let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(100);
    let outcome = provoke_briefly(&interim, Then::Repeat).await;
    assert!(
        matches!(failure_of(&outcome), Failure::AnswerTimeout(_)),
        "{outcome:?}"
    );
    let lines = "HTTP/1.1 200 OK\r\nx: y\r\n";
    let outcome = provoke(lines, Then::Repeat).await;
    assert!(
        matches!(failure_of(&outcome), Failure::NoAnswer(_)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_endless_answer_is_success_and_is_cut_off() {
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
    ] {
        let mut receiver = Receiver::start(head, Then::Flood).await;
        let outcome = attempt(&receiver, LIMITS).await;
        assert!(matches!(outcome.verdict, Verdict::Delivered), "{outcome:?}");
        assert_eq!(outcome.excerpt, "x".repeat(512));
        assert!(matches!(receiver.hear().await, Heard::Request(_)));
        assert!(matches!(receiver.hear().await, Heard::HungUp(_)));
    }
}

/// A receiver that has sent the limit and one byte more holds nothing up, though it never ends.
#[tokio::test]
async fn reading_stops_just_past_the_limit() {
    let answer = |bytes| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n{}",
            "x".repeat(bytes)
        )
    };
    let limits = SenderLimits {
        answer_bytes: 1000,
        ..within(SHORT)
    };
    let over = Receiver::start(&answer(1001), Then::Hang).await;
    let outcome = attempt(&over, limits).await;
    assert!(matches!(outcome.verdict, Verdict::Delivered), "{outcome:?}");
    let at = Receiver::start(&answer(1000), Then::Hang).await;
    let outcome = attempt(&at, limits).await;
    assert!(
        matches!(failure_of(&outcome), Failure::BodyTimeout(_)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_connection_that_breaks_before_an_answer() {
    for (answer, then) in [
        ("", Then::Close),
        ("", Then::Reset),
        ("HTTP/1.1 200 O", Then::Close),
        ("HTTP/1.1 200 OK\r\n", Then::Reset),
    ] {
        let outcome = provoke(answer, then).await;
        assert!(
            matches!(failure_of(&outcome), Failure::NoAnswer(_)),
            "{outcome:?}"
        );
        assert_eq!(outcome.status, None);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_inside_the_body_is_no_success() {
    for then in [Then::Close, Then::Reset] {
        for head in ["content-length: 100", "transfer-encoding: chunked"] {
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n");
            let outcome = provoke(&answer, then).await;
            assert!(
                matches!(failure_of(&outcome), Failure::BrokenBody(_)),
                "{outcome:?}"
            );
            assert_eq!(outcome.status, Some(200));
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "+PONG\r\n",
        "<html>\r\n\r\n",
        "HTTP/1.1 999999 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
    ] {
        let outcome = provoke(answer, Then::Close).await;
        assert!(
            matches!(failure_of(&outcome), Failure::NoAnswer(_)),
            "{answer}: {outcome:?}"
        );
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    let outcome = provoke(&many, Then::Close).await;
    assert!(
        matches!(failure_of(&outcome), Failure::NoAnswer(_)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let mut receiver = Receiver::start("HTTP/1.1 200 OK\r\nx-head: ", Then::Flood).await;
    let outcome = attempt(&receiver, LIMITS).await;
    assert!(
        matches!(failure_of(&outcome), Failure::NoAnswer(_)),
        "{outcome:?}"
    );
    receiver.request().await;
    assert!(matches!(receiver.hear().await, Heard::HungUp(_)));
}

#[tokio::test]
async fn bytes_beyond_the_content_length_belong_to_nobody() {
    let smuggled = format!("{OK}HTTP/1.1 410 Gone\r\n\r\n");
    let receiver = Receiver::start(&smuggled, Then::Serve).await;
    let (sender, target) = (sender(LIMITS), url(&receiver.url()));
    for _ in 0..3 {
        let outcome = sender.send(&target, webhook()).await;
        assert!(matches!(outcome.verdict, Verdict::Delivered), "{outcome:?}");
        assert_eq!(outcome.excerpt, "ok");
    }
}

#[tokio::test]
async fn redirects_are_not_followed_wherever_they_lead() {
    let mut elsewhere = Receiver::start(OK, Then::Serve).await;
    for target in [
        elsewhere.url().as_str(),
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "/hook",
    ] {
        for status in [301, 302, 303, 307, 308] {
            let answer = format!(
                "HTTP/1.1 {status} Moved\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n"
            );
            let mut receiver = Receiver::start(&answer, Then::Serve).await;
            let outcome = attempt(&receiver, LIMITS).await;
            assert!(
                matches!(failure_of(&outcome), Failure::Redirect(s) if *s == status),
                "{outcome:?}"
            );
            receiver.request().await;
            assert!(receiver.heard_nothing());
        }
    }
    assert!(elsewhere.heard_nothing());
}

#[tokio::test]
async fn gone_and_overloaded_and_plainly_failed() {
    let gone = provoke(
        "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
        Then::Serve,
    )
    .await;
    assert!(matches!(gone.verdict, Verdict::Gone), "{gone:?}");

    for (value, seconds) in [("120", 120), ("Sun, 06 Nov 1994 08:50:37 GMT", 60)] {
        let answer =
            format!("HTTP/1.1 429 Slow Down\r\nretry-after: {value}\r\ncontent-length: 0\r\n\r\n");
        let outcome = provoke(&answer, Then::Serve).await;
        assert!(
            matches!(outcome.verdict, Verdict::Overloaded { status: 429, .. }),
            "{outcome:?}"
        );
        assert_eq!(
            outcome.verdict.retry_after(),
            Some(RetryAfter::from_seconds(seconds))
        );
    }

    let outcome = provoke(
        "HTTP/1.1 500 Oops\r\ncontent-length: 5\r\n\r\ntrace",
        Then::Serve,
    )
    .await;
    assert!(
        matches!(failure_of(&outcome), Failure::Status(500)),
        "{outcome:?}"
    );
    assert_eq!(outcome.excerpt, "trace");
}

#[tokio::test]
async fn a_port_where_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let token = "secret-token";
    let target = url(&format!("http://{address}/{token}"));
    let outcome = sender(LIMITS).send(&target, webhook()).await;
    assert!(
        matches!(failure_of(&outcome), Failure::Connect(_)),
        "{outcome:?}"
    );
    let reason = outcome.verdict.reason().expect("a reason");
    assert!(
        reason.starts_with("no connection: Connection refused"),
        "{reason}"
    );
    assert!(!format!("{outcome:?}").contains(token));
}

/// https to a port that speaks plain text: the TLS provider is there, and its error is a connection's.
#[tokio::test]
async fn tls_that_does_not_come_about() {
    let answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let plain = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes())
            .await
            .expect("sent");
        stream
    });
    let target = url(&format!("https://{address}/"));
    let outcome = sender(LIMITS).send(&target, webhook()).await;
    assert!(
        matches!(failure_of(&outcome), Failure::Connect(_)),
        "{outcome:?}"
    );
    plain.await.expect("no panic");
}

/// TCP connects, and the TLS handshake never gets an answer: the connect time-out counts it in.
#[tokio::test]
async fn tls_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let limits = SenderLimits {
        connect_timeout: SHORT,
        ..LIMITS
    };
    let target = url(&format!("https://{address}/"));
    let outcome = sender(limits).send(&target, webhook()).await;
    assert!(
        matches!(failure_of(&outcome), Failure::ConnectTimeout(_)),
        "{outcome:?}"
    );
    assert!(outcome.latency_ms < SHORT_AND_SOME_MS, "{outcome:?}");
}

#[test]
fn the_defaults_are_the_contracts() {
    let limits = SenderLimits::default();
    assert_eq!(limits.connect_timeout.as_secs(), 5);
    assert_eq!(limits.deadline.as_secs(), 15);
    assert_eq!(limits.answer_bytes, 16_384);
}
