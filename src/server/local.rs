//! A socket in the file system, for those who may read and write the data beside it: made with mode 0600, put in place of
//! one that a killed program left, removed in the end.
//!
//! Refuses to touch whatever else is at its path.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::{UnixListener, UnixSocket};

/// Only the user that the hub runs as.
const MODE: u32 = 0o600;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 16;
/// Longest path that a socket can be bound to; the system keeps it with a zero byte at its end.
const MAX_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Why there is no socket.
#[derive(Debug, Error)]
pub enum LocalError {
    #[error(
        "the path {path} has {bytes} bytes, a socket's at most {MAX_PATH_BYTES}: use a shorter one, or a relative one"
    )]
    TooLong { path: PathBuf, bytes: usize },
    #[error("{path} is there already and is no socket; move it away")]
    Occupied { path: PathBuf },
    #[error("the socket {path} could not be made")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The socket's place in the file system; gone when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::debug!(%error, "the socket was gone already");
        }
    }
}

/// Listens at a path. Whoever calls holds the lock on the data, so that a socket found there is nobody's.
///
/// # Errors
/// See [`LocalError`].
pub fn listen(path: &Path) -> Result<(UnixListener, SocketFile), LocalError> {
    let bytes = path.as_os_str().len();
    let at = || path.to_owned();
    if bytes > MAX_PATH_BYTES {
        return Err(LocalError::TooLong { path: at(), bytes });
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(LocalError::Occupied { path: at() });
        }
        Ok(_) => fs::remove_file(path).map_err(|source| LocalError::Io { path: at(), source })?,
        Err(_) => {}
    }
    let listener = bind(path).map_err(|source| LocalError::Io { path: at(), source })?;
    Ok((listener, SocketFile(at())))
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    // Linux gives the file the mode that the socket has when it is bound: nobody else can open it for even a moment.
    let handle = File::from(socket.as_fd().try_clone_to_owned()?);
    handle.set_permissions(Permissions::from_mode(MODE))?;
    socket.bind(path)?;
    if cfg!(not(target_os = "linux")) {
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
    }
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("a file").permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn the_socket_is_its_owner_s_alone_and_goes_with_its_guard() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.redb.sock");
        let (_listener, file) = listen(&path).expect("a socket");
        assert_eq!(mode(&path), MODE);
        tokio::net::UnixStream::connect(&path)
            .await
            .expect("a connection");
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_anything_else_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("data.redb.sock");
        let (listener, file) = listen(&path).expect("a socket");
        drop(listener);
        // As a kill leaves it.
        std::mem::forget(file);
        let (_listener, file) = listen(&path).expect("in its place");
        drop(file);
        fs::write(&path, "a letter").expect("written");
        let refused = listen(&path).expect_err("occupied");
        assert!(matches!(refused, LocalError::Occupied { .. }), "{refused}");
        assert_eq!(fs::read_to_string(&path).expect("text"), "a letter");
        let nowhere = listen(&folder.path().join("no/x.sock")).expect_err("no folder");
        assert!(matches!(nowhere, LocalError::Io { .. }), "{nowhere}");
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let rest = MAX_PATH_BYTES - folder.path().as_os_str().len() - 1;
        let longest = folder.path().join("x".repeat(rest));
        listen(&longest).expect("just fits");
        let refused = listen(&folder.path().join("x".repeat(rest + 1)));
        let refused = refused.expect_err("too long").to_string();
        assert!(
            refused.contains("108 bytes") || cfg!(not(target_os = "linux")),
            "{refused}"
        );
    }
}
