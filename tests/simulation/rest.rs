//! The end of a run: all are well, the chains go on until all is final, webhooks are delivered, and then the final chain
//! says what must have come of everything.

use paybell::clock::Clock;
use paybell::domain::ids::ChainId;
use paybell::domain::payment::Status;
use paybell::store::Store;

use crate::audit::{self, Difference};
use crate::hub::Hub;
use crate::journal::tell;
use crate::model;
use crate::node::Mood;
use crate::opening::Opening;
use crate::world::{CHAINS, World};

/// Slots in which everything must come to rest once all are well.
const REST_SLOTS: u32 = 400;
/// Blocks that are processed before the end.
const REST_BLOCKS: u64 = 30;
/// Looks at the outbox until it must be empty.
const REST_LOOKS: u32 = 60;
/// Slots between two looks: longer than the dispatcher ever sleeps.
const LOOK_SLOTS: u32 = 11;

impl World {
    /// All are well; the chains go on until all is final; webhooks are delivered; then the final chain is compared.
    pub async fn come_to_rest(&mut self, hub: &mut Hub) {
        tell!(self.journal, "all are well from here on");
        self.skips = 0;
        self.receivers_well();
        if self.opening != Opening::PreferredDead {
            for node in self.around.nodes.iter().flatten() {
                node.feel(Mood::Well);
            }
        }
        for id in CHAINS {
            self.around.witness.chain(id).finality_stalls = false;
        }
        let rested = self.chains_rest(hub).await && self.deliveries_rest(hub).await;
        if self.journal.broken().is_some() || self.disk.has_failed() {
            return;
        }
        self.journal.check(9, rested, || self.why_no_rest(hub));
        if let Err(Difference::Found(what)) = audit::compare(&hub.store, &self.around.witness).await
        {
            self.journal.broke(7, what);
        }
        let told = self.subscriber.sequence();
        let last = hub.store.last_sequence().0;
        self.journal.check(6, told == last, || {
            format!("the client heard events up to {told} of {last}")
        });
        let books = self.around.witness.books();
        for id in CHAINS {
            model::check(&books, id, &self.around.witness.chain(id), &self.journal);
        }
    }

    fn why_no_rest(&self, hub: &Hub) -> String {
        let books = self.around.witness.books();
        let chains = hub.chains.iter().map(|chain| {
            let standing = chain.standing();
            format!(
                "{:?}",
                (
                    standing.head,
                    standing.tip,
                    standing.final_height,
                    standing.last_error
                )
            )
        });
        let chains: Vec<_> = chains.collect();
        let due = books.owed.values().filter(|o| o.state.is_due()).count();
        let confirming = books
            .payments
            .values()
            .filter(|p| p.status == Status::Confirming);
        let confirming: Vec<_> = confirming.map(|p| (p.id, p.awaits())).collect();
        let told = (self.subscriber.sequence(), books.last_sequence);
        format!(
            "the hub does not come to rest: {chains:?}, {due} deliveries due, {confirming:?} confirming, events told {told:?}"
        )
    }

    async fn chains_rest(&mut self, hub: &mut Hub) -> bool {
        // By then every transaction that waits is in a block.
        let until = |id| {
            (
                id,
                self.around.witness.chain(id).head().height.0 + REST_BLOCKS,
            )
        };
        let until = CHAINS.map(until);
        for _ in 0..REST_SLOTS {
            if until.iter().all(|(id, from)| self.is_at_rest(*id, *from)) {
                return true;
            }
            self.journal.next_step();
            if self.pass_slot().await.is_some() || self.journal.broken().is_some() {
                return false;
            }
            self.check(hub).await;
        }
        false
    }

    /// Everything up to a height is processed, and what completes payments is final.
    fn is_at_rest(&self, id: ChainId, from: u64) -> bool {
        let chain = self.around.witness.chain(id);
        let books = self.around.witness.books();
        let book = books.chain(id);
        let idle = !books.watches(id);
        let followed = book
            .tip
            .is_some_and(|tip| chain.is_on_main(&tip) && tip.height.0 >= from);
        let confirming = books
            .payments
            .values()
            .any(|p| p.chain == id && p.status == Status::Confirming);
        !confirming && (idle || followed)
    }

    async fn deliveries_rest(&mut self, hub: &mut Hub) -> bool {
        for _ in 0..REST_LOOKS {
            let now = self.around.clock.now();
            let due = hub.store.counters().deliveries_due > 0;
            let told = self.subscriber.sequence() == hub.store.last_sequence().0;
            if !due && told {
                return true;
            }
            if let Ok(Some(at)) = hub.store.next_due(now).await {
                let ahead = i64::try_from(at.0 - now.0).expect("days");
                self.around.clock.jump(ahead);
            }
            for _ in 0..LOOK_SLOTS {
                if self.pass_slot().await.is_some() {
                    return false;
                }
            }
        }
        false
    }
}
