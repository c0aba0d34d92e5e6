//! The `webhooks` of the document: one for each type of event, all with the headers of Standard Webhooks.

use serde_json::{Value, json};

use super::{Object, PartError, join};

/// Each type of event as the request that a receiver gets.
pub fn operations(mut part: Object) -> Result<Object, PartError> {
    let (about, parameters, responses) = (
        part.shift_remove("about").unwrap_or_default(),
        part.shift_remove("parameters").unwrap_or_default(),
        part.shift_remove("responses").unwrap_or_default(),
    );
    let mut hooks = Object::new();
    for (kind, event) in join::take(&mut part, "events")? {
        let Value::Object(mut event) = event else {
            return Err(PartError::NoObject(kind));
        };
        let mut paragraphs: Vec<Value> = event.shift_remove("description").into_iter().collect();
        paragraphs.extend(about.as_array().into_iter().flatten().cloned());
        let schema = json!({
            "allOf": [{"$ref": "#/components/schemas/Event"}],
            "properties": {"type": {"const": kind}},
        });
        let operation = json!({
            "operationId": format!("on_{}", kind.replace('.', "_")),
            "tags": ["Webhooks"],
            "summary": event.shift_remove("summary"),
            "description": paragraphs,
            "security": [],
            "parameters": parameters,
            "requestBody": {
                "required": true,
                "content": {"application/json": {"schema": schema, "example": event.shift_remove("example")}},
            },
            "responses": responses,
        });
        hooks.insert(kind, json!({"post": operation}));
    }
    Ok(hooks)
}
