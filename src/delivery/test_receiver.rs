//! A webhook receiver on a loopback port that behaves as badly as a test asks, and resolvers that say what a test asks.
//!
//! Speaks bare TCP, so that it can send what no HTTP library would.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::lookup::Lookup;

/// Pause between two bytes of [`Then::Drip`].
const DRIP_PAUSE: Duration = Duration::from_millis(20);

/// What the receiver does once it has read a request and sent its answer.
#[derive(Debug, Clone, Copy)]
pub enum Then {
    /// Waits for the next request.
    Serve,
    /// Closes the connection.
    Close,
    /// Keeps the connection open and says nothing more.
    Hang,
    /// Sends one byte after another for ever.
    Drip,
    /// Sends bytes as fast as they are taken, for ever.
    Flood,
    /// Sends the same answer as fast as it is taken, for ever.
    Repeat,
    /// Resets the connection.
    Reset,
}

/// What a test hears from its receiver.
#[derive(Debug)]
pub enum Heard {
    /// A request, head and body.
    Request(String),
    /// The connection is closed: by us, or, after this many bytes of a drip or flood, by the sender.
    HungUp(usize),
}

pub struct Receiver {
    pub address: SocketAddr,
    heard: mpsc::UnboundedReceiver<Heard>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Answers every request with the same text, which need not be HTTP.
    pub async fn start(answer: &str, then: Then) -> Self {
        Self::scripted(&[(answer.as_bytes(), then)]).await
    }

    /// Answers each request with the next of the given answers, the last one again and again.
    pub async fn scripted(answers: &[(&[u8], Then)]) -> Self {
        let answers = answers
            .iter()
            .map(|(answer, then)| (answer.to_vec(), *then));
        let script = Arc::new(Script {
            answers: answers.collect(),
            turn: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let (told, heard) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), told.clone()));
            }
        });
        Self {
            address,
            heard,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub async fn hear(&mut self) -> Heard {
        self.heard.recv().await.expect("the receiver runs")
    }

    /// The next request's text.
    pub async fn request(&mut self) -> String {
        match self.hear().await {
            Heard::Request(text) => text,
            Heard::HungUp(bytes) => panic!("hung up after {bytes} bytes instead of a request"),
        }
    }

    pub fn heard_nothing(&mut self) -> bool {
        self.heard.try_recv().is_err()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Script {
    answers: Vec<(Vec<u8>, Then)>,
    turn: AtomicUsize,
}

impl Script {
    fn next(&self) -> &(Vec<u8>, Then) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        &self.answers[turn.min(self.answers.len() - 1)]
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>, told: mpsc::UnboundedSender<Heard>) {
    while let Some(request) = read_request(&mut stream).await {
        let (answer, then) = script.next();
        if told.send(Heard::Request(request)).is_err() || stream.write_all(answer).await.is_err() {
            return;
        }
        let taken_bytes = match then {
            Then::Serve => continue,
            Then::Close => {
                drop(stream);
                // Nobody may be listening any more.
                return drop(told.send(Heard::HungUp(0)));
            }
            Then::Reset => return stream.set_zero_linger().expect("Linux has it"),
            Then::Hang => {
                // Returns when the sender hangs up, for it says nothing more.
                while stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {}
                0
            }
            Then::Drip => pour(&mut stream, b"x", DRIP_PAUSE).await,
            Then::Flood => pour(&mut stream, &[b'x'; 4096], Duration::ZERO).await,
            Then::Repeat => pour(&mut stream, answer, Duration::ZERO).await,
        };
        if told.send(Heard::HungUp(taken_bytes)).is_err() {
            return;
        }
    }
}

/// Sends until the sender hangs up; says how many bytes the system took.
async fn pour(stream: &mut TcpStream, chunk: &[u8], pause: Duration) -> usize {
    let mut sent = 0;
    while stream.write_all(chunk).await.is_ok() {
        sent += chunk.len();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    sent
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize =
                header(head, "content-length").map_or(0, |v| v.parse().expect("a number"));
            if body.len() >= length {
                return Some(text);
            }
        }
        let read = stream.read_buf(&mut request).await.ok()?;
        if read == 0 {
            return None;
        }
    }
}

/// A header's value in a request's text.
pub fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = request.lines().take_while(|line| !line.is_empty());
    lines.find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Answers each look-up with the next of the given lists, the last one again and again.
pub struct ScriptedLookup {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
    names: Mutex<Vec<String>>,
}

impl ScriptedLookup {
    pub fn new(answers: &[&[&str]]) -> Self {
        let parse = |texts: &&[&str]| {
            texts
                .iter()
                .map(|t| t.parse().expect("an address"))
                .collect()
        };
        Self {
            answers: answers.iter().map(parse).collect(),
            asked: AtomicUsize::new(0),
            names: Mutex::new(Vec::new()),
        }
    }

    /// The names asked for so far.
    pub fn names(&self) -> Vec<String> {
        self.names.lock().expect("no panic while locked").clone()
    }
}

#[async_trait]
impl Lookup for ScriptedLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.names
            .lock()
            .expect("no panic while locked")
            .push(name.to_owned());
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        let last = self
            .answers
            .len()
            .checked_sub(1)
            .ok_or(io::ErrorKind::NotFound)?;
        Ok(self.answers[turn.min(last)].clone())
    }
}

/// A name server that never answers.
pub struct SilentLookup;

#[async_trait]
impl Lookup for SilentLookup {
    async fn lookup(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}
