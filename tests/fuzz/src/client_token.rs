//! Client tokens. Nothing opens a payment but a token that this hub wrote, to the letter, before it expired; a token of
//! another key, or one with anything changed, opens none.

use paybell::api::token::{ClientTokens, TokenError};
use paybell::domain::ids::{PaymentId, UnixMs};

const SECRET: [u8; 32] = [7; 32];
const OTHER_SECRET: [u8; 32] = [8; 32];
/// The seeds of the corpus were written with this expiry.
const NOW: UnixMs = UnixMs(1_700_000_000_000);
const ID_BYTES: usize = 16;

pub fn target(data: &[u8]) {
    let tokens = ClientTokens::new(SECRET);
    if let Ok(text) = std::str::from_utf8(data) {
        as_given(&tokens, text);
    }
    if let Some((id, rest)) = data.split_first_chunk::<ID_BYTES>() {
        as_issued(&tokens, *id, rest);
    }
}

/// Without the key, all that can be right is a token that was issued; the corpus holds some.
fn as_given(tokens: &ClientTokens, text: &str) {
    let Ok(payment) = tokens.verify(text, NOW) else {
        return;
    };
    let expires_at = (0..=12).map(|power| UnixMs(NOW.0 + 1000 * 10_u64.pow(power)));
    let issued = expires_at
        .into_iter()
        .any(|at| tokens.issue(payment, at) == text);
    assert!(issued, "a forged token opens {payment}: {text}");
}

fn as_issued(tokens: &ClientTokens, id: [u8; ID_BYTES], rest: &[u8]) {
    let Some(payment) = PaymentId::parse(&hex_id(id)) else {
        return;
    };
    let seconds = u64::from(rest.first().copied().unwrap_or(1));
    let expires_at = UnixMs(NOW.0 + seconds * 1000);
    let token = tokens.issue(payment, expires_at);
    let valid = if seconds > 0 {
        Ok(payment)
    } else {
        Err(TokenError::Expired)
    };
    assert_eq!(tokens.verify(&token, NOW), valid);
    assert_eq!(tokens.verify(&token, expires_at), Err(TokenError::Expired));
    let stranger = ClientTokens::new(OTHER_SECRET);
    assert_eq!(stranger.verify(&token, NOW), Err(TokenError::Signature));
    let [_, at, change, ..] = rest else { return };
    let mut changed = token.clone().into_bytes();
    let at = usize::from(*at) * 7 % changed.len();
    changed[at] = change & 0x7f;
    let changed = String::from_utf8(changed).expect("ASCII");
    if changed != token {
        assert!(
            tokens.verify(&changed, UnixMs(0)).is_err(),
            "{changed} passes for {token}"
        );
    }
}

/// A UUID's usual spelling.
fn hex_id(id: [u8; ID_BYTES]) -> String {
    let digits = hex::encode(id);
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    parts.join("-")
}
