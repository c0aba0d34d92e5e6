//! Readers for single values: a tree's leaf in, a typed value or the problem out.
//!
//! Refuses values of another type even where they could be converted. Knows no keys.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::checker::wrong_type;
use super::mistake::{Problem, quote};
use super::secret::SecretText;
use super::tree::Tree;
use crate::domain::amount::{Amount, AmountError, Decimals};

pub(super) fn text(tree: &Tree) -> Result<&str, Problem> {
    match tree {
        Tree::Text(text) => Ok(text),
        _ => Err(wrong_type("a string", tree)),
    }
}

/// `null` is nothing, anything else is read.
pub(super) fn optional<T>(
    tree: &Tree,
    read: impl FnOnce(&Tree) -> Result<T, Problem>,
) -> Result<Option<T>, Problem> {
    match tree {
        Tree::Null => Ok(None),
        _ => read(tree).map(Some),
    }
}

/// One of two values, by the JSON boolean that the file and the environment write.
pub(super) fn flag<T>(tree: &Tree, when_false: T, when_true: T) -> Result<T, Problem> {
    match tree {
        Tree::Flag(true) => Ok(when_true),
        Tree::Flag(false) => Ok(when_false),
        Tree::Text(text) => Err(Problem::NotAFlag { found: quote(text) }),
        _ => Err(wrong_type("true or false", tree)),
    }
}

pub(super) fn one_of<T: Copy>(tree: &Tree, allowed: &[(&'static str, T)]) -> Result<T, Problem> {
    let found = text(tree)?;
    let fits = allowed.iter().find(|(name, _)| *name == found);
    fits.map(|(_, value)| *value)
        .ok_or_else(|| Problem::NotOneOf {
            allowed: allowed.iter().map(|(name, _)| *name).collect(),
            found: quote(found),
        })
}

fn out_of_range(range: &RangeInclusive<impl Display>, found: impl Display) -> Problem {
    Problem::OutOfRange {
        least: range.start().to_string(),
        most: range.end().to_string(),
        found: found.to_string(),
    }
}

/// A whole number within `range`.
pub(super) fn whole<T>(tree: &Tree, range: RangeInclusive<T>) -> Result<T, Problem>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    let Tree::Whole(found) = tree else {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        return Err(wrong_type(wanted, tree));
    };
    let value = T::try_from(*found).ok();
    value
        .filter(|value| range.contains(value))
        .ok_or_else(|| out_of_range(&range, found))
}

/// A whole number of seconds within `range`.
pub(super) fn seconds(tree: &Tree, range: RangeInclusive<u64>) -> Result<Duration, Problem> {
    whole(tree, range).map(Duration::from_secs)
}

/// Seconds with up to three digits behind the point; finer ones are rounded to a millisecond.
pub(super) fn decimal_seconds(
    tree: &Tree,
    range: RangeInclusive<f64>,
) -> Result<Duration, Problem> {
    let found = match tree {
        Tree::Whole(whole) => *whole as f64,
        Tree::Fraction(fraction) => *fraction,
        _ => {
            let (least, most) = (range.start(), range.end());
            let wanted = format!("a number of seconds from {least} to {most}");
            return Err(wrong_type(wanted, tree));
        }
    };
    if !range.contains(&found) {
        return Err(out_of_range(&range, found));
    }
    Ok(Duration::from_millis((found * 1000.0).round() as u64))
}

pub(super) fn listen_address(tree: &Tree) -> Result<SocketAddr, Problem> {
    let text = text(tree)?;
    text.parse().map_err(|_| Problem::Listen {
        found: text.to_owned(),
    })
}

pub(super) fn file_path(tree: &Tree) -> Result<PathBuf, Problem> {
    match text(tree)? {
        "" => Err(Problem::Empty(": write a file name, such as paybell.redb")),
        name if name.contains('\0') => Err(Problem::FileName),
        name => Ok(PathBuf::from(name)),
    }
}

/// A node's key; an empty text is none.
pub(super) fn api_key(tree: &Tree) -> Result<Option<SecretText>, Problem> {
    SecretText::api_key(text(tree)?).map_err(Problem::Secret)
}

/// A USDT amount in quotes; quoted, because a JSON number would pass through a float.
pub(super) fn usdt(tree: &Tree, range: RangeInclusive<Amount>) -> Result<Amount, Problem> {
    let Tree::Text(text) = tree else {
        return Err(wrong_type("a decimal string such as \"0.01\"", tree));
    };
    let shown = |amount: &Amount| amount.to_decimal(Decimals::USDT_TRON);
    match Amount::parse(text, Decimals::USDT_TRON) {
        Ok(amount) if range.contains(&amount) => Ok(amount),
        Ok(_) | Err(AmountError::Negative | AmountError::TooLarge) => Err(Problem::OutOfRange {
            least: shown(range.start()),
            most: shown(range.end()),
            found: quote(text),
        }),
        Err(why) => Err(Problem::Amount(why)),
    }
}
