//! A TRON node spoken to through its HTTP API (java-tron, TronGrid and what imitates them).
//!
//! Owns the paths, the request bodies and the rules by which logs are tied to a header. Refuses
//! to retry, to follow redirects, and to take an empty answer for an empty block without proof.
//!
//! Source of the API: <https://developers.tron.network/reference>, java-tron's servlets.

mod endpoint;
#[cfg(test)]
mod fake_node;
mod pauses;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::budget::Budget;
use super::error::{Asked, SourceError, excerpt};
use super::http::{self, HttpLimits};
use super::tron_wire::{self, Infos, WireError};
use super::{Contents, FetchedHeader, Source, Usage};
use crate::clock::Clock;
use crate::domain::address::Address;
use crate::domain::chain::Block;
use crate::domain::ids::{Height, UnixMs};

use endpoint::{ApiKey, BaseUrl, Secrets};
pub use endpoint::{TronConfig, TronConfigError};

/// How long a node that lacks `getblock` is asked by the older paths, before `getblock` is
/// tried again: load-balanced nodes answer 404 now and then for paths that exist.
const OLD_PATHS_FOR_MS: u64 = 600_000;

const INFOS: &str = "/wallet/gettransactioninfobyblocknum";
const BLOCK_BY_NUMBER: &str = "/wallet/getblockbynum";

/// One TRON node or provider.
pub struct TronHttp {
    host: Arc<str>,
    base: BaseUrl,
    api_key: Option<ApiKey>,
    secrets: Secrets,
    contract: Address,
    limits: HttpLimits,
    client: reqwest::Client,
    budget: Budget,
    clock: Arc<dyn Clock>,
    /// Until then this node's blocks are asked for by the older paths, for each view.
    old_paths_until: [AtomicU64; 2],
    /// A header whose root said "no transactions" belonged to a block that had some.
    roots_lie: AtomicBool,
}

/// Which of a node's two views of the chain is asked: all blocks, or the final ones.
#[derive(Clone, Copy)]
enum View {
    Newest,
    Final,
}

impl View {
    const fn get_block(self) -> &'static str {
        match self {
            Self::Newest => "/wallet/getblock",
            Self::Final => "/walletsolidity/getblock",
        }
    }

    const fn get_now_block(self) -> &'static str {
        match self {
            Self::Newest => "/wallet/getnowblock",
            Self::Final => "/walletsolidity/getnowblock",
        }
    }
}

/// What a second look at a block says of its transactions.
enum SecondLook {
    NoTransactions,
    Transactions,
    /// The node does not offer the request.
    Unavailable(SourceError),
}

