//! A webhook receiver whose answers the test decides.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use serde_json::Value;
use warp::Filter;
use warp::http::{HeaderMap, StatusCode};

/// Signs the tests' webhooks.
pub const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[derive(Debug, Clone)]
pub struct Received {
    pub at: SystemTime,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    }
}

#[derive(Clone, Default)]
pub struct Receiver {
    received: Arc<Mutex<Vec<Received>>>,
    /// Statuses for the next webhooks; 200 when there is none.
    answers: Arc<Mutex<VecDeque<u16>>>,
    /// Webhooks to refuse, of those that come for the first time: none is refused twice.
    refusals: Arc<AtomicUsize>,
    address: Option<SocketAddr>,
}

impl Receiver {
    pub async fn start() -> Self {
        let mut receiver = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        receiver.address = Some(listener.local_addr().expect("an address"));
        let this = receiver.clone();
        let route = warp::post()
            .and(warp::header::headers_cloned())
            .and(warp::body::bytes())
            .map(move |headers, body: bytes::Bytes| this.take(headers, body.to_vec()));
        tokio::spawn(warp::serve(route).incoming(listener).run());
        receiver
    }

    fn take(&self, headers: HeaderMap, body: Vec<u8>) -> impl warp::Reply + use<> {
        let webhook = Received {
            at: SystemTime::now(),
            headers,
            body,
        };
        let told = self.answers.lock().expect("a lock").pop_front();
        let status = told.unwrap_or_else(|| if self.refuses(&webhook) { 500 } else { 200 });
        self.received.lock().expect("a lock").push(webhook);
        warp::reply::with_status("", StatusCode::from_u16(status).expect("a status"))
    }

    fn refuses(&self, webhook: &Received) -> bool {
        if self.refusals.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let received = self.received.lock().expect("a lock");
        let id = webhook.header("webhook-id");
        !received.iter().any(|r| r.header("webhook-id") == id)
            && self
                .refusals
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok()
    }

    /// Answers one webhook that it has not seen before with 500.
    pub fn refuse_a_new_one(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?token=abc", self.address.expect("started"))
    }

    pub fn answer_next(&self, statuses: impl IntoIterator<Item = u16>) {
        self.answers.lock().expect("a lock").extend(statuses);
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("a lock").clone()
    }

    /// Waits for the first webhook of this type.
    pub async fn wait_for(&self, kind: &str) -> Received {
        super::eventually(&format!("a {kind} webhook arrives"), async || {
            self.received().into_iter().find(|r| r.kind() == kind)
        })
        .await
    }
}
