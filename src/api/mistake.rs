//! One mistake in a request: where it is and what is wrong with it, in words for the person who made the request.

use std::fmt;

use serde::Serialize;

/// Characters of a client's own text that an answer repeats at most.
const MAX_QUOTED_CHARS: usize = 60;
/// Names longer than this are never a misspelling of ours.
const MAX_COMPARED_CHARS: usize = 40;
/// Edits within which a name is taken for a misspelling.
const MAX_EDITS: usize = 2;

/// A mistake as an answer lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    #[serde(flatten)]
    place: Place,
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// A JSON Pointer (RFC 6901) into the body.
    Pointer(String),
    /// A query parameter's name.
    Parameter(String),
}

impl Mistake {
    pub fn in_field(name: &str, detail: impl Into<String>) -> Self {
        let escaped = shorten(name).replace('~', "~0").replace('/', "~1");
        Self {
            place: Place::Pointer(format!("/{escaped}")),
            detail: detail.into(),
        }
    }

    pub fn in_parameter(name: &str, detail: impl Into<String>) -> Self {
        Self {
            place: Place::Parameter(shorten(name)),
            detail: detail.into(),
        }
    }
}

/// All mistakes in one text.
pub fn summary(mistakes: &[Mistake]) -> String {
    let details: Vec<&str> = mistakes.iter().map(|m| m.detail.as_str()).collect();
    details.join("; ")
}

/// A client's own text, shortened, with its control characters made visible.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", shorten(self.0).escape_debug())
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// ` (did you mean 'x'?)` when a known name is close, else nothing.
pub fn did_you_mean(wrong: &str, known: &[&str]) -> String {
    if wrong.chars().count() > MAX_COMPARED_CHARS {
        return String::new();
    }
    known
        .iter()
        .map(|name| (edits(wrong, name), name))
        .filter(|(edits, name)| *edits <= MAX_EDITS && *edits * 2 < name.len())
        .min_by_key(|(edits, _)| *edits)
        .map_or_else(String::new, |(_, name)| {
            format!(" (did you mean '{name}'?)")
        })
}

/// Levenshtein's distance, upper and lower case being the same.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_suggested_and_a_far_one_is_not() {
        let known = ["wallet_address", "order_id", "chain"];
        assert_eq!(
            did_you_mean("walet_adress", &known),
            " (did you mean 'wallet_address'?)"
        );
        assert_eq!(
            did_you_mean("Order_ID", &known),
            " (did you mean 'order_id'?)"
        );
        assert_eq!(did_you_mean("amount", &known), "");
        assert_eq!(did_you_mean("", &known), "");
        assert_eq!(did_you_mean(&"x".repeat(100_000), &known), "");
    }

    #[test]
    fn pointers_are_escaped_and_long_names_cut() {
        let json = |mistake: &Mistake| serde_json::to_string(mistake).expect("JSON");
        assert_eq!(
            json(&Mistake::in_field("a/b~c", "bad")),
            r#"{"pointer":"/a~1b~0c","detail":"bad"}"#
        );
        assert_eq!(
            json(&Mistake::in_parameter("limit", "bad")),
            r#"{"parameter":"limit","detail":"bad"}"#
        );
        assert!(json(&Mistake::in_field(&"€".repeat(60_000), "bad")).len() < 300);
        assert_eq!(Quoted("a\u{0}\n").to_string(), "'a\\0\\n'");
    }
}
