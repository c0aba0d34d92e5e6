//! The handshake of `/ws`: headers, one `name: value` a line. What is accepted asks for the protocol, its version, has a
//! key of 16 bytes and comes from no foreign page, by a second reading here; what is refused is told with a 4xx.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use paybell::api::socket::handshake::{Origins, check};

const FRIEND: &str = "https://shop.example";

pub fn target(data: &[u8]) {
    let headers = headers(data);
    let origins = Origins::new([FRIEND.to_owned()]);
    match check(&headers, &origins) {
        Ok(accepted) => {
            is_complete(&headers);
            is_from_a_friend(&headers);
            let response = accepted
                .into_response()
                .expect("a key's digest fits a header");
            assert_eq!(response.status(), 101);
            let accept = response.headers()["sec-websocket-accept"].as_bytes();
            assert_eq!(STANDARD.decode(accept).map(|digest| digest.len()), Ok(20));
        }
        Err(error) => {
            let response = error.into_response();
            assert!(response.status().is_client_error(), "{error}");
            assert_eq!(
                response.headers()["content-type"],
                "application/problem+json"
            );
        }
    }
}

fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

fn joined(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter();
    let texts: Vec<_> = values
        .map(|v| String::from_utf8_lossy(v.as_bytes()).to_lowercase())
        .collect();
    texts.join(",")
}

fn is_complete(headers: &HeaderMap) {
    assert!(
        joined(headers, "connection").contains("upgrade"),
        "{headers:?}"
    );
    assert!(
        joined(headers, "upgrade").contains("websocket"),
        "{headers:?}"
    );
    assert_eq!(headers["sec-websocket-version"], "13");
    let key = headers["sec-websocket-key"].as_bytes();
    assert_eq!(STANDARD.decode(key).map(|key| key.len()), Ok(16));
}

/// No page at all, the friend, or a page of the host that the request names.
fn is_from_a_friend(headers: &HeaderMap) {
    if !headers.contains_key("origin") {
        return;
    }
    let first = |name: &str| {
        joined(headers, name)
            .split(',')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let (origin, host) = (first("origin"), first("host"));
    let own = |scheme: &str, port: &str| {
        let authority = origin.strip_prefix(scheme)?.to_owned();
        let bare = |text: &str| text.strip_suffix(port).unwrap_or(text).to_owned();
        (!host.is_empty() && bare(&authority) == bare(&host)).then_some(())
    };
    let known = origin == FRIEND || own("http://", ":80").or(own("https://", ":443")).is_some();
    assert!(known, "a page of {origin} opens a socket of {host}");
}
