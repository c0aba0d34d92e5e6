//! Creation through both endpoints: what a good request makes, and that every bad one is refused by name.

use serde_json::{Value, json};

use super::testing::{Hub, Mood, NOW, body_with};
use crate::domain::ids::Height;
use crate::domain::payment::CallbackScope;

#[tokio::test]
async fn the_classic_endpoint_answers_as_ever() {
    let hub = Hub::new();
    let answer = hub.post("/create_payment", body_with("", "")).await;
    assert_eq!(answer.status, 201);
    let json = answer.json();
    let payment = hub.only_payment();
    assert_eq!(json["payment_id"], payment.id.to_string());
    assert_eq!(json["status"], "watching");
    assert_eq!(
        json["message"],
        "Payment watch created successfully. Waiting for transaction."
    );
    assert_eq!(json["expires_at"], json!(1_672_617_600.123));
    assert_eq!(json["amount_to_pay"], "10.5");
    let token = json["client_token"].as_str().expect("a token");
    assert_eq!(
        json["checkout_url"],
        format!("http://127.0.0.1:5000/pay/{}#{token}", payment.id)
    );
    assert_eq!(hub.ctx.tokens.verify(token, NOW), Ok(payment.id));
    assert_eq!(payment.expected.base_units(), 10_500_000);
    assert_eq!(payment.created_above, Height(120));
    assert_eq!(payment.id.0.get_version_num(), 7);
    let callback = payment.callback.expect("a callback");
    assert_eq!(callback.scope, CallbackScope::CompletionOnly);
    assert_eq!(callback.url, "https://shop.example/hook");
}

#[tokio::test]
async fn amounts_are_read_from_their_digits() {
    for (text, units) in [
        ("10.50", 10_500_000),
        ("\"10.50\"", 10_500_000),
        ("1.05e1", 10_500_000),
        ("1e-2", 10_000),
        ("\"1e-2\"", 10_000),
        ("0.01", 10_000),
        ("1000000", 1_000_000_000_000),
        ("999999.999999", 999_999_999_999),
        ("0.1000000000000000000000", 100_000),
        ("64.1", 64_100_000),
    ] {
        let hub = Hub::new();
        let body = body_with("expected_amount_usdt", text);
        assert_eq!(
            hub.post("/create_payment", body).await.status,
            201,
            "{text}"
        );
        assert_eq!(hub.only_payment().expected.base_units(), units, "{text}");
    }
}

#[tokio::test]
async fn order_ids_of_any_script_are_kept_trimmed() {
    let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}";
    let hundred = "\u{1F600}".repeat(100);
    for (given, kept) in [
        ("  A 1 ", "A 1"),
        ("заказ-7", "заказ-7"),
        ("e\u{301}", "e\u{301}"),
        (family, family),
        ("\u{a0}x\u{3000}", "x"),
        (&hundred, &hundred),
    ] {
        let hub = Hub::new();
        let body = body_with("order_id", &json!(given).to_string());
        assert_eq!(
            hub.post("/create_payment", body).await.status,
            201,
            "{given:?}"
        );
        assert_eq!(hub.only_payment().order_id, kept);
    }
}

#[tokio::test]
async fn every_bad_field_is_refused_by_name() {
    let too_long = json!("x".repeat(101)).to_string();
    let emoji_too_long = json!("\u{1F600}".repeat(101)).to_string();
    let long_digits = format!("0.{}1", "0".repeat(60_000));
    let long_url = json!(format!("https://a.example/{}", "x".repeat(2048))).to_string();
    let positive = "expected_amount_usdt must be a positive number";
    let fine = "expected_amount_usdt has more than 6 digits after the point";
    let large = "expected_amount_usdt cannot exceed 1,000,000 USDT";
    let small = "expected_amount_usdt must be at least 0.01 USDT";
    let empty = "order_id must be a non-empty string";
    let control = "order_id must not contain control characters";
    let address = "Invalid TRON wallet address format: ";
    let url = "Invalid callback URL format: ";
    let cases: &[(&str, &str, &str)] = &[
        ("expected_amount_usdt", "0", positive),
        ("expected_amount_usdt", "-0", positive),
        ("expected_amount_usdt", "-5", positive),
        ("expected_amount_usdt", "-1e400", positive),
        ("expected_amount_usdt", "0.009", small),
        ("expected_amount_usdt", "0.000001", small),
        ("expected_amount_usdt", "0.0000001", fine),
        ("expected_amount_usdt", "10.1234567", fine),
        ("expected_amount_usdt", "1000000.000001", large),
        ("expected_amount_usdt", "1e400", large),
        ("expected_amount_usdt", "1e99999999999999999999", large),
        ("expected_amount_usdt", &long_digits, "expected_amount_usdt"),
        ("expected_amount_usdt", "\"NaN\"", positive),
        ("expected_amount_usdt", "\"Infinity\"", positive),
        ("expected_amount_usdt", "\"\"", positive),
        ("expected_amount_usdt", "\" 5\"", positive),
        ("expected_amount_usdt", "\"5 USDT\"", positive),
        ("expected_amount_usdt", "\"1,5\"", positive),
        ("expected_amount_usdt", "\"0x10\"", positive),
        ("expected_amount_usdt", "\"\\u0661\"", positive),
        ("expected_amount_usdt", "\"\\ud800\"", positive),
        ("expected_amount_usdt", "true", positive),
        ("expected_amount_usdt", "[5]", positive),
        ("expected_amount_usdt", "{\"a\":5}", positive),
        ("order_id", "\"\"", empty),
        ("order_id", "\"   \"", empty),
        ("order_id", "\"\\t\\n\"", empty),
        ("order_id", "\"\\u200b\\ufeff\"", empty),
        ("order_id", "7", empty),
        ("order_id", "true", empty),
        ("order_id", "[\"a\"]", empty),
        ("order_id", "{}", empty),
        ("order_id", "\"\\ud800\"", empty),
        ("order_id", "\"a\\u0000b\"", control),
        ("order_id", "\"a\\nb\"", control),
        ("order_id", "\"a\\u0085b\"", control),
        (
            "order_id",
            &too_long,
            "order_id cannot exceed 100 characters",
        ),
        (
            "order_id",
            &emoji_too_long,
            "order_id cannot exceed 100 characters",
        ),
        ("wallet_address", "\"\"", address),
        ("wallet_address", "\"T123\"", address),
        (
            "wallet_address",
            "\"TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6T\"",
            address,
        ),
        (
            "wallet_address",
            "\"0xa614f803b6fd780986a42c78ec9c7f77e6ded13c\"",
            address,
        ),
        ("wallet_address", "\"Т\\ud83d\\ude00\"", address),
        ("wallet_address", "12", address),
        ("wallet_address", "[]", address),
        ("callback_url", "\"\"", url),
        ("callback_url", "\"http://shop.example\"", url),
        ("callback_url", "\"not a url\"", url),
        ("callback_url", "5", url),
        ("callback_url", "{}", url),
        ("callback_url", &long_url, url),
    ];
    let hub = Hub::new();
    for (field, value, text) in cases {
        for path in ["/create_payment", "/v1/payments"] {
            let answer = hub.post(path, body_with(field, value)).await;
            assert_eq!(answer.status, 400, "{field} = {value}");
            let error = answer.error();
            assert!(error.starts_with(text), "{field} = {value}: {error}");
            let json = answer.json();
            assert_eq!(json["errors"][0]["pointer"], format!("/{field}"));
            assert_eq!(json["code"], "invalid_request");
        }
    }
    assert!(hub.store.rows().payments.is_empty());
}

