//! The connection to one node: where it is, its key, its budget, and what its refusals mean.
//!
//! Owns the sending of one request and the reading of its answer, whatever API it is for. Refuses to retry.

mod address;
mod pauses;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::Usage;
use super::budget::Budget;
use super::error::{Asked, SourceError, excerpt};
use super::http::{self, HttpLimits};
use super::tron_wire::{self, WireError};
use crate::clock::Clock;
use crate::domain::ids::{Height, UnixMs};

use address::{ApiKey, BaseUrl, Secrets};
pub use address::{NodeConfig, NodeConfigError};

/// One node or provider, over however many of its APIs: they share one budget.
pub(super) struct Connection {
    host: Arc<str>,
    base: BaseUrl,
    api_key: Option<ApiKey>,
    secrets: Secrets,
    limits: HttpLimits,
    client: reqwest::Client,
    budget: Budget,
    clock: Arc<dyn Clock>,
}

impl Connection {
    /// # Errors
    /// When the URL or the key cannot be used.
    pub(super) fn new(
        config: &NodeConfig,
        client: reqwest::Client,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NodeConfigError> {
        let base = BaseUrl::parse(&config.url)?;
        Ok(Self {
            host: base.host().into(),
            api_key: config.api_key.as_deref().map(ApiKey::parse).transpose()?,
            secrets: Secrets::of(&base, config.api_key.as_deref()),
            base,
            limits: config.http,
            client,
            budget: Budget::new(config.budget),
            clock,
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn now(&self) -> UnixMs {
        self.clock.now()
    }

    pub(super) fn usage(&self) -> Usage {
        self.budget.usage(self.now())
    }

    pub(super) fn asked(&self, path: &'static str, height: Option<Height>) -> Asked {
        Asked::new(Arc::clone(&self.host), path, height)
    }

    /// The URL of a path below the configured one.
    pub(super) fn join(&self, path: &str) -> Url {
        self.base.join(path)
    }

    /// The configured URL, with `path` where it has none of its own.
    pub(super) fn url_or(&self, path: &str) -> Url {
        self.base.url_or(path)
    }

    /// One request, one answer, read by `parse`.
    pub(super) async fn post<T>(
        &self,
        url: Url,
        asked: &Asked,
        body: String,
        parse: impl Fn(&[u8]) -> Result<T, WireError>,
    ) -> Result<T, SourceError> {
        self.take_turn(asked).await?;
        let mut request = self
            .client
            .post(url)
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

    /// What a sound HTTP answer that cannot be used comes to.
    pub(super) fn wrong_answer(&self, asked: &Asked, wrong: WireError) -> SourceError {
        let asked = asked.clone();
        match wrong {
            WireError::Node { text } => match pauses::told_by(&text, None) {
                Some(pause) => self.paused(&asked, &text, pause),
                None => SourceError::NodeError {
                    text: self.show(&text),
                    asked,
                },
            },
            WireError::Rpc { code, text } => match pauses::told_by(&text, None) {
                Some(pause) => self.paused(&asked, &text, pause),
                None => SourceError::Refused {
                    text: self.show(&text),
                    code,
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
        let throttled = |asked, retry_after: Duration, excerpt| SourceError::Throttled {
            asked,
            retry_after,
            excerpt,
        };
        match pause {
            pauses::Pause::Suspended(told) => SourceError::Suspended {
                retry_after: self.budget.suspended(now, told),
                asked,
                excerpt,
            },
            pauses::Pause::Throttled(told) => {
                throttled(asked, self.budget.throttled(now, told), excerpt)
            }
            pauses::Pause::DaySpent => {
                throttled(asked, self.budget.provider_day_spent(now), excerpt)
            }
        }
    }

    /// A node's text made fit for an operator: without secrets, short, harmless.
    fn show(&self, text: &str) -> String {
        excerpt(&self.secrets.strike_out(text))
    }
}
