//! Name look-ups: the machine's own resolver, shared out so that names whose servers are silent hold up no others.
//!
//! A look-up by `getaddrinfo` occupies a thread for as long as the name server takes, which may be half a minute, and it
//! cannot be called off. So one look-up runs per name however many wait for it, and some places are kept for names that
//! were answered at once the last time. Refuses to remember answers: every connection is judged by a new one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// Look-ups at a time. Each occupies a blocking thread, and tokio has 512.
const MAX_LOOKUPS: usize = 128;
/// Of those, for names that are not known to be answered at once.
const MAX_UNPROVEN: usize = 96;
/// An answer that takes longer was not given at once.
const PROMPT: Duration = Duration::from_secs(1);
/// Names known to be answered at once; the ones known for longest are forgotten first.
const MAX_PROMPT_NAMES: usize = 10_000;

/// Turns a host name into addresses; tests bring their own.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a name.
    ///
    /// # Errors
    /// The name does not exist, has no address, or the name server cannot be asked.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The machine's own resolver (`getaddrinfo`).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let name = name.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            let found = (name.as_str(), 0_u16).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        });
        lookup.await.map_err(io::Error::other)?
    }
}

/// As told to all who wait for one look-up.
type Answer = Result<Vec<IpAddr>, (io::ErrorKind, String)>;

/// Shares another look-up out among names.
pub struct FairLookup {
    inner: Arc<dyn Lookup>,
    places: Arc<Semaphore>,
    unproven: Arc<Semaphore>,
    names: Arc<Mutex<Names>>,
}

#[derive(Default)]
struct Names {
    running: HashMap<String, watch::Receiver<Option<Answer>>>,
    prompt: HashSet<String>,
    /// The prompt ones, in the order in which they became so.
    order: VecDeque<String>,
}

/// Held to the end of a look-up, which outlives a caller that gave up waiting.
struct Permits {
    _place: OwnedSemaphorePermit,
    _unproven: Option<OwnedSemaphorePermit>,
}

impl FairLookup {
    pub fn new(inner: Arc<dyn Lookup>) -> Self {
        Self {
            inner,
            places: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            unproven: Arc::new(Semaphore::new(MAX_UNPROVEN)),
            names: Arc::default(),
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }

    async fn permits(&self, name: &str) -> io::Result<Permits> {
        let is_prompt = self.names().prompt.contains(name);
        let closed = io::Error::other;
        let unproven = if is_prompt {
            None
        } else {
            let permit = Arc::clone(&self.unproven).acquire_owned();
            Some(permit.await.map_err(closed)?)
        };
        let place = Arc::clone(&self.places).acquire_owned();
        Ok(Permits {
            _place: place.await.map_err(closed)?,
            _unproven: unproven,
        })
    }

    /// Joins the look-up of this name that is under way.
    fn running(&self, name: &str) -> Option<watch::Receiver<Option<Answer>>> {
        self.names().running.get(name).cloned()
    }

    fn start(&self, name: &str, permits: Permits) -> watch::Receiver<Option<Answer>> {
        let mut known = self.names();
        // Several may have waited for places.
        if let Some(running) = known.running.get(name) {
            return running.clone();
        }
        let (tell, told) = watch::channel(None);
        known.running.insert(name.to_owned(), told.clone());
        let (inner, names) = (Arc::clone(&self.inner), Arc::clone(&self.names));
        let name = name.to_owned();
        tokio::spawn(async move {
            let running = Running { name, names };
            let began = Instant::now();
            let found = inner.lookup(&running.name).await;
            drop(permits);
            running.end(found.is_ok() && began.elapsed() < PROMPT);
            tell.send_replace(Some(found.map_err(|e| (e.kind(), e.to_string()))));
        });
        told
    }
}

#[async_trait]
impl Lookup for FairLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut told = match self.running(name) {
            Some(running) => running,
            None => {
                let permits = self.permits(name).await?;
                self.start(name, permits)
            }
        };
        let answer = told.wait_for(Option::is_some).await;
        match answer.map_err(io::Error::other)?.clone() {
            Some(Ok(addresses)) => Ok(addresses),
            Some(Err((kind, text))) => Err(io::Error::new(kind, text)),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// A look-up under way, as the others see it; the name is taken out even if the look-up panics.
struct Running {
    name: String,
    names: Arc<Mutex<Names>>,
}

impl Running {
    fn end(self, is_prompt: bool) {
        lock(&self.names).note(&self.name, is_prompt);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.names).running.remove(&self.name);
    }
}

impl Names {
    fn note(&mut self, name: &str, is_prompt: bool) {
        if !is_prompt {
            if self.prompt.remove(name) {
                self.order.retain(|n| n != name);
            }
            return;
        }
        if self.prompt.insert(name.to_owned()) {
            self.order.push_back(name.to_owned());
        }
        if self.order.len() > MAX_PROMPT_NAMES
            && let Some(oldest) = self.order.pop_front()
        {
            self.prompt.remove(&oldest);
        }
    }
}

fn lock(names: &Mutex<Names>) -> MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Names that begin with "dead" get no answer; "odd" ones panic.
    #[derive(Default)]
    struct NameServer {
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Lookup for NameServer {
        async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if name.starts_with("dead") {
                return std::future::pending().await;
            }
            assert!(!name.starts_with("odd"), "on purpose");
            if name.starts_with("slow") {
                tokio::time::sleep(PROMPT).await;
            }
            match name {
                "nowhere.example" => Err(io::ErrorKind::NotFound.into()),
                _ => Ok(vec![[8, 8, 8, 8].into()]),
            }
        }
    }

