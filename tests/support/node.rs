//! A TRON node whose every answer the test decides: written from the recorded shapes, not from the sandbox.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use warp::Filter;
use warp::http::StatusCode;

const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const USDT: &str = "a614f803b6fd780986a42c78ec9c7f77e6ded13c";

/// One block, as the node answers it.
#[derive(Debug, Clone)]
pub struct NodeBlock {
    pub header: Value,
    pub infos: Vec<Value>,
}

#[derive(Default, Clone)]
pub struct Chain {
    pub blocks: Vec<NodeBlock>,
    pub solid: usize,
    /// Paths asked for, in order.
    pub asked: Vec<String>,
    /// Answers everything with this while it is set.
    pub down: Option<(u16, String)>,
    /// Slots that nobody used before the next block.
    pub skipped_slots: u64,
    /// Answers with these, instead of the truth, by path.
    pub lies: Vec<(String, u16, String)>,
}

#[derive(Clone, Default)]
pub struct Node {
    pub chain: Arc<Mutex<Chain>>,
    address: Option<SocketAddr>,
}

pub const FIRST_HEIGHT: u64 = 66_987_565;

impl Node {
    /// A chain of one block.
    pub async fn start() -> Self {
        let node = Self::default();
        node.add_block(0, vec![]);
        node.listen().await
    }

    /// Another node of the same chain, which goes its own way from here.
    pub async fn copy(&self) -> Self {
        let chain = self.chain.lock().expect("a lock").clone();
        let copy = Self {
            chain: Arc::new(Mutex::new(Chain {
                asked: Vec::new(),
                ..chain
            })),
            address: None,
        };
        copy.listen().await
    }

    async fn listen(self) -> Self {
        let mut node = self;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        node.address = Some(listener.local_addr().expect("an address"));
        let this = node.clone();
        let route = warp::path::full().and(warp::body::bytes()).map(
            move |path: warp::path::FullPath, body: bytes::Bytes| {
                let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let (status, text) = this.answer(path.as_str(), &body);
                let reply = warp::reply::with_header(text, "content-type", "application/json");
                warp::reply::with_status(reply, StatusCode::from_u16(status).expect("a status"))
            },
        );
        tokio::spawn(warp::serve(route).incoming(listener).run());
        node
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address.expect("started"))
    }

    fn answer(&self, path: &str, body: &Value) -> (u16, String) {
        let mut chain = self.chain.lock().expect("a lock");
        chain.asked.push(path.to_owned());
        if let Some(answer) = &chain.down {
            return answer.clone();
        }
        if let Some(at) = chain.lies.iter().position(|(p, _, _)| p == path) {
            let (_, status, text) = chain.lies.remove(at);
            return (status, text);
        }
        let answer = match path {
            "/wallet/getblock" | "/walletsolidity/getblock" => chain.block(path, body),
            "/wallet/getblockbynum" => chain
                .at(body["num"].as_u64())
                .map_or(json!({}), NodeBlock::full),
            "/wallet/gettransactioninfobyblocknum" => chain
                .at(body["num"].as_u64())
                .map_or(json!([]), |b| Value::Array(b.infos.clone())),
            _ => return (404, r#"{"Error":"no such path"}"#.to_owned()),
        };
        (200, answer.to_string())
    }

    /// Adds a block on top; `branch` makes its hash its own.
    pub fn add_block(&self, branch: u8, infos: Vec<Value>) {
        let mut chain = self.chain.lock().expect("a lock");
        let height = FIRST_HEIGHT + chain.blocks.len() as u64;
        let skipped_slots = std::mem::take(&mut chain.skipped_slots);
        let parent = chain.blocks.last().map_or_else(
            || "00".repeat(32),
            |b| b.header["blockID"].as_str().expect("an id").to_owned(),
        );
        let time = chain
            .blocks
            .last()
            .map_or_else(start_time, |b| b.time() + 3000 * (1 + u64::from(branch)))
            + 3000 * skipped_slots;
        let infos: Vec<Value> = infos
            .into_iter()
            .map(|mut info| {
                info["blockNumber"] = json!(height);
                info["blockTimeStamp"] = json!(time);
                info
            })
            .collect();
        let root = if infos.is_empty() {
            "00".repeat(32)
        } else {
            "fa".repeat(32)
        };
        let header = json!({
            "blockID": format!("{height:016x}{:02x}{}", branch, "52".repeat(23)),
            "block_header": {
                "raw_data": {
                    "number": height, "txTrieRoot": root, "witness_address": "41b2f713d5b0c1a4e3f7c5d9e2b1a0f9e8d7c6b5a4",
                    "parentHash": parent, "version": 34, "timestamp": time,
                },
                "witness_signature": "5b3c".repeat(32),
            },
        });
        chain.blocks.push(NodeBlock { header, infos });
    }

    /// Takes the newest blocks away.
    pub fn drop_blocks(&self, count: usize) {
        let mut chain = self.chain.lock().expect("a lock");
        let left = chain.blocks.len() - count;
        chain.blocks.truncate(left);
    }

    /// Makes everything up to `back` blocks behind the head final.
    pub fn finalize(&self, back: usize) {
        let mut chain = self.chain.lock().expect("a lock");
        chain.solid = chain.blocks.len() - 1 - back;
    }

    /// From now on every answer is this.
    pub fn go_down(&self, status: u16, text: &str) {
        self.chain.lock().expect("a lock").down = Some((status, text.to_owned()));
    }

    pub fn come_up(&self) {
        self.chain.lock().expect("a lock").down = None;
    }

    /// Nobody produces a block in the next slots.
    pub fn skip_slots(&self, slots: u64) {
        self.chain.lock().expect("a lock").skipped_slots = slots;
    }

    /// The next answer on this path is not the truth.
    pub fn lie(&self, path: &str, status: u16, text: &str) {
        self.chain
            .lock()
            .expect("a lock")
            .lies
            .push((path.to_owned(), status, text.to_owned()));
    }

    /// How many of the lies were not told yet.
    pub fn lies_left(&self) -> usize {
        self.chain.lock().expect("a lock").lies.len()
    }

    pub fn asked(&self, path: &str) -> usize {
        self.chain
            .lock()
            .expect("a lock")
            .asked
            .iter()
            .filter(|p| *p == path)
            .count()
    }

    pub fn all_asked(&self) -> usize {
        self.chain.lock().expect("a lock").asked.len()
    }

    pub fn head(&self) -> u64 {
        FIRST_HEIGHT + self.chain.lock().expect("a lock").blocks.len() as u64 - 1
    }
}

