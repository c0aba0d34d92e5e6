//! Follows the hub's events over connections that come and go: each event once, in order.
//!
//! A place in the log decides what is new; sockets only bring the news. What a socket cannot replay is read from the log
//! page by page, while the socket's pushes just say how far there is to go.

use std::pin::pin;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::event::Event;
use super::forward::Inbox;
use super::frame::{Frame, Start};
use super::log::{Log, Missing, Piece, Rest};
use super::options::{Form, Options};
use super::output::{Closed, Output, tell};
use super::socket::{Place, Socket};
use super::trouble::Trouble;
use crate::domain::ids::Sequence;
use crate::store::EventScope;

/// Shortest and longest wait before a connection is tried again.
const MIN_WAIT: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(20);
/// A connection that lived so long was a good one: waiting starts anew.
const GOOD_LIFE: Duration = Duration::from_secs(10);
/// Events of a new log that are shown from its start; of a longer one only the newest.
const NEW_LOG_EVENTS: u64 = 1_000;

/// Why following ended.
#[derive(Debug)]
pub enum Ended {
    /// Nobody reads any more.
    Closed,
    Trouble(Trouble),
}

impl From<Trouble> for Ended {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<Closed> for Ended {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

pub struct Follow {
    pub options: Options,
    pub log: Log,
    pub output: Output,
    pub inbox: Option<Inbox>,
    /// Absent until the first connection.
    pub place: Option<Place>,
    pub rng: Rng,
}

impl Follow {
    /// Follows until it cannot go on.
    pub async fn run(&mut self) -> Ended {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let trouble = match self.one_connection().await {
                Ended::Trouble(Trouble::Passing(trouble)) => trouble,
                other => return other,
            };
            failures = match began.elapsed() < GOOD_LIFE {
                true => failures + 1,
                false => 1,
            };
            let wait = wait(failures, &mut self.rng);
            tell(&format!(
                "{trouble}; trying again in {:.1} s",
                wait.as_secs_f64()
            ));
            tokio::time::sleep(wait).await;
        }
    }

