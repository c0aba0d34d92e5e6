//! Simulated receivers of webhooks: they check signature and order, and answer as their moods want.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use fastrand::Rng;
use paybell::clock::Clock;
use paybell::delivery::callback_url::CallbackUrl;
use paybell::delivery::outcome::{AttemptOutcome, Failure, Verdict};
use paybell::delivery::sender::{SignedWebhook, Transport};
use paybell::delivery::signature::{Secret, verify};
use paybell::domain::ids::{PaymentId, UnixMs};
use paybell::domain::retry::RetryAfter;

use crate::clock::{SimClock, stream};
use crate::journal::tell;
use crate::witness::Witness;

pub const RECEIVERS: usize = 3;
/// The sender's own deadline.
const DEADLINE: Duration = Duration::from_secs(15);
/// A signature may be that old.
const TOLERANCE_S: u64 = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    Failing,
    TimingOut,
    Gone,
    Overloaded,
    Slow,
    /// It hears, and its answer is lost.
    AnswerLost,
}

struct State {
    moods: [(Mood, UnixMs); RECEIVERS],
    /// Payments that an attempt is under way for, by receiver.
    under_way: BTreeSet<(usize, Option<PaymentId>)>,
    rng: Rng,
}

pub struct Receivers {
    witness: Arc<Witness>,
    clock: Arc<SimClock>,
    secrets: Arc<[Secret]>,
    state: Mutex<State>,
}

impl Receivers {
    pub fn new(
        witness: Arc<Witness>,
        clock: Arc<SimClock>,
        secrets: Arc<[Secret]>,
        seed: u64,
    ) -> Self {
        let state = State {
            moods: [(Mood::Well, UnixMs(0)); RECEIVERS],
            under_way: BTreeSet::new(),
            rng: stream(seed, "receivers"),
        };
        Self {
            witness,
            clock,
            secrets,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn feel(&self, receiver: usize, mood: Mood) {
        let now = self.clock.true_now();
        self.state().moods[receiver] = (mood, now);
    }

    /// Attempts of a life that ended are under way no more.
    pub fn begin_life(&self) {
        self.state().under_way.clear();
    }

    /// How long the receiver of this URL has been well.
    pub fn well_ms(&self, url: &str) -> u64 {
        match self.state().moods[number_of(url)] {
            (Mood::Well, since) => self.clock.true_now().0 - since.0,
            _ => 0,
        }
    }

    /// Checks what comes; returns the event's number and payment.
    fn look(&self, webhook: &SignedWebhook) -> Option<(u64, Option<PaymentId>)> {
        let journal = &self.witness.journal;
        let mut timestamp = String::new();
        let received = webhook.received(&mut timestamp);
        let verified = verify(
            &self.secrets,
            received,
            self.clock.now().0 / 1000,
            TOLERANCE_S,
        );
        journal.check(6, verified.is_ok(), || format!("a webhook: {verified:?}"));
        let body: serde_json::Value = serde_json::from_slice(received.body).ok()?;
        let number = body["sequence"].as_u64()?;
        let books = self.witness.books();
        let row = books.events.get(&number);
        let durable = row.is_some_and(|row| row.body == received.body);
        journal.check(5, durable, || {
            format!("a webhook of event {number}, which is not on disk as it was sent")
        });
        let payment = row.and_then(|row| row.payment);
        for (earlier, owed) in books.owed.range(..number) {
            let waits = owed.payment == payment && owed.state.is_due();
            journal.check(6, !waits, || {
                format!("event {number} is sent before event {earlier} of its payment")
            });
        }
        if books.heard.contains(&number) {
            journal.saw("a webhook heard again");
        }
        Some((number, payment))
    }

    /// What comes of an attempt: how long it takes, whether it is heard, what is answered.
    fn decide(&self, receiver: usize) -> (Duration, bool, Verdict, Option<u16>) {
        let mut state = self.state();
        let quick = Duration::from_millis(state.rng.u64(1..200));
        let failed = |failure| Verdict::Failed {
            failure,
            retry_after: None,
        };
        match state.moods[receiver].0 {
            Mood::Well => (quick, true, Verdict::Delivered, Some(200)),
            Mood::Failing => (quick, false, failed(Failure::Status(500)), Some(500)),
            Mood::TimingOut => (
                DEADLINE,
                false,
                failed(Failure::AnswerTimeout(DEADLINE)),
                None,
            ),
            Mood::AnswerLost => (
                DEADLINE,
                true,
                failed(Failure::AnswerTimeout(DEADLINE)),
                None,
            ),
            Mood::Gone => (quick, false, Verdict::Gone, Some(410)),
            Mood::Overloaded => {
                let retry_after = Some(RetryAfter::from_seconds(state.rng.u64(1..60)));
                let verdict = Verdict::Overloaded {
                    status: 503,
                    retry_after,
                };
                (quick, false, verdict, Some(503))
            }
            Mood::Slow => {
                let wait = Duration::from_millis(state.rng.u64(1_000..14_000));
                (wait, true, Verdict::Delivered, Some(200))
            }
        }
    }
}

/// Which receiver a URL names: `https://r1.example/..` is number 1.
fn number_of(url: &str) -> usize {
    let digit = url.as_bytes().get("https://r".len());
    usize::from(digit.unwrap() - b'0')
}

pub fn url_of(receiver: usize, payment: u64) -> String {
    format!("https://r{receiver}.example/{payment}")
}

#[async_trait]
impl Transport for Receivers {
    async fn send(&self, url: &CallbackUrl, webhook: SignedWebhook) -> AttemptOutcome {
        let receiver = number_of(url.as_str());
        let journal = self.witness.journal.clone();
        let seen = self.look(&webhook);
        let payment = seen.and_then(|(_, payment)| payment);
        let alone = self.state().under_way.insert((receiver, payment));
        journal.check(6, alone, || {
            format!("two attempts for payment {payment:?} at a time")
        });
        let (wait, hears, verdict, status) = self.decide(receiver);
        if hears && let Some((number, _)) = seen {
            self.witness.books().heard.insert(number);
        }
        if let (Verdict::Gone, Some(payment)) = (&verdict, payment) {
            self.witness.books().gone.insert(payment);
        }
        tokio::time::sleep(wait).await;
        self.state().under_way.remove(&(receiver, payment));
        let number = seen.map_or(0, |(number, _)| number);
        tell!(journal, "  r{receiver}: event {number}: {status:?}");
        if !matches!(verdict, Verdict::Delivered) {
            journal.saw("a webhook attempt failed");
        }
        AttemptOutcome {
            status,
            latency_ms: u64::try_from(wait.as_millis()).unwrap(),
            excerpt: String::new(),
            verdict,
        }
    }
}
