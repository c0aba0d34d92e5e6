//! Web addresses in the configuration: a node's base URL, the hub's own public URL, a page's origin.
//!
//! Refuses user names, passwords, queries and fragments, and never quotes what it refuses: many
//! providers put the key into the URL. Does not decide which hosts may be called.

use std::fmt;

use thiserror::Error;
use url::Url;

/// Longest URL in the configuration, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;

/// Why a text is not a usable base URL or origin.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum WebError {
    #[error("it must start with https:// or http://")]
    Scheme,
    #[error("it is not a URL: {0}")]
    Syntax(#[source] url::ParseError),
    #[error("it has no host")]
    NoHost,
    #[error("it contains a space, a control character or a backslash")]
    Character,
    #[error("it has more than {MAX_URL_BYTES} characters")]
    Length,
    #[error(
        "it must not carry a user name or password; a node's key belongs in \"api_key\" beside it"
    )]
    UserInfo,
    #[error("it must end before any '?' or '#', because paths are appended to it")]
    Suffix,
    #[error("an origin is scheme, host and port only, such as https://shop.example: no path")]
    OriginPath,
    #[error(
        "'*' is not accepted: name each origin whose pages may connect, such as https://shop.example"
    )]
    AnyOrigin,
}

fn parse(text: &str) -> Result<Url, WebError> {
    if text.len() > MAX_URL_BYTES {
        return Err(WebError::Length);
    }
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    if text.contains(odd) {
        return Err(WebError::Character);
    }
    let (scheme, rest) = text.split_once("://").ok_or(WebError::Scheme)?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(WebError::Scheme);
    }
    // The parser would repair `https:///a` to host `a`.
    if rest.is_empty() || rest.starts_with('/') {
        return Err(WebError::NoHost);
    }
    let url = Url::parse(text).map_err(WebError::Syntax)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(WebError::UserInfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(WebError::Suffix);
    }
    Ok(url)
}

/// The URL without the slash at its end, so that `/path` can be put behind it.
fn base_text(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// A node's base URL, maybe with a path prefix. Shown without its path, which may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Url);

impl EndpointUrl {
    /// # Errors
    /// See [`WebError`].
    pub fn parse(text: &str) -> Result<Self, WebError> {
        parse(text).map(Self)
    }

    /// The whole text, path included, without a slash at its end: for requests, not for logs.
    pub fn expose(&self) -> String {
        base_text(&self.0)
    }

    pub const fn url(&self) -> &Url {
        &self.0
    }

    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// True when the host is this machine by its very name or address.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

/// Scheme, host and port; `/...` stands for a path that is not shown.
impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())?;
        f.write_str(if self.0.path() == "/" { "" } else { "/..." })
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({self})")
    }
}

/// Where the world reaches this hub: the base of `checkout_url`. No slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    is_loopback: bool,
}

impl PublicUrl {
    /// # Errors
    /// See [`WebError`].
    pub fn parse(text: &str) -> Result<Self, WebError> {
        let url = parse(text)?;
        Ok(Self {
            text: base_text(&url),
            is_loopback: is_loopback(&url),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when it leads to this machine by its very name or address, so that nobody else comes that way.
    pub const fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

/// A page's origin exactly as browsers send it: lower case, no default port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WebOrigin(String);

impl WebOrigin {
    /// # Errors
    /// See [`WebError`]; a path other than `/` is refused.
    pub fn parse(text: &str) -> Result<Self, WebError> {
        if text.contains('*') {
            return Err(WebError::AnyOrigin);
        }
        let url = parse(text)?;
        if url.path() != "/" {
            return Err(WebError::OriginPath);
        }
        Ok(Self(url.origin().ascii_serialization()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_keep_their_path_and_lose_their_slash() {
        for (text, kept, shown) in [
            (
                "https://api.trongrid.io",
                "https://api.trongrid.io",
                "https://api.trongrid.io",
            ),
            (
                "http://127.0.0.1:9090/",
                "http://127.0.0.1:9090",
                "http://127.0.0.1:9090",
            ),
            (
                "https://Node.example/KEY/tron/",
                "https://node.example/KEY/tron",
                "https://node.example/...",
            ),
            (
                "HTTPS://[::1]:8443/x",
                "https://[::1]:8443/x",
                "https://[::1]:8443/...",
            ),
        ] {
            let url = EndpointUrl::parse(text).expect(text);
            assert_eq!(url.expose(), kept);
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("EndpointUrl({shown})"));
            assert_eq!(PublicUrl::parse(text).expect(text).as_str(), kept);
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_by_name() {
        for (text, why) in [
            ("", WebError::Scheme),
            ("api.trongrid.io", WebError::Scheme),
            ("ftp://a.example", WebError::Scheme),
            ("https:a.example", WebError::Scheme),
            ("https://", WebError::NoHost),
            ("https:///a.example", WebError::NoHost),
            ("https://u:p@a.example", WebError::UserInfo),
            ("https://u@a.example", WebError::UserInfo),
            ("https://a.example/?key=1", WebError::Suffix),
            ("https://a.example/#x", WebError::Suffix),
            (" https://a.example", WebError::Character),
            ("https://a.exa\tmple", WebError::Character),
            ("https://a.example\\b", WebError::Character),
            (
                "https://a.example:99999",
                WebError::Syntax(url::ParseError::InvalidPort),
            ),
        ] {
            assert_eq!(EndpointUrl::parse(text), Err(why), "{text:?}");
        }
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES));
        assert_eq!(EndpointUrl::parse(&long), Err(WebError::Length));
    }

    #[test]
    fn loopback_is_known_by_name_and_number() {
        let is = |text| EndpointUrl::parse(text).expect(text).is_loopback();
        assert!(is("http://localhost:1") && is("http://127.9.9.9") && is("http://[::1]"));
        assert!(is("http://[::ffff:127.0.0.1]") && is("http://a.localhost"));
        assert!(
            !is("http://localhost.example")
                && !is("http://10.0.0.1")
                && !is("http://[2001:db8::1]")
        );
    }

    #[test]
    fn origins_are_normal() {
        let origin = |text| WebOrigin::parse(text).map(|origin| origin.0);
        assert_eq!(
            origin("HTTPS://Shop.Example:443/"),
            Ok("https://shop.example".into())
        );
        assert_eq!(
            origin("http://localhost:3000"),
            Ok("http://localhost:3000".into())
        );
        assert_eq!(origin("https://a.example/b"), Err(WebError::OriginPath));
        assert_eq!(origin("*"), Err(WebError::AnyOrigin));
        assert_eq!(origin("null"), Err(WebError::Scheme));
    }
}
