//! The command line: what can be typed, with its ranges, defaults and examples.
//!
//! Refuses wrong usage with exit code 2, as clap does. Runs nothing: `main` matches on [`Command`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::api::keys::checked_name;
use crate::config::DEFAULT_LISTEN;
use crate::domain::api_key::{KeyId, KeyScope, PresentedKey};

/// Where the sandbox chain answers unless told otherwise: loopback, port 9090.
pub const DEFAULT_SANDBOX_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_090);
/// TRON's own time from block to block: what `sandbox` keeps to.
pub const DEFAULT_BLOCK_MS: u64 = 3_000;
/// The demo's: a payment is final after 18 s, not after a minute.
pub const DEFAULT_DEMO_BLOCK_MS: u64 = 1_000;
/// Transfers between strangers in each sandbox block.
pub const DEFAULT_NOISE: u32 = 20;

/// Tells a merchant the moment a USDT payment arrives on TRON.
#[derive(Debug, Parser)]
#[command(name = "paybell", version, arg_required_else_help = true)]
#[command(after_help = "Start with:  paybell demo")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Try everything in one process: a sandbox chain, the hub and its pages; no network, no configuration
    #[command(after_help = "Example:  paybell demo --block-ms 500")]
    Demo(DemoArgs),
    /// Run the hub against real chains
    #[command(after_help = "Example:  TRONGRID_API_KEY=... paybell serve --config config.json")]
    Serve(ConfigArgs),
    /// Run the TronGrid-compatible sandbox chain alone
    #[command(after_help = "Example:  paybell sandbox --listen 127.0.0.1:9090 --seed 7")]
    Sandbox(SandboxArgs),
    /// Print a hub's events as they happen, and forward them to a local receiver: to develop an integration with
    #[command(
        after_help = "Example:  paybell listen --url ws://127.0.0.1:5000 --forward-to http://127.0.0.1:3000/webhook"
    )]
    Listen(ListenArgs),
    /// API keys: who may call the hub, and how far; works beside a running hub and without one
    #[command(
        after_help = "Example:  paybell keys create --name shop --scope write --config config.json"
    )]
    Keys(KeysArgs),
    /// Check the configuration: every mistake at once, exit code 2, or a summary
    #[command(after_help = "Example:  paybell check-config --config config.json")]
    CheckConfig(ConfigArgs),
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the hub and its pages are served
    #[arg(long, value_name = "ADDRESS", default_value_t = DEFAULT_LISTEN)]
    pub listen: SocketAddr,
    /// Where the sandbox chain is served
    #[arg(long, value_name = "ADDRESS", default_value_t = DEFAULT_SANDBOX_LISTEN)]
    pub sandbox_listen: SocketAddr,
    /// Folder for the data, kept; without it, a temporary one
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub chain: SandboxChainArgs,
}

/// Options of `sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// Where the chain is served
    #[arg(long, value_name = "ADDRESS", default_value_t = DEFAULT_SANDBOX_LISTEN)]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub chain: SandboxChainArgs,
}

/// How the sandbox chain behaves.
#[derive(Debug, Args)]
pub struct SandboxChainArgs {
    /// Milliseconds from block to block, 50 to 60000 [default: 3000 as on TRON; 1000 in the demo]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub block_ms: Option<u64>,
    /// Makes the chain the same every time; without it, each start differs
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Transfers between strangers in each block, 0 to 2000
    #[arg(long, value_name = "N", default_value_t = DEFAULT_NOISE, value_parser = clap::value_parser!(u32).range(0..=2_000))]
    pub noise: u32,
}

/// Options of `listen`.
#[derive(Debug, Args)]
pub struct ListenArgs {
    /// The hub: http(s)://host or ws(s)://host, with or without /ws
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// API key, or with --payment its client token; better given as PAYBELL_KEY, where no process list shows it
    #[arg(long, value_name = "KEY", env = "PAYBELL_KEY", hide_env_values = true)]
    pub key: Option<Hidden>,
    /// Post each event here, signed as webhooks are; this machine and private networks are fine
    #[arg(long, value_name = "URL")]
    pub forward_to: Option<String>,
    /// Only this payment's events
    #[arg(long, value_name = "ID")]
    pub payment: Option<String>,
    /// Begin after this event of the log; 0 is its start [default: only what happens from now on]
    #[arg(long, value_name = "SEQ")]
    pub since: Option<u64>,
    /// One event object a line on stdout, for programs
    #[arg(long)]
    pub json: bool,
    /// What signs forwarded events: whsec_ and base64; without it, one is made and shown on stderr
    #[arg(long, value_name = "SECRET")]
    pub secret: Option<Hidden>,
}

