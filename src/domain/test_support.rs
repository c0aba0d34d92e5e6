//! For tests: payments and blocks in one line each, and `MemoryState`, the store as simple as it can be said.
//!
//! `MemoryState` keeps plain maps and answers every query by looking at everything. It is the reference that the
//! real store is compared with. Integration tests include this file by its path, hence only `super::` imports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::account_key::{AccountId, AccountKey, AddressIndex};
use super::address::Address;
use super::amount::Amount;
use super::api_keys::ApiKeys;
use super::chain::{Block, BlockHeader, Transfer};
use super::changes::{ChainChange, Changes, Cursor, PaymentKeys, Timer, View, ViewError};
use super::claim::{Claim, ClaimOrder, ClaimQuery, Width};
use super::delivery::{Attempt, Delivery, DeliveryState, DeliveryUpdate};
use super::endpoints::Endpoints;
use super::event::{Event, LoggedEvent};
use super::idempotency::{IdempotencyKey, KeptAnswer};
use super::ids::{
    BlockHash, ChainId, DeliveryId, EndpointId, Height, PaymentId, Sequence, TransferKey, TxId,
    UnixMs, Watched,
};
use super::ledger::Refusal;
use super::payment::{
    AmountMode, Awaits, ChainPoint, Finality, MatchRule, Payment, Status, TransferRecord,
    TransferState,
};
use super::wallet::{NextIndex, Wallet, WalletName};

pub const CHAIN: ChainId = ChainId(0);
pub const SLOT_MS: u64 = 3_000;
/// Wall time at which test payments are made: the slot of block 100.
pub const CREATED: UnixMs = slot(100);
pub const USDT: u128 = 1_000_000;

/// The time of a height's slot.
pub const fn slot(height: u64) -> UnixMs {
    UnixMs(1_700_000_001_000_u64.saturating_add(height.saturating_mul(SLOT_MS)))
}

pub fn usdt(whole: u128) -> Amount {
    Amount::from_base_units(whole * USDT)
}

pub fn units(units: u128) -> Amount {
    Amount::from_base_units(units)
}

pub fn address(n: u8) -> Address {
    Address::from_bytes([n; 20])
}

pub fn id(n: u128) -> PaymentId {
    PaymentId(uuid::Uuid::from_u128(n))
}

pub fn txid(n: u64) -> TxId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    TxId(bytes)
}

/// A pending payment of 10 USDT at address 1, made at block 100, final, due at block 200, a day's grace.
pub fn payment(n: u128) -> Payment {
    Payment {
        id: id(n),
        chain: CHAIN,
        address: address(1),
        derivation: None,
        order_id: format!("order-{n}"),
        expected: usdt(10),
        to_pay: usdt(10),
        rule: MatchRule::Exact,
        amount_mode: AmountMode::Fixed,
        tolerance: Amount::ZERO,
        finality: Finality::Final,
        created_at: CREATED,
        created_above: Height(100),
        expires_at: slot(200),
        grace_seconds: 86_400,
        status: Status::Pending,
        closed_at: None,
        cancelled_at: None,
        completed_at: None,
        final_confirmations: None,
        credits: Vec::new(),
        callback: None,
        success_url: None,
        metadata: None,
        watched: true,
    }
}

/// Changes to a test payment, in one line.
pub trait Adjust: Sized {
    fn asking(self, amount: Amount) -> Self;
    fn with(self, change: impl FnOnce(&mut Self)) -> Self;
}

