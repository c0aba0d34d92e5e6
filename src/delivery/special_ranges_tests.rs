//! Every entry of IANA's IPv4 and IPv6 Special-Purpose Address Registries, from end to end and just outside, and what
//! hides in other spellings: literal in a URL, and as a name server's answer.
//!
//! Whether an address is special is decided here a second time, from the registries' own text and by other arithmetic
//! than in `address_kind`. Entries that IANA calls globally reachable (anycast services, NAT64) are refused all the same:
//! no webhook receiver lives there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::callback_url::{
    CallbackError, CallbackPolicy, CallbackUrl, InsecureCallbacks, PrivateCallbacks,
};
use super::guard::GuardedResolver;
use super::lookup::{FairLookup, SystemLookup};

/// Who may be called in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Never,
    /// With `allow_insecure_callbacks`.
    Loopback,
    /// With `allow_private_callbacks`.
    Private,
}
use Rule::{Loopback, Never, Private};

/// IANA IPv4 Special-Purpose Address Registry, all entries; then multicast (its own registry) and three metadata services.
const V4: &[(&str, Rule)] = &[
    ("0.0.0.0/8", Never),
    ("0.0.0.0/32", Never),
    ("10.0.0.0/8", Private),
    ("100.64.0.0/10", Private),
    ("127.0.0.0/8", Loopback),
    ("169.254.0.0/16", Never),
    ("172.16.0.0/12", Private),
    ("192.0.0.0/24", Never),
    ("192.0.0.0/29", Never),
    ("192.0.0.8/32", Never),
    ("192.0.0.9/32", Never),
    ("192.0.0.10/32", Never),
    ("192.0.0.170/32", Never),
    ("192.0.0.171/32", Never),
    ("192.0.2.0/24", Never),
    ("192.31.196.0/24", Never),
    ("192.52.193.0/24", Never),
    ("192.88.99.0/24", Never),
    ("192.88.99.2/32", Never),
    ("192.168.0.0/16", Private),
    ("192.175.48.0/24", Never),
    ("198.18.0.0/15", Never),
    ("198.51.100.0/24", Never),
    ("203.0.113.0/24", Never),
    ("240.0.0.0/4", Never),
    ("255.255.255.255/32", Never),
    ("224.0.0.0/4", Never),
    ("168.63.129.16/32", Never),
    ("169.254.169.254/32", Never),
    ("100.100.100.200/32", Never),
];

/// IANA IPv6 Special-Purpose Address Registry, all entries; then IPv4-compatible and -translated addresses, site-local and
/// multicast ones, and two metadata services.
const V6: &[(&str, Rule)] = &[
    ("::1/128", Loopback),
    ("::/128", Never),
    ("::ffff:0:0/96", Never),
    ("64:ff9b::/96", Never),
    ("64:ff9b:1::/48", Never),
    ("100::/64", Never),
    ("100:0:0:1::/64", Never),
    ("2001::/23", Never),
    ("2001::/32", Never),
    ("2001:1::1/128", Never),
    ("2001:1::2/128", Never),
    ("2001:1::3/128", Never),
    ("2001:2::/48", Never),
    ("2001:3::/32", Never),
    ("2001:4:112::/48", Never),
    ("2001:10::/28", Never),
    ("2001:20::/28", Never),
    ("2001:30::/28", Never),
    ("2001:db8::/32", Never),
    ("2002::/16", Never),
    ("2620:4f:8000::/48", Never),
    ("3fff::/20", Never),
    ("5f00::/16", Never),
    ("fc00::/7", Private),
    ("fe80::/10", Never),
    ("::/96", Never),
    ("::ffff:0:0:0/96", Never),
    ("fec0::/10", Never),
    ("ff00::/8", Never),
    ("fd00:ec2::254/128", Never),
    ("fd20:ce::254/128", Never),
];

/// An address as a number of so many bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number {
    bits: u128,
    width: u32,
}

impl Number {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self {
                bits: u128::from(u32::from(v4)),
                width: 32,
            },
            IpAddr::V6(v6) => Self {
                bits: u128::from(v6),
                width: 128,
            },
        }
    }

    fn address(self) -> IpAddr {
        match u32::try_from(self.bits) {
            Ok(bits) if self.width == 32 => Ipv4Addr::from(bits).into(),
            _ => Ipv6Addr::from(self.bits).into(),
        }
    }
}

/// First and last address of `a.b.c.d/n`.
fn ends(cidr: &str) -> (Number, Number) {
    let (base, prefix) = cidr.split_once('/').expect("a prefix");
    let first = Number::of(base.parse().expect("an address"));
    let prefix: u32 = prefix.parse().expect("a number");
    let size = 1_u128.checked_shl(first.width - prefix).unwrap_or(0);
    assert_eq!(first.bits % size.max(1), 0, "{cidr} begins at its base");
    let last = first.bits + size.wrapping_sub(1);
    (
        first,
        Number {
            bits: last,
            ..first
        },
    )
}

