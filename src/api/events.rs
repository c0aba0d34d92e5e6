//! The event log by request: pages of it, and long polls that wait for what comes next.

use std::pin::pin;
use std::time::Duration;

use warp::reply::Response;

use super::ApiContext;
use super::answer;
use super::auth::Caller;
use super::live::history::{self, LogError};
use super::live::{LiveContext, SeatKind};
use super::problem::{Kind, Problem};
use super::query::Query;
use super::v1;
use super::wire::list::event_list;
use crate::domain::ids::Sequence;
use crate::hub::{Framing, Hub, Next, Outbox, Push, copy_for_payer};
use crate::store::{EventRow, EventScope};

pub const PARAMETERS: [&str; 4] = ["after", "limit", "wait", "epoch"];
/// The longest that a request may wait for an event; less than any request may take.
pub const MAX_WAIT_SECONDS: u64 = 25;

/// What a request wants to see of the log.
struct Wanted {
    scope: EventScope,
    /// Absent: from the oldest event that is kept.
    after: Option<Sequence>,
    limit: usize,
    wait: Duration,
}

pub async fn of_payment(
    ctx: &ApiContext,
    id: &str,
    query: &str,
    caller: Caller,
) -> Result<Response, Problem> {
    let payment = v1::find(ctx, id).await?;
    list(ctx, EventScope::Payment(payment.id), query, caller).await
}

pub async fn all(ctx: &ApiContext, query: &str, caller: Caller) -> Result<Response, Problem> {
    list(ctx, EventScope::All, query, caller).await
}

async fn list(
    ctx: &ApiContext,
    scope: EventScope,
    query: &str,
    caller: Caller,
) -> Result<Response, Problem> {
    let (live, wanted) = (&ctx.live, Wanted::read(ctx, scope, query)?);
    let mut rows = wanted.page(live).await?;
    if rows.is_empty() && !wanted.wait.is_zero() {
        rows = tokio::select! {
            biased;
            () = live.keyring.end_of(caller) => return Err(caller.right_ended()),
            rows = wanted.first_to_come(live) => rows?,
        };
    }
    let more = rows.len() > wanted.limit;
    rows.truncate(wanted.limit);
    if let Caller::Payer(_) = caller {
        for row in &mut rows {
            row.body = copy_for_payer(&row.body);
        }
    }
    let next = rows.last().filter(|_| more).map(|row| row.sequence);
    let epoch = &live.store.identity().epoch;
    Ok(answer::json(event_list(&rows, next, epoch)))
}

impl Wanted {
    fn read(ctx: &ApiContext, scope: EventScope, query: &str) -> Result<Self, Problem> {
        let mut query = Query::parse(query, &PARAMETERS);
        let after = query.take("after", |text| {
            let number = text.parse().map(Sequence);
            number.map_err(|_| "after must be an event's sequence number".to_owned())
        });
        let limit = query.limit();
        let wait = query.take("wait", |text| {
            let seconds = text.parse().ok();
            let seconds = seconds.filter(|seconds| *seconds <= MAX_WAIT_SECONDS);
            seconds.map(Duration::from_secs).ok_or_else(|| {
                format!("wait must be a whole number of seconds from 0 to {MAX_WAIT_SECONDS}")
            })
        });
        let epoch = query.take("epoch", |text| Ok(text.to_owned()));
        query.finish()?;
        let ours = &ctx.store.identity().epoch;
        if let Some(theirs) = epoch.filter(|theirs| theirs != ours) {
            return Err(Problem::epoch_changed(&theirs, ours));
        }
        Ok(Self {
            scope,
            after,
            limit,
            wait: wait.unwrap_or_default(),
        })
    }

    /// One event more than asked for tells whether anything follows.
    async fn page(&self, live: &LiveContext) -> Result<Vec<EventRow>, Problem> {
        let (store, limit) = (live.store.as_ref(), self.limit + 1);
        let Some(after) = self.after else {
            return Ok(store.events(self.scope, Sequence(0), limit).await?);
        };
        let read = history::events_after(store, self.scope, after, limit);
        read.await.map_err(|error| match error {
            LogError::Gone(first) => Problem::events_gone(after, first),
            LogError::Store(error) => error.into(),
        })
    }

    /// Waits for the first event; nothing when the time is over, or the hub shuts down.
    async fn first_to_come(&self, live: &LiveContext) -> Result<Vec<EventRow>, Problem> {
        let _seat = live.seat(SeatKind::LongPoll).ok_or_else(|| {
            let detail = "too many requests wait for events; try again without wait, or later";
            Problem::new(Kind::TooManyWaiting, detail).retry_soon()
        })?;
        let mut over = pin!(tokio::time::sleep(self.wait));
        let mut leave = pin!(live.turn_to_leave(Duration::ZERO));
        loop {
            // Registered before the log is read: what is committed in between shows in one of the two.
            let outbox = live.hub.outbox(live.limits.queue, Framing::EventStream);
            let _subscription = Hub::subscribe(&live.hub, self.scope, &outbox);
            let rows = self.page(live).await?;
            if !rows.is_empty() {
                return Ok(rows);
            }
            tokio::select! {
                biased;
                () = &mut over => return Ok(rows),
                () = &mut leave => return Ok(rows),
                () = self.announced(&outbox) => {}
            }
        }
    }

    /// Waits until an event that is wanted is in the queue.
    async fn announced(&self, outbox: &Outbox) {
        let after = self.after.unwrap_or_default();
        loop {
            outbox.ready().await;
            match outbox.pop() {
                Next::Push(Push::Event { sequence, .. }) if sequence > after => return,
                Next::Slow => return,
                Next::Push(_) | Next::Empty => {}
            }
        }
    }
}
