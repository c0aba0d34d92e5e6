//! A body's fields under inspection: collects every mistake, so that one answer can name them all.

use serde_json::value::RawValue;

use super::mistake::{Mistake, Quoted, did_you_mean, summary};
use super::problem::{Kind, Problem};
use super::request::Fields;

pub struct Form<'a> {
    fields: Fields<'a>,
    missing: Vec<&'static str>,
    mistakes: Vec<Mistake>,
}

impl<'a> Form<'a> {
    pub fn new(fields: Fields<'a>) -> Self {
        Self {
            mistakes: fields.duplicate_mistakes(),
            missing: Vec::new(),
            fields,
        }
    }

    /// Refuses fields of other names.
    pub fn only(&mut self, known: &[&str]) {
        let unknown = self.fields.names().filter(|name| !known.contains(name));
        let mistakes: Vec<Mistake> = unknown
            .map(|name| {
                let hint = did_you_mean(name, known);
                Mistake::in_field(name, format!("unknown field {}{hint}", Quoted(name)))
            })
            .collect();
        self.mistakes.extend(mistakes);
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some()
    }

    /// The checked value of a field that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(name) {
            self.missing.push(name);
        }
        self.optional(name, check)
    }

    /// The checked value of a field that may be missing.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        check: impl FnOnce(&'a RawValue) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.fields.get(name)?;
        check(value)
            .map_err(|detail| self.mistake(name, detail))
            .ok()
    }

    pub fn mistake(&mut self, name: &str, detail: impl Into<String>) {
        self.mistakes.push(Mistake::in_field(name, detail));
    }

    /// The one answer, if anything is wrong.
    pub fn finish(self) -> Result<(), Problem> {
        if self.missing.is_empty() && self.mistakes.is_empty() {
            return Ok(());
        }
        if self.missing.is_empty() {
            return Err(Problem::of_mistakes(Kind::InvalidRequest, self.mistakes));
        }
        let mut text = format!("Missing required fields: {}", self.missing.join(", "));
        if !self.mistakes.is_empty() {
            text.push_str("; ");
            text.push_str(&summary(&self.mistakes));
        }
        let missing = self.missing.iter();
        let all = missing
            .map(|name| Mistake::in_field(name, format!("{name} is missing")))
            .chain(self.mistakes)
            .collect();
        Err(Problem::new(Kind::InvalidRequest, text).with_mistakes(all))
    }
}
