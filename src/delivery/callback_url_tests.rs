//! Callback URLs that are refused before the network is asked: every special range in every spelling, and every way to
//! write a URL wrong.

use super::callback_url::{
    CallbackError, CallbackPolicy, CallbackUrl, InsecureCallbacks, PrivateCallbacks,
};

const STRICT: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Refused,
    private: PrivateCallbacks::Refused,
};
const DEMO: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::LoopbackOnly,
    ..STRICT
};
const INSECURE: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Allowed,
    ..STRICT
};
const CLOSED_NETWORK: CallbackPolicy = CallbackPolicy {
    private: PrivateCallbacks::Allowed,
    ..STRICT
};
const LAXEST: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Allowed,
    private: PrivateCallbacks::Allowed,
};
const ALL: [CallbackPolicy; 5] = [STRICT, DEMO, INSECURE, CLOSED_NETWORK, LAXEST];

/// Hosts that no policy lets through.
const NEVER: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "0",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.1.1",
    "0xa9fea9fe",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "2852039166",
    "169.254.43518",
    "169.254.169.254.",
    "１６９。２５４。１６９。２５４",
    "100.100.100.200",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "4294967295",
    "[::]",
    "[::127.0.0.1]",
    "[::8.8.8.8]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:8.8.8.8]",
    "[::ffff:0:10.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::8.8.8.8]",
    "[64:ff9b:1::10.0.0.1]",
    "[100::1]",
    "[2001::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::]",
    "[2002:808:808::]",
    "[3fff::1]",
    "[5f00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
];

const LOOPBACK: &[&str] = &[
    "127.0.0.1",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "①②⑦.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
];

const PRIVATE: &[&str] = &[
    "10.0.0.1",
    "10.1",
    "167772161",
    "0xA000001",
    "012.0.0.1",
    "10.0.0.1.",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "192.168.257",
    "100.64.0.1",
    "[fc00::1]",
    "[fd12:3456:789a::1]",
];

const PUBLIC: &[&str] = &[
    "8.8.8.8",
    "134744072",
    "0x8.0x8.0x8.0x8",
    "172.32.0.1",
    "[2606:4700::1111]",
    "[2a00:1450::1]",
];

fn parse(host: &str, policy: CallbackPolicy) -> Result<CallbackUrl, CallbackError> {
    CallbackUrl::parse(&format!("https://{host}/hook"), policy)
}

fn by_address(host: &str, policy: CallbackPolicy) -> bool {
    match parse(host, policy) {
        Ok(_) => true,
        Err(CallbackError::Address(_)) => false,
        Err(other) => panic!("{host} under {policy:?}: {other}"),
    }
}

#[test]
fn literal_addresses_in_every_spelling() {
    for policy in ALL {
        for host in NEVER {
            assert!(!by_address(host, policy), "{host} under {policy:?}");
        }
        for host in PUBLIC {
            assert!(by_address(host, policy), "{host} under {policy:?}");
        }
        for host in LOOPBACK {
            let expected = policy.insecure != InsecureCallbacks::Refused;
            assert_eq!(by_address(host, policy), expected, "{host}: {policy:?}");
        }
        for host in PRIVATE {
            let expected = policy.private == PrivateCallbacks::Allowed;
            assert_eq!(by_address(host, policy), expected, "{host}: {policy:?}");
        }
    }
}

#[test]
fn plain_http_goes_only_where_the_policy_says() {
    let scheme = |url: &str, policy| CallbackUrl::parse(url, policy).err();
    for url in [
        "http://shop.example/",
        "http://localhost:3000/",
        "HTTP://8.8.8.8/",
    ] {
        assert_eq!(scheme(url, STRICT), Some(CallbackError::Insecure), "{url}");
        assert_eq!(scheme(url, INSECURE), None, "{url}");
    }
    for url in [
        "http://localhost:3000/",
        "http://LOCALHOST/",
        "http://localhost./",
        "http://shop.localhost/",
        "http://127.0.0.1:5000/",
        "http://[::1]/",
    ] {
        assert_eq!(scheme(url, DEMO), None, "{url}");
    }
    for url in [
        "http://shop.example/",
        "http://8.8.8.8/",
        "http://localhost.shop.example/",
        "http://notlocalhost/",
    ] {
        let expected = Some(CallbackError::InsecureElsewhere);
        assert_eq!(scheme(url, DEMO), expected, "{url}");
    }
    assert_eq!(scheme("https://shop.example/", DEMO), None);
}

