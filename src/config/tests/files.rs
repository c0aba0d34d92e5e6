//! Files: the example, what is read into which type, and files that cannot be used.

use super::*;

#[test]
fn the_example_shows_every_key_with_its_default() {
    assert_eq!(good(EXAMPLE, &[]), Config::default());
    assert_eq!(good("{}", &[]), Config::default());
    let environment = Environment::default();
    let mut checker = Checker::new(&environment);
    read_config(
        &Tree::parse(EXAMPLE.as_bytes()).expect("JSON"),
        &mut checker,
    );
    assert_eq!(checker.absent, [], "keys that the example does not show");
}

#[test]
fn every_key_of_the_example_may_be_left_out_except_an_endpoints_url() {
    let whole: serde_json::Value = serde_json::from_str(EXAMPLE).expect("JSON");
    let mut without_default = Vec::new();
    for object in ["", "/chains/0", "/chains/0/endpoints/0"] {
        for key in keys(&whole, object) {
            let mut less = whole.clone();
            less.pointer_mut(object)
                .expect(object)
                .as_object_mut()
                .expect(object)
                .remove(&key);
            match load(&less.to_string(), &[]) {
                Ok(loaded) => assert_eq!(loaded.config, Config::default(), "{key}"),
                Err(_) => without_default.push(key),
            }
        }
    }
    assert_eq!(without_default, ["url"]);
}

#[test]
fn a_full_file_is_read_into_types() {
    let config = good(
        r#"{"listen":"[::1]:8080","data":"/var/lib/paybell/db","public_url":"https://pay.example/hub/","allowed_origins":["https://shop.example"],
        "chains":[{"name":"main","endpoints":[{"url":"https://a.example/k/","api_key":"one","requests_per_second":3,"requests_per_day":1000}],
                   "contract":"TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf","confirmations":19,"slot_ms":1000},
                  {"name":"second","endpoints":[{"url":"http://localhost:9090"}]}],
        "webhook_secrets":["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],"allow_insecure_callbacks":true,"allow_private_callbacks":true,
        "ambiguous_amounts":"oldest_first","unique_amount_cap":"0.5","polling_interval_seconds":2.5,"log":"warn","log_format":"json",
        "grace_seconds":0,"retention_days":7,"drain_seconds":0,"store_cache_mb":64,"default_expires_in_seconds":900,"max_expires_in_seconds":3600}"#,
        &[],
    );
    assert_eq!(config.listen.to_string(), "[::1]:8080");
    assert_eq!(
        config.public_url.expect("a URL").as_str(),
        "https://pay.example/hub"
    );
    assert_eq!(config.allowed_origins[0].as_str(), "https://shop.example");
    let main = &config.chains[0];
    assert_eq!(main.name.as_str(), "main");
    assert_eq!(main.confirmations, Confirmations::Blocks(19));
    assert_eq!(main.slot, Duration::from_secs(1));
    assert_eq!(main.endpoints[0].url.expose(), "https://a.example/k");
    assert_eq!(
        main.endpoints[0].api_key.as_ref().expect("a key").expose(),
        "one"
    );
    assert_eq!(config.chains[1].endpoints[0].requests_per_day, 95_000);
    assert_eq!(config.webhook_secrets[0].expose(), SECRET);
    assert_eq!(config.callbacks.schemes, CallbackSchemes::HttpToo);
    assert_eq!(config.callbacks.networks, CallbackNetworks::PrivateToo);
    assert_eq!(config.ambiguous_amounts, AmbiguousAmounts::OldestFirst);
    assert_eq!(config.unique_amount_cap.base_units(), 500_000);
    assert_eq!(config.polling_interval, Some(Duration::from_millis(2_500)));
    assert_eq!(config.retention, Duration::from_secs(7 * 86_400));
    assert_eq!(
        (config.grace, config.drain),
        (Duration::ZERO, Duration::ZERO)
    );
}

#[test]
fn files_that_cannot_be_used_say_why() {
    assert_only_mistake(
        "{\n  \"listen\": }",
        "is not JSON: expected value at line 2 column 13",
    );
    assert_only_mistake("{\"a\": 1,}", "trailing comma at line 1 column 9");
    assert_only_mistake("", "is not JSON");
    assert_only_mistake(
        &" ".repeat((load::MAX_FILE_BYTES + 1) as usize),
        "has more than 1048576 bytes",
    );
    let broken = mistakes(
        "{",
        &[("PAYBELL_LISTEN", "nowhere"), ("PAYBELL_LOG", "loud")],
    );
    assert_eq!(
        broken.len(),
        3,
        "the environment is checked all the same: {broken:#?}"
    );
}

#[test]
fn a_named_file_must_exist_and_config_json_need_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let none = Environment::new(NO_VARIABLES);
    let named = load_in(folder.path(), Some(Path::new("mine.json")), &none).expect_err("missing");
    assert!(matches!(named.mistakes[..], [Mistake::Unreadable { .. }]));
    let absent = load_in(folder.path(), None, &none).expect("defaults");
    assert_eq!(
        (absent.config, absent.origin),
        (Config::default(), Origin::Defaults)
    );
    let path = folder.path().join("config.json");
    std::fs::write(&path, r#"{"retention_days":5}"#).expect("written");
    let present = load_in(folder.path(), None, &none).expect("found");
    assert_eq!(present.config.retention, Duration::from_secs(5 * 86_400));
    assert_eq!(present.origin, Origin::File(path));
    let at_a_folder = load_in(folder.path(), Some(Path::new("")), &none);
    assert!(at_a_folder.is_err(), "a folder is no file");
}
