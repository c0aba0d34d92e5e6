//! A query string under inspection: known parameters only, each once, every mistake in one answer.

use url::form_urlencoded;

use super::mistake::{Mistake, Quoted, did_you_mean};
use super::problem::{Kind, Problem};

pub const DEFAULT_LIMIT: usize = 20;
pub const MAX_LIMIT: usize = 100;
/// Mistakes named in one answer; a query string can hold thousands.
const MAX_MISTAKES: usize = 16;

pub struct Query {
    pairs: Vec<(String, String)>,
    mistakes: Vec<Mistake>,
}

impl Query {
    pub fn parse(text: &str, known: &[&str]) -> Self {
        let mut query = Self {
            pairs: Vec::new(),
            mistakes: Vec::new(),
        };
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let hint = did_you_mean(&name, known);
                query.mistake(&name, format!("unknown parameter {}{hint}", Quoted(&name)));
            } else if query.pairs.iter().any(|(seen, _)| *seen == name) {
                query.mistake(&name, format!("{name} is given more than once"));
            } else {
                query.pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        query
    }

    /// A parameter's checked value.
    pub fn take<T>(
        &mut self,
        name: &str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (_, value) = self.pairs.iter().find(|(seen, _)| seen == name)?;
        match check(value) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.mistake(name, detail);
                None
            }
        }
    }

    /// How many items a page of a list has at most.
    pub fn limit(&mut self) -> usize {
        self.take("limit", |text| {
            text.parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| format!("limit must be a whole number from 1 to {MAX_LIMIT}"))
        })
        .unwrap_or(DEFAULT_LIMIT)
    }

    pub fn finish(self) -> Result<(), Problem> {
        if self.mistakes.is_empty() {
            return Ok(());
        }
        Err(Problem::of_mistakes(Kind::InvalidQuery, self.mistakes))
    }

    fn mistake(&mut self, name: &str, detail: String) {
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(Mistake::in_parameter(name, detail));
        }
    }
}
