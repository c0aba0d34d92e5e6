//! The configuration as its users meet it: files, variables, and the exact words of what is wrong.

mod files;
mod safety;
mod variables;
mod wallets;
mod words;

use std::path::Path;
use std::time::Duration;

use super::checker::Checker;
use super::load::load_in;
use super::read::read_config;
use super::report::check_report;
use super::tree::Tree;
use super::*;

const EXAMPLE: &str = include_str!("../../../config.example.json");
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const NO_VARIABLES: [(&str, &str); 0] = [];

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigErrors> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.json");
    std::fs::write(&path, text).expect("written");
    Config::load(Some(&path), &Environment::new(variables.iter().copied()))
}

fn good(text: &str, variables: &[(&str, &str)]) -> Config {
    load(text, variables).expect(text).config
}

/// Every mistake's text, in order.
fn mistakes(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let errors = load(text, variables).expect_err(text);
    errors.mistakes.iter().map(ToString::to_string).collect()
}

fn warnings(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let loaded = load(text, variables).expect(text);
    loaded.warnings.iter().map(ToString::to_string).collect()
}

fn keys(whole: &serde_json::Value, object: &str) -> Vec<String> {
    let object = whole.pointer(object).and_then(|object| object.as_object());
    object.expect("an object").keys().cloned().collect()
}

fn assert_only_mistake(text: &str, expected: &str) {
    let found = mistakes(text, &[]);
    assert_eq!(found.len(), 1, "{text}: {found:#?}");
    assert!(found[0].contains(expected), "{text}: {}", found[0]);
}
