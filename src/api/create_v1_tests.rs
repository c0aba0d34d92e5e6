//! The terms that only `/v1` knows, and bodies of every kind thrown at both endpoints.

use proptest::prelude::*;
use serde_json::json;

use super::testing::{ADDRESS, Hub, NOW, body_with};
use crate::domain::payment::Finality;

#[tokio::test]
async fn v1_takes_every_term() {
    let hub = Hub::new();
    let body = format!(
        r#"{{"wallet_address":"{ADDRESS}","expected_amount_usdt":"5","order_id":"A","chain":"tron",
        "match":"accumulate","tolerance":"10000","amount_mode":"fixed","expires_in":60,"confirmations":3,
        "metadata":{{"n": 1.50}},"success_url":"https://shop.example/thanks?a=1"}}"#
    );
    let answer = hub.post("/v1/payments", body).await;
    assert_eq!(answer.status, 201);
    assert!(answer.header("location").starts_with("/v1/payments/"));
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    for part in [
        r#""expected_amount_usdt":5.0,"#,
        r#""received_amount_usdt":null,"#,
        r#""received_amount":"0.0","#,
        r#""tolerance":"10000","#,
        r#""finality":3,"#,
        r#""match":"accumulate","#,
        r#""metadata":{"n": 1.50},"#,
        r#""status":"pending","#,
        r#""client_token":"ey"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let payment = hub.only_payment();
    assert_eq!(payment.finality, Finality::Depth(3));
    assert_eq!(payment.expires_at, NOW.plus_seconds(60));
    assert!(payment.callback.is_none());
}

#[tokio::test]
async fn v1_refuses_bad_terms_by_name() {
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    let below_parser_limit = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let large = json!("x".repeat(4096)).to_string();
    let hub = Hub::new();
    for (field, value) in [
        ("chain", "\"ethereum\""),
        ("chain", "5"),
        ("match", "\"Exact\""),
        ("match", "true"),
        ("tolerance", "10000"),
        ("tolerance", "\"-1\""),
        ("tolerance", "\"0.01\""),
        ("tolerance", "\"\""),
        ("tolerance", "\"10500000\""),
        ("tolerance", "\"999999999999999999999999999999999999999\""),
        ("amount_mode", "\"uniqe\""),
        ("expires_in", "59"),
        ("expires_in", "2592001"),
        ("expires_in", "-60"),
        ("expires_in", "60.5"),
        ("expires_in", "1e3"),
        ("expires_in", "\"3600\""),
        ("expires_in", "99999999999999999999999"),
        ("confirmations", "0"),
        ("confirmations", "1001"),
        ("confirmations", "\"19\""),
        ("confirmations", "\"Final\""),
        ("confirmations", "[]"),
        ("metadata", &deep),
        ("metadata", &below_parser_limit),
        ("metadata", &large),
        ("metadata", "\"\\ud800\""),
        ("metadata", "1e999"),
        ("success_url", "\"javascript:alert(1)\""),
        ("success_url", "\"/thanks\""),
        ("success_url", "5"),
        ("success_url", "\"https://a\\n.example\""),
        ("wallet", "\"main\""),
        ("walletaddress", "1"),
        ("\\u0000", "1"),
    ] {
        let answer = hub.post("/v1/payments", body_with(field, value)).await;
        assert_eq!(answer.status, 400, "{field} = {value}");
        let name = field.replace("\\u0000", "\\0");
        let error = answer.error();
        assert!(error.contains(&name), "{field} = {value}: {error}");
    }
    let answer = hub.post("/v1/payments", body_with("expire_in", "60")).await;
    assert_eq!(
        answer.error(),
        "unknown field 'expire_in' (did you mean 'expires_in'?)"
    );
    assert!(hub.store.rows().payments.is_empty());
    let classic = hub
        .post("/create_payment", body_with("expire_in", "60"))
        .await;
    assert_eq!(classic.status, 201);
}

const FIELDS: [&str; 13] = [
    "wallet_address",
    "expected_amount_usdt",
    "callback_url",
    "order_id",
    "chain",
    "match",
    "tolerance",
    "amount_mode",
    "wallet",
    "expires_in",
    "confirmations",
    "metadata",
    "success_url",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever comes, the answer is a creation or names a mistake; it is never the hub's fault.
    #[test]
    fn no_body_brings_about_a_server_error(
        field in prop::sample::select(&FIELDS[..]),
        value in prop_oneof![
            "-?[0-9]{1,9}(\\.[0-9]{1,9})?([eE][-+]?[0-9]{1,4})?",
            "\"\\PC{0,12}\"",
            "[\\[\\]{}\",:0-9a-z ]{0,20}",
            any::<String>().prop_map(|text| json!(text).to_string()),
        ],
        raw in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let hub = Hub::new();
            for body in [body_with(field, &value).into_bytes(), raw] {
                for path in ["/create_payment", "/v1/payments"] {
                    let answer = hub.post(path, &body).await;
                    assert!(matches!(answer.status, 201 | 400 | 409), "{}", answer.status);
                    if answer.status != 201 {
                        answer.error();
                    }
                }
            }
        });
    }
}