impl Adjust for Payment {
    fn asking(mut self, amount: Amount) -> Self {
        self.expected = amount;
        self.to_pay = amount;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The account m/44'/195'/0' of the phrase that everyone knows, "abandon" eleven times and "about".
pub const XPUB: &str = "xpub6D1AabNHCupeiLM65ZR9UStMhJ1vCpyV4XbZdyhMZBiJXALQtmn9p42VTQckoHVn8WNqS7dqnJokZHAHcHGoaQgmv8D45oNUKx6DZMNZBCd";

/// A wallet of that account.
pub fn wallet(name: &str) -> Wallet {
    wallet_from(name, 0)
}

/// The same, from this index on.
pub fn wallet_from(name: &str, first_index: u32) -> Wallet {
    let name = WalletName::parse(name).expect("a name");
    let key = AccountKey::parse(XPUB).expect("a key");
    let first = AddressIndex::new(first_index).expect("an index");
    Wallet::new(name, CHAIN, key, first).expect("addresses")
}

/// A block hash that tells its branch and height.
pub fn hash(branch: u8, height: u64) -> BlockHash {
    let mut bytes = [branch; 32];
    bytes[..8].copy_from_slice(&height.to_be_bytes());
    BlockHash(bytes)
}

/// A block of a branch; `parent_branch` tells whose block it follows.
pub fn block_on(parent_branch: u8, branch: u8, height: u64, transfers: Vec<Transfer>) -> Block {
    Block {
        header: BlockHeader {
            height: Height(height),
            hash: hash(branch, height),
            parent: hash(parent_branch, height.saturating_sub(1)),
            time: slot(height),
        },
        transfers,
    }
}

/// A block of the main branch.
pub fn block(height: u64, transfers: Vec<Transfer>) -> Block {
    block_on(0, 0, height, transfers)
}

/// A transfer to address 1.
pub fn transfer(tx: u64, log_index: u32, amount: Amount) -> Transfer {
    transfer_to(1, tx, log_index, amount)
}

pub fn transfer_to(to: u8, tx: u64, log_index: u32, amount: Amount) -> Transfer {
    Transfer {
        txid: txid(tx),
        log_index,
        from: address(99),
        to: address(to),
        amount,
    }
}

pub fn key(tx: u64, log_index: u32) -> TransferKey {
    TransferKey {
        chain: CHAIN,
        txid: txid(tx),
        log_index,
    }
}

/// Everything the ledger keeps, in plain maps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState {
    pub payments: BTreeMap<PaymentId, Payment>,
    pub transfers: BTreeMap<TransferKey, TransferRecord>,
    /// Transfers in blocks that can still be forked away.
    pub recent: BTreeSet<(ChainId, Height, TransferKey)>,
    pub blocks: BTreeMap<(ChainId, Height), BlockHeader>,
    /// Tip and final height.
    pub cursors: BTreeMap<ChainId, (Height, Height)>,
    /// The first has number 1.
    pub events: Vec<Event>,
    pub indices: BTreeMap<AccountId, NextIndex>,
    pub answers: BTreeMap<IdempotencyKey, KeptAnswer>,
    pub endpoints: Arc<Endpoints>,
    pub api_keys: Arc<ApiKeys>,
    pub deliveries: BTreeMap<DeliveryId, Delivery>,
    pub attempts: BTreeMap<(DeliveryId, u32), Attempt>,
}

impl MemoryState {
    /// With a cursor at a block of the main branch.
    pub fn starting_at(height: u64) -> Self {
        let mut state = Self::default();
        state.apply_chain(CHAIN, ChainChange::Jump(block(height, Vec::new()).header));
        state
    }

    /// Applies what a decision on this state comes to; a refusal changes nothing.
    pub fn decide(
        &mut self,
        decision: impl FnOnce(&dyn View) -> Result<Changes, Refusal>,
    ) -> Result<Changes, Refusal> {
        let changes = decision(self)?;
        self.apply(&changes);
        Ok(changes)
    }

