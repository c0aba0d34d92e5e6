//! Environment variables: what they override, and what is said about wrong and unknown ones.

use super::*;

#[test]
fn variables_override_the_file() {
    let variables = [
        ("PAYBELL_LISTEN", "127.0.0.1:1"),
        ("PAYBELL_DATA", "elsewhere"),
        ("PAYBELL_LOG", "debug"),
        ("PAYBELL_LOG_FORMAT", "json"),
        ("POLLING_INTERVAL_SECONDS", "10"),
        (
            "PAYBELL_WEBHOOK_SECRETS",
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD, whsec_AAFVsBQIhrscChlQIMV+b5sSYspob7oD",
        ),
        ("PAYBELL_ALLOW_UNAUTHENTICATED", "true"),
        ("PAYBELL_ALLOW_INSECURE_CALLBACKS", "true"),
        ("PAYBELL_ALLOW_PRIVATE_CALLBACKS", "false"),
    ];
    let config = good(
        r#"{"listen":"127.0.0.1:2","polling_interval_seconds":1,"allow_private_callbacks":true}"#,
        &variables,
    );
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.data, Path::new("elsewhere"));
    assert_eq!(config.log.filter.to_string(), "debug");
    assert_eq!(config.log.format, crate::logging::LogFormat::Json);
    assert_eq!(config.polling_interval, Some(Duration::from_secs(10)));
    assert_eq!(config.webhook_secrets.len(), 2);
    assert_eq!(config.keyless, KeylessAccess::AnyAddress);
    assert_eq!(config.callbacks.schemes, CallbackSchemes::HttpToo);
    assert_eq!(config.callbacks.networks, CallbackNetworks::PublicOnly);
    let unset = good(r#"{"listen":"127.0.0.1:2"}"#, &[("PAYBELL_LISTEN", "")]);
    assert_eq!(unset.listen.port(), 2, "an empty variable counts as unset");
}

#[test]
fn wrong_variables_are_named() {
    for (name, value, expected) in [
        (
            "PAYBELL_LISTEN",
            "x",
            "PAYBELL_LISTEN: it is not an address to listen on",
        ),
        (
            "POLLING_INTERVAL_SECONDS",
            "soon",
            "POLLING_INTERVAL_SECONDS: it must be a number of seconds from 0.1 to 3600",
        ),
        (
            "POLLING_INTERVAL_SECONDS",
            "-3",
            "it must be from 0.1 to 3600, this is -3",
        ),
        (
            "POLLING_INTERVAL_SECONDS",
            "NaN",
            "it must be from 0.1 to 3600",
        ),
        (
            "PAYBELL_WEBHOOK_SECRETS",
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD,hunter2",
            "PAYBELL_WEBHOOK_SECRETS[1]: it must start with whsec_",
        ),
        (
            "TRONGRID_API_KEY",
            "hunter2 hunter2",
            "TRONGRID_API_KEY: an API key has no spaces",
        ),
    ] {
        let found = mistakes("{}", &[(name, value)]);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].contains(expected) && !found[0].contains("hunter2"),
            "{}",
            found[0]
        );
    }
    assert_eq!(
        good("{}", &[("POLLING_INTERVAL_SECONDS", "0.5")]).polling_interval,
        Some(Duration::from_millis(500))
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_named() {
    use std::os::unix::ffi::OsStringExt;
    let value = std::ffi::OsString::from_vec(vec![0xff]);
    let errors = load_in(
        Path::new("/nonexistent"),
        None,
        &Environment::new([("PAYBELL_DATA", value)]),
    );
    let text = errors.expect_err("not text").to_string();
    assert!(
        text.contains("PAYBELL_DATA: it is not UTF-8 text"),
        "{text}"
    );
}

#[test]
fn the_trongrid_key_goes_to_endpoints_without_one() {
    let variables = [("TRONGRID_API_KEY", "spare")];
    let key = |config: &Config, at: usize| {
        let key = config.chains[0].endpoints[at].api_key.as_ref();
        key.map(|key| key.expose().to_owned())
    };
    assert_eq!(key(&good("{}", &variables), 0).as_deref(), Some("spare"));
    assert_eq!(
        key(&good(r#"{"chains":[{}]}"#, &variables), 0).as_deref(),
        Some("spare")
    );
    let text = r#"{"chains":[{"endpoints":[{"url":"https://a.example"},{"url":"https://b.example","api_key":""},
                  {"url":"https://c.example","api_key":"own"},{"url":"https://d.example","api_key":null}]}]}"#;
    let config = good(text, &variables);
    let keys: Vec<_> = (0..4).map(|at| key(&config, at)).collect();
    let spare = Some("spare".to_owned());
    assert_eq!(keys, [spare.clone(), spare, Some("own".into()), None]);
}

#[test]
fn odd_but_workable_settings_are_warned_about() {
    let key = [("TRONGRID_API_KEY", "spare")];
    let elsewhere = warnings(
        r#"{"chains":[{"endpoints":[{"url":"https://a.example/x"}]}]}"#,
        &key,
    );
    assert!(elsewhere[0].starts_with("chains[0].endpoints[0].api_key: TRONGRID_API_KEY is sent to https://a.example/..., which is not TronGrid"));
    let plain = warnings(
        r#"{"chains":[{"endpoints":[{"url":"http://a.example","api_key":"k"}]}]}"#,
        &[],
    );
    assert!(plain[0].contains("readable over the network"), "{plain:?}");
    let test_network = warnings(
        r#"{"chains":[{"endpoints":[{"url":"https://nile.trongrid.io"}]}]}"#,
        &key,
    );
    assert!(
        test_network[0].starts_with("chains[0].contract: "),
        "{test_network:?}"
    );
    let keyless = warnings("{}", &[]);
    assert!(
        keyless[0].contains("about 3 requests a second"),
        "{keyless:?}"
    );
    let fine = r#"{"chains":[{"endpoints":[{"url":"http://127.0.0.1:9090","api_key":"k"},{"url":"https://api.trongrid.io"}]}]}"#;
    assert_eq!(warnings(fine, &key), Vec::<String>::new());
    let unknown = warnings(fine, &[("TRONGRID_API_KEY", "k2"), ("PAYBELL_LISTN", "1")]);
    assert_eq!(
        unknown,
        ["PAYBELL_LISTN: unknown variable, ignored; did you mean PAYBELL_LISTEN?"]
    );
}
