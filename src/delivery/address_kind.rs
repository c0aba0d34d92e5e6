//! Tells what an IP address is for: the public internet, this machine, a private network, or something special.
//!
//! Owns the tables. Refuses to decide who may be called; that is the policy's in `callback_url`.
//! An address that carries an IPv4 address inside (mapped, NAT64, 6to4, Teredo, ...) is special whatever it carries: no
//! honest name resolves to one, and every one is a way around the IPv4 table.
//! Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries, IANA IPv6 Address Space; the clouds' own manuals.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for. The text names the range, for error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// Globally routable unicast.
    Global,
    /// This machine.
    Loopback,
    /// A network of the operator's own, which `allow_private_callbacks` opens.
    Private(&'static str),
    /// Never the address of a webhook receiver.
    Special(&'static str),
}

use AddressKind::{Global, Loopback, Private, Special};

/// A range in one of the tables: the first bits of an address, how many of them count, what they mean.
struct Range<A> {
    base: A,
    prefix_bits: u32,
    kind: AddressKind,
}

const fn v4(octets: [u8; 4], prefix_bits: u32, kind: AddressKind) -> Range<u32> {
    Range {
        base: u32::from_be_bytes(octets),
        prefix_bits,
        kind,
    }
}

const fn v6(groups: [u16; 8], prefix_bits: u32, kind: AddressKind) -> Range<u128> {
    let [a, b, c, d, e, f, g, h] = groups;
    Range {
        base: Ipv6Addr::new(a, b, c, d, e, f, g, h).to_bits(),
        prefix_bits,
        kind,
    }
}

const METADATA: AddressKind = Special("a cloud's metadata service");
const IETF: AddressKind = Special("an IETF protocol assignment");
const DOCUMENTATION: AddressKind = Special("for documentation");
const BENCHMARKING: AddressKind = Special("for benchmarking");
const AS112: AddressKind = Special("the AS112 DNS sink");

/// The first match counts, so metadata services come before the ranges that they hide in.
const V4_RANGES: &[Range<u32>] = &[
    v4([168, 63, 129, 16], 32, METADATA),
    v4([169, 254, 169, 254], 32, METADATA),
    v4([100, 100, 100, 200], 32, METADATA),
    v4([0, 0, 0, 0], 8, Special("unspecified, 'this network'")),
    v4([10, 0, 0, 0], 8, Private("a private network, 10.0.0.0/8")),
    v4(
        [100, 64, 0, 0],
        10,
        Private("a carrier's shared space, 100.64.0.0/10"),
    ),
    v4([127, 0, 0, 0], 8, Loopback),
    v4([169, 254, 0, 0], 16, Special("link-local")),
    v4(
        [172, 16, 0, 0],
        12,
        Private("a private network, 172.16.0.0/12"),
    ),
    v4([192, 0, 0, 0], 24, IETF),
    v4([192, 0, 2, 0], 24, DOCUMENTATION),
    v4([192, 31, 196, 0], 24, AS112),
    v4([192, 52, 193, 0], 24, Special("an AMT relay")),
    v4([192, 88, 99, 0], 24, Special("a 6to4 relay")),
    v4(
        [192, 168, 0, 0],
        16,
        Private("a private network, 192.168.0.0/16"),
    ),
    v4([192, 175, 48, 0], 24, AS112),
    v4([198, 18, 0, 0], 15, BENCHMARKING),
    v4([198, 51, 100, 0], 24, DOCUMENTATION),
    v4([203, 0, 113, 0], 24, DOCUMENTATION),
    v4([224, 0, 0, 0], 4, Special("multicast")),
    v4([255, 255, 255, 255], 32, Special("broadcast")),
    v4([240, 0, 0, 0], 4, Special("reserved")),
];

/// The first match counts. What no row matches is global only inside 2000::/3, the one block IANA allocates from.
const V6_RANGES: &[Range<u128>] = &[
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, METADATA),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, METADATA),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, Loopback),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, Special("unspecified")),
    v6(
        [0, 0, 0, 0, 0, 0, 0, 0],
        96,
        Special("an IPv4-compatible IPv6 address"),
    ),
    v6(
        [0, 0, 0, 0, 0, 0xffff, 0, 0],
        96,
        Special("an IPv4-mapped IPv6 address"),
    ),
    v6(
        [0, 0, 0, 0, 0xffff, 0, 0, 0],
        96,
        Special("an IPv4-translated IPv6 address"),
    ),
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, Special("NAT64")),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Special("local NAT64")),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, Special("discard-only")),
    v6([0x100, 0, 0, 1, 0, 0, 0, 0], 64, Special("a dummy prefix")),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Special("Teredo")),
    v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, BENCHMARKING),
    v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28, Special("ORCHID")),
    v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, Special("ORCHIDv2")),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, IETF),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, DOCUMENTATION),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Special("6to4")),
    v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, AS112),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, DOCUMENTATION),
    v6(
        [0x5f00, 0, 0, 0, 0, 0, 0, 0],
        16,
        Special("segment routing"),
    ),
    v6(
        [0xfc00, 0, 0, 0, 0, 0, 0, 0],
        7,
        Private("a private network, fc00::/7"),
    ),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Special("link-local")),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Special("site-local")),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Special("multicast")),
    v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Global),
    v6(
        [0, 0, 0, 0, 0, 0, 0, 0],
        0,
        Special("outside the allocated IPv6 space"),
    ),
];

