//! API keys in the store: random orders about them for the comparison with the simple store, and what a power cut leaves.

use fastrand::Rng;
use paybell::store::redb::{Location, RedbStore};
use paybell::store::{CommitError, Store, Write};

use crate::domain::api_key::{KeyId, KeyScope, KeySecret, PresentedKey};
use crate::domain::api_key_commands::{self, Asker, NewKey};
use crate::domain::api_keys::ApiKeys;
use crate::domain::changes::{Changes, View};
use crate::domain::ids::UnixMs;
use crate::domain::ledger::Refusal;
use crate::domain::test_support::*;
use crate::store;

/// Keys are numbered up to this.
const KEYS: u8 = 12;

fn presented(n: u8) -> PresentedKey {
    PresentedKey {
        id: KeyId(u128::from(n)),
        secret: KeySecret::of_random([n; 32]),
    }
}

fn new_key(n: u8, scope: KeyScope) -> NewKey {
    NewKey::of(&presented(n), format!("number {n}"), scope)
}

/// An order about keys.
#[derive(Debug, Clone)]
pub enum Order {
    Create(u8, KeyScope, Asker),
    Revoke(u8, Asker),
    NoteUses(Vec<(KeyId, UnixMs)>),
}

impl Order {
    pub fn decide(&self, view: &dyn View, now: UnixMs) -> Result<Changes, Refusal> {
        match self {
            Self::Create(n, scope, asker) => {
                api_key_commands::create(view, new_key(*n, *scope), *asker, now)
            }
            Self::Revoke(n, asker) => {
                api_key_commands::revoke(view, KeyId(u128::from(*n)), *asker, now)
            }
            Self::NoteUses(uses) => Ok(api_key_commands::note_uses(view, uses)?),
        }
    }

    /// An order that makes sense on the state, or nearly.
    pub fn draw(rng: &mut Rng, state: &MemoryState) -> Self {
        let unused = (1..=KEYS).find(|n| state.api_keys.get(KeyId(u128::from(*n))).is_none());
        let asker = match rng.u8(..4) {
            0 => Asker::Anyone,
            1 => Asker::Key(KeyId(rng.u128(..=u128::from(KEYS)))),
            _ => Asker::Operator,
        };
        match (rng.u8(..4), unused) {
            (0..2, Some(n)) => Self::Create(n, KeyScope::ALL[rng.usize(..3)], asker),
            (2, _) => Self::Revoke(rng.u8(..=KEYS), asker),
            _ => {
                let used = |_| (KeyId(rng.u128(..=u128::from(KEYS))), UnixMs(rng.u64(..100)));
                Self::NoteUses((0..3).map(used).collect())
            }
        }
    }
}

/// Makes a key, or revokes one.
pub async fn change(
    store: &dyn Store,
    known: &ApiKeys,
    rng: &mut Rng,
) -> Result<std::sync::Arc<Write>, CommitError> {
    let unused = (1..=KEYS).find(|n| known.get(KeyId(u128::from(*n))).is_none());
    let some = known.live().next().map(|key| key.id);
    let order = match (unused, some) {
        (Some(n), _) if rng.bool() => Order::Create(n, KeyScope::Admin, Asker::Operator),
        (_, Some(id)) if rng.bool() => Order::Revoke(id.0 as u8, Asker::Operator),
        _ => Order::NoteUses(known.iter().map(|key| (key.id, CREATED)).collect()),
    };
    store::decide(store, move |view| order.decide(view, CREATED)).await
}

/// An answered revocation holds, an answered key opens; more than that may have been kept.
pub fn kept(store: &RedbStore, answered: &ApiKeys) {
    let kept = store.api_keys();
    for key in answered.iter() {
        let found = kept.get(key.id).expect("an answered key");
        assert_eq!((found.digest, &found.name), (key.digest, &key.name));
        assert!(
            key.is_live() || !found.is_live(),
            "a revoked key opens again"
        );
        assert!(found.last_used_at >= key.last_used_at);
        let opens = kept.open(&presented(key.id.0 as u8)).is_some();
        assert_eq!(opens, found.is_live());
    }
}

/// Keys are held in memory beside the table. A plan that is refused, or a group that fails, must leave no trace there.
#[tokio::test]
async fn keys_are_as_the_last_commit_left_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let store = store::open(Location::File(&path)).unwrap();
    let order = |order: Order| store::decide(&store, move |view| order.decide(view, CREATED));
    let (first, refused, second) = tokio::join!(
        order(Order::Create(1, KeyScope::Admin, Asker::Anyone)),
        order(Order::Create(2, KeyScope::Admin, Asker::Anyone)),
        order(Order::Create(3, KeyScope::Read, Asker::Key(KeyId(1)))),
    );
    first.unwrap();
    assert!(matches!(
        refused,
        Err(CommitError::Refused(Refusal::KeyNeeded))
    ));
    second.unwrap();
    order(Order::Revoke(3, Asker::Key(KeyId(1)))).await.unwrap();
    order(Order::NoteUses(vec![(KeyId(1), CREATED)]))
        .await
        .unwrap();
    let before = store.api_keys();
    assert_eq!((before.len(), before.live().count()), (2, 1));
    let seen = store::look(&store, |view| view.api_keys().unwrap()).await;
    assert_eq!(seen, before, "plans see what readers see");
    store.close();
    drop(store);
    let store = store::open(Location::File(&path)).unwrap();
    assert_eq!(store.api_keys(), before);
    assert!(before.open(&presented(1)).is_some() && before.open(&presented(3)).is_none());
}
