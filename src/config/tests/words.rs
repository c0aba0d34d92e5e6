//! The exact words of what is wrong, and where.

use super::*;

#[test]
fn all_mistakes_are_told_at_once_each_with_its_place() {
    let text = r#"{
      "listen": "localhost:5000", "retention_day": 1, "colour": "red", "grace_seconds": "60", "drain_seconds": 10, "drain_seconds": 11,
      "chains": [
        {"endpoints": [{"url": "https://a.example"}, {"url": "ftp://b.example", "requests_per_second": 0, "apikey": "x"}, {}], "confirmations": 1001},
        {"name": "tron", "contract": "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6T", "slot_ms": 1.5},
        7
      ]
    }"#;
    let found = mistakes(text, &[("PAYBELL_ALLOW_PRIVATE_CALLBACKS", "yes")]);
    let expected = [
        "listen: it is not an address to listen on: write 127.0.0.1:5000",
        "drain_seconds: this key is written more than once: keep one",
        "retention_day: there is no such key here; did you mean \"retention_days\"?",
        "colour: there is no such key here; the keys are: listen, data,",
        "grace_seconds: it must be a whole number from 0 to 2592000, this is a number in quotes: write it without quotes",
        "chains[0].endpoints[1].url: it must start with https:// or http://",
        "chains[0].endpoints[1].requests_per_second: it must be from 1 to 10000, this is 0",
        "chains[0].endpoints[1].apikey: there is no such key here; did you mean \"api_key\"?",
        "chains[0].endpoints[2].url: it is missing: write for example \"https://api.trongrid.io\"",
        "chains[0].confirmations: it must be from 1 to 1000, this is 1001",
        "chains[1].name: it is the same as chains[0].name: each must be different",
        "chains[1].contract: the checksum does not match",
        "chains[1].slot_ms: it must be a whole number from 50 to 60000, this is a number that is not whole",
        "chains[2]: it must be an object in { }, this is a whole number",
        "PAYBELL_ALLOW_PRIVATE_CALLBACKS: it must be true or false, this is \"yes\"",
    ];
    for start in expected {
        assert!(
            found.iter().any(|text| text.starts_with(start)),
            "{start}\nin {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn each_setting_names_what_it_wants() {
    for (text, expected) in [
        (
            "[]",
            "the whole file: it must be an object in { }, this is a list",
        ),
        (
            r#"{"listen":5000}"#,
            "listen: it must be a string, this is a whole number: put it in quotes",
        ),
        (
            r#"{"listen":":80"}"#,
            "write 127.0.0.1:80, or 0.0.0.0:80 for every address",
        ),
        (r#"{"listen":null}"#, "leave the key out for its default"),
        (r#"{"data":""}"#, "data: it must not be empty"),
        (
            r#"{"data":"a\u0000b"}"#,
            "data: a file name cannot hold a NUL character",
        ),
        (r#"{"log":"inof"}"#, "log: \"inof\" is no log level"),
        (
            r#"{"log_format":"xml"}"#,
            "log_format: it must be one of text, json, this is \"xml\"",
        ),
        (
            r#"{"ambiguous_amounts":true}"#,
            "ambiguous_amounts: it must be a string, this is a boolean",
        ),
        (r#"{"unique_amount_cap":0.01}"#, "put it in quotes"),
        (
            r#"{"unique_amount_cap":"0"}"#,
            "it must be from 0.000001 to 1.0, this is \"0\"",
        ),
        (
            r#"{"unique_amount_cap":"0.0000001"}"#,
            "it has more than 6 digits after the point",
        ),
        (
            r#"{"unique_amount_cap":"-1"}"#,
            "it must be from 0.000001 to 1.0",
        ),
        (
            r#"{"polling_interval_seconds":0}"#,
            "it must be from 0.1 to 3600, this is 0",
        ),
        (
            r#"{"polling_interval_seconds":"3"}"#,
            "write it without quotes",
        ),
        (
            r#"{"grace_seconds":-1}"#,
            "it must be from 0 to 2592000, this is -1",
        ),
        (
            r#"{"grace_seconds":18446744073709551616}"#,
            "beyond 64 bits",
        ),
        (
            r#"{"retention_days":18446744073709551615}"#,
            "it must be from 1 to 3650",
        ),
        (
            r#"{"allow_unauthenticated":"true"}"#,
            "it must be true or false, this is \"true\"",
        ),
        (
            r#"{"allow_unauthenticated":1}"#,
            "it must be true or false, this is a whole number",
        ),
        (
            r#"{"default_expires_in_seconds":7200,"max_expires_in_seconds":3600}"#,
            "default_expires_in_seconds: it is more than max_expires_in_seconds (3600)",
        ),
        (
            r#"{"chains":[]}"#,
            "chains: it must have 1 to 16 items, this has 0",
        ),
        (
            r#"{"chains":[{"endpoints":[]}]}"#,
            "chains[0].endpoints: it must have 1 to 16 items",
        ),
        (
            r#"{"chains":[{"confirmations":"solid"}]}"#,
            "it must be \"final\" or a number of blocks from 1 to 1000",
        ),
        (
            r#"{"chains":[{"kind":"evm"}]}"#,
            "chains[0].kind: it must be one of tron, this is \"evm\"",
        ),
        (
            r#"{"chains":[{"endpoints":[{"url":"http://localhost:1"},{"url":"http://localhost:1/"}]}]}"#,
            "chains[0].endpoints[1]: it is the same as chains[0].endpoints[0]",
        ),
        (
            r#"{"allowed_origins":"https://a.example"}"#,
            "it must be a list, this is a string: put it in [ ]",
        ),
        (
            r#"{"allowed_origins":["https://a.example","https://A.example:443"]}"#,
            "allowed_origins[1]: it is the same as allowed_origins[0]",
        ),
        (
            r#"{"public_url":"pay.example"}"#,
            "public_url: it must start with https:// or http://",
        ),
        (
            "{\"a\\u001b[2Jb\":1}",
            "[\"a\\u{1b}[2Jb\"]: there is no such key here",
        ),
    ] {
        assert_only_mistake(text, expected);
    }
}

#[test]
fn no_value_panics_anywhere_and_blame_stays_at_its_place() {
    let whole: serde_json::Value = serde_json::from_str(EXAMPLE).expect("JSON");
    let long = "9".repeat(5_000);
    let odd = serde_json::json!([
        null, true, false, -1, 0, 1, 1.5, 1e300, i64::MIN, u64::MAX, "", " ", "\u{0}", "T", "whsec_", "https://", "1e999", long,
        [], [[]], [null], [""], [{}], {}, {"": {}}, {"a": [1]}
    ]);
    for object in ["", "/chains/0", "/chains/0/endpoints/0"] {
        for key in keys(&whole, object) {
            for value in odd.as_array().expect("a list") {
                let mut changed = whole.clone();
                changed.pointer_mut(object).expect(object)[&key] = value.clone();
                let Err(errors) = load(&changed.to_string(), &[]) else {
                    continue;
                };
                let place = format!(
                    "{}.{key}",
                    object[1.min(object.len())..]
                        .replace("/0", "[0]")
                        .replace('/', ".")
                );
                let place = place.trim_start_matches('.');
                for mistake in errors.mistakes {
                    assert!(mistake.to_string().starts_with(place), "{place}: {mistake}");
                }
            }
        }
    }
}

#[test]
fn check_config_answers_with_text_and_exit_code() {
    let fine = check_report(&load(
        EXAMPLE,
        &[("PAYBELL_X", "1"), ("TRONGRID_API_KEY", "k")],
    ));
    assert_eq!(fine.exit_code, 0);
    assert_eq!(
        fine.stderr,
        "warning: PAYBELL_X: unknown variable, ignored\n"
    );
    for part in [
        "listen             127.0.0.1:5000 (this machine only)",
        "with an API key, 12 requests/s, 95000 a day",
        "at most 0.01 USDT",
    ] {
        assert!(fine.stdout.contains(part), "{part}\n{}", fine.stdout);
    }
    assert!(fine.stdout.lines().all(|line| line.len() < 160));
    let wrong = check_report(&load(r#"{"lisen":1,"retention_days":0}"#, &[]));
    assert_eq!((wrong.exit_code, wrong.stdout.as_str()), (2, ""));
    assert!(
        wrong
            .stderr
            .starts_with("2 mistakes in the configuration (")
    );
    let keys: Vec<String> = (0..150).map(|n| format!("\"x{n}\":1")).collect();
    let many = check_report(&load(&format!("{{{}}}", keys.join(",")), &[]));
    assert!(
        many.stderr.contains("\n  x1: there is no such key here\n")
            && many.stderr.contains("\n  and 50 more\n"),
        "{}",
        many.stderr
    );
}
