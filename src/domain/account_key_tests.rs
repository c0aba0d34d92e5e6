//! Account keys against published vectors: BIP32's own, and the addresses of the phrase that everyone knows.

use proptest::prelude::*;

use super::*;
use crate::domain::test_support::XPUB;

/// Addresses 0/0 to 0/4 of the known phrase's TRON account.
const KNOWN_ADDRESSES: [&str; 5] = [
    "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH",
    "TSeJkUh4Qv67VNFwY8LaAxERygNdy6NQZK",
    "TYJPRrdB5APNeRs4R7fYZSwW3TcrTKw2gx",
    "TRhVWK5XEDkQBDevcdCWW7RW51aRncty4W",
    "TT2X2yyubp7qpAWYYNE5JQWBtoZ7ikQFsY",
];

/// Keys of BIP32's test vectors 1 and 2: parent, child's number, child; those that need no private key.
const PUBLIC_DERIVATIONS: [(&str, u32, &str); 5] = [
    (
        "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw",
        1,
        "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ",
    ),
    (
        "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5",
        2,
        "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
    ),
    (
        "xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV",
        1_000_000_000,
        "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy",
    ),
    (
        "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB",
        0,
        "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH",
    ),
    (
        "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL",
        2,
        "xpub6FnCn6nSzZAw5Tw7cgR9bi15UV96gLZhjDstkXXxvCLsUXBGXPdSnLFbdpq8p9HmGsApME5hQTZ3emM2rnY5agb9rXpVGyy3bdW6EEgAtqt",
    ),
];

/// BIP32's test vector 5, the public ones whose key is no point: a private key, the prefixes 04 and 01, no such x.
const NO_POINT: [&str; 4] = [
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6LBpB85b3D2yc8sfvZU521AAwdZafEz7mnzBBsz4wKY5fTtTQBm",
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Txnt3siSujt9RCVYsx4qHZGc62TG4McvMGcAUjeuwZdduYEvFn",
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6N8ZMMXctdiCjxTNq964yKkwrkBJJwpzZS4HS2fxvyYUA4q2Xe4",
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Q5JXayek4PRsn35jii4veMimro1xefsM58PgBMrvdYre8QyULY",
];

/// The curve's order.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

fn extended(text: &str) -> ExtendedKey {
    ExtendedKey::read(&payload(text).expect("a payload")).expect("a key")
}

/// The known key with some of its bytes changed, and a good checksum.
fn changed(change: impl FnOnce(&mut [u8; PAYLOAD_BYTES])) -> String {
    let mut payload = payload(XPUB).expect("a payload");
    change(&mut payload);
    let checksum = base58_checksum(&payload);
    bs58::encode([&payload[..], &checksum].concat()).into_string()
}

fn index(index: u32) -> AddressIndex {
    AddressIndex::new(index).expect("an index")
}

#[test]
fn the_known_phrase_gives_its_known_addresses() {
    let key = AccountKey::parse(XPUB).expect("a key");
    assert_eq!(key.account(), 0);
    for (i, expected) in (0..).zip(KNOWN_ADDRESSES) {
        let address = key.address(index(i)).expect("an address");
        assert_eq!(address.to_tron(), expected);
    }
}

#[test]
fn public_children_are_those_of_bip32() {
    for (parent, number, child) in PUBLIC_DERIVATIONS {
        let derived = extended(parent).child(number).expect("a child");
        assert!(derived == extended(child), "{parent}/{number}");
    }
}

#[test]
fn what_bip32_calls_invalid_is_refused() {
    for text in NO_POINT {
        let payload = payload(text).expect("a good checksum");
        assert_eq!(
            ExtendedKey::read(&payload).err(),
            Some(AccountKeyError::Point)
        );
        // The same at the account's level.
        let account = changed(|p| p[45..].copy_from_slice(&payload[45..]));
        assert_eq!(AccountKey::parse(&account), Err(AccountKeyError::Point));
    }
}

#[test]
fn a_key_of_another_level_is_told_which() {
    let at = |depth: u8| AccountKey::parse(&changed(|p| p[4] = depth)).expect_err("refused");
    assert_eq!(at(0), AccountKeyError::Master);
    assert_eq!(at(1), AccountKeyError::AboveAccount(1));
    assert_eq!(at(2), AccountKeyError::AboveAccount(2));
    assert_eq!(at(4), AccountKeyError::ChangeLevel);
    assert_eq!(at(5), AccountKeyError::BelowAccount(5));
    assert_eq!(at(255), AccountKeyError::BelowAccount(255));
    let soft = AccountKey::parse(&changed(|p| p[9] = 0));
    assert_eq!(soft, Err(AccountKeyError::AccountNotHardened));
    let second = AccountKey::parse(&changed(|p| p[12] = 1)).expect("account 1");
    assert_eq!(second.account(), 1);
    for (_, number, child) in PUBLIC_DERIVATIONS.iter().take(2) {
        assert!(AccountKey::parse(child).is_err(), "{number}");
    }
}

