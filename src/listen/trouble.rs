//! Why a connection to the hub ended: passing trouble, after which it is tried again, or a refusal that stays.

use thiserror::Error;

use super::event::visible;

/// Characters of what the hub says that are shown.
const MAX_SAID_CHARS: usize = 300;

#[derive(Debug, Error)]
pub enum Trouble {
    /// Another try may succeed.
    #[error("{0}")]
    Passing(String),
    /// It would be refused again.
    #[error("{0}")]
    Final(String),
}

impl Trouble {
    pub fn passing(what: impl Into<String>) -> Self {
        Self::Passing(what.into())
    }

    /// What a status other than success means.
    pub fn of_status(status: u16, said: &str) -> Self {
        let text = format!("the hub answers {status}{}", quoted(said));
        match status {
            408 | 425 | 429 | 500.. => Self::Passing(text),
            _ => Self::Final(text),
        }
    }

    /// What a close frame means: 4500 to 4999 say not to come back.
    pub fn of_close(code: u16, reason: &str) -> Self {
        let text = format!("the hub closed with {code}{}", quoted(reason));
        match code {
            4500..=4999 => Self::Final(text),
            _ => Self::Passing(text),
        }
    }
}

/// Text of the hub's, bounded and harmless.
pub fn quoted(said: &str) -> String {
    let said: String = visible(said).chars().take(MAX_SAID_CHARS).collect();
    match said.trim() {
        "" => String::new(),
        said => format!(": {said}"),
    }
}

/// An error and its causes in one line, each said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    visible(&text).chars().take(MAX_SAID_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_refused_ends_it_and_what_passes_does_not() {
        let is_final = |trouble| matches!(trouble, Trouble::Final(_));
        for (status, stays) in [
            (400, true),
            (401, true),
            (403, true),
            (404, true),
            (421, true),
            (301, true),
            (200, true),
            (408, false),
            (429, false),
            (500, false),
            (502, false),
            (503, false),
        ] {
            assert_eq!(is_final(Trouble::of_status(status, "")), stays, "{status}");
        }
        for (code, stays) in [
            (1000, false),
            (1006, false),
            (4000, false),
            (4001, false),
            (4008, false),
            (4499, false),
            (4500, true),
            (4501, true),
            (4504, true),
            (4999, true),
            (5000, false),
        ] {
            assert_eq!(is_final(Trouble::of_close(code, "")), stays, "{code}");
        }
        let told = Trouble::of_close(4500, "bad\u{1b}[31m token").to_string();
        assert_eq!(told, "the hub closed with 4500: bad[31m token");
    }
}
