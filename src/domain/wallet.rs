//! Watch-only wallets: a name, a chain and an account key; each payment gets the next address.
//!
//! The counter of a wallet belongs to its account key, not to its name, and moves in the commit of the payment that
//! takes the address. Refuses to go back: an index that was given out once is never given out again.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::account_key::{AccountId, AccountKey, AddressIndex};
use super::address::Address;
use super::changes::{Changes, View};
use super::ids::{ChainId, UnixMs, Watched};
use super::ledger::{self, AmountPolicy, Refusal};
use super::payment::Payment;

pub const MAX_WALLET_NAME_CHARS: usize = 32;
/// Addresses passed over in one commit because a payment on them is watched by hand.
const MAX_PASSED_OVER: usize = 100;
/// BIP44's number of TRON.
const TRON_COIN: u32 = 195;

/// What a wallet is called in requests and answers: 1 to 32 of `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalletName(String);

/// Why a text is no wallet name.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum WalletNameError {
    #[error("a wallet's name has 1 to {MAX_WALLET_NAME_CHARS} characters, this has {0}")]
    Length(usize),
    #[error("a wallet's name is made of a-z, 0-9 and '-': {0:?} is none of them")]
    Character(char),
}

impl WalletName {
    /// # Errors
    /// See [`WalletNameError`].
    pub fn parse(text: &str) -> Result<Self, WalletNameError> {
        let chars = text.chars().count();
        if chars == 0 || chars > MAX_WALLET_NAME_CHARS {
            return Err(WalletNameError::Length(chars));
        }
        let allowed = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '-');
        match text.chars().find(|c| !allowed(c)) {
            Some(odd) => Err(WalletNameError::Character(odd)),
            None => Ok(Self(text.to_owned())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WalletName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The least index that an account has not given out yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct NextIndex(pub u32);

/// Where a payment's address comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// The wallet's name when the payment was created.
    pub wallet: WalletName,
    pub key: AccountId,
    /// The account's number, as its key tells it.
    pub account: u32,
    pub index: AddressIndex,
}

impl Derivation {
    /// The path from the wallet's master key, as wallet programs write it.
    pub fn path(&self) -> String {
        let (account, index) = (self.account, self.index.get());
        format!("m/44'/{TRON_COIN}'/{account}'/0/{index}")
    }
}

/// A configured wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    pub name: WalletName,
    pub chain: ChainId,
    pub key: AccountKey,
    /// Addresses below this one are not given out: they were used elsewhere.
    first: (AddressIndex, Address),
}

impl Wallet {
    /// Nothing when the account has no address from `first_index` on, which no real account has come to yet.
    pub fn new(
        name: WalletName,
        chain: ChainId,
        key: AccountKey,
        first_index: AddressIndex,
    ) -> Option<Self> {
        let first = key.first_address(first_index)?;
        Some(Self {
            name,
            chain,
            key,
            first,
        })
    }

    pub const fn first_address(&self) -> Address {
        self.first.1
    }

    /// Where the wallet goes on, given how far its account has come.
    pub fn next_index(&self, taken: NextIndex) -> NextIndex {
        taken.max(NextIndex(self.first.0.get()))
    }

    /// The next address that no payment watches.
    fn next_address(&self, view: &dyn View) -> Result<(AddressIndex, Address), Refusal> {
        let mut next = self.next_index(view.next_index(self.key.id())?);
        let mut passed_over = 0;
        loop {
            let found = AddressIndex::new(next.0).and_then(|from| self.key.first_address(from));
            let (index, address) =
                found.ok_or_else(|| Refusal::WalletExhausted(self.name.clone()))?;
            let watched = Watched {
                chain: self.chain,
                address,
            };
            if !view.watches_address(watched)? {
                return Ok((index, address));
            }
            passed_over += 1;
            if passed_over > MAX_PASSED_OVER {
                return Err(Refusal::WalletCrowded(self.name.clone()));
            }
            next = NextIndex(index.get() + 1);
        }
    }
}

/// Creates a payment at the wallet's next address, whatever address it came with. The index is taken in the same
/// commit or not at all.
pub fn create(
    view: &dyn View,
    wallet: &Wallet,
    mut new: Payment,
    policy: AmountPolicy,
    now: UnixMs,
) -> Result<Changes, Refusal> {
    let (index, address) = wallet.next_address(view)?;
    let key = wallet.key.id();
    new.chain = wallet.chain;
    new.address = address;
    new.derivation = Some(Derivation {
        wallet: wallet.name.clone(),
        key,
        account: wallet.key.account(),
        index,
    });
    Ok(Changes {
        next_index: Some((key, NextIndex(index.get() + 1))),
        ..ledger::create(view, new, policy, now)?
    })
}

/// All wallets, in the order of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Wallets(Arc<Vec<Arc<Wallet>>>);

impl Wallets {
    pub fn new(wallets: Vec<Wallet>) -> Self {
        Self(Arc::new(wallets.into_iter().map(Arc::new).collect()))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Wallet>> {
        self.0.iter()
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Wallet>> {
        self.0.iter().find(|wallet| wallet.name.as_str() == name)
    }
}