#[test]
fn other_forms_and_mistakes_are_named_without_quoting_the_key() {
    let version = |bytes: u32| changed(|p| p[..4].copy_from_slice(&bytes.to_be_bytes()));
    let cases = [
        (version(0x049D_7CB2), AccountKeyError::OtherForm('y')),
        (version(0x04B2_4746), AccountKeyError::OtherForm('z')),
        (version(0x02AA_7ED3), AccountKeyError::OtherForm('Z')),
        (version(0x0435_87CF), AccountKeyError::OtherForm('t')),
        (version(0x0488_ADE4), AccountKeyError::Private),
        (version(0x04B2_430C), AccountKeyError::Private),
        (String::new(), AccountKeyError::NotXpub),
        (
            "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t".to_owned(),
            AccountKeyError::NotXpub,
        ),
        ("\u{445}pub".to_owned(), AccountKeyError::NotXpub),
        ("xpub".to_owned(), AccountKeyError::Length(4)),
        (format!("{XPUB}\n"), AccountKeyError::Alphabet('\n')),
        (XPUB.replacen('6', "0", 1), AccountKeyError::Alphabet('0')),
        (XPUB[..110].to_owned(), AccountKeyError::Length(110)),
        (format!("{XPUB}1"), AccountKeyError::Length(112)),
        (XPUB.replacen("6D", "D6", 1), AccountKeyError::Checksum),
    ];
    for (text, why) in cases {
        let found = AccountKey::parse(&text).expect_err(&text);
        assert_eq!(found, why, "{text}");
        let told = format!("{found} {found:?}");
        assert!(text.len() < 30 || !told.contains(&text[10..30]), "{told}");
    }
    let shown = format!("{:?}", AccountKey::parse(XPUB));
    assert_eq!(shown, "Ok(AccountKey(not shown))");
}

/// No hash can be found that falls on an invalid child, so its number is handed in.
#[test]
fn numbers_without_a_child_are_refused() {
    let base = ProjectivePoint::GENERATOR;
    let bytes = |text: &str| array::<32>(&hex::decode(text).expect("hex"));
    let mut below = bytes(ORDER);
    assert!(tweak(&base, below).is_none(), "the order itself");
    assert!(tweak(&base, [0xff; 32]).is_none());
    below[31] -= 1;
    // The order less one times the base point is its opposite: the sum is the point at infinity.
    assert!(tweak(&base, below).is_none());
    below[31] -= 1;
    assert!(tweak(&base, below).is_some());
    let unmoved = tweak(&base, [0; 32]).expect("BIP32 has nothing against 0");
    assert_eq!(unmoved.to_projective(), base);
}

#[test]
fn an_index_without_an_address_is_passed_over() {
    let odd = |i: AddressIndex| (i.get() % 4 == 3).then_some(i.get());
    assert_eq!(first_valid(index(0), odd), Some((index(3), 3)));
    assert_eq!(first_valid(index(3), odd), Some((index(3), 3)));
    let last = index(AddressIndex::MAX);
    let none = |_: AddressIndex| None::<()>;
    assert_eq!(first_valid(last, none), None);
    assert_eq!(AddressIndex::new(AddressIndex::MAX + 1), None);
}

#[test]
fn accounts_differ_by_key_and_chain_code_and_by_nothing_else() {
    let id = |text: &str| AccountKey::parse(text).expect("a key").id();
    let other_parent = changed(|p| p[5] ^= 1);
    assert_eq!(id(XPUB), id(&other_parent), "the same addresses");
    assert_ne!(id(XPUB), id(&changed(|p| p[13] ^= 1)));
    assert_ne!(id(XPUB), id(&changed(|p| p[45] ^= 1)), "the opposite point");
}

proptest! {
    /// Adding on the curve is adding private keys: who holds the private account key can spend from every child.
    #[test]
    fn the_holder_of_the_private_key_owns_the_children(private in 1_u64.., number in 0..HARDENED) {
        let scalar = Scalar::from(private);
        let key = PublicKey::from_affine((ProjectivePoint::GENERATOR * scalar).to_affine()).expect("a point");
        let parent = ExtendedKey {
            point: key.to_projective(),
            sec1: array(key.to_sec1_point(true).as_bytes()),
            chain_code: [7; 32],
        };
        let mut mac = Hmac::<Sha512>::new_from_slice(&[7; 32]).expect("a key");
        mac.update(&parent.sec1);
        mac.update(&number.to_be_bytes());
        let left: [u8; 32] = array(&mac.finalize().into_bytes()[..32]);
        let added = Option::<Scalar>::from(Scalar::from_repr(left.into())).expect("below the order") + scalar;
        let child = parent.child(number).expect("a child");
        prop_assert_eq!(child.point, ProjectivePoint::GENERATOR * added);
    }

    #[test]
    fn no_text_panics(text in "(xpub)?[1-9A-Za-z\\PC]{0,120}") {
        prop_assert!(AccountKey::parse(&text).is_err());
    }

    #[test]
    fn one_changed_character_is_always_noticed(at in 4_usize..XPUB_CHARS, to in "[1-9A-HJ-NP-Za-km-z]") {
        let mut text = XPUB.to_owned();
        text.replace_range(at..=at, &to);
        prop_assume!(text != XPUB);
        prop_assert_eq!(AccountKey::parse(&text), Err(AccountKeyError::Checksum));
    }
}
