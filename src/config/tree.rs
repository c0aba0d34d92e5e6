//! JSON text as an ordered tree that still shows what the text said: every key, twice if written twice.
//!
//! Refuses to interpret anything: which keys exist and what they may hold is asked by the checker.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// One JSON value. No `Debug`: a tree may hold secrets.
#[derive(Clone)]
pub(super) enum Tree {
    Null,
    Flag(bool),
    Whole(i128),
    /// A number with a fraction or an exponent, or one beyond 64 bits.
    Fraction(f64),
    Text(String),
    List(Vec<Tree>),
    Section(Vec<(String, Tree)>),
}

pub(super) const NUMBER_IN_QUOTES: &str = "a number in quotes";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Tree {
    /// Parses one JSON document; a byte order mark in front of it, as some editors write, is skipped.
    ///
    /// # Errors
    /// What is not JSON, with its line and column.
    pub(super) fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
    }

    /// The value's kind in words, never the value.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Flag(_) => "a boolean",
            Self::Whole(_) => "a whole number",
            Self::Fraction(_) => "a number that is not whole, or beyond 64 bits",
            Self::Text(text) if text.parse::<f64>().is_ok() => NUMBER_IN_QUOTES,
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Section(_) => "an object",
        }
    }

    /// Calls `visit` for every string in the value, at any depth; keys are not values.
    pub(super) fn each_text(&self, visit: &mut impl FnMut(&str)) {
        match self {
            Self::Text(text) => visit(text),
            Self::List(items) => items.iter().for_each(|item| item.each_text(visit)),
            Self::Section(entries) => entries.iter().for_each(|(_, item)| item.each_text(visit)),
            Self::Null | Self::Flag(_) | Self::Whole(_) | Self::Fraction(_) => {}
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Whole(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Fraction(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = items.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Section(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_order_survive() {
        let Ok(Tree::Section(entries)) = Tree::parse(br#"{"b":1,"a":null,"b":-2.5}"#) else {
            panic!("an object");
        };
        let seen: Vec<_> = entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.kind()))
            .collect();
        let fraction = "a number that is not whole, or beyond 64 bits";
        assert_eq!(
            seen,
            [("b", "a whole number"), ("a", "null"), ("b", fraction)]
        );
    }

    #[test]
    fn what_is_not_json_is_placed() {
        let why = Tree::parse(b"{\n  \"a\": 1,\n}").err().expect("an error");
        assert_eq!((why.line(), why.column()), (3, 1));
        assert!(Tree::parse(b"\xef\xbb\xbf{}").is_ok());
        for text in ["", "{} {}", "{\"a\":1e999}", "[1,2", &"[".repeat(100_000)] {
            assert!(Tree::parse(text.as_bytes()).is_err());
        }
    }
}
