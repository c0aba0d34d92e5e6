//! The built-in store: one redb file, one writer, snapshots for readers.
//!
//! Refuses a file of a newer format, and one that another process has open.

use std::fs::TryLockError;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use async_trait::async_trait;
use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend};
use tokio::sync::{mpsc, oneshot};

use super::read::{OpenPayments, Snapshot};
use super::rows::{State, Stored};
use super::view::{database, get};
use super::writer::{self, Committer, Current, Job, Publish};
use super::{
    CommitError, Counters, DeliveryFilter, DueKey, DueTarget, EventRow, EventScope, Observer, Page,
    PaymentFilter, Plan, Store, StoreError, StoreIdentity, TransferFilter, WatchedPayment, Write,
    tables, takeover, unfinished,
};
use crate::domain::account_key::AccountId;
use crate::domain::api_keys::ApiKeys;
use crate::domain::chain::BlockHeader;
use crate::domain::changes::Cursor;
use crate::domain::delivery::{Attempt, Delivery};
use crate::domain::endpoints::Endpoints;
use crate::domain::idempotency::{IdempotencyKey, KeptAnswer};
use crate::domain::ids::{ChainId, DeliveryId, Height, PaymentId, Sequence, TransferKey, UnixMs};
use crate::domain::payment::{Payment, TransferRecord};
use crate::domain::target::Target;
use crate::domain::transfer::TransferPlace;
use crate::domain::wallet::NextIndex;

/// The format that this program writes; see the file's `meta` table. 2 has wallets, 3 assignments by hand, 4 webhook
/// endpoints, an outbox for each target and kept answers. 5 has the block times of events, every payment by its address,
/// and API keys, which a program that does not know them would leave unguarded. Older files are taken over.
const FORMAT: u32 = 5;
/// The first format with an outbox for each target.
const OUTBOX_BY_TARGET: u32 = 4;
/// The first format with an index of all payments by their addresses.
const PAYMENTS_BY_ADDRESS: u32 = 5;
/// Plans that may wait for the writer; more wait in their callers.
const QUEUE_PLANS: usize = 4_096;

/// Where the data is.
pub enum Location<'a> {
    File(&'a Path),
    /// For tests and simulations of a failing disk.
    Backend(Box<dyn StorageBackend>),
}

/// How to open a store.
pub struct Options<'a> {
    pub location: Location<'a>,
    pub cache_bytes: usize,
    /// Used once, when the file is new.
    pub new_identity: StoreIdentity,
    pub threads: Threads,
}

/// Where commits and queries, which block, are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// Commits on the writer's own thread, many in one transaction; queries on the runtime's blocking threads.
    Own,
    /// All on the caller's thread, one commit at a time: nothing depends on how threads are scheduled. For simulations.
    Caller,
}

type SharedCurrent = Arc<RwLock<Current>>;
type SharedObserver = Arc<RwLock<Option<Arc<dyn Observer>>>>;

pub struct RedbStore {
    db: Arc<Database>,
    identity: StoreIdentity,
    current: SharedCurrent,
    observer: SharedObserver,
    threads: Threads,
    writer: Mutex<Writer>,
}

/// Who commits.
enum Writer {
    Thread {
        jobs: mpsc::Sender<Job>,
        thread: JoinHandle<()>,
    },
    Caller(Box<Committer>),
    Closed,
}

impl RedbStore {
    /// Opens or makes the data file and starts its writer. Blocking: recovery may take a while.
    ///
    /// # Errors
    /// The file cannot be opened, is in use, damaged, or of a newer format.
    pub fn open(options: Options<'_>) -> Result<Self, StoreError> {
        let (db, path) = open_database(options.location, options.cache_bytes)?;
        prepare(&db, &path, &options.new_identity)?;
        let (identity, current) = load(&db)?;
        let db = Arc::new(db);
        let shared: SharedCurrent = Arc::new(RwLock::new(current.clone()));
        let observer: SharedObserver = Arc::default();
        let publisher = Publisher {
            current: Arc::clone(&shared),
            observer: Arc::clone(&observer),
        };
        let committer = Committer::new(Arc::clone(&db), current, Box::new(publisher));
        let writer = match options.threads {
            Threads::Own => Writer::start(committer)?,
            Threads::Caller => Writer::Caller(Box::new(committer)),
        };
        Ok(Self {
            db,
            identity,
            current: shared,
            observer,
            threads: options.threads,
            writer: Mutex::new(writer),
        })
    }

