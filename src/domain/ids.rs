//! Identifiers and points in time, each its own type so that they cannot be mixed up.
//!
//! Refuses to make identifiers: randomness is handed in by the shell.

use std::fmt;

use super::address::Address;

/// A point in time, milliseconds since the Unix epoch. Chain time and wall time share the unit, never the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMs(pub u64);

impl UnixMs {
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Unix seconds with the milliseconds as a fraction, as the classic API writes times.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// A chain's place in the configuration. Stored in rows; a chain keeps its number for the life of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(pub u16);

/// A block's height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Height(pub u64);

impl Height {
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! hash32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Reads 64 hexadecimal digits, with or without `0x`.
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0_u8; 32];
                hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes).ok()?;
                Some(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

hash32!(
    /// A block's hash; TRON calls it blockID.
    BlockHash
);
hash32!(
    /// A transaction's id.
    TxId
);

/// A payment's id: a UUID version 7, so that ids sort by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId(pub uuid::Uuid);

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl PaymentId {
    /// Reads the hyphenated form only, so that one payment has one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let id = uuid::Uuid::try_parse(text).ok()?;
        (text.len() == 36).then_some(Self(id))
    }
}

/// An event's place in the durable log: 1, 2, 3, ... without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

/// The `evt_...` id that a webhook carries, the same on every attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u128);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{}", ulid::Ulid(self.0))
    }
}

/// Where webhooks go. Number 0 is the payment's own callback; account-wide endpoints count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u32);

impl EndpointId {
    pub const CALLBACK: Self = Self(0);

    /// Reads `ep_<n>` or `callbacks`, and no other spelling of it.
    pub fn parse(text: &str) -> Option<Self> {
        if text == CALLBACKS {
            return Some(Self::CALLBACK);
        }
        let id = Self(text.strip_prefix("ep_")?.parse().ok()?);
        (id.to_string() == text).then_some(id)
    }
}

/// What all payments' own callbacks are called together.
const CALLBACKS: &str = "callbacks";

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::CALLBACK => f.write_str(CALLBACKS),
            Self(n) => write!(f, "ep_{n}"),
        }
    }
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    pub sequence: Sequence,
    pub endpoint: EndpointId,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dlv_{}_{}", self.sequence.0, self.endpoint.0)
    }
}

impl DeliveryId {
    pub fn parse(text: &str) -> Option<Self> {
        let (sequence, endpoint) = text.strip_prefix("dlv_")?.split_once('_')?;
        Some(Self {
            sequence: Sequence(sequence.parse().ok()?),
            endpoint: EndpointId(endpoint.parse().ok()?),
        })
    }
}

/// What makes one token transfer distinct: its chain, transaction and place among the block's logs.
///
/// The log index counts over the whole block, because that is the one count that both of TRON's
/// APIs and every EVM node can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferKey {
    pub chain: ChainId,
    pub txid: TxId,
    pub log_index: u32,
}

impl fmt::Display for TransferKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trf_{}_{}_{}", self.chain.0, self.txid, self.log_index)
    }
}

impl TransferKey {
    /// Reads `trf_<chain's number>_<txid>_<log index>`, and no other spelling of it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("trf_")?.split('_');
        let key = Self {
            chain: ChainId(parts.next()?.parse().ok()?),
            txid: TxId::from_hex(parts.next()?)?,
            log_index: parts.next()?.parse().ok()?,
        };
        (key.to_string() == text).then_some(key)
    }
}

/// An address on one chain: what is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watched {
    pub chain: ChainId,
    pub address: Address,
}
