//! `paybell demo`: the sandbox chain, the hub and its pages in one process; no configuration, no network.
//!
//! The hub reads the sandbox through the same TRON source as it reads the real chain, over HTTP on loopback.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::hub_parts::Hub;
use super::{
    base_url, bind, build, new_sandbox, print_line, print_text, run_sandbox, run_until_signal,
};
use crate::cli::{DEFAULT_DEMO_BLOCK_MS, DemoArgs};
use crate::config::{ChainConfig, Config, EndpointConfig, EndpointUrl, WalletConfig};
use crate::domain::account_key::{AccountKey, AddressIndex};
use crate::domain::wallet::WalletName;

/// The account of the recovery phrase that everyone knows, "abandon" eleven times and "about": for a chain without value.
const DEMO_WALLET: &str = "demo";
const DEMO_XPUB: &str = "xpub6D1AabNHCupeiLM65ZR9UStMhJ1vCpyV4XbZdyhMZBiJXALQtmn9p42VTQckoHVn8WNqS7dqnJokZHAHcHGoaQgmv8D45oNUKx6DZMNZBCd";

/// The sandbox is ours: it is asked as often as its blocks come.
const SANDBOX_REQUESTS_PER_SECOND: u32 = 1_000;
const SANDBOX_REQUESTS_PER_DAY: u32 = 1_000_000_000;

/// Runs the demo until a signal ends it.
pub async fn run(args: DemoArgs, base: Config) -> anyhow::Result<()> {
    let block_ms = args.chain.block_ms.unwrap_or(DEFAULT_DEMO_BLOCK_MS);
    let folder = DataFolder::open(args.data)?;
    let listener = bind(args.listen)?;
    let sandbox_listener = bind(args.sandbox_listen)
        .context("the sandbox chain needs a port of its own; choose one with --sandbox-listen")?;
    let config = Config {
        listen: listener.local_addr()?,
        ..config(base, &sandbox_listener, block_ms, folder.path())?
    };
    let (stop, stopped) = watch::channel(false);
    let chain = new_sandbox(&args.chain, block_ms);
    let sandbox_url = base_url(&sandbox_listener)?;
    let sandbox = tokio::spawn(run_sandbox(
        chain.clone(),
        sandbox_listener,
        stopped.clone(),
    ));
    let hub = Hub::build(&config, build::Setting::Demo, Some(chain)).await?;
    config.check_bind(hub.keys_configured())?;
    hub.restart_chains().await?;
    print_line("hub", &base_url(&listener)?);
    print_line("sandbox", &sandbox_url);
    print_line("secret", &hub.webhook_secret());
    print_text(
        "Open the hub's address in a browser: create a payment, pay it in the sandbox, watch it arrive. Below /admin is the operator's dashboard. Ctrl-C ends it.",
    );
    run_until_signal(hub.run(listener, stopped), &stop).await?;
    sandbox.await.context("the sandbox's task failed")
}

fn config(
    base: Config,
    sandbox: &TcpListener,
    block_ms: u64,
    folder: &Path,
) -> anyhow::Result<Config> {
    let endpoint = EndpointConfig {
        requests_per_second: SANDBOX_REQUESTS_PER_SECOND,
        requests_per_day: SANDBOX_REQUESTS_PER_DAY,
        ..EndpointConfig::new(EndpointUrl::parse(&base_url(sandbox)?)?, None)
    };
    let wallet = WalletConfig {
        name: WalletName::parse(DEMO_WALLET)?,
        chain: ChainConfig::default().name,
        key: AccountKey::parse(DEMO_XPUB)?,
        first_index: AddressIndex::default(),
    };
    Ok(Config {
        wallets: vec![wallet],
        data: folder.join("paybell.redb"),
        chains: vec![ChainConfig {
            endpoints: vec![endpoint],
            slot: std::time::Duration::from_millis(block_ms),
            ..ChainConfig::default()
        }],
        ..base
    })
}

/// Where the demo keeps its data: a folder that was named, or one that goes when the demo ends.
enum DataFolder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl DataFolder {
    fn open(named: Option<PathBuf>) -> anyhow::Result<Self> {
        match named {
            Some(path) => {
                std::fs::create_dir_all(&path).with_context(|| {
                    format!("the data folder {} cannot be made", path.display())
                })?;
                Ok(Self::Kept(path))
            }
            None => Ok(Self::Temporary(
                tempfile::tempdir().context("no temporary folder can be made")?,
            )),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}
