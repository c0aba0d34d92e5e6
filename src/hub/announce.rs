//! The task between the commits and the hub: publishes every event in order.
//!
//! A block can bring more events at once than a socket's queue holds, and a socket is not slow because it was not
//! scheduled yet. So a burst pauses now and then until the queues drain; the pause has a limit, so that a socket that
//! does not read holds nobody up: it falls behind during the burst and is closed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::Hub;
use crate::store::Write;

/// A quarter of a socket's queue, which counts as crowded from its half on.
const EVENTS_BETWEEN_PAUSES: usize = 64;
const BYTES_BETWEEN_PAUSES: usize = 48 * 1024;
const PAUSE_STEP: Duration = Duration::from_millis(1);
/// The longest pause, beside a share for each crowded socket: what one should need for its writes.
const PAUSE_LIMIT: Duration = Duration::from_millis(20);
const PAUSE_PER_SOCKET: Duration = Duration::from_micros(200);

/// Publishes the events of each commit that the receiver yields; ends when its sender is gone.
pub async fn announce(mut commits: UnboundedReceiver<Arc<Write>>, hub: Arc<Hub>) {
    let (mut events, mut bytes) = (0, 0);
    while let Some(write) = commits.recv().await {
        for event in &write.events {
            hub.publish(&event.row);
            events += 1;
            bytes += event.row.body.len();
            if events >= EVENTS_BETWEEN_PAUSES || bytes >= BYTES_BETWEEN_PAUSES {
                pause(&hub).await;
                (events, bytes) = (0, 0);
            }
        }
    }
}

/// Waits until no queue is crowded, or long enough for those that are being read.
async fn pause(hub: &Hub) {
    tokio::task::yield_now().await;
    let start = Instant::now();
    let share = PAUSE_PER_SOCKET.saturating_mul(u32::try_from(hub.crowded()).unwrap_or(u32::MAX));
    while hub.crowded() > 0 && start.elapsed() < PAUSE_LIMIT + share {
        tokio::time::sleep(PAUSE_STEP).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::hub::tests::row;
    use crate::hub::{Framing, Next, Outbox};
    use crate::store::{EventScope, NewEvent};

    fn commit(sequences: std::ops::RangeInclusive<u64>) -> Arc<Write> {
        let events = sequences
            .map(|n| NewEvent {
                row: row(n, None),
                owed: Vec::new(),
            })
            .collect();
        Arc::new(Write {
            events,
            ..Write::default()
        })
    }

    /// Reads like a session that must wait its turn for every message, until it has `count` of them.
    async fn read(outbox: &Outbox, count: usize) -> usize {
        let mut seen = 0;
        while seen < count {
            outbox.ready().await;
            tokio::task::yield_now().await;
            match outbox.pop() {
                Next::Push(_) => seen += 1,
                Next::Empty => {}
                Next::Slow => break,
            }
        }
        seen
    }

    #[tokio::test]
    async fn a_burst_beyond_the_queue_reaches_a_reading_socket_whole_though_another_is_stuck() {
        let hub = Hub::new("e");
        let (reading, stuck) = (
            hub.outbox(Default::default(), Framing::Socket),
            hub.outbox(Default::default(), Framing::Socket),
        );
        let _reading = hub.subscribe(EventScope::All, &reading);
        let _stuck = hub.subscribe(EventScope::All, &stuck);
        let (sender, receiver) = mpsc::unbounded_channel();
        let task = tokio::spawn(announce(receiver, Arc::clone(&hub)));
        sender.send(commit(1..=3000)).expect("the task runs");
        assert_eq!(read(&reading, 3000).await, 3000);
        assert_eq!(stuck.pop(), Next::Slow);
        drop(sender);
        task.await.expect("ends with its sender");
    }
}
