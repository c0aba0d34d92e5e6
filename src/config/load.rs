//! From a file name and the environment to a checked `Config`, or to every mistake in it.
//!
//! Refuses a file that was named and is missing. Writes nothing, logs nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Config;
use super::checker::Checker;
use super::environment::Environment;
use super::mistake::{ConfigErrors, Mistake, Warning};
use super::read::{check_together, read_config};
use super::tree::Tree;

/// What is read when no file is named, if it is there.
pub const DEFAULT_FILE: &str = "config.json";
/// Longest configuration file, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where the settings came from, the environment aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    /// No file was named and there is no `config.json`.
    Defaults,
}

/// A configuration without mistakes.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub origin: Origin,
    pub warnings: Vec<Warning>,
}

impl Config {
    /// Reads `path`, or `config.json` in the working directory if there is one, or the defaults;
    /// variables override what is written.
    ///
    /// # Errors
    /// Every mistake at once, of the file and of the environment.
    pub fn load(path: Option<&Path>, environment: &Environment) -> Result<Loaded, ConfigErrors> {
        load_in(Path::new(""), path, environment)
    }
}

impl Config {
    /// The defaults, overridden by variables only: what needs no file does not look for one.
    ///
    /// # Errors
    /// Every mistake of the environment at once.
    pub fn of_environment(environment: &Environment) -> Result<Loaded, ConfigErrors> {
        check(
            Tree::Section(Vec::new()),
            Origin::Defaults,
            Checker::new(environment),
        )
    }
}

pub(super) fn load_in(
    directory: &Path,
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Loaded, ConfigErrors> {
    let mut checker = Checker::new(environment);
    let mut origin = Origin::Defaults;
    let mut tree = Tree::Section(Vec::new());
    match read_file(directory, path) {
        Ok(Some((read, from))) => (tree, origin) = (read, Origin::File(from)),
        Ok(None) => {}
        Err(mistake) => checker.mistakes.push(mistake),
    }
    check(tree, origin, checker)
}

fn check(tree: Tree, origin: Origin, mut checker: Checker<'_>) -> Result<Loaded, ConfigErrors> {
    let file_is_known = checker.mistakes.is_empty();
    let config = read_config(&tree, &mut checker);
    if file_is_known {
        check_together(&config, &mut checker);
    } else {
        // Advice on settings that nobody has read would mislead.
        checker.warnings = checker.environment.warnings();
    }
    let Checker {
        mistakes, warnings, ..
    } = checker;
    if !mistakes.is_empty() {
        return Err(ConfigErrors {
            origin,
            mistakes,
            warnings,
        });
    }
    Ok(Loaded {
        config,
        origin,
        warnings,
    })
}

fn read_file(directory: &Path, path: Option<&Path>) -> Result<Option<(Tree, PathBuf)>, Mistake> {
    let at = directory.join(path.unwrap_or(Path::new(DEFAULT_FILE)));
    let text = match read_bounded(&at) {
        Ok(text) => text,
        Err(missing) if path.is_none() && missing.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(source) => return Err(Mistake::Unreadable { path: at, source }),
    };
    if text.len() as u64 > MAX_FILE_BYTES {
        let most_bytes = MAX_FILE_BYTES;
        return Err(Mistake::TooLarge {
            path: at,
            most_bytes,
        });
    }
    match Tree::parse(&text) {
        Ok(tree) => Ok(Some((tree, at))),
        Err(source) => Err(Mistake::Syntax { path: at, source }),
    }
}

/// At most one byte more than a configuration may have.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut text)?;
    Ok(text)
}
