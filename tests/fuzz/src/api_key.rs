//! API keys. Each has one spelling: what is read is written back to the letter. In a set of keys nothing opens but a key
//! that was made, with its own secret, while it is in use.

use std::sync::LazyLock;

use paybell::domain::api_key::{ApiKey, KeyId, KeyScope, KeySecret, PresentedKey};
use paybell::domain::api_keys::ApiKeys;
use paybell::domain::ids::UnixMs;

const ID_BYTES: usize = 16;

/// Key 1 in use, key 2 revoked; the corpus holds both.
static KEYS: LazyLock<(ApiKeys, [PresentedKey; 2])> = LazyLock::new(|| {
    let presented = [1_u8, 2].map(|n| PresentedKey {
        id: KeyId(u128::MAX / u128::from(n + 2)),
        secret: KeySecret::of_random([n; 32]),
    });
    let kept = presented.iter().enumerate().map(|(place, key)| ApiKey {
        id: key.id,
        name: "a key".to_owned(),
        scope: KeyScope::Write,
        digest: key.secret.digest(),
        created_at: UnixMs(1),
        last_used_at: None,
        revoked_at: (place == 1).then_some(UnixMs(2)),
    });
    (ApiKeys::restore(kept), presented)
});

pub fn target(data: &[u8]) {
    if let Some(key) = std::str::from_utf8(data).ok().and_then(as_given) {
        opens_nothing_else(&key);
    }
    if let Some((id, rest)) = data.split_first_chunk::<ID_BYTES>()
        && let Some((secret, _)) = rest.split_first_chunk::<32>()
    {
        let key = PresentedKey {
            id: KeyId(u128::from_be_bytes(*id)),
            secret: KeySecret::of_random(*secret),
        };
        assert_eq!(as_given(&key.to_text()), Some(key));
    }
}

fn as_given(text: &str) -> Option<PresentedKey> {
    let key = PresentedKey::parse(text)?;
    assert_eq!(key.to_text(), text, "two spellings of one key");
    assert_eq!(KeyId::parse(&key.id.to_string()), Some(key.id));
    Some(key)
}

fn opens_nothing_else(key: &PresentedKey) {
    let (keys, [in_use, _]) = &*KEYS;
    let opened = keys.open(key).map(|found| found.id);
    assert_eq!(opened, (key == in_use).then_some(in_use.id));
}
