//! Operations written out: who may do them, and every error that they can end with.

use serde_json::{Value, json};

use super::problems::Catalogue;
use super::{Object, PartError, join};
use crate::api::body::MAX_BODY_BYTES;

/// What every request that is no page's can be told.
const ANY: [&str; 6] = [
    "invalid_token",
    "forbidden",
    "foreign_host",
    "internal_error",
    "store_unavailable",
    "overloaded",
];
/// The same for requests that change something: each may bring a body.
const CHANGING: [&str; 4] = [
    "foreign_origin",
    "body_unreadable",
    "request_timeout",
    "body_too_large",
];
/// The same for those whose body is read.
const READING: [&str; 3] = ["invalid_json", "invalid_request", "unsupported_media_type"];

/// Who may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// A file that is served to all.
    Page,
    Nobody,
    /// A payer too, for the own payment.
    Payer,
    Scope(&'static str),
}

/// Writes out the operations of all paths.
pub fn complete(paths: &mut Object, catalogue: &mut Catalogue) -> Result<(), PartError> {
    for (path, item) in paths {
        let item = item.as_object_mut();
        let item = item.ok_or_else(|| PartError::NoObject(path.clone()))?;
        for (method, operation) in item {
            let place = || format!("{method} {path}");
            let operation = operation.as_object_mut();
            let operation = operation.ok_or_else(|| PartError::NoObject(place()))?;
            let need = Need::take(operation).ok_or_else(|| PartError::Unknown(place()))?;
            need.describe(operation);
            limit_body(operation)?;
            let codes = codes(method, need, operation);
            answers(operation, catalogue, &codes)?;
        }
    }
    Ok(())
}

impl Need {
    fn take(operation: &mut Object) -> Option<Self> {
        Some(match operation.shift_remove("needs")?.as_str()? {
            "page" => Self::Page,
            "nobody" => Self::Nobody,
            "payer" => Self::Payer,
            "read" => Self::Scope("read"),
            "write" => Self::Scope("write"),
            "admin" => Self::Scope("admin"),
            _ => return None,
        })
    }

    fn describe(self, operation: &mut Object) {
        let security = match self {
            Self::Page | Self::Nobody => json!([]),
            Self::Payer => json!([{"apiKey": ["read"]}, {"clientToken": []}]),
            Self::Scope(scope) => json!([{"apiKey": [scope]}]),
        };
        operation.insert("security".to_owned(), security);
    }
}

fn limit_body(operation: &mut Object) -> Result<(), PartError> {
    if operation.contains_key("requestBody") {
        let limit = Value::from(MAX_BODY_BYTES);
        join::at(operation, &["requestBody"])?.insert("x-max-bytes".to_owned(), limit);
    }
    Ok(())
}

/// The codes of an operation's errors: its own first, then those that many have.
fn codes(method: &str, need: Need, operation: &mut Object) -> Vec<String> {
    let own = operation.shift_remove("errors").unwrap_or_default();
    let own = own.as_array().into_iter().flatten();
    let mut codes: Vec<String> = own.filter_map(Value::as_str).map(str::to_owned).collect();
    let mut add = |more: &[&str]| codes.extend(more.iter().map(|code| (*code).to_owned()));
    if need == Need::Page {
        add(&["foreign_host"]);
        return codes;
    }
    if operation.contains_key("requestBody") {
        add(&READING);
    }
    if method != "get" {
        add(&CHANGING);
    }
    add(&ANY);
    codes
}

/// Adds the errors to the answers, the lowest status first.
fn answers(
    operation: &mut Object,
    catalogue: &mut Catalogue,
    codes: &[String],
) -> Result<(), PartError> {
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    let responses = join::at(operation, &["responses"])?;
    for (status, reference) in catalogue.responses_of(&codes)? {
        match responses.get_mut(&status.to_string()) {
            // An answer of its own under the same status (an unhealthy hub's): the error is another kind of content.
            Some(own) => add_error_content(own),
            None => {
                responses.insert(status.to_string(), reference);
            }
        }
    }
    Ok(())
}

fn add_error_content(response: &mut Value) {
    if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) {
        let schema = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
        content.insert("application/problem+json".to_owned(), schema);
    }
}
