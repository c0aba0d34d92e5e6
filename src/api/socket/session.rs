//! One socket from `connect` to its close: commands in, pushes out, one step at a time.
//!
//! A session is one task and does one thing at a time, so that a channel's events cannot overtake the reply that they
//! follow. Everything it waits for is bounded. Refuses to know frames, HTTP and where events come from.

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use super::access;
use super::commands::{self, Command, CommandId, Inbound, Violation};
use super::heartbeat::{Beat, Heartbeat};
use super::line::{Line, LineError, Received};
use super::pace::{Pace, PaceVerdict};
use super::replies::{self, CloseCode, ErrorCode, PING, Refusal};
use crate::api::auth::Caller;
use crate::api::live::LiveContext;
use crate::api::live::history::{self, HistoryError, Since};
use crate::domain::ids::Sequence;
use crate::hub::{Framing, Hub, Next, Outbox, Push, Subscription};
use crate::store::EventScope;

/// Messages written before the session looks up from its queue.
const PUSHES_A_STEP: usize = 256;

/// A channel that this socket listens to.
struct Channel {
    scope: EventScope,
    /// The reply accounted for events up to here; the queue may hold some of them again.
    told: Sequence,
    _subscription: Subscription,
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Close(CloseCode, &'static str),
    /// The peer began to close.
    Parted,
    Gone,
}

impl From<LineError> for Ending {
    fn from(error: LineError) -> Self {
        tracing::debug!(%error, "a socket is dropped");
        Self::Gone
    }
}

impl From<Violation> for Ending {
    fn from(violation: Violation) -> Self {
        Self::Close(CloseCode::BadRequest, violation.reason())
    }
}

/// One open socket.
pub struct Session<S> {
    context: Arc<LiveContext>,
    line: Line<S>,
    outbox: Arc<Outbox>,
    channels: Vec<Channel>,
    /// Absent until `connect`.
    caller: Option<Caller>,
    /// Ends when the caller's right does.
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    heart: Heartbeat,
    pace: Pace,
    refused_channels: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub fn new(context: Arc<LiveContext>, line: Line<S>) -> Self {
        let now = Instant::now();
        Self {
            outbox: context.hub.outbox(context.limits.queue, Framing::Socket),
            heart: Heartbeat::new(&context.limits, now),
            pace: Pace::new(&context.limits, now),
            channels: Vec::new(),
            caller: None,
            ended: Box::pin(pending()),
            refused_channels: 0,
            context,
            line,
        }
    }

    /// Serves the socket until either side closes it, or until `closing` says that it is this socket's turn to go.
    pub async fn run(mut self, closing: impl Future<Output = ()>) {
        let ending = self.talk(closing).await;
        // What is published from here on is not for this socket.
        self.channels.clear();
        match ending {
            Ending::Close(code, reason) => self.line.close(code, reason).await,
            Ending::Parted => self.line.part().await,
            Ending::Gone => {}
        }
    }

    async fn talk(&mut self, closing: impl Future<Output = ()>) -> Ending {
        let mut closing = pin!(closing);
        let mut timer = pin!(sleep_until(self.heart.deadline()));
        loop {
            if timer.deadline() != self.heart.deadline() {
                timer.as_mut().reset(self.heart.deadline());
            }
            let step = tokio::select! {
                biased;
                () = &mut closing => self.say_goodbye().await,
                () = &mut self.ended => Err(Ending::Close(CloseCode::BadToken, "credential revoked")),
                () = &mut timer => self.beat().await,
                received = self.line.receive() => self.hear(received).await,
                () = self.outbox.ready() => self.deliver().await,
            };
            if let Err(ending) = step {
                return ending;
            }
        }
    }

    async fn say_goodbye(&mut self) -> Result<(), Ending> {
        self.deliver().await?;
        Err(Ending::Close(CloseCode::ShuttingDown, "shutting down"))
    }

    async fn beat(&mut self) -> Result<(), Ending> {
        match self.heart.beat(Instant::now()) {
            Beat::NotYet => Ok(()),
            Beat::SendPing => self.send(Bytes::from_static(PING)).await,
            Beat::NoPong => Err(Ending::Close(CloseCode::NoAnswer, "no pong")),
            Beat::NeverConnected => Err(Ending::Close(CloseCode::NoAnswer, "no connect in time")),
        }
    }

    async fn hear(&mut self, received: Received) -> Result<(), Ending> {
        let bad = |reason| Err(Ending::Close(CloseCode::BadRequest, reason));
        let text = match received {
            Received::Text(text) => Some(text),
            Received::Control => None,
            Received::Binary => return bad("binary frames are not understood"),
            Received::TooLarge => return bad("the frame is too large"),
            Received::Garbled => return bad("not a valid WebSocket text frame"),
            Received::Closing => return Err(Ending::Parted),
            Received::Lost => return Err(Ending::Gone),
        };
        if self.pace.count(Instant::now()) == PaceVerdict::OverRate {
            return Err(Ending::Close(CloseCode::OverRate, "too many frames"));
        }
        let Some(text) = text else { return Ok(()) };
        match commands::parse(&text)? {
            Inbound::Pong => {
                self.heart.pong();
                Ok(())
            }
            Inbound::Command(id, command) => self.obey(&id, command).await,
            Inbound::Refused(id, refusal) => self.send(replies::refused(&id, &refusal)).await,
        }
    }

