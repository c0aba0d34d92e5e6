//! The configuration: a file's text, and behind a NUL byte variables, one `NAME=value` a line.
//!
//! It is read or refused, never a panic. Every mistake and every warning has a place and words; a secret of the file is
//! in none of them, nor in what `Debug` and the summary show; what is accepted keeps its own limits.

use std::io::Write;
use std::path::PathBuf;
use std::sync::LazyLock;

use paybell::config::report::{check_report, summary};
use paybell::config::{
    Config, ConfigErrors, Environment, KeylessAccess, KeysConfigured, Loaded, PublicUrl,
};

/// Secrets of the seeds: where one of them is read, it must not be shown.
const MARK: &str = "SECRETsecretSECRETsecret";

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder"));

pub fn target(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let variables = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let environment = Environment::new(variables);
    let file = write(text);
    let loaded = Config::load(Some(&file), &environment);
    // Writing over it would have some file systems flush it each time, a hundred times slower.
    std::fs::remove_file(&file).expect("removed");
    match &loaded {
        Ok(loaded) => is_sound(loaded),
        Err(errors) => is_told(errors),
    }
    let accepted = loaded.is_ok();
    let report = check_report(&loaded);
    assert_eq!(report.exit_code == 0, accepted, "{}", report.stderr);
    assert!(!report.stdout.contains(MARK), "{}", report.stdout);
}

/// The threads of a test run have a file each.
fn write(text: &[u8]) -> PathBuf {
    let name = format!("{:?}.json", std::thread::current().id());
    let path = FOLDER.path().join(name);
    let mut file = std::fs::File::create(&path).expect("a file");
    file.write_all(text).expect("written");
    path
}

fn is_sound(loaded: &Loaded) {
    let config = &loaded.config;
    assert!(!config.chains.is_empty());
    assert!(config.default_expiry <= config.max_expiry);
    let bind = config.check_bind(KeysConfigured::None);
    let is_open = config.keyless == KeylessAccess::AnyAddress;
    let is_private = config
        .public_url
        .as_ref()
        .is_none_or(PublicUrl::is_loopback);
    let is_near = config.listen.ip().to_canonical().is_loopback() && is_private;
    assert_eq!(
        bind.is_ok(),
        is_open || is_near,
        "who reaches a hub without keys"
    );
    let mut names: Vec<String> = config
        .chains
        .iter()
        .map(|c| format!("{:?}", c.name))
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), config.chains.len(), "two chains have one name");
    let shown = format!("{config:?}\n{}", summary(loaded));
    for secret in &config.webhook_secrets {
        assert!(
            !shown.contains(secret.expose()),
            "a secret is shown: {shown}"
        );
    }
    for warning in &loaded.warnings {
        assert!(!warning.place.to_string().is_empty() && !warning.text.is_empty());
    }
}

fn is_told(errors: &ConfigErrors) {
    assert!(!errors.mistakes.is_empty());
    for mistake in &errors.mistakes {
        let shown = mistake.to_string();
        let (place, what) = shown.split_once(": ").unwrap_or((&shown, "it is told"));
        assert!(!place.is_empty() && !what.is_empty(), "{shown}");
        assert!(
            !shown.chars().any(|c| c.is_control()),
            "a terminal would obey {shown:?}"
        );
    }
}
