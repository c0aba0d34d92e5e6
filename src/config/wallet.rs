//! The list `wallets`: watch-only account keys, by name.
//!
//! Refuses anything that looks like a private key or a mnemonic, first and by name, and a second wallet of the same name or key.
//! Never quotes a key: a private one spends, and a public one shows every address of its account.

use super::chain::{ChainConfig, ChainName};
use super::checker::{Checker, Section};
use super::mistake::{Place, Problem};
use super::scalar;
use super::tree::Tree;
use crate::domain::account_key::{AccountId, AccountKey, AddressIndex};
use crate::domain::wallet::WalletName;

pub const MAX_WALLETS: usize = 64;

const PRIVATE_KEY_HEX_DIGITS: usize = 64;
/// Letters behind the first of an extended private key: xprv, tprv, yprv, zprv and so on.
const EXTENDED_PRIVATE_MARK: &str = "prv";
const MNEMONIC_WORDS: [usize; 5] = [12, 15, 18, 21, 24];

/// One wallet, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletConfig {
    pub name: WalletName,
    /// One of the configured chains.
    pub chain: ChainName,
    pub key: AccountKey,
    /// Where the hub begins to give out addresses.
    pub first_index: AddressIndex,
}

/// What the wallets read so far have taken.
#[derive(Default)]
struct Taken {
    names: Vec<(WalletName, Place)>,
    keys: Vec<(AccountId, Place)>,
}

/// Reads the list. `chains` is absent where nobody can say which there are.
pub(super) fn read_wallets(
    top: &mut Section,
    chains: Option<&[ChainConfig]>,
    checker: &mut Checker,
) -> Option<Vec<WalletConfig>> {
    let (place, tree) = top.find("wallets", checker)?;
    let mut taken = Taken::default();
    checker.items(&place, tree, 0..=MAX_WALLETS, |place, tree, checker| {
        read_wallet(place, tree, chains, &mut taken, checker)
    })
}

fn read_wallet(
    place: &Place,
    tree: &Tree,
    chains: Option<&[ChainConfig]>,
    taken: &mut Taken,
    checker: &mut Checker,
) -> Option<WalletConfig> {
    if holds_private(place, tree, checker) {
        return None;
    }
    let mut section = Section::open(place, tree, checker)?;
    let name = section.require("name", "\"main\"", checker, |tree| {
        WalletName::parse(scalar::text(tree)?).map_err(Problem::WalletName)
    });
    let chain = section.get("chain", checker, |tree| known_chain(tree, chains));
    let key = section.require("xpub", "\"xpub6...\"", checker, |tree| {
        AccountKey::parse(scalar::text(tree)?).map_err(Problem::AccountKey)
    });
    let first = section.get("first_index", checker, |tree| {
        scalar::whole(tree, 0..=AddressIndex::MAX)
    });
    let (name_place, key_place) = (section.place_of("name"), section.place_of("xpub"));
    section.close(checker);
    if let Some(name) = &name {
        refuse_second(&mut taken.names, name, name_place, checker);
    }
    if let Some(key) = &key {
        refuse_second(&mut taken.keys, &key.id(), key_place, checker);
    }
    let default_chain = || Some(chains?.first()?.name.clone());
    Some(WalletConfig {
        name: name?,
        chain: chain.or_else(default_chain)?,
        key: key?,
        first_index: AddressIndex::new(first.unwrap_or_default())?,
    })
}

fn known_chain(tree: &Tree, chains: Option<&[ChainConfig]>) -> Result<ChainName, Problem> {
    let name = ChainName::parse(scalar::text(tree)?).map_err(Problem::ChainName)?;
    match chains {
        Some(chains) if !chains.iter().any(|chain| chain.name == name) => {
            let known: Vec<&str> = chains.iter().map(|chain| chain.name.as_str()).collect();
            let known = known.join(", ");
            Err(Problem::UnknownChain { known })
        }
        _ => Ok(name),
    }
}

fn refuse_second<T: PartialEq + Clone>(
    taken: &mut Vec<(T, Place)>,
    value: &T,
    place: Place,
    checker: &mut Checker,
) {
    match taken.iter().find(|(earlier, _)| earlier == value) {
        Some((_, first)) => {
            let first = first.clone();
            checker.wrong(place, Problem::Repeated { first });
        }
        None => taken.push((value.clone(), place)),
    }
}

/// Notes every private key in a wallet, even one in the place of a key's name, which is then not told.
fn holds_private(place: &Place, tree: &Tree, checker: &mut Checker) -> bool {
    let before = checker.mistakes.len();
    match tree {
        Tree::Section(entries) => {
            for (key, value) in entries {
                if let Some(what) = private_look(key) {
                    checker.wrong(place.clone(), Problem::PrivateKey { what });
                    continue;
                }
                refuse_private(&place.key(key), value, checker);
            }
        }
        _ => refuse_private(place, tree, checker),
    }
    checker.mistakes.len() > before
}

fn refuse_private(place: &Place, tree: &Tree, checker: &mut Checker) {
    let mut found = None;
    tree.each_text(&mut |text| found = found.or_else(|| private_look(text)));
    if let Some(what) = found {
        checker.wrong(place.clone(), Problem::PrivateKey { what });
    }
}

/// What kind of private key the text looks like, if any.
pub(super) fn private_look(text: &str) -> Option<&'static str> {
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
    let between = |c: char| c.is_whitespace() || c == ',';
    for word in text.split(between).filter(|word| !word.is_empty()) {
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
            &["zoo"; 12].join(", "),
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
