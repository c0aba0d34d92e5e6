//! The tables of the data file and their keys: big-endian bytes, so that key order is time or height order.
//!
//! Refuses to know values; those are rows.rs's.

use redb::TableDefinition;

use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::api_key::KeyId;
use crate::domain::changes::Timer;
use crate::domain::claim::{Claim, ClaimGroup, ClaimKey, Width};
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::ids::{
    ChainId, DeliveryId, EndpointId, Height, PaymentId, Sequence, TransferKey, TxId, UnixMs,
    Watched,
};
use crate::domain::payment::{Awaits, MatchRule};
use crate::domain::target::{ORIGIN_BYTES, OriginId, Target};
use crate::domain::transfer::TransferPlace;

pub type Bytes = &'static [u8];
pub type Definition = TableDefinition<'static, Bytes, Bytes>;

macro_rules! tables {
    ($($(#[$doc:meta])* $constant:ident = $name:literal;)*) => {
        $($(#[$doc])* pub const $constant: Definition = TableDefinition::new($name);)*
        /// Every table, so that they can all be made at first start.
        pub const ALL: &[Definition] = &[$($constant),*];
    };
}

tables! {
    /// Fixed names: format, identity, counters, chains, cursors.
    META = "meta";
    /// payment -> row
    PAYMENTS = "payments";
    /// order id text -> payment
    ORDERS = "orders";
    /// address, payment: all of them, whatever became of them, on whichever chain
    ADDRESS_PAYMENTS = "address_payments";
    /// chain, address, rule, group, width, amount, payment -> tolerance
    CLAIMS = "claims";
    /// timer kind, chain, time, payment
    TIMERS = "timers";
    /// chain, kind, height, payment
    AWAITS = "awaits";
    /// chain, txid, log index -> row
    TRANSFERS = "transfers";
    /// chain, height, txid, log index: blocks that can still be forked away
    RECENT_TRANSFERS = "recent_transfers";
    /// block time, transfer: those that settled nothing
    UNMATCHED = "unmatched";
    /// chain, txid, log index: assigned by hand, then forked away
    PROMISES = "promises";
    /// chain, height -> row
    BLOCKS = "blocks";
    /// sequence -> row
    EVENTS = "events";
    /// payment, sequence
    PAYMENT_EVENTS = "payment_events";
    /// sequence, endpoint -> row
    DELIVERIES = "deliveries";
    /// target, time, sequence, endpoint: what is owed, for each target by itself
    DUE = "due_by_target";
    /// time, target: when the first delivery of each target is due
    DUE_TARGETS = "due_targets";
    /// payment, endpoint, sequence -> time: what is owed to one endpoint for one payment, in order
    LANES = "lanes";
    /// sequence, endpoint, attempt number -> row
    ATTEMPTS = "attempts";
    /// account -> its next index
    ACCOUNTS = "accounts";
    /// idempotency key -> what the request was answered
    ANSWERS = "answers";
    /// time, idempotency key
    ANSWER_TIMES = "answer_times";
    /// endpoint -> row
    ENDPOINTS = "endpoints";
    /// API key -> row
    API_KEYS = "api_keys";
}

/// What is owed, by time over all targets, as formats before 4 kept it: time, sequence, endpoint.
pub const DUE_BEFORE_4: Definition = TableDefinition::new("due");

pub const META_FORMAT: &[u8] = b"format";
pub const META_IDENTITY: &[u8] = b"identity";
pub const META_STATE: &[u8] = b"state";
/// The newest id that an endpoint was given.
pub const META_NEWEST_ENDPOINT: &[u8] = b"newest_endpoint";
/// What signs callbacks, once it was rotated.
pub const META_CALLBACK_KEYS: &[u8] = b"callback_keys";
pub const META_CHAIN_PREFIX: &[u8] = b"chain/";
pub const META_CURSOR_PREFIX: &[u8] = b"cursor/";

const MAX: [u8; 64] = [0xff; 64];

/// The end of the range of all keys that begin with `prefix`.
pub fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    [prefix, &MAX].concat()
}

pub fn payment(id: PaymentId) -> [u8; 16] {
    *id.0.as_bytes()
}

pub fn payment_from(bytes: &[u8]) -> Option<PaymentId> {
    Some(PaymentId(uuid::Uuid::from_bytes(bytes.try_into().ok()?)))
}

/// The number at the start of a key that begins with its chain.
pub fn leading_chain(key: &[u8]) -> Option<ChainId> {
    Some(ChainId(u16::from_be_bytes(key.get(..2)?.try_into().ok()?)))
}

pub fn address_payment(address: Address, id: PaymentId) -> Vec<u8> {
    [&address.as_bytes()[..], &payment(id)].concat()
}

/// Bytes of a claim's key before its width.
pub const CLAIM_PREFIX_BYTES: usize = 24;

/// What the keys of all claims on an address begin with.
pub fn address_prefix(watched: Watched) -> Vec<u8> {
    [
        &watched.chain.0.to_be_bytes()[..],
        watched.address.as_bytes(),
    ]
    .concat()
}

pub fn claims_prefix(watched: Watched, rule: MatchRule, group: ClaimGroup) -> Vec<u8> {
    let rule = match rule {
        MatchRule::Exact => 0,
        MatchRule::Accumulate => 1,
    };
    let group = match group {
        ClaimGroup::Waiting => 0,
        ClaimGroup::Confirming => 1,
        ClaimGroup::Ended => 2,
        ClaimGroup::Done => 3,
    };
    [&address_prefix(watched)[..], &[rule, group]].concat()
}

pub fn claims_from(prefix: &[u8], width: Width, to_pay: Amount) -> Vec<u8> {
    [prefix, &[width.0], &to_pay.base_units().to_be_bytes()].concat()
}

pub fn claim(key: &ClaimKey) -> Vec<u8> {
    let prefix = claims_prefix(key.watched, key.rule, key.group);
    let width = Width::of(key.claim.tolerance);
    [
        &claims_from(&prefix, width, key.claim.to_pay)[..],
        &payment(key.claim.id),
    ]
    .concat()
}

pub fn claim_width(key: &[u8]) -> Option<Width> {
    key.get(CLAIM_PREFIX_BYTES).copied().map(Width)
}

pub fn claim_from(key: &[u8], tolerance: &[u8]) -> Option<Claim> {
    let to_pay = key.get(CLAIM_PREFIX_BYTES + 1..CLAIM_PREFIX_BYTES + 17)?;
    Some(Claim {
        to_pay: Amount::from_base_units(u128::from_be_bytes(to_pay.try_into().ok()?)),
        id: trailing_payment(key)?,
        tolerance: Amount::from_base_units(u128::from_be_bytes(tolerance.try_into().ok()?)),
    })
}

/// The payment at the end of a key.
pub fn trailing_payment(key: &[u8]) -> Option<PaymentId> {
    payment_from(key.get(key.len().checked_sub(16)?..)?)
}

pub fn timer_prefix(timer: Timer) -> [u8; 3] {
    let (kind, chain) = match timer {
        Timer::Deadline(chain) => (0, chain),
        Timer::GraceEnd(chain) => (1, chain),
        Timer::Closed => (2, ChainId(0)),
    };
    let [a, b] = chain.0.to_be_bytes();
    [kind, a, b]
}

pub fn timer_time(timer: Timer, at: UnixMs) -> Vec<u8> {
    [&timer_prefix(timer)[..], &at.0.to_be_bytes()].concat()
}

pub fn timer(timer: Timer, at: UnixMs, id: PaymentId) -> Vec<u8> {
    [&timer_time(timer, at)[..], &payment(id)].concat()
}

pub fn awaits_prefix(chain: ChainId, awaits: Awaits) -> Vec<u8> {
    let kind = match awaits {
        Awaits::Final(_) => 0,
        Awaits::Tip(_) => 1,
    };
    [&chain.0.to_be_bytes()[..], &[kind]].concat()
}

pub fn awaits_height(chain: ChainId, awaits: Awaits) -> Vec<u8> {
    let (Awaits::Final(height) | Awaits::Tip(height)) = awaits;
    [&awaits_prefix(chain, awaits)[..], &height.0.to_be_bytes()].concat()
}

pub fn awaits(chain: ChainId, awaits: Awaits, id: PaymentId) -> Vec<u8> {
    [&awaits_height(chain, awaits)[..], &payment(id)].concat()
}

pub fn transfer(key: &TransferKey) -> Vec<u8> {
    [
        &transaction(key.chain, key.txid)[..],
        &key.log_index.to_be_bytes(),
    ]
    .concat()
}

/// The beginning of the keys of a transaction's transfers.
pub fn transaction(chain: ChainId, txid: TxId) -> Vec<u8> {
    [&chain.0.to_be_bytes()[..], &txid.0].concat()
}

pub fn transfer_from(bytes: &[u8]) -> Option<TransferKey> {
    Some(TransferKey {
        chain: ChainId(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?)),
        txid: TxId(bytes.get(2..34)?.try_into().ok()?),
        log_index: u32::from_be_bytes(bytes.get(34..38)?.try_into().ok()?),
    })
}

pub fn height(chain: ChainId, height: Height) -> Vec<u8> {
    [&chain.0.to_be_bytes()[..], &height.0.to_be_bytes()].concat()
}

pub fn recent_transfer(at: Height, key: &TransferKey) -> Vec<u8> {
    [&height(key.chain, at)[..], &transfer(key)].concat()
}

pub fn unmatched(at: UnixMs, key: &TransferKey) -> Vec<u8> {
    [&at.0.to_be_bytes()[..], &transfer(key)].concat()
}

/// The place of an unmatched transfer's key.
pub fn unmatched_from(bytes: &[u8]) -> Option<TransferPlace> {
    Some(TransferPlace {
        block_time: UnixMs(u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?)),
        key: transfer_from(bytes.get(8..)?)?,
    })
}

pub fn sequence(sequence: Sequence) -> [u8; 8] {
    sequence.0.to_be_bytes()
}

pub fn sequence_from(bytes: &[u8]) -> Option<Sequence> {
    Some(Sequence(u64::from_be_bytes(bytes.try_into().ok()?)))
}

pub fn payment_event(id: PaymentId, at: Sequence) -> Vec<u8> {
    [&payment(id)[..], &sequence(at)].concat()
}

pub fn delivery(id: DeliveryId) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&id.sequence.0.to_be_bytes());
    key[8..].copy_from_slice(&id.endpoint.0.to_be_bytes());
    key
}

