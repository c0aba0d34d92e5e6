//! What a payer is told of an event: its frozen bytes without what is the merchant's alone. Pure.
//!
//! Metadata may hold a shop's internal notes, and an assignment who decided it and which other payment it concerns.
//! Everything else stays byte for byte. Refuses to pass on what it cannot read.

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

const METADATA: &str = "metadata";
const TRANSFER: &str = "transfer";
const ASSIGNED: &str = "assigned";
/// Of an assignment: shown as unknown.
const OPERATORS: [&str; 2] = ["by", "meant_for"];
const NOTHING: &[u8] = b"{}";

/// An object's members in their order, each still text.
struct Members<'a>(Vec<(&'a str, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The payer's copy of an event.
pub fn copy_for_payer(body: &Bytes) -> Bytes {
    rewritten(body).map_or_else(
        |error| {
            tracing::error!(%error, "an event could not be read to be shown to its payer");
            Bytes::from_static(NOTHING)
        },
        Bytes::from,
    )
}

fn rewritten(body: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let Members(members) = serde_json::from_slice(body)?;
    let mut kept = Vec::with_capacity(members.len());
    for (name, value) in members {
        match name {
            METADATA => {}
            TRANSFER => kept.push((name, transfer(value)?)),
            _ => kept.push((name, value.get().to_owned())),
        }
    }
    Ok(object(&kept).into_bytes())
}

fn transfer(whole: &RawValue) -> Result<String, serde_json::Error> {
    let Some(Members(members)) = serde_json::from_str(whole.get())? else {
        return Ok(whole.get().to_owned());
    };
    let mut kept = Vec::with_capacity(members.len());
    for (name, value) in members {
        let value = match name {
            ASSIGNED => assignment(value)?,
            _ => value.get().to_owned(),
        };
        kept.push((name, value));
    }
    Ok(object(&kept))
}

fn assignment(whole: &RawValue) -> Result<String, serde_json::Error> {
    let Some(Members(members)) = serde_json::from_str(whole.get())? else {
        return Ok(whole.get().to_owned());
    };
    let shown = members.into_iter().map(|(name, value)| {
        let hidden = OPERATORS.contains(&name);
        (name, if hidden { "null" } else { value.get() }.to_owned())
    });
    Ok(object(&shown.collect::<Vec<_>>()))
}

/// The names are those of our own writing: none of them needs an escape.
fn object(members: &[(&str, String)]) -> String {
    let written = members
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", written.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(body: &'static str) -> String {
        String::from_utf8(copy_for_payer(&Bytes::from_static(body.as_bytes())).to_vec())
            .expect("UTF-8")
    }

    #[test]
    fn the_rest_stays_as_it_is() {
        assert_eq!(
            copy(
                r#"{"a":5.000001,"metadata":{"note":"\"metadata\":1"},"transfer":null,"b":[ {"metadata":1} ]}"#
            ),
            r#"{"a":5.000001,"transfer":null,"b":[ {"metadata":1} ]}"#
        );
        let transfer = r#"{"transfer":{"id":"t","reason":null,"assigned":null}}"#;
        assert_eq!(copy(transfer), transfer);
    }

    #[test]
    fn who_assigned_and_what_else_it_concerns_is_not_told() {
        assert_eq!(
            copy(
                r#"{"transfer":{"id":"t","assigned":{"payment_id":"p","at":1.5,"by":"key_1","reason":"late","meant_for":"q"}}}"#
            ),
            r#"{"transfer":{"id":"t","assigned":{"payment_id":"p","at":1.5,"by":null,"reason":"late","meant_for":null}}}"#
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_passed_on() {
        for broken in ["", "[]", r#"{"metadata":"#, r#"{"transfer":7}"#] {
            assert_eq!(copy(broken), "{}", "{broken}");
        }
    }
}
