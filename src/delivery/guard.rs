//! The guard against server-side request forgery: looks names up and refuses those that lead where no webhook goes.
//!
//! One object holds the policy for both moments: creation (`check`) and every connection (reqwest's resolver hook), so
//! that a name that changes its mind in between gains nothing. Refuses to trust any earlier answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::callback_url::{CallbackError, CallbackPolicy, CallbackUrl};
use super::lookup::Lookup;

/// How long the creation of a payment waits for a name server.
const CREATION_LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);
/// Addresses of one name that are looked at and tried; a name with more is refused.
const MAX_ADDRESSES: usize = 64;

/// Looks names up and lets only those through whose every address the policy permits.
#[derive(Clone)]
pub struct GuardedResolver {
    policy: CallbackPolicy,
    lookup: Arc<dyn Lookup>,
}

impl GuardedResolver {
    pub fn new(policy: CallbackPolicy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }

    pub fn policy(&self) -> CallbackPolicy {
        self.policy
    }

    /// Checks a URL when a payment is created, and what its name resolves to; waits 2 s at most.
    ///
    /// A name that does not resolve just now passes: the network may be down, and every send checks again.
    ///
    /// # Errors
    /// In words for the API's client.
    pub async fn check_resolved(&self, url: &CallbackUrl) -> Result<(), CallbackError> {
        url.check(self.policy)?;
        let Some(name) = url.name() else {
            return Ok(());
        };
        match tokio::time::timeout(CREATION_LOOKUP_TIMEOUT, self.lookup.lookup(name)).await {
            Ok(Ok(addresses)) => self.policy.check_resolved(name, &addresses),
            Ok(Err(error)) => {
                tracing::debug!(%error, name, "callback host does not resolve yet");
                Ok(())
            }
            Err(_) => {
                tracing::debug!(name, "callback host is slow to resolve");
                Ok(())
            }
        }
    }

    async fn permitted(self, name: String) -> Result<Addrs, ResolveError> {
        let addresses = self.lookup.lookup(&name).await?;
        if addresses.is_empty() {
            return Err(ResolveError::Empty);
        }
        if addresses.len() > MAX_ADDRESSES {
            return Err(ResolveError::TooMany(addresses.len()));
        }
        self.policy.check_resolved(&name, &addresses)?;
        // Port 0 stands for the URL's own.
        let sockets = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
        Ok(Box::new(sockets))
    }
}

/// Why a name cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error(transparent)]
    Refused(#[from] CallbackError),
    #[error("the host name does not resolve")]
    Lookup(#[from] io::Error),
    #[error("the host name has no address")]
    Empty,
    #[error("the host name has {0} addresses, at most {MAX_ADDRESSES} are looked at")]
    TooMany(usize),
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        let name = name.as_str().to_owned();
        Box::pin(async move { guard.permitted(name).await.map_err(Into::into) })
    }
}
