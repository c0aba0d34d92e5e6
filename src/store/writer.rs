//! The one writer: gathers waiting plans, runs each on the state its predecessor left, and commits them together.
//!
//! A plan that is refused writes nothing and harms no other; an error of the disk undoes the whole group.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::{Database, ReadableTable};
use tokio::sync::{mpsc, oneshot};

use super::apply::{Apply, put};
use super::rows::{State, Stored};
use super::tables;
use super::view::{CommitView, WriteTables, database, get};
use super::{CommitError, Plan, StoreError, Write};
use crate::domain::api_key::ApiKey;
use crate::domain::api_keys::ApiKeys;
use crate::domain::endpoint::Endpoint;
use crate::domain::endpoints::Endpoints;
use crate::domain::ids::EndpointId;

/// Plans in one commit at most.
const GROUP_PLANS: usize = 512;

pub type Reply = oneshot::Sender<Result<Arc<Write>, CommitError>>;

/// A plan and who waits for it.
pub struct Job {
    pub plan: Plan,
    pub reply: Reply,
}

/// What the writer does once a group is on disk, before anyone gets an answer.
pub trait Publish: Send + 'static {
    fn publish(&self, current: &Current, writes: &[Arc<Write>]);
}

/// What is kept in memory beside the tables: small, and needed in every commit. Of a commit that fails nothing stays.
#[derive(Debug, Clone)]
pub struct Current {
    pub state: State,
    pub endpoints: Arc<Endpoints>,
    pub api_keys: Arc<ApiKeys>,
}

/// Commits plans on the state that the one before left, and tells of them.
pub struct Committer {
    db: Arc<Database>,
    current: Current,
    publish: Box<dyn Publish>,
}

impl Committer {
    pub fn new(db: Arc<Database>, current: Current, publish: Box<dyn Publish>) -> Self {
        Self {
            db,
            current,
            publish,
        }
    }

    /// Commits these plans in one transaction and tells of it once it is on disk.
    fn commit(&mut self, plans: Vec<Plan>) -> Result<Outcomes, StoreError> {
        let (after, outcomes) = commit_group(&self.db, &self.current, plans).inspect_err(|error| {
            tracing::error!(error = %describe(error), "a commit failed; nothing of it was written");
        })?;
        self.current = after;
        let writes: Vec<_> = outcomes.iter().flatten().map(Arc::clone).collect();
        self.publish.publish(&self.current, &writes);
        Ok(outcomes)
    }

    /// Commits one plan, in a transaction of its own.
    pub fn commit_one(&mut self, plan: Plan) -> Result<Arc<Write>, CommitError> {
        let outcome = self.commit(vec![plan])?.pop();
        outcome.unwrap_or(Err(CommitError::Store(StoreError::Closed)))
    }
}

/// Runs until every sender is gone and the queue is empty.
pub fn run(mut committer: Committer, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_PLANS {
            match jobs.try_recv() {
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        let (plans, replies): (Vec<Plan>, Vec<Reply>) =
            group.into_iter().map(|job| (job.plan, job.reply)).unzip();
        match committer.commit(plans) {
            Ok(outcomes) => answer(replies, outcomes),
            Err(error) => {
                let failures = std::iter::repeat_with(|| Err(CommitError::Store(copy_of(&error))));
                answer(replies, failures);
            }
        }
    }
}

fn answer(
    replies: Vec<Reply>,
    outcomes: impl IntoIterator<Item = Result<Arc<Write>, CommitError>>,
) {
    for (reply, outcome) in replies.into_iter().zip(outcomes) {
        if reply.send(outcome).is_err() {
            tracing::debug!("whoever asked for a commit no longer waits for it");
        }
    }
}

/// The error and its sources in one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

fn copy_of(error: &StoreError) -> StoreError {
    match error {
        StoreError::Corrupt(text) => StoreError::Corrupt(text.clone()),
        other => StoreError::Database(describe(other).into()),
    }
}

type Outcomes = Vec<Result<Arc<Write>, CommitError>>;

fn commit_group(
    db: &Database,
    before: &Current,
    plans: Vec<Plan>,
) -> Result<(Current, Outcomes), StoreError> {
    let txn = db.begin_write().map_err(database)?;
    let mut current = before.clone();
    let mut outcomes = Vec::with_capacity(plans.len());
    {
        let mut tables = WriteTables::open(&txn)?;
        for plan in plans {
            let planned = run_plan(
                plan,
                &CommitView {
                    tables: &tables,
                    current: &current,
                },
            );
            match planned {
                Ok(write) => {
                    Apply {
                        tables: &mut tables,
                        state: &mut current.state,
                        endpoints: &mut current.endpoints,
                        api_keys: &mut current.api_keys,
                    }
                    .write(&write)?;
                    outcomes.push(Ok(Arc::new(write)));
                }
                Err(error) => outcomes.push(Err(error)),
            }
        }
        put(&mut tables.meta, tables::META_STATE, &current.state)?;
    }
    if outcomes.iter().any(Result::is_ok) {
        txn.commit().map_err(database)?;
    } else {
        txn.abort().map_err(database)?;
    }
    Ok((current, outcomes))
}

/// A plan only reads, so one that panics leaves nothing half done: it fails alone, and the writer lives on.
fn run_plan(plan: Plan, view: &CommitView<'_, '_>) -> Result<Write, CommitError> {
    match catch_unwind(AssertUnwindSafe(|| plan(view))) {
        Ok(planned) => Ok(planned?),
        Err(_) => {
            tracing::error!("a decision panicked; nothing of it was written");
            Err(CommitError::Store(StoreError::PlanPanicked))
        }
    }
}

/// Reads what the writer starts from.
pub fn load_current(
    meta: &impl ReadableTable<tables::Bytes, tables::Bytes>,
    endpoints: &impl ReadableTable<tables::Bytes, tables::Bytes>,
    api_keys: &impl ReadableTable<tables::Bytes, tables::Bytes>,
) -> Result<Current, StoreError> {
    let rows: Vec<Endpoint> = all_rows(endpoints)?;
    let keys: Vec<ApiKey> = all_rows(api_keys)?;
    let newest: Option<EndpointId> = get(meta, tables::META_NEWEST_ENDPOINT)?;
    let callback_keys = get(meta, tables::META_CALLBACK_KEYS)?;
    Ok(Current {
        state: get(meta, tables::META_STATE)?.unwrap_or(State::START),
        endpoints: Arc::new(Endpoints::restore(
            rows,
            newest.map_or(0, |id| id.0),
            callback_keys,
        )),
        api_keys: Arc::new(ApiKeys::restore(keys)),
    })
}

/// Every row of a small table.
fn all_rows<T: Stored>(
    table: &impl ReadableTable<tables::Bytes, tables::Bytes>,
) -> Result<Vec<T>, StoreError> {
    let rows = table.range::<&[u8]>(..).map_err(database)?;
    rows.map(|entry| T::decode(entry.map_err(database)?.1.value()))
        .collect()
}
