//! What requests may hold: the fields of bodies and the parameters of queries are those that the handlers know.

use std::collections::BTreeSet;

use super::{at, operations, resolve};
use crate::api::{create, deliveries, endpoints, events, keys, stream, transfers, v1};

/// Each request body's schema and the fields that its handler reads.
const BODIES: [(&str, &[&str]); 8] = [
    ("NewPayment", &create::V1_FIELDS),
    (
        "ClassicPayment",
        &[
            "wallet_address",
            "wallet",
            "expected_amount_usdt",
            "callback_url",
            "order_id",
        ],
    ),
    ("NewEndpoint", &endpoints::NEW_FIELDS),
    ("EndpointChange", &endpoints::CHANGE_FIELDS),
    ("SecretChange", &endpoints::SECRET_FIELDS),
    ("Recovery", &endpoints::RECOVERY_FIELDS),
    ("NewAssignment", &transfers::ASSIGNMENT_FIELDS),
    ("NewKey", &keys::NEW_FIELDS),
];

/// Each operation that reads its query, and the parameters that it knows.
const QUERIES: [(&str, &[&str]); 7] = [
    ("listPayments", &v1::FILTERS),
    ("listDeliveries", &deliveries::FILTERS),
    ("listTransfers", &transfers::FILTERS),
    ("listEvents", &events::PARAMETERS),
    ("listPaymentEvents", &events::PARAMETERS),
    ("streamEvents", &stream::PARAMETERS),
    ("streamPaymentEvents", &stream::PARAMETERS),
];

/// The schemas that only requests hold.
pub fn schemas() -> impl Iterator<Item = &'static str> {
    BODIES.iter().map(|(name, _)| *name)
}

#[test]
fn bodies_have_the_fields_that_are_read() {
    for (name, known) in BODIES {
        let schema = &at("/components/schemas")[name];
        let documented = schema["properties"].as_object().expect("fields");
        let documented: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
        assert_eq!(documented, known.iter().copied().collect(), "{name}");
    }
    let mut used = BTreeSet::new();
    for (_, _, operation) in operations() {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        used.extend(body.as_str().and_then(|text| text.rsplit('/').next()));
    }
    assert_eq!(used, schemas().collect());
}

#[test]
fn queries_have_the_parameters_that_are_known() {
    for (_, _, operation) in operations() {
        let name = operation["operationId"].as_str().expect("a name");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_query = parameters.map(resolve).filter(|p| p["in"] == "query");
        let in_query: BTreeSet<&str> = in_query.filter_map(|p| p["name"].as_str()).collect();
        let known = QUERIES.iter().find(|(own, _)| *own == name);
        let known: BTreeSet<&str> = known.map_or(BTreeSet::new(), |(_, known)| {
            known.iter().copied().collect()
        });
        assert_eq!(in_query, known, "{name}");
    }
}

/// Keys are read where payments are made, and only there.
#[test]
fn idempotency_keys_are_documented_where_they_are_read() {
    for (_, _, operation) in operations() {
        let name = operation["operationId"].as_str().expect("a name");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let keyed = parameters
            .map(resolve)
            .any(|p| p["name"] == "Idempotency-Key");
        let creates = ["createPayment", "createPaymentClassic"].contains(&name);
        assert_eq!(keyed, creates, "{name}");
    }
}
