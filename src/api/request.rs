//! A JSON object as a client sent it: the fields in their order, each still text, and every mistake found on the way.
//!
//! Values stay untouched `RawValue`s, so that whoever reads a number sees the digits that were sent.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::mistake::{Mistake, Quoted};
use super::problem::{Kind, Problem};

/// Fields of one object at most; with more the look for duplicates would take too long.
const MAX_FIELDS: usize = 64;
/// What the replaced service answers to any body that is no JSON.
const NOT_JSON: &str = "Invalid JSON or empty request body";

/// The fields of an object, in their order.
#[derive(Debug)]
pub struct Fields<'a> {
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
    duplicates: Vec<String>,
}

impl<'a> Fields<'a> {
    /// Reads a body.
    pub fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            invalid(format!("the byte at offset {at} is not valid UTF-8"))
        })?;
        if text.trim_ascii().is_empty() {
            return Err(invalid("the body is empty"));
        }
        serde_json::from_str(text).map_err(|error| invalid(explain(text, &error)))
    }

    /// A field's value; `null` is the same as nothing.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.entries
            .iter()
            .find(|(key, value)| key == name && value.get() != "null")
            .map(|(_, value)| *value)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_ref())
    }

    /// One mistake for each key that came twice.
    pub fn duplicate_mistakes(&self) -> Vec<Mistake> {
        self.duplicates
            .iter()
            .map(|key| {
                let detail = format!("the key {} appears more than once", Quoted(key));
                Mistake::in_field(key, detail)
            })
            .collect()
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
        let mut fields = Fields {
            entries: Vec::with_capacity(8),
            duplicates: Vec::new(),
        };
        while let Some((Key(key), value)) = map.next_entry()? {
            if fields.entries.iter().any(|(known, _)| *known == key) {
                if !fields.duplicates.iter().any(|known| *known == key) {
                    fields.duplicates.push(key.into_owned());
                }
            } else if fields.entries.len() == MAX_FIELDS {
                return Err(serde::de::Error::custom(format_args!(
                    "the object has more than {MAX_FIELDS} fields"
                )));
            } else {
                fields.entries.push((key, value));
            }
        }
        Ok(fields)
    }
}

/// An object's key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        string_from(deserializer).map(Self)
    }
}

/// A JSON string's text, borrowed where it has no escapes.
pub fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    string_from(&mut serde_json::Deserializer::from_str(value.get())).ok()
}

fn string_from<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    struct StringVisitor;
    impl<'de> Visitor<'de> for StringVisitor {
        type Value = Cow<'de, str>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(text))
        }
        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text.to_owned()))
        }
    }
    deserializer.deserialize_str(StringVisitor)
}

