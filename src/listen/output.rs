//! Where lines go: stdout through one thread that may block, stderr for the connection's state.
//!
//! Refuses to outlive its reader: once stdout is closed, so is the output.

use std::io::{self, Write};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// Lines that wait for a slow reader of stdout; then the socket waits too, and what the hub does not keep for it is read
/// from its log.
const QUEUE_LINES: usize = 256;
/// How long the end waits for lines that were not written yet.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// Nobody reads stdout any more.
#[derive(Debug, Error)]
#[error("stdout is closed")]
pub struct Closed;

#[derive(Clone)]
pub struct Output(mpsc::Sender<Vec<u8>>);

/// The writing thread's end.
pub struct Flushed(oneshot::Receiver<()>);

impl Output {
    /// # Errors
    /// No thread can be started.
    pub fn start() -> io::Result<(Self, Flushed)> {
        let (lines, queue) = mpsc::channel(QUEUE_LINES);
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new()
            .name("paybell-stdout".to_owned())
            .spawn(move || {
                if let Err(error) = write_all(queue, &mut io::stdout().lock()) {
                    tracing::debug!(%error, "stdout is closed");
                }
                if ended.send(()).is_err() {
                    tracing::debug!("nobody waits for stdout to be written");
                }
            })?;
        Ok((Self(lines), Flushed(end)))
    }

    /// # Errors
    /// [`Closed`].
    pub async fn line(&self, mut text: Vec<u8>) -> Result<(), Closed> {
        text.push(b'\n');
        self.0.send(text).await.map_err(|_| Closed)
    }

    /// Waits until nobody reads any more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

impl Flushed {
    /// Waits until all is written, or whoever reads is too slow. Every [`Output`] must be gone.
    pub async fn wait(self) {
        if tokio::time::timeout(FLUSH_WITHIN, self.0).await.is_err() {
            tracing::debug!("stdout did not take the last lines in time");
        }
    }
}

fn write_all(mut queue: mpsc::Receiver<Vec<u8>>, to: &mut impl Write) -> io::Result<()> {
    while let Some(line) = queue.blocking_recv() {
        to.write_all(&line)?;
        if queue.is_empty() {
            to.flush()?;
        }
    }
    to.flush()
}

/// Tells how the connection stands, on stderr.
pub fn tell(text: &str) {
    if let Err(error) = writeln!(io::stderr(), "paybell: {text}") {
        tracing::debug!(%error, "stderr is closed");
    }
}
