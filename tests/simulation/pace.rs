//! Nobody's trouble slows another: chains and receivers that are well are held to a pace.

use paybell::clock::Clock;
use paybell::domain::payment::Status;
use paybell::store::Store;

use crate::hub::Hub;
use crate::world::{CHAINS, World};

/// How long a hub, its nodes and receivers must have been well before they are held to a pace.
pub const WELL_MS: u64 = 90_000;
/// The same for receivers while some of them are left alone because they failed: the longest pause of a breaker and more.
const LEFT_ALONE_MS: u64 = 400_000;
/// Blocks that a well hub may be behind.
const MAX_LAG: u64 = 8;
/// A delivery to a well receiver is attempted within this time, ms.
const MAX_DUE_MS: u64 = 10_000;

impl World {
    /// A chain with a well node keeps pace, whatever troubles the other.
    pub fn check_pace(&self) {
        for id in CHAINS {
            let nodes = &self.around.nodes[usize::from(id.0)];
            let known = nodes
                .iter()
                .all(|n| n.well_ms().max(n.down_ms()) >= WELL_MS);
            let well = known && nodes.iter().any(|n| n.well_ms() > 0);
            let failed_over = nodes.iter().any(|n| n.down_ms() > 0);
            let books = self.around.witness.books();
            let now = self.around.clock.now();
            // An idle follower looks once a minute.
            let busy = books.payments.values().any(|p| {
                p.chain == id && p.status == Status::Pending && p.created_at.plus_ms(WELL_MS) < now
            });
            if !well || !busy || self.around.clock.steady_ms() < WELL_MS {
                continue;
            }
            let reached = books.chain(id).highest.0;
            let head = self.around.witness.chain(id).head().height.0;
            self.journal.saw(if failed_over {
                "a chain held to its pace on its other node"
            } else {
                "a well chain held to its pace"
            });
            self.journal.check(9, reached + MAX_LAG >= head, || {
                format!("chain {} came to {reached}, its nodes are at {head}", id.0)
            });
        }
    }

    /// A receiver that is well hears in time, whatever troubles another.
    pub async fn check_deliveries(&self, hub: &Hub) {
        if self.around.clock.steady_ms() < WELL_MS {
            return;
        }
        let before = self.around.clock.now().minus_ms(MAX_DUE_MS);
        let well_ms = match hub.gauges.open_breakers() {
            0 => WELL_MS,
            _ => LEFT_ALONE_MS,
        };
        let Ok(targets) = hub.store.due_targets(before, None, 50).await else {
            return;
        };
        for (_, target) in targets {
            let Ok(due) = hub.store.due_of(target, before, None, 50).await else {
                return;
            };
            for delivery in due {
                let well = self.around.receivers.well_ms(&delivery.url) >= well_ms;
                self.journal.check(9, !well, || {
                    format!("delivery {} to a well receiver is overdue", delivery.id)
                });
            }
        }
    }
}
