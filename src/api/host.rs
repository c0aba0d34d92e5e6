//! Which `Host` a request may name, while nothing else guards the hub.
//!
//! A page on a name of its own that resolves to 127.0.0.1 is "same origin" to a browser, and would have the run of a
//! hub without keys. Such a page needs a name: addresses and `localhost` are let through, and no configured name, since
//! whoever came by it from outside would be let in too.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HOST;
use url::{Host, Url};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::answer;
use super::keyring::Keyring;
use super::mistake::Quoted;
use super::problem::{Kind, Problem};

/// Whether a request names this machine, or an address. A request without the header comes from no browser.
fn allow(headers: &HeaderMap) -> Result<(), String> {
    let Some(host) = headers.get(HOST) else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(host.as_bytes()).into_owned();
    let parsed = Url::parse(&format!("http://{text}/"));
    let known = match parsed.as_ref().ok().and_then(Url::host) {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => !IpAddr::V4(address).is_multicast(),
        Some(Host::Ipv6(address)) => !IpAddr::V6(address).is_multicast(),
        None => false,
    };
    if known { Ok(()) } else { Err(text) }
}

/// Answers requests that name a foreign host, and passes on all others; comes first where filters are joined. Once there
/// are keys it stands aside: a page that is let in by its name still has no key.
pub fn guard(keyring: Keyring) -> BoxedFilter<(Response,)> {
    warp::header::headers_cloned()
        .and_then(move |headers: HeaderMap| {
            let judged = match keyring.keys_required() {
                true => Ok(()),
                false => allow(&headers),
            };
            async move {
                match judged {
                    Ok(()) => Err(warp::reject::not_found()),
                    Err(host) => Ok(refuse(&host)),
                }
            }
        })
        .boxed()
}

fn refuse(host: &str) -> Response {
    let detail = format!(
        "this hub has no API key yet and does not answer to the host {}; with a key ('paybell keys create --name admin --scope admin') it answers to any name",
        Quoted(host)
    );
    answer::guard(Problem::new(Kind::ForeignHost, detail).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_through(host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().expect("a header"));
        allow(&headers).is_ok()
    }

    #[test]
    fn addresses_and_localhost_are_let_through() {
        for host in [
            "127.0.0.1:5000",
            "127.0.0.1",
            "[::1]:5000",
            "localhost",
            "LOCALHOST:5000",
            "localhost.",
            "a.localhost",
            "192.168.1.7:80",
        ] {
            assert!(is_let_through(host), "{host}");
        }
        assert!(allow(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn every_other_name_is_refused() {
        for host in [
            "evil.example",
            "evil.example:5000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "shop.example",
            "",
            ":5000",
            "a b",
            "user@localhost@evil.example",
            "localhost:99999999",
        ] {
            assert!(!is_let_through(host), "{host}");
        }
    }
}
