//! The rows' bytes: one version byte, then postcard. Conversions to and from the domain.
//!
//! A row type here never changes; a new shape gets a new version. Refuses rows of versions it does not know.

mod answer;
mod api_key;
mod endpoint;
mod outbox;
mod payment;
#[cfg(test)]
mod tests;
mod transfer;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Counters, StoreError, StoreIdentity};
use crate::domain::chain::BlockHeader;
use crate::domain::ids::{BlockHash, Height, Sequence, UnixMs};
use crate::domain::payment::Status;
use crate::domain::wallet::NextIndex;
pub use payment::status_place;

/// A domain type and the row that keeps it.
pub trait Stored: Sized {
    type Row: Serialize + DeserializeOwned;
    /// What a row is called in an error.
    const NAME: &'static str;
    /// The version that is written.
    const VERSION: u8 = 1;
    fn to_row(&self) -> Self::Row;
    fn from_row(row: Self::Row) -> Option<Self>;

    /// Reads a row of an older version into the present one; `None` for versions that never were.
    fn older_row(_version: u8, _bytes: &[u8]) -> Option<Result<Self::Row, postcard::Error>> {
        None
    }

    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let head = vec![Self::VERSION];
        postcard::to_extend(&self.to_row(), head).map_err(|e| corrupt(Self::NAME, &e.to_string()))
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let (&version, rest) = bytes
            .split_first()
            .ok_or_else(|| corrupt(Self::NAME, "no bytes"))?;
        let row = if version == Self::VERSION {
            postcard::from_bytes(rest)
        } else {
            Self::older_row(version, rest)
                .ok_or_else(|| corrupt(Self::NAME, &format!("row version {version}")))?
        };
        let row = row.map_err(|e| corrupt(Self::NAME, &e.to_string()))?;
        Self::from_row(row).ok_or_else(|| corrupt(Self::NAME, "a value out of range"))
    }
}

fn corrupt(name: &str, why: &str) -> StoreError {
    StoreError::Corrupt(format!("{name}: {why}"))
}

#[derive(Serialize, Deserialize)]
pub struct BlockRow {
    height: u64,
    hash: [u8; 32],
    parent: [u8; 32],
    time: u64,
}

impl Stored for BlockHeader {
    type Row = BlockRow;
    const NAME: &'static str = "a block";

    fn to_row(&self) -> BlockRow {
        BlockRow {
            height: self.height.0,
            hash: self.hash.0,
            parent: self.parent.0,
            time: self.time.0,
        }
    }

    fn from_row(row: BlockRow) -> Option<Self> {
        Some(Self {
            height: Height(row.height),
            hash: BlockHash(row.hash),
            parent: BlockHash(row.parent),
            time: UnixMs(row.time),
        })
    }
}

/// A chain's cursor: tip and final height.
pub struct CursorHeights {
    pub tip: Height,
    pub final_height: Height,
}

impl Stored for CursorHeights {
    type Row = (u64, u64);
    const NAME: &'static str = "a cursor";

    fn to_row(&self) -> (u64, u64) {
        (self.tip.0, self.final_height.0)
    }

    fn from_row(row: (u64, u64)) -> Option<Self> {
        Some(Self {
            tip: Height(row.0),
            final_height: Height(row.1),
        })
    }
}

impl Stored for NextIndex {
    type Row = u32;
    const NAME: &'static str = "an account's next index";

    fn to_row(&self) -> u32 {
        self.0
    }

    fn from_row(row: u32) -> Option<Self> {
        Some(Self(row))
    }
}

/// Numbers that move with every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    pub counters: Counters,
    pub next_sequence: Sequence,
    pub first_sequence: Sequence,
}

impl State {
    pub const START: Self = Self {
        counters: Counters {
            by_status: [0; Status::ALL.len()],
            deliveries_due: 0,
            deliveries_exhausted: 0,
        },
        next_sequence: Sequence(1),
        first_sequence: Sequence(1),
    };
}

impl Stored for State {
    /// The first array counts payments by `status_place`.
    type Row = ([u64; 6], u64, u64, u64, u64);
    const NAME: &'static str = "the counters";

    fn to_row(&self) -> Self::Row {
        (
            self.counters.by_status,
            self.counters.deliveries_due,
            self.counters.deliveries_exhausted,
            self.next_sequence.0,
            self.first_sequence.0,
        )
    }

    fn from_row(row: Self::Row) -> Option<Self> {
        Some(Self {
            counters: Counters {
                by_status: row.0,
                deliveries_due: row.1,
                deliveries_exhausted: row.2,
            },
            next_sequence: Sequence(row.3),
            first_sequence: Sequence(row.4),
        })
    }
}

impl Stored for StoreIdentity {
    type Row = (String, [u8; 32], [u8; 32]);
    const NAME: &'static str = "the identity";

    fn to_row(&self) -> Self::Row {
        (self.epoch.clone(), self.token_secret, self.webhook_secret)
    }

    fn from_row(row: Self::Row) -> Option<Self> {
        Some(Self {
            epoch: row.0,
            token_secret: row.1,
            webhook_secret: row.2,
        })
    }
}
