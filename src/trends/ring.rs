//! The last 24 hours in spans of five minutes: a ring of buckets of fixed size.
//!
//! Pure: every time is passed in. A bucket whose span has passed out of the ring is emptied when its place is needed.
//! Refuses to allocate once it is made, and to say zero where it does not know.

use super::spread::{Percent, Spread};
use crate::domain::event::EventKind;
use crate::domain::ids::UnixMs;

/// Milliseconds of one bucket.
pub const BUCKET_MS: u64 = 300_000;
/// Buckets of 24 hours.
pub const BUCKETS: usize = 288;

/// A span of five minutes, counted since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u64);

impl Span {
    pub const fn of(at: UnixMs) -> Self {
        Self(at.0 / BUCKET_MS)
    }

    pub const fn begin(self) -> UnixMs {
        UnixMs(self.0.saturating_mul(BUCKET_MS))
    }

    /// The spans of the ring when this one runs, the oldest first.
    pub fn last_day(self) -> impl Iterator<Item = Self> {
        let first = self.0.saturating_sub(BUCKETS as u64 - 1);
        (first..=self.0).map(Self)
    }

    const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    const fn place(self) -> usize {
        (self.0 % BUCKETS as u64) as usize
    }
}

/// Where something is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// It happens now: whatever else holds the place has passed, or came from a clock that was wrong.
    Live,
    /// It is read from the log: what is newer keeps its place.
    ReadBack,
}

/// One chain in one span. `None` where nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChainSpan {
    pub worst_lag_ms: Option<u64>,
    pub requests: Option<u64>,
}

/// How long webhooks took in one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Took {
    /// `None` where nobody measured.
    pub count: Option<u32>,
    pub p50_ms: Option<u64>,
    pub p95_ms: Option<u64>,
}

impl Took {
    fn of(spread: &Spread) -> Self {
        Self {
            count: Some(spread.count()),
            p50_ms: spread.percentile(Percent(50)),
            p95_ms: spread.percentile(Percent(95)),
        }
    }
}

/// What is known of one span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    pub created: Option<u32>,
    pub completed: Option<u32>,
    pub block_to_webhook: Took,
    pub event_to_webhook: Took,
}

/// How long one webhook took until its receiver had accepted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookTook {
    pub from_commit_ms: u64,
    /// Set for a transfer's detection alone.
    pub from_block_ms: Option<u64>,
}

#[derive(Debug, Clone)]
struct Bucket {
    span: Span,
    created: u32,
    completed: u32,
    from_block: Spread,
    from_commit: Spread,
    chains: Box<[ChainSpan]>,
}

impl Bucket {
    fn empty(&mut self, span: Span) {
        self.span = span;
        (self.created, self.completed) = (0, 0);
        self.from_block = Spread::default();
        self.from_commit = Spread::default();
        self.chains.fill(ChainSpan::default());
    }
}

/// How far back the log has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBack {
    /// To an event of this time.
    To(UnixMs),
    /// As far as the ring goes, or the log.
    Whole,
}

#[derive(Debug)]
pub struct Ring {
    buckets: Box<[Bucket]>,
    started: Span,
    /// From this span on, what was created and completed is counted whole.
    counted_from: Span,
}

impl Ring {
    /// A ring that knows nothing of the time before `started_at`.
    pub fn new(started_at: UnixMs, chains: usize) -> Self {
        let started = Span::of(started_at);
        let bucket = Bucket {
            span: Span(0),
            created: 0,
            completed: 0,
            from_block: Spread::default(),
            from_commit: Spread::default(),
            chains: vec![ChainSpan::default(); chains].into(),
        };
        Self {
            buckets: vec![bucket; BUCKETS].into(),
            started,
            counted_from: started.next(),
        }
    }

    pub fn happened(&mut self, kind: EventKind, at: UnixMs) {
        self.count(kind, at, Means::Live);
    }

    /// An event of the log from before the start.
    pub fn had_happened(&mut self, kind: EventKind, at: UnixMs) {
        self.count(kind, at, Means::ReadBack);
    }

    fn count(&mut self, kind: EventKind, at: UnixMs, means: Means) {
        if !matches!(kind, EventKind::Created | EventKind::Completed) {
            return;
        }
        let Some(bucket) = self.bucket(at, means) else {
            return;
        };
        let count = match kind {
            EventKind::Created => &mut bucket.created,
            _ => &mut bucket.completed,
        };
        *count = count.saturating_add(1);
    }

    /// The span of the oldest event that was read may hold more of them.
    pub fn read_back(&mut self, how_far: ReadBack) {
        let from = match how_far {
            ReadBack::To(at) => Span::of(at).next(),
            ReadBack::Whole => Span(0),
        };
        self.counted_from = self.counted_from.min(from);
    }

    pub fn webhook(&mut self, took: WebhookTook, at: UnixMs) {
        if let Some(bucket) = self.bucket(at, Means::Live) {
            bucket.from_commit.add(took.from_commit_ms);
            if let Some(ms) = took.from_block_ms {
                bucket.from_block.add(ms);
            }
        }
    }

    /// How far a chain lags; the worst of a span is kept.
    pub fn lag(&mut self, chain: usize, ms: u64, at: UnixMs) {
        if let Some(span) = self.chain_span(chain, at) {
            span.worst_lag_ms = Some(ms.max(span.worst_lag_ms.unwrap_or(0)));
        }
    }

    /// Requests to a chain's nodes since they were last told.
    pub fn requests(&mut self, chain: usize, count: u64, at: UnixMs) {
        if let Some(span) = self.chain_span(chain, at) {
            span.requests = Some(span.requests.unwrap_or(0).saturating_add(count));
        }
    }

    fn chain_span(&mut self, chain: usize, at: UnixMs) -> Option<&mut ChainSpan> {
        self.bucket(at, Means::Live)?.chains.get_mut(chain)
    }

    fn bucket(&mut self, at: UnixMs, means: Means) -> Option<&mut Bucket> {
        let span = Span::of(at);
        let bucket = &mut self.buckets[span.place()];
        if bucket.span != span {
            if means == Means::ReadBack && bucket.span > span {
                return None;
            }
            bucket.empty(span);
        }
        Some(bucket)
    }

    pub fn row(&self, span: Span) -> Row {
        let bucket = self.held(span);
        let counted = |count: fn(&Bucket) -> u32| {
            (span >= self.counted_from).then(|| bucket.map_or(0, count))
        };
        let took = |spread: fn(&Bucket) -> &Spread| match bucket {
            _ if span < self.started => Took::default(),
            Some(bucket) => Took::of(spread(bucket)),
            None => Took::of(&Spread::default()),
        };
        Row {
            created: counted(|bucket| bucket.created),
            completed: counted(|bucket| bucket.completed),
            block_to_webhook: took(|bucket| &bucket.from_block),
            event_to_webhook: took(|bucket| &bucket.from_commit),
        }
    }

    pub fn chain(&self, chain: usize, span: Span) -> ChainSpan {
        let bucket = self.held(span);
        let found = bucket.and_then(|bucket| bucket.chains.get(chain));
        found.copied().unwrap_or_default()
    }

    fn held(&self, span: Span) -> Option<&Bucket> {
        let bucket = &self.buckets[span.place()];
        (bucket.span == span).then_some(bucket)
    }
}