/// What a JSON value is, for an error text.
pub fn kind_word(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn invalid(why: impl fmt::Display) -> Problem {
    Problem::new(Kind::InvalidJson, format!("{NOT_JSON}: {why}"))
}

/// The parser's words, with line and column, and a hint where the mistake is a well-known one.
fn explain(text: &str, error: &serde_json::Error) -> String {
    if error.classify() == Category::Data && !text.trim_ascii_start().starts_with('{') {
        return "the body must be a JSON object, like {\"order_id\": ...}".to_owned();
    }
    match word_at(text, error.line(), error.column()) {
        "NaN" | "Infinity" | "-Infinity" | "+Infinity" => {
            format!("{error}: NaN and Infinity are not numbers in JSON")
        }
        "None" | "True" | "False" | "undefined" => {
            format!("{error}: JSON writes null, true and false")
        }
        _ => error.to_string(),
    }
}

/// The bare word around a position, by 1-based line and column of bytes.
fn word_at(text: &str, line: usize, column: usize) -> &str {
    let Some(line) = text.split('\n').nth(line.saturating_sub(1)) else {
        return "";
    };
    let is_word = |b: u8| b.is_ascii_alphabetic() || b == b'-' || b == b'+';
    let bytes = line.as_bytes();
    let at = column.saturating_sub(1).min(bytes.len());
    let before = bytes[..at]
        .iter()
        .rev()
        .take_while(|b| is_word(**b))
        .count();
    let after = bytes[at..].iter().take_while(|b| is_word(**b)).count();
    line.get(at - before..at + after).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &[u8]) -> String {
        let problem = Fields::parse(body).expect_err("a refusal");
        assert_eq!(problem.kind, Kind::InvalidJson);
        problem.detail().to_owned()
    }

    #[test]
    fn bodies_that_are_no_json_object_are_refused_in_words() {
        let cases: [(&[u8], &str); 17] = [
            (b"", "the body is empty"),
            (b" \n\t", "the body is empty"),
            (b"{", "EOF while parsing an object at line 1 column 1"),
            (b"{\"a\":1,}", "trailing comma at line 1 column 8"),
            (b"{\"a\" 1}", "expected `:` at line 1 column 6"),
            (b"{\"a\":1} x", "trailing characters at line 1 column 9"),
            (b"{'a':1}", "key must be a string at line 1 column 2"),
            (b"[1]", "must be a JSON object"),
            (b"null", "must be a JSON object"),
            (b"\"text\"", "must be a JSON object"),
            (b"12", "must be a JSON object"),
            (b"{\"a\":NaN}", "NaN and Infinity are not numbers in JSON"),
            (b"{\n\"a\":-Infinity}", "line 2 column 6: NaN and Infinity"),
            (b"{\"a\":Infinity}", "NaN and Infinity"),
            (b"{\"a\":True}", "JSON writes null, true and false"),
            (b"{\"a\":\"\xff\"}", "offset 6 is not valid UTF-8"),
            (b"{\"\\ud800\":1}", "line 1 column"),
        ];
        for (body, why) in cases {
            let text = refused(body);
            assert!(text.starts_with(NOT_JSON), "{text}");
            assert!(text.contains(why), "{text} should contain {why}");
        }
        assert!(refused(b"{\"a\":1\xe2\x82").contains("UTF-8"));
        assert!(refused("\u{feff}{}".as_bytes()).contains("line 1 column 1"));
    }

    #[test]
    fn values_stay_as_they_were_written() {
        let fields =
            Fields::parse(br#" {"a": 10.50 ,"b":"x\u0041","n":null} "#).expect("an object");
        assert_eq!(fields.get("a").expect("a").get(), "10.50");
        assert_eq!(string(fields.get("b").expect("b")).expect("text"), "xA");
        assert!(fields.get("n").is_none() && fields.get("c").is_none());
        assert_eq!(fields.names().collect::<Vec<_>>(), ["a", "b", "n"]);
        assert!(string(fields.get("a").expect("a")).is_none());
    }

    #[test]
    fn duplicate_keys_are_named_however_they_are_spelled() {
        let fields = Fields::parse(br#"{"a":1,"\u0061":2,"a":3,"b":4}"#).expect("an object");
        let mistakes = fields.duplicate_mistakes();
        assert_eq!(mistakes.len(), 1);
        assert_eq!(mistakes[0].detail, "the key 'a' appears more than once");
    }

    #[test]
    fn neither_many_fields_nor_deep_ones_cost_anything() {
        let many: Vec<String> = (0..65).map(|n| format!("\"k{n}\":0")).collect();
        assert!(refused(format!("{{{}}}", many.join(",")).as_bytes()).contains("more than 64"));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
        assert!(Fields::parse(deep.as_bytes()).is_ok());
        let open = format!("{{\"a\":{}", "[{\"a\":".repeat(10_000));
        assert!(refused(open.as_bytes()).contains("EOF"));
    }

    #[test]
    fn lone_surrogates_are_no_text() {
        let fields = Fields::parse(br#"{"a":"\ud800"}"#).expect("an object");
        assert!(string(fields.get("a").expect("a")).is_none());
    }
}
