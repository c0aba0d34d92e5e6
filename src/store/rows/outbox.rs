//! Events, the deliveries they are owed by, and attempts as rows.

use serde::{Deserialize, Serialize};

use super::Stored;
use crate::domain::delivery::{Attempt, Delivery, DeliveryState, GivenUp};
use crate::domain::event::EventKind;
use crate::domain::ids::{DeliveryId, EndpointId, EventId, PaymentId, Sequence, UnixMs};
use crate::domain::target::Target;
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

/// Version 2 of an event's row: version 1, and the time of the block that caused it.
#[derive(Serialize, Deserialize)]
pub struct EventRowBytes2 {
    first: EventRowBytes,
    block_time: Option<u64>,
}

impl Stored for EventRow {
    type Row = EventRowBytes2;
    const NAME: &'static str = "an event";
    const VERSION: u8 = 2;

    fn to_row(&self) -> EventRowBytes2 {
        let first = EventRowBytes {
            sequence: self.sequence.0,
            id: self.id.0,
            kind: self.kind.as_str().to_owned(),
            at: self.at.0,
            payment: self.payment.map(|p| *p.0.as_bytes()),
            body: self.body.to_vec(),
        };
        EventRowBytes2 {
            first,
            block_time: self.block_time.map(|at| at.0),
        }
    }

    fn from_row(row: EventRowBytes2) -> Option<Self> {
        let (row, block_time) = (row.first, row.block_time);
        Some(Self {
            sequence: Sequence(row.sequence),
            id: EventId(row.id),
            kind: EventKind::parse(&row.kind)?,
            at: UnixMs(row.at),
            payment: row.payment.map(|p| PaymentId(uuid::Uuid::from_bytes(p))),
            block_time: block_time.map(UnixMs),
            body: row.body.into(),
        })
    }

    fn older_row(version: u8, bytes: &[u8]) -> Option<Result<EventRowBytes2, postcard::Error>> {
        let row = (version == 1).then(|| postcard::from_bytes(bytes))?;
        Some(row.map(|first| EventRowBytes2 {
            first,
            block_time: None,
        }))
    }
}

#[derive(Serialize, Deserialize)]
pub struct AttemptRow {
    at: u64,
    status: Option<u16>,
    latency_ms: u32,
    detail: String,
}

/// Version 2 of an attempt's row: version 1, and when the next attempt was to follow.
#[derive(Serialize, Deserialize)]
pub struct AttemptRow2 {
    first: AttemptRow,
    next_at: Option<u64>,
}

impl Stored for Attempt {
    type Row = AttemptRow2;
    const NAME: &'static str = "a delivery attempt";
    const VERSION: u8 = 2;

    fn to_row(&self) -> AttemptRow2 {
        AttemptRow2 {
            first: AttemptRow::of(self),
            next_at: self.next_at.map(|at| at.0),
        }
    }

    fn from_row(row: AttemptRow2) -> Option<Self> {
        Some(Self {
            next_at: row.next_at.map(UnixMs),
            ..row.first.attempt()
        })
    }

    fn older_row(version: u8, bytes: &[u8]) -> Option<Result<AttemptRow2, postcard::Error>> {
        let row = (version == 1).then(|| postcard::from_bytes(bytes))?;
        Some(row.map(|first| AttemptRow2 {
            first,
            next_at: None,
        }))
    }
}

impl AttemptRow {
    fn of(attempt: &Attempt) -> Self {
        Self {
            at: attempt.at.0,
            status: attempt.status,
            latency_ms: attempt.latency_ms,
            detail: attempt.detail.clone(),
        }
    }