/// The rule for an address: the strictest of the entries that hold it; none where it is global.
fn expected(address: IpAddr) -> Option<Rule> {
    let number = Number::of(address);
    let table = if number.width == 32 { V4 } else { V6 };
    let found = table.iter().filter(|(cidr, _)| {
        let (first, last) = ends(cidr);
        (first.bits..=last.bits).contains(&number.bits)
    });
    let rules: Vec<Rule> = found.map(|(_, rule)| *rule).collect();
    if address == IpAddr::V6(Ipv6Addr::LOCALHOST) {
        return Some(Loopback);
    }
    if rules.contains(&Never) {
        return Some(Never);
    }
    // IANA allocates global unicast addresses from 2000::/3 alone.
    let allocated = number.width == 32 || number.bits >> 125 == 1;
    rules.first().copied().or((!allocated).then_some(Never))
}

fn policies() -> Vec<CallbackPolicy> {
    let mut all = Vec::new();
    for insecure in [
        InsecureCallbacks::Refused,
        InsecureCallbacks::LoopbackOnly,
        InsecureCallbacks::Allowed,
    ] {
        for private in [PrivateCallbacks::Refused, PrivateCallbacks::Allowed] {
            all.push(CallbackPolicy { insecure, private });
        }
    }
    all
}

fn permits(policy: CallbackPolicy, rule: Option<Rule>) -> bool {
    match rule {
        None => true,
        Some(Never) => false,
        Some(Loopback) => policy.insecure != InsecureCallbacks::Refused,
        Some(Private) => policy.private == PrivateCallbacks::Allowed,
    }
}

/// Judges an address as a literal, and as an answer for a name, alone and beside a good one.
fn judge(address: IpAddr) {
    let host = match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let rule = expected(address);
    let good: IpAddr = [8, 8, 8, 8].into();
    for policy in policies() {
        let permitted = permits(policy, rule);
        let parsed = CallbackUrl::parse(&format!("https://{host}/hook"), policy);
        assert_eq!(parsed.is_ok(), permitted, "{host}: {rule:?}, {policy:?}");
        if let Err(error) = parsed {
            assert!(
                matches!(error, CallbackError::Address(_)),
                "{host}: {error}"
            );
        }
        for answer in [&[address][..], &[good, address], &[address, good]] {
            let checked = policy.check_resolved("shop.example", answer);
            assert_eq!(checked.is_ok(), permitted, "{answer:?}: {policy:?}");
        }
    }
}

#[test]
fn every_registered_range_from_end_to_end_and_its_neighbours() {
    for (cidr, _) in V4.iter().chain(V6) {
        let (first, last) = ends(cidr);
        let middle = first.bits + (last.bits - first.bits) / 2;
        judge(first.address());
        judge(
            Number {
                bits: middle,
                ..first
            }
            .address(),
        );
        judge(last.address());
        if let Some(bits) = first.bits.checked_sub(1) {
            judge(Number { bits, ..first }.address());
        }
        let most = u128::MAX >> (128 - first.width);
        if last.bits < most {
            let bits = last.bits + 1;
            judge(Number { bits, ..first }.address());
        }
    }
}

/// The second opinion has opinions: without this the test above could pass by calling everything global.
#[test]
fn the_second_opinion_tells_special_from_global() {
    let of = |text: &str| expected(text.parse().expect("an address"));
    for text in [
        "9.255.255.255",
        "11.0.0.0",
        "168.63.129.17",
        "192.0.1.0",
        "2001:200::",
    ] {
        assert_eq!(of(text), None, "{text}");
    }
    for text in [
        "192.0.0.255",
        "169.254.169.254",
        "2001:1ff:ffff::1",
        "4000::",
        "::1.2.3.4",
    ] {
        assert_eq!(of(text), Some(Never), "{text}");
    }
    assert_eq!(of("fd00::1"), Some(Private));
    assert_eq!(of("::1"), Some(Loopback));
}

