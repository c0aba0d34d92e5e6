//! What the command line asks for, checked. Refuses wrong usage in words that never repeat a key or a secret.

use thiserror::Error;
use url::Url;

use crate::cli::ListenArgs;
use crate::config::secret::{self, SecretText};
use crate::delivery::callback_url::{
    CallbackError, CallbackPolicy, CallbackUrl, InsecureCallbacks, PrivateCallbacks,
};
use crate::delivery::signature::{self, Secret};
use crate::domain::ids::{PaymentId, Sequence};
use crate::store::EventScope;

/// Receivers on the developer's own machine and network may be called.
pub const FORWARD_POLICY: CallbackPolicy = CallbackPolicy {
    insecure: InsecureCallbacks::Allowed,
    private: PrivateCallbacks::Allowed,
};

/// How events are told on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Lines,
    Json,
}

/// Where events are posted to, and what signs them.
#[derive(Debug, Clone)]
pub struct Forwarding {
    pub to: CallbackUrl,
    /// Absent: one is made at start.
    pub secret: Option<Secret>,
}

#[derive(Debug, Clone)]
pub struct Options {
    pub hub: HubUrl,
    pub key: Option<SecretText>,
    pub scope: EventScope,
    pub since: Option<Sequence>,
    pub form: Form,
    pub forwarding: Option<Forwarding>,
}