    /// Names who is told of commits from now on.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        *self
            .observer
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(observer);
    }

    /// Commits what waits and ends the writer. Later commits fail with `Closed`. Blocking.
    pub fn close(&self) {
        let closed = std::mem::replace(&mut *self.lock_writer(), Writer::Closed);
        let Writer::Thread { jobs, thread } = closed else {
            return;
        };
        drop(jobs);
        // A plan may hold the last handle; the writer cannot wait for itself, and ends on its own.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the store's writer had panicked");
        }
    }

    fn state(&self) -> State {
        self.current().state
    }

    fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the plan to the writer's thread, or carries it out where there is none.
    fn begin(&self, plan: Plan) -> Begun {
        match &mut *self.lock_writer() {
            Writer::Thread { jobs, .. } => Begun::Queued(jobs.clone(), plan),
            Writer::Caller(committer) => Begun::Done(committer.commit_one(plan)),
            Writer::Closed => Begun::Done(Err(StoreError::Closed.into())),
        }
    }

    async fn query<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    {
        self.blocking(move |db| query(&Snapshot::begin(db)?)).await
    }

    async fn blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    {
        match self.threads {
            Threads::Own => {
                let db = Arc::clone(&self.db);
                tokio::task::spawn_blocking(move || work(&db))
                    .await
                    .map_err(|e| StoreError::Database(Box::new(e)))?
            }
            Threads::Caller => work(&self.db),
        }
    }
}

/// A commit as far as it has come.
enum Begun {
    Queued(mpsc::Sender<Job>, Plan),
    Done(Result<Arc<Write>, CommitError>),
}

impl Writer {
    fn start(committer: Committer) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE_PLANS);
        let thread = std::thread::Builder::new()
            .name("paybell-writer".to_owned())
            .spawn(move || writer::run(committer, queue))
            .map_err(|e| StoreError::Database(Box::new(e)))?;
        Ok(Self::Thread { jobs, thread })
    }
}

/// The writer holds the file; it must let go of it before anyone can hold it again.
impl Drop for RedbStore {
    fn drop(&mut self) {
        self.close();
    }
}

struct Publisher {
    current: SharedCurrent,
    observer: SharedObserver,
}

impl Publish for Publisher {
    fn publish(&self, current: &Current, writes: &[Arc<Write>]) {
        let mut shared = self.current.write().unwrap_or_else(PoisonError::into_inner);
        shared.clone_from(current);
        drop(shared);
        let observer = self
            .observer
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(observer) = observer {
            for write in writes {
                observer.committed(write);
            }
        }
    }
}

fn open_database(
    location: Location<'_>,
    cache_bytes: usize,
) -> Result<(Database, String), StoreError> {
    let mut builder = Database::builder();
    builder.set_cache_size(cache_bytes);
    let (opened, path) = match location {
        Location::File(path) => (open_file(&builder, path), path.display().to_string()),
        Location::Backend(backend) => (open_backend(&builder, backend), "in memory".to_owned()),
    };
    match opened {
        Ok(db) => Ok((db, path)),
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(StoreError::InUse { path }),
        Err(source) => Err(StoreError::Open {
            path,
            source: Box::new(source),
        }),
    }
}

fn open_file(builder: &Builder, path: &Path) -> Result<Database, DatabaseError> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // It holds what signs webhooks and client tokens.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    close_to_everyone(&file, path);
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(DatabaseError::DatabaseAlreadyOpen),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let is_new = unfinished::empty_file(&file)?;
    // redb takes its own locks; whoever comes between finds a file that is empty or whole.
    file.unlock()?;
    let db = builder.create_with_backend(FileBackend::new(file)?)?;
    if is_new {
        sync_folder(path)?;
    }
    Ok(db)
}

/// Before format 5 new files could be read by everyone. What its owner lets a group do stays.
#[cfg(unix)]
fn close_to_everyone(file: &std::fs::File, path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(mode) = file.metadata().map(|data| data.permissions().mode()) else {
        return;
    };
    if mode & 0o007 == 0 {
        return;
    }
    let path = path.display();
    match file.set_permissions(std::fs::Permissions::from_mode(mode & 0o770)) {
        Ok(()) => tracing::info!(%path, "the data file can no longer be read by everyone"),
        Err(error) => {
            tracing::warn!(%path, %error, "the data file can be read by others, and that could not be changed");
        }
    }
}