#[test]
fn malformed_urls_are_named() {
    let refused = |text: &str| CallbackUrl::parse(text, LAXEST).expect_err(text);
    for text in [
        "",
        "hook",
        "/hook",
        "shop.example/hook",
        "//shop.example",
        "https://",
        "https:///",
    ] {
        let found = refused(text);
        assert!(matches!(found, CallbackError::Syntax(_)), "{text}: {found}");
    }
    for text in [
        "ftp://shop.example/",
        "file:///etc/passwd",
        "gopher://a/",
        "javascript:1",
        "shop.example:80/",
    ] {
        assert_eq!(refused(text), CallbackError::Scheme, "{text}");
    }
    for text in [
        "https://a@shop.example/",
        "https://a:b@shop.example/",
        "https://:b@shop.example/",
        "https://8.8.8.8@10.0.0.1/",
    ] {
        assert_eq!(refused(text), CallbackError::UserInfo, "{text}");
    }
    for text in [
        " https://shop.example/",
        "https://shop.example/a b",
        "https://shop.example/\n",
        "https://sh\top.example/",
        "https://shop.example/\u{a0}",
        "https://shop.example/\0",
    ] {
        assert_eq!(refused(text), CallbackError::Character, "{text:?}");
    }
    for text in [
        "https://shop.example../",
        "https://shop..example/",
        "https://.shop.example/",
        "https://./",
    ] {
        assert_eq!(refused(text), CallbackError::EmptyLabel, "{text}");
    }
    assert_eq!(refused("https://shop.example:0/"), CallbackError::PortZero);
    for text in [
        "https://1.2.3.4.5/",
        "https://256.0.0.1/",
        "https://[::1/",
        "https://a<b/",
        "https://shop.example:65536/",
    ] {
        let found = refused(text);
        assert!(matches!(found, CallbackError::Syntax(_)), "{text}: {found}");
    }
}

#[test]
fn the_length_is_counted_in_bytes_and_as_sent() {
    let of = |bytes: usize| format!("https://shop.example/{}", "a".repeat(bytes - 21));
    assert!(CallbackUrl::parse(&of(2048), STRICT).is_ok());
    assert_eq!(
        CallbackUrl::parse(&of(2049), STRICT),
        Err(CallbackError::TooLong(2049))
    );
    let umlauts = format!("https://shop.example/{}", "ü".repeat(1000));
    assert_eq!(
        CallbackUrl::parse(&umlauts, STRICT),
        Err(CallbackError::TooLong(6021))
    );
}

#[test]
fn one_receiver_has_one_spelling_and_its_token_is_not_printed() {
    let url =
        CallbackUrl::parse("HTTPS://Shop.Example.:443/hook?token=1#part", STRICT).expect("fine");
    assert_eq!(url.as_str(), "https://shop.example/hook?token=1");
    assert_eq!(url.origin(), "https://shop.example");
    assert_eq!(url.name(), Some("shop.example"));
    assert_eq!(format!("{url:?}"), "CallbackUrl(https://shop.example)");
    let again = CallbackUrl::parse(url.as_str(), STRICT).expect("fine");
    assert_eq!(again, url);
    let literal = CallbackUrl::parse("https://0x8.8.8.8:8443", STRICT).expect("fine");
    assert_eq!(
        (literal.as_str(), literal.name()),
        ("https://8.8.8.8:8443/", None)
    );
}

#[test]
fn refusals_name_the_field_and_the_remedy() {
    let text = |url: &str| CallbackUrl::parse(url, STRICT).expect_err(url).to_string();
    assert_eq!(
        text("https://10.0.0.1/"),
        "callback_url: the address is a private network, 10.0.0.0/8, which is not called; \
         use a public host (in a closed network, set allow_private_callbacks)"
    );
    assert_eq!(
        text("http://shop.example/"),
        "callback_url: http is not accepted; use https (to develop, run `paybell demo` or set allow_insecure_callbacks)"
    );
    assert!(text("shop.example").starts_with("callback_url: it is not an absolute URL"));
}