/// Wrong usage: exit code 2.
#[derive(Debug, Error)]
pub enum UsageError {
    #[error("--url: {0}; write it as http://127.0.0.1:5000 or ws://127.0.0.1:5000")]
    Hub(&'static str),
    #[error("--key (or PAYBELL_KEY)")]
    Key(#[source] secret::SecretError),
    #[error("--payment: that is not a payment's id, like 0190a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b")]
    Payment,
    #[error("--forward-to: {0}")]
    Forward(String),
    #[error("--secret")]
    Secret(#[source] signature::SecretError),
    #[error("--secret signs what is forwarded; say where to with --forward-to")]
    SecretAlone,
}

impl Options {
    /// # Errors
    /// See [`UsageError`].
    pub fn of(args: &ListenArgs) -> Result<Self, UsageError> {
        let key = args
            .key
            .as_ref()
            .map(|key| SecretText::api_key(key.expose()));
        let payment = args.payment.as_ref().map(|text| PaymentId::parse(text));
        let secret = args
            .secret
            .as_ref()
            .map(|text| Secret::parse(text.expose()));
        let secret = secret.transpose().map_err(UsageError::Secret)?;
        let forwarding = match (&args.forward_to, secret) {
            (None, Some(_)) => return Err(UsageError::SecretAlone),
            (None, None) => None,
            (Some(url), secret) => Some(Forwarding {
                to: receiver(url)?,
                secret,
            }),
        };
        Ok(Self {
            hub: HubUrl::parse(&args.url)?,
            key: key.transpose().map_err(UsageError::Key)?.flatten(),
            scope: match payment {
                None => EventScope::All,
                Some(id) => EventScope::Payment(id.ok_or(UsageError::Payment)?),
            },
            since: args.since.map(Sequence),
            form: if args.json { Form::Json } else { Form::Lines },
            forwarding,
        })
    }
}

fn receiver(text: &str) -> Result<CallbackUrl, UsageError> {
    CallbackUrl::parse(text, FORWARD_POLICY).map_err(|error| {
        let text = match error {
            CallbackError::Scheme => "write it as http://127.0.0.1:3000/webhook".to_owned(),
            other => other.to_string(),
        };
        let text = text.strip_prefix("callback_url: ").unwrap_or(&text);
        UsageError::Forward(text.to_owned())
    })
}

/// Scheme, host and port of a hub, for both of its protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUrl {
    http: Url,
}

impl HubUrl {
    /// Takes an origin, `http(s)` or `ws(s)`, with or without `/ws`.
    ///
    /// # Errors
    /// Anything else in the URL.
    pub fn parse(text: &str) -> Result<Self, UsageError> {
        let refused = |why| Err(UsageError::Hub(why));
        let text = text.trim();
        let secure = match text
            .split_once("://")
            .map(|(scheme, _)| scheme.to_ascii_lowercase())
        {
            Some(scheme) if scheme == "http" || scheme == "ws" => "http",
            Some(scheme) if scheme == "https" || scheme == "wss" => "https",
            Some(_) => return refused("the scheme is none of http, https, ws and wss"),
            None => return refused("it has no scheme"),
        };
        let rest = text
            .split_once("://")
            .map(|(_, rest)| rest)
            .unwrap_or_default();
        let Ok(url) = Url::parse(&format!("{secure}://{rest}")) else {
            return refused("it is not a URL");
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refused(
                "it holds a user name or password; a key goes into --key or PAYBELL_KEY",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refused("it has a query or a fragment; a key goes into --key or PAYBELL_KEY");
        }
        if !matches!(url.path(), "/" | "/ws" | "/ws/") {
            return refused("it has a path other than /ws");
        }
        if url.port() == Some(0) {
            return refused("port 0 cannot be called");
        }
        let mut http = url;
        http.set_path("/");
        Ok(Self { http })
    }

    /// As people write it: `http://127.0.0.1:5000`.
    pub fn origin(&self) -> String {
        self.http.origin().ascii_serialization()
    }

    pub fn is_secure(&self) -> bool {
        self.http.scheme() == "https"
    }

    /// Host as a URL writes it, and port.
    pub fn host(&self) -> (&str, u16) {
        let port = self.http.port_or_known_default().unwrap_or(80);
        (self.http.host_str().unwrap_or_default(), port)
    }

    /// The host without an IPv6 address's brackets.
    pub fn bare_host(&self) -> &str {
        let host = self.host().0;
        let inner = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        inner.unwrap_or(host)
    }

    /// `ws://127.0.0.1:5000/ws`.
    pub fn socket(&self) -> String {
        let origin = self.origin();
        format!("ws{}/ws", origin.strip_prefix("http").unwrap_or(&origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::store::describe;
    use clap::Parser;

    fn options(more: &[&str]) -> Result<Options, UsageError> {
        let words = ["paybell", "listen", "--url", "ws://127.0.0.1:5000"];
        let cli = Cli::try_parse_from(words.iter().chain(more)).expect("usage");
        let Command::Listen(args) = cli.command else {
            panic!("listen");
        };
        Options::of(&args)
    }

    #[test]
    fn a_hub_is_an_origin_in_four_spellings() {
        for (text, origin, socket) in [
            (
                "ws://127.0.0.1:5000",
                "http://127.0.0.1:5000",
                "ws://127.0.0.1:5000/ws",
            ),
            (
                "http://localhost:5000/ws",
                "http://localhost:5000",
                "ws://localhost:5000/ws",
            ),
            (
                "WSS://Pay.example/ws/",
                "https://pay.example",
                "wss://pay.example/ws",
            ),
            (
                "https://pay.example:8443/",
                "https://pay.example:8443",
                "wss://pay.example:8443/ws",
            ),
            (
                "http://[::1]:5000",
                "http://[::1]:5000",
                "ws://[::1]:5000/ws",
            ),
        ] {
            let hub = HubUrl::parse(text).expect(text);
            assert_eq!((hub.origin(), hub.socket()), (origin.into(), socket.into()));
        }
        let six = HubUrl::parse("wss://[::1]").expect("a hub");
        assert_eq!((six.bare_host(), six.host()), ("::1", ("[::1]", 443)));
        for wrong in [
            "",
            "127.0.0.1:5000",
            "localhost",
            "ftp://a",
            "ws://",
            "ws://a b",
            "ws://a/v1",
            "ws://a?token=x",
            "ws://a#x",
            "ws://u:hunter2@a",
            "ws://a:0",
            "ws://a:99999",
            "file:///etc",
        ] {
            let error = HubUrl::parse(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with("--url: "), "{error}");
            assert!(
                !error.contains("hunter2") && !error.contains("token=x"),
                "{error}"
            );
        }
    }

    #[test]
    fn mistakes_are_named_and_secrets_are_not_repeated() {
        assert!(options(&[]).expect("fine").forwarding.is_none());
        for (wrong, named) in [
            (vec!["--payment", "7"], "--payment"),
            (vec!["--key", "hunter2 hunter2"], "PAYBELL_KEY"),
            (vec!["--secret", "hunter2"], "whsec_"),
            (
                vec!["--secret", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
                "--forward-to",
            ),
            (
                vec!["--forward-to", "localhost:3000"],
                "--forward-to: write it as",
            ),
            (
                vec!["--forward-to", "http://169.254.169.254/"],
                "--forward-to: the address",
            ),
            (
                vec!["--forward-to", "http://u:hunter2@localhost/"],
                "--forward-to: a user name",
            ),
            (
                vec![
                    "--forward-to",
                    "http://localhost",
                    "--secret",
                    "whsec_hunter2",
                ],
                "base64",
            ),
        ] {
            let error = describe(&options(&wrong).expect_err("wrong usage"));
            assert!(error.contains(named), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let fine = options(&[
            "--forward-to",
            "http://192.168.0.7:3000/hook",
            "--key",
            "pb_x",
            "--json",
        ]);
        let fine = fine.expect("fine");
        assert_eq!(fine.form, Form::Json);
        assert!(!format!("{fine:?}").contains("pb_x"));
        let args = Cli::try_parse_from([
            "paybell", "listen", "--url", "x", "--key", "pb_x", "--secret", "s3",
        ]);
        let shown = format!("{:?}", args.expect("usage"));
        assert!(!shown.contains("pb_x") && !shown.contains("s3"), "{shown}");
    }
}
