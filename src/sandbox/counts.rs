//! How often each path was asked, so that a follower's frugality can be tested.
//!
//! Refuses to grow without bound: identifiers in paths are folded, and unknown paths count together.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Distinct paths and methods counted; what comes later counts as `other`.
const MAX_KEYS: usize = 200;
const MAX_KEY_CHARS: usize = 100;
const OTHER: &str = "other";

#[derive(Debug, Default)]
pub struct Counts {
    paths: BTreeMap<String, u64>,
    methods: BTreeMap<String, u64>,
    total: u64,
}

impl Counts {
    pub fn request(&mut self, path: &str) {
        self.total += 1;
        bump(&mut self.paths, &fold(path));
    }

    /// A JSON-RPC call; a batch makes several out of one request.
    pub fn method(&mut self, name: &str) {
        bump(&mut self.methods, name);
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn to_json(&self) -> Value {
        json!({"total": self.total, "paths": self.paths, "jsonrpc": self.methods})
    }
}

fn bump(counts: &mut BTreeMap<String, u64>, key: &str) {
    let known = counts.contains_key(key);
    let fits = counts.len() < MAX_KEYS && key.len() <= MAX_KEY_CHARS;
    let key = if known || fits { key } else { OTHER };
    *counts.entry(key.to_owned()).or_default() += 1;
}

/// `/v1/accounts/T.../transactions/trc20` and all its siblings are one path.
fn fold(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    if parts.get(1) == Some(&"v1")
        && let Some(id) = parts.get_mut(3)
    {
        *id = "{}";
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_folded_and_strangers_counted_together() {
        let mut counts = Counts::default();
        counts.request("/v1/accounts/TA/transactions/trc20");
        counts.request("/v1/accounts/TB/transactions/trc20");
        for n in 0..1000 {
            counts.request(&format!("/scan/{n}"));
        }
        counts.request(&"/x".repeat(500));
        counts.method("eth_getLogs");
        let shown = counts.to_json();
        assert_eq!(shown["paths"]["/v1/accounts/{}/transactions/trc20"], 2);
        assert_eq!(shown["total"], 1003);
        assert_eq!(shown["jsonrpc"]["eth_getLogs"], 1);
        assert!(shown["paths"].as_object().expect("an object").len() <= MAX_KEYS + 1);
    }
}
