//! Signs webhooks and checks such signatures, after Standard Webhooks 1.0.
//!
//! Owns the secrets' text form `whsec_<base64>`. Refuses to show a secret except through [`Secret::to_text`], to draw
//! random bytes, and to ask for the time: both are handed in.
//! Source: <https://github.com/standard-webhooks/standard-webhooks>, `spec/standard-webhooks.md`.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

use crate::domain::signing_key::SigningKey;

/// What every secret's text starts with.
const SECRET_PREFIX: &str = "whsec_";
/// Shortest key that Standard Webhooks allows, bytes.
pub const MIN_SECRET_BYTES: usize = SigningKey::MIN_BYTES;
/// Longest key that Standard Webhooks allows, bytes.
pub const MAX_SECRET_BYTES: usize = SigningKey::MAX_BYTES;
/// Random bytes in a secret made here.
pub const GENERATED_SECRET_BYTES: usize = 32;
/// How far a receiver lets a timestamp be from its own clock, seconds; what Standard Webhooks' libraries use.
pub const DEFAULT_TOLERANCE_SECONDS: u64 = 5 * 60;
/// Signatures that are looked at in one header; more than any rotation needs.
const MAX_SIGNATURES: usize = 16;
/// Version label of the symmetric scheme.
const SCHEME: &str = "v1";

/// Secrets are pasted by people, with the padding or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key shared with the receiver of webhooks. Prints itself redacted.
#[derive(Clone)]
pub struct Secret(SigningKey);

/// Why a text is not a webhook secret. Never repeats the text.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
pub enum SecretError {
    #[error("a webhook secret starts with 'whsec_', followed by base64")]
    Prefix,
    #[error("what follows 'whsec_' is not standard base64")]
    Base64(#[source] base64::DecodeError),
    #[error(
        "the secret has {0} bytes once decoded, {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} are allowed; \
         make one with: echo whsec_$(openssl rand -base64 32)"
    )]
    Length(usize),
}

impl Secret {
    /// Parses `whsec_<base64>`, padded or not, of 24 to 64 bytes.
    ///
    /// # Errors
    /// Says which rule is broken, without repeating the secret.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text
            .strip_prefix(SECRET_PREFIX)
            .ok_or(SecretError::Prefix)?;
        let key = LENIENT.decode(encoded).map_err(SecretError::Base64)?;
        let bytes = key.len();
        SigningKey::new(key)
            .map(Self)
            .ok_or(SecretError::Length(bytes))
    }

    /// Makes a secret of random bytes drawn by the caller.
    pub fn generate(random: [u8; GENERATED_SECRET_BYTES]) -> Self {
        Self(SigningKey::of_random(random))
    }

    pub fn of_key(key: &SigningKey) -> Self {
        Self(key.clone())
    }

    /// The bare key, for the one place that stores it.
    pub fn into_key(self) -> SigningKey {
        self.0
    }

    /// The text form, for the one place that shows it and the one that stores it.
    pub fn to_text(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(self.0.as_bytes()))
    }

    fn mac(&self, id: &str, timestamp_s: u64, body: &[u8]) -> [u8; 32] {
        // HMAC fills a key up to SHA-256's block with zeros; no secret is longer than the block, so this cannot fail.
        let mut block = [0_u8; MAX_SECRET_BYTES];
        let key = self.0.as_bytes();
        block[..key.len()].copy_from_slice(key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp_s.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(whsec_...)")
    }
}