    pub fn apply(&mut self, changes: &Changes) {
        for change in &changes.payments {
            match (&change.before, &change.after) {
                (_, Some(after)) => {
                    self.payments.insert(after.id, after.clone());
                }
                (Some(before), None) => self.remove(before),
                (None, None) => {}
            }
        }
        for record in &changes.transfers {
            // A transfer that is past all forks stays so, whatever an operator makes of it.
            let recent = self.recent.len();
            self.recent.retain(|(_, _, key)| *key != record.key);
            let was_recent = self.recent.len() < recent;
            let known = self.transfers.get(&record.key);
            let is_back = known.is_none_or(|t| t.state == TransferState::Reverted);
            if record.state != TransferState::Reverted && (was_recent || is_back) {
                self.recent
                    .insert((record.key.chain, record.height, record.key));
            }
            self.transfers.insert(record.key, *record);
        }
        for change in &changes.endpoints {
            Arc::make_mut(&mut self.endpoints).apply(change);
        }
        for change in &changes.api_keys {
            Arc::make_mut(&mut self.api_keys).apply(change);
        }
        for event in &changes.events {
            self.add_event(event);
        }
        for update in &changes.deliveries {
            self.update_delivery(update);
        }
        self.indices.extend(changes.next_index);
        for change in &changes.answers {
            match &change.after {
                Some(after) => self.answers.insert(change.key, after.clone()),
                None => self.answers.remove(&change.key),
            };
        }
        if let Some((chain, change)) = changes.chain {
            self.apply_chain(chain, change);
        }
    }

    fn add_event(&mut self, event: &Event) {
        self.events.push(event.clone());
        let sequence = Sequence(self.events.len() as u64);
        for (endpoint, url) in self.endpoints.owed(event) {
            let id = DeliveryId { sequence, endpoint };
            let payment = event.payment.as_ref().map(|p| p.id);
            self.place(Delivery::new(id, event.kind, payment, &url, event.at));
        }
    }

    fn update_delivery(&mut self, update: &DeliveryUpdate) {
        let after = &update.after;
        if let Some(attempt) = &update.attempt {
            let key = (after.id, after.attempts);
            self.attempts.insert(key, attempt.clone());
        }
        self.place(after.clone());
    }

    /// The others owed in the same lane, by their numbers.
    fn lane_of(&self, delivery: &Delivery) -> Vec<(DeliveryId, UnixMs)> {
        let others = self.deliveries.values().filter(|d| {
            let same = (d.payment, d.id.endpoint) == (delivery.payment, delivery.id.endpoint);
            same && d.payment.is_some() && d.id != delivery.id
        });
        let due = others.filter_map(|d| match d.state {
            DeliveryState::Due(at) => Some((d.id, at)),
            _ => None,
        });
        due.collect()
    }

    /// Within a lane times never fall: a delivery waits for those before it and holds up those behind it.
    fn place(&mut self, mut delivery: Delivery) {
        let lane = self.lane_of(&delivery);
        let before = lane.iter().filter(|(id, _)| *id < delivery.id);
        let before = before.map(|(_, at)| *at).max().unwrap_or_default();
        let (least, most) = match &mut delivery.state {
            DeliveryState::Due(at) => {
                *at = before.max(*at);
                (*at, UnixMs(u64::MAX))
            }
            DeliveryState::Delivered(at) | DeliveryState::Exhausted(at) => {
                (UnixMs(0), before.max(*at))
            }
        };
        for (id, at) in lane.into_iter().filter(|(id, _)| *id > delivery.id) {
            let follower = self.deliveries.get_mut(&id).expect("of the lane");
            follower.state = DeliveryState::Due(at.clamp(least, most));
        }
        self.deliveries.insert(delivery.id, delivery);
    }

    /// A removed payment takes along the transfers that are its own.
    fn remove(&mut self, payment: &Payment) {
        self.payments.remove(&payment.id);
        for credit in &payment.credits {
            let key = TransferKey {
                chain: payment.chain,
                txid: credit.txid,
                log_index: credit.log_index,
            };
            let own = self.transfers.get(&key).is_some_and(|t| match t.state {
                TransferState::Credited(id) => id == payment.id,
                TransferState::Unmatched { .. } => false,
                TransferState::Reverted => true,
            });
            if own {
                self.transfers.remove(&key);
                self.recent.retain(|(_, _, recent)| *recent != key);
            }
        }
    }

