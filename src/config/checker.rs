//! Walks a tree key by key and collects every mistake instead of stopping at the first.
//!
//! Refuses unknown and repeated keys. Knows no setting: those are in `read`.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::environment::{Environment, Variable};
use super::mistake::{Mistake, Place, Problem, Warning};
use super::spelling::closest;
use super::tree::Tree;

/// What a walk found so far, and the environment that overrides the file.
pub(super) struct Checker<'e> {
    pub environment: &'e Environment,
    pub mistakes: Vec<Mistake>,
    pub warnings: Vec<Warning>,
    /// Keys that were asked for and not written; the example file must leave none.
    pub absent: Vec<Place>,
}

impl<'e> Checker<'e> {
    pub(super) fn new(environment: &'e Environment) -> Self {
        Self {
            environment,
            mistakes: Vec::new(),
            warnings: environment.warnings(),
            absent: Vec::new(),
        }
    }

    pub(super) fn wrong(&mut self, place: Place, problem: Problem) {
        self.mistakes.push(Mistake::Setting { place, problem });
    }

    pub(super) fn warn(&mut self, place: Place, text: impl Into<String>) {
        let text = text.into();
        self.warnings.push(Warning { place, text });
    }

    /// Whether nothing is wrong at this very place so far.
    pub(super) fn is_clean(&self, place: &Place) -> bool {
        !self.mistakes.iter().any(|mistake| mistake.is_at(place))
    }

    /// The value, or nothing and a mistake noted.
    pub(super) fn take<T>(&mut self, place: &Place, outcome: Result<T, Problem>) -> Option<T> {
        outcome
            .map_err(|problem| self.wrong(place.clone(), problem))
            .ok()
    }

    /// Reads an overriding variable, when it is set.
    pub(super) fn variable<T>(
        &mut self,
        variable: Variable,
        read: impl FnOnce(&Place, &Tree, &mut Self) -> Option<T>,
    ) -> Option<T> {
        let place = Place::variable(variable.name);
        match self.environment.tree(variable)? {
            Ok(tree) => read(&place, &tree, self),
            Err(_) => self.take(&place, Err(Problem::NotUnicode)),
        }
    }

    /// Reads every item of a list of `count` items, each with its place.
    pub(super) fn items<T>(
        &mut self,
        place: &Place,
        tree: &Tree,
        count: RangeInclusive<usize>,
        mut read_item: impl FnMut(&Place, &Tree, &mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Tree::List(items) = tree else {
            return self.take(place, Err(wrong_type("a list", tree)));
        };
        if !count.contains(&items.len()) {
            let (least, most) = count.into_inner();
            let found = items.len();
            return self.take(place, Err(Problem::ItemCount { least, most, found }));
        }
        let places = (0..).map(|index| place.item(index));
        let read = items.iter().zip(places);
        Some(
            read.filter_map(|(item, place)| read_item(&place, item, self))
                .collect(),
        )
    }
}

pub(super) fn wrong_type(wanted: impl Into<String>, found: &Tree) -> Problem {
    Problem::WrongType {
        wanted: wanted.into(),
        found: found.kind(),
    }
}

/// One object of the file, being asked for its keys.
pub(super) struct Section<'t> {
    place: Place,
    entries: &'t [(String, Tree)],
    asked: Vec<&'static str>,
}

impl<'t> Section<'t> {
    pub(super) fn open(place: &Place, tree: &'t Tree, checker: &mut Checker) -> Option<Self> {
        let Tree::Section(entries) = tree else {
            return checker.take(place, Err(wrong_type("an object in { }", tree)));
        };
        Some(Self::of(place.clone(), entries))
    }

    /// As [`Section::open`]; anything but an object is noted and reads as an empty one.
    pub(super) fn open_or_empty(place: &Place, tree: &'t Tree, checker: &mut Checker) -> Self {
        Self::open(place, tree, checker).unwrap_or_else(|| Self::of(place.clone(), &[]))
    }

    const fn of(place: Place, entries: &'t [(String, Tree)]) -> Self {
        Self {
            place,
            entries,
            asked: Vec::new(),
        }
    }

    pub(super) fn place_of(&self, key: &str) -> Place {
        self.place.key(key)
    }

    /// The key's value and place, if it is written.
    pub(super) fn find(
        &mut self,
        key: &'static str,
        checker: &mut Checker,
    ) -> Option<(Place, &'t Tree)> {
        self.asked.push(key);
        let place = self.place.key(key);
        match self.entries.iter().find(|(name, _)| name == key) {
            Some((_, tree)) => Some((place, tree)),
            None => {
                checker.absent.push(place);
                None
            }
        }
    }

    /// The key's value as `read` takes it; nothing when it is absent or wrong.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        checker: &mut Checker,
        read: impl FnOnce(&Tree) -> Result<T, Problem>,
    ) -> Option<T> {
        let (place, tree) = self.find(key, checker)?;
        checker.take(&place, read(tree))
    }

    /// As [`Section::get`], for a key without a default; `example` is JSON.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        example: &'static str,
        checker: &mut Checker,
        read: impl FnOnce(&Tree) -> Result<T, Problem>,
    ) -> Option<T> {
        match self.find(key, checker) {
            Some((place, tree)) => checker.take(&place, read(tree)),
            None => checker.take(&self.place.key(key), Err(Problem::Missing { example })),
        }
    }

    /// As [`Section::get`], and a variable that is set wins over the file. Both are checked.
    pub(super) fn get_or_env<T>(
        &mut self,
        key: &'static str,
        variable: Variable,
        checker: &mut Checker,
        read: impl Fn(&Tree) -> Result<T, Problem>,
    ) -> Option<T> {
        let written = self.get(key, checker, &read);
        let overriding = checker.variable(variable, |place, tree, checker| {
            checker.take(place, read(tree))
        });
        overriding.or(written)
    }

    /// Refuses what was written and never asked for, and what was written twice.
    pub(super) fn close(self, checker: &mut Checker) {
        let mut listed = Listed::NotYet;
        let mut times: HashMap<&str, usize> = HashMap::new();
        for (key, _) in self.entries {
            let seen = times.entry(key).or_default();
            *seen += 1;
            match *seen {
                1 if self.asked.contains(&key.as_str()) => {}
                1 => checker.wrong(self.place.key(key), self.unknown(key, &mut listed)),
                2 => checker.wrong(self.place.key(key), Problem::DuplicateKey),
                _ => {}
            }
        }
    }

    /// The known keys are listed once an object, not behind every unknown one.
    fn unknown(&self, key: &str, listed: &mut Listed) -> Problem {
        if let Some(closest) = closest(key, &self.asked) {
            return Problem::Misspelt { closest };
        }
        match std::mem::replace(listed, Listed::Already) {
            Listed::NotYet => Problem::UnknownKey {
                keys: self.asked.clone(),
            },
            Listed::Already => Problem::AnotherUnknownKey,
        }
    }
}

/// Whether an error of this object has listed the known keys.
enum Listed {
    NotYet,
    Already,
}