/// Every IPv4 entry inside each of the ways to carry an IPv4 address in an IPv6 one.
#[test]
fn an_ipv4_address_is_no_better_for_being_carried() {
    let global = [("8.8.8.8/32", Never)];
    for (cidr, _) in V4.iter().chain(&global) {
        let (first, last) = ends(cidr);
        for low in [first.bits, last.bits] {
            for carried in [
                low,
                low | 0xffff << 32,
                low | 0xffff << 48,
                low | 0x64_ff9b << 96,
                low | 0x0064_ff9b_0001 << 80,
                low << 80 | 0x2002 << 112,
                low << 64 | 0x2001_0000 << 96,
                // Teredo carries the client's address inverted.
                u128::from(!u32::try_from(low).expect("32 bits")) | 0x2001_0000 << 96,
            ] {
                judge(Ipv6Addr::from(carried).into());
            }
        }
    }
}

const STRICT: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Refused,
    private: PrivateCallbacks::Refused,
};

/// What a URL parser makes an address of, whatever it looks like: each is 127.0.0.1, 10.0.0.1 or 169.254.169.254.
#[test]
fn addresses_in_disguise() {
    for host in [
        "2130706433",
        "0x7f000001",
        "0X7F000001",
        "017700000001",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "127%2e0%2e0%2e1",
        "127%2E1",
        "１２７.０.０.１",
        "127。0。0。1",
        "127．0．0．1",
        "127｡1",
        "０x7f.1",
        "①②⑦.①",
        "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
        "127.0.0.\u{ad}1",
        "12\u{200b}7.0.0.1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[0000::0001]",
        "[::ffff:7f00:1]",
        "[::FFFF:127.0.0.1]",
        "10.1",
        "0xa.1",
        "167772161",
        "0251.0376.0251.0376",
        "0xA9FEA9FE",
        "2852039166",
        "169.254.43518",
    ] {
        let found = CallbackUrl::parse(&format!("https://{host}/"), STRICT);
        assert!(
            matches!(found, Err(CallbackError::Address(_))),
            "{host}: {found:?}"
        );
    }
}

/// What is no host at all is refused as such, not guessed at.
#[test]
fn hosts_that_no_parser_should_guess_at() {
    for host in [
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[::1%25lo]",
        "[::ffff:0x7f.1]",
        "[::127.1]",
        "[127.0.0.1]",
        "::1",
        "127.0.0.1%00.shop.example",
        "127.0.0.1%23.shop.example",
        "127.0.0.1%2f.shop.example",
        "127.0.0.1%40shop.example",
        "256.0.0.1",
        "0x1ffffffff",
        "4294967296",
        "1.2.3.0x100",
        "09.0.0.1",
        "127.0.0.1..",
        "127..0.0.1",
        "xn--",
        "%",
        "%zz",
        "shop.example%",
    ] {
        let found = CallbackUrl::parse(&format!("https://{host}/"), STRICT);
        assert!(
            matches!(
                found,
                Err(CallbackError::Syntax(_)
                    | CallbackError::EmptyLabel
                    | CallbackError::Character)
            ),
            "{host}: {found:?}"
        );
    }
}

/// Names of this machine are names: they are refused by what they resolve to, in any spelling.
#[tokio::test]
async fn this_machines_names_in_any_spelling() {
    let lookup = Arc::new(FairLookup::new(Arc::new(SystemLookup)));
    let guard = GuardedResolver::new(STRICT, lookup);
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "LocalHost.",
        "loc%61lhost",
        "local%68ost%2e",
        "ｌｏｃａｌｈｏｓｔ",
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "local\u{ad}host",
        "localhost。",
    ] {
        let url = CallbackUrl::parse(&format!("https://{host}/"), STRICT).expect(host);
        assert_eq!(url.name(), Some("localhost"), "{host}");
        let checked = guard.check_resolved(&url).await;
        assert!(
            matches!(checked, Err(CallbackError::ResolvedAddress(_))),
            "{host}: {checked:?}"
        );
    }
}

/// The part before an @ is not the host, however it looks; nor does a backslash or a tab make it one.
#[test]
fn user_names_and_separators_hide_no_host() {
    for text in [
        "https://shop.example@127.0.0.1/",
        "https://shop.example:443@10.0.0.1/",
        "https://shop.example%2f@127.0.0.1/",
        "https://@shop.example@127.0.0.1/",
        "https:\\\\127.0.0.1\\@shop.example/",
        "https://127.0.0.1\\@shop.example/",
        "https://127.0.0.1#@shop.example/",
        "https://127.0.0.1?@shop.example/",
        "https://127.0.0.1:443/@shop.example/",
        "https:127.0.0.1/",
        "https:/127.0.0.1/",
        "https:///127.0.0.1/",
        "https://127.0.0.1\t/",
        "https://127.0.\n0.1/",
    ] {
        let found = CallbackUrl::parse(text, STRICT);
        assert!(
            matches!(
                found,
                Err(CallbackError::UserInfo | CallbackError::Address(_) | CallbackError::Character)
            ),
            "{text:?}: {found:?}"
        );
    }
}
