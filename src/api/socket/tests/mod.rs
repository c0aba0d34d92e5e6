//! Sockets tried as clients see them: a real server on a loopback port, a real WebSocket client, a store in memory.

#![allow(clippy::unwrap_used)]

mod closing;
mod contract;
mod delivery;
mod documented;
mod handover;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::handshake::Origins;
use super::route;
use crate::api::keyring::Keyring;
use crate::api::live::{LiveContext, LiveLimits, Seats};
use crate::api::token::ClientTokens;
use crate::clock::Clock;
use crate::domain::api_key::{ApiKey, KeyId, KeyScope, KeySecret, PresentedKey};
use crate::domain::api_keys::ApiKeys;
use crate::domain::ids::{PaymentId, UnixMs};
use crate::hub::Hub;
use crate::hub::tests::payment;
use crate::store::Store as _;
use store::{EPOCH, MemoryStore};

/// Nothing in these tests takes this long; it only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);

const NOW: UnixMs = UnixMs(1_000_000);

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> UnixMs {
        NOW
    }
}

/// The key that is right where one is needed.
fn good_key() -> PresentedKey {
    PresentedKey {
        id: KeyId(7),
        secret: KeySecret::of_random([7; 32]),
    }
}

struct Harness {
    hub: Arc<Hub>,
    store: Arc<MemoryStore>,
    tokens: ClientTokens,
    seats: Arc<Seats>,
    shutdown: watch::Sender<bool>,
    keys_changed: watch::Sender<()>,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Harness {
    async fn open() -> Self {
        Self::start(LiveLimits::default()).await
    }

    async fn with_keys() -> Self {
        let it = Self::open().await;
        it.put_key(None);
        it
    }

    async fn limited(limits: LiveLimits) -> Self {
        Self::start(limits).await
    }

    /// Payments 1 to 20 exist.
    async fn start(limits: LiveLimits) -> Self {
        let store = Arc::new(MemoryStore::new());
        for n in 1..=20 {
            store.add_payment(payment(n));
        }
        let hub = Hub::new(EPOCH);
        let tokens = ClientTokens::new(store.identity().token_secret);
        let seats = Arc::new(Seats::default());
        let (shutdown, signal) = watch::channel(false);
        let (keys_changed, changes) = watch::channel(());
        let keyring = Keyring::new(Arc::clone(&store) as _, Arc::new(FixedClock));
        let context = Arc::new(LiveContext {
            hub: Arc::clone(&hub),
            store: Arc::clone(&store) as _,
            keyring: keyring.joined(Arc::default(), changes),
            clock: Arc::new(FixedClock),
            snapshot: Arc::new(|p| Bytes::from(format!(r#"{{"payment_id":"{}"}}"#, p.id))),
            origins: Origins::default(),
            limits,
            seats: Arc::clone(&seats),
            shutdown: signal,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(warp::serve(route(context)).incoming(listener).run());
        Self {
            hub,
            store,
            tokens,
            seats,
            shutdown,
            keys_changed,
            address,
            server,
        }
    }

    /// Makes the key, or revokes it, and tells of it.
    fn put_key(&self, revoked_at: Option<UnixMs>) {
        let key = good_key();
        let keys = ApiKeys::restore([ApiKey {
            id: key.id,
            name: "shop".to_owned(),
            scope: KeyScope::Read,
            digest: key.secret.digest(),
            created_at: NOW,
            last_used_at: None,
            revoked_at,
        }]);
        *self.store.keys.lock().unwrap() = Arc::new(keys);
        self.keys_changed.send_replace(());
    }

    /// Commits an event and announces it.
    fn happen(&self, payment: Option<PaymentId>) -> u64 {
        let row = self.store.append(payment);
        self.hub.publish(&row);
        row.sequence.0
    }

    async fn handshake(&self, origin: Option<&str>) -> Result<Client, Error> {
        let mut request = format!("ws://{}/ws", self.address).into_client_request()?;
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse()?);
        }
        let stream = TcpStream::connect(self.address).await?;
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Client { socket })
    }

    async fn client(&self) -> Client {
        self.handshake(None).await.unwrap()
    }

    /// A client that has connected with this token.
    async fn connected(&self, token: Option<&str>) -> Client {
        let mut client = self.client().await;
        let body = token.map_or_else(|| json!({}), |t| json!({"token": t}));
        client.say(json!({"id": 1, "connect": body})).await;
        let reply = client.hear().await;
        assert_eq!(
            reply,
            json!({"id": 1, "connect": {"ping": 25, "version": "v1"}})
        );
        client
    }

    /// Sends an HTTP/1.1 request as it stands and returns the answer's beginning.
    async fn raw(&self, request: &str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn until_sockets_are(&self, count: u64) {
        eventually(|| self.seats.sockets() == count).await;
    }
}

async fn eventually(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the condition comes true");
}

struct Client {
    socket: WebSocketStream<TcpStream>,
}

/// How a socket ended: the frames that came before, and the close code, if one came.
#[derive(Debug)]
struct End {
    frames: Vec<Value>,
    code: Option<u16>,
}

impl Client {
    async fn say(&mut self, frame: Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    async fn next(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(PATIENCE, self.socket.next())
            .await
            .expect("the server says something")
    }

    /// The next text frame, read as JSON.
    async fn hear(&mut self) -> Value {
        match self.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("not a text frame: {other:?}"),
        }
    }

    /// Subscribes and returns what the reply carries.
    async fn subscribe(&mut self, channel: &str) -> Value {
        self.ask(json!({"id": 2, "subscribe": {"channel": channel}}))
            .await
    }

    async fn resume(&mut self, channel: &str, epoch: &str, seq: u64) -> Value {
        let since = json!({"epoch": epoch, "seq": seq});
        self.ask(json!({"id": 2, "subscribe": {"channel": channel, "since": since}}))
            .await
    }

    async fn ask(&mut self, command: Value) -> Value {
        self.say(command).await;
        self.hear().await
    }

    /// The sequence number of the next push.
    async fn pushed(&mut self) -> u64 {
        let push = self.hear().await;
        push["push"]["seq"].as_u64().expect("an event")
    }

    /// Reads to the end.
    async fn end(mut self) -> End {
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Some(Ok(Message::Text(text))) => frames.push(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map(|f| f.code.into());
                    return End { frames, code };
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return End { frames, code: None },
            }
        }
    }
}

fn channel(n: u128) -> String {
    format!("payment:{}", payment(n))
}

fn error_code(reply: &Value) -> &str {
    reply["error"]["code"].as_str().expect("an error")
}
