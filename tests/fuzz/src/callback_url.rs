//! Callback URLs. Under the strict policy nothing passes but https to a name or to a public address, by a table of its
//! own here; what passes has one spelling; a looser policy takes all that a stricter one takes; an error shows no secret.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use paybell::delivery::callback_url::{
    CallbackPolicy, CallbackUrl, InsecureCallbacks, MAX_CALLBACK_URL_BYTES, PrivateCallbacks,
};
use url::{Host, Url};

const STRICT: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Refused,
    private: PrivateCallbacks::Refused,
};
const DEMO: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::LoopbackOnly,
    private: PrivateCallbacks::Refused,
};
const OPEN: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Allowed,
    private: PrivateCallbacks::Allowed,
};

pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let [strict, demo, open] = [STRICT, DEMO, OPEN].map(|policy| CallbackUrl::parse(text, policy));
    if let Ok(passed) = &strict {
        assert_eq!(demo.as_ref(), Ok(passed), "the demo refuses it");
    }
    match &open {
        Ok(passed) => has_one_spelling(passed),
        Err(error) => {
            assert!(
                strict.is_err() && demo.is_err(),
                "refused by the open policy only: {error}"
            );
            let shown = error.to_string();
            assert!(shown.starts_with("callback_url: "), "{shown}");
        }
    }
    if let Ok(passed) = strict {
        assert_eq!(open.as_ref(), Ok(&passed), "the open policy refuses it");
        is_safe(&passed);
    }
}

fn has_one_spelling(passed: &CallbackUrl) {
    let text = passed.as_str();
    assert!(text.len() <= MAX_CALLBACK_URL_BYTES);
    assert!(
        text.is_ascii() && !text.contains(['#', ' ', '\n', '\r']),
        "{text}"
    );
    assert_eq!(
        CallbackUrl::parse(text, OPEN).as_ref(),
        Ok(passed),
        "{text}"
    );
    let url = Url::parse(text).expect("it was parsed before");
    assert_eq!(url.as_str(), text);
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{text}"
    );
    assert!(
        url.port_or_known_default().is_some_and(|port| port != 0),
        "{text}"
    );
    assert!(text.starts_with(&passed.origin()), "{text}");
}

fn is_safe(passed: &CallbackUrl) {
    let text = passed.as_str();
    assert!(text.starts_with("https://"), "{text}");
    let url = Url::parse(text).expect("it was parsed before");
    match url.host().expect("https has a host") {
        Host::Domain(name) => {
            assert_eq!(passed.name(), Some(name));
            assert!(name.parse::<IpAddr>().is_err(), "{text}");
            assert!(
                !name.ends_with('.') && name.split('.').all(|l| !l.is_empty()),
                "{text}"
            );
        }
        Host::Ipv4(address) => assert!(is_public_v4(address), "{text}"),
        Host::Ipv6(address) => assert!(is_public_v6(address), "{text}"),
    }
}

/// By the standard library's predicates, and by hand where it has none that are stable.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmark = a == 198 && (18..20).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    let metadata = address == Ipv4Addr::new(168, 63, 129, 16);
    let odd = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_unspecified();
    !(odd || shared || benchmark || protocol || metadata || a == 0 || a >= 240)
}

/// Global unicast only, and none that carries an IPv4 address inside.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let allocated = a & 0xe000 == 0x2000;
    let six_to_four = a == 0x2002;
    let assignments = a == 0x2001 && b < 0x200;
    let documentation = (a == 0x2001 && b == 0xdb8) || (a == 0x3fff && b < 0x1000);
    allocated && !six_to_four && !assignments && !documentation && address.to_ipv4().is_none()
}