    fn apply_chain(&mut self, chain: ChainId, change: ChainChange) {
        let (tip, final_height) = self.cursors.get(&chain).copied().unwrap_or_default();
        let cursor = match change {
            ChainChange::Append(header) => {
                self.blocks.insert((chain, header.height), header);
                (header.height, final_height)
            }
            ChainChange::Rollback(header) => {
                self.blocks
                    .retain(|(c, height), _| *c != chain || *height <= header.height);
                self.blocks.insert((chain, header.height), header);
                (header.height, final_height)
            }
            ChainChange::Jump(header) => {
                self.blocks.retain(|(c, _), _| *c != chain);
                self.recent.retain(|(c, _, _)| *c != chain);
                self.blocks.insert((chain, header.height), header);
                (header.height, final_height.min(header.height))
            }
            ChainChange::Final(height) => {
                self.blocks.retain(|(c, h), _| *c != chain || *h >= height);
                self.recent.retain(|(c, h, _)| *c != chain || *h > height);
                (tip, height)
            }
            ChainChange::Skip(header) => {
                self.blocks.retain(|(c, _), _| *c != chain);
                self.recent.retain(|(c, _, _)| *c != chain);
                self.blocks.insert((chain, header.height), header);
                (header.height, header.height)
            }
        };
        self.cursors.insert(chain, cursor);
    }
}

impl View for MemoryState {
    fn payment(&self, id: PaymentId) -> Result<Option<Payment>, ViewError> {
        Ok(self.payments.get(&id).cloned())
    }

    fn payment_by_order(&self, order_id: &str) -> Result<Option<PaymentId>, ViewError> {
        let found = self.payments.values().find(|p| p.order_id == order_id);
        Ok(found.map(|p| p.id))
    }

    fn claims(&self, query: &ClaimQuery) -> Result<Vec<Claim>, ViewError> {
        let mut by_width: BTreeMap<Width, Vec<Claim>> = BTreeMap::new();
        for payment in self.payments.values() {
            if let Some(key) = PaymentKeys::of(payment)
                .claim
                .filter(|key| query.finds(key))
            {
                let width = Width::of(key.claim.tolerance);
                by_width.entry(width).or_default().push(key.claim);
            }
        }
        let mut found = Vec::new();
        for mut claims in by_width.into_values() {
            claims.sort_unstable();
            if query.order == ClaimOrder::Falling {
                claims.reverse();
            }
            claims.truncate(query.limit);
            found.extend(claims);
        }
        Ok(found)
    }

    fn watches(&self, chain: ChainId) -> Result<bool, ViewError> {
        Ok(self
            .payments
            .values()
            .any(|p| p.watched && p.chain == chain))
    }

    fn watches_address(&self, watched: Watched) -> Result<bool, ViewError> {
        let mut payments = self.payments.values();
        Ok(payments.any(|p| p.watched && p.watched_address() == watched))
    }

    fn next_index(&self, account: AccountId) -> Result<NextIndex, ViewError> {
        Ok(self.indices.get(&account).copied().unwrap_or_default())
    }

    fn transfer(&self, key: &TransferKey) -> Result<Option<TransferRecord>, ViewError> {
        Ok(self.transfers.get(key).copied())
    }

    fn promises(&self, chain: ChainId, txid: TxId) -> Result<Vec<TransferRecord>, ViewError> {
        let of_it = |t: &&TransferRecord| (t.key.chain, t.key.txid) == (chain, txid);
        let waits = |t: &&TransferRecord| t.promise().is_some();
        let found = self.transfers.values().filter(of_it).filter(waits);
        Ok(found.copied().collect())
    }

    fn transfers_above(
        &self,
        chain: ChainId,
        height: Height,
    ) -> Result<Vec<TransferRecord>, ViewError> {
        Ok(self
            .recent
            .iter()
            .filter(|(c, h, _)| *c == chain && *h > height)
            .filter_map(|(_, _, key)| self.transfers.get(key).copied())
            .collect())
    }

    fn cursor(&self, chain: ChainId) -> Result<Option<Cursor>, ViewError> {
        let heights = self.cursors.get(&chain);
        Ok(heights.map(|(tip, final_height)| Cursor {
            tip: self.blocks[&(chain, *tip)],
            final_height: *final_height,
        }))
    }

    fn block(&self, chain: ChainId, height: Height) -> Result<Option<BlockHeader>, ViewError> {
        Ok(self.blocks.get(&(chain, height)).copied())
    }

