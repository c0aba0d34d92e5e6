//! Texts that must not be shown: API keys and webhook secrets, checked for shape and redacted.
//!
//! Refuses to print itself, and its errors never quote what they refuse. Does not sign anything.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// A secret as it was written; only [`SecretText::expose`] gives it out.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

/// What every Standard Webhooks secret starts with.
pub const WEBHOOK_SECRET_PREFIX: &str = "whsec_";
/// Least key material in a webhook secret, in bytes.
pub const MIN_WEBHOOK_SECRET_BYTES: usize = 24;
/// Most key material in a webhook secret, in bytes.
pub const MAX_WEBHOOK_SECRET_BYTES: usize = 64;
/// Longest API key sent to a node, in bytes.
pub const MAX_API_KEY_BYTES: usize = 256;

/// Why a text cannot be used as a secret.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum SecretError {
    #[error("it must start with whsec_; {MAKE_ONE}")]
    Prefix,
    #[error(
        "behind whsec_ it must be base64 (letters, digits, + and /, padded with =); {MAKE_ONE}"
    )]
    Base64,
    #[error(
        "it holds {0} bytes of key where {MIN_WEBHOOK_SECRET_BYTES} to {MAX_WEBHOOK_SECRET_BYTES} are needed; {MAKE_ONE}"
    )]
    Bytes(usize),
    #[error("an API key has no spaces, control characters or non-ASCII characters")]
    KeyCharacters,
    #[error("an API key has at most {MAX_API_KEY_BYTES} characters, this has {0}")]
    KeyLength(usize),
}

const MAKE_ONE: &str = "make one with: echo \"whsec_$(openssl rand -base64 32)\"";

impl SecretText {
    /// Takes `whsec_` and the padded base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// Says which part is wrong, without showing it.
    pub fn webhook(text: &str) -> Result<Self, SecretError> {
        let encoded = text
            .strip_prefix(WEBHOOK_SECRET_PREFIX)
            .ok_or(SecretError::Prefix)?;
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| SecretError::Base64)?
            .len();
        if !(MIN_WEBHOOK_SECRET_BYTES..=MAX_WEBHOOK_SECRET_BYTES).contains(&bytes) {
            return Err(SecretError::Bytes(bytes));
        }
        Ok(Self(text.to_owned()))
    }

    /// Takes anything that fits an HTTP header; an empty text is no key.
    ///
    /// # Errors
    /// A character or a length that no header would carry.
    pub fn api_key(text: &str) -> Result<Option<Self>, SecretError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretError::KeyCharacters);
        }
        if text.len() > MAX_API_KEY_BYTES {
            return Err(SecretError::KeyLength(text.len()));
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }

    /// The secret itself: for a header or a signature, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhook_secrets_have_a_shape() {
        let good = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        assert_eq!(SecretText::webhook(good).expect("a secret").expose(), good);
        let of_bytes = |n: usize| format!("whsec_{}", STANDARD.encode(vec![7; n]));
        assert!(SecretText::webhook(&of_bytes(24)).is_ok());
        assert!(SecretText::webhook(&of_bytes(64)).is_ok());
        let cases = [
            (of_bytes(23), SecretError::Bytes(23)),
            (of_bytes(65), SecretError::Bytes(65)),
            ("whsec_...".into(), SecretError::Base64),
            ("whsec_".into(), SecretError::Bytes(0)),
            (good[6..].into(), SecretError::Prefix),
            (format!(" {good}"), SecretError::Prefix),
            (of_bytes(25).replace('=', ""), SecretError::Base64),
        ];
        for (text, why) in cases {
            assert_eq!(SecretText::webhook(&text), Err(why), "{text}");
        }
    }

    #[test]
    fn api_keys_fit_a_header() {
        assert_eq!(SecretText::api_key(""), Ok(None));
        assert!(SecretText::api_key("0f8c-7").expect("a key").is_some());
        for text in ["a b", "a\n", "clé"] {
            assert_eq!(SecretText::api_key(text), Err(SecretError::KeyCharacters));
        }
        assert_eq!(
            SecretText::api_key(&"k".repeat(257)),
            Err(SecretError::KeyLength(257))
        );
    }

    #[test]
    fn nothing_shows_a_secret() {
        let secret = SecretText::api_key("hunter2").expect("a key").expect("one");
        assert_eq!(format!("{secret:?}"), "SecretText(***)");
    }
}
