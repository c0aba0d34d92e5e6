//! A webhook receiver on a loopback port that behaves as badly as a test asks, and resolvers that say what a test asks.
//!
//! Speaks bare TCP, so that it can send what no HTTP library would.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::guard::Lookup;

/// Pause between two bytes of [`Script::Drip`].
const DRIP_PAUSE: Duration = Duration::from_millis(20);

/// What the receiver does once it has read a whole request.
#[derive(Debug, Clone)]
pub enum Script {
    /// Sends this and waits for the next request.
    Answer(String),
    /// Sends this and closes the connection.
    AnswerAndClose(String),
    /// Sends this, then nothing more, and keeps the connection open.
    AnswerAndHang(String),
    /// Sends this, then one byte after another for ever.
    Drip(String),
    /// Sends this, then bytes as fast as they are taken, for ever.
    Flood(String),
    /// Sends this, then resets the connection.
    AnswerAndReset(String),
}

/// What a test hears from its receiver.
#[derive(Debug)]
pub enum Heard {
    /// A request, head and body.
    Request(String),
    /// A drip or flood ended because the sender hung up, after this many bytes of body.
    HungUp(usize),
}

pub struct Receiver {
    pub address: SocketAddr,
    heard: mpsc::UnboundedReceiver<Heard>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port");
        let address = listener.local_addr().expect("bound");
        let (told, heard) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), told.clone()));
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

async fn serve(mut stream: TcpStream, script: Script, told: mpsc::UnboundedSender<Heard>) {
    while let Some(request) = read_request(&mut stream).await {
        told.send(Heard::Request(request)).unwrap_or_default();
        match perform(&mut stream, &script).await {
            Ok(Next::Serve) => {}
            Ok(Next::Close) => return,
            Err(sent) => {
                told.send(Heard::HungUp(sent)).unwrap_or_default();
                return;
            }
        }
    }
}

enum Next {
    Serve,
    Close,
}

/// Errs with the bytes that were taken before the sender hung up.
async fn perform(stream: &mut TcpStream, script: &Script) -> Result<Next, usize> {
    let (Script::Answer(text)
    | Script::AnswerAndClose(text)
    | Script::AnswerAndHang(text)
    | Script::Drip(text)
    | Script::Flood(text)
    | Script::AnswerAndReset(text)) = script;
    stream
        .write_all(text.as_bytes())
        .await
        .map_err(|_| 0_usize)?;
    match script {
        Script::Answer(_) => Ok(Next::Serve),
        Script::AnswerAndClose(_) => Ok(Next::Close),
        Script::AnswerAndHang(_) => {
            // Reads nothing but the end, so that the connection stays open exactly as long as the sender wants it.
            while stream.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {}
            Err(0)
        }
        Script::Drip(_) => Err(pour(stream, 1, Some(DRIP_PAUSE)).await),
        Script::Flood(_) => Err(pour(stream, 4096, None).await),
        Script::AnswerAndReset(_) => {
            stream.set_zero_linger().map_err(|_| 0_usize)?;
            Ok(Next::Close)
        }
    }
}

async fn pour(stream: &mut TcpStream, bytes: usize, pause: Option<Duration>) -> usize {
    let chunk = vec![b'x'; bytes];
    let mut sent = 0;
    while stream.write_all(&chunk).await.is_ok() {
        sent += bytes;
        if let Some(pause) = pause {
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
