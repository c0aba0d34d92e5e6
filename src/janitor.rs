//! The janitor: removes closed payments, old events and old unmatched transfers once their retention is over, and kept
//! answers after their day.
//!
//! Works in small commits so that nothing else waits for it. Refuses to remove what is still owed to someone.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::changes::Unfinished;
use crate::domain::ids::{Sequence, UnixMs};
use crate::ledger_task::Ledger;
use crate::shutdown::{self, Shutdown};
use crate::store::{CommitError, Prune, Store, describe};

const BETWEEN_ROUNDS: Duration = Duration::from_secs(3600);
/// Rows of each kind removed in one commit.
const PRUNE_ROWS: usize = 1_000;

/// Cleans up at start and every hour, until `shutdown` turns true.
pub async fn run(
    ledger: Ledger,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    retention: Duration,
    mut shutdown: Shutdown,
) {
    let retention_ms = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
    loop {
        let before = clock.now().minus_ms(retention_ms);
        if let Err(error) = clean(&ledger, store.as_ref(), before).await {
            tracing::warn!(error = %describe(&error), "cleaning up failed; it is tried again in an hour");
        }
        tokio::select! {
            biased;
            () = shutdown::requested(&mut shutdown) => return,
            () = tokio::time::sleep(BETWEEN_ROUNDS) => {}
        }
    }
}

/// Removes everything that ended before `before` (wall time).
pub async fn clean(ledger: &Ledger, store: &dyn Store, before: UnixMs) -> Result<(), CommitError> {
    let mut removed = 0;
    loop {
        let write = ledger.remove_old(before).await?;
        removed += write.changes.payments.len();
        if write.changes.unfinished == Unfinished::No {
            break;
        }
    }
    while ledger.forget_answers().await?.changes.unfinished == Unfinished::Yes {}
    let mut first = store.first_sequence().await?;
    loop {
        ledger
            .prune(Prune {
                before,
                limit: PRUNE_ROWS,
            })
            .await?;
        let now_first = store.first_sequence().await?;
        let progress = now_first.0 - first.0;
        first = Sequence(now_first.0);
        if progress < PRUNE_ROWS as u64 {
            break;
        }
    }
    if removed > 0 {
        tracing::info!(payments = removed, "old closed payments were removed");
    }
    Ok(())
}
