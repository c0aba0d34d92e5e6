//! What shops and payers do: payments of all kinds, cancelled or paid in all ways, right and wrong.

use paybell::domain::address::Address;
use paybell::domain::amount::Amount;
use paybell::domain::ids::PaymentId;
use paybell::domain::payment::{
    AmountMode, Callback, CallbackScope, Finality, MatchRule, Payment, Status,
};

use crate::chain::Log;
use crate::hub::Hub;
use crate::journal::tell;
use crate::node::Mood;
use crate::opening::Opening;
use crate::receiver::{RECEIVERS, url_of};
use crate::world::World;

/// Whole USDT that payments ask for; few, so that they collide.
const PRICES: [u128; 5] = [5, 5, 7, 10, 12];
const USDT: u128 = 1_000_000;
/// Addresses of a chain; the first is the crowded one.
const ADDRESSES: u8 = 4;
const EXPIRIES_SECONDS: [u64; 5] = [15, 45, 90, 300, 86_400];
const GRACE_SECONDS: [u64; 3] = [0, 600, 7_200];

impl World {
    fn any_payment(&mut self) -> Option<Payment> {
        let books = self.around.witness.books();
        let open: Vec<_> = books
            .payments
            .values()
            .filter(|p| p.status == Status::Pending)
            .collect();
        let all: Vec<_> = books.payments.values().collect();
        let from = if open.is_empty() || self.rng.u8(..4) == 0 {
            all
        } else {
            open
        };
        let chosen = self.rng.choice(from).cloned();
        drop(books);
        chosen
    }

    pub fn create(&mut self, hub: &mut Hub) {
        if self.orders > 3 && self.opening == Opening::Young {
            self.opening = Opening::Usual;
            let nodes = &self.around.nodes[0];
            nodes.iter().for_each(|node| node.feel(Mood::Forgetful));
        }
        let new = self.new_payment(hub);
        let ledger = hub.ledger.clone();
        let witness = std::sync::Arc::clone(&self.around.witness);
        let (id, terms) = (new.id, (new.chain, new.rule, new.finality, new.amount_mode));
        tell!(
            self.journal,
            "create {} of {} {terms:?} until {}",
            id,
            new.to_pay.base_units(),
            new.expires_at.0
        );
        hub.tasks.spawn(async move {
            match ledger.create(new).await {
                Ok(_) => {
                    witness.books().answered.insert(id);
                    witness.journal.saw("a payment answered");
                }
                Err(error) => {
                    tell!(witness.journal, "  create {id}: {error}");
                    witness.journal.saw("a payment refused");
                }
            }
            "a request"
        });
    }

    fn new_payment(&mut self, hub: &Hub) -> Payment {
        use paybell::clock::Clock;
        self.orders += 1;
        let now = self.around.clock.now();
        let chain = self.rng.usize(..2);
        let chain = hub.chains.iter().nth(chain).unwrap();
        let mut random = [0; 10];
        self.rng.fill(&mut random);
        let id = uuid::Builder::from_unix_timestamp_millis(now.0, &random).into_uuid();
        let price = PRICES[self.rng.usize(..PRICES.len())] * USDT;
        let rng = &mut self.rng;
        let tolerance = [0, 0, 0, USDT / 10, USDT][rng.usize(..5)];
        let scope = if rng.bool() {
            CallbackScope::Everything
        } else {
            CallbackScope::CompletionOnly
        };
        let url = url_of(rng.usize(..RECEIVERS), self.orders);
        Payment {
            id: PaymentId(id),
            chain: chain.spec.id,
            address: address(if rng.bool() { 1 } else { rng.u8(1..=ADDRESSES) }),
            derivation: None,
            order_id: format!("order-{}", self.orders),
            expected: Amount::from_base_units(price),
            to_pay: Amount::from_base_units(price),
            rule: if rng.u8(..3) == 0 {
                MatchRule::Accumulate
            } else {
                MatchRule::Exact
            },
            amount_mode: if rng.u8(..4) == 0 {
                AmountMode::Unique
            } else {
                AmountMode::Fixed
            },
            tolerance: Amount::from_base_units(tolerance),
            finality: match rng.u8(..5) {
                0 => Finality::Depth(1),
                1 => Finality::Depth(rng.u32(2..8)),
                _ => Finality::Final,
            },
            created_at: now,
            created_above: chain.known_height(),
            expires_at: now.plus_seconds(EXPIRIES_SECONDS[rng.usize(..EXPIRIES_SECONDS.len())]),
            grace_seconds: GRACE_SECONDS[rng.usize(..GRACE_SECONDS.len())],
            status: Status::Pending,
            closed_at: None,
            cancelled_at: None,
            completed_at: None,
            final_confirmations: None,
            credits: Vec::new(),
            callback: (rng.u8(..4) > 0).then_some(Callback { url, scope }),
            success_url: None,
            metadata: None,
            watched: true,
        }
    }

    pub fn cancel(&mut self, hub: &mut Hub) {
        let Some(payment) = self.any_payment() else {
            return;
        };
        let (ledger, id) = (hub.ledger.clone(), payment.id);
        let journal = self.journal.clone();
        tell!(journal, "cancel {id}");
        hub.tasks.spawn(async move {
            if let Err(error) = ledger.cancel(id).await {
                tell!(journal, "  cancel {id}: {error}");
            }
            "a request"
        });
    }

    /// A transfer to some payment's address: the amount, less, more, in pieces, of one transaction or several, with
    /// dust and nothing beside it.
    pub fn pay(&mut self, pieces: u128) {
        let Some(payment) = self.any_payment() else {
            return;
        };
        let asked = payment.to_pay.base_units();
        let amount = match self.rng.u8(..10) {
            0 => asked - 1,
            1 => asked + 1,
            2 => asked / 2,
            3 => asked * 2,
            4 => payment.tolerance.base_units().max(1),
            _ => asked,
        };
        let log = |amount| Log {
            to: payment.address,
            amount: Amount::from_base_units(amount),
        };
        let mut logs = Vec::new();
        for piece in 0..pieces {
            let rest = if piece == 0 { amount % pieces } else { 0 };
            logs.push(log(amount / pieces + rest));
        }
        match self.rng.u8(..8) {
            0 => logs.insert(0, log(0)),
            1 => logs.push(log(1)),
            2 => logs.push(Log {
                to: address(self.rng.u8(1..=ADDRESSES)),
                amount: Amount::from_base_units(asked),
            }),
            _ => {}
        }
        tell!(self.journal, "pay {amount} in {pieces} for {}", payment.id);
        let mut chain = self.around.witness.chain(payment.chain);
        if self.rng.bool() {
            chain.send(logs);
        } else {
            for log in logs {
                chain.send(vec![log]);
            }
        }
    }

    pub fn pay_stranger(&mut self) {
        let id = self.any_chain();
        let to = address(self.rng.u8(100..110));
        let amount = Amount::from_base_units(self.rng.u128(1..20 * USDT));
        self.around.witness.chain(id).send(vec![Log { to, amount }]);
    }
}

fn address(n: u8) -> Address {
    Address::from_bytes([n; 20])
}
