//! The socket beside the data file, through which commands on the same machine talk to a running hub.
//!
//! Who may open it could as well change the data file, so no key is asked for. A hub that cannot have it runs on without.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixListener;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::server;
use crate::server::local::{self, SocketFile};
use crate::shutdown::Shutdown;
use crate::store::describe;

/// Operators are few; the rest of the descriptors is for everyone else.
const MAX_CONNECTIONS: usize = 16;

/// `<data>.sock`.
pub fn socket_path(data: &Path) -> PathBuf {
    let mut path = data.as_os_str().to_owned();
    path.push(".sock");
    path.into()
}

/// The socket, open and not yet served.
pub struct OperatorDoor {
    listener: UnixListener,
    file: SocketFile,
}

impl OperatorDoor {
    /// Only for whoever holds the data file.
    pub fn open(data: &Path) -> Option<Self> {
        match local::listen(&socket_path(data)) {
            Ok((listener, file)) => Some(Self { listener, file }),
            Err(error) => {
                tracing::warn!(
                    error = %describe(&error),
                    "there is no socket beside the data file: while the hub runs, 'paybell keys' cannot reach it"
                );
                None
            }
        }
    }

    /// Serves until `stopped` turns true, then removes the socket.
    pub async fn serve(self, routes: BoxedFilter<(Response,)>, stopped: Shutdown, drain: Duration) {
        let Self { listener, file } = self;
        server::serve(listener, routes, MAX_CONNECTIONS, stopped, drain).await;
        // Before the data file is let go: the next hub's socket has the same path.
        drop(file);
    }
}
