//! A simulated node: answers from the chain as it sees it, which its mood may make old, torn or another branch.
//!
//! It obeys the contract of `Source`: the transfers that it gives for a header are exactly that block's. All else may lie,
//! but for the final head, which is final indeed, if perhaps an old one.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use fastrand::Rng;
use paybell::domain::address::Address;
use paybell::domain::chain::{Block, BlockHeader};
use paybell::domain::ids::{Height, UnixMs};
use paybell::source::{
    Asked, Contents, FetchedHeader, Found, SearchLimits, Source, SourceError, Span,
};

use crate::chain::{Path, SimChain};
use crate::clock::{SimClock, stream};
use crate::witness::Witness;

#[derive(Debug, Clone)]
pub enum Mood {
    Well,
    /// Every answer is an error.
    Down,
    /// Some answers are.
    Flaky,
    /// Its head is so many blocks behind, or goes back.
    Behind(u64),
    /// Its view is frozen.
    Stale(Path),
    /// It follows a branch beside the main one.
    Astray(usize),
    /// Says that blocks do not exist which do.
    Forgetful,
    /// Its logs lag, or belong to another block.
    LogsLag,
    /// Answers from several views, as a load balancer does.
    Torn,
    /// Takes many seconds for each answer, and then fails.
    Hanging,
    /// Asks to be left alone.
    Throttling,
}

impl Mood {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Well => "node well",
            Self::Down => "node down",
            Self::Flaky => "node flaky",
            Self::Behind(_) => "node behind",
            Self::Stale(_) => "node stale",
            Self::Astray(_) => "node astray",
            Self::Forgetful => "node forgetful",
            Self::LogsLag => "node's logs lag",
            Self::Torn => "node torn",
            Self::Hanging => "node hanging",
            Self::Throttling => "node throttling",
        }
    }
}

struct State {
    mood: Mood,
    since: UnixMs,
    rng: Rng,
}

pub struct SimNode {
    name: String,
    chain: Arc<Mutex<SimChain>>,
    clock: Arc<SimClock>,
    witness: Arc<Witness>,
    /// How it can be searched, if at all.
    limits: Option<SearchLimits>,
    state: Mutex<State>,
}

