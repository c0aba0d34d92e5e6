//! The fuzz targets of `tests/fuzz` on stable Rust: each over its whole corpus, then over mutations of it.
//!
//! The mutations come from a seed, another one each time; a failure prints it (`FUZZ_SEED` repeats the run) and keeps the
//! input in a file, which belongs into the corpus once its cause is mended. The corpus holds what cargo-fuzz found worth
//! keeping and every input that ever broke a target.

#[path = "fuzz/src/lib.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use fastrand::Rng;
use targets::TARGETS;

/// Mutated inputs of one target.
const CASES: usize = 20_000;
/// No mutation grows beyond this; bytes.
const MAX_INPUT_BYTES: usize = 8 * 1024;
/// Mutations of one input at most.
const MAX_CHANGES: usize = 6;
/// The whole corpus stays small enough to be read by people; bytes.
const MAX_CORPUS_BYTES: u64 = 1024 * 1024;
/// Pieces that parsers trip over.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"-0",
    b"1e-7",
    b"1e400",
    b"18446744073709551616",
    b"340282366920938463463374607431768211456",
    b"\xff",
    b"\0",
    b"\xe2\x80\x8b",
    b"0x",
    b"41",
    b"@",
    b"[::ffff:7f00:1]",
    b"..",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The files of a target's corpus, in the order of their names.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = folder().join("corpus").join(target);
    let listed = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = listed
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).expect("a seed");
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Changes an input in a few places.
fn mutate(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..rng.usize(1..=MAX_CHANGES) {
        let at = rng.usize(..=input.len());
        let end = rng.usize(at..=input.len().min(at + 32));
        match rng.u8(..8) {
            0 => drop(input.drain(at..end)),
            1 => drop(input.splice(at..at, PIECES[rng.usize(..PIECES.len())].iter().copied())),
            2 => drop(input.splice(at..end, PIECES[rng.usize(..PIECES.len())].iter().copied())),
            3 => {
                let again = input[at..end].to_vec();
                drop(input.splice(at..at, again));
            }
            4 => {
                let from = rng.usize(..=other.len());
                let to = rng.usize(from..=other.len());
                drop(input.splice(at..end, other[from..to].iter().copied()));
            }
            5 => input.truncate(at),
            6 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
            _ if at < input.len() => input[at] = rng.u8(b' '..=b'~'),
            _ => input.push(rng.u8(..)),
        }
        input.truncate(MAX_INPUT_BYTES);
    }
}

/// Runs a target, and keeps the input where it breaks.
fn run(name: &str, target: fn(&[u8]), input: &[u8], from: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
        std::fs::write(&kept, input).expect("written");
        panic!(
            "{name} breaks on {from}; the input, kept in {}, is {:?}",
            kept.display(),
            String::from_utf8_lossy(input)
        );
    }
}

fn seed() -> u64 {
    let given = std::env::var("FUZZ_SEED").ok();
    given
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..))
}

fn replay(wanted: &str) {
    let (name, target) = TARGETS
        .iter()
        .find(|(name, _)| *name == wanted)
        .expect("a target");
    let (seed, started) = (seed(), Instant::now());
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for (path, input) in &corpus {
        run(name, *target, input, &path.display().to_string());
    }
    let mut rng = Rng::with_seed(seed);
    for _ in 0..CASES {
        let [mut input, other] = [(); 2].map(|()| corpus[rng.usize(..corpus.len())].1.clone());
        mutate(&mut input, &other, &mut rng);
        run(
            name,
            *target,
            &input,
            &format!("a mutation by FUZZ_SEED={seed}"),
        );
    }
    println!(
        "{name}: {} files, {CASES} mutations, {:?}",
        corpus.len(),
        started.elapsed()
    );
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

replays! {
    account_key address amount api_key callback_url client_token configuration handshake json_rpc payment_body
    socket_frame tron_header tron_infos
}

/// A target without its test, its binary or its seeds would be fuzzed by nobody.
#[test]
fn every_target_is_replayed_built_and_seeded() {
    let manifest = std::fs::read_to_string(folder().join("Cargo.toml")).expect("a manifest");
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, REPLAYED);
    let mut bytes = 0;
    for name in names {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} has no binary"
        );
        let binary = std::fs::read_to_string(folder().join(format!("fuzz_targets/{name}.rs")));
        assert!(
            binary
                .expect("a binary")
                .contains(&format!("{name}::target")),
            "{name}"
        );
        bytes += corpus(name)
            .iter()
            .map(|(_, input)| input.len() as u64)
            .sum::<u64>();
    }
    assert!(bytes < MAX_CORPUS_BYTES, "the corpus has {bytes} bytes");
}
