//! What can go wrong between the hub and a node, in words that an operator can act on.
//!
//! Every error names the request that it happened to. Refuses to carry URLs or API keys: texts
//! that a node sent are cut to [`EXCERPT_CHARS`] and control characters in them are escaped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::domain::ids::{Height, UnixMs};

/// Characters of a node's text that an error quotes.
pub const EXCERPT_CHARS: usize = 200;

/// A request, as an error names it: endpoint, path, and the height when one was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub endpoint: Arc<str>,
    pub path: &'static str,
    pub height: Option<Height>,
}

impl Asked {
    pub fn new(endpoint: impl Into<Arc<str>>, path: &'static str, height: Option<Height>) -> Self {
        Self {
            endpoint: endpoint.into(),
            path,
            height,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.endpoint, self.path)?;
        match self.height {
            Some(height) => write!(f, " for block {height}"),
            None => Ok(()),
        }
    }
}

/// Why a question to a node has no answer.
#[derive(Debug, Error)]
pub enum SourceError {
    #[error("{asked}: no connection or a broken one: {}", causes(source))]
    Transport {
        asked: Asked,
        #[source]
        source: reqwest::Error,
    },
    #[error("{asked}: no whole answer within {} ms", after.as_millis())]
    Timeout {
        asked: Asked,
        after: Duration,
        #[source]
        source: reqwest::Error,
    },
    #[error("{asked}: HTTP status {code}: {excerpt}")]
    Status {
        asked: Asked,
        code: u16,
        excerpt: String,
    },
    #[error("{asked}: the node asks for a pause of {} ms: {excerpt}", retry_after.as_millis())]
    Throttled {
        asked: Asked,
        retry_after: Duration,
        excerpt: String,
    },
    #[error("{asked}: the node suspended us for {} s: {excerpt}", retry_after.as_secs())]
    Suspended {
        asked: Asked,
        retry_after: Duration,
        excerpt: String,
    },
    /// The node answered, with an error of its own.
    #[error("{asked}: the node reports: {text}")]
    NodeError { asked: Asked, text: String },
    /// A JSON-RPC error; see [`SourceError::RPC_NO_METHOD`] and its like.
    #[error("{asked}: the node refuses: {text} ({code})")]
    Refused {
        asked: Asked,
        code: i64,
        text: String,
    },
    #[error("{asked}: expected JSON, got: {excerpt}")]
    NotJson { asked: Asked, excerpt: String },
    /// JSON, but not what the API promises. `path` leads to the field, like `[3].log[0].topics`.
    #[error("{asked}: malformed answer, {path}: {what}")]
    Malformed {
        asked: Asked,
        path: String,
        what: String,
        #[source]
        source: Option<serde_json::Error>,
    },
    /// A sound answer that belongs to another block than the one asked about.
    #[error("{asked}: answer for another block: {what}")]
    Mismatch { asked: Asked, what: String },
    /// The node does not have it yet, or only says so.
    #[error("{asked}: not available yet: {what}")]
    NotReady { asked: Asked, what: String },
    /// An answer that lacks what is known to be there: the node's index has a hole.
    #[error("{asked}: incomplete answer: {what}")]
    Incomplete { asked: Asked, what: String },
    #[error("{asked}: the answer is larger than {limit_bytes} bytes")]
    TooLarge { asked: Asked, limit_bytes: usize },
    /// Not sent: our own budget or a pause that the node asked for forbids it.
    #[error("{asked}: not sent for another {} ms: {why}", retry_after.as_millis())]
    Budget {
        asked: Asked,
        retry_at: UnixMs,
        retry_after: Duration,
        why: &'static str,
    },
}

impl SourceError {
    /// JSON-RPC: the node does not offer the method.
    pub const RPC_NO_METHOD: i64 = -32601;
    /// java-tron: more results than it gives in one answer.
    pub const RPC_TOO_MANY: i64 = -32005;
    /// java-tron: an answer larger than it sends.
    pub const RPC_TOO_LARGE: i64 = -32003;

    /// How long to stay away, where the node or the budget says so.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. }
            | Self::Suspended { retry_after, .. }
            | Self::Budget { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Whether the endpoint is to blame, so that another one may do better. Blocks that are not
    /// there yet and pauses that were asked for are nobody's fault.
    pub const fn is_endpoint_fault(&self) -> bool {
        match self {
            Self::Transport { .. }
            | Self::Timeout { .. }
            | Self::Status { .. }
            | Self::NodeError { .. }
            | Self::Refused { .. }
            | Self::NotJson { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::Incomplete { .. } => true,
            Self::Throttled { .. }
            | Self::Suspended { .. }
            | Self::Mismatch { .. }
            | Self::NotReady { .. }
            | Self::Budget { .. } => false,
        }
    }

    /// The same question would be answered in the same way for a while.
    pub(super) const fn is_lasting(&self) -> bool {
        self.is_endpoint_fault() && !matches!(self, Self::Transport { .. } | Self::Timeout { .. })
    }

    /// The node answered as one that does not offer this path: a missing or disabled API
    /// (404, 405, 501), an unknown method, or the plain text by which a lite node refuses (status 200, not JSON).
    pub(super) const fn means_path_is_missing(&self) -> bool {
        matches!(
            self,
            Self::Status {
                code: 404 | 405 | 501,
                ..
            } | Self::NotJson { .. }
                | Self::Refused {
                    code: Self::RPC_NO_METHOD,
                    ..
                }
        )
    }

    /// The same question about less would be answered.
    pub(super) const fn means_too_much(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. }
                | Self::TooLarge { .. }
                | Self::Refused {
                    code: Self::RPC_TOO_MANY | Self::RPC_TOO_LARGE,
                    ..
                }
        )
    }
}

/// An error's innermost cause: reqwest's own text says little more than "error sending request".
fn causes(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(next) = innermost.source() {
        innermost = next;
    }
    excerpt(&innermost.to_string())
}

/// Cuts a text to [`EXCERPT_CHARS`] and escapes its control characters, so that no node can
/// write into an operator's terminal or log.
pub fn excerpt(text: &str) -> String {
    let mut cut = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == EXCERPT_CHARS {
            cut.push('…');
            break;
        }
        if c.is_control() || is_text_direction(c) {
            cut.extend(c.escape_unicode());
        } else {
            cut.push(c);
        }
    }
    if cut.is_empty() {
        cut.push_str("(nothing)");
    }
    cut
}

/// Characters that reorder or break the line they are shown in.
const fn is_text_direction(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_short_and_harmless() {
        let long = excerpt(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), EXCERPT_CHARS + 1);
        assert_eq!(excerpt("a\u{1b}[31m\u{202e}b\n"), "a\\u{1b}[31m\\u{202e}b");
        assert_eq!(excerpt(" \n "), "(nothing)");
    }

    #[test]
    fn texts_name_the_request() {
        let error = SourceError::NotReady {
            asked: Asked::new("api.trongrid.io", "/wallet/getblock", Some(Height(7))),
            what: "the node does not have it".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "api.trongrid.io/wallet/getblock for block 7: not available yet: the node does not have it"
        );
        assert_eq!(error.retry_after(), None);
        assert!(!error.is_endpoint_fault());
    }

    #[test]
    fn pauses_carry_their_length() {
        let error = SourceError::Budget {
            asked: Asked::new("h", "/p", None),
            retry_at: UnixMs(5_000),
            retry_after: Duration::from_secs(3),
            why: "the day's requests are used up",
        };
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
        assert!(!error.is_endpoint_fault());
    }
}