impl SimNode {
    pub fn new(
        name: String,
        chain: Arc<Mutex<SimChain>>,
        clock: Arc<SimClock>,
        witness: Arc<Witness>,
        seed: u64,
    ) -> Self {
        let mut rng = stream(seed, &name);
        let limits = (rng.u8(..3) > 0).then(|| SearchLimits {
            blocks: rng.u64(1..40),
            addresses: rng.usize(1..30),
            worth_from_blocks: rng.u64(2..30),
        });
        let state = State {
            mood: Mood::Well,
            since: UnixMs(0),
            rng,
        };
        Self {
            name,
            chain,
            clock,
            witness,
            limits,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn feel(&self, mood: Mood) {
        let now = self.clock.true_now();
        let mut state = self.state();
        (state.mood, state.since) = (mood, now);
    }

    pub fn mood(&self) -> &'static str {
        self.state().mood.name()
    }

    /// How long it has been well.
    pub fn well_ms(&self) -> u64 {
        let state = self.state();
        match state.mood {
            Mood::Well => self.clock.true_now().0 - state.since.0,
            _ => 0,
        }
    }

    /// How long it has been plainly down, as anyone can tell.
    pub fn down_ms(&self) -> u64 {
        let state = self.state();
        match state.mood {
            Mood::Down => self.clock.true_now().0 - state.since.0,
            _ => 0,
        }
    }

    fn asked(&self, path: &'static str, height: Option<Height>) -> Asked {
        Asked::new(self.name.as_str(), path, height)
    }

    fn error(&self, path: &'static str) -> SourceError {
        SourceError::NodeError {
            asked: self.asked(path, None),
            text: "simulated".to_owned(),
        }
    }

    /// Takes its time, and fails as its mood wants.
    async fn answer(&self, path: &'static str) -> Result<(), SourceError> {
        let (mood, wait_ms, fails) = {
            let mut state = self.state();
            let mood = state.mood.clone();
            let range = match (&mood, state.rng.u8(..8)) {
                (Mood::Hanging, _) => 4_000..15_000,
                (_, 0) => 1..400,
                _ => 1..30,
            };
            (mood, state.rng.u64(range), state.rng.u8(..4) == 0)
        };
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        match mood {
            Mood::Down | Mood::Hanging => Err(self.error(path)),
            Mood::Flaky if fails => Err(self.error(path)),
            Mood::Throttling if fails => Err(SourceError::Throttled {
                asked: self.asked(path, None),
                retry_after: Duration::from_secs(4),
                excerpt: "slower".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// The branch that it answers from just now.
    fn view(&self, chain: &SimChain) -> Path {
        let mut state = self.state();
        let mut mood = state.mood.clone();
        if matches!(mood, Mood::Torn) {
            mood = match state.rng.u8(..4) {
                0 => Mood::Behind(state.rng.u64(1..6)),
                1 | 2 => Mood::Astray(state.rng.usize(..6)),
                _ => Mood::Well,
            };
        }
        match mood {
            Mood::Behind(most) => {
                let back = usize::try_from(state.rng.u64(0..=most)).unwrap();
                chain.main[..chain.main.len() - back].to_vec()
            }
            Mood::Stale(path) => path,
            Mood::Astray(branch) => chain.beside(branch).unwrap_or(&chain.main).clone(),
            _ => chain.main.clone(),
        }
    }

    fn chance(&self, of: u8) -> bool {
        self.state().rng.u8(..of) == 0
    }
}

fn fetched(header: paybell::domain::chain::BlockHeader) -> FetchedHeader {
    FetchedHeader {
        header,
        contents: Contents::Unknown,
    }
}

#[async_trait::async_trait]
impl Source for SimNode {
    async fn head(&self) -> Result<FetchedHeader, SourceError> {
        self.answer("/head").await?;
        let chain = self.chain.lock().unwrap();
        let view = self.view(&chain);
        Ok(fetched(chain.head_of(&view)))
    }

    async fn final_head(&self) -> Result<FetchedHeader, SourceError> {
        self.answer("/final").await?;
        let chain = self.chain.lock().unwrap();
        let view = self.view(&chain);
        let newest = chain.final_height.min(chain.head_of(&view).height);
        // A stale view may hold no block at what is final by now that is on the main branch; it tells an older one.
        let known = (0..=newest.0)
            .rev()
            .filter_map(|height| chain.at(&view, Height(height)))
            .find(|block| chain.is_on_main(&block.header));
        known
            .map(|block| fetched(block.header))
            .ok_or_else(|| self.error("/final"))
    }

    async fn header(&self, height: Height) -> Result<Option<FetchedHeader>, SourceError> {
        self.answer("/header").await?;
        let forgets = matches!(self.state().mood, Mood::Forgetful) && self.chance(4);
        if forgets {
            self.witness.journal.saw("a block denied that exists");
            return Ok(None);
        }
        let chain = self.chain.lock().unwrap();
        let view = self.view(&chain);
        let kept = chain
            .at(&view, height)
            .filter(|_| height >= chain.kept_from);
        Ok(kept.map(|block| fetched(block.header)))
    }

    async fn block(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
        self.answer("/logs").await?;
        let height = header.header.height;
        let what = "simulated".to_owned();
        let asked = self.asked("/logs", Some(height));
        if matches!(self.state().mood, Mood::LogsLag) && self.chance(3) {
            self.witness.journal.saw("logs not ready");
            return Err(SourceError::NotReady { asked, what });
        }
        let chain = self.chain.lock().unwrap();
        let view = self.view(&chain);
        let found = chain
            .at(&view, height)
            .filter(|block| block.header.hash == header.header.hash);
        match found {
            Some(block) => {
                let mut books = self.witness.books();
                let commits = books.commits;
                books.read(header.header.hash, commits);
                Ok(Block {
                    header: block.header,
                    transfers: block.transfers(),
                })
            }
            None => {
                self.witness.journal.saw("logs of another block");
                Err(SourceError::Mismatch { asked, what })
            }
        }
    }

    async fn headers(
        &self,
        heights: &[Height],
    ) -> Result<Option<Vec<Option<FetchedHeader>>>, SourceError> {
        if self.limits.is_none() {
            return Ok(None);
        }
        self.answer("/headers").await?;
        let chain = self.chain.lock().unwrap();
        let view = self.view(&chain);
        let kept = heights.iter().map(|height| {
            let block = chain
                .at(&view, *height)
                .filter(|_| *height >= chain.kept_from);
            block.map(|block| fetched(block.header))
        });
        Ok(Some(kept.collect()))
    }

    fn search_limits(&self) -> Option<SearchLimits> {
        self.limits
    }

    async fn search(
        &self,
        span: Span,
        addresses: &[Address],
    ) -> Result<Option<Found>, SourceError> {
        // Whoever is not among the addresses now was not there when they were written down.
        let commits = self.witness.books().commits;
        self.answer("/search").await?;
        if matches!(self.state().mood, Mood::LogsLag) && self.chance(2) {
            self.witness.journal.saw("a search not offered after all");
            return Ok(None);
        }
        let chain = self.chain.lock().unwrap();
        let view = self.view(&chain);
        let last = span.last.header;
        let there = |header: &BlockHeader| {
            let found = chain.at(&view, header.height);
            found.is_some_and(|block| block.header.hash == header.hash)
        };
        if !there(&last) || !there(&span.after.header) {
            return Err(SourceError::Mismatch {
                asked: self.asked("/search", Some(last.height)),
                what: "simulated".to_owned(),
            });
        }
        let heights = (span.after.header.height.0 + 1..=last.height.0).map(Height);
        let mut blocks = Vec::new();
        for block in heights.filter_map(|height| chain.at(&view, height)) {
            self.witness.books().read(block.header.hash, commits);
            let mut transfers = block.transfers();
            transfers.retain(|transfer| addresses.contains(&transfer.to));
            if !transfers.is_empty() {
                self.witness.journal.saw("a block found by a search");
                blocks.push(Block {
                    header: block.header,
                    transfers,
                });
            }
        }
        Ok(Some(Found { blocks, last }))
    }

    fn name(&self) -> &str {
        &self.name
    }
}
