//! Watch-only wallets in the file: what is read, and the exact words of what is wrong.

use super::*;
use crate::domain::test_support::XPUB;

/// The key of account 1 of the same phrase would do; another chain code makes another key just as well.
const OTHER: &str = "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5";
/// BIP32's first master key.
const MASTER: &str = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";

fn wallets(list: &str) -> String {
    format!(r#"{{"wallets":[{list}]}}"#)
}

fn wallet(name: &str, xpub: &str) -> String {
    format!(r#"{{"name":"{name}","xpub":"{xpub}"}}"#)
}

#[test]
fn wallets_are_read_and_their_keys_are_not_shown() {
    let text = format!(
        r#"{{"chains":[{{"name":"main"}},{{"name":"nile"}}],"wallets":[{},
            {{"name":"test","chain":"nile","xpub":"{OTHER}","first_index":40}}]}}"#,
        wallet("shop-1", XPUB)
    )
    .replace(
        r#""main"}"#,
        r#""main","endpoints":[{"url":"http://localhost:1"}]}"#,
    )
    .replace(
        r#""nile"}]"#,
        r#""nile","endpoints":[{"url":"http://localhost:2"}]}]"#,
    );
    let loaded = load(&text, &[]).expect("good");
    let [shop, test] = &loaded.config.wallets[..] else {
        panic!("two wallets");
    };
    assert_eq!(
        (shop.name.as_str(), shop.chain.as_str()),
        ("shop-1", "main")
    );
    assert_eq!((shop.key.account(), shop.first_index.get()), (0, 0));
    assert_eq!((test.chain.as_str(), test.first_index.get()), ("nile", 40));
    let debug = format!("{loaded:?}");
    let report = check_report(&Ok(loaded)).stdout;
    for line in [
        "wallet shop-1      on main, watch-only, account 0, from index 0\n",
        "  first address    TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH (0/0): your wallet must show the same\n",
        "wallet test        on nile, watch-only, account 2, from index 40\n",
    ] {
        assert!(report.contains(line), "{line} in {report}");
    }
    for key in [XPUB, OTHER] {
        assert!(!report.contains(&key[20..40]) && !debug.contains(&key[20..40]));
    }
}

#[test]
fn mistakes_in_wallets_have_their_path() {
    for (list, expected) in [
        (
            wallet("Main", XPUB),
            "wallets[0].name: a wallet's name is made of a-z",
        ),
        (
            wallet("", XPUB),
            "wallets[0].name: a wallet's name has 1 to 32",
        ),
        (
            format!(r#"{{"xpub":"{XPUB}"}}"#),
            "wallets[0].name: it is missing",
        ),
        (
            r#"{"name":"main"}"#.to_owned(),
            "wallets[0].xpub: it is missing",
        ),
        (
            format!("{},{}", wallet("main", XPUB), wallet("main", OTHER)),
            "wallets[1].name: it is the same as wallets[0].name",
        ),
        (
            format!("{},{}", wallet("main", XPUB), wallet("shop", XPUB)),
            "wallets[1].xpub: it is the same as wallets[0].xpub",
        ),
        (
            format!(r#"{{"name":"main","chain":"ethereum","xpub":"{XPUB}"}}"#),
            "wallets[0].chain: no chain of this name is configured; there is: tron",
        ),
        (
            format!(r#"{{"name":"main","first_index":2147483648,"xpub":"{XPUB}"}}"#),
            "wallets[0].first_index: it must be from 0 to 2147483647",
        ),
        (
            wallet("main", MASTER),
            "wallets[0].xpub: it is the wallet's master key (level 0)",
        ),
        (
            wallet("main", &XPUB[1..]),
            "wallets[0].xpub: an account's extended public key starts with xpub",
        ),
        (
            wallet("main", &XPUB.replace("xpub6D", "xpub6d")),
            "wallets[0].xpub: the checksum does not match",
        ),
        (
            wallet("main", &XPUB.replace('x', "z")),
            "wallets[0].xpub: it is a zpub key, a form for another network (SLIP-132)",
        ),
        (r#""main""#.to_owned(), "wallets[0]: it must be an object"),
    ] {
        assert_only_mistake(&wallets(&list), expected);
        let told = mistakes(&wallets(&list), &[]).join("\n");
        for key in [XPUB, OTHER, MASTER] {
            assert!(!told.contains(&key[20..40]), "{told}");
        }
    }
    let many = vec!["1"; 65].join(",");
    assert_only_mistake(
        &wallets(&many),
        "wallets: it must have 0 to 64 items, this has 65",
    );
}