impl TronHttp {
    /// # Errors
    /// When the URL or the key cannot be used.
    pub fn new(
        config: TronConfig,
        client: reqwest::Client,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TronConfigError> {
        let base = BaseUrl::parse(&config.url)?;
        Ok(Self {
            host: base.host().into(),
            api_key: config.api_key.as_deref().map(ApiKey::parse).transpose()?,
            secrets: Secrets::of(&base, config.api_key.as_deref()),
            base,
            contract: config.contract,
            limits: config.http,
            client,
            budget: Budget::new(config.budget),
            clock,
            old_paths_until: [AtomicU64::new(0), AtomicU64::new(0)],
            roots_lie: AtomicBool::new(false),
        })
    }

    /// A block's header by height, or the newest one; `None` for `{}`.
    async fn fetch_header(
        &self,
        view: View,
        height: Option<Height>,
    ) -> Result<Option<FetchedHeader>, SourceError> {
        let old_paths_until = &self.old_paths_until[view as usize];
        if self.now().0 < old_paths_until.load(Ordering::Relaxed) {
            return self.header_by_old_paths(view, height).await;
        }
        let body = match height {
            Some(height) => format!(r#"{{"id_or_num":"{height}","detail":false}}"#),
            None => r#"{"detail":false}"#.to_owned(),
        };
        let asked = self.asked(view.get_block(), height);
        match self.ask(&asked, body, tron_wire::parse_header).await {
            Err(error) if error.means_path_is_missing() => {
                let found = self.header_by_old_paths(view, height).await?;
                let until = self.now().plus_ms(OLD_PATHS_FOR_MS);
                old_paths_until.store(until.0, Ordering::Relaxed);
                tracing::info!(%error, "this node is asked for whole blocks instead of headers");
                Ok(found)
            }
            outcome => outcome,
        }
    }

    async fn header_by_old_paths(
        &self,
        view: View,
        height: Option<Height>,
    ) -> Result<Option<FetchedHeader>, SourceError> {
        let (path, body) = match height {
            Some(height) => (BLOCK_BY_NUMBER, format!(r#"{{"num":{height}}}"#)),
            None => (view.get_now_block(), "{}".to_owned()),
        };
        let asked = self.asked(path, height);
        self.ask(&asked, body, tron_wire::parse_header).await
    }

    async fn newest(&self, view: View) -> Result<FetchedHeader, SourceError> {
        let found = self.fetch_header(view, None).await?;
        found.ok_or_else(|| SourceError::NotReady {
            asked: self.asked(view.get_block(), None),
            what: "the node has no block at all".to_owned(),
        })
    }

    async fn infos(&self, header: &FetchedHeader) -> Result<Infos, SourceError> {
        let height = header.header.height;
        let asked = self.asked(INFOS, Some(height));
        self.ask(&asked, format!(r#"{{"num":{height}}}"#), |body| {
            tron_wire::parse_infos(body, &header.header, self.contract)
        })
        .await
    }

    /// Asks for the whole block, which alone tells an empty block from one whose logs the node
    /// does not have (yet).
    async fn second_look(&self, header: &FetchedHeader) -> Result<SecondLook, SourceError> {
        let height = header.header.height;
        let asked = self.asked(BLOCK_BY_NUMBER, Some(height));
        let body = format!(r#"{{"num":{height}}}"#);
        let summary = match self.ask(&asked, body, tron_wire::parse_summary).await {
            Err(error) if error.means_path_is_missing() => {
                return Ok(SecondLook::Unavailable(error));
            }
            outcome => outcome?,
        };
        match summary {
            None => Err(SourceError::NotReady {
                asked,
                what: "the node does not have the block whose header it gave".to_owned(),
            }),
            Some(found) if found.hash != header.header.hash => Err(SourceError::Mismatch {
                asked,
                what: format!("the block is {}, not {}", found.hash, header.header.hash),
            }),
            Some(found) => Ok(match found.contents {
                Contents::NotEmpty => SecondLook::Transactions,
                Contents::Empty | Contents::Unknown => SecondLook::NoTransactions,
            }),
        }
    }

    /// Whether a block whose header says so is empty indeed. `[]` from the list of infos would
    /// prove nothing, so the block itself is asked for instead: the same one request.
    async fn is_empty_indeed(&self, header: &FetchedHeader) -> Result<bool, SourceError> {
        match self.second_look(header).await? {
            SecondLook::NoTransactions => Ok(true),
            SecondLook::Transactions => {
                self.roots_lie.store(true, Ordering::Relaxed);
                tracing::warn!(
                    endpoint = %self.host, height = %header.header.height,
                    "the header's txTrieRoot is zero but the block has transactions"
                );
                Ok(false)
            }
            // Nothing better is to be had here than the header's word and an empty list.
            SecondLook::Unavailable(_) => Ok(self.infos(header).await?.transactions == 0),
        }
    }

    fn asked(&self, path: &'static str, height: Option<Height>) -> Asked {
        Asked::new(Arc::clone(&self.host), path, height)
    }

    fn now(&self) -> UnixMs {
        self.clock.now()
    }

    /// One request, one answer, read by `parse`.
    async fn ask<T>(
        &self,
        asked: &Asked,
        body: String,
        parse: impl Fn(&[u8]) -> Result<T, WireError>,
    ) -> Result<T, SourceError> {
        self.take_turn(asked).await?;
        let mut request = self
            .client
            .post(self.base.join(asked.path))
            .header(http::CONTENT_TYPE, "application/json")
            .header(http::ACCEPT, "application/json")
            .body(body);
        if let Some(key) = &self.api_key {
            request = request.header(ApiKey::HEADER, key.value());
        }
        let answer = http::exchange(request, self.limits, asked)
            .await?
            .map_err(|bad| self.bad_status(asked, bad))?;
        let read = parse(&answer.body).map_err(|wrong| self.wrong_answer(asked, wrong))?;
        self.budget.answered();
        Ok(read)
    }

    /// Waits for this request's turn in the budget.
    async fn take_turn(&self, asked: &Asked) -> Result<(), SourceError> {
        let now = self.now();
        let permit = self
            .budget
            .admit(now)
            .map_err(|refusal| refusal.into_error(asked, now))?;
        if permit.wait.is_zero() {
            return Ok(());
        }
        tokio::time::sleep(permit.wait).await;
        // An answer to someone else may have asked for a pause in the meantime.
        let now = self.now();
        match self.budget.pause_at(now) {
            Some(refusal) => Err(refusal.into_error(asked, now)),
            None => Ok(()),
        }
    }

    fn bad_status(&self, asked: &Asked, bad: http::BadStatus) -> SourceError {
        let text =
            tron_wire::error_in(&bad.body).unwrap_or_else(|| tron_wire::beginning(&bad.body));
        if let Some(pause) = pauses::told_by(&text, bad.retry_after) {
            return self.paused(asked, &text, pause);
        }
        if bad.code == 429 {
            return self.paused(asked, &text, pauses::Pause::Throttled(bad.retry_after));
        }
        SourceError::Status {
            asked: asked.clone(),
            code: bad.code,
            excerpt: self.show(&text),
        }
    }

    fn wrong_answer(&self, asked: &Asked, wrong: WireError) -> SourceError {
        let asked = asked.clone();
        match wrong {
            WireError::Node { text } => match pauses::told_by(&text, None) {
                Some(pause) => self.paused(&asked, &text, pause),
                None => SourceError::NodeError {
                    text: self.show(&text),
                    asked,
                },
            },
            WireError::NotJson { text } => SourceError::NotJson {
                excerpt: self.show(&text),
                asked,
            },
            WireError::Malformed { path, what, source } => SourceError::Malformed {
                asked,
                path,
                what: self.show(&what),
                source,
            },
            WireError::Mismatch { what } => SourceError::Mismatch { asked, what },
        }
    }

    fn paused(&self, asked: &Asked, text: &str, pause: pauses::Pause) -> SourceError {
        let now = self.now();
        let asked = asked.clone();
        let excerpt = self.show(text);
        match pause {
            pauses::Pause::Suspended(told) => SourceError::Suspended {
                retry_after: self.budget.suspended(now, told),
                asked,
                excerpt,
            },
            pauses::Pause::Throttled(told) => SourceError::Throttled {
                retry_after: self.budget.throttled(now, told),
                asked,
                excerpt,
            },
            pauses::Pause::DaySpent => SourceError::Throttled {
                retry_after: self.budget.provider_day_spent(now),
                asked,
                excerpt,
            },
        }
    }

    /// A node's text made fit for an operator: without secrets, short, harmless.
    fn show(&self, text: &str) -> String {
        excerpt(&self.secrets.strike_out(text))
    }
}

#[async_trait::async_trait]
impl Source for TronHttp {
    async fn head(&self) -> Result<FetchedHeader, SourceError> {
        self.newest(View::Newest).await
    }

    async fn final_head(&self) -> Result<FetchedHeader, SourceError> {
        self.newest(View::Final).await
    }

    async fn header(&self, height: Height) -> Result<Option<FetchedHeader>, SourceError> {
        let found = self.fetch_header(View::Newest, Some(height)).await?;
        match found {
            Some(other) if other.header.height != height => Err(SourceError::Mismatch {
                asked: self.asked(View::Newest.get_block(), Some(height)),
                what: format!("the header is of height {}", other.header.height),
            }),
            found => Ok(found),
        }
    }

    async fn block(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
        let empty = Block {
            header: header.header,
            transfers: Vec::new(),
        };
        // Block 0 is written, not executed: it has transactions but no infos, ever.
        if header.header.height == Height(0) {
            return Ok(empty);
        }
        let said_empty =
            header.contents == Contents::Empty && !self.roots_lie.load(Ordering::Relaxed);
        if said_empty && self.is_empty_indeed(header).await? {
            return Ok(empty);
        }
        let infos = self.infos(header).await?;
        if infos.transactions > 0 {
            return Ok(Block {
                header: header.header,
                transfers: infos.transfers,
            });
        }
        match self.second_look(header).await? {
            SecondLook::NoTransactions => Ok(empty),
            SecondLook::Transactions => Err(SourceError::NotReady {
                asked: self.asked(INFOS, Some(header.header.height)),
                what: "no logs yet for a block that has transactions".to_owned(),
            }),
            SecondLook::Unavailable(error) => Err(error),
        }
    }

    fn name(&self) -> &str {
        &self.host
    }

    fn usage(&self) -> Usage {
        self.budget.usage(self.now())
    }
}

#[cfg(test)]
mod tests;
