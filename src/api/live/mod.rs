//! What everyone who waits for events shares: sockets, event streams and long polls.
//!
//! They take a seat, register in the hub, read where they start from, and leave when it is their turn in a shutdown.
//! Refuses to know how any of them speaks.

pub mod history;
mod limits;
mod seats;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::api::keyring::Keyring;
use crate::api::socket::handshake::Origins;
use crate::api::wire::{self, PaymentObject};
use crate::chains::Chains;
use crate::clock::Clock;
use crate::domain::payment::Payment;
use crate::hub::Hub;
use crate::shutdown::{self, Shutdown};
use crate::store::Store;
pub use limits::LiveLimits;
pub use seats::{Seat, SeatKind, Seats};

/// Writes a payment as the `/v1` object that snapshots carry.
pub type PaymentEncoder = Arc<dyn Fn(&Payment) -> Bytes + Send + Sync>;

/// What sockets, streams and long polls can reach.
pub struct LiveContext {
    pub hub: Arc<Hub>,
    pub store: Arc<dyn Store>,
    pub keyring: Keyring,
    pub clock: Arc<dyn Clock>,
    pub snapshot: PaymentEncoder,
    /// Pages of other hosts that may open sockets.
    pub origins: Origins,
    pub limits: LiveLimits,
    pub seats: Arc<Seats>,
    /// Turns true when the hub shuts down; its sender's end means the same.
    pub shutdown: Shutdown,
}

impl LiveContext {
    /// With the usual limits, and no pages but the hub's own.
    pub fn new(
        hub: Arc<Hub>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        chains: Chains,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            hub,
            keyring: Keyring::new(Arc::clone(&store), Arc::clone(&clock)),
            store,
            clock,
            snapshot: Arc::new(move |payment| {
                let object = PaymentObject::new(payment, &chains).for_payer();
                wire::encode(&object).unwrap_or_else(|error| {
                    tracing::error!(%error, id = %payment.id, "a payment could not be written as JSON");
                    Bytes::from_static(b"null")
                })
            }),
            origins: Origins::default(),
            limits: LiveLimits::default(),
            seats: Arc::default(),
            shutdown,
        }
    }

    /// A place among those who wait, while there is one.
    pub fn seat(&self, kind: SeatKind) -> Option<Seat> {
        self.seats.take(kind, &self.limits)
    }

    pub fn is_shutting_down(&self) -> bool {
        *self.shutdown.borrow()
    }

    /// Ends so long after the hub began to shut down.
    pub fn turn_to_leave(&self, delay: Duration) -> impl Future<Output = ()> + Send + 'static {
        let mut signal = self.shutdown.clone();
        async move {
            shutdown::requested(&mut signal).await;
            tokio::time::sleep(delay).await;
        }
    }
}
