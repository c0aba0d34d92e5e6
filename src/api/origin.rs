//! Which web pages a browser lets at the API: our own, and those whose origins are configured.
//!
//! Reading is stopped by the browser itself. Writing is refused here: a browser sends a foreign page's bare POST without
//! asking first, and a hub on loopback has nothing else to tell a stranger's page from its owner's.

use http::HeaderMap;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, HOST, HeaderValue, ORIGIN, VARY,
};
use warp::reply::Response;

use super::ApiSettings;
use super::mistake::Quoted;
use super::problem::{Kind, Problem};

/// How long a browser may remember the answer to its preflight.
const PREFLIGHT_SECONDS: u32 = 600;

/// Where the page that makes a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No page, or one of our own.
    Own,
    /// Another one, and it is configured.
    Allowed(HeaderValue),
    Foreign(String),
}

impl Origin {
    pub fn of(settings: &ApiSettings, headers: &HeaderMap) -> Self {
        let Some(origin) = headers.get(ORIGIN) else {
            return Self::Own;
        };
        let text = String::from_utf8_lossy(origin.as_bytes());
        if settings.allowed_origins.iter().any(|known| *known == text) {
            return Self::Allowed(origin.clone());
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let same_host = text.split_once("://").map(|(_, host)| host) == host && host.is_some();
        // Behind a proxy the Host header may be another than the browser's.
        if same_host || is_origin_of(&settings.public_url, &text) {
            return Self::Own;
        }
        Self::Foreign(text.into_owned())
    }

    /// Refuses a foreign page's attempt to change something.
    pub fn may_write(&self) -> Result<(), Problem> {
        let Self::Foreign(origin) = self else {
            return Ok(());
        };
        let detail = format!(
            "pages from {} may not do this; add the origin to allowed_origins if it is yours",
            Quoted(origin)
        );
        Err(Problem::new(Kind::ForeignOrigin, detail))
    }

    /// Tells the browser that the page may read the answer.
    pub fn mark(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("origin"));
        if let Self::Allowed(origin) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }

    /// Answers a browser that asks what the page may do.
    pub fn mark_preflight(&self, allow: &'static str, response: &mut Response) {
        if let Self::Allowed(_) = self {
            let headers = response.headers_mut();
            let allowed = HeaderValue::from_static(
                "authorization, content-type, idempotency-key, last-event-id",
            );
            headers.insert(
                ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static(allow),
            );
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(PREFLIGHT_SECONDS));
        }
    }
}

fn is_origin_of(url: &str, origin: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| url.origin().ascii_serialization() == origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(origin: &str, host: &str) -> Origin {
        let settings = ApiSettings {
            public_url: "https://pay.shop.example/hub".to_owned(),
            allowed_origins: vec!["https://admin.shop.example".to_owned()],
            ..ApiSettings::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert(ORIGIN, origin.parse().expect("a header"));
        headers.insert(HOST, host.parse().expect("a header"));
        Origin::of(&settings, &headers)
    }

    #[test]
    fn own_allowed_and_foreign_pages_are_told_apart() {
        let host = "127.0.0.1:5000";
        assert_eq!(judge("http://127.0.0.1:5000", host), Origin::Own);
        assert_eq!(judge("https://pay.shop.example", host), Origin::Own);
        let allowed = judge("https://admin.shop.example", host);
        assert!(matches!(allowed, Origin::Allowed(_)) && allowed.may_write().is_ok());
        for foreign in [
            "null",
            "http://127.0.0.1:5001",
            "http://localhost:5000",
            "https://evil.example",
            "https://admin.shop.example:8443",
            "http://admin.shop.example",
            "https://pay.shop.example.evil.example",
            "127.0.0.1:5000",
        ] {
            let origin = judge(foreign, host);
            assert!(origin.may_write().is_err(), "{foreign}");
        }
        assert_eq!(
            Origin::of(&ApiSettings::default(), &HeaderMap::new()),
            Origin::Own
        );
    }
}
