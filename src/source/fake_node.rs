//! A node on loopback that answers scripted bytes, for tests. Each connection serves one request.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What a request gets.
#[derive(Clone)]
pub(super) enum Reply {
    /// These bytes, status line and headers included, then the end of the connection.
    Raw(Vec<u8>),
    /// These bytes and then, one at a time at this interval, spaces without end.
    Drip(Vec<u8>, Duration),
    /// Nothing, until the client goes away.
    Silence,
}

impl Reply {
    pub(super) fn status(code: u16, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let mut raw = format!(
            "HTTP/1.1 {code} Said\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        )
        .into_bytes();
        raw.extend_from_slice(body);
        Self::Raw(raw)
    }

    pub(super) fn ok(body: &[u8]) -> Self {
        Self::status(200, "content-type: application/json\r\n", body)
    }
}

/// A request as it came: path with query, lower-case header lines, body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub path: String,
    pub headers: String,
    pub body: String,
}

#[derive(Default)]
struct Script {
    replies: HashMap<String, VecDeque<Reply>>,
    requests: Vec<Request>,
}

pub(super) struct FakeNode {
    port: u16,
    script: Arc<Mutex<Script>>,
}

impl FakeNode {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        // Ends with the test process; nothing waits for it.
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let script = Arc::clone(&shared);
                thread::spawn(move || serve(connection, &script));
            }
        });
        Self { port, script }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Adds a reply for a path; the last one repeats.
    pub(super) fn answer(&self, path: &str, reply: Reply) -> &Self {
        let mut script = self.script.lock().expect("the script");
        let replies = script.replies.entry(path.to_owned()).or_default();
        replies.push_back(reply);
        drop(script);
        self
    }

    /// The requests since the last call.
    pub(super) fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.script.lock().expect("the script").requests)
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|it| it.path).collect()
    }
}

fn serve(mut connection: TcpStream, script: &Mutex<Script>) -> Option<()> {
    let request = read_request(&mut connection)?;
    let reply = {
        let mut script = script.lock().expect("the script");
        script.requests.push(request.clone());
        match script.replies.get_mut(&request.path) {
            Some(replies) if replies.len() > 1 => replies.pop_front(),
            Some(replies) => replies.front().cloned(),
            None => None,
        }
    };
    match reply.unwrap_or_else(|| Reply::status(404, "", b"no such path")) {
        Reply::Raw(bytes) => connection.write_all(&bytes).ok()?,
        Reply::Drip(bytes, interval) => {
            connection.write_all(&bytes).ok()?;
            while connection.write_all(b" ").is_ok() {
                thread::sleep(interval);
            }
        }
        Reply::Silence => drop(connection.read(&mut [0])),
    }
    connection.shutdown(Shutdown::Write).ok()
}

fn read_request(connection: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at + 4;
        }
        read_more(connection, &mut bytes)?;
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let headers = head.to_lowercase();
    let length: usize = headers
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next()?.parse().ok())
        .unwrap_or(0);
    while bytes.len() < head_end + length {
        read_more(connection, &mut bytes)?;
    }
    Some(Request {
        path: head.split(' ').nth(1)?.to_owned(),
        headers,
        body: String::from_utf8_lossy(&bytes[head_end..]).into_owned(),
    })
}

fn read_more(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 4096];
    match connection.read(&mut buffer).ok()? {
        0 => None,
        count => {
            bytes.extend_from_slice(&buffer[..count]);
            Some(())
        }
    }
}