impl AddressKind {
    /// Looks an address up. What no table mentions is global.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> AddressKind {
    let differs = |range: &Range<u32>| address.to_bits() ^ range.base;
    V4_RANGES
        .iter()
        .find(|range| differs(range).leading_zeros() >= range.prefix_bits)
        .map_or(Global, |range| range.kind)
}

fn of_v6(address: Ipv6Addr) -> AddressKind {
    let differs = |range: &Range<u128>| address.to_bits() ^ range.base;
    V6_RANGES
        .iter()
        .find(|range| differs(range).leading_zeros() >= range.prefix_bits)
        .map_or(Global, |range| range.kind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(text: &str) -> AddressKind {
        AddressKind::of(text.parse().expect("valid"))
    }

    /// First and last address of every range that nobody may be called in, whatever the policy.
    const SPECIAL: &[[&str; 2]] = &[
        ["0.0.0.0", "0.255.255.255"],
        ["168.63.129.16", "168.63.129.16"],
        ["100.100.100.200", "100.100.100.200"],
        ["169.254.0.0", "169.254.255.255"],
        ["169.254.169.254", "169.254.170.2"],
        ["192.0.0.0", "192.0.0.255"],
        ["192.0.2.0", "192.0.2.255"],
        ["192.31.196.0", "192.31.196.255"],
        ["192.52.193.0", "192.52.193.255"],
        ["192.88.99.0", "192.88.99.255"],
        ["192.175.48.0", "192.175.48.255"],
        ["198.18.0.0", "198.19.255.255"],
        ["198.51.100.0", "198.51.100.255"],
        ["203.0.113.0", "203.0.113.255"],
        ["224.0.0.0", "239.255.255.255"],
        ["240.0.0.0", "255.255.255.255"],
        ["::", "::"],
        ["::2", "::ffff:ffff"],
        ["::ffff:0:0", "::ffff:255.255.255.255"],
        ["::ffff:0:0:0", "::ffff:0:255.255.255.255"],
        ["64:ff9b::", "64:ff9b::255.255.255.255"],
        ["64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:255.255.255.255"],
        ["100::", "100::ffff:ffff:ffff:ffff"],
        ["100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff"],
        ["2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["2001:1::1", "2001:1::3"],
        ["2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"],
        ["2001:10::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["2001:1ff::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"],
        ["3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["fd00:ec2::254", "fd20:ce::254"],
        ["fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
        ["200::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
    ];

    #[test]
    fn special_ranges_from_end_to_end() {
        for text in SPECIAL.as_flattened() {
            assert!(matches!(kind(text), Special(_)), "{text}: {:?}", kind(text));
        }
    }

    #[test]
    fn private_ranges_from_end_to_end() {
        for text in [
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "fc00::",
            "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert!(matches!(kind(text), Private(_)), "{text}: {:?}", kind(text));
        }
    }

    #[test]
    fn loopback_is_the_whole_eight_and_one_in_six() {
        for text in ["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"] {
            assert_eq!(kind(text), Loopback, "{text}");
        }
    }

    #[test]
    fn the_neighbours_of_special_ranges_are_global() {
        for text in [
            "1.0.0.0",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2000::",
            "2001:200::",
            "2001:4860:4860::8888",
            "2001:db7:ffff::1",
            "2001:db9::",
            "2003::",
            "2606:4700::1111",
            "3fff:1000::",
            "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(kind(text), Global, "{text}");
        }
    }

    proptest! {
        /// A public IPv4 address does not make its carrier public, and a private one does not make it "private".
        #[test]
        fn an_ipv4_address_inside_an_ipv6_one_never_passes(bits: u32) {
            let low = u128::from(bits);
            let v6 = |high: u128, shift: u32| Ipv6Addr::from_bits(high | (low << shift));
            for carrier in [
                v6(0, 0),
                v6(0xffff << 32, 0),
                v6(0xffff << 48, 0),
                v6(0x64_ff9b << 96, 0),
                v6(0x0064_ff9b_0001 << 80, 0),
                v6(0x2002 << 112, 80),
                v6(0x2001_0000 << 96, 64),
                v6(0x2001_0000 << 96, 0),
            ] {
                if carrier != Ipv6Addr::LOCALHOST {
                    prop_assert!(matches!(of_v6(carrier), Special(_)), "{}", carrier);
                }
            }
        }

        /// std's own stable predicates, as a second opinion.
        #[test]
        fn agrees_with_the_standard_library(bits: u32) {
            let ip = Ipv4Addr::from_bits(bits);
            let odd = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast()
                || ip.is_broadcast() || ip.is_documentation() || ip.is_unspecified();
            if odd {
                prop_assert_ne!(of_v4(ip), Global);
            }
        }
    }
}
