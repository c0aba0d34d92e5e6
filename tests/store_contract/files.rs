//! The data file: opened again, opened twice, of a newer format, never finished, and not ours.

use std::path::Path;

use paybell::store::redb::{Location, RedbStore};
use paybell::store::{DeliveryFilter, EventScope, PaymentFilter, Store, StoreError};
use redb::{ReadableDatabase, ReadableTableMetadata, TableDefinition, TableHandle};

use crate::domain::changes::{Changes, PaymentChange};
use crate::domain::delivery::{DeliveryState, GivenUp};
use crate::domain::test_support::*;
use crate::{audit, called_back, create, deliveries, store};

fn open(path: &Path) -> Result<RedbStore, StoreError> {
    store::open(Location::File(path))
}

async fn everything(store: &RedbStore) -> String {
    format!(
        "{:?}",
        (
            audit::payments(store, &PaymentFilter::default()).await,
            audit::events(store, EventScope::All).await,
            audit::deliveries(store, &DeliveryFilter::default()).await,
            (
                store.counters(),
                store.last_sequence(),
                store.first_sequence().await.unwrap()
            ),
            (
                store.cursor(CHAIN).await.unwrap(),
                store.chain_id("tron").await.unwrap()
            ),
            store.identity(),
        )
    )
}

#[tokio::test]
async fn opened_again_it_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let store = open(&path).unwrap();
    store.chain_id("other").await.unwrap();
    for n in 1..=20 {
        create(&store, called_back(n)).await.unwrap();
    }
    let all = audit::deliveries(&store, &DeliveryFilter::default()).await;
    for delivery in &all[10..] {
        let state = DeliveryState::Delivered(CREATED);
        deliveries::record(&store, delivery, state).await.unwrap();
    }
    deliveries::prune(&store, CREATED.plus_ms(1), 4).await;
    let before = everything(&store).await;
    store.close();
    drop(store);
    let store = open(&path).unwrap();
    assert_eq!(everything(&store).await, before);
    assert_eq!(store.first_sequence().await.unwrap().0, 5);
    audit::whole(&store).await;
    create(&store, called_back(99)).await.unwrap();
    assert_eq!(store.last_sequence().0, 21);
}

#[tokio::test]
async fn a_second_handle_is_told_that_the_file_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let store = open(&path).unwrap();
    let Err(error) = open(&path) else {
        panic!("opened twice");
    };
    assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("data.redb"), "{error}");
    create(&store, called_back(1)).await.unwrap();
}

/// Only dropped, not closed: its writer may still run for a moment, and must not keep the file from the next one.
#[tokio::test]
async fn a_dropped_store_lets_go_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    for n in 1..=30 {
        let store = open(&path).unwrap();
        create(&store, called_back(n)).await.unwrap();
    }
    assert_eq!(open(&path).unwrap().counters().total(), 30);
}

/// Old rows can be read, but an older program could not read what is written from now on: it must say so, and not
/// come upon a row that it takes for damage.
#[test]
fn an_older_format_is_opened_and_marked_as_ours() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    drop(open(&path).unwrap());
    let meta: TableDefinition<&[u8], &[u8]> = TableDefinition::new("meta");
    let key = b"format".as_slice();
    let db = redb::Database::create(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(meta)
        .unwrap()
        .insert(key, 1_u32.to_be_bytes().as_slice())
        .unwrap();
    txn.commit().unwrap();
    drop(db);
    let store = open(&path).unwrap();
    assert_eq!(store.counters().total(), 0);
    store.close();
    drop(store);
    let db = redb::Database::create(&path).unwrap();
    let format = db.begin_read().unwrap().open_table(meta).unwrap();
    let format = format.get(key).unwrap().unwrap();
    assert_eq!(format.value(), 5_u32.to_be_bytes());
}

/// How many payments the index of addresses holds.
fn places_of_addresses(db: &redb::Database) -> u64 {
    let index: TableDefinition<&[u8], &[u8]> = TableDefinition::new("address_payments");
    let index = db.begin_read().unwrap().open_table(index).unwrap();
    index.len().unwrap()
}

/// A payment that is removed takes its place among those of its address along.
#[tokio::test]
async fn a_removed_payment_is_found_by_its_address_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let store = open(&path).unwrap();
    for n in 1..=5 {
        create(&store, called_back(n)).await.unwrap();
    }
    let removed = store.payment(id(2)).await.unwrap();
    let changes = Changes {
        payments: vec![PaymentChange {
            before: removed,
            after: None,
        }],
        ..Changes::default()
    };
    store::apply(&store, changes).await;
    let filter = PaymentFilter {
        address: Some(address(1)),
        ..PaymentFilter::default()
    };
    let found = audit::payments(&store, &filter).await;
    let ids: Vec<_> = found.iter().map(|p| p.id).collect();
    assert_eq!(ids, [5, 4, 3, 1].map(id));
    store.close();
    drop(store);
    assert_eq!(
        places_of_addresses(&redb::Database::create(&path).unwrap()),
        4
    );
}

/// A file of format 3, table by table as the program before wrote it: payments 1 to 4 with callbacks at two shops, one of
/// them in two spellings. Delivery 1 waits for its next attempt and 5 behind it, 2 is delivered, 3 due, 4 given up.
const FORMAT_3: &str = include_str!("format_3.rows");