#[tokio::test]
async fn missing_fields_are_listed_and_null_is_missing() {
    let hub = Hub::new();
    let answer = hub.post("/create_payment", "{}").await;
    assert_eq!(
        answer.error(),
        "Missing required fields: wallet_address, expected_amount_usdt, callback_url, order_id"
    );
    assert_eq!(answer.json()["errors"].as_array().map(Vec::len), Some(4));
    for field in [
        "wallet_address",
        "expected_amount_usdt",
        "callback_url",
        "order_id",
    ] {
        let answer = hub.post("/create_payment", body_with(field, "null")).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.error(), format!("Missing required fields: {field}"));
    }
    let body = body_with("callback_url", "null");
    assert_eq!(hub.post("/v1/payments", body).await.status, 201);
}

#[tokio::test]
async fn all_mistakes_come_in_one_answer() {
    let hub = Hub::new();
    let body = r#"{"wallet_address":"T1","expected_amount_usdt":-1,"order_id":"a","order_id":"b"}"#;
    let answer = hub.post("/create_payment", body).await;
    let error = answer.error();
    assert!(
        error.starts_with("Missing required fields: callback_url; "),
        "{error}"
    );
    for part in [
        "the key 'order_id' appears more than once",
        "Invalid TRON wallet address format",
        "must be a positive number",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(answer.json()["errors"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let hub = Hub::new();
    let nan = body_with("expected_amount_usdt", "NaN");
    let deep = "[".repeat(60_000);
    let deep_field = body_with("order_id", &deep);
    for body in [
        "",
        " ",
        "x",
        "null",
        "[]",
        "[{}]",
        "\"a\"",
        "5",
        "{",
        "{\"a\":}",
        "{}{}",
        &nan,
        &deep,
        &deep_field,
    ] {
        for path in ["/create_payment", "/v1/payments"] {
            let answer = hub.post(path, body).await;
            assert_eq!(answer.status, 400);
            assert!(
                answer
                    .error()
                    .starts_with("Invalid JSON or empty request body: ")
            );
        }
    }
    assert!(
        hub.post("/create_payment", nan)
            .await
            .error()
            .contains("NaN and Infinity")
    );
    let answer = hub
        .post("/create_payment", b"{\"order_id\":\"\xff\"}")
        .await;
    assert!(answer.error().contains("UTF-8"));
}

#[tokio::test]
async fn an_order_id_is_used_once_and_an_amount_once_on_an_address() {
    let hub = Hub::new();
    assert_eq!(
        hub.post("/create_payment", body_with("", "")).await.status,
        201
    );
    let again = hub.post("/create_payment", body_with("", "")).await;
    assert_eq!(again.status, 409);
    assert!(again.error().starts_with("order_id is already used"));
    assert_eq!(again.json()["code"], "order_id_taken");
    let twin = hub
        .post("/create_payment", body_with("order_id", "\"B\""))
        .await;
    assert_eq!(twin.status, 409);
    assert_eq!(twin.json()["code"], "amount_ambiguous");
    assert!(twin.error().contains("amount_mode \"unique\""));
    let unique = body_with("order_id", "\"B\"").replace('}', ",\"amount_mode\":\"unique\"}");
    let unique = hub.post("/v1/payments", unique).await;
    assert_eq!(unique.status, 201);
    assert_eq!(unique.json()["amount_to_pay"], "10.500001");
    assert_eq!(unique.json()["expected_amount"], "10.5");
}

#[tokio::test]
async fn a_failing_store_is_told_without_its_secrets() {
    let hub = Hub::new();
    hub.store.set_mood(Mood::Failing);
    let answer = hub.post("/create_payment", body_with("", "")).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.error().contains("secret"));
    assert_eq!(answer.json()["code"], "store_unavailable");
    let json: Value = answer.json();
    assert_eq!(json["type"], "/problems/store_unavailable");
}
