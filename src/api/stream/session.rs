//! One open stream: its queue written out piece by piece, for as long as the connection takes them.
//!
//! Nothing runs for a stream whose reader takes nothing: its queue fills up to the limit, and the connection is given up
//! by the server. Refuses to know HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::api::live::{LiveContext, Seat};
use crate::domain::ids::Sequence;
use crate::hub::{Next, Outbox, Push, Subscription, passing_record};

const PING: &[u8] = b": ping\n\n";

/// What is to be written next.
enum Stage {
    Opening(Bytes),
    Live,
    Over,
}

pub struct Session {
    context: Arc<LiveContext>,
    outbox: Arc<Outbox>,
    /// The opening accounted for events up to here; the queue may hold some of them again.
    told: Sequence,
    stage: Stage,
    ping: Interval,
    /// Ends when it is this stream's turn to go.
    leave: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Ends when the caller's right does.
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    _subscription: Subscription,
    _seat: Seat,
}

impl Session {
    pub fn new(
        context: Arc<LiveContext>,
        seat: Seat,
        outbox: Arc<Outbox>,
        subscription: Subscription,
        told: Sequence,
        opening: Bytes,
        ended: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let every = context.limits.stream_ping_every;
        let mut ping = interval_at(Instant::now() + every, every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let delay = context.limits.shutdown_delay(seat.number());
        Self {
            leave: Box::pin(context.turn_to_leave(delay)),
            ended: Box::pin(ended),
            context,
            outbox,
            told,
            stage: Stage::Opening(opening),
            ping,
            _subscription: subscription,
            _seat: seat,
        }
    }

    /// The body, in pieces.
    pub fn into_chunks(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        futures::stream::unfold(self, async |mut session| {
            let chunk = session.next().await?;
            Some((Ok(chunk), session))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        match std::mem::replace(&mut self.stage, Stage::Live) {
            Stage::Opening(bytes) => return Some(bytes),
            Stage::Over => {
                self.stage = Stage::Over;
                return None;
            }
            Stage::Live => {}
        }
        loop {
            tokio::select! {
                biased;
                () = &mut self.leave => {
                    let rest = self.collect(usize::MAX);
                    self.stage = Stage::Over;
                    return Some(rest).filter(|rest| !rest.is_empty());
                }
                () = &mut self.ended => {
                    self.stage = Stage::Over;
                    return Some(passing_record("error", br#"{"code":"unauthorized"}"#));
                }
                () = self.outbox.ready() => {
                    let chunk = self.collect(self.context.limits.stream_chunk_bytes);
                    if !chunk.is_empty() {
                        return Some(chunk);
                    }
                }
                _ = self.ping.tick() => return Some(Bytes::from_static(PING)),
            }
        }
    }

    /// What is queued and is news, until it is so many bytes.
    fn collect(&mut self, enough: usize) -> Bytes {
        let mut chunk = BytesMut::new();
        while chunk.len() < enough {
            match self.outbox.pop() {
                Next::Push(push) if self.is_news(&push) => {
                    chunk.extend_from_slice(&push.into_frame());
                }
                Next::Push(_) => {}
                Next::Empty => break,
                Next::Slow => {
                    chunk.extend_from_slice(&passing_record("error", br#"{"code":"slow"}"#));
                    self.stage = Stage::Over;
                    break;
                }
            }
        }
        chunk.freeze()
    }

    fn is_news(&self, push: &Push) -> bool {
        match push {
            Push::Event { sequence, .. } => *sequence > self.told,
            Push::Progress { .. } => true,
        }
    }
}