    async fn one_connection(&mut self) -> Ended {
        match self.connected().await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn connected(&mut self) -> Result<std::convert::Infallible, Ended> {
        let (mut socket, start) = Socket::open(&self.options, self.place.as_ref()).await?;
        let (mut place, mut target) = self.place_in(&start);
        let what = match self.options.scope {
            EventScope::All => "all payments".to_owned(),
            EventScope::Payment(id) => format!("payment {id}"),
        };
        let origin = self.options.hub.origin();
        tell(&format!(
            "connected to {origin}, {what}, after event {}",
            place.after.0
        ));
        self.place = Some(place.clone());
        if let Some(events) = start.events {
            for event in events {
                self.emit(&mut place, event).await?;
            }
            self.keep(&mut place, start.newest);
        }
        loop {
            if place.after < target {
                let asked = target;
                let read = self.read_on(&mut socket, &place, &mut target).await?;
                self.take(&mut place, asked, read).await?;
            } else if let Frame::Pushed(event) = socket.next().await? {
                let is_next = event.sequence.0 == place.after.0 + 1;
                match self.options.scope {
                    // Numbers have no gaps: what is missing is in the log.
                    EventScope::All if !is_next => target = target.max(event.sequence),
                    _ => self.emit(&mut place, event).await?,
                }
                target = target.max(place.after);
            }
        }
    }

    /// Where this connection goes on, and how far the log must be read before pushes are next.
    fn place_in(&self, start: &Start) -> (Place, Sequence) {
        let newest = start.newest;
        let at = |after| Place {
            epoch: start.epoch.clone(),
            after,
        };
        match &self.place {
            None => {
                let since = self.options.since.unwrap_or(newest);
                if since > newest {
                    tell(&format!(
                        "--since {} lies ahead: the log ends with event {}",
                        since.0, newest.0
                    ));
                }
                (at(since.min(newest)), newest)
            }
            Some(old) if old.epoch != start.epoch => {
                let after = Sequence(newest.0.saturating_sub(NEW_LOG_EVENTS));
                tell(&format!(
                    "the hub has a new event log; it is shown from event {} on",
                    after.0 + 1
                ));
                (at(after), newest)
            }
            Some(old) if old.after > newest => {
                tell(&format!(
                    "the hub's log ends with event {}, before event {} that was shown: it was set back",
                    newest.0, old.after.0
                ));
                (at(newest), newest)
            }
            Some(old) => (old.clone(), newest),
        }
    }

    /// Reads a page; pushes that come meanwhile only say how far to read.
    async fn read_on(
        &self,
        socket: &mut Socket,
        place: &Place,
        target: &mut Sequence,
    ) -> Result<Result<Piece, Missing>, Trouble> {
        let mut page = pin!(self.log.after(place));
        loop {
            tokio::select! {
                read = &mut page => return Ok(read),
                frame = socket.next() => if let Frame::Pushed(event) = frame? {
                    *target = (*target).max(event.sequence);
                }
            }
        }
    }

    async fn take(
        &mut self,
        place: &mut Place,
        asked: Sequence,
        read: Result<Piece, Missing>,
    ) -> Result<(), Ended> {
        match read {
            Ok(piece) => {
                for event in piece.events {
                    self.emit(place, event).await?;
                }
                if piece.rest == Rest::End {
                    self.keep(place, asked);
                }
            }
            Err(Missing::Gone(first)) => {
                tell(&format!(
                    "events {} to {} cannot be shown: the hub no longer keeps them",
                    place.after.0 + 1,
                    first.0.saturating_sub(1)
                ));
                self.keep(place, Sequence(first.0.saturating_sub(1)));
            }
            Err(Missing::OtherEpoch) => {
                return Err(Trouble::passing("the hub's event log was replaced").into());
            }
            Err(Missing::Trouble(trouble)) => return Err(trouble.into()),
        }
        Ok(())
    }

    /// Shows an event unless it was shown.
    async fn emit(&mut self, place: &mut Place, event: Event) -> Result<(), Closed> {
        if event.sequence <= place.after {
            return Ok(());
        }
        let line = match self.options.form {
            Form::Lines => event.line().into_bytes(),
            Form::Json => event.json_line(),
        };
        self.output.line(line).await?;
        self.keep(place, event.sequence);
        if let Some(inbox) = &self.inbox {
            inbox.offer(event, &place.epoch);
        }
        Ok(())
    }

    /// Moves the place on, and remembers it beyond this connection.
    fn keep(&mut self, place: &mut Place, after: Sequence) {
        place.after = place.after.max(after);
        self.place = Some(place.clone());
    }
}

/// Full jitter: anything between the shortest wait and a ceiling that doubles, so that listeners do not come back at once.
fn wait(failures: u32, rng: &mut Rng) -> Duration {
    let ceiling = MIN_WAIT
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(MAX_WAIT);
    MIN_WAIT + (ceiling - MIN_WAIT).mul_f64(rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_spread_between_their_bounds() {
        let mut rng = Rng::with_seed(1);
        for (failures, ceiling_ms) in [
            (1, 1_000),
            (2, 2_000),
            (5, 16_000),
            (6, 20_000),
            (u32::MAX, 20_000),
        ] {
            let waits: Vec<_> = (0..500).map(|_| wait(failures, &mut rng)).collect();
            let (low, high) = (
                waits.iter().min().expect("some"),
                waits.iter().max().expect("some"),
            );
            assert!(*low >= MIN_WAIT && *high <= Duration::from_millis(ceiling_ms));
            let range = Duration::from_millis(ceiling_ms) - MIN_WAIT;
            assert!(
                *high - *low > range.mul_f64(0.9),
                "{failures}: {low:?} to {high:?}"
            );
        }
    }
}