    fn attempt(self) -> Attempt {
        Attempt {
            at: UnixMs(self.at),
            status: self.status,
            latency_ms: self.latency_ms,
            detail: self.detail,
            next_at: None,
        }
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

/// Version 2: version 1, its target, where its schedule began, why it was given up, and the last attempt's next.
#[derive(Serialize, Deserialize)]
pub struct DeliveryRow2 {
    first: DeliveryRow,
    target: [u8; tables::TARGET_BYTES],
    schedule_from: u32,
    given_up: Option<u8>,
    last_next_at: Option<u64>,
}

impl Stored for Delivery {
    type Row = DeliveryRow2;
    const NAME: &'static str = "a delivery";
    const VERSION: u8 = 2;

    fn to_row(&self) -> DeliveryRow2 {
        DeliveryRow2 {
            first: DeliveryRow::of(self),
            target: tables::target(self.target),
            schedule_from: self.schedule_from,
            given_up: self.given_up.map(given_up_place),
            last_next_at: self.last.as_ref().and_then(|a| a.next_at).map(|at| at.0),
        }
    }

    fn from_row(row: DeliveryRow2) -> Option<Self> {
        let mut delivery = row.first.delivery()?;
        delivery.target = tables::target_from(&row.target)?;
        delivery.schedule_from = row.schedule_from;
        delivery.given_up = match row.given_up {
            Some(place) => Some(given_up_from(place)?),
            None => None,
        };
        if let Some(last) = &mut delivery.last {
            last.next_at = row.last_next_at.map(UnixMs);
        }
        Some(delivery)
    }

    fn older_row(version: u8, bytes: &[u8]) -> Option<Result<DeliveryRow2, postcard::Error>> {
        let row = (version == 1).then(|| postcard::from_bytes::<DeliveryRow>(bytes))?;
        Some(row.map(DeliveryRow2::from))
    }
}

impl From<DeliveryRow> for DeliveryRow2 {
    /// There were only callbacks; one was given up by its schedule's end or by a 410.
    fn from(first: DeliveryRow) -> Self {
        let target = Target::of(EndpointId::CALLBACK, &first.url);
        let gone = first.last.as_ref().and_then(|last| last.status) == Some(410);
        let why = if gone {
            GivenUp::Gone
        } else {
            GivenUp::AttemptsUsedUp
        };
        Self {
            target: tables::target(target),
            schedule_from: 0,
            given_up: (first.state.0 == EXHAUSTED).then(|| given_up_place(why)),
            last_next_at: None,
            first,
        }
    }
}

/// Places in rows. These numbers are on disk and never change.
const DUE: u8 = 0;
const DELIVERED: u8 = 1;
const EXHAUSTED: u8 = 2;

const fn given_up_place(why: GivenUp) -> u8 {
    match why {
        GivenUp::AttemptsUsedUp => 0,
        GivenUp::Gone => 1,
        GivenUp::EndpointDisabled => 2,
        GivenUp::EndpointDeleted => 3,
    }
}

const fn given_up_from(place: u8) -> Option<GivenUp> {
    Some(match place {
        0 => GivenUp::AttemptsUsedUp,
        1 => GivenUp::Gone,
        2 => GivenUp::EndpointDisabled,
        3 => GivenUp::EndpointDeleted,
        _ => return None,
    })
}

impl DeliveryRow {
    fn of(delivery: &Delivery) -> Self {
        Self {
            id: tables::delivery(delivery.id),
            kind: delivery.kind.as_str().to_owned(),
            payment: delivery.payment.map(|p| *p.0.as_bytes()),
            url: delivery.url.clone(),
            created_at: delivery.created_at.0,
            state: match delivery.state {
                DeliveryState::Due(at) => (DUE, at.0),
                DeliveryState::Delivered(at) => (DELIVERED, at.0),
                DeliveryState::Exhausted(at) => (EXHAUSTED, at.0),
            },
            attempts: delivery.attempts,
            last: delivery.last.as_ref().map(AttemptRow::of),
        }
    }

    fn delivery(self) -> Option<Delivery> {
        let id: DeliveryId = tables::delivery_from(&self.id)?;
        let kind = EventKind::parse(&self.kind)?;
        let payment = self.payment.map(|p| PaymentId(uuid::Uuid::from_bytes(p)));
        let at = UnixMs(self.state.1);
        Some(Delivery {
            state: match self.state.0 {
                DUE => DeliveryState::Due(at),
                DELIVERED => DeliveryState::Delivered(at),
                EXHAUSTED => DeliveryState::Exhausted(at),
                _ => return None,
            },
            attempts: self.attempts,
            last: self.last.map(AttemptRow::attempt),
            ..Delivery::new(id, kind, payment, &self.url, UnixMs(self.created_at))
        })
    }
}
