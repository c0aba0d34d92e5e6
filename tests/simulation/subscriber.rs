//! A client of `/ws` that listens to all payments through the real session, loses its connection now and then, and
//! resumes: it must hear every event once, in order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use futures::{SinkExt, StreamExt};
use paybell::api::live::LiveContext;
use paybell::api::socket;
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::journal::tell;
use crate::witness::Witness;

/// Bytes in each direction between the client and the hub.
const PIPE_BYTES: usize = 64 * 1024;
const RECONNECT: Duration = Duration::from_millis(700);

#[derive(Debug, Default, Clone)]
struct Told {
    epoch: Option<String>,
    sequence: u64,
}

pub struct Subscriber {
    witness: Arc<Witness>,
    told: Mutex<Told>,
}

impl Subscriber {
    pub fn new(witness: Arc<Witness>) -> Arc<Self> {
        Arc::new(Self {
            witness,
            told: Mutex::default(),
        })
    }

    pub fn sequence(&self) -> u64 {
        self.told.lock().unwrap().sequence
    }

    /// Listens for the length of a life.
    pub async fn run(self: Arc<Self>, context: Arc<LiveContext>, mut rng: Rng) {
        for number in 0.. {
            let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
            tokio::spawn(socket::talk(Arc::clone(&context), theirs, number));
            let patience = Duration::from_millis(rng.u64(5_000..120_000));
            if tokio::time::timeout(patience, self.listen(ours))
                .await
                .is_err()
            {
                tell!(self.witness.journal, "  client: hangs up");
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }

    async fn listen(&self, stream: DuplexStream) {
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        let told = self.told.lock().unwrap().clone();
        let mut subscribe = json!({"id": 2, "subscribe": {"channel": "payments"}});
        if let Some(epoch) = told.epoch {
            subscribe["subscribe"]["since"] = json!({"epoch": epoch, "seq": told.sequence});
        }
        for command in [json!({"id": 1, "connect": {}}), subscribe] {
            if socket
                .send(Message::text(command.to_string()))
                .await
                .is_err()
            {
                return;
            }
        }
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            if frame == json!({}) {
                if socket.send(Message::text("{}")).await.is_err() {
                    return;
                }
                continue;
            }
            if self.hear(&frame).is_none() {
                return;
            }
        }
    }

    /// `None` when it must connect anew.
    fn hear(&self, frame: &Value) -> Option<()> {
        if let Some(reply) = frame.get("subscribe") {
            self.begin(reply);
        } else if let Some(push) = frame.get("push") {
            self.take(&push["event"], push["seq"].as_u64()?);
        } else if let Some(error) = frame.get("error") {
            tell!(self.witness.journal, "  client: refused: {error}");
            return None;
        }
        Some(())
    }

    fn begin(&self, reply: &Value) {
        let journal = &self.witness.journal;
        let newest = reply["seq"].as_u64().expect("a number");
        if reply["recovered"] == true {
            for event in reply["events"].as_array().expect("events") {
                self.take(event, event["sequence"].as_u64().expect("a number"));
            }
            journal.saw("a socket resumed");
            let told = self.sequence();
            journal.check(6, told == newest, || {
                format!("a socket resumed up to {newest} and was told up to {told}")
            });
        } else {
            let before = self.told.lock().unwrap().clone();
            // Whether the log still held what it missed is looked at when the janitor's work is known.
            if before.epoch.is_some() {
                self.witness.books().unresumed.push(before.sequence);
            }
        }
        let mut told = self.told.lock().unwrap();
        told.epoch = reply["epoch"].as_str().map(str::to_owned);
        told.sequence = newest;
    }

    fn take(&self, event: &Value, number: u64) {
        let journal = &self.witness.journal;
        let mut told = self.told.lock().unwrap();
        journal.check(6, number == told.sequence + 1, || {
            format!("a socket hears event {number} after {}", told.sequence)
        });
        told.sequence = number;
        let books = self.witness.books();
        let durable = books
            .events
            .get(&number)
            .is_some_and(|row| event["id"] == row.id.to_string().as_str());
        journal.check(5, durable, || {
            format!("a socket hears event {number}, which is not on disk")
        });
    }
}
