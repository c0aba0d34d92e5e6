//! The `Idempotency-Key` header: which request it names, and which requests are under way.
//!
//! What a key was answered is the store's to keep, and whether that still counts the domain's to say.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use http::header::HeaderName;
use sha2::{Digest, Sha256};

use super::auth::Caller;
use super::problem::{Kind, Problem};
use crate::domain::idempotency::{IdempotencyKey, KeyedRequest, RequestDigest};

pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest key, in characters.
pub const MAX_KEY_CHARS: usize = 255;

/// The request that the headers name, if they name one.
pub fn keyed_request(
    headers: &HeaderMap,
    caller: Caller,
    path: &str,
    body: &[u8],
) -> Result<Option<KeyedRequest>, Problem> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = given.next() else {
        return Ok(None);
    };
    if given.next().is_some() {
        return Err(bad_key("send one Idempotency-Key header"));
    }
    let key = key.as_bytes();
    if key.is_empty() {
        return Err(bad_key(
            "the Idempotency-Key is empty: send a text of your own, such as a UUID, or leave the header out",
        ));
    }
    if key.len() > MAX_KEY_CHARS {
        return Err(bad_key(&format!(
            "the Idempotency-Key has {} characters, at most {MAX_KEY_CHARS} are allowed",
            key.len()
        )));
    }
    if !key.iter().all(u8::is_ascii_graphic) {
        return Err(bad_key(
            "the Idempotency-Key has characters that are not visible ASCII: no spaces, no letters beyond a to z",
        ));
    }
    Ok(Some(KeyedRequest {
        key: IdempotencyKey(digest(
            "paybell idempotency key",
            &[&caller.idempotency_scope(), key],
        )),
        digest: RequestDigest(digest(
            "paybell keyed request",
            &[b"POST", path.as_bytes(), body],
        )),
    }))
}

fn bad_key(why: &str) -> Problem {
    Problem::new(Kind::InvalidIdempotencyKey, why)
}

/// SHA-256 over the parts and their lengths, so that no two lists of parts look alike.
fn digest(purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [&[purpose.as_bytes()], parts].concat() {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Keys of the requests under way: as many as there are requests.
#[derive(Debug, Default)]
pub struct InFlight(Mutex<HashSet<IdempotencyKey>>);

/// A key's place among those under way, given back when dropped.
#[derive(Debug)]
pub struct Running<'a> {
    all: &'a InFlight,
    key: IdempotencyKey,
}

impl InFlight {
    /// Lets one request of a key in at a time.
    pub fn begin(&self, key: IdempotencyKey) -> Result<Running<'_>, Problem> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.insert(key) {
            return Err(Problem::idempotency_in_flight());
        }
        Ok(Running { all: self, key })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut keys = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(keys: &[&[u8]], path: &str, body: &[u8]) -> Result<Option<KeyedRequest>, Problem> {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(IDEMPOTENCY_KEY, key.to_vec().try_into().expect("a header"));
        }
        keyed_request(&headers, Caller::Anyone, path, body)
    }

    #[test]
    fn a_key_is_visible_ascii_of_limited_length_and_there_is_one() {
        assert_eq!(named(&[], "/", b"").expect("none"), None);
        let longest = vec![b'~'; MAX_KEY_CHARS];
        for good in [&b"a"[..], b"!", b"\"quoted\"", &longest] {
            assert!(named(&[good], "/", b"").expect("a key").is_some());
        }
        let too_long = vec![b'a'; MAX_KEY_CHARS + 1];
        for (bad, word) in [
            (vec![&b""[..]], "empty"),
            (vec![&too_long], "256"),
            (vec![b"a b"], "visible"),
            (vec!["\u{e9}".as_bytes()], "visible"),
            (vec![b"a\tb"], "visible"),
            (vec![b"a", b"a"], "one"),
        ] {
            let problem = named(&bad, "/", b"").expect_err("a bad key");
            assert_eq!(problem.kind, Kind::InvalidIdempotencyKey);
            assert!(problem.detail().contains(word), "{}", problem.detail());
        }
    }

    #[test]
    fn key_path_and_body_tell_requests_apart() {
        let request = |key: &str, path, body: &str| {
            let named = named(&[key.as_bytes()], path, body.as_bytes());
            named.expect("a key").expect("one")
        };
        let one = request("k", "/v1/payments", "{}");
        assert_eq!(one, request("k", "/v1/payments", "{}"));
        assert_ne!(one.key, request("K", "/v1/payments", "{}").key);
        for (path, body) in [
            ("/create_payment", "{}"),
            ("/v1/payments", "{} "),
            ("/v1/payments{", "}"),
        ] {
            let other = request("k", path, body);
            assert_eq!(other.key, one.key);
            assert_ne!(other.digest, one.digest);
        }
    }

    #[test]
    fn a_key_is_free_again_when_its_request_is_over() {
        let all = InFlight::default();
        let (one, two) = (IdempotencyKey([1; 32]), IdempotencyKey([2; 32]));
        let running = all.begin(one).expect("free");
        let refused = all.begin(one).expect_err("taken");
        assert_eq!(refused.kind, Kind::IdempotencyInFlight);
        drop(all.begin(two).expect("free"));
        drop(running);
        drop(all.begin(one).expect("free again"));
    }
}
