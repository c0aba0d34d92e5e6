//! What can be wrong with a configuration, and where: places, problems, and all of them together.
//!
//! Refuses to quote the values of secrets and URLs, and whatever looks like a private key; other values are quoted escaped and cut.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use super::chain::{CONFIRMATIONS, ChainNameError};
use super::load::Origin;
use super::secret::SecretError;
use super::tree::NUMBER_IN_QUOTES;
use super::wallet::private_look;
use super::web::{PublicUrl, WebError};
use crate::domain::account_key::AccountKeyError;
use crate::domain::address::AddressError;
use crate::domain::amount::AmountError;
use crate::domain::wallet::WalletNameError;
use crate::logging::FilterError;

/// Mistakes printed at most; the rest are counted.
const MAX_SHOWN_MISTAKES: usize = 100;
/// Characters of a value or an unknown key that an error quotes.
const MAX_QUOTED_CHARS: usize = 60;

/// Where in the file or the environment: `chains[0].endpoints[1].url`, or a variable's name.
#[derive(Clone, PartialEq, Eq)]
pub struct Place(String);

impl Place {
    pub(super) const fn top() -> Self {
        Self(String::new())
    }

    pub(super) fn variable(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub(super) fn key(&self, key: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let known_shape = !key.is_empty() && key.len() <= MAX_QUOTED_CHARS;
        if !known_shape || !key.bytes().all(plain) || private_look(key).is_some() {
            return Self(format!("{}[{}]", self.0, quote(key)));
        }
        let dot = if self.0.is_empty() { "" } else { "." };
        Self(format!("{}{dot}{key}", self.0))
    }

    pub(super) fn item(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "the whole file"
        } else {
            &self.0
        })
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

/// A text in quotes, escaped so that no terminal obeys it, and cut. What looks like a private key is not shown, wherever
/// in the file it stands.
pub(super) fn quote(text: &str) -> String {
    if private_look(text).is_some() {
        return "\"***\"".to_owned();
    }
    let mut shown: String = text.chars().take(MAX_QUOTED_CHARS).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("{shown:?}")
}

/// One thing that is wrong, in words that follow a [`Place`] and a colon.
#[derive(Debug, Error)]
pub enum Problem {
    #[error("there is no such key here; did you mean \"{closest}\"?")]
    Misspelt { closest: &'static str },
    #[error("there is no such key here; the keys are: {}", .keys.join(", "))]
    UnknownKey { keys: Vec<&'static str> },
    #[error("there is no such key here")]
    AnotherUnknownKey,
    #[error("this key is written more than once: keep one")]
    DuplicateKey,
    #[error("it is missing: write for example {example}")]
    Missing { example: &'static str },
    #[error("it must be {wanted}, this is {found}{}", hint(wanted, found))]
    WrongType { wanted: String, found: &'static str },
    #[error("it must be from {least} to {most}, this is {found}")]
    OutOfRange {
        least: String,
        most: String,
        found: String,
    },
    #[error("it must be one of {}, this is {found}", .allowed.join(", "))]
    NotOneOf {
        allowed: Vec<&'static str>,
        found: String,
    },
    #[error("it must be true or false, this is {found}")]
    NotAFlag { found: String },
    #[error("it must not be empty{0}")]
    Empty(&'static str),
    #[error("it must have {least} to {most} items, this has {found}")]
    ItemCount {
        least: usize,
        most: usize,
        found: usize,
    },
    #[error(
        "it must be \"final\" or a number of blocks from {} to {}",
        CONFIRMATIONS.start(),
        CONFIRMATIONS.end()
    )]
    Confirmations,
    #[error("it is the same as {first}: each must be different")]
    Repeated { first: Place },
    #[error("it is not an address to listen on: {}", listen_remedy(.found))]
    Listen { found: String },
    #[error("it is not UTF-8 text")]
    NotUnicode,
    #[error("a file name cannot hold a NUL character")]
    FileName,
    #[error("{0}")]
    Web(#[source] WebError),
    #[error("{0}")]
    Secret(#[source] SecretError),
    #[error("{0}")]
    Contract(#[source] AddressError),
    #[error("{0}: write a decimal in quotes, such as \"0.01\"")]
    Amount(#[source] AmountError),
    #[error("{0}")]
    Filter(#[source] FilterError),
    #[error("{0}")]
    ChainName(#[source] ChainNameError),
    #[error("it is more than max_expires_in_seconds ({most_seconds})")]
    ExpiryBeyondMost { most_seconds: u64 },
    #[error(
        "this looks like {what}: paybell never takes private keys. Remove it from this file, and treat its funds as exposed if the file was shared"
    )]
    PrivateKey { what: &'static str },
    #[error("no chain of this name is configured; there is: {known}")]
    UnknownChain { known: String },
    #[error("{0}")]
    WalletName(#[source] WalletNameError),
    #[error("{0}")]
    AccountKey(#[source] AccountKeyError),
}

/// Why the hub does not serve at an address.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum BindRefused {
    #[error(
        "{0} can be reached from other machines, and there is no API key yet, so anyone there could use the hub: make one with 'paybell keys create --name admin --scope admin', or listen on 127.0.0.1, or set \"allow_unauthenticated\": true (PAYBELL_ALLOW_UNAUTHENTICATED=true) if something in front of it keeps strangers out"
    )]
    Listen(SocketAddr),
    #[error(
        "\"public_url\" says that {} leads to this hub, and there is no API key yet, so anyone who comes that way could use it: make one with 'paybell keys create --name admin --scope admin', or set \"allow_unauthenticated\": true (PAYBELL_ALLOW_UNAUTHENTICATED=true) if something in front of the hub keeps strangers out", .0.as_str()
    )]
    PublicUrl(PublicUrl),
}

fn hint(wanted: &str, found: &str) -> &'static str {
    let wants = |what: &str| wanted.contains(what);
    match found {
        "null" => ": leave the key out for its default",
        NUMBER_IN_QUOTES if wants("number") => ": write it without quotes",
        "a whole number" if wants("string") => ": put it in quotes",
        _ if found.starts_with("a number") && wants("string") => ": put it in quotes",
        "a string" if wants("list") => ": put it in [ ]",
        _ => "",
    }
}

fn listen_remedy(found: &str) -> String {
    let port = found
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    match port {
        Some(("", port)) => format!("write 127.0.0.1:{port}, or 0.0.0.0:{port} for every address"),
        Some(("localhost", port)) => format!("write 127.0.0.1:{port}"),
        _ => "write an IP address and a port, such as 127.0.0.1:5000 or [::1]:5000".to_owned(),
    }
}

/// One mistake with its place.
#[derive(Debug, Error)]
pub enum Mistake {
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} has more than {most_bytes} bytes: it is not a configuration", .path.display())]
    TooLarge { path: PathBuf, most_bytes: u64 },
    #[error("{} is not JSON: {source}", .path.display())]
    Syntax {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{place}: {problem}")]
    Setting {
        place: Place,
        #[source]
        problem: Problem,
    },
}

impl Mistake {
    pub(super) fn is_at(&self, sought: &Place) -> bool {
        matches!(self, Self::Setting { place, .. } if place == sought)
    }
}

/// Something odd that does not stop the hub, as `place: text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub place: Place,
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Every mistake in a configuration, at once. Displays one a line, without a line end at the end.
#[derive(Debug)]
pub struct ConfigErrors {
    pub origin: Origin,
    /// Never empty.
    pub mistakes: Vec<Mistake>,
    /// A misspelt variable may explain a mistake, so warnings come along.
    pub warnings: Vec<Warning>,
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mistakes.len() {
            1 => f.write_str("1 mistake in the configuration")?,
            n => write!(f, "{n} mistakes in the configuration")?,
        }
        match &self.origin {
            Origin::File(path) => write!(f, " ({}):", path.display())?,
            Origin::Defaults => f.write_str(":")?,
        }
        for mistake in self.mistakes.iter().take(MAX_SHOWN_MISTAKES) {
            write!(f, "\n  {mistake}")?;
        }
        match self.mistakes.len().saturating_sub(MAX_SHOWN_MISTAKES) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