pub fn delivery_from(bytes: &[u8]) -> Option<DeliveryId> {
    Some(DeliveryId {
        sequence: sequence_from(bytes.get(..8)?)?,
        endpoint: EndpointId(u32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?)),
    })
}

pub fn endpoint(id: EndpointId) -> [u8; 4] {
    id.0.to_be_bytes()
}

pub const fn api_key(id: KeyId) -> [u8; 16] {
    id.0.to_be_bytes()
}

/// Bytes of a target in keys: its sort, and its number or digest.
pub const TARGET_BYTES: usize = 1 + ORIGIN_BYTES;

pub fn target(target: Target) -> [u8; TARGET_BYTES] {
    let (sort, bytes) = match target {
        Target::Endpoint(id) => (0, u64::from(id.0).to_be_bytes()),
        Target::Origin(OriginId(bytes)) => (1, bytes),
    };
    let mut key = [sort; TARGET_BYTES];
    key[1..].copy_from_slice(&bytes);
    key
}

pub fn target_from(bytes: &[u8]) -> Option<Target> {
    let (sort, bytes) = bytes.split_first()?;
    let bytes: [u8; ORIGIN_BYTES] = bytes.try_into().ok()?;
    match sort {
        0 => {
            let id = u32::try_from(u64::from_be_bytes(bytes)).ok()?;
            Some(Target::Endpoint(EndpointId(id)))
        }
        1 => Some(Target::Origin(OriginId(bytes))),
        _ => None,
    }
}

