//! Posts events to the developer's receiver, signed as webhooks are: in order for each payment, several payments side by
//! side, a few tries each. What happens is told; nothing of it holds the stream up.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};

use super::backlog::{Backlog, Lane, Offered};
use super::event::Event;
use super::log::{Log, Missing, Piece};
use super::options::Form;
use super::output::{Output, tell};
use super::socket::Place;
use crate::clock::Clock;
use crate::delivery::callback_url::CallbackUrl;
use crate::delivery::outcome::AttemptOutcome;
use crate::delivery::sender::{Sender, SignedWebhook};
use crate::delivery::signature::Secret;
use crate::domain::ids::Sequence;

/// Payments whose events are under way at a time.
const MAX_IN_FLIGHT: usize = 8;
/// Before the second, third and fourth try; after that an event is passed over.
const WAITS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// Before the log is read again after it could not be.
const LOG_WAIT: Duration = Duration::from_secs(2);
/// Columns in front of an event's number in its line.
const INDENT: usize = 21;

/// Where the stream leaves what is to be forwarded.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Shared>);

#[derive(Default)]
struct Shared {
    backlog: Mutex<Backlog>,
    changed: Notify,
}

impl Inbox {
    /// Never waits.
    pub fn offer(&self, event: Event, epoch: &str) {
        if self.backlog().offer(event, epoch) == Offered::LogReplaced {
            tell(
                "some events could not be forwarded: the hub's log was replaced before they could be read again",
            );
        }
        self.0.changed.notify_one();
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.0
            .backlog
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Posts one event, however many tries it takes.
#[derive(Clone)]
pub struct Courier {
    pub sender: Sender,
    pub to: CallbackUrl,
    pub secret: Secret,
    pub clock: Arc<dyn Clock>,
    pub form: Form,
    pub output: Output,
}

/// A task's end.
enum Done {
    Event,
    Page((Place, Sequence), Result<Piece, Missing>),
}

/// Forwards whatever comes into the inbox, for ever.
pub async fn run(inbox: Inbox, courier: Courier, log: Log) {
    let mut work = Work {
        inbox,
        courier,
        log,
        tasks: JoinSet::new(),
        lanes: HashMap::new(),
        reader: None,
    };
    loop {
        work.begin_what_can();
        tokio::select! {
            () = work.inbox.0.changed.notified() => {}
            Some(ended) = work.tasks.join_next_with_id() => work.end(ended),
        }
    }
}

/// What is under way.
struct Work {
    inbox: Inbox,
    courier: Courier,
    log: Log,
    tasks: JoinSet<Done>,
    /// Whose event each task posts.
    lanes: HashMap<Id, Lane>,
    /// The task that reads the log again.
    reader: Option<Id>,
}

impl Work {
    fn begin_what_can(&mut self) {
        while self.lanes.len() < MAX_IN_FLIGHT {
            let busy: HashSet<Lane> = self.lanes.values().cloned().collect();
            let Some(event) = self.inbox.backlog().take(&busy) else {
                break;
            };
            let (courier, lane) = (self.courier.clone(), event.payment.clone());
            let task = self.tasks.spawn(async move {
                courier.deliver(event).await;
                Done::Event
            });
            self.lanes.insert(task.id(), lane);
        }
        if self.reader.is_some() {
            return;
        }
        let Some(asked) = self.inbox.backlog().wants() else {
            return;
        };
        let log = self.log.clone();
        let task = self.tasks.spawn(async move {
            let read = log.after(&asked.0).await;
            if matches!(read, Err(Missing::Trouble(_))) {
                tokio::time::sleep(LOG_WAIT).await;
            }
            Done::Page(asked, read)
        });
        self.reader = Some(task.id());
    }

    fn end(&mut self, ended: Result<(Id, Done), JoinError>) {
        let id = match ended {
            Ok((id, Done::Event)) => id,
            Ok((id, Done::Page(asked, read))) => {
                take_page(&self.inbox, &asked, read);
                id
            }
            Err(error) => {
                tracing::error!(%error, "forwarding an event failed");
                error.id()
            }
        };
        self.lanes.remove(&id);
        self.reader = self.reader.filter(|reader| *reader != id);
    }
}

fn take_page(inbox: &Inbox, asked: &(Place, Sequence), read: Result<Piece, Missing>) {
    let mut backlog = inbox.backlog();
    match read {
        Ok(piece) => backlog.refill(asked, piece),
        Err(Missing::Gone(first)) => {
            tell(&format!(
                "events before {} could not be forwarded: the hub no longer keeps them",
                first.0
            ));
            backlog.pass_over(first);
        }
        Err(Missing::OtherEpoch) => {
            tell("some events could not be forwarded: the hub's log was replaced");
            backlog.give_up();
        }
        Err(Missing::Trouble(trouble)) => {
            tell(&format!(
                "what waits to be forwarded cannot be read: {trouble}; trying again"
            ));
        }
    }
}

impl Courier {
    async fn deliver(&self, event: Event) {
        for wait in WAITS.into_iter().map(Some).chain([None]) {
            let now_s = self.clock.now().0 / 1000;
            let secrets = std::slice::from_ref(&self.secret);
            let webhook = SignedWebhook::new(secrets, &event.id, now_s, event.body.clone());
            let outcome = self.sender.send(&self.to, webhook).await;
            let delivered = outcome.verdict.reason().is_none();
            self.tell(&event, &told(&outcome, wait.filter(|_| !delivered)))
                .await;
            let Some(wait) = wait.filter(|_| !delivered) else {
                return;
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Beside the event's line; where stdout holds nothing but events, on stderr.
    async fn tell(&self, event: &Event, text: &str) {
        let number = format!("#{}", event.sequence.0);
        match self.form {
            Form::Json => tell(&format!("{number} -> {text}")),
            Form::Lines => {
                let line = format!("{:INDENT$}{number:>6}  -> {text}", "");
                if self.output.line(line.into_bytes()).await.is_err() {
                    tracing::debug!("nobody reads how forwarding went");
                }
            }
        }
    }
}

/// `200 in 12 ms`, or what went wrong and what comes next.
fn told(outcome: &AttemptOutcome, wait: Option<Duration>) -> String {
    let ms = outcome.latency_ms;
    let Some(reason) = outcome.verdict.reason() else {
        let status = outcome.status.unwrap_or_default();
        return format!("{status} in {ms} ms");
    };
    let next = match wait {
        Some(wait) => format!("again in {} ms", wait.as_millis()),
        None => "given up".to_owned(),
    };
    let reason = super::event::visible(&reason);
    format!("{reason}, after {ms} ms; {next}")
}
