//! Every route is documented and every documented path is a route, with the same methods.
//!
//! The match has no arm for "others": a new resource does not compile before it has its place in the document.

use std::collections::BTreeSet;

use super::{Resource, Verb};
use crate::api::auth::Need;
use crate::api::reference::tests::operations;
use crate::api::testing::Hub;

/// Files for people are not part of the API's description.
const FILES: &str = "(a page)";

macro_rules! templates {
    ($($resource:pat => $path:literal,)*) => {
        const TEMPLATES: &[&str] = &[$($path),*];

        fn template(resource: Resource<'_>) -> &'static str {
            match resource {
                Resource::Page(_) => FILES,
                $($resource => $path,)*
            }
        }
    };
}

templates! {
    Resource::Creation => "/create_payment",
    Resource::Status(_) => "/payment_status/{id}",
    Resource::Health => "/health",
    Resource::Stats => "/stats",
    Resource::Payments => "/v1/payments",
    Resource::Payment(_) => "/v1/payments/{id}",
    Resource::Cancellation(_) => "/v1/payments/{id}/cancel",
    Resource::QrCode(_) => "/v1/payments/{id}/qr.svg",
    Resource::PaymentEvents(_) => "/v1/payments/{id}/events",
    Resource::PaymentStream(_) => "/v1/payments/{id}/events/stream",
    Resource::Events => "/v1/events",
    Resource::EventStream => "/v1/events/stream",
    Resource::Deliveries => "/v1/deliveries",
    Resource::Delivery(_) => "/v1/deliveries/{id}",
    Resource::Redelivery(_) => "/v1/deliveries/{id}/redeliver",
    Resource::Endpoints => "/v1/endpoints",
    Resource::Endpoint(_) => "/v1/endpoints/{id}",
    Resource::Callbacks => "/v1/endpoints/callbacks",
    Resource::Rotation(_) => "/v1/endpoints/{id}/rotate",
    Resource::Test(_) => "/v1/endpoints/{id}/test",
    Resource::Recovery(_) => "/v1/endpoints/{id}/recover",
    Resource::Transfers => "/v1/transfers",
    Resource::Transfer(_) => "/v1/transfers/{id}",
    Resource::Assignment(_) => "/v1/transfers/{id}/assign",
    Resource::Keys => "/v1/keys",
    Resource::Key(_) => "/v1/keys/{id}",
    Resource::CurrentKey => "/v1/keys/current",
    Resource::Trends => "/v1/trends",
}

/// `/openapi.json` and `/asyncapi.json`, which are served as files are.
const DOCUMENTS: [&str; 2] = ["/openapi.json", "/asyncapi.json"];

fn documented_paths() -> BTreeSet<&'static str> {
    operations().map(|(path, _, _)| path).collect()
}

#[test]
fn every_route_is_documented_and_nothing_else_is() {
    let routes: BTreeSet<&str> = TEMPLATES.iter().copied().chain(DOCUMENTS).collect();
    assert_eq!(documented_paths(), routes);
}

#[test]
fn documented_paths_lead_to_their_routes_and_name_all_methods() {
    let hub = Hub::new();
    for path in documented_paths() {
        let sample = path.replace("{id}", "sample");
        let found = Resource::find(&hub.ctx, &sample);
        let found = found.unwrap_or_else(|| panic!("{path} leads nowhere"));
        let (expected, allow) = match DOCUMENTS.contains(&path) {
            true => (FILES, super::READ),
            false => (path, found.allow()),
        };
        assert_eq!(template(found), expected);
        // The document's head says where HEAD and OPTIONS go; they are not repeated at each path.
        let allowed = allow
            .split(", ")
            .filter(|m| !matches!(*m, "HEAD" | "OPTIONS"));
        let allowed: BTreeSet<String> = allowed.map(str::to_ascii_lowercase).collect();
        let methods = operations().filter(|(own, _, _)| *own == path);
        let methods: BTreeSet<String> = methods.map(|(_, method, _)| method.to_owned()).collect();
        assert_eq!(methods, allowed, "{path}");
        assert_eq!(allow.contains("HEAD"), allow.contains("GET"), "{path}");
        assert!(allow.contains("OPTIONS"), "{path}");
    }
}

/// The scope that an operation needs, and where a payer's token reaches, are in the document as they are in the code.
#[test]
fn the_document_says_what_each_operation_needs() {
    let hub = Hub::new();
    for (path, method, operation) in operations().filter(|(path, _, _)| !DOCUMENTS.contains(path)) {
        let sample = path.replace("{id}", "sample");
        let found = Resource::find(&hub.ctx, &sample).expect("a route");
        let security = operation["security"].as_array().expect("a list");
        let says = security.iter().any(|way| way.get("clientToken").is_some());
        assert_eq!(says, found.shows_payment().is_some(), "{method} {path}");
        let method = method.to_ascii_uppercase().parse().expect("a method");
        let scope = match found.needs(Verb::of(&method).expect("a verb")) {
            Need::Nothing => None,
            Need::Scope(scope) => Some(scope.as_str()),
        };
        let scopes = security.iter().find_map(|way| way.get("apiKey"));
        let documented = scopes.and_then(|scopes| scopes[0].as_str());
        assert_eq!(documented, scope, "{method} {path}");
    }
}
