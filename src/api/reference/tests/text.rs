//! The document in itself: references lead somewhere, names are unique, texts are there, examples are true.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Checker, asyncapi, at, openapi, operations, resolve};
use crate::api::problem::Kind;
use crate::api::testing::Hub;
use crate::domain::event::EventKind;

/// Calls with every object of a value and its JSON pointer.
fn walk(value: &Value, pointer: &str, look: &mut impl FnMut(&str, &Value)) {
    look(pointer, value);
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                walk(field, &format!("{pointer}/{}", escaped(key)), look);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                walk(item, &format!("{pointer}/{n}"), look);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn both_documents_are_served_to_every_page() {
    let hub = Hub::new();
    for (path, document) in [("/openapi.json", openapi()), ("/asyncapi.json", asyncapi())] {
        let answer = hub.get(path).await;
        assert_eq!((answer.status, &answer.json()), (200, document));
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let again = warp::test::request().path(path);
        let again = again.header("if-none-match", answer.header("etag"));
        assert_eq!(hub.send(again).await.status, 304);
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn references_lead_somewhere_and_every_component_is_referred_to() {
    for document in [openapi(), asyncapi()] {
        let mut used = BTreeSet::new();
        walk(document, "", &mut |place, value| {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let pointer = reference.trim_start_matches('#');
                assert!(document.pointer(pointer).is_some(), "{place}: {reference}");
                used.insert(pointer.to_owned());
            }
        });
        for kind in ["schemas", "parameters", "headers", "responses"] {
            let known = document["components"][kind].as_object();
            for name in known.into_iter().flat_map(|known| known.keys()) {
                let pointer = format!("/components/{kind}/{name}");
                // What streams carry is named in their texts: a stream has no schema in OpenAPI.
                let of_streams = name.starts_with("Stream") || name == "Progress";
                assert!(
                    used.contains(&pointer) || of_streams,
                    "nobody needs {pointer}"
                );
            }
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_a_topic_and_words() {
    let tags = at("/tags").as_array().expect("a list").iter();
    let tags: BTreeSet<&str> = tags.filter_map(|tag| tag["name"].as_str()).collect();
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations() {
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name), "{name} is there twice");
        assert!(operation["summary"].as_str().is_some_and(|s| s.len() > 3));
        let topic = operation["tags"][0].as_str().expect("a topic");
        assert!(tags.contains(topic), "{method} {path}: {topic}");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters: Vec<&Value> = parameters.map(resolve).collect();
        assert!(parameters.iter().all(|p| p["description"].is_string()));
        let in_path = parameters
            .iter()
            .any(|p| p["in"] == "path" && p["name"] == "id");
        assert_eq!(in_path, path.contains("{id}"), "{method} {path}");
        for (status, response) in operation["responses"].as_object().expect("answers") {
            let text = resolve(response)["description"].as_str();
            assert!(
                text.is_some_and(|text| text.len() > 3),
                "{method} {path} {status}"
            );
        }
    }
    walk(openapi(), "", &mut |place, value| {
        let link = value.get("operationId").and_then(Value::as_str);
        if let Some(target) = link.filter(|_| place.contains("/links/")) {
            assert!(names.contains(target), "{place} leads to {target}");
        }
    });
}

/// Each kind has its status and an advice; each is an answer of some operation, but for those that no operation has.
#[test]
fn every_kind_of_error_is_documented() {
    let codes = at("/components/schemas/ProblemCode/oneOf");
    let codes: Vec<_> = codes.as_array().expect("a list").iter().collect();
    assert_eq!(codes.len(), Kind::ALL.len());
    for (entry, kind) in codes.iter().zip(Kind::ALL) {
        assert_eq!(entry["const"], kind.code());
        assert_eq!(entry["x-status"], kind.status().as_u16());
        let advice = entry["description"].as_str().expect("an advice");
        assert!(advice.len() > 10, "{} has no advice", kind.code());
    }
    let mut answered: BTreeSet<&str> = BTreeSet::new();
    for (path, method, operation) in operations() {
        for (status, response) in operation["responses"].as_object().expect("answers") {
            let problem = &resolve(response)["content"]["application/problem+json"]["schema"];
            for code in problem["properties"]["code"]["enum"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let code = code.as_str().expect("a code");
                let kind = Kind::ALL
                    .iter()
                    .find(|kind| kind.code() == code)
                    .expect("a kind");
                assert_eq!(
                    *status,
                    kind.status().as_u16().to_string(),
                    "{method} {path}"
                );
                answered.insert(code);
            }
        }
    }
    let nowhere = Kind::ALL.iter().map(|kind| kind.code());
    let nowhere: Vec<&str> = nowhere.filter(|code| !answered.contains(code)).collect();
    // Of paths and methods that are not described.
    assert_eq!(nowhere, ["not_found", "method_not_allowed"]);
}

#[test]
fn every_type_of_event_is_a_webhook_and_nothing_else_is() {
    let hooks = at("/webhooks").as_object().expect("webhooks");
    let known = EventKind::ALL.map(EventKind::as_str);
    assert_eq!(hooks.keys().collect::<Vec<_>>(), known);
    for (kind, hook) in hooks {
        let content = &hook["post"]["requestBody"]["content"]["application/json"];
        assert_eq!(content["example"]["type"], json!(kind));
        assert!(
            hook["post"]["summary"]
                .as_str()
                .is_some_and(|s| s.len() > 5)
        );
    }
}

/// Wherever an example stands beside a schema, it is one of the schema's.
#[test]
fn examples_are_true() {
    let mut pairs: Vec<(String, Value)> = Vec::new();
    walk(openapi(), "", &mut |place, value| {
        let schema = format!("{place}/schema");
        let named = value["examples"].as_object().into_iter().flatten();
        let one = value.get("example").into_iter();
        let all = one.chain(named.map(|(_, example)| &example["value"]));
        if value.get("schema").is_some() {
            pairs.extend(all.map(|example| (schema.clone(), example.clone())));
        }
        if place.contains("/schemas/") {
            let listed = value["examples"].as_array().into_iter().flatten();
            pairs.extend(listed.map(|example| (place.to_owned(), example.clone())));
        }
    });
    assert!(pairs.len() > 60, "only {} examples were found", pairs.len());
    let mut checker = Checker::of(openapi());
    for (schema, example) in pairs {
        if let Some(mistakes) = checker.mistakes(&schema, &example) {
            panic!("{schema}: {mistakes}\n{example:#}");
        }
    }
}

/// A new field of an answer must fail: schemas of objects say whether there may be others.
#[test]
fn schemas_of_objects_are_closed() {
    // The parts of others, which close what is made of them; and what the classic endpoint has always let pass.
    let open = [
        "PaymentFields",
        "DeliveryFields",
        "EndpointFields",
        "CallbacksFields",
        "KeyFields",
        "ClassicPayment",
    ];
    for (name, schema) in at("/components/schemas").as_object().expect("schemas") {
        let closed = |keyword: &str| schema.get(keyword) == Some(&json!(false));
        let is_object = schema.get("properties").is_some() || schema.get("allOf").is_some();
        let is_closed = closed("additionalProperties") || closed("unevaluatedProperties");
        assert_eq!(
            is_object && !is_closed,
            open.contains(&name.as_str()),
            "{name}"
        );
    }
}
