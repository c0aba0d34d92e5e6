//! The list `wallets`: reserved for watch-only keys, and already guarded against private ones.
//!
//! Refuses anything that looks like a private key or a mnemonic, first and by name, and then every
//! wallet: deriving addresses is not built yet. Never quotes what it refuses.

use super::checker::{Checker, Section};
use super::mistake::{Place, Problem};
use super::scalar;
use super::tree::Tree;

pub const MAX_WALLETS: usize = 64;

const PRIVATE_KEY_HEX_DIGITS: usize = 64;
/// Letters behind the first of an extended private key: xprv, tprv, yprv, zprv and so on.
const EXTENDED_PRIVATE_MARK: &str = "prv";
const MNEMONIC_WORDS: [usize; 5] = [12, 15, 18, 21, 24];

/// Checks the list; there is nothing to keep of it.
pub(super) fn check_wallets(top: &mut Section, checker: &mut Checker) {
    let Some((place, tree)) = top.find("wallets", checker) else {
        return;
    };
    let wallets = checker.items(&place, tree, 0..=MAX_WALLETS, |place, tree, checker| {
        check_wallet(place, tree, checker);
        Some(())
    });
    if wallets.is_some_and(|wallets| !wallets.is_empty()) {
        checker.wrong(place, Problem::WalletsUnsupported);
    }
}

fn check_wallet(place: &Place, tree: &Tree, checker: &mut Checker) {
    let Tree::Section(entries) = tree else {
        refuse_private(place, tree, checker);
        return;
    };
    for (key, value) in entries {
        refuse_private(&place.key(key), value, checker);
    }
    let mut section = Section::open_or_empty(place, tree, checker);
    for key in ["name", "chain", "xpub"] {
        section.get(key, checker, |tree| scalar::text(tree).map(drop));
    }
    section.close(checker);
}

fn refuse_private(place: &Place, tree: &Tree, checker: &mut Checker) {
    let mut found = None;
    tree.each_text(&mut |text| found = found.or_else(|| private_look(text)));
    if let Some(what) = found {
        checker.wrong(place.clone(), Problem::PrivateKey { what });
    }
}

/// What kind of private key the text looks like, if any.
fn private_look(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits.len() == PRIVATE_KEY_HEX_DIGITS && is_hex {
        return Some("a private key");
    }
    let mark = text.get(1..4).unwrap_or_default();
    if mark.eq_ignore_ascii_case(EXTENDED_PRIVATE_MARK) {
        return Some("an extended private key");
    }
    let mut words = 0;
    for word in text.split_whitespace() {
        words += 1;
        if !word.chars().all(char::is_alphabetic) {
            return None;
        }
    }
    MNEMONIC_WORDS
        .contains(&words)
        .then_some("a wallet's recovery phrase")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_recognised_in_every_dress() {
        let hex = "ab".repeat(32);
        for text in [
            &hex,
            &format!("0x{hex}"),
            &hex.to_uppercase(),
            &format!(" {hex}\n"),
            "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
            "zprvAWgYBBk7JR8Gj",
            &"abandon ".repeat(12),
            &["zoo"; 24].join("\t"),
        ] {
            assert!(private_look(text).is_some(), "{text}");
        }
        for text in [
            "",
            "main",
            "tron",
            "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
            &hex[1..],
            &"word ".repeat(13),
            "é",
        ] {
            assert!(private_look(text).is_none(), "{text}");
        }
    }
}
