//! Sends one signed webhook to one receiver and says what became of it.
//!
//! Owns the HTTP client with its limits: no proxy, no redirects, a deadline that includes the body, a bound on what is
//! read. Refuses to retry, to trust a receiver, or to connect anywhere that the guard has not looked at.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use reqwest::redirect;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::callback_url::{CallbackPolicy, CallbackUrl};
use super::guard::GuardedResolver;
use super::outcome::{
    AttemptOutcome, EXCERPT_BYTES, Failure, Verdict, excerpt, is_silent_end, retry_after,
};
use super::signature::{Received, Secret, sign};

const USER_AGENT: &str = concat!("paybell/", env!("CARGO_PKG_VERSION"));
/// How long a connection waits for the next webhook. Shorter than the 5 s after which common servers hang up, so
/// that a webhook is rarely written to a connection that is about to close.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);
/// Idle connections kept for one receiver; as many as its deliveries in flight.
const MAX_IDLE_PER_HOST: usize = 8;
/// How long the text of an answer that is no success is waited for: its status has said all that counts, and the attempt
/// occupies a place.
const FAILURE_TEXT_WAIT: Duration = Duration::from_secs(1);
/// Headers in an answer; one with more is no valid answer.
const MAX_ANSWER_HEADERS: usize = 100;

/// Limits on one attempt. The defaults are the wire contract's; tests bring shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderLimits {
    /// For name look-up, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For the whole attempt, the answer's body included.
    pub deadline: Duration,
    /// Bytes of the answer's body that are read; the connection is closed when more come.
    pub answer_bytes: usize,
}

impl Default for SenderLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(15),
            answer_bytes: 16 * 1024,
        }
    }
}

/// A webhook signed for one attempt.
#[derive(Debug, Clone)]
pub struct SignedWebhook {
    id: String,
    timestamp_s: u64,
    signature: String,
    body: Bytes,
}

impl SignedWebhook {
    /// Signs a frozen body for an attempt at `timestamp_s`, Unix seconds.
    ///
    /// `id` is the event's, the same on every attempt; the newest secret comes first.
    pub fn new(secrets: &[Secret], id: &str, timestamp_s: u64, body: Bytes) -> Self {
        Self {
            id: id.to_owned(),
            timestamp_s,
            signature: sign(secrets, id, timestamp_s, &body),
            body,
        }
    }

    /// As its receiver gets it. `timestamp_text` keeps the header's text, which this type holds as a number.
    pub fn received<'a>(&'a self, timestamp_text: &'a mut String) -> Received<'a> {
        *timestamp_text = self.timestamp_s.to_string();
        Received {
            id: &self.id,
            timestamp: timestamp_text,
            signature: &self.signature,
            body: &self.body,
        }
    }
}

/// Carries a webhook to its receiver: the guarded HTTP client, or the simulation's.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Makes one attempt. Never fails as a call: whatever happens is the outcome.
    async fn send(&self, url: &CallbackUrl, webhook: SignedWebhook) -> AttemptOutcome;
}

/// Why there is no sender.
#[derive(Debug, Error)]
pub enum SenderError {
    #[error(
        "the HTTP client cannot be set up; are the system's root certificates (ca-certificates) installed?"
    )]
    Client(#[source] reqwest::Error),
}

/// The guarded client. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Sender {
    client: reqwest::Client,
    policy: CallbackPolicy,
    limits: SenderLimits,
}

impl Sender {
    /// Sets the client up, with the guard as its only resolver.
    ///
    /// # Errors
    /// The TLS set-up failed, most often for want of root certificates.
    pub fn new(guard: GuardedResolver, limits: SenderLimits) -> Result<Self, SenderError> {
        install_tls_provider();
        let policy = guard.policy();
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .dns_resolver(guard)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
            .http1_max_headers(MAX_ANSWER_HEADERS)
            .connect_timeout(limits.connect_timeout)
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .build()
            .map_err(SenderError::Client)?;
        Ok(Self {
            client,
            policy,
            limits,
        })
    }

