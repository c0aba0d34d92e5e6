//! Holds the documents against the code: a route, an error, an event, a field, a word or a limit that one of them has
//! and the other has not fails here. `router/documented_tests.rs` does the same for paths and methods.

mod objects;
mod requests;
mod schemas;
mod text;
mod wire_objects;
mod words;

use std::sync::LazyLock;

use serde_json::Value;

use super::Documents;
pub use schemas::Checker;

static DOCUMENTS: LazyLock<Documents> =
    LazyLock::new(|| Documents::assemble().expect("parts that fit"));

/// The OpenAPI document.
pub fn openapi() -> &'static Value {
    &DOCUMENTS.openapi
}

/// The AsyncAPI document.
pub fn asyncapi() -> &'static Value {
    &DOCUMENTS.asyncapi
}

/// What stands at a JSON pointer of the document.
pub fn at(pointer: &str) -> &'static Value {
    openapi()
        .pointer(pointer)
        .unwrap_or_else(|| panic!("nothing at {pointer}"))
}

/// Every operation: its path, method and description.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = at("/paths").as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().expect("a path's methods");
        item.iter()
            .map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// Follows a reference, where there is one.
pub fn resolve(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => resolve(at(reference.trim_start_matches('#'))),
        None => value,
    }
}
