//! A JSON Schema validator over the document, which also keeps book of the fields it has seen filled.

use std::collections::BTreeSet;

use boon::{Compiler, Schemas};
use serde_json::Value;

use super::at;

const BASE: &str = "https://paybell.test/document.json";

/// Validates instances; remembers which properties of which schemas they had, other than as null.
pub struct Checker {
    compiler: Compiler,
    compiled: Schemas,
    seen: BTreeSet<(String, String)>,
}

impl Checker {
    /// Over one of the documents. What it notes is read in the OpenAPI document, which holds all schemas of both.
    pub fn of(document: &Value) -> Self {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler
            .add_resource(BASE, document.clone())
            .expect("a document");
        Self {
            compiler,
            compiled: Schemas::new(),
            seen: BTreeSet::new(),
        }
    }

    /// What is wrong with an instance of the schema at a pointer.
    pub fn mistakes(&mut self, pointer: &str, instance: &Value) -> Option<String> {
        // Path templates hold braces, which a URL cannot.
        let fragment = pointer.replace('{', "%7B").replace('}', "%7D");
        let place = format!("{BASE}#{fragment}");
        let index = self.compiler.compile(&place, &mut self.compiled);
        let index = index.unwrap_or_else(|error| panic!("{pointer}: {error:#}"));
        let mistakes = self.compiled.validate(instance, index).err();
        mistakes.map(|error| error.to_string())
    }

    /// The instance is one of the schema's, and goes into the book.
    pub fn check(&mut self, pointer: &str, instance: &Value) {
        if let Some(mistakes) = self.mistakes(pointer, instance) {
            panic!("{pointer}: {mistakes}\n{instance:#}");
        }
        self.note(at(pointer), instance);
    }

    pub fn check_named(&mut self, name: &str, instance: &Value) {
        self.check(&format!("/components/schemas/{name}"), instance);
        self.note_as(name, instance);
    }

    /// Fields of this schema that no instance has had filled.
    pub fn never_filled(&self, name: &str) -> Vec<&'static str> {
        let properties = at("/components/schemas")[name]["properties"].as_object();
        let names = properties.into_iter().flat_map(|fields| fields.keys());
        let unseen =
            names.filter(|field| !self.seen.contains(&(name.to_owned(), (*field).clone())));
        unseen.map(String::as_str).collect()
    }

    fn note_as(&mut self, name: &str, instance: &Value) {
        let filled = instance.as_object().into_iter().flatten();
        let filled = filled.filter(|(_, value)| !value.is_null());
        self.seen
            .extend(filled.map(|(field, _)| (name.to_owned(), field.clone())));
        self.note(&at("/components/schemas")[name], instance);
    }

    /// Walks a schema and its instance together.
    fn note(&mut self, schema: &'static Value, instance: &Value) {
        if instance.is_null() {
            return;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().expect("a name");
            self.note_as(name, instance);
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for branch in schema[keyword].as_array().into_iter().flatten() {
                self.note(branch, instance);
            }
        }
        for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(value) = instance.get(field) {
                self.note(inner, value);
            }
        }
        if let Some(items) = schema.get("items") {
            for item in instance.as_array().into_iter().flatten() {
                self.note(items, item);
            }
        }
    }
}
