//! The socket's document: its own part, and the schemas that it shares with the HTTP API.

use serde_json::Value;

use super::{Object, PartError, join};

const SCHEMAS: &str = "#/components/schemas/";

/// Adds to the part every schema of the OpenAPI document that it refers to.
pub fn document(mut part: Object, openapi: &Object) -> Result<Object, PartError> {
    join::version(&mut part)?;
    let shared = openapi.get("components");
    let shared = shared.and_then(|components| components.get("schemas")?.as_object());
    let shared = shared.ok_or_else(|| PartError::NoObject("components/schemas".to_owned()))?;
    let mut wanted = Vec::new();
    references(&Value::Object(part.clone()), &mut wanted);
    while let Some(name) = wanted.pop() {
        let schemas = join::at(&mut part, &["components", "schemas"])?;
        if schemas.contains_key(&name) {
            continue;
        }
        let schema = shared.get(&name);
        let schema = schema.ok_or_else(|| PartError::Unknown(format!("the schema {name}")))?;
        references(schema, &mut wanted);
        schemas.insert(name, schema.clone());
    }
    Ok(part)
}

/// The names of the schemas that a value refers to.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|text| text.strip_prefix(SCHEMAS));
            found.extend(name.map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