fn write_format_3(path: &Path) {
    let db = redb::Database::create(path).unwrap();
    let txn = db.begin_write().unwrap();
    for line in FORMAT_3.lines() {
        let [name, key, value] = *line.split(' ').collect::<Vec<_>>() else {
            panic!("three words, not {line:?}");
        };
        let table: TableDefinition<&[u8], &[u8]> = TableDefinition::new(name);
        let (key, value) = (hex::decode(key).unwrap(), hex::decode(value).unwrap());
        let mut table = txn.open_table(table).unwrap();
        table.insert(key.as_slice(), value.as_slice()).unwrap();
    }
    txn.commit().unwrap();
}

/// Format 3 had one queue for all that was due. In format 4 each receiver has its own, which keys and rows did not tell.
#[tokio::test]
async fn the_queue_of_format_3_is_shared_out_among_its_receivers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    write_format_3(&path);
    for _ in 0..2 {
        let store = open(&path).unwrap();
        audit::whole(&store).await;
        let counters = store.counters();
        assert_eq!(
            (counters.deliveries_due, counters.deliveries_exhausted),
            (3, 1)
        );
        let due = store::due(&store, CREATED.plus_ms(60_000)).await.unwrap();
        let due: Vec<_> = due.iter().map(|(d, _)| d.id.sequence.0).collect();
        assert_eq!(due, [3, 1, 5], "one shop, in both spellings, by time");
        let targets = store.due_targets(CREATED.plus_ms(60_000), None, 9).await;
        assert_eq!(targets.unwrap().len(), 1);
        let all = audit::deliveries(&store, &DeliveryFilter::default()).await;
        let of = |n: u64| all.iter().find(|d| d.id.sequence.0 == n).unwrap();
        assert_ne!(of(2).target, of(1).target, "the other shop");
        assert_eq!(of(4).given_up, Some(GivenUp::AttemptsUsedUp));
        assert_eq!((of(1).attempts, of(1).given_up), (1, None));
        let log = store.attempts(of(1).id).await.unwrap();
        assert_eq!(
            (log.len(), log[0].status, log[0].next_at),
            (1, Some(503), None)
        );
        assert!(store.endpoints().is_empty());
        store.close();
    }
    let db = redb::Database::create(&path).unwrap();
    assert_eq!(places_of_addresses(&db), 4);
    let names: Vec<_> = db.begin_read().unwrap().list_tables().unwrap().collect();
    assert!(
        !names.iter().any(|table| table.name() == "due"),
        "the old queue is gone"
    );
    drop(db);
    let store = open(&path).unwrap();
    let head = store::due(&store, CREATED).await.unwrap().remove(0).0;
    deliveries::record(&store, &head, DeliveryState::Delivered(CREATED))
        .await
        .unwrap();
    audit::whole(&store).await;
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    drop(open(&path).unwrap());
    let meta: TableDefinition<&[u8], &[u8]> = TableDefinition::new("meta");
    let db = redb::Database::create(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(meta)
        .unwrap()
        .insert(b"format".as_slice(), 77_u32.to_be_bytes().as_slice())
        .unwrap();
    txn.commit().unwrap();
    drop(db);
    for _ in 0..2 {
        let Err(error) = open(&path) else {
            panic!("opened");
        };
        assert!(
            matches!(
                error,
                StoreError::NewerFormat {
                    found: 77,
                    known: 5,
                    ..
                }
            ),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains("newer paybell") && text.contains("77") && text.contains("data.redb"),
            "{text}"
        );
    }
}

/// Found by killing the program in the first milliseconds of its life: the file had its length but not yet its first
/// bytes, which redb writes last, and from then on every start ended with "not a redb database".
#[tokio::test]
async fn a_file_whose_making_was_cut_short_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    drop(open(&path).unwrap());
    let whole = std::fs::read(&path).unwrap();
    let blank = |length: usize| vec![0_u8; length];
    let mut without_magic = blank(whole.len());
    without_magic[9..320].copy_from_slice(&whole[9..320]);
    for unfinished in [
        blank(0),
        blank(5),
        blank(9),
        blank(whole.len()),
        without_magic,
    ] {
        std::fs::write(&path, &unfinished).unwrap();
        let store = open(&path).unwrap_or_else(|e| panic!("{} bytes: {e}", unfinished.len()));
        create(&store, called_back(1)).await.unwrap();
        audit::whole(&store).await;
    }
}

/// What somebody else wrote is never touched, even if it begins with zeros.
#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let mut image = vec![0_u8; 100_000];
    image[70_000] = 1;
    for foreign in [b"a shopping list".to_vec(), image] {
        std::fs::write(&path, &foreign).unwrap();
        assert!(matches!(open(&path), Err(StoreError::Open { .. })));
        assert!(std::fs::read(&path).unwrap() == foreign);
    }
}

/// The program before format 5 left its files to the usual mode, with the secrets in them.
#[cfg(unix)]
#[tokio::test]
async fn a_file_that_everyone_could_read_is_closed_to_them() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.redb");
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    for (before, after) in [
        (0o644, 0o640),
        (0o640, 0o640),
        (0o600, 0o600),
        (0o666, 0o660),
    ] {
        let store = open(&path).unwrap();
        store.close();
        drop(store);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(before)).unwrap();
        let store = open(&path).unwrap();
        assert_eq!(mode(), after);
        store.close();
    }
}
