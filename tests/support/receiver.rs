//! A webhook receiver whose answers the test decides.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use warp::Filter;
use warp::http::{HeaderMap, StatusCode};

/// Signs the tests' webhooks.
pub const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[derive(Debug, Clone)]
pub struct Received {
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
        self.received
            .lock()
            .expect("a lock")
            .push(Received { headers, body });
        let status = self
            .answers
            .lock()
            .expect("a lock")
            .pop_front()
            .unwrap_or(200);
        warp::reply::with_status("", StatusCode::from_u16(status).expect("a status"))
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