/// The value of `webhook-signature`: one `v1,<base64>` per secret, separated by spaces.
///
/// `timestamp_s` is the attempt's time in Unix seconds, as sent in `webhook-timestamp`. Put the newest secret first.
pub fn sign(secrets: &[Secret], id: &str, timestamp_s: u64, body: &[u8]) -> String {
    secrets
        .iter()
        .map(|secret| {
            let mac = secret.mac(id, timestamp_s, body);
            format!("{SCHEME},{}", STANDARD.encode(mac))
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// A webhook as it arrived: three header values as text, and the body's bytes untouched.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    pub id: &'a str,
    pub timestamp: &'a str,
    pub signature: &'a str,
    pub body: &'a [u8],
}

/// Why a webhook is not to be believed.
#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum VerifyError {
    #[error("webhook-timestamp is not a Unix time in seconds")]
    Timestamp,
    #[error("webhook-timestamp is {0} s older than is tolerated: a replay, or a clock that is off")]
    TooOld(u64),
    #[error("webhook-timestamp is {0} s further in the future than is tolerated: a clock is off")]
    TooNew(u64),
    #[error("no signature in webhook-signature matches: wrong secret, or the body was changed")]
    NoMatch,
}

/// Checks a webhook as a receiver does: any of its signatures by any of the secrets, made at about `now_s`.
///
/// `now_s` is the receiver's time in Unix seconds; `tolerance_s` is how far the timestamp may be from it, either way.
///
/// # Errors
/// Says whether the timestamp or the signature is at fault. Signatures are compared in constant time.
pub fn verify(
    secrets: &[Secret],
    webhook: Received<'_>,
    now_s: u64,
    tolerance_s: u64,
) -> Result<(), VerifyError> {
    let digits = webhook.timestamp.bytes().all(|b| b.is_ascii_digit());
    let timestamp_s: u64 = match webhook.timestamp.parse() {
        Ok(seconds) if digits => seconds,
        _ => return Err(VerifyError::Timestamp),
    };
    let mut matched = Choice::from(0);
    for secret in secrets {
        let expected = secret.mac(webhook.id, timestamp_s, webhook.body);
        for given in signatures(webhook.signature) {
            matched |= expected.as_slice().ct_eq(&given);
        }
    }
    // The signature comes first: nothing is said about the timing of a message that is not ours.
    if !bool::from(matched) {
        return Err(VerifyError::NoMatch);
    }
    if let Some(late @ 1..) = now_s
        .checked_sub(timestamp_s)
        .map(|age| age.saturating_sub(tolerance_s))
    {
        return Err(VerifyError::TooOld(late));
    }
    if let Some(early @ 1..) = timestamp_s
        .checked_sub(now_s)
        .map(|lead| lead.saturating_sub(tolerance_s))
    {
        return Err(VerifyError::TooNew(early));
    }
    Ok(())
}

/// The decoded `v1` signatures of a header; other versions and broken ones are passed over, as the standard asks.
fn signatures(header: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
    header
        .split(' ')
        .filter_map(|part| part.split_once(','))
        .filter(|(scheme, _)| *scheme == SCHEME)
        .filter_map(|(_, encoded)| STANDARD.decode(encoded).ok())
        .take(MAX_SIGNATURES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const TIME_S: u64 = 1_649_367_553;
    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

    fn secret() -> Secret {
        Secret::parse(SECRET).expect("valid")
    }

    fn received(signature: &str) -> Received<'_> {
        Received {
            id: ID,
            timestamp: "1649367553",
            signature,
            body: BODY,
        }
    }

    fn check(webhook: Received<'_>) -> Result<(), VerifyError> {
        verify(&[secret()], webhook, TIME_S, DEFAULT_TOLERANCE_SECONDS)
    }

    #[test]
    fn signs_the_standard_vector() {
        assert_eq!(sign(&[secret()], ID, TIME_S, BODY), SIGNATURE);
        assert_eq!(check(received(SIGNATURE)), Ok(()));
    }

    #[test]
    fn during_a_rotation_both_keys_sign_and_either_is_enough() {
        let new = Secret::generate([7; 32]);
        let header = sign(&[new.clone(), secret()], ID, TIME_S, BODY);
        assert_eq!(header.split(' ').count(), 2);
        assert!(header.ends_with(SIGNATURE));
        for known in [new, secret()] {
            assert_eq!(verify(&[known], received(&header), TIME_S, 0), Ok(()));
        }
        let stranger = Secret::generate([8; 32]);
        assert_eq!(
            verify(&[stranger], received(&header), TIME_S, 0),
            Err(VerifyError::NoMatch)
        );
    }

    #[test]
    fn any_change_breaks_it() {
        let good = received(SIGNATURE);
        let other_body = Received {
            body: b"{}",
            ..good
        };
        let other_id = Received {
            id: "msg_2",
            ..good
        };
        let other_time = Received {
            timestamp: "1649367554",
            ..good
        };
        for bad in [other_body, other_id, other_time] {
            assert_eq!(check(bad), Err(VerifyError::NoMatch));
        }
        for header in [
            "",
            "v1",
            "v1,",
            "v1,====",
            "v2,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kg==",
        ] {
            assert_eq!(
                check(received(header)),
                Err(VerifyError::NoMatch),
                "{header}"
            );
        }
        let padded_with_strangers = format!("v1a,abc v1,AAAA {SIGNATURE}");
        assert_eq!(check(received(&padded_with_strangers)), Ok(()));
    }

    #[test]
    fn the_time_may_be_off_by_the_tolerance_and_no_more() {
        let at = |now_s| verify(&[secret()], received(SIGNATURE), now_s, 300);
        assert_eq!(at(TIME_S + 300), Ok(()));
        assert_eq!(at(TIME_S - 300), Ok(()));
        assert_eq!(at(TIME_S + 301), Err(VerifyError::TooOld(1)));
        assert_eq!(at(TIME_S - 302), Err(VerifyError::TooNew(2)));
        for text in ["", "-1", "+1649367553", "1649367553.0", "soon"] {
            let bad = Received {
                timestamp: text,
                ..received(SIGNATURE)
            };
            assert_eq!(check(bad), Err(VerifyError::Timestamp), "{text}");
        }
    }

    #[test]
    fn secrets_are_parsed_strictly_and_say_what_is_wrong() {
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![1_u8; bytes]));
        assert_eq!(Secret::parse("").expect_err("refused"), SecretError::Prefix);
        assert_eq!(
            Secret::parse("C2FVsBQIhrscChlQIMV+b5sSYspob7oD").expect_err("refused"),
            SecretError::Prefix
        );
        assert!(matches!(
            Secret::parse("whsec_not base64!"),
            Err(SecretError::Base64(_))
        ));
        assert_eq!(
            Secret::parse(&of(23)).expect_err("refused"),
            SecretError::Length(23)
        );
        assert_eq!(
            Secret::parse(&of(65)).expect_err("refused"),
            SecretError::Length(65)
        );
        for bytes in [24, 32, 64] {
            let text = of(bytes);
            assert_eq!(Secret::parse(&text).expect("valid").to_text(), text);
            let unpadded = text.trim_end_matches('=');
            assert_eq!(Secret::parse(unpadded).expect("valid").to_text(), text);
        }
    }

    #[test]
    fn a_secret_is_shown_only_when_asked_for() {
        assert_eq!(format!("{:?}", secret()), "Secret(whsec_...)");
        assert_eq!(secret().to_text(), SECRET);
        let made = Secret::generate([9; 32]);
        assert_eq!(
            Secret::parse(&made.to_text()).expect("valid").to_text(),
            made.to_text()
        );
    }
}
