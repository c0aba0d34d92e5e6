//! The process's file descriptors: asks for as many as there can be, and keeps some of them out of clients' reach.
//!
//! Without that, whoever opens connections enough takes the last descriptor, and with it the hub's way to the chain's
//! nodes and to webhook receivers.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections that one hub serves at most, however many descriptors there are.
const MAX_CONNECTIONS: u64 = 30_000;
/// For nodes, webhooks (500 at once), name lookups, files.
const KEPT_BACK: u64 = 1_024;
/// More are of no use, and some systems refuse to grant "unlimited".
const MAX_DESCRIPTORS: u64 = 65_536;

/// Raises the soft limit, which usually is 1024, as far as the hard one allows.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(MAX_DESCRIPTORS);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files could not be raised");
    }
}

/// How many connections may be open, so that enough descriptors are left for everything else.
pub fn max_connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(connections_within(limit)).unwrap_or(usize::MAX)
}

fn connections_within(limit: u64) -> u64 {
    (limit - KEPT_BACK.min(limit / 2)).clamp(1, MAX_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_get_the_last_descriptors() {
        for (limit, connections) in [
            (u64::MAX, 30_000),
            (65_536, 30_000),
            (20_000, 18_976),
            (4_096, 3_072),
            (1_024, 512),
            (256, 128),
            (1, 1),
            (0, 1),
        ] {
            assert_eq!(connections_within(limit), connections, "{limit}");
        }
    }
}
