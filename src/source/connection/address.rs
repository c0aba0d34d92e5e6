//! Where a node is and what opens it: URL, API key, and their concealment.
//!
//! Owns everything secret about an endpoint. Refuses to let it be printed.

use std::fmt;

use reqwest::header::HeaderValue;
use thiserror::Error;
use url::Url;

use crate::domain::address::Address;
use crate::source::budget::BudgetLimits;
use crate::source::http::HttpLimits;
use crate::source::node::Api;

/// Shorter parts of a URL are words like `v1` or `mainnet`, not secrets.
const SHORTEST_SECRET_CHARS: usize = 8;

/// How to speak to one node.
#[derive(Clone)]
pub struct NodeConfig {
    /// `https://api.trongrid.io`; a path prefix, a trailing slash and a query are kept.
    pub url: String,
    /// Sent as `TRON-PRO-API-KEY`. An empty one is none.
    pub api_key: Option<String>,
    pub api: Api,
    /// The token contract whose transfers are read.
    pub contract: Address,
    /// The time from one block to the next.
    pub slot_ms: u64,
    pub budget: BudgetLimits,
    pub http: HttpLimits,
}

impl NodeConfig {
    /// A TRON node without key or limits.
    pub fn new(url: impl Into<String>, contract: Address) -> Self {
        Self {
            url: url.into(),
            api_key: None,
            api: Api::Auto,
            contract,
            slot_ms: 3_000,
            budget: BudgetLimits::default(),
            http: HttpLimits::default(),
        }
    }
}

impl fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = BaseUrl::parse(&self.url).map_or_else(|_| "(no URL)".to_owned(), |it| it.host());
        f.debug_struct("NodeConfig")
            .field("host", &host)
            .field("contract", &self.contract)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// Why a configured node cannot be spoken to. Never shows the URL or the key.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum NodeConfigError {
    #[error("the endpoint's URL cannot be read: {0}")]
    Url(#[from] url::ParseError),
    #[error("the endpoint's URL must begin with http:// or https:// and name a host")]
    Scheme,
    #[error("the API key holds a character that no HTTP header may hold")]
    ApiKey,
}

pub(super) struct BaseUrl(Url);

impl BaseUrl {
    pub(super) fn parse(text: &str) -> Result<Self, NodeConfigError> {
        let url = Url::parse(text.trim())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(NodeConfigError::Scheme);
        }
        Ok(Self(url))
    }

    /// Host, and the port where it is not the scheme's own.
    pub(super) fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The URL itself; with `path` in place of no path at all.
    pub(super) fn url_or(&self, path: &str) -> Url {
        if self.0.path() == "/" {
            return self.join(path);
        }
        let mut url = self.0.clone();
        url.set_fragment(None);
        url
    }

    /// The URL of an API path, below whatever path the base has.
    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.set_fragment(None);
        url
    }
}

pub(super) struct ApiKey(HeaderValue);

impl ApiKey {
    pub(super) const HEADER: &str = "TRON-PRO-API-KEY";

    pub(super) fn parse(text: &str) -> Result<Self, NodeConfigError> {
        let mut value = HeaderValue::from_str(text.trim()).map_err(|_| NodeConfigError::ApiKey)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(super) fn value(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Texts that a node may echo and nobody shall read: the key, and what a provider hides in URLs.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn of(base: &BaseUrl, api_key: Option<&str>) -> Self {
        let url = &base.0;
        let in_path = url.path().split('/').map(str::to_owned);
        let in_query = url.query_pairs().map(|(_, value)| value.into_owned());
        let in_login = url.password().map(str::to_owned);
        let mut found: Vec<String> = in_path
            .chain(in_query)
            .chain(in_login)
            .filter(|text| text.chars().count() >= SHORTEST_SECRET_CHARS)
            .chain(api_key.map(|key| key.trim().to_owned()))
            .filter(|text| !text.is_empty())
            .collect();
        // Longest first, so that a secret within another is not struck out before it.
        found.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(found)
    }

    pub(super) fn strike_out(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.as_str(), "***")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &str) -> String {
        let base = BaseUrl::parse(base).expect("a URL");
        base.join("/wallet/getblock").to_string()
    }

    #[test]
    fn paths_go_below_the_base() {
        assert_eq!(
            joined("https://h.example"),
            "https://h.example/wallet/getblock"
        );
        assert_eq!(
            joined("https://h.example/"),
            "https://h.example/wallet/getblock"
        );
        assert_eq!(
            joined("http://h.example:8090/tron/v1//"),
            "http://h.example:8090/tron/v1/wallet/getblock"
        );
        assert_eq!(
            joined("https://h.example/a?token=t#x"),
            "https://h.example/a/wallet/getblock?token=t"
        );
    }

    #[test]
    fn a_path_that_was_configured_is_kept() {
        let url = |base: &str| BaseUrl::parse(base).expect("a URL").url_or("/jsonrpc");
        for (base, expected) in [
            ("http://h.example:8545", "http://h.example:8545/jsonrpc"),
            ("http://h.example/?k=v#x", "http://h.example/jsonrpc?k=v"),
            ("http://h.example/rpc/token#x", "http://h.example/rpc/token"),
            ("http://h.example/jsonrpc", "http://h.example/jsonrpc"),
        ] {
            assert_eq!(url(base).as_str(), expected);
        }
    }

    #[test]
    fn the_name_is_the_host_alone() {
        let host = |text: &str| BaseUrl::parse(text).map(|base| base.host());
        assert_eq!(
            host("https://u:p@h.example/secret?k=v").as_deref(),
            Ok("h.example")
        );
        assert_eq!(host("http://[::1]:90/").as_deref(), Ok("[::1]:90"));
        assert_eq!(host("ftp://h.example"), Err(NodeConfigError::Scheme));
        assert!(matches!(host("h.example"), Err(NodeConfigError::Url(_))));
    }

    #[test]
    fn secrets_are_struck_out_and_never_printed() {
        let text = "https://u:hunter2hunter2@h.example/v1/0123456789abcdef?token=tokentoken";
        let mut config = NodeConfig::new(text, Address::from_bytes([1; 20]));
        config.api_key = Some("key".to_owned());
        let base = BaseUrl::parse(text).expect("a URL");
        let secrets = Secrets::of(&base, config.api_key.as_deref());
        let echoed = "v1 0123456789abcdef tokentoken hunter2hunter2 key";
        assert_eq!(secrets.strike_out(echoed), "v1 *** *** *** ***");
        let shown = format!("{config:?}");
        for secret in ["0123456789abcdef", "tokentoken", "hunter2", "\"key\""] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(ApiKey::parse("a\nb").is_err());
        assert!(!format!("{:?}", ApiKey::parse("abc").expect("a key").value()).contains("abc"));
    }
}