pub fn due(to: Target, at: UnixMs, id: DeliveryId) -> Vec<u8> {
    [&due_time(to, at)[..], &delivery(id)].concat()
}

/// What the keys of everything due to a target at a time begin with.
pub fn due_time(to: Target, at: UnixMs) -> Vec<u8> {
    [&target(to)[..], &at.0.to_be_bytes()].concat()
}

pub fn due_time_from(key: &[u8]) -> Option<UnixMs> {
    let bytes = key.get(TARGET_BYTES..TARGET_BYTES + 8)?;
    Some(UnixMs(u64::from_be_bytes(bytes.try_into().ok()?)))
}

/// The delivery's own key within a due key.
pub fn due_delivery(key: &[u8]) -> &[u8] {
    key.get(TARGET_BYTES + 8..).unwrap_or_default()
}

pub fn due_target(at: UnixMs, to: Target) -> Vec<u8> {
    [&at.0.to_be_bytes()[..], &target(to)].concat()
}

pub fn due_target_from(key: &[u8]) -> Option<(UnixMs, Target)> {
    let (time, to) = key.split_first_chunk::<8>()?;
    Some((UnixMs(u64::from_be_bytes(*time)), target_from(to)?))
}

pub fn lane_prefix(payment: PaymentId, endpoint: EndpointId) -> Vec<u8> {
    [&self::payment(payment)[..], &endpoint.0.to_be_bytes()].concat()
}

pub fn lane(payment: PaymentId, id: DeliveryId) -> Vec<u8> {
    [
        &lane_prefix(payment, id.endpoint)[..],
        &sequence(id.sequence),
    ]
    .concat()
}

/// The number of the event at the end of a lane's key.
pub fn lane_sequence(key: &[u8]) -> Option<Sequence> {
    sequence_from(key.get(20..)?)
}

pub fn attempt(id: DeliveryId, number: u32) -> Vec<u8> {
    [&delivery(id)[..], &number.to_be_bytes()].concat()
}

pub fn answer_time(at: UnixMs, key: IdempotencyKey) -> Vec<u8> {
    [&at.0.to_be_bytes()[..], &key.0].concat()
}

/// The key at the end of an answer's time.
pub fn answer_from(bytes: &[u8]) -> Option<IdempotencyKey> {
    Some(IdempotencyKey(bytes.get(8..)?.try_into().ok()?))
}

pub fn cursor(chain: ChainId) -> Vec<u8> {
    [META_CURSOR_PREFIX, &chain.0.to_be_bytes()].concat()
}

pub fn chain(name: &str) -> Vec<u8> {
    [META_CHAIN_PREFIX, name.as_bytes()].concat()
}
