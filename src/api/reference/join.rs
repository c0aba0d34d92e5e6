//! How parts are put together: objects into objects, nothing twice.

use serde_json::Value;

use super::{Object, PartError};

/// The object at a path of keys; made where there is none yet.
pub fn at<'a>(object: &'a mut Object, path: &[&str]) -> Result<&'a mut Object, PartError> {
    let mut found = object;
    for key in path {
        let next = found
            .entry(*key)
            .or_insert_with(|| Value::Object(Object::new()));
        found = next
            .as_object_mut()
            .ok_or_else(|| PartError::NoObject(path.join("/")))?;
    }
    Ok(found)
}

/// Takes an object out of a part.
pub fn take(part: &mut Object, key: &str) -> Result<Object, PartError> {
    match part.shift_remove(key) {
        Some(Value::Object(object)) => Ok(object),
        None => Ok(Object::new()),
        Some(_) => Err(PartError::NoObject(key.to_owned())),
    }
}

/// Adds what must not be there yet.
pub fn into(document: &mut Object, path: &[&str], more: Object) -> Result<(), PartError> {
    let target = at(document, path)?;
    for (key, value) in more {
        if target.insert(key.clone(), value).is_some() {
            return Err(PartError::Twice(key));
        }
    }
    Ok(())
}

/// The program's version becomes the document's.
pub fn version(document: &mut Object) -> Result<(), PartError> {
    let version = Value::from(env!("CARGO_PKG_VERSION"));
    at(document, &["info"])?.insert("version".to_owned(), version);
    Ok(())
}

/// Makes one text of each description that is written as a list of paragraphs.
pub fn paragraphs(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let text = field.as_array().filter(|_| key == "description");
                let lines: Option<Vec<&str>> =
                    text.and_then(|list| list.iter().map(Value::as_str).collect());
                match lines {
                    Some(lines) => *field = Value::from(lines.join("\n\n")),
                    None => paragraphs(field),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(paragraphs),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Object {
        match value {
            Value::Object(object) => object,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn nothing_is_described_twice() {
        let mut document = object(json!({"paths": {"/a": {}}}));
        into(&mut document, &["paths"], object(json!({"/b": 1}))).expect("new");
        let again = into(&mut document, &["paths"], object(json!({"/a": 1})));
        assert!(matches!(again, Err(PartError::Twice(key)) if key == "/a"));
        assert!(at(&mut document, &["paths", "/b", "get"]).is_err());
    }

    #[test]
    fn lists_of_paragraphs_become_texts_and_other_lists_stay() {
        let mut value = json!({"description": ["a", "b"], "properties": {"description": {"description": "c"}},
            "enum": ["a", "b"], "allOf": [{"description": ["d"]}]});
        paragraphs(&mut value);
        let expected = json!({"description": "a\n\nb", "properties": {"description": {"description": "c"}},
            "enum": ["a", "b"], "allOf": [{"description": "d"}]});
        assert_eq!(value, expected);
    }
}
