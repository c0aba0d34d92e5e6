//! What a good simulation must have seen: every kind of happening, and every outcome that is worth a proof.
//!
//! A simulation that never forks proves nothing, and nobody would notice when it stopped forking.

use std::collections::BTreeMap;

/// So many seeds the counts below are for; fewer are not held to them.
const PER_SEEDS: u64 = 1_000;

/// At least this often in that many seeds; about a third of what was counted when this was written.
const AT_LEAST: [(&str, u64); 78] = [
    ("a block denied that exists", 500),
    ("a block found by a search", 350),
    ("a branch adopted", 200),
    ("a chain held to its pace on its other node", 300),
    ("a commit that failed and yet is on disk", 15),
    ("a completion taken back", 80),
    ("a first start with payments waiting", 120),
    ("a fork more than ten deep", 300),
    ("a fork taken back", 800),
    ("a payment answered", 3_500),
    ("a payment refused", 1_000),
    ("a payment removed by the janitor", 100),
    ("a search not offered after all", 15),
    ("a socket resumed", 2_000),
    ("a span searched", 1_400),
    ("a webhook attempt failed", 800),
    ("a webhook given up", 80),
    ("a webhook heard again", 200),
    ("a well chain held to its pace", 1_200),
    ("action: adopt", 300),
    ("action: age past retention", 30),
    ("action: cancel", 300),
    ("action: clock jump", 150),
    ("action: create", 3_500),
    ("action: cut power", 250),
    ("action: fail disk", 80),
    ("action: fork", 1_000),
    ("action: kill", 300),
    ("action: long kill", 40),
    ("action: node mood", 1_200),
    ("action: nodes down", 100),
    ("action: nodes well", 600),
    ("action: pay", 5_000),
    ("action: pay a stranger", 350),
    ("action: pay in pieces", 700),
    ("action: receiver mood", 600),
    ("action: receivers well", 300),
    ("action: restart", 120),
    ("action: resume finality", 150),
    ("action: skip slots", 600),
    ("action: split", 350),
    ("action: stall finality", 120),
    ("completed at a depth", 600),
    ("completed when final", 900),
    ("end: drained", 250),
    ("end: killed", 500),
    ("end: killed for hours", 40),
    ("end: power cut", 500),
    ("events removed by the janitor", 80),
    ("logs not ready", 500),
    ("logs of another block", 1_000),
    ("node astray", 250),
    ("node behind", 120),
    ("node down", 120),
    ("node flaky", 120),
    ("node forgetful", 120),
    ("node hanging", 120),
    ("node stale", 120),
    ("node throttling", 120),
    ("node torn", 120),
    ("node well", 120),
    ("node's logs lag", 120),
    ("payment.cancelled", 200),
    ("payment.completed", 1_500),
    ("payment.created", 3_500),
    ("payment.detected", 2_000),
    ("payment.expired", 900),
    ("payment.late", 700),
    ("payment.mismatched", 1_500),
    ("payment.overpaid", 250),
    ("payment.reverted", 400),
    ("payment.underpaid", 40),
    ("transfer.unmatched", 5_000),
    ("unmatched: cancelled", 300),
    ("unmatched: early", 500),
    ("unmatched: extra", 1_500),
    ("unmatched: late", 700),
    ("unmatched: wrong amount", 3_000),
];

/// What was seen too seldom.
pub fn gaps(seen: &BTreeMap<&str, u64>, seeds: u64) -> Vec<String> {
    if seeds < PER_SEEDS {
        return Vec::new();
    }
    AT_LEAST
        .iter()
        .filter_map(|(what, least)| {
            let (least, count) = (
                least * seeds / PER_SEEDS,
                seen.get(what).copied().unwrap_or(0),
            );
            (count < least)
                .then(|| format!("{what}: {count} times, at least {least} were expected"))
        })
        .collect()
}