fn start_time() -> u64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    u64::try_from(now.as_millis()).expect("fits") / 3000 * 3000
}

impl Chain {
    fn at(&self, height: Option<u64>) -> Option<&NodeBlock> {
        self.blocks
            .get(usize::try_from(height?.checked_sub(FIRST_HEIGHT)?).ok()?)
    }

    fn block(&self, path: &str, body: &Value) -> Value {
        let newest = if path.starts_with("/walletsolidity") {
            self.solid
        } else {
            self.blocks.len() - 1
        };
        let block = match body["id_or_num"].as_str() {
            Some(text) => self.at(text.parse().ok()),
            None => self.blocks.get(newest),
        };
        block.map_or(json!({}), |b| b.header.clone())
    }
}

impl NodeBlock {
    fn time(&self) -> u64 {
        self.header["block_header"]["raw_data"]["timestamp"]
            .as_u64()
            .expect("a time")
    }

    fn full(&self) -> Value {
        let mut block = self.header.clone();
        if !self.infos.is_empty() {
            let transactions = self
                .infos
                .iter()
                .map(|i| json!({"txID": i["id"], "ret": [{"contractRet": "SUCCESS"}]}));
            block["transactions"] = transactions.collect();
        }
        block
    }
}

/// A transaction with these USDT transfers: receiver (base58) and base units.
pub fn transaction(txid: u8, transfers: &[(&str, u64)]) -> Value {
    let log: Vec<Value> = transfers
        .iter()
        .map(|(to, units)| {
            let to = paybell::domain::address::Address::from_tron(to).expect("an address");
            json!({
                "address": USDT,
                "topics": [
                    TRANSFER,
                    format!("{:0>64}", "7e5f4552091a69125d5dfcb7b8c2659029395bdf"),
                    format!("{:0>64}", hex::encode(to.as_bytes())),
                ],
                "data": format!("{units:064x}"),
            })
        })
        .collect();
    json!({
        "id": format!("{txid:02x}").repeat(32), "fee": 5_254_500, "contractResult": [""],
        "contract_address": "41a614f803b6fd780986a42c78ec9c7f77e6ded13c",
        "receipt": {"energy_usage_total": 64_285, "energy_fee": 4_458_500, "net_fee": 796_000, "result": "SUCCESS"},
        "log": log,
    })
}
