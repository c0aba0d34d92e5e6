//! The environment variables that paybell reads, taken once and handed in.
//!
//! Refuses to look at the process by itself anywhere but in [`Environment::of_process`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use super::mistake::{Place, Warning};
use super::spelling::closest;
use super::tree::Tree;

/// How a variable's text is to be read.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Flag,
    Number,
    /// Comma separated; spaces around an item are dropped.
    List,
}

/// A variable that paybell knows.
#[derive(Clone, Copy)]
pub(super) struct Variable {
    pub name: &'static str,
    form: Form,
}

const fn variable(name: &'static str, form: Form) -> Variable {
    Variable { name, form }
}

pub(super) const LISTEN: Variable = variable("PAYBELL_LISTEN", Form::Text);
pub(super) const DATA: Variable = variable("PAYBELL_DATA", Form::Text);
pub(super) const LOG: Variable = variable("PAYBELL_LOG", Form::Text);
pub(super) const LOG_FORMAT: Variable = variable("PAYBELL_LOG_FORMAT", Form::Text);
pub(super) const WEBHOOK_SECRETS: Variable = variable("PAYBELL_WEBHOOK_SECRETS", Form::List);
pub(super) const ALLOW_UNAUTHENTICATED: Variable =
    variable("PAYBELL_ALLOW_UNAUTHENTICATED", Form::Flag);
pub(super) const ALLOW_INSECURE_CALLBACKS: Variable =
    variable("PAYBELL_ALLOW_INSECURE_CALLBACKS", Form::Flag);
pub(super) const ALLOW_PRIVATE_CALLBACKS: Variable =
    variable("PAYBELL_ALLOW_PRIVATE_CALLBACKS", Form::Flag);
pub(super) const TRONGRID_API_KEY: Variable = variable("TRONGRID_API_KEY", Form::Text);
pub(super) const POLLING_INTERVAL: Variable = variable("POLLING_INTERVAL_SECONDS", Form::Number);

/// The credential of `paybell listen`, which reads it by itself.
const KEY: Variable = variable("PAYBELL_KEY", Form::Text);

const KNOWN: [Variable; 11] = [
    LISTEN,
    DATA,
    LOG,
    LOG_FORMAT,
    WEBHOOK_SECRETS,
    ALLOW_UNAUTHENTICATED,
    ALLOW_INSECURE_CALLBACKS,
    ALLOW_PRIVATE_CALLBACKS,
    TRONGRID_API_KEY,
    POLLING_INTERVAL,
    KEY,
];

const OWN_PREFIX: &str = "PAYBELL_";

/// The variables that concern paybell. An empty one counts as unset, as compose files write them.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Keeps the known variables and everything that starts with `PAYBELL_`.
    pub fn new<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let known = |name: &str| KNOWN.iter().any(|known| known.name == name);
        let ours = variables.into_iter().filter_map(|(name, value)| {
            let name = name.into().into_string().ok()?;
            let value = value.into();
            let wanted = name.starts_with(OWN_PREFIX) || known(&name);
            (wanted && !value.is_empty()).then_some((name, value))
        });
        Self(ours.collect())
    }

    /// The environment this process was started with.
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os())
    }

    /// The variable as JSON would have written it, or `Err` when it is not UTF-8. Text that does not
    /// fit the variable's form stays a string, for the setting's own check to refuse.
    pub(super) fn tree(&self, variable: Variable) -> Option<Result<Tree, NotUnicode>> {
        let text = self.0.get(variable.name)?.to_str().ok_or(NotUnicode);
        Some(text.map(|text| variable.form.tree(text)))
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        let is_known = |name: &str| KNOWN.iter().any(|known| known.name == name);
        let unknown = self.0.keys().filter(|name| !is_known(name));
        unknown
            .map(|name| Warning {
                place: Place::top().key(name),
                text: match closest_variable(name) {
                    Some(meant) => format!("unknown variable, ignored; did you mean {meant}?"),
                    None => "unknown variable, ignored".to_owned(),
                },
            })
            .collect()
    }
}

/// Compares without the prefix, which would make any two short names look alike.
fn closest_variable(name: &str) -> Option<&'static str> {
    fn bare(name: &str) -> &str {
        name.strip_prefix(OWN_PREFIX).unwrap_or(name)
    }
    let bare_names = KNOWN.map(|known| bare(known.name));
    let meant = closest(bare(name), &bare_names)?;
    let known = KNOWN.iter().find(|known| bare(known.name) == meant)?;
    Some(known.name)
}

/// A variable's value is not UTF-8.
pub(super) struct NotUnicode;

impl Form {
    fn tree(self, text: &str) -> Tree {
        match self {
            Self::Text => Tree::Text(text.to_owned()),
            Self::Flag => match text {
                "true" => Tree::Flag(true),
                "false" => Tree::Flag(false),
                _ => Tree::Text(text.to_owned()),
            },
            Self::Number => match (text.parse::<i128>(), text.parse::<f64>()) {
                (Ok(whole), _) => Tree::Whole(whole),
                (_, Ok(fraction)) => Tree::Fraction(fraction),
                _ => Tree::Text(text.to_owned()),
            },
            Self::List => {
                let items = text.split(',').map(|item| Tree::Text(item.trim().into()));
                Tree::List(items.collect())
            }
        }
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_variables_are_kept_and_unknown_ones_are_noticed() {
        let env = Environment::new([
            ("PATH", "/bin"),
            ("PAYBELL_LISTN", "127.0.0.1:1"),
            ("PAYBELL_POLLING_INTERVAL_SECONDS", "3"),
            ("PAYBELL_PORT_5000_TCP_ADDR", "10.0.0.1"),
            ("PAYBELL_DATA", ""),
            ("TRONGRID_API_KEY", "hunter2"),
        ]);
        let shown: Vec<String> = env.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "PAYBELL_LISTN: unknown variable, ignored; did you mean PAYBELL_LISTEN?",
                "PAYBELL_POLLING_INTERVAL_SECONDS: unknown variable, ignored; did you mean POLLING_INTERVAL_SECONDS?",
                "PAYBELL_PORT_5000_TCP_ADDR: unknown variable, ignored",
            ]
        );
        assert!(env.tree(DATA).is_none());
        let debug = format!("{env:?}");
        assert!(debug.contains("TRONGRID_API_KEY") && !debug.contains("hunter2"));
    }
}
