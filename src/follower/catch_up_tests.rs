//! A long gap behind a node that can be searched: what is searched, what is read, and what is believed.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::*;
use crate::chains::ChainSpec;
use crate::domain::address::Address;
use crate::domain::amount::{Amount, Decimals};
use crate::domain::event::SealedEvent;
use crate::domain::ids::Sequence;
use crate::domain::ledger::{AmbiguityRule, AmountPolicy};
use crate::domain::payment::Status;
use crate::domain::test_support::{CHAIN, block, hash, id, payment, slot, transfer, usdt};
use crate::ledger_task::{Announcer, Entropy, EventEncoder};
use crate::source::{Contents, Found, SearchLimits, Span};
use crate::store::StoreIdentity;
use crate::store::redb::{Location, Options, RedbStore, Threads};
use crate::trends::Trends;

const START: u64 = 100;
const HEAD: u64 = 300;
const FINAL: u64 = 282;
/// The payment is paid here.
const PAID_AT: u64 = 120;
const SPAN_BLOCKS: u64 = 50;

/// What the node's batches of headers show.
#[derive(Clone, Copy, PartialEq)]
enum Batches {
    /// The same chain as all else.
    Sound,
    /// A branch that leaves the chain here and was never final.
    Branch(u64),
    /// Nothing above this height.
    Behind(u64),
}

struct Node {
    batches: Batches,
    searched: Mutex<Vec<(u64, u64)>>,
    read: Mutex<Vec<u64>>,
}

fn chain_block(height: u64) -> Block {
    let paid = (height == PAID_AT).then(|| transfer(1, 0, usdt(10)));
    block(height, paid.into_iter().collect())
}

fn fetched(header: BlockHeader) -> FetchedHeader {
    FetchedHeader {
        header,
        contents: Contents::Unknown,
    }
}

#[async_trait::async_trait]
impl Source for Node {
    async fn head(&self) -> Result<FetchedHeader, SourceError> {
        Ok(fetched(chain_block(HEAD).header))
    }

    async fn final_head(&self) -> Result<FetchedHeader, SourceError> {
        Ok(fetched(chain_block(FINAL).header))
    }

    async fn header(&self, height: Height) -> Result<Option<FetchedHeader>, SourceError> {
        Ok(Some(fetched(chain_block(height.0).header)))
    }

    async fn block(&self, header: &FetchedHeader) -> Result<Block, SourceError> {
        let height = header.header.height.0;
        self.read.lock().expect("a lock").push(height);
        Ok(Block {
            header: header.header,
            ..chain_block(height)
        })
    }

    async fn headers(
        &self,
        heights: &[Height],
    ) -> Result<Option<Vec<Option<FetchedHeader>>>, SourceError> {
        let shown = heights.iter().map(|height| {
            let mut header = chain_block(height.0).header;
            match self.batches {
                Batches::Branch(from) if height.0 > from => header.hash = hash(9, height.0),
                Batches::Behind(last) if height.0 > last => return None,
                _ => {}
            }
            Some(fetched(header))
        });
        Ok(Some(shown.collect()))
    }

    fn search_limits(&self) -> Option<SearchLimits> {
        Some(SearchLimits {
            blocks: SPAN_BLOCKS,
            addresses: 10,
            worth_from_blocks: 20,
        })
    }

    async fn search(&self, span: Span, _: &[Address]) -> Result<Option<Found>, SourceError> {
        let (after, last) = (span.after.header.height.0, span.last.header.height.0);
        self.searched.lock().expect("a lock").push((after, last));
        let found = (after < PAID_AT && PAID_AT <= last).then(|| chain_block(PAID_AT));
        Ok(Some(Found {
            blocks: found.into_iter().collect(),
            last: span.last.header,
        }))
    }

