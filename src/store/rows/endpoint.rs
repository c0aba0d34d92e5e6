//! Webhook endpoints and their keys as rows.

use serde::{Deserialize, Serialize};

use super::Stored;
use crate::domain::endpoint::{DisabledWhy, Endpoint, EventChoice, EventFilter, Standing};
use crate::domain::ids::{EndpointId, UnixMs};
use crate::domain::signing_key::{SigningKey, SigningKeys};

#[derive(Serialize, Deserialize)]
pub struct KeysRow {
    current: Vec<u8>,
    /// The key before, and until when it signs.
    old: Option<(Vec<u8>, u64)>,
}

#[derive(Serialize, Deserialize)]
pub struct EndpointRow {
    id: u32,
    url: String,
    description: String,
    /// As the API writes them; none is all events.
    filter: Vec<String>,
    keys: KeysRow,
    /// When and why; absent while the endpoint is in use.
    disabled: Option<(u64, u8)>,
    created_at: u64,
    failing_since: Option<u64>,
}

impl Stored for SigningKeys {
    type Row = KeysRow;
    const NAME: &'static str = "an endpoint's keys";

    fn to_row(&self) -> KeysRow {
        let old = self.old.as_ref();
        KeysRow {
            current: self.current.as_bytes().to_vec(),
            old: old.map(|(key, until)| (key.as_bytes().to_vec(), until.0)),
        }
    }

    fn from_row(row: KeysRow) -> Option<Self> {
        Some(Self {
            current: SigningKey::new(row.current)?,
            old: match row.old {
                Some((key, until)) => Some((SigningKey::new(key)?, UnixMs(until))),
                None => None,
            },
        })
    }
}

impl Stored for Endpoint {
    type Row = EndpointRow;
    const NAME: &'static str = "a webhook endpoint";

    fn to_row(&self) -> EndpointRow {
        let choices = self.filter.choices().iter();
        EndpointRow {
            id: self.id.0,
            url: self.url.clone(),
            description: self.description.clone(),
            filter: choices.map(|choice| choice.as_str().to_owned()).collect(),
            keys: self.keys.to_row(),
            disabled: match self.standing {
                Standing::Enabled => None,
                Standing::Disabled { at, why } => Some((at.0, why_place(why))),
            },
            created_at: self.created_at.0,
            failing_since: self.failing_since.map(|t| t.0),
        }
    }

    fn from_row(row: EndpointRow) -> Option<Self> {
        let choices = row.filter.iter().map(|text| EventChoice::parse(text));
        Some(Self {
            id: EndpointId(row.id),
            url: row.url,
            description: row.description,
            filter: EventFilter::of(choices.collect::<Option<_>>()?),
            keys: SigningKeys::from_row(row.keys)?,
            standing: match row.disabled {
                None => Standing::Enabled,
                Some((at, why)) => Standing::Disabled {
                    at: UnixMs(at),
                    why: why_from(why)?,
                },
            },
            created_at: UnixMs(row.created_at),
            failing_since: row.failing_since.map(UnixMs),
        })
    }
}

/// A reason's place in rows. These numbers are on disk and never change.
const fn why_place(why: DisabledWhy) -> u8 {
    match why {
        DisabledWhy::Gone => 0,
        DisabledWhy::Failing => 1,
        DisabledWhy::ByHand => 2,
    }
}

fn why_from(place: u8) -> Option<DisabledWhy> {
    DisabledWhy::ALL
        .into_iter()
        .find(|why| why_place(*why) == place)
}

impl Stored for EndpointId {
    type Row = u32;
    const NAME: &'static str = "an endpoint's number";

    fn to_row(&self) -> u32 {
        self.0
    }

    fn from_row(row: u32) -> Option<Self> {
        Some(Self(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventKind;
    use crate::store::StoreError;

    fn endpoint() -> Endpoint {
        let mut keys = SigningKeys::new(SigningKey::of_random([1; 32]));
        keys.rotate(SigningKey::new(vec![2; 24]).expect("a key"), UnixMs(5));
        let choice = EventChoice::Kind(EventKind::Late);
        Endpoint {
            id: EndpointId(7),
            url: "https://shop.example/hook".to_owned(),
            description: "the books".to_owned(),
            filter: EventFilter::of(vec![choice]),
            keys,
            standing: Standing::Enabled,
            created_at: UnixMs(3),
            failing_since: Some(UnixMs(4)),
        }
    }

    #[test]
    fn an_endpoint_comes_back_whole_whatever_became_of_it() {
        let mut standings = vec![Standing::Enabled];
        let at = UnixMs(u64::MAX);
        standings.extend(DisabledWhy::ALL.map(|why| Standing::Disabled { at, why }));
        for standing in standings {
            let kept = Endpoint {
                standing,
                ..endpoint()
            };
            let row = kept.encode().expect("a row");
            assert_eq!(Endpoint::decode(&row).expect("readable"), kept);
        }
    }

    /// A filter that this program cannot read must not become one that lets everything through.
    #[test]
    fn damaged_rows_are_refused() {
        let row = endpoint().encode().expect("a row");
        let name = b"payment.late";
        let at = row.windows(name.len()).position(|part| part == name);
        let at = at.expect("the filter");
        let mut other = row.clone();
        other[at..at + name.len()].copy_from_slice(b"payment.lost");
        for bytes in [&other[..], &row[..row.len() - 1], &[]] {
            let read = Endpoint::decode(bytes);
            assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
        }
    }
}