    /// Makes one attempt. Never fails as a call: whatever happens is the outcome, within the deadline.
    pub async fn send(&self, url: &CallbackUrl, webhook: SignedWebhook) -> AttemptOutcome {
        let started = Instant::now();
        let deadline = started + self.limits.deadline;
        let mut answer = Answer::default();
        let verdict = self.attempt(url, webhook, deadline, &mut answer).await;
        AttemptOutcome {
            status: answer.status,
            latency_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            excerpt: excerpt(&answer.head),
            verdict,
        }
    }

    async fn attempt(
        &self,
        url: &CallbackUrl,
        webhook: SignedWebhook,
        deadline: Instant,
        answer: &mut Answer,
    ) -> Verdict {
        // A literal address never reaches the resolver, and the policy may be another than when the URL was accepted.
        if let Err(refusal) = url.check(self.policy) {
            return Verdict::failed(Failure::Refused(refusal));
        }
        let limits = &self.limits;
        let timestamp_s = webhook.timestamp_s;
        let sent = timeout_at(deadline, self.request(url, webhook).send()).await;
        let mut response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let failure = Failure::before_answer(error, limits.connect_timeout);
                return Verdict::failed(failure);
            }
            Err(_) => return Verdict::failed(Failure::AnswerTimeout(limits.deadline)),
        };
        answer.status = Some(response.status().as_u16());
        let asked = retry_after(response.headers(), timestamp_s);
        let verdict = Verdict::of_status(response.status(), asked);

        let body = answer.read_body(&mut response, limits.answer_bytes);
        let until = match verdict {
            Verdict::Delivered => deadline,
            _ => deadline.min(Instant::now() + FAILURE_TEXT_WAIT),
        };
        let read = timeout_at(until, body).await;
        match (verdict, read) {
            // Only a success can still be spoilt by its body: a failure is one already.
            (Verdict::Delivered, Err(_)) => Verdict::failed(Failure::BodyTimeout(limits.deadline)),
            (Verdict::Delivered, Ok(Err(error))) if !is_silent_end(response.headers(), &error) => {
                Verdict::failed(Failure::BrokenBody(error.without_url()))
            }
            (verdict, _) => verdict,
        }
    }

    fn request(&self, url: &CallbackUrl, webhook: SignedWebhook) -> reqwest::RequestBuilder {
        self.client
            .post(url.as_url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", webhook.id)
            .header("webhook-timestamp", webhook.timestamp_s.to_string())
            .header("webhook-signature", webhook.signature)
            .body(webhook.body)
    }
}

#[async_trait]
impl Transport for Sender {
    async fn send(&self, url: &CallbackUrl, webhook: SignedWebhook) -> AttemptOutcome {
        Self::send(self, url, webhook).await
    }
}

/// As much of an answer as came before the attempt ended.
#[derive(Default)]
struct Answer {
    status: Option<u16>,
    head: Vec<u8>,
}

impl Answer {
    /// Reads to the end or to the limit, whichever comes first, and keeps the head. What is left unread closes the
    /// connection once the response is dropped.
    async fn read_body(
        &mut self,
        response: &mut reqwest::Response,
        limit_bytes: usize,
    ) -> Result<(), reqwest::Error> {
        let mut read_bytes = 0;
        while read_bytes <= limit_bytes {
            let Some(chunk) = response.chunk().await? else {
                break;
            };
            read_bytes += chunk.len();
            let wanted = EXCERPT_BYTES.saturating_sub(self.head.len());
            self.head
                .extend_from_slice(&chunk[..chunk.len().min(wanted)]);
        }
        Ok(())
    }
}

/// reqwest takes the process's TLS provider. Another part of the program may have installed it first, which is as good.
fn install_tls_provider() {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        tracing::trace!("a TLS provider is installed already");
    }
}
