//! The document's lists of words and its limits are those of the code.

use serde_json::{Value, json};

use super::at;
use crate::api::checks::{
    MAX_AMOUNT, MAX_AMOUNT_BYTES, MAX_CONFIRMATIONS, MAX_METADATA_BYTES, MAX_METADATA_DEPTH,
    MAX_ORDER_ID_CHARS, MAX_URL_BYTES, MIN_AMOUNT, MIN_EXPIRES_IN_SECONDS,
};
use crate::api::deliveries::STATES;
use crate::api::endpoints::MAX_EVENT_NAMES;
use crate::api::events::MAX_WAIT_SECONDS;
use crate::api::idempotency::MAX_KEY_CHARS;
use crate::api::instant::MAX_SECONDS;
use crate::api::query::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::domain::api_key::{KeyScope, MAX_NAME_CHARS};
use crate::domain::api_keys::MAX_LIVE_KEYS;
use crate::domain::delivery::GivenUp;
use crate::domain::endpoint::{DisabledWhy, EventChoice, EventFamily, MAX_DESCRIPTION_CHARS};
use crate::domain::endpoints::MAX_ENDPOINTS;
use crate::domain::event::EventKind;
use crate::domain::payment::{MAX_CREDITS, Status, UnmatchedReason};

const SCHEMAS: &str = "/components/schemas";

/// The words at a place, but for null.
fn words(place: &str) -> Vec<&'static str> {
    let words = at(&format!("{SCHEMAS}/{place}")).as_array();
    let words = words.unwrap_or_else(|| panic!("no list at {place}"));
    words.iter().filter_map(Value::as_str).collect()
}

#[test]
fn words_are_those_of_the_code() {
    let types = EventKind::ALL.map(EventKind::as_str);
    let families = EventFamily::ALL.map(|family| EventChoice::Family(family).as_str());
    let choices = [&types[..], &families[..]].concat();
    let reasons = UnmatchedReason::ALL.map(UnmatchedReason::as_str);
    assert_eq!(words("Status/enum"), Status::ALL.map(Status::as_str));
    assert_eq!(words("EventType/enum"), types);
    assert_eq!(words("UnmatchedReason/enum"), reasons);
    assert_eq!(words("KeyScope/enum"), KeyScope::ALL.map(KeyScope::as_str));
    let why = DisabledWhy::ALL.map(DisabledWhy::as_str);
    assert_eq!(words("DisabledReason/enum"), why);
    assert_eq!(words("DeliveryFields/properties/state/enum"), STATES);
    let given_up = GivenUp::ALL.map(GivenUp::as_str);
    assert_eq!(words("DeliveryFields/properties/given_up/enum"), given_up);
    let events = "properties/events";
    assert_eq!(
        words(&format!("NewEndpoint/{events}/anyOf/0/items/enum")),
        choices
    );
    assert_eq!(
        words(&format!("EndpointChange/{events}/anyOf/0/items/enum")),
        choices
    );
    let shown = [&choices[..], &["*"]].concat();
    assert_eq!(words(&format!("EndpointFields/{events}/items/enum")), shown);
    let states = "/paths/~1v1~1deliveries/get/parameters/1/schema/enum";
    assert_eq!(at(states), &json!(STATES));
    let counts = at(&format!("{SCHEMAS}/Stats/properties/payments/required"));
    assert_eq!(counts, &json!(Status::ALL.map(Status::as_str)));
}

#[test]
fn limits_are_those_of_the_code() {
    let number = |text: &str| text.parse::<f64>().expect("a number");
    let amount = "NewPayment/properties/expected_amount_usdt/oneOf";
    let limits = [
        (
            "NewKey/properties/name/maxLength".to_owned(),
            json!(MAX_NAME_CHARS),
        ),
        (format!("{amount}/0/minimum"), json!(number(MIN_AMOUNT))),
        (format!("{amount}/1/maxLength"), json!(MAX_AMOUNT_BYTES)),
        (
            "NewPayment/properties/order_id/maxLength".to_owned(),
            json!(MAX_ORDER_ID_CHARS),
        ),
        (
            "ClassicPayment/properties/order_id/maxLength".to_owned(),
            json!(MAX_ORDER_ID_CHARS),
        ),
        (
            "PaymentFields/properties/order_id/maxLength".to_owned(),
            json!(MAX_ORDER_ID_CHARS),
        ),
        (
            "NewPayment/properties/callback_url/maxLength".to_owned(),
            json!(MAX_URL_BYTES),
        ),
        (
            "NewPayment/properties/success_url/maxLength".to_owned(),
            json!(MAX_URL_BYTES),
        ),
        (
            "NewEndpoint/properties/url/maxLength".to_owned(),
            json!(MAX_URL_BYTES),
        ),
        (
            "NewPayment/properties/expires_in/minimum".to_owned(),
            json!(MIN_EXPIRES_IN_SECONDS),
        ),
        (
            "NewPayment/properties/confirmations/oneOf/1/maximum".to_owned(),
            json!(MAX_CONFIRMATIONS),
        ),
        (
            "PaymentFields/properties/transfers/maxItems".to_owned(),
            json!(MAX_CREDITS),
        ),
        (
            "NewEndpoint/properties/description/maxLength".to_owned(),
            json!(MAX_DESCRIPTION_CHARS),
        ),
        (
            "NewEndpoint/properties/events/anyOf/0/maxItems".to_owned(),
            json!(MAX_EVENT_NAMES),
        ),
        (
            "Recovery/properties/since/oneOf/0/maximum".to_owned(),
            json!(MAX_SECONDS),
        ),
    ];
    for (place, limit) in limits {
        assert_eq!(at(&format!("{SCHEMAS}/{place}")), &limit, "{place}");
    }
    let most = at(&format!("{SCHEMAS}/{amount}/0/maximum"));
    assert_eq!(most.as_f64(), Some(number(MAX_AMOUNT)));
    let parameters = "/components/parameters";
    let page = at(&format!("{parameters}/Limit/schema"));
    assert_eq!(
        (&page["maximum"], &page["default"]),
        (&json!(MAX_LIMIT), &json!(DEFAULT_LIMIT))
    );
    let key = at(&format!("{parameters}/IdempotencyKey/schema/maxLength"));
    assert_eq!(key, &json!(MAX_KEY_CHARS));
    let wait = at("/paths/~1v1~1events/get/parameters/2/schema/maximum");
    assert_eq!(wait, &json!(MAX_WAIT_SECONDS));
    // Limits that only the texts name.
    let text = at("/components/schemas/Metadata/description").to_string();
    assert!(text.contains(&format!(
        "{MAX_METADATA_BYTES} bytes and {MAX_METADATA_DEPTH} levels"
    )));
    let text = at("/paths/~1v1~1keys/post/description").to_string();
    assert!(text.contains(&format!("At most {MAX_LIVE_KEYS} are in use")));
    let text = at("/paths/~1v1~1endpoints/post/description").to_string();
    assert!(text.contains(&format!("At most {MAX_ENDPOINTS}.")));
}
