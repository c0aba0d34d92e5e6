//! `/v1/trends`: the last 24 hours in spans of five minutes, as columns of numbers to be drawn.
//!
//! What is not known is null, never zero.

use serde::Serialize;
use warp::reply::Response;

use super::problem::Problem;
use super::wire::scalar::Seconds;
use super::{ApiContext, answer};
use crate::trends::{BUCKET_MS, ChainSpan, Row, Took};

#[derive(Serialize)]
struct TrendsObject<'a> {
    bucket_seconds: u64,
    /// The begin of the first bucket.
    since: u64,
    started_at: Seconds,
    created: Vec<Option<u32>>,
    completed: Vec<Option<u32>>,
    block_to_webhook: TookObject,
    event_to_webhook: TookObject,
    chains: Vec<ChainObject<'a>>,
}

#[derive(Serialize)]
struct TookObject {
    count: Vec<Option<u32>>,
    p50_ms: Vec<Option<u64>>,
    p95_ms: Vec<Option<u64>>,
}

impl TookObject {
    fn new(rows: &[Row], took: fn(&Row) -> Took) -> Self {
        Self {
            count: column(rows, |row| took(row).count),
            p50_ms: column(rows, |row| took(row).p50_ms),
            p95_ms: column(rows, |row| took(row).p95_ms),
        }
    }
}

#[derive(Serialize)]
struct ChainObject<'a> {
    name: &'a str,
    /// The largest of each bucket.
    lag_seconds: Vec<Option<f64>>,
    requests: Vec<Option<u64>>,
}

impl<'a> ChainObject<'a> {
    fn new(name: &'a str, spans: &[ChainSpan]) -> Self {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        Self {
            name,
            lag_seconds: column(spans, |span| span.worst_lag_ms.map(seconds)),
            requests: column(spans, |span| span.requests),
        }
    }
}

pub fn get(ctx: &ApiContext) -> Result<Response, Problem> {
    let picture = ctx.trends.picture();
    let rows = &picture.rows;
    let names = ctx.chains.iter().map(|chain| chain.spec.name.as_str());
    answer::ok(&TrendsObject {
        bucket_seconds: BUCKET_MS / 1000,
        since: picture.since.0 / 1000,
        started_at: Seconds(picture.started_at),
        created: column(rows, |row| row.created),
        completed: column(rows, |row| row.completed),
        block_to_webhook: TookObject::new(rows, |row| row.block_to_webhook),
        event_to_webhook: TookObject::new(rows, |row| row.event_to_webhook),
        chains: names
            .zip(&picture.chains)
            .map(|(name, spans)| ChainObject::new(name, spans))
            .collect(),
    })
}

fn column<R, T>(rows: &[R], value: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