fn open_backend(
    builder: &Builder,
    backend: Box<dyn StorageBackend>,
) -> Result<Database, DatabaseError> {
    unfinished::empty(backend.as_ref())?;
    builder.create_with_backend(AnyBackend(backend))
}

/// A file is there after a power cut only once its folder's entry for it is on disk.
fn sync_folder(path: &Path) -> Result<(), std::io::Error> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Makes the tables of a new file, and checks the format of an old one.
fn prepare(db: &Database, path: &str, new_identity: &StoreIdentity) -> Result<(), StoreError> {
    let txn = db.begin_write().map_err(database)?;
    let found = {
        let mut meta = txn.open_table(tables::META).map_err(database)?;
        let found = read_format(&meta)?;
        match found {
            Some(found) if found > FORMAT => {
                return Err(StoreError::NewerFormat {
                    path: path.to_owned(),
                    found,
                    known: FORMAT,
                });
            }
            Some(_) => {}
            None => {
                let identity = new_identity.encode()?;
                meta.insert(tables::META_IDENTITY, identity.as_slice())
                    .map_err(database)?;
            }
        }
        // Rows of every older version can be read; an older program cannot read what is written from now on.
        if found != Some(FORMAT) {
            let format = FORMAT.to_be_bytes();
            meta.insert(tables::META_FORMAT, &format[..])
                .map_err(database)?;
        }
        found
    };
    for table in tables::ALL {
        txn.open_table(*table).map_err(database)?;
    }
    if found.is_some_and(|found| found < OUTBOX_BY_TARGET) {
        takeover::outbox_before_4(&txn)?;
    }
    if found.is_some_and(|found| found < PAYMENTS_BY_ADDRESS) {
        takeover::addresses_before_5(&txn)?;
    }
    txn.commit().map_err(database)
}

fn read_format(
    meta: &impl ReadableTable<tables::Bytes, tables::Bytes>,
) -> Result<Option<u32>, StoreError> {
    let Some(guard) = meta.get(tables::META_FORMAT).map_err(database)? else {
        return Ok(None);
    };
    let bytes: [u8; 4] = guard
        .value()
        .try_into()
        .map_err(|_| StoreError::Corrupt("the format number".to_owned()))?;
    Ok(Some(u32::from_be_bytes(bytes)))
}

fn load(db: &Database) -> Result<(StoreIdentity, Current), StoreError> {
    let txn = db.begin_read().map_err(database)?;
    let meta = txn.open_table(tables::META).map_err(database)?;
    let identity = get(&meta, tables::META_IDENTITY)?
        .ok_or_else(|| StoreError::Corrupt("the identity is missing".to_owned()))?;
    let endpoints = txn.open_table(tables::ENDPOINTS).map_err(database)?;
    let api_keys = txn.open_table(tables::API_KEYS).map_err(database)?;
    let current = writer::load_current(&meta, &endpoints, &api_keys)?;
    Ok((identity, current))
}