    impl NameServer {
        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    fn fair() -> (Arc<FairLookup>, Arc<NameServer>) {
        let server = Arc::new(NameServer::default());
        (Arc::new(FairLookup::new(server.clone())), server)
    }

    /// Asks for a name without waiting for the answer, until all such questions have come as far as they can.
    async fn ask(fair: &Arc<FairLookup>, names: impl IntoIterator<Item = String>) {
        for name in names {
            let fair = Arc::clone(fair);
            tokio::spawn(async move { fair.lookup(&name).await });
        }
        // Paused time moves only when every task waits.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Found by reading: silent name servers took every look-up there was, and receivers with good names failed.
    #[tokio::test(start_paused = true)]
    async fn silent_name_servers_hold_up_no_name_that_was_answered_before() {
        let (fair, server) = fair();
        assert!(fair.lookup("shop.example").await.is_ok());
        ask(&fair, (0..500).map(|n| format!("dead{n}.example"))).await;
        assert_eq!(server.asked(), 1 + MAX_UNPROVEN);
        let minute = Duration::from_secs(60);
        for _ in 0..100 {
            let answer = tokio::time::timeout(minute, fair.lookup("shop.example")).await;
            assert!(answer.expect("at once").is_ok());
        }
        let stranger = tokio::time::timeout(minute, fair.lookup("new.example")).await;
        assert!(stranger.is_err(), "a name never asked for waits");
    }

    #[tokio::test(start_paused = true)]
    async fn one_look_up_a_name_serves_all_who_wait() {
        let (fair, server) = fair();
        ask(&fair, (0..200).map(|_| "dead.example".to_owned())).await;
        assert_eq!(server.asked(), 1);
        let asking = (0..200).map(|_| fair.lookup("slow.example"));
        let answers = futures::future::join_all(asking).await;
        assert!(answers.iter().all(|answer| answer.is_ok()));
        assert_eq!(server.asked(), 2);
        assert!(fair.lookup("slow.example").await.is_ok());
        assert_eq!(server.asked(), 3, "no answer is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn errors_and_panics_are_told_and_leave_nothing_behind() {
        let (fair, _) = fair();
        for _ in 0..2 * MAX_LOOKUPS {
            let error = fair.lookup("nowhere.example").await.expect_err("nowhere");
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert!(fair.lookup("odd.example").await.is_err());
        }
        assert!(fair.names().running.is_empty());
        assert_eq!(fair.places.available_permits(), MAX_LOOKUPS);
        assert_eq!(fair.unproven.available_permits(), MAX_UNPROVEN);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut names = Names::default();
        for n in 0..2 * MAX_PROMPT_NAMES {
            names.note(&format!("shop{n}.example"), true);
        }
        assert_eq!(names.prompt.len(), MAX_PROMPT_NAMES);
        assert_eq!(names.order.len(), MAX_PROMPT_NAMES);
        let last = format!("shop{}.example", 2 * MAX_PROMPT_NAMES - 1);
        names.note(&last, false);
        assert!(!names.prompt.contains(&last));
        assert_eq!(names.order.len(), MAX_PROMPT_NAMES - 1);
    }
}
