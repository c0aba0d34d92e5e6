//! What became of one attempt to deliver a webhook, in the terms that the dispatcher acts on and the record keeps.
//!
//! Owns the reading of a receiver's answer: status, `Retry-After`, the first bytes. Refuses to act on it.
//! Sources: API.md section 4; RFC 9110 section 10.2.3 (`Retry-After`).

use std::error::Error;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{CONTENT_LENGTH, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

use super::breaker::Told;
use super::callback_url::CallbackError;
use super::guard::ResolveError;
use crate::domain::retry::RetryAfter;
use crate::domain::target::Target;

/// Bytes of an answer's body that are kept for the record.
pub const EXCERPT_BYTES: usize = 512;
/// Longest [`Failure::reason`], characters; error texts of other crates are not bounded.
const MAX_REASON_CHARS: usize = 400;

/// One attempt, for the record.
#[derive(Debug)]
pub struct AttemptOutcome {
    /// The answer's status, as far as one came.
    pub status: Option<u16>,
    /// From the start of the attempt to its verdict, milliseconds.
    pub latency_ms: u64,
    /// The first [`EXCERPT_BYTES`] bytes of the answer's body, as text without control characters; what is not UTF-8
    /// shows as U+FFFD.
    pub excerpt: String,
    pub verdict: Verdict,
}

/// What the attempt means for the delivery and its endpoint.
#[derive(Debug)]
pub enum Verdict {
    /// 2xx, and the answer came to its end or to the reading limit.
    Delivered,
    /// 410: the receiver wants no more webhooks. Disable the endpoint.
    Gone,
    /// 429, 502, 503 or 504: the receiver is overloaded. Try again, and slow the endpoint down.
    Overloaded {
        status: u16,
        retry_after: Option<RetryAfter>,
    },
    /// Anything else. Try again by the schedule.
    Failed {
        failure: Failure,
        retry_after: Option<RetryAfter>,
    },
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("refused before anything was sent: {0}")]
    Refused(#[source] CallbackError),
    #[error("the request could not be built")]
    Request(#[source] reqwest::Error),
    #[error("the host name was not resolved")]
    Unresolved(#[source] reqwest::Error),
    #[error("no connection within {} ms", .0.as_millis())]
    ConnectTimeout(Duration),
    #[error("no connection")]
    Connect(#[source] reqwest::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    AnswerTimeout(Duration),
    #[error("the connection broke before a valid HTTP answer came")]
    NoAnswer(#[source] reqwest::Error),
    #[error("the answer began but did not end within {} ms", .0.as_millis())]
    BodyTimeout(Duration),
    #[error("the answer broke off in its body")]
    BrokenBody(#[source] reqwest::Error),
    #[error("status {0}: redirects are not followed; register the final URL")]
    Redirect(u16),
    #[error("status {0}")]
    Status(u16),
}

impl Failure {
    /// The failure with its cause, in one line of bounded length, for the record.
    pub fn reason(&self) -> String {
        let mut reason = self.to_string();
        if !matches!(self, Self::Refused(_)) {
            let mut cause: Option<&dyn Error> = self.source();
            let mut innermost = None;
            while let Some(error) = cause {
                innermost = Some(error);
                cause = error.source();
            }
            if let Some(error) = innermost {
                reason = format!("{reason}: {error}");
            }
        }
        reason.chars().take(MAX_REASON_CHARS).collect()
    }

    /// Sorts an error that came before any answer. The URL is taken out of it, for it may hold a token.
    pub(super) fn before_answer(error: reqwest::Error, connect_timeout: Duration) -> Self {
        let error = error.without_url();
        match resolve_error(&error) {
            Some(ResolveError::Refused(refusal)) => return Self::Refused(refusal.clone()),
            Some(_) => return Self::Unresolved(error),
            None => {}
        }
        if error.is_builder() {
            Self::Request(error)
        } else if error.is_connect() && error.is_timeout() {
            Self::ConnectTimeout(connect_timeout)
        } else if error.is_connect() {
            Self::Connect(error)
        } else {
            Self::NoAnswer(error)
        }
    }
}

/// The guard's own error, which arrives wrapped in three layers of other crates' errors.
fn resolve_error(error: &reqwest::Error) -> Option<&ResolveError> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

impl Verdict {
    pub(super) const fn failed(failure: Failure) -> Self {
        Self::Failed {
            failure,
            retry_after: None,
        }
    }

    /// What a status means by itself.
    pub(super) fn of_status(status: StatusCode, retry_after: Option<RetryAfter>) -> Self {
        let code = status.as_u16();
        match code {
            200..=299 => Self::Delivered,
            410 => Self::Gone,
            429 | 502 | 503 | 504 => Self::Overloaded {
                status: code,
                retry_after,
            },
            300..=399 => Self::Failed {
                failure: Failure::Redirect(code),
                retry_after,
            },
            _ => Self::Failed {
                failure: Failure::Status(code),
                retry_after,
            },
        }
    }

    /// How long the receiver asked to be left alone, for `domain::retry::next_attempt`.
    pub const fn retry_after(&self) -> Option<RetryAfter> {
        match self {
            Self::Delivered | Self::Gone => None,
            Self::Overloaded { retry_after, .. } | Self::Failed { retry_after, .. } => *retry_after,
        }
    }

    /// What it says about the target. Many URLs share an origin, so a status is the business of one of them.
    pub const fn told(&self, target: Target) -> Told {
        match self {
            Self::Delivered => Told::Delivered,
            Self::Gone => Told::Answered,
            Self::Overloaded { retry_after, .. } => Told::Overloaded(*retry_after),
            Self::Failed { failure, .. } => match (failure, target) {
                (Failure::Request(_), _) => Told::Nothing,
                (Failure::Status(_) | Failure::Redirect(_), Target::Origin(_)) => Told::Answered,
                _ => Told::Failed,
            },
        }
    }

    /// Why it was not delivered, in one line for the record; nothing where it was.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Delivered => None,
            Self::Gone => Some("status 410: the receiver wants no more webhooks".to_owned()),
            Self::Overloaded { status, .. } => Some(format!("status {status}: overloaded")),
            Self::Failed { failure, .. } => Some(failure.reason()),
        }
    }
}

/// Reads `Retry-After`: seconds, or an HTTP date that is compared with the attempt's own time in Unix seconds.
pub(super) fn retry_after(headers: &HeaderMap, attempt_s: u64) -> Option<RetryAfter> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are more than the cap.
        return Some(RetryAfter::from_seconds(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let date_s = date.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(RetryAfter::from_seconds(date_s.saturating_sub(attempt_s)))
}

/// Whether an error in the body is only a TLS connection closed without saying so, after an answer that gave no length.
///
/// Such an answer ends where the connection does, and simple servers (Python's among them) skip TLS's closing alert. The
/// alert guards against a truncated text; here the status is the message, so the answer counts as whole.
pub(super) fn is_silent_end(headers: &HeaderMap, error: &(dyn Error + 'static)) -> bool {
    if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING) {
        return false;
    }
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::UnexpectedEof;
        }
        cause = error.source();
    }
    false
}

/// Makes bytes fit for a record: text, no control characters, no half character at the end.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    let kept = &bytes[..bytes.len().min(EXCERPT_BYTES)];
    let whole = match std::str::from_utf8(kept) {
        // `error_len` is none when the bytes end inside a character that began well.
        Err(error) if error.error_len().is_none() => &kept[..error.valid_up_to()],
        _ => kept,
    };
    String::from_utf8_lossy(whole)
        .chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\r' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::domain::ids::EndpointId;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const THEN_S: u64 = 784_111_777;

    fn read(value: &[u8], attempt_s: u64) -> Option<u32> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_bytes(value).expect("valid"));
        retry_after(&headers, attempt_s).map(RetryAfter::seconds)
    }

    #[test]
    fn retry_after_as_seconds_or_as_a_date() {
        assert_eq!(read(b"120", THEN_S), Some(120));
        assert_eq!(read(b" 0 ", THEN_S), Some(0));
        assert_eq!(read(b"99999999999999999999999", THEN_S), Some(86_400));
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(read(date, THEN_S - 90), Some(90));
        assert_eq!(read(date, THEN_S + 90), Some(0));
        assert_eq!(read(date, 0), Some(86_400));
        assert_eq!(read(b"Sunday, 06-Nov-94 08:49:37 GMT", THEN_S - 5), Some(5));
    }

    #[test]
    fn a_retry_after_that_makes_no_sense_is_ignored() {
        for value in [&b""[..], b"-5", b"+5", b"1.5", b"soon", b"\xff"] {
            assert_eq!(read(value, THEN_S), None, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), THEN_S), None);
    }

    #[test]
    fn statuses_and_what_they_mean() {
        let of = |code: u16| Verdict::of_status(StatusCode::from_u16(code).expect("valid"), None);
        for code in [200, 201, 202, 204, 299] {
            assert!(matches!(of(code), Verdict::Delivered), "{code}");
        }
        for code in [429, 502, 503, 504] {
            assert!(matches!(of(code), Verdict::Overloaded { .. }), "{code}");
        }
        assert!(matches!(of(410), Verdict::Gone));
        for code in [300, 301, 302, 303, 304, 307, 308] {
            let reason = of(code).reason().expect("valid");
            assert!(reason.contains("redirects are not followed"), "{reason}");
        }
        for code in [101, 400, 401, 404, 408, 409, 500, 501, 599, 600, 999] {
            assert_eq!(of(code).reason(), Some(format!("status {code}")));
        }
    }

    #[test]
    fn a_status_is_an_endpoints_own_but_one_urls_at_an_origin() {
        let origin = Target::of(EndpointId::CALLBACK, "https://shop.example/hook");
        let endpoint = Target::Endpoint(EndpointId(1));
        let of = |code: u16| Verdict::of_status(StatusCode::from_u16(code).expect("valid"), None);
        for code in [301, 400, 404, 500] {
            assert_eq!(of(code).told(origin), Told::Answered, "{code}");
            assert_eq!(of(code).told(endpoint), Told::Failed, "{code}");
        }
        for target in [origin, endpoint] {
            assert_eq!(of(200).told(target), Told::Delivered);
            assert_eq!(of(410).told(target), Told::Answered);
            assert_eq!(of(503).told(target), Told::Overloaded(None));
            let hangs = Verdict::failed(Failure::BodyTimeout(Duration::ZERO));
            assert_eq!(hangs.told(target), Told::Failed);
        }
    }

    /// Found with a receiver on Python's http.server behind TLS: every delivery arrived, and every one was tried again.
    #[test]
    fn a_tls_connection_closed_without_goodbye_is_an_end_only_where_no_length_was_given() {
        let eof = io::Error::from(io::ErrorKind::UnexpectedEof);
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let wrapped = SecretlyEof(io::Error::from(io::ErrorKind::UnexpectedEof));
        let mut headers = HeaderMap::new();
        assert!(is_silent_end(&headers, &eof));
        assert!(is_silent_end(&headers, &wrapped));
        assert!(!is_silent_end(&headers, &reset));
        assert!(!is_silent_end(&headers, &std::fmt::Error));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(2));
        assert!(!is_silent_end(&headers, &eof));
        headers.clear();
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        assert!(!is_silent_end(&headers, &eof));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("a body error")]
    struct SecretlyEof(#[source] io::Error);

    #[test]
    fn an_excerpt_is_short_clean_text() {
        assert_eq!(
            excerpt(b"ok\r\n\tfine\0\x1b[31m"),
            "ok \n\tfine\u{fffd}\u{fffd}[31m"
        );
        assert_eq!(excerpt(&vec![b'x'; 2000]).len(), EXCERPT_BYTES);
        assert_eq!(excerpt(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        let euros = "€".repeat(400);
        assert_eq!(excerpt(euros.as_bytes()), "€".repeat(EXCERPT_BYTES / 3));
        assert_eq!(excerpt(b""), "");
    }
}