#[async_trait]
impl Store for RedbStore {
    async fn commit(&self, plan: Plan) -> Result<Arc<Write>, CommitError> {
        let (jobs, plan) = match self.begin(plan) {
            Begun::Queued(jobs, plan) => (jobs, plan),
            Begun::Done(outcome) => return outcome,
        };
        let (reply, answer) = oneshot::channel();
        jobs.send(Job { plan, reply })
            .await
            .map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    fn counters(&self) -> Counters {
        self.state().counters
    }

    fn last_sequence(&self) -> Sequence {
        Sequence(self.state().next_sequence.0 - 1)
    }

    fn endpoints(&self) -> Arc<Endpoints> {
        Arc::clone(&self.current().endpoints)
    }

    fn api_keys(&self) -> Arc<ApiKeys> {
        Arc::clone(&self.current().api_keys)
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.query(move |s| s.payment(id)).await
    }

    async fn payments(
        &self,
        filter: PaymentFilter,
        after: Option<PaymentId>,
        limit: usize,
    ) -> Result<Page<Payment, PaymentId>, StoreError> {
        self.query(move |s| s.payments(&filter, after, limit)).await
    }

    async fn transfer(&self, key: TransferKey) -> Result<Option<TransferRecord>, StoreError> {
        self.query(move |s| s.transfer(&key)).await
    }

    async fn unmatched(
        &self,
        filter: TransferFilter,
        after: Option<TransferPlace>,
        limit: usize,
    ) -> Result<Page<TransferRecord, TransferPlace>, StoreError> {
        self.query(move |s| s.unmatched(filter, after, limit)).await
    }

    async fn events(
        &self,
        scope: EventScope,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        self.query(move |s| s.events(scope, after, limit)).await
    }

    async fn event(&self, sequence: Sequence) -> Result<Option<EventRow>, StoreError> {
        self.query(move |s| s.event(sequence)).await
    }

    async fn first_sequence(&self) -> Result<Sequence, StoreError> {
        Ok(self.state().first_sequence)
    }

    async fn deliveries(
        &self,
        filter: DeliveryFilter,
        after: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Page<Delivery, DeliveryId>, StoreError> {
        self.query(move |s| s.deliveries(&filter, after, limit))
            .await
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Vec<Attempt>, StoreError> {
        self.query(move |s| s.attempts(id)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.query(move |s| s.delivery(id)).await
    }

    async fn due_targets(
        &self,
        now: UnixMs,
        after: Option<DueTarget>,
        limit: usize,
    ) -> Result<Vec<DueTarget>, StoreError> {
        self.query(move |s| s.due_targets(now, after, limit)).await
    }

    async fn due_of(
        &self,
        target: Target,
        now: UnixMs,
        after: Option<DueKey>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.query(move |s| s.due_of(target, now, after, limit))
            .await
    }

    async fn owed(&self, target: Target, limit: usize) -> Result<usize, StoreError> {
        self.query(move |s| s.owed(target, limit)).await
    }

    async fn next_due(&self, after: UnixMs) -> Result<Option<UnixMs>, StoreError> {
        self.query(move |s| s.next_due(after)).await
    }

    async fn cursor(&self, chain: ChainId) -> Result<Option<Cursor>, StoreError> {
        self.query(move |s| s.cursor(chain)).await
    }

    async fn block(
        &self,
        chain: ChainId,
        height: Height,
    ) -> Result<Option<BlockHeader>, StoreError> {
        self.query(move |s| s.block(chain, height)).await
    }

    async fn chain_id(&self, name: &str) -> Result<ChainId, StoreError> {
        let name = name.to_owned();
        self.blocking(move |db| chain_id(db, &name)).await
    }

    async fn watched(&self) -> Result<Vec<WatchedPayment>, StoreError> {
        self.query(Snapshot::watched).await
    }

    async fn confirming(&self) -> Result<Vec<Payment>, StoreError> {
        self.query(Snapshot::confirming).await
    }

    async fn next_index(&self, account: AccountId) -> Result<NextIndex, StoreError> {
        self.query(move |s| s.next_index(account)).await
    }

    async fn kept_answer(&self, key: IdempotencyKey) -> Result<Option<KeptAnswer>, StoreError> {
        self.query(move |s| s.kept_answer(key)).await
    }

    async fn open_on(&self, chain: ChainId) -> Result<OpenPayments, StoreError> {
        self.query(move |s| s.open_on(chain)).await
    }
}

/// Looks a chain's number up by its name, or gives it the next one.
fn chain_id(db: &Database, name: &str) -> Result<ChainId, StoreError> {
    let txn = db.begin_write().map_err(database)?;
    let id = {
        let mut meta = txn.open_table(tables::META).map_err(database)?;
        let known = meta
            .get(tables::chain(name).as_slice())
            .map_err(database)?
            .and_then(|guard| guard.value().try_into().ok().map(u16::from_be_bytes));
        match known {
            Some(id) => id,
            None => {
                let prefix = tables::META_CHAIN_PREFIX;
                let used =
                    super::view::keys(&meta, prefix, &tables::after_prefix(prefix), usize::MAX)?;
                let id = u16::try_from(used.len())
                    .map_err(|_| StoreError::Corrupt("too many chains".to_owned()))?;
                meta.insert(tables::chain(name).as_slice(), &id.to_be_bytes()[..])
                    .map_err(database)?;
                id
            }
        }
    };
    txn.commit().map_err(database)?;
    Ok(ChainId(id))
}

/// Lets a boxed backend stand where redb wants a concrete one.
#[derive(Debug)]
struct AnyBackend(Box<dyn StorageBackend>);

impl StorageBackend for AnyBackend {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.0.write(offset, data)
    }

    fn close(&self) -> Result<(), std::io::Error> {
        self.0.close()
    }
}
