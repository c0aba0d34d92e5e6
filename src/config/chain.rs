//! The chains to follow: name, endpoints, token contract, finality.
//!
//! Refuses two chains of one name, and a chain without endpoints. Calls no endpoint.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;

use super::checker::{Checker, Section};
use super::endpoint::{EndpointConfig, read_endpoints};
use super::environment::TRONGRID_API_KEY;
use super::mistake::{Place, Problem};
use super::scalar;
use super::secret::SecretText;
use super::tree::Tree;
use crate::domain::address::Address;

pub const MAX_CHAINS: usize = 16;
pub const MAX_CHAIN_NAME_CHARS: usize = 32;
/// Blocks on top of a transfer, its own included, that a chain can be asked to wait for.
pub const CONFIRMATIONS: RangeInclusive<u32> = 1..=1_000;
pub const SLOT_MS: RangeInclusive<u64> = 50..=60_000;

/// USDT on TRON mainnet, `TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t`.
pub const USDT_TRON_MAINNET: Address = Address::from_bytes([
    0xa6, 0x14, 0xf8, 0x03, 0xb6, 0xfd, 0x78, 0x09, 0x86, 0xa4, 0x2c, 0x78, 0xec, 0x9c, 0x7f, 0x77,
    0xe6, 0xde, 0xd1, 0x3c,
]);

/// What a chain is called in requests, events and the store: 1 to 32 of `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainName(String);

/// Why a text is no chain name.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum ChainNameError {
    #[error("a chain's name has 1 to {MAX_CHAIN_NAME_CHARS} characters, this has {0}")]
    Length(usize),
    #[error("a chain's name is made of a-z, 0-9 and '-': {0:?} is none of them")]
    Character(char),
}

impl ChainName {
    /// # Errors
    /// See [`ChainNameError`].
    pub fn parse(text: &str) -> Result<Self, ChainNameError> {
        let chars = text.chars().count();
        if chars == 0 || chars > MAX_CHAIN_NAME_CHARS {
            return Err(ChainNameError::Length(chars));
        }
        let allowed = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '-');
        match text.chars().find(|c| !allowed(c)) {
            Some(odd) => Err(ChainNameError::Character(odd)),
            None => Ok(Self(text.to_owned())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The family of chain, which decides how its endpoints are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    Tron,
}

/// When a transfer counts, for payments that do not say it themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmations {
    /// Once the chain calls its block final.
    Final,
    /// Once this many blocks hold it or stand on it; within [`CONFIRMATIONS`].
    Blocks(u32),
}

/// One chain to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainConfig {
    pub name: ChainName,
    pub kind: ChainKind,
    /// At least one, most preferred first.
    pub endpoints: Vec<EndpointConfig>,
    pub contract: Address,
    pub confirmations: Confirmations,
    /// The time from one block to the next.
    pub slot: Duration,
}

/// TRON mainnet through TronGrid.
impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            name: ChainName("tron".to_owned()),
            kind: ChainKind::Tron,
            endpoints: vec![EndpointConfig::trongrid(None)],
            contract: USDT_TRON_MAINNET,
            confirmations: Confirmations::Final,
            slot: Duration::from_millis(3_000),
        }
    }
}

/// Reads the list `chains`; absent, it is TRON mainnet. Nothing when the list itself is wrong.
pub(super) fn read_chains(top: &mut Section, checker: &mut Checker) -> Option<Vec<ChainConfig>> {
    let spare_key = checker
        .variable(TRONGRID_API_KEY, |place, tree, checker| {
            checker.take(place, scalar::api_key(tree))
        })
        .flatten();
    // Read like a written one, so that the default chain gets the key and the advice too.
    let default = Tree::List(vec![Tree::Section(Vec::new())]);
    let place = top.place_of("chains");
    let tree = top
        .find("chains", checker)
        .map_or(&default, |(_, tree)| tree);
    let mut names = Vec::new();
    checker.items(&place, tree, 1..=MAX_CHAINS, |place, tree, checker| {
        read_chain(place, tree, spare_key.as_ref(), &mut names, checker)
    })
}

