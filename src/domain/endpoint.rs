//! An account-wide webhook endpoint: what it wants to hear, what signs for it, and whether it is in use.
//!
//! Pure data and the decisions on one endpoint; what they mean for what is owed is `outbox`'s. Refuses to check URLs.

use super::delivery::Outcome;
use super::event::EventKind;
use super::ids::{EndpointId, UnixMs};
use super::signing_key::SigningKeys;

/// Characters of a description at most.
pub const MAX_DESCRIPTION_CHARS: usize = 200;
/// An endpoint whose attempts have failed for so long, without one success, is disabled.
pub const DISABLE_AFTER_MS: u64 = 5 * 24 * 60 * 60 * 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub id: EndpointId,
    pub url: String,
    pub description: String,
    pub filter: EventFilter,
    pub keys: SigningKeys,
    pub standing: Standing,
    pub created_at: UnixMs,
    /// Since when no attempt has succeeded, while the last one failed.
    pub failing_since: Option<UnixMs>,
}

/// Whether an endpoint is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Enabled,
    Disabled { at: UnixMs, why: DisabledWhy },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledWhy {
    /// It answered 410.
    Gone,
    /// Nothing has reached it for [`DISABLE_AFTER_MS`].
    Failing,
    ByHand,
}

impl DisabledWhy {
    pub const ALL: [Self; 3] = [Self::Gone, Self::Failing, Self::ByHand];

    /// The word the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
            Self::ByHand => "by_hand",
        }
    }
}

impl Endpoint {
    pub const fn is_enabled(&self) -> bool {
        matches!(self.standing, Standing::Enabled)
    }

    /// The endpoint after an attempt that ended now. One that is disabled stays as it is, whatever was still under way.
    pub fn after_attempt(&self, outcome: Outcome, now: UnixMs) -> Self {
        let mut after = self.clone();
        if !self.is_enabled() {
            return after;
        }
        let since = self.failing_since.unwrap_or(now);
        match outcome {
            Outcome::Delivered => after.failing_since = None,
            Outcome::Gone => {
                after.failing_since = Some(since);
                after.disable(DisabledWhy::Gone, now);
            }
            Outcome::Failed => {
                after.failing_since = Some(since);
                if now.0.saturating_sub(since.0) >= DISABLE_AFTER_MS {
                    after.disable(DisabledWhy::Failing, now);
                }
            }
        }
        after
    }

    pub fn disable(&mut self, why: DisabledWhy, now: UnixMs) {
        if self.is_enabled() {
            self.standing = Standing::Disabled { at: now, why };
        }
    }

    /// Begins anew: what failed before counts no more.
    pub fn enable(&mut self) {
        if !self.is_enabled() {
            self.standing = Standing::Enabled;
            self.failing_since = None;
        }
    }
}

/// Which events an endpoint wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFilter {
    All,
    /// Sorted, each once, at least one.
    Only(Vec<EventChoice>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventChoice {
    Family(EventFamily),
    Kind(EventKind),
}

/// All events of one sort, those of later versions included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventFamily {
    Payment,
    Transfer,
}

impl EventFamily {
    pub const ALL: [Self; 2] = [Self::Payment, Self::Transfer];

    /// The choice as it is written.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment.*",
            Self::Transfer => "transfer.*",
        }
    }

    fn holds(self, kind: EventKind) -> bool {
        kind.as_str()
            .starts_with(self.as_str().trim_end_matches('*'))
    }
}

impl EventChoice {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Family(family) => family.as_str(),
            Self::Kind(kind) => kind.as_str(),
        }
    }

    /// Reads an event's type, `payment.*` or `transfer.*`.
    pub fn parse(text: &str) -> Option<Self> {
        let family = EventFamily::ALL.into_iter().find(|f| f.as_str() == text);
        family
            .map(Self::Family)
            .or_else(|| EventKind::parse(text).map(Self::Kind))
    }

    fn wants(self, kind: EventKind) -> bool {
        match self {
            Self::Family(family) => family.holds(kind),
            Self::Kind(wanted) => wanted == kind,
        }
    }
}

impl EventFilter {
    /// No choice is no filter.
    pub fn of(mut choices: Vec<EventChoice>) -> Self {
        choices.sort_unstable();
        choices.dedup();
        if choices.is_empty() {
            return Self::All;
        }
        Self::Only(choices)
    }

    pub fn choices(&self) -> &[EventChoice] {
        match self {
            Self::All => &[],
            Self::Only(choices) => choices,
        }
    }

    pub fn wants(&self, kind: EventKind) -> bool {
        match self {
            Self::All => true,
            Self::Only(choices) => choices.iter().any(|choice| choice.wants(kind)),
        }
    }
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;
