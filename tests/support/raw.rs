//! Requests byte by byte, as no client library would send them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PATIENCE;

/// What came back: the status, 0 for none, and the whole text.
pub struct Reply {
    pub status: u16,
    pub text: String,
}

impl Reply {
    /// That it has this status and, in its text, names the mistake.
    pub fn expect(&self, what: &str, status: u16, named: &str) {
        let right = self.status == status && self.text.contains(named);
        assert!(
            right,
            "{what}: wanted {status} {named:?}, got {}",
            self.text
        );
    }
}

/// How much of an answer to wait for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All until the end of the connection; a switch of protocols ends with its head.
    Whole,
    /// The status and the headers, where the connection may stay open.
    Head,
}

/// Sends bytes as they are and reads until the end, or until the head of a switch of protocols.
pub async fn raw(base: &str, bytes: &[u8]) -> Reply {
    exchange(base, bytes, Part::Whole).await
}

/// Sends bytes as they are and reads until the head of an answer, or until the server closes without one.
pub async fn raw_head(base: &str, bytes: &[u8]) -> Reply {
    exchange(base, bytes, Part::Head).await
}

async fn exchange(base: &str, bytes: &[u8], wanted: Part) -> Reply {
    let authority = base.strip_prefix("http://").expect("http");
    let mut stream = TcpStream::connect(authority).await.expect("a connection");
    let mut answer = Vec::new();
    let talk = async {
        // A server that has answered early may have closed already; what it said counts.
        if let Err(error) = stream.write_all(bytes).await {
            println!("{authority} closed early: {error}");
        }
        loop {
            let head_only = wanted == Part::Head || answer.starts_with(b"HTTP/1.1 101");
            if head_only && answer.windows(4).any(|w| w == b"\r\n\r\n") {
                return;
            }
            if !matches!(stream.read_buf(&mut answer).await, Ok(1..)) {
                return;
            }
        }
    };
    let ended = tokio::time::timeout(PATIENCE, talk).await;
    let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    assert!(ended.is_ok(), "hangs on {beginning:?}");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.get(9..12).and_then(|digits| digits.parse().ok());
    Reply {
        status: status.unwrap_or(0),
        text,
    }
}

/// A request line with these headers, and an end to the connection.
pub async fn request(base: &str, line: &str, headers: &str) -> Reply {
    let text = format!("{line} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    raw(base, text.as_bytes()).await
}

pub async fn post(base: &str, path: &str, body: &[u8]) -> Reply {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    raw(base, &[head.as_bytes(), body].concat()).await
}

/// A handshake for `/ws`, complete but for what `more` changes.
pub async fn handshake(base: &str, host: &str, more: &str) -> Reply {
    let head = format!(
        "GET /ws HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n{more}\r\n"
    );
    raw(base, head.as_bytes()).await
}