/// What to do about API keys.
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    pub command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, this one time; the first must have the scope admin, and from then on the hub asks for one
    Create(CreateKeyArgs),
    /// List all keys, revoked ones too, and the webhook secret where the hub made its own
    List(ConfigArgs),
    /// Revoke a key: it opens nothing from this moment on
    Revoke(RevokeKeyArgs),
}

impl KeysCommand {
    /// Where the configuration of the hub is.
    pub const fn config(&self) -> &ConfigArgs {
        match self {
            Self::Create(args) => &args.config,
            Self::List(config) => config,
            Self::Revoke(args) => &args.config,
        }
    }
}

#[derive(Debug, Args)]
pub struct CreateKeyArgs {
    /// Who uses the key, for people to tell keys apart
    #[arg(long, value_name = "NAME", value_parser = checked_name)]
    pub name: String,
    /// read looks; write also creates and cancels payments; admin does everything
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    pub scope: KeyScope,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub struct RevokeKeyArgs {
    /// The key's id, key_..., as 'keys list' shows it; the key itself is understood too
    #[arg(value_name = "ID", value_parser = key_id)]
    pub id: KeyId,
    #[command(flatten)]
    pub config: ConfigArgs,
}

fn scope(text: &str) -> Result<KeyScope, String> {
    KeyScope::parse(text).ok_or_else(|| "a scope is read, write or admin".to_owned())
}

/// A key that leaked is what one has at hand.
fn key_id(text: &str) -> Result<KeyId, String> {
    let pasted = PresentedKey::parse(text).map(|key| key.id);
    pasted
        .or_else(|| KeyId::parse(text))
        .ok_or_else(|| "no key has such an id; 'paybell keys list' shows them".to_owned())
}

/// A text that is not to be shown again.
#[derive(Clone)]
pub struct Hidden(String);

impl Hidden {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(***)")
    }
}

/// Options of `serve` and `check-config`, and of all that work on a hub's data.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file; without it, config.json if there is one, else the defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::KeySecret;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_documents() {
        let cli = Cli::try_parse_from(["paybell", "demo"]).expect("usage");
        let Command::Demo(demo) = cli.command else {
            panic!("demo");
        };
        assert_eq!(demo.listen.to_string(), "127.0.0.1:5000");
        assert_eq!(demo.sandbox_listen.to_string(), "127.0.0.1:9090");
        assert_eq!((demo.chain.block_ms, demo.chain.noise), (None, 20));
        assert_eq!((demo.chain.seed, demo.data), (None, None));
    }

    #[test]
    fn wrong_usage_exits_with_2_and_help_with_0() {
        for wrong in [
            "paybell",
            "paybell dance",
            "paybell demo --block-ms 49",
            "paybell demo --block-ms 60001",
            "paybell sandbox --noise 2001",
            "paybell sandbox --noise -1",
            "paybell demo --listen localhost",
            "paybell serve config.json",
            "paybell listen",
            "paybell listen --url ws://127.0.0.1:5000 --since -1",
            "paybell keys",
            "paybell keys create --name shop",
            "paybell keys create --scope read",
            "paybell keys create --name shop --scope Read",
            "paybell keys create --name= --scope read",
            "paybell keys revoke",
            "paybell keys revoke key_1",
        ] {
            let why = Cli::try_parse_from(wrong.split(' ')).expect_err(wrong);
            assert_eq!(why.exit_code(), 2, "{wrong}");
        }
        for fine in ["paybell --version", "paybell demo --help"] {
            let shown = Cli::try_parse_from(fine.split(' ')).expect_err(fine);
            assert_eq!(shown.exit_code(), 0, "{fine}");
        }
        let version = Cli::try_parse_from(["paybell", "-V"]).expect_err("version");
        assert_eq!(version.kind(), ErrorKind::DisplayVersion);
    }

    #[test]
    fn a_key_is_revoked_by_its_id_or_by_itself() {
        let key = PresentedKey {
            id: KeyId(u128::MAX / 3),
            secret: KeySecret::of_random([7; 32]),
        };
        for named in [key.id.to_string(), key.to_text()] {
            let cli = Cli::try_parse_from(["paybell", "keys", "revoke", &named]).expect("usage");
            let Command::Keys(args) = cli.command else {
                panic!("keys");
            };
            assert!(matches!(args.command, KeysCommand::Revoke(args) if args.id == key.id));
        }
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let example = command.get_after_help().expect("an example").to_string();
            let prefix = format!("paybell {}", command.get_name());
            assert!(example.contains(&prefix), "{example}");
        }
    }
}
