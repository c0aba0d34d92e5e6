//! The way in: whether a request to `/ws` is a WebSocket handshake that we accept, and how the others are told.
//!
//! Refuses to look at tokens: they come in the first frame, never in the URL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use warp::http::header::{
    ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use warp::http::{self, StatusCode};
use warp::reply::{Reply, Response};

const RETRY_AFTER_SECONDS: &str = "5";

/// Why a handshake is refused.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum HandshakeError {
    #[error("sockets are opened by GET and by nothing else")]
    Method,
    #[error("this address speaks WebSocket: send an HTTP/1.1 upgrade request")]
    NotAnUpgrade,
    #[error("only version 13 of the WebSocket protocol is spoken here")]
    Version,
    #[error("Sec-WebSocket-Key is not 16 bytes in base64")]
    Key,
    #[error("pages of this origin may not open sockets here; add it to 'allowed_origins'")]
    Origin,
    #[error("all sockets are taken")]
    Full,
    #[error("the hub is shutting down")]
    ShuttingDown,
}

impl HandshakeError {
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAnUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Key => StatusCode::BAD_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Full | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub const fn code(self) -> &'static str {
        match self {
            Self::Method => "method_not_allowed",
            Self::NotAnUpgrade | Self::Version => "upgrade_required",
            Self::Key => "bad_request",
            Self::Origin => "forbidden_origin",
            Self::Full => "too_many_sockets",
            Self::ShuttingDown => "shutting_down",
        }
    }

    const fn hint(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((ALLOW, HeaderValue::from_static("GET"))),
            Self::NotAnUpgrade => Some((UPGRADE, HeaderValue::from_static("websocket"))),
            Self::Version => Some((SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))),
            Self::Full | Self::ShuttingDown => {
                Some((RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS)))
            }
            Self::Key | Self::Origin => None,
        }
    }

    /// The refusal as a problem body (RFC 9457).
    pub fn into_response(self) -> Response {
        let status = self.status();
        let detail = self.to_string();
        let body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": detail,
            "code": self.code(),
            "error": detail,
        });
        let mut response = http::Response::new(body.to_string()).into_response();
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some((name, value)) = self.hint() {
            if name == UPGRADE {
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
            headers.insert(name, value);
        }
        response
    }
}

/// The pages that may open sockets, beside those of the hub itself.
#[derive(Debug, Clone, Default)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Takes origins as browsers write them, `https://shop.example`; `*` allows all.
    pub fn new(origins: impl IntoIterator<Item = String>) -> Self {
        let normal = |o: String| o.trim_end_matches('/').to_ascii_lowercase();
        Self(origins.into_iter().map(normal).collect())
    }

    /// A request without an origin does not come from a page.
    fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else {
            return true;
        };
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        let origin = origin.to_ascii_lowercase();
        self.0.iter().any(|o| o == "*" || *o == origin) || is_same_host(&origin, headers)
    }
}

fn is_same_host(origin: &str, headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|h| h.to_str().ok()) else {
        return false;
    };
    let (authority, default_port) = match origin.split_once("://") {
        Some(("http", authority)) => (authority, ":80"),
        Some(("https", authority)) => (authority, ":443"),
        _ => return false,
    };
    let host = host.to_ascii_lowercase();
    let without_default = |text: &str| text.strip_suffix(default_port).unwrap_or(text).to_owned();
    !host.is_empty() && without_default(authority) == without_default(&host)
}

/// A handshake that may be completed.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    accept: String,
}

/// Judges a request's headers.
///
/// # Errors
/// What is wrong with it.
pub fn check(headers: &HeaderMap, origins: &Origins) -> Result<Accepted, HandshakeError> {
    if !lists(headers, &CONNECTION, "upgrade") || !lists(headers, &UPGRADE, "websocket") {
        return Err(HandshakeError::NotAnUpgrade);
    }
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .map(HeaderValue::as_bytes)
        != Some(b"13".as_slice())
    {
        return Err(HandshakeError::Version);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(HandshakeError::Key)?;
    if !STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16) {
        return Err(HandshakeError::Key);
    }
    if !origins.allow(headers) {
        return Err(HandshakeError::Origin);
    }
    Ok(Accepted {
        accept: derive_accept_key(key.as_bytes()),
    })
}

/// Whether a comma-separated header names this token.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

impl Accepted {
    /// `101 Switching Protocols`.
    pub fn into_response(self) -> Result<Response, HandshakeError> {
        let accept = HeaderValue::from_str(&self.accept).map_err(|_| HandshakeError::Key)?;
        let mut response = Response::default();
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(changes: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let usual = [
            ("host", "pay.example"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in usual.iter().chain(changes) {
            headers.insert(*name, value.parse().expect("a value"));
        }
        headers.into_iter().filter(|(_, v)| !v.is_empty()).fold(
            HeaderMap::new(),
            |mut kept, (name, value)| {
                kept.insert(name.expect("a name"), value);
                kept
            },
        )
    }

    fn verdict(changes: &[(&'static str, &str)]) -> Result<Accepted, HandshakeError> {
        let origins = Origins::new(["https://Shop.example/".to_owned()]);
        check(&headers(changes), &origins)
    }

    #[test]
    fn the_rfc_s_own_handshake_is_accepted() {
        let accepted = verdict(&[]).expect("a handshake");
        assert_eq!(accepted.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_not_a_handshake_is_told_why() {
        use HandshakeError::{Key, NotAnUpgrade, Version};
        for (change, error) in [
            (("connection", "keep-alive"), NotAnUpgrade),
            (("connection", ""), NotAnUpgrade),
            (("upgrade", "h2c"), NotAnUpgrade),
            (("sec-websocket-version", "8"), Version),
            (("sec-websocket-version", ""), Version),
            (("sec-websocket-key", ""), Key),
            (("sec-websocket-key", "c2hvcnQ="), Key),
            (("sec-websocket-key", "not base64, 24 bytes long"), Key),
        ] {
            assert_eq!(verdict(&[change]), Err(error), "{change:?}");
        }
    }

    #[test]
    fn origins_are_the_same_host_or_allowed() {
        for origin in [
            "https://pay.example",
            "https://PAY.example",
            "http://pay.example:80",
            "https://shop.example",
        ] {
            assert!(verdict(&[("origin", origin)]).is_ok(), "{origin}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "https://pay.example:8443",
            "https://pay.example.evil",
            "http://shop.example",
            "file://pay.example",
            "pay.example",
            "https://",
        ] {
            let refused = verdict(&[("origin", origin)]);
            assert_eq!(refused, Err(HandshakeError::Origin), "{origin}");
        }
        let port = [
            ("origin", "http://127.0.0.1:5000"),
            ("host", "127.0.0.1:5000"),
        ];
        assert!(verdict(&port).is_ok());
        let other_port = [
            ("origin", "http://127.0.0.1:3000"),
            ("host", "127.0.0.1:5000"),
        ];
        assert_eq!(verdict(&other_port), Err(HandshakeError::Origin));
    }
}
