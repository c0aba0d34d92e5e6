//! Where deliveries compete for places: an account-wide endpoint, or the origin that payments' own callbacks go to.
//!
//! An origin is kept as the first bytes of a digest, so that it has one size in keys. Reads the origin out of a URL that
//! was checked before; refuses to check one.

use sha2::{Digest, Sha256};

use super::ids::EndpointId;

/// Bytes of an origin's digest that are kept.
pub const ORIGIN_BYTES: usize = 8;

/// Scheme, host and port of a callback URL, as a digest of their text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginId(pub [u8; ORIGIN_BYTES]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Endpoint(EndpointId),
    /// Callbacks of all payments that go to one origin.
    Origin(OriginId),
}

impl Target {
    /// Where a delivery goes: an endpoint keeps its place whatever its URL is.
    pub fn of(endpoint: EndpointId, url: &str) -> Self {
        if endpoint != EndpointId::CALLBACK {
            return Self::Endpoint(endpoint);
        }
        let digest = Sha256::digest(origin_text(url).as_bytes());
        let mut first = [0; ORIGIN_BYTES];
        first.copy_from_slice(&digest[..ORIGIN_BYTES]);
        Self::Origin(OriginId(first))
    }
}

/// Scheme, host and port in lower case, the scheme's usual port and a full name's last dot left out.
fn origin_text(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or(rest);
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let usual_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let host = match authority.strip_suffix(usual_port) {
        // Within brackets the colon belongs to an IPv6 address.
        Some(host) if !usual_port.is_empty() => host,
        _ => authority.as_str(),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callback(url: &str) -> Target {
        Target::of(EndpointId::CALLBACK, url)
    }

    #[test]
    fn one_origin_has_one_place_however_it_is_spelt() {
        let place = callback("https://shop.example/a?b#c");
        for url in [
            "https://shop.example",
            "HTTPS://Shop.Example:443/other",
            "https://shop.example.?x",
            "https://shop.example.:443#y",
        ] {
            assert_eq!(callback(url), place, "{url}");
        }
        for url in [
            "http://shop.example/a",
            "https://shop.example:8443/a",
            "https://www.shop.example/a",
            "https://shop.example:80/a",
        ] {
            assert_ne!(callback(url), place, "{url}");
        }
        let ipv6 = callback("http://[::1]:80/");
        assert_eq!(callback("http://[::1]/x"), ipv6);
        assert_ne!(callback("http://[::1]:8080/"), ipv6);
    }

    #[test]
    fn an_endpoint_is_its_own_place_whatever_its_url() {
        let three = EndpointId(3);
        assert_eq!(
            Target::of(three, "https://a.example"),
            Target::of(three, "https://b.example")
        );
        assert_ne!(
            Target::of(three, "https://a.example"),
            callback("https://a.example")
        );
    }
}
