//! A callback URL that was checked, and the policy that it was checked by.
//!
//! Refuses whatever can be refused without asking the network: other schemes than https, user names and passwords, and
//! addresses that are no receiver's. Names are looked up in `guard`. Errors are read by API clients and never repeat the
//! URL, which may hold a token.

use std::fmt;
use std::net::IpAddr;

use thiserror::Error;
use url::{Host, Url};

use super::address_kind::AddressKind;

/// Longest callback URL, bytes.
pub const MAX_CALLBACK_URL_BYTES: usize = 2048;

/// Where plain http may go, and whether this machine may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InsecureCallbacks {
    /// https to other machines only.
    #[default]
    Refused,
    /// http to this machine too; the demo.
    LoopbackOnly,
    /// http to anywhere, this machine included; `allow_insecure_callbacks`.
    Allowed,
}

/// Whether receivers may sit in private networks: RFC 1918, carriers' shared space, IPv6 unique local.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrivateCallbacks {
    #[default]
    Refused,
    /// `allow_private_callbacks`, for closed networks.
    Allowed,
}

/// Who may be called. The default is the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallbackPolicy {
    pub insecure: InsecureCallbacks,
    pub private: PrivateCallbacks,
}

/// An absolute http or https URL without user name, password or fragment, in the one spelling that is sent to.
///
/// Prints itself as its origin only, because paths and queries hold tokens.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CallbackUrl(Url);

/// Why a callback URL is refused. The text is what an API client reads.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CallbackError {
    #[error("callback_url: it has {0} bytes, at most {MAX_CALLBACK_URL_BYTES} are allowed")]
    TooLong(usize),
    #[error(
        "callback_url: it contains a space or a control character; percent-encode it (a space is %20)"
    )]
    Character,
    #[error("callback_url: it is not an absolute URL ({0}); write it as https://host/path")]
    Syntax(#[source] url::ParseError),
    #[error("callback_url: only https is accepted; write it as https://host/path")]
    Scheme,
    #[error(
        "callback_url: http is not accepted; use https \
         (to develop, run `paybell demo` or set allow_insecure_callbacks)"
    )]
    Insecure,
    #[error(
        "callback_url: http is accepted for localhost, 127.0.0.1 and [::1] only; use https for any other host"
    )]
    InsecureElsewhere,
    #[error(
        "callback_url: a user name or password in the URL is not accepted; \
         check the webhook's signature instead, or put a token into the path"
    )]
    UserInfo,
    #[error("callback_url: the host has an empty part; write it as shop.example, without '..'")]
    EmptyLabel,
    #[error("callback_url: port 0 cannot be called; leave the port out or name the receiver's")]
    PortZero,
    #[error("callback_url: the address is {}, which is not called; {}", .0.what(), .0.remedy())]
    Address(Forbidden),
    #[error("callback_url: the host resolves to an address that is {}, which is not called; {}", .0.what(), .0.remedy())]
    ResolvedAddress(Forbidden),
    #[error(
        "callback_url: a localhost name resolves to another machine; use the receiver's own name"
    )]
    LocalhostElsewhere,
}

/// A kind of address that the policy keeps from being called; never [`AddressKind::Global`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden(AddressKind);

impl Forbidden {
    const fn what(self) -> &'static str {
        match self.0 {
            AddressKind::Global => "public",
            AddressKind::Loopback => "this machine (loopback)",
            AddressKind::Private(range) | AddressKind::Special(range) => range,
        }
    }

    const fn remedy(self) -> &'static str {
        match self.0 {
            AddressKind::Global | AddressKind::Special(_) => "use a public host",
            AddressKind::Loopback => {
                "use a public host (to develop, run `paybell demo` or set allow_insecure_callbacks)"
            }
            AddressKind::Private(_) => {
                "use a public host (in a closed network, set allow_private_callbacks)"
            }
        }
    }
}

impl CallbackPolicy {
    /// Checks all addresses that a name resolved to; one forbidden address spoils the name.
    ///
    /// # Errors
    /// [`CallbackError::ResolvedAddress`], or [`CallbackError::LocalhostElsewhere`] for a `localhost` that is not here.
    pub fn check_resolved(self, name: &str, addresses: &[IpAddr]) -> Result<(), CallbackError> {
        for address in addresses {
            let kind = AddressKind::of(*address);
            if is_localhost(name) && kind != AddressKind::Loopback {
                return Err(CallbackError::LocalhostElsewhere);
            }
            self.permit(kind).map_err(CallbackError::ResolvedAddress)?;
        }
        Ok(())
    }

