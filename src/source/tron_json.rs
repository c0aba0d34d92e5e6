//! JSON from a node, before it is known to mean anything.
//!
//! Owns the errors of reading it, with the path to what is wrong, and strings borrowed from the
//! body. Refuses to build trees: every reader names the few fields that it wants.

use std::borrow::Cow;
use std::ops::Deref;

use serde::Deserialize;
use thiserror::Error;

use super::error::excerpt;

/// Of a body that is not JSON no more than this is kept for the error.
const MAX_TEXT_BYTES: usize = 4096;

/// Why an answer cannot be used; the client adds which request it was.
#[derive(Debug, Error)]
pub enum WireError {
    /// `path` leads to the field, like `[3].log[0].topics`; `$` is the answer itself.
    #[error("{path}: {what}")]
    Malformed {
        path: String,
        what: String,
        #[source]
        source: Option<serde_json::Error>,
    },
    /// `text` is the body's beginning, as it came: not fit to be shown yet.
    #[error("not JSON")]
    NotJson { text: String },
    /// The node's own `{"Error": ...}`, which usually comes with status 200; as it came.
    #[error("the node reports an error")]
    Node { text: String },
    /// A JSON-RPC error, as it came.
    #[error("the node refuses ({code})")]
    Rpc { code: i64, text: String },
    #[error("answer for another block: {what}")]
    Mismatch { what: String },
}

impl WireError {
    pub(super) fn malformed(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.into(),
            what: what.into(),
            source: None,
        }
    }

    pub(super) fn missing(path: impl Into<String>) -> Self {
        Self::malformed(path, "required field is missing")
    }
}

/// A string that is borrowed from the body unless it holds an escape. Serde borrows a `Cow` only
/// where it is the field itself: inside an `Option` or a list a bare `Cow` is always a copy.
#[derive(Deserialize, Default)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

pub(super) enum Kind {
    Object,
    List,
}

/// What the body is by its first byte: a lite node's refusal and a proxy's page are neither.
pub(super) fn kind(body: &[u8]) -> Result<Kind, WireError> {
    match body.trim_ascii_start().first() {
        Some(b'{') => Ok(Kind::Object),
        Some(b'[') => Ok(Kind::List),
        _ => Err(WireError::NotJson {
            text: beginning(body),
        }),
    }
}

/// The beginning of a body of whatever kind, as text.
pub fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT_BYTES)]).into_owned()
}

pub(super) fn is_empty_object(body: &[u8]) -> bool {
    body.trim_ascii()
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"}"))
        .is_some_and(|inner| inner.trim_ascii().is_empty())
}

pub(super) fn not_hex32(path: impl Into<String>, text: &str) -> WireError {
    WireError::malformed(
        path,
        format!("not 64 hexadecimal digits: {}", excerpt(text)),
    )
}

/// The body as text, checked once: serde_json would check each string on its own.
pub(super) fn text_of(body: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(body)
        .map_err(|error| WireError::malformed("$", format!("it is not UTF-8: {error}")))
}

pub(super) fn from_json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, WireError> {
    let text = text_of(body)?;
    serde_json::from_str(text).map_err(|error| misread::<T>(text, error))
}

/// Reads once more, slowly, what could not be read as `T`, to learn where it went wrong.
pub(super) fn misread<'a, T: Deserialize<'a>>(
    text: &'a str,
    error: serde_json::Error,
) -> WireError {
    let mut json = serde_json::Deserializer::from_str(text);
    let path = match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Err(slow_error) => slow_error.path().to_string(),
        // The value was sound, so what follows it is not.
        Ok(_) => ".".to_owned(),
    };
    WireError::Malformed {
        path: if path == "." { "$".to_owned() } else { path },
        what: excerpt(&error.to_string()),
        source: Some(error),
    }
}

const NOT_A_DIGIT: u8 = 0xff;
const HEX_DIGITS: [u8; 256] = hex_digits();

const fn hex_digits() -> [u8; 256] {
    let mut digits = [NOT_A_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value as usize];
        digits[digit as usize] = value;
        digits[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    digits
}

/// Exactly `N` bytes of hexadecimal digits, of either case. Several times faster than a check
/// digit by digit, and a block has tens of thousands of digits.
pub(super) fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    let mut all = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = HEX_DIGITS[usize::from(pair[0])];
        let low = HEX_DIGITS[usize::from(pair[1])];
        all |= high | low;
        *byte = high << 4 | low & 0x0f;
    }
    (all < 16).then_some(bytes)
}

/// 32 bytes of hexadecimal digits, with or without `0x`.
pub(super) fn read_word(text: &str) -> Option<[u8; 32]> {
    read_hex(text.strip_prefix("0x").unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_exactly_32_bytes() {
        let word = "Dd".repeat(32);
        assert_eq!(read_word(&word), Some([0xdd; 32]));
        assert_eq!(read_word(&format!("0x{word}")), Some([0xdd; 32]));
        for text in [
            "",
            "0x",
            &word[1..],
            &word.replace('D', "g"),
            &format!("00{word}"),
        ] {
            assert_eq!(read_word(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn hex_is_read_as_the_library_reads_it(text in "[0-9a-fA-Fg\\PC]{0,12}|[0-9a-fA-F]{8}") {
            let mut expected = [0; 4];
            let known = hex::decode_to_slice(&text, &mut expected).ok().map(|()| expected);
            prop_assert_eq!(read_hex::<4>(&text), known);
        }
    }
}
