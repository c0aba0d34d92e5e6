//! The one signal by which everything ends: a watch that turns true once.

use tokio::sync::watch;

/// Held by those who must end when it turns true.
pub type Shutdown = watch::Receiver<bool>;

/// Waits until the end is asked for; also when whoever could ask is gone.
pub async fn requested(shutdown: &mut Shutdown) {
    if let Err(gone) = shutdown.wait_for(|down| *down).await {
        tracing::debug!(%gone, "nobody is left who could ask for the end");
    }
}
