//! Webhook receivers that are of no use to anybody, each in its own way. They speak bare TCP.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Between two bytes of a drip.
const DRIP_PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vice {
    /// Nobody listens.
    Refuses,
    /// Accepts and says nothing.
    Silent,
    DripsHeaders,
    DripsBody,
    /// Answers so.
    Answers(u16),
    Resets,
}

/// Starts one; returns the URL to send to.
pub async fn start(vice: Vice) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    if vice != Vice::Refuses {
        tokio::spawn(accept(listener, vice));
    }
    url(address)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/hook")
}

async fn accept(listener: TcpListener, vice: Vice) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, vice));
    }
}

async fn serve(mut stream: TcpStream, vice: Vice) {
    let mut request = [0; 4096];
    if stream.read(&mut request).await.is_err() {
        return;
    }
    match vice {
        Vice::Refuses => {}
        Vice::Silent => while stream.read(&mut request).await.is_ok_and(|n| n > 0) {},
        Vice::DripsHeaders => drip(&mut stream, "HTTP/1.1 200 OK\r\nx-head: ").await,
        Vice::DripsBody => {
            drip(
                &mut stream,
                "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n",
            )
            .await;
        }
        Vice::Answers(status) => {
            let answer =
                format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            // The sender may have given up; that is its business.
            stream.write_all(answer.as_bytes()).await.ok();
        }
        Vice::Resets => stream.set_zero_linger().expect("Linux has it"),
    }
}

async fn drip(stream: &mut TcpStream, beginning: &str) {
    let mut next = stream.write_all(beginning.as_bytes()).await;
    while next.is_ok() {
        tokio::time::sleep(DRIP_PAUSE).await;
        next = stream.write_all(b"x").await;
    }
}
