//! Errors in the document: each kind of `problem.rs` with its status, and a response for each set of codes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Object, PartError, join};
use crate::api::problem::Kind;

/// What the document says of errors.
pub struct Catalogue {
    schemas: Object,
    /// Code to what a client should do.
    advice: BTreeMap<String, String>,
    responses: Object,
}

impl Catalogue {
    pub fn read(mut part: Object) -> Result<Self, PartError> {
        let advice = join::take(&mut part, "codes")?.into_iter();
        let advice = advice.map(|(code, text)| match text {
            Value::String(text) if find(&code).is_some() => Ok((code, text)),
            _ => Err(PartError::Unknown(format!("the code {code}"))),
        });
        Ok(Self {
            schemas: join::take(&mut part, "schemas")?,
            advice: advice.collect::<Result<_, _>>()?,
            responses: Object::new(),
        })
    }

    /// The schemas of errors, and every code with its status.
    pub fn schemas(&self) -> Object {
        let mut schemas = self.schemas.clone();
        let codes = Kind::ALL.iter().map(|kind| {
            json!({
                "const": kind.code(),
                "title": kind.title(),
                "description": self.advice(*kind),
                "x-status": kind.status().as_u16(),
            })
        });
        let codes: Vec<Value> = codes.collect();
        let description = "What kind of error it is, for programs; part of the contract.";
        let schema = json!({"type": "string", "description": description, "oneOf": codes});
        schemas.insert("ProblemCode".to_owned(), schema);
        schemas
    }

    /// The responses of an operation's errors, by status: each refers to one that is shared.
    pub fn responses_of(&mut self, codes: &[&str]) -> Result<BTreeMap<u16, Value>, PartError> {
        let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
        for code in codes {
            let kind = find(code).ok_or_else(|| PartError::Unknown(format!("the code {code}")))?;
            let kinds = by_status.entry(kind.status().as_u16()).or_default();
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let shared = by_status.into_iter();
        Ok(shared
            .map(|(status, kinds)| {
                let name = kinds.iter().map(|kind| kind.code());
                let name = name.collect::<Vec<_>>().join(".");
                let reference = json!({"$ref": format!("#/components/responses/{name}")});
                let response = self.response(&kinds);
                self.responses.insert(name, response);
                (status, reference)
            })
            .collect())
    }

    pub fn into_responses(self) -> Object {
        self.responses
    }

    fn advice(&self, kind: Kind) -> &str {
        self.advice.get(kind.code()).map_or("", String::as_str)
    }

    fn response(&self, kinds: &[Kind]) -> Value {
        let lines = kinds
            .iter()
            .map(|kind| format!("- `{}`: {}", kind.code(), self.advice(*kind)));
        let description = lines.collect::<Vec<_>>().join("\n");
        let codes: Vec<&str> = kinds.iter().map(|kind| kind.code()).collect();
        let schema = json!({
            "allOf": [{"$ref": "#/components/schemas/Problem"}],
            "properties": {"code": {"enum": codes}},
        });
        let mut response = json!({
            "description": description,
            "content": {"application/problem+json": {"schema": schema}},
        });
        let headers: Object = kinds.iter().copied().filter_map(header).collect();
        if let Some(response) = response.as_object_mut().filter(|_| !headers.is_empty()) {
            response.insert("headers".to_owned(), Value::Object(headers));
        }
        response
    }
}

fn find(code: &str) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| kind.code() == code)
}

/// The header that an error of this kind comes with.
fn header(kind: Kind) -> Option<(String, Value)> {
    let (name, component) = match kind {
        Kind::InvalidToken => ("WWW-Authenticate", "WwwAuthenticate"),
        Kind::IdempotencyInFlight
        | Kind::TooManyStreams
        | Kind::TooManyWaiting
        | Kind::ShuttingDown => ("Retry-After", "RetryAfter"),
        _ => return None,
    };
    let reference = json!({"$ref": format!("#/components/headers/{component}")});
    Some((name.to_owned(), reference))
}