    fn awaiting(
        &self,
        chain: ChainId,
        at: ChainPoint,
        limit: usize,
    ) -> Result<Vec<PaymentId>, ViewError> {
        let mut reached: Vec<_> = self
            .payments
            .values()
            .filter_map(|p| Some((PaymentKeys::of(p).awaits?, p.id)))
            .filter(|((c, _), _)| *c == chain)
            .filter_map(|((_, awaits), id)| match awaits {
                Awaits::Final(h) => (h <= at.final_height).then_some((0, h, id)),
                Awaits::Tip(h) => (h <= at.tip).then_some((1, h, id)),
            })
            .collect();
        reached.sort_unstable();
        Ok(reached
            .into_iter()
            .take(limit)
            .map(|(_, _, id)| id)
            .collect())
    }

    fn timers_before(
        &self,
        timer: Timer,
        time: UnixMs,
        limit: usize,
    ) -> Result<Vec<PaymentId>, ViewError> {
        let mut ringing: Vec<_> = self
            .payments
            .values()
            .filter_map(|p| Some((PaymentKeys::of(p).timer?, p.id)))
            .filter(|((kind, at), _)| *kind == timer && *at < time)
            .map(|((_, at), id)| (at, id))
            .collect();
        ringing.sort_unstable();
        Ok(ringing.into_iter().take(limit).map(|(_, id)| id).collect())
    }

    fn kept_answer(&self, key: IdempotencyKey) -> Result<Option<KeptAnswer>, ViewError> {
        Ok(self.answers.get(&key).cloned())
    }

    fn answers_before(&self, time: UnixMs, limit: usize) -> Result<Vec<IdempotencyKey>, ViewError> {
        let old = self
            .answers
            .iter()
            .filter(|(_, kept)| kept.created_at < time);
        let mut old: Vec<_> = old.map(|(key, kept)| (kept.created_at, *key)).collect();
        old.sort_unstable();
        Ok(old.into_iter().take(limit).map(|(_, key)| key).collect())
    }

    fn next_sequence(&self) -> Result<Sequence, ViewError> {
        Ok(Sequence(self.events.len() as u64 + 1))
    }

    fn log(&self, from: Sequence, limit: usize) -> Result<Vec<LoggedEvent>, ViewError> {
        let events = (1..).zip(&self.events).map(|(number, event)| LoggedEvent {
            sequence: Sequence(number),
            kind: event.kind,
            at: event.at,
            payment: event.payment.as_ref().map(|p| p.id),
        });
        Ok(events
            .filter(|event| event.sequence >= from)
            .take(limit)
            .collect())
    }

    fn endpoints(&self) -> Result<Arc<Endpoints>, ViewError> {
        Ok(Arc::clone(&self.endpoints))
    }

    fn api_keys(&self) -> Result<Arc<ApiKeys>, ViewError> {
        Ok(Arc::clone(&self.api_keys))
    }

    fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, ViewError> {
        Ok(self.deliveries.get(&id).cloned())
    }

    fn owed_to(&self, endpoint: EndpointId, limit: usize) -> Result<Vec<Delivery>, ViewError> {
        let mut owed: Vec<_> = self
            .deliveries
            .values()
            .filter(|d| d.id.endpoint == endpoint)
            .filter_map(|d| match d.state {
                DeliveryState::Due(at) => Some((at, d.id)),
                _ => None,
            })
            .collect();
        owed.sort_unstable();
        owed.truncate(limit);
        Ok(owed
            .iter()
            .map(|(_, id)| self.deliveries[id].clone())
            .collect())
    }

    fn owed_in_lane(
        &self,
        payment: PaymentId,
        endpoint: EndpointId,
        limit: usize,
    ) -> Result<Vec<Delivery>, ViewError> {
        let own = self.deliveries.values().filter(|d| {
            d.payment == Some(payment) && d.id.endpoint == endpoint && d.state.is_due()
        });
        Ok(own.take(limit).cloned().collect())
    }
}