    async fn obey(&mut self, id: &CommandId, command: Command) -> Result<(), Ending> {
        match (command, self.caller) {
            (Command::Connect { token }, None) => self.connect(id, token.as_deref()).await,
            (Command::Connect { .. }, Some(_)) => {
                let refusal = Refusal::new(ErrorCode::BadRequest, "already connected");
                self.send(replies::refused(id, &refusal)).await
            }
            (_, None) => {
                let refusal = Refusal::new(ErrorCode::Unauthorized, "connect comes first");
                self.send(replies::refused(id, &refusal)).await?;
                Err(Ending::Close(CloseCode::BadToken, "connect comes first"))
            }
            (Command::Subscribe { channel, since }, Some(caller)) => {
                self.subscribe(id, caller, channel, since).await
            }
            (Command::Unsubscribe { channel }, Some(_)) => self.unsubscribe(id, channel).await,
        }
    }

    async fn connect(&mut self, id: &CommandId, token: Option<&str>) -> Result<(), Ending> {
        match access::admit(&self.context.keyring, token) {
            Ok(caller) => {
                self.caller = Some(caller);
                self.ended = Box::pin(self.context.keyring.end_of(caller));
                self.heart.connected(Instant::now());
                let ping = self.context.limits.ping_every.as_secs().max(1);
                self.send(replies::connected(id, ping)).await
            }
            Err(refusal) => {
                self.send(replies::refused(id, &refusal)).await?;
                Err(Ending::Close(CloseCode::BadToken, "bad token"))
            }
        }
    }

    async fn subscribe(
        &mut self,
        id: &CommandId,
        caller: Caller,
        channel: EventScope,
        since: Option<Since>,
    ) -> Result<(), Ending> {
        match self.try_subscribe(id, caller, channel, since).await {
            Ok(reply) => self.send(reply).await,
            Err(refusal) => {
                self.send(replies::refused(id, &refusal)).await?;
                self.count_refusal(refusal.code)
            }
        }
    }

    /// Registers first and reads second: the queue holds back what is published meanwhile.
    async fn try_subscribe(
        &mut self,
        id: &CommandId,
        caller: Caller,
        scope: EventScope,
        since: Option<Since>,
    ) -> Result<Bytes, Refusal> {
        self.may_subscribe(caller, scope)?;
        let subscription = Hub::subscribe(&self.context.hub, scope, &self.outbox);
        let history = history::read(&self.context, scope, since)
            .await
            .map_err(refusal_of)?;
        self.channels.push(Channel {
            scope,
            told: history.newest,
            _subscription: subscription,
        });
        let epoch = &self.context.store.identity().epoch;
        Ok(replies::subscribed(
            id,
            epoch,
            history.newest,
            &history.start,
        ))
    }

    fn may_subscribe(&self, caller: Caller, scope: EventScope) -> Result<(), Refusal> {
        if !access::covers(caller, scope) {
            return Err(Refusal::new(
                ErrorCode::Forbidden,
                "the client token opens its own payment's channel only",
            ));
        }
        if self.channel(scope).is_some() {
            return Err(Refusal::new(
                ErrorCode::AlreadySubscribed,
                "already subscribed to that channel",
            ));
        }
        let limit = self.context.limits.channels;
        if self.channels.len() >= limit {
            return Err(Refusal::new(
                ErrorCode::Limit,
                format!("a socket listens to at most {limit} channels"),
            ));
        }
        Ok(())
    }

    fn count_refusal(&mut self, code: ErrorCode) -> Result<(), Ending> {
        if code == ErrorCode::Limit {
            self.refused_channels += 1;
        }
        if self.refused_channels >= self.context.limits.refused_channels {
            return Err(Ending::Close(CloseCode::Limit, "too many channels"));
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, id: &CommandId, scope: EventScope) -> Result<(), Ending> {
        let Some(at) = self.channels.iter().position(|c| c.scope == scope) else {
            let refusal = Refusal::new(ErrorCode::NotFound, "not subscribed to that channel");
            return self.send(replies::refused(id, &refusal)).await;
        };
        self.channels.swap_remove(at);
        self.send(replies::unsubscribed(id)).await
    }

    fn channel(&self, scope: EventScope) -> Option<&Channel> {
        self.channels.iter().find(|c| c.scope == scope)
    }

    /// Writes what is queued, in one go.
    async fn deliver(&mut self) -> Result<(), Ending> {
        for _ in 0..PUSHES_A_STEP {
            match self.outbox.pop() {
                Next::Push(push) if self.is_news(&push) => {
                    self.line.queue(push.into_frame()).await?;
                }
                Next::Push(_) => {}
                Next::Empty => break,
                Next::Slow => return Err(Ending::Close(CloseCode::Slow, "too slow")),
            }
        }
        Ok(self.line.flush().await?)
    }

    /// Whether the channel is still listened to, and its reply has not told this already.
    fn is_news(&self, push: &Push) -> bool {
        let Some(channel) = self.channel(push.channel()) else {
            return false;
        };
        match push {
            Push::Event { sequence, .. } => *sequence > channel.told,
            Push::Progress { .. } => true,
        }
    }

    async fn send(&mut self, text: Bytes) -> Result<(), Ending> {
        self.line.queue(text).await?;
        Ok(self.line.flush().await?)
    }
}

fn refusal_of(error: HistoryError) -> Refusal {
    let code = match error {
        HistoryError::NoSuchPayment => ErrorCode::NotFound,
        HistoryError::Unavailable => ErrorCode::Unavailable,
    };
    Refusal::new(code, error.to_string())
}
