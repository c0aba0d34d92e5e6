//! The floor plan of `lib.rs`, proved: imports point down only, the domain touches nothing impure, files say what
//! they own, and nothing is left behind.

use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules by floor; a module may import its own floor and those below.
const FLOORS: &[&[&str]] = &[
    &["domain", "clock", "shutdown"],
    &[
        "store", "chains", "index", "hub", "due_bell", "trends", "server",
    ],
    &["source", "sandbox"],
    &["ledger_task", "follower", "janitor", "key_uses", "entropy"],
    &["delivery"],
    &["api"],
    &["app", "listen", "config", "cli", "logging", "lib", "main"],
];

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() > 30, "the sources were not found");
    files
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(&root)
                .expect("below src")
                .display()
                .to_string();
            (name, fs::read_to_string(&path).expect("readable"))
        })
        .collect()
}

fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap_or(file)
}

/// The modules that a text names by `crate::` or `paybell::`, comments aside.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text
        .lines()
        .map(str::trim_start)
        .filter(|l| !l.starts_with("//"))
    {
        for piece in line.split("crate::").skip(1) {
            let name: String = piece
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            found.push(name);
        }
    }
    found
}

#[test]
fn imports_point_down_only() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let own = floor_of(module_of(&file)).unwrap_or_else(|| panic!("{file} stands on no floor"));
        for import in imports(&text) {
            match floor_of(&import) {
                Some(floor) if floor <= own => {}
                Some(_) => wrong.push(format!("{file} imports {import} from a floor above")),
                None if import.is_empty() => {}
                None => wrong.push(format!("{file} imports {import}, which stands on no floor")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_domain_is_pure() {
    let impure = [
        "tokio",
        "std::time::SystemTime",
        "std::time::Instant",
        "std::fs",
        "std::net",
        "serde",
        "rand",
        "getrandom",
        "redb",
        "reqwest",
        "warp",
        "tracing",
    ];
    for (file, text) in sources()
        .into_iter()
        .filter(|(file, _)| file.starts_with("domain/"))
    {
        for line in text.lines().filter(|l| !l.trim_start().starts_with("//")) {
            for name in impure {
                let used = line.trim_start().starts_with("use ") && line.contains(name);
                assert!(
                    !used && !line.contains(&format!("{name}::")),
                    "{file} uses {name}: {line}"
                );
            }
        }
    }
}

#[test]
fn every_file_says_what_it_owns() {
    for (file, text) in sources() {
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("//! ") && first.len() > 12,
            "{file} does not open with //!"
        );
    }
}

#[test]
fn nothing_is_left_behind() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    for (file, text) in sources() {
        for mark in marks {
            assert!(!text.contains(mark), "{file} holds {mark}");
        }
    }
}
