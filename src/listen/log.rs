//! The hub's event log, read page by page: what a socket cannot replay.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::Event;
use super::options::Options;
use super::socket::Place;
use super::trouble::{Trouble, chain};
use crate::config::secret::SecretText;
use crate::domain::ids::Sequence;
use crate::store::EventScope;

/// Events in a page: the most that the hub gives.
const PAGE_EVENTS: usize = 100;
/// For one page, connecting included.
const PAGE_WITHIN: Duration = Duration::from_secs(10);
/// Longest page that is read: events carry up to 4 KiB of metadata each.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A piece of the log.
#[derive(Debug)]
pub struct Piece {
    pub events: Vec<Event>,
    /// Whether more follows.
    pub rest: Rest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    More,
    End,
}

/// What came instead of a piece.
#[derive(Debug)]
pub enum Missing {
    /// The log begins with this event; those before were removed.
    Gone(Sequence),
    /// It is another log now.
    OtherEpoch,
    Trouble(Trouble),
}

impl From<Trouble> for Missing {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    next: Option<String>,
}

/// The parts of a problem that matter here.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
    first_seq: Option<u64>,
}

/// Reads the log. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    client: reqwest::Client,
    path: String,
    key: Option<SecretText>,
}

impl Log {
    pub fn new(options: &Options, client: reqwest::Client) -> Self {
        let origin = options.hub.origin();
        Self {
            client,
            path: match options.scope {
                EventScope::All => format!("{origin}/v1/events"),
                EventScope::Payment(id) => format!("{origin}/v1/payments/{id}/events"),
            },
            key: options.key.clone(),
        }
    }

    /// The events after a place, oldest first.
    ///
    /// # Errors
    /// See [`Missing`].
    pub async fn after(&self, place: &Place) -> Result<Piece, Missing> {
        let (status, body) = match tokio::time::timeout(PAGE_WITHIN, self.page(place)).await {
            Ok(page) => page?,
            Err(_) => return Err(Trouble::passing("the event log does not answer").into()),
        };
        if status == 200 {
            return Ok(piece(&body)?);
        }
        let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
        Err(match (status, problem.first_seq) {
            (410, Some(first)) => Missing::Gone(Sequence(first)),
            (409, _) if problem.code == "epoch_changed" => Missing::OtherEpoch,
            _ => Missing::Trouble(Trouble::of_status(status, &problem.detail)),
        })
    }

    async fn page(&self, place: &Place) -> Result<(u16, Vec<u8>), Trouble> {
        let mut url = url::Url::parse(&self.path)
            .map_err(|error| Trouble::Final(format!("the log has no URL: {error}")))?;
        url.query_pairs_mut()
            .append_pair("after", &place.after.0.to_string())
            .append_pair("limit", &PAGE_EVENTS.to_string())
            .append_pair("epoch", &place.epoch);
        let mut request = self.client.get(url);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        let broke = |error: reqwest::Error| {
            Trouble::Passing(format!(
                "the event log cannot be read: {}",
                chain(&error.without_url())
            ))
        };
        let mut response = request.send().await.map_err(broke)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broke)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_PAGE_BYTES {
                return Err(Trouble::passing("the event log's answer is too long"));
            }
        }
        Ok((response.status().as_u16(), body))
    }
}

fn piece(body: &[u8]) -> Result<Piece, Trouble> {
    let not_ours = || Trouble::passing("what came is not a list of events");
    let page: Page<'_> = serde_json::from_slice(body).map_err(|_| not_ours())?;
    let events = page
        .data
        .into_iter()
        .map(|raw| Event::parse(raw.get().as_bytes()).ok_or_else(not_ours));
    Ok(Piece {
        events: events.collect::<Result<_, _>>()?,
        rest: match page.next {
            Some(_) => Rest::More,
            None => Rest::End,
        },
    })
}

/// What a refusing hub gives as its reason.
pub fn said(body: &[u8]) -> String {
    serde_json::from_slice::<Problem>(body)
        .unwrap_or_default()
        .detail
}