fn read_chain(
    place: &Place,
    tree: &Tree,
    spare_key: Option<&SecretText>,
    names: &mut Vec<(ChainName, Place)>,
    checker: &mut Checker,
) -> Option<ChainConfig> {
    let mut section = Section::open(place, tree, checker)?;
    let defaults = ChainConfig::default();
    let name = section.get("name", checker, chain_name);
    let kind = section.get("kind", checker, |tree| {
        scalar::one_of(tree, &[("tron", ChainKind::Tron)])
    });
    let endpoints = read_endpoints(&mut section, spare_key, checker);
    let contract = section.get("contract", checker, contract);
    let confirmations = section.get("confirmations", checker, confirmations);
    let slot_ms = section.get("slot_ms", checker, |tree| scalar::whole(tree, SLOT_MS));
    let name_place = section.place_of("name");
    section.close(checker);
    let chain = ChainConfig {
        name: name.unwrap_or(defaults.name),
        kind: kind.unwrap_or(defaults.kind),
        endpoints: endpoints.unwrap_or(defaults.endpoints),
        contract: contract.unwrap_or(defaults.contract),
        confirmations: confirmations.unwrap_or(defaults.confirmations),
        slot: slot_ms.map_or(defaults.slot, Duration::from_millis),
    };
    refuse_second(names, &chain.name, name_place, checker);
    advise_on_test_network(&chain, place, checker);
    Some(chain)
}

fn refuse_second(
    names: &mut Vec<(ChainName, Place)>,
    name: &ChainName,
    place: Place,
    checker: &mut Checker,
) {
    match names.iter().find(|(earlier, _)| earlier == name) {
        Some((_, first)) => {
            let first = first.clone();
            checker.wrong(place, Problem::Repeated { first });
        }
        None => names.push((name.clone(), place)),
    }
}

fn chain_name(tree: &Tree) -> Result<ChainName, Problem> {
    ChainName::parse(scalar::text(tree)?).map_err(Problem::ChainName)
}

fn contract(tree: &Tree) -> Result<Address, Problem> {
    Address::from_tron(scalar::text(tree)?).map_err(Problem::Contract)
}

fn confirmations(tree: &Tree) -> Result<Confirmations, Problem> {
    match tree {
        Tree::Text(text) if text == "final" => Ok(Confirmations::Final),
        Tree::Whole(_) => scalar::whole(tree, CONFIRMATIONS).map(Confirmations::Blocks),
        _ => Err(Problem::Confirmations),
    }
}

/// The mainnet contract does not exist on a test network, where nothing would ever be found.
fn advise_on_test_network(chain: &ChainConfig, place: &Place, checker: &mut Checker) {
    let test_network = |host: &str| host.contains("nile") || host.contains("shasta");
    let mut hosts = chain.endpoints.iter().map(|endpoint| endpoint.url.host());
    if chain.contract == USDT_TRON_MAINNET && hosts.any(test_network) {
        checker.warn(
            place.key("contract"),
            "an endpoint of this chain is a test network, but the contract is mainnet's USDT: no payment would be found",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_is_mainnet_usdt() {
        assert_eq!(
            USDT_TRON_MAINNET.to_tron(),
            "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
        );
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!(ChainName::parse("tron-2").is_ok());
        for (text, why) in [
            ("", ChainNameError::Length(0)),
            ("Tron", ChainNameError::Character('T')),
            ("a b", ChainNameError::Character(' ')),
            ("\u{441}", ChainNameError::Character('\u{441}')),
        ] {
            assert_eq!(ChainName::parse(text), Err(why));
        }
        let long = "a".repeat(33);
        assert_eq!(ChainName::parse(&long), Err(ChainNameError::Length(33)));
    }
}
