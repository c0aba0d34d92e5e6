//! "Did you mean": the known name closest to a misspelt one.
//!
//! Refuses far-fetched guesses: more than one edit in three characters is no misspelling.

/// The candidate that `name` was probably meant to be. Case, `-`, `_` and spaces do not count.
pub(super) fn closest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let name = squash(name);
    candidates
        .iter()
        .map(|candidate| (edits(&name, &squash(candidate)), *candidate))
        .filter(|(edits, candidate)| *edits <= (candidate.len() / 3).max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Longest name compared, in characters; no known name comes near it.
const MAX_COMPARED_CHARS: usize = 64;

fn squash(name: &str) -> Vec<char> {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .take(MAX_COMPARED_CHARS)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Insertions, deletions and replacements between two texts (Levenshtein).
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_recognised_and_far_ones_are_not() {
        let keys = ["listen", "data", "api_key", "retention_days", "url"];
        for (written, meant) in [
            ("lisen", "listen"),
            ("Listen", "listen"),
            ("apiKey", "api_key"),
            ("api-key", "api_key"),
            ("retention_day", "retention_days"),
            ("uri", "url"),
        ] {
            assert_eq!(closest(written, &keys), Some(meant));
        }
        for far in ["", "port", "colour", "xyz", &"listen".repeat(50_000)] {
            assert_eq!(closest(far, &keys), None, "{far:.20}");
        }
    }
}
