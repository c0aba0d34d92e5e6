//! API keys against the real program: what each scope opens, what a revoke ends at once, what a restart keeps, and the
//! `keys` command with and without a running hub.

#[path = "keys/command.rs"]
mod command;
#[path = "keys/life.rs"]
mod life;
#[path = "keys/rights.rs"]
mod rights;
mod support;

use serde_json::{Value, json};
use support::{Answer, client, send};

/// A key, as the answer to its making shows it.
#[derive(Clone)]
pub struct Key {
    pub id: String,
    pub text: String,
}

impl Key {
    /// What must never be seen again.
    pub fn secret(&self) -> &str {
        self.text.rsplit('_').next().expect("a secret")
    }
}

/// A request with a credential or without, and a JSON body where the method takes one.
pub async fn ask(
    credential: Option<&str>,
    method: &str,
    url: &str,
    body: &Value,
) -> reqwest::Response {
    let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = client().request(method.clone(), url);
    if let Some(credential) = credential {
        request = request.bearer_auth(credential);
    }
    if method == "POST" || method == "PATCH" {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    request.send().await.expect("an answer")
}

pub async fn get_as(credential: &str, url: &str) -> Answer {
    send(client().get(url).bearer_auth(credential)).await
}

/// Makes a key over HTTP.
pub async fn make(hub: &str, by: Option<&str>, scope: &str) -> Key {
    let body = json!({"name": format!("the {scope} key"), "scope": scope});
    let made = ask(by, "POST", &format!("{hub}/v1/keys"), &body).await;
    assert_eq!(made.status(), 201);
    let made: Value = serde_json::from_slice(&made.bytes().await.expect("a body")).expect("JSON");
    let text = |field: &str| made[field].as_str().expect("text").to_owned();
    Key {
        id: text("id"),
        text: text("key"),
    }
}

pub async fn revoke(hub: &str, by: &Key, key: &Key) -> u16 {
    let url = format!("{hub}/v1/keys/{}", key.id);
    let answer = ask(Some(&by.text), "DELETE", &url, &Value::Null).await;
    answer.status().as_u16()
}
