//! Logs: which are written and in which form, checked early, and the one subscriber that writes them.
//!
//! Refuses filters that would silently log nothing. Writes to stderr only: stdout is for results.

use std::fmt;
use std::io::{self, IsTerminal};

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// Longest filter, in bytes.
pub const MAX_FILTER_BYTES: usize = 1_024;
/// Characters of a wrong level that an error quotes.
const MAX_QUOTED_CHARS: usize = 60;
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is logged and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSettings {
    pub filter: LogFilter,
    pub format: LogFormat,
}

/// A line for people, or one JSON object a line for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Comma-separated directives, each a level or `module=level`, that are known to parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

/// Why a text is no log filter.
#[derive(Debug, Error)]
pub enum FilterError {
    #[error(
        "{0:?} is no log level: write off, error, warn, info, debug or trace, or module=level such as \"info,paybell::source=debug\""
    )]
    Level(String),
    #[error("a log filter has at most {MAX_FILTER_BYTES} characters")]
    Length,
    #[error("it is not a log filter: {0}")]
    Directive(#[source] tracing_subscriber::filter::ParseError),
}

/// Logging could not be started.
#[derive(Debug, Error)]
pub enum LoggingError {
    #[error("the log filter does not parse")]
    Filter(#[source] FilterError),
    #[error("logging was started before")]
    AlreadyStarted(#[source] tracing_subscriber::util::TryInitError),
}

impl LogFilter {
    /// # Errors
    /// See [`FilterError`]. A bare word that is no level is refused, because it would be taken for a
    /// module's name, and a mistyped `inof` would silence the hub.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > MAX_FILTER_BYTES {
            return Err(FilterError::Length);
        }
        // Brackets and braces select spans and fields, and may hold commas: the parser judges them.
        let filter = match text.contains(['[', '{']) {
            true => Self(text.to_owned()),
            false => Self(levels_checked(text)?),
        };
        filter.compile()?;
        Ok(filter)
    }

    fn compile(&self) -> Result<EnvFilter, FilterError> {
        EnvFilter::builder()
            .parse(&self.0)
            .map_err(FilterError::Directive)
    }
}

/// The directives without spaces around them, each ending in a level.
fn levels_checked(text: &str) -> Result<String, FilterError> {
    let directives: Vec<&str> = text.split(',').map(str::trim).collect();
    for directive in &directives {
        let level = directive
            .rsplit_once('=')
            .map_or(*directive, |(_, level)| level);
        if !LEVELS.iter().any(|name| name.eq_ignore_ascii_case(level)) {
            return Err(FilterError::Level(
                level.chars().take(MAX_QUOTED_CHARS).collect(),
            ));
        }
    }
    Ok(directives.join(","))
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether text lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    Plain,
    Ansi,
}

/// Sends the process's logs to stderr from now on; coloured only where stderr is a terminal.
///
/// # Errors
/// When it was called before.
pub fn start(settings: &LogSettings) -> Result<(), LoggingError> {
    let colours = match io::stderr().is_terminal() {
        true => Colours::Ansi,
        false => Colours::Plain,
    };
    subscriber(settings, colours, io::stderr)
        .map_err(LoggingError::Filter)?
        .try_init()
        .map_err(LoggingError::AlreadyStarted)
}

fn subscriber<W>(
    settings: &LogSettings,
    colours: Colours,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, FilterError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let common = tracing_subscriber::fmt()
        .with_env_filter(settings.filter.compile()?)
        .with_ansi(colours == Colours::Ansi)
        .with_writer(writer);
    Ok(match settings.format {
        LogFormat::Text => Box::new(common.finish()),
        LogFormat::Json => Box::new(common.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(filter: &str, format: LogFormat, colours: Colours) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let filter = LogFilter::parse(filter).expect("a filter");
        let settings = LogSettings { filter, format };
        let subscriber = subscriber(&settings, colours, move || writer.clone());
        tracing::subscriber::with_default(subscriber.expect("a subscriber"), || {
            tracing::info!(height = 7, "a block");
            tracing::debug!("hidden");
        });
        let bytes = buffer.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn text_is_plain_or_coloured_and_json_is_json() {
        let text = written("info", LogFormat::Text, Colours::Plain);
        assert!(text.contains("INFO") && text.contains("a block height=7"));
        assert!(!text.contains('\x1b') && !text.contains("hidden"));
        assert!(written("info", LogFormat::Text, Colours::Ansi).contains('\x1b'));
        let json = written("info", LogFormat::Json, Colours::Plain);
        let line: serde_json::Value = serde_json::from_str(json.trim()).expect("one object");
        assert_eq!(line["message"], "a block");
        assert_eq!(line["height"], 7);
        assert_eq!(written("error", LogFormat::Text, Colours::Plain), "");
    }

    #[test]
    fn filters_that_would_log_nothing_are_refused() {
        for good in [
            "info",
            "WARN",
            "off",
            "info,paybell::source=debug",
            "warn, paybell=trace",
            "info,paybell[block{height=7}]=debug",
        ] {
            assert!(LogFilter::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "inof",
            "paybell",
            "paybell=debg",
            "info,",
            "info,[=",
            "a=b=c",
        ] {
            assert!(LogFilter::parse(bad).is_err(), "{bad}");
        }
        let long = "info,".repeat(1_000);
        assert!(matches!(LogFilter::parse(&long), Err(FilterError::Length)));
    }
}