    fn name(&self) -> &str {
        "node.example"
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> UnixMs {
        slot(HEAD)
    }
}

impl Entropy for Still {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl EventEncoder for Still {
    fn encode(&self, _: &SealedEvent) -> Bytes {
        Bytes::from_static(b"{}")
    }
}

impl ProgressSink for Still {
    fn progress(&self, _: PaymentId, _: u32, _: u32) {}
}

fn chain() -> Arc<Chain> {
    Arc::new(Chain::new(ChainSpec {
        id: CHAIN,
        name: "tron".to_owned(),
        currency: "USDT_TRC20",
        decimals: Decimals::USDT_TRON,
        contract: Address::from_bytes([9; 20]),
        slot_ms: 3_000,
        default_finality: Finality::Final,
        usual_final_depth: 19,
    }))
}

fn store() -> Arc<RedbStore> {
    let opened = RedbStore::open(Options {
        location: Location::Backend(Box::new(redb::backends::InMemoryBackend::new())),
        cache_bytes: 1 << 20,
        new_identity: StoreIdentity {
            epoch: "e-test".to_owned(),
            token_secret: [1; 32],
            webhook_secret: [2; 32],
        },
        threads: Threads::Caller,
    });
    Arc::new(opened.expect("a store"))
}

/// Runs one round of a follower that stands at the start and watches one payment. Returns what it left.
async fn round(batches: Batches) -> (Arc<RedbStore>, Arc<Node>) {
    let (store, index) = (store(), Arc::new(Index::default()));
    let still = Arc::new(Still);
    let trends = Trends::new(Arc::clone(&still) as _, [], Sequence(0));
    let (announcer, _commits) = Announcer::new(Arc::clone(&index), Arc::new(trends));
    store.observe(Arc::new(announcer));
    let policy = AmountPolicy {
        ambiguity: AmbiguityRule::Reject,
        unique_cap: Amount::ZERO,
    };
    let ledger = Ledger::new(
        store.clone(),
        still.clone(),
        still.clone(),
        still.clone(),
        policy,
    );
    let start = block(START, Vec::new()).header;
    ledger
        .jump(CHAIN, start, Watching::Nothing)
        .await
        .expect("a start");
    ledger.create(payment(1)).await.expect("a payment");
    let node = Arc::new(Node {
        batches,
        searched: Mutex::default(),
        read: Mutex::default(),
    });
    let slot_time = Duration::from_secs(3);
    let endpoints = Endpoints::new(vec![node.clone()], slot_time, still.clone());
    let mut follower = Follower::new(Parts {
        chain: chain(),
        endpoints: Arc::new(endpoints.expect("one")),
        ledger,
        store: store.clone(),
        index,
        progress: still.clone(),
        clock: still,
        least_wait: None,
    });
    let (_stop, shutdown) = watch::channel(false);
    follower.round(&shutdown).await.expect("a round");
    (store, node)
}

async fn is_paid_and_caught_up(store: &RedbStore) {
    let cursor = store.cursor(CHAIN).await.expect("readable").expect("one");
    assert_eq!(cursor.tip, chain_block(HEAD).header);
    assert_eq!(cursor.final_height, Height(FINAL));
    let paid = store.payment(id(1)).await.expect("readable").expect("one");
    assert_eq!(paid.status, Status::Completed);
}

#[tokio::test]
async fn what_is_final_is_searched_and_the_rest_is_read() {
    let (store, node) = round(Batches::Sound).await;
    is_paid_and_caught_up(&store).await;
    let spans = node.searched.lock().expect("a lock").clone();
    assert_eq!(spans, [(100, 150), (150, 200), (200, 250), (250, 282)]);
    let read = node.read.lock().expect("a lock").clone();
    assert_eq!(read, (FINAL + 1..=HEAD).collect::<Vec<_>>());
}

/// Found by the second half of this test: a batch of headers from a branch that the rest of the node knew nothing of was
/// walked, taken back, and walked again, without end.
///
/// A branch that was never final must not be searched either, or the cursor would be stuck on it for good: blocks that were
/// searched cannot be taken back.
#[tokio::test]
async fn a_search_needs_the_final_head_at_its_end() {
    for batches in [
        Batches::Branch(110),
        Batches::Branch(FINAL - 1),
        Batches::Behind(110),
        Batches::Behind(FINAL - 1),
    ] {
        let (store, node) = round(batches).await;
        let searched = node.searched.lock().expect("a lock").len();
        assert_eq!(searched, 0, "nothing is proven to be final");
        is_paid_and_caught_up(&store).await;
    }
}