    fn permit(self, kind: AddressKind) -> Result<(), Forbidden> {
        let permitted = match kind {
            AddressKind::Global => true,
            AddressKind::Loopback => self.insecure != InsecureCallbacks::Refused,
            AddressKind::Private(_) => self.private == PrivateCallbacks::Allowed,
            AddressKind::Special(_) => false,
        };
        if permitted {
            Ok(())
        } else {
            Err(Forbidden(kind))
        }
    }

    fn check_scheme(self, url: &Url) -> Result<(), CallbackError> {
        match (url.scheme(), self.insecure) {
            ("https", _) | ("http", InsecureCallbacks::Allowed) => Ok(()),
            ("http", InsecureCallbacks::Refused) => Err(CallbackError::Insecure),
            ("http", InsecureCallbacks::LoopbackOnly) if names_this_machine(url) => Ok(()),
            ("http", InsecureCallbacks::LoopbackOnly) => Err(CallbackError::InsecureElsewhere),
            _ => Err(CallbackError::Scheme),
        }
    }
}

impl CallbackUrl {
    /// Reads and checks a callback URL: everything but what its name resolves to.
    ///
    /// A fragment and the dot after a full name are dropped, so that one receiver has one spelling.
    ///
    /// # Errors
    /// The first rule that the URL breaks, in words for the API's client.
    pub fn parse(text: &str, policy: CallbackPolicy) -> Result<Self, CallbackError> {
        if text.len() > MAX_CALLBACK_URL_BYTES {
            return Err(CallbackError::TooLong(text.len()));
        }
        // The parser would strip or encode these silently; the client should know what it sent.
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(CallbackError::Character);
        }
        let mut url = Url::parse(text).map_err(CallbackError::Syntax)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(CallbackError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(CallbackError::UserInfo);
        }
        if url.port() == Some(0) {
            return Err(CallbackError::PortZero);
        }
        url.set_fragment(None);
        drop_trailing_dot(&mut url)?;
        // Normalising makes a URL longer: every byte that is not ASCII becomes three.
        if url.as_str().len() > MAX_CALLBACK_URL_BYTES {
            return Err(CallbackError::TooLong(url.as_str().len()));
        }
        let url = Self(url);
        url.check(policy)?;
        Ok(url)
    }

    /// Checks scheme and literal address again, because the policy may have changed since the URL was accepted.
    ///
    /// # Errors
    /// As [`CallbackUrl::parse`].
    pub fn check(&self, policy: CallbackPolicy) -> Result<(), CallbackError> {
        if let Some(address) = self.literal() {
            let kind = AddressKind::of(address);
            policy.permit(kind).map_err(CallbackError::Address)?;
        }
        policy.check_scheme(&self.0)
    }

    /// The whole URL, as stored and sent to.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Scheme, host and port, as `https://shop.example:8443`; safe to log.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The host where it is a name that has to be looked up; a literal address is none.
    pub fn name(&self) -> Option<&str> {
        self.0.domain()
    }

    pub(super) fn as_url(&self) -> &Url {
        &self.0
    }

    fn literal(&self) -> Option<IpAddr> {
        literal(&self.0)
    }
}

impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackUrl({})", self.origin())
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

fn names_this_machine(url: &Url) -> bool {
    match literal(url) {
        Some(address) => AddressKind::of(address) == AddressKind::Loopback,
        None => url.domain().is_some_and(is_localhost),
    }
}

/// RFC 6761: `localhost` and everything below it is this machine.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last_label = name.rsplit('.').next().unwrap_or(name);
    last_label.eq_ignore_ascii_case("localhost")
}

fn drop_trailing_dot(url: &mut Url) -> Result<(), CallbackError> {
    let Some(name) = url.domain() else {
        return Ok(());
    };
    let full = name.strip_suffix('.').unwrap_or(name);
    if full.split('.').any(str::is_empty) {
        return Err(CallbackError::EmptyLabel);
    }
    if full.len() < name.len() {
        let full = full.to_owned();
        url.set_host(Some(&full)).map_err(CallbackError::Syntax)?;
    }
    Ok(())
}
