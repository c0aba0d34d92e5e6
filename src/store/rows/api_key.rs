//! API keys as rows. Of a secret there is its digest only.

use serde::{Deserialize, Serialize};

use super::Stored;
use crate::domain::api_key::{ApiKey, KeyDigest, KeyId, KeyScope};
use crate::domain::ids::UnixMs;

#[derive(Serialize, Deserialize)]
pub struct ApiKeyRow {
    id: u128,
    name: String,
    scope: u8,
    digest: [u8; 32],
    created_at: u64,
    last_used_at: Option<u64>,
    revoked_at: Option<u64>,
}

impl Stored for ApiKey {
    type Row = ApiKeyRow;
    const NAME: &'static str = "an API key";

    fn to_row(&self) -> ApiKeyRow {
        ApiKeyRow {
            id: self.id.0,
            name: self.name.clone(),
            scope: scope_place(self.scope),
            digest: self.digest.0,
            created_at: self.created_at.0,
            last_used_at: self.last_used_at.map(|t| t.0),
            revoked_at: self.revoked_at.map(|t| t.0),
        }
    }

    fn from_row(row: ApiKeyRow) -> Option<Self> {
        Some(Self {
            id: KeyId(row.id),
            name: row.name,
            scope: scope_from(row.scope)?,
            digest: KeyDigest(row.digest),
            created_at: UnixMs(row.created_at),
            last_used_at: row.last_used_at.map(UnixMs),
            revoked_at: row.revoked_at.map(UnixMs),
        })
    }
}

/// A scope's place in rows. These numbers are on disk and never change.
const fn scope_place(scope: KeyScope) -> u8 {
    match scope {
        KeyScope::Read => 0,
        KeyScope::Write => 1,
        KeyScope::Admin => 2,
    }
}

fn scope_from(place: u8) -> Option<KeyScope> {
    KeyScope::ALL
        .into_iter()
        .find(|scope| scope_place(*scope) == place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    fn key(scope: KeyScope, revoked_at: Option<UnixMs>) -> ApiKey {
        ApiKey {
            id: KeyId(u128::MAX - 1),
            name: "the shop \u{1f514}".to_owned(),
            scope,
            digest: KeyDigest([7; 32]),
            created_at: UnixMs(3),
            last_used_at: Some(UnixMs(u64::MAX)),
            revoked_at,
        }
    }

    #[test]
    fn a_key_comes_back_whole() {
        for scope in KeyScope::ALL {
            for revoked_at in [None, Some(UnixMs(9))] {
                let kept = key(scope, revoked_at);
                let row = kept.encode().expect("a row");
                assert_eq!(ApiKey::decode(&row).expect("readable"), kept);
            }
        }
    }

    /// A scope that this program does not know must not become one that it does.
    #[test]
    fn damaged_rows_are_refused() {
        let row = key(KeyScope::Read, None).encode().expect("a row");
        let digest = row.windows(32).position(|part| part == [7; 32]);
        let mut other = row.clone();
        other[digest.expect("the digest") - 1] = 3;
        for bytes in [&other[..], &row[..row.len() - 1], &[]] {
            let read = ApiKey::decode(bytes);
            assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
        }
    }
}
