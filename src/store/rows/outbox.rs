//! Events, the deliveries they are owed by, and attempts as rows.

use serde::{Deserialize, Serialize};

use super::Stored;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState};
use crate::domain::event::EventKind;
use crate::domain::ids::{DeliveryId, EventId, PaymentId, Sequence, UnixMs};
use crate::store::EventRow;
use crate::store::tables;

#[derive(Serialize, Deserialize)]
pub struct EventRowBytes {
    sequence: u64,
    id: u128,
    kind: String,
    at: u64,
    payment: Option<[u8; 16]>,
    body: Vec<u8>,
}

impl Stored for EventRow {
    type Row = EventRowBytes;
    const NAME: &'static str = "an event";

    fn to_row(&self) -> EventRowBytes {
        EventRowBytes {
            sequence: self.sequence.0,
            id: self.id.0,
            kind: self.kind.as_str().to_owned(),
            at: self.at.0,
            payment: self.payment.map(|p| *p.0.as_bytes()),
            body: self.body.to_vec(),
        }
    }

    fn from_row(row: EventRowBytes) -> Option<Self> {
        Some(Self {
            sequence: Sequence(row.sequence),
            id: EventId(row.id),
            kind: EventKind::parse(&row.kind)?,
            at: UnixMs(row.at),
            payment: row.payment.map(|p| PaymentId(uuid::Uuid::from_bytes(p))),
            body: row.body.into(),
        })
    }
}

#[derive(Serialize, Deserialize)]
pub struct AttemptRow {
    at: u64,
    status: Option<u16>,
    latency_ms: u32,
    detail: String,
}

impl Stored for Attempt {
    type Row = AttemptRow;
    const NAME: &'static str = "a delivery attempt";

    fn to_row(&self) -> AttemptRow {
        AttemptRow {
            at: self.at.0,
            status: self.status,
            latency_ms: self.latency_ms,
            detail: self.detail.clone(),
        }
    }

    fn from_row(row: AttemptRow) -> Option<Self> {
        Some(Self {
            at: UnixMs(row.at),
            status: row.status,
            latency_ms: row.latency_ms,
            detail: row.detail,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub struct DeliveryRow {
    id: [u8; 12],
    kind: String,
    payment: Option<[u8; 16]>,
    url: String,
    created_at: u64,
    /// 0 due, 1 delivered, 2 exhausted; with the time of it.
    state: (u8, u64),
    attempts: u32,
    last: Option<AttemptRow>,
}

impl Stored for Delivery {
    type Row = DeliveryRow;
    const NAME: &'static str = "a delivery";

    fn to_row(&self) -> DeliveryRow {
        DeliveryRow {
            id: tables::delivery(self.id),
            kind: self.kind.as_str().to_owned(),
            payment: self.payment.map(|p| *p.0.as_bytes()),
            url: self.url.clone(),
            created_at: self.created_at.0,
            state: match self.state {
                DeliveryState::Due(at) => (0, at.0),
                DeliveryState::Delivered(at) => (1, at.0),
                DeliveryState::Exhausted(at) => (2, at.0),
            },
            attempts: self.attempts,
            last: self.last.as_ref().map(Stored::to_row),
        }
    }

    fn from_row(row: DeliveryRow) -> Option<Self> {
        let id: DeliveryId = tables::delivery_from(&row.id)?;
        let at = UnixMs(row.state.1);
        Some(Self {
            id,
            kind: EventKind::parse(&row.kind)?,
            payment: row.payment.map(|p| PaymentId(uuid::Uuid::from_bytes(p))),
            url: row.url,
            created_at: UnixMs(row.created_at),
            state: match row.state.0 {
                0 => DeliveryState::Due(at),
                1 => DeliveryState::Delivered(at),
                2 => DeliveryState::Exhausted(at),
                _ => return None,
            },
            attempts: row.attempts,
            last: row.last.and_then(Attempt::from_row),
        })
    }
}
