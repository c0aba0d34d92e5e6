//! Client tokens: a checkout page's right to look at exactly one payment.
//!
//! Compact JWS with HMAC-SHA256 (RFC 7515), claims `aud`, `sub` (the payment id) and `exp` (unix seconds).
//! Refuses every other algorithm, audience and key, and says no more than why.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::domain::ids::{PaymentId, UnixMs};

const AUDIENCE: &str = "paybell:payment";
const ALGORITHM: &str = "HS256";
/// Longer texts are refused unread; a real token has about 300 bytes.
const MAX_TOKEN_BYTES: usize = 1024;

#[derive(Debug, Error, PartialEq, Eq, Clone, Copy)]
pub enum TokenError {
    #[error("the client token is not well-formed")]
    Malformed,
    #[error("the client token's signature does not match")]
    Signature,
    #[error("the client token was not made for this purpose")]
    Audience,
    #[error("the client token has expired")]
    Expired,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    sub: String,
    exp: u64,
}

/// Makes and checks client tokens with one secret.
#[derive(Clone)]
pub struct ClientTokens {
    secret: [u8; 32],
    key_id: String,
}

impl ClientTokens {
    pub fn new(secret: [u8; 32]) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"paybell client token key id");
        digest.update(secret);
        let key_id = hex::encode(&digest.finalize()[..4]);
        Self { secret, key_id }
    }

    /// A token for one payment, valid up to `expires_at`.
    pub fn issue(&self, payment: PaymentId, expires_at: UnixMs) -> String {
        let header = format!(
            r#"{{"alg":"{ALGORITHM}","typ":"JWT","kid":"{}"}}"#,
            self.key_id
        );
        let claims = format!(
            r#"{{"aud":"{AUDIENCE}","sub":"{payment}","exp":{}}}"#,
            expires_at.0 / 1000
        );
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.mac(token.as_bytes()).finalize().into_bytes();
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// The payment that a token opens.
    ///
    /// # Errors
    /// [`TokenError`] for anything that is not a valid, unexpired token of ours.
    pub fn verify(&self, token: &str, now: UnixMs) -> Result<PaymentId, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = decode(header)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| TokenError::Malformed)?;
        if header.alg != ALGORITHM || header.kid != self.key_id {
            return Err(TokenError::Signature);
        }
        self.mac(signed.as_bytes())
            .verify_slice(&signature)
            .map_err(|_| TokenError::Signature)?;
        let claims: Claims = decode(claims)?;
        if claims.aud != AUDIENCE {
            return Err(TokenError::Audience);
        }
        if now.0 / 1000 >= claims.exp {
            return Err(TokenError::Expired);
        }
        PaymentId::parse(&claims.sub).ok_or(TokenError::Malformed)
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut key = [0_u8; 64];
        key[..32].copy_from_slice(&self.secret);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(message);
        mac
    }
}

impl std::fmt::Debug for ClientTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientTokens(kid {})", self.key_id)
    }
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment() -> PaymentId {
        PaymentId::parse("0190a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b").expect("an id")
    }

    #[test]
    fn a_token_opens_its_payment_until_it_expires() {
        let tokens = ClientTokens::new([7; 32]);
        let token = tokens.issue(payment(), UnixMs(10_000));
        assert_eq!(tokens.verify(&token, UnixMs(9_999)), Ok(payment()));
        assert_eq!(
            tokens.verify(&token, UnixMs(10_000)),
            Err(TokenError::Expired)
        );
    }

    #[test]
    fn any_changed_character_is_refused() {
        let tokens = ClientTokens::new([7; 32]);
        let token = tokens.issue(payment(), UnixMs(10_000_000));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(tokens.verify(&changed, UnixMs(0)).is_err(), "position {at}");
        }
    }

    #[test]
    fn another_key_and_the_none_algorithm_are_refused() {
        let tokens = ClientTokens::new([7; 32]);
        let other = ClientTokens::new([8; 32]).issue(payment(), UnixMs(10_000));
        assert_eq!(tokens.verify(&other, UnixMs(0)), Err(TokenError::Signature));
        let token = tokens.issue(payment(), UnixMs(10_000));
        let claims = token.split('.').nth(1).expect("claims");
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT","kid":"x"}"#);
        assert_eq!(
            tokens.verify(&format!("{none}.{claims}."), UnixMs(0)),
            Err(TokenError::Signature)
        );
        for text in ["", ".", "..", "a.b.c", &"x".repeat(5000)] {
            assert_eq!(tokens.verify(text, UnixMs(0)), Err(TokenError::Malformed));
        }
    }
}
