//! Floor 6, the application: builds everything, runs it, and lets it end in good order. The only place that knows everyone.

mod build;
mod demo;
mod hub_parts;
pub mod keys;
mod operator_door;
mod pages;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::{DEFAULT_BLOCK_MS, SandboxArgs, SandboxChainArgs};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::entropy::SystemEntropy;
use crate::ledger_task::Entropy;
use crate::sandbox::{self, Sandbox, SandboxOptions};
use crate::server;
use crate::server::descriptors::max_connections;
use crate::shutdown::Shutdown;
pub use demo::run as demo;

/// One in so many of a hub's connections is what the sandbox gets beside it.
const SANDBOX_SHARE: usize = 8;

/// Runs the hub against the configured chains until a signal ends it.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let hub = hub_parts::Hub::build(&config, build::Setting::Real, None).await?;
    config.check_bind(hub.keys_configured())?;
    let listener = bind(config.listen)?;
    print_line("hub", &base_url(&listener)?);
    hub.tell_new_secret();
    run_until_signal(hub.run(listener, stopped), &stop).await
}

/// Runs the hub until a signal has ended it; returns at once when it ends by itself, because it could not start.
async fn run_until_signal(
    hub: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    stop: &watch::Sender<bool>,
) -> anyhow::Result<()> {
    let mut hub = tokio::spawn(hub);
    let ended = tokio::select! {
        ended = &mut hub => ended,
        signal = wait_for_signal(stop) => {
            signal?;
            hub.await
        }
    };
    ended.context("the hub's task failed")?
}

/// Runs the sandbox chain alone until a signal ends it.
pub async fn sandbox(args: SandboxArgs) -> anyhow::Result<()> {
    let listener = bind(args.listen)?;
    let (stop, stopped) = watch::channel(false);
    let chain = new_sandbox(&args.chain, args.chain.block_ms.unwrap_or(DEFAULT_BLOCK_MS));
    print_line("sandbox", &base_url(&listener)?);
    let served = tokio::spawn(run_sandbox(chain, listener, stopped));
    wait_for_signal(&stop).await?;
    served.await.context("the sandbox's task failed")
}

fn new_sandbox(args: &SandboxChainArgs, block_ms: u64) -> Sandbox {
    let seed = args.seed.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        SystemEntropy.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    });
    let options = SandboxOptions {
        block_ms,
        seed,
        noise_per_block: args.noise,
        ..SandboxOptions::default()
    };
    Sandbox::new(options, Arc::new(SystemClock))
}

async fn run_sandbox(chain: Sandbox, listener: TcpListener, stopped: Shutdown) {
    let max_connections = max_connections().div_ceil(SANDBOX_SHARE);
    tokio::join!(
        chain.mine(stopped.clone()),
        sandbox::serve(chain.clone(), listener, max_connections, stopped)
    );
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    server::listen(address)
        .with_context(|| format!("cannot listen on {address}; is something else using it? Choose another address: --listen, or for serve 'listen' in the configuration or PAYBELL_LISTEN"))
}

fn base_url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// One line of the program's result: stdout is for these, logs go to stderr.
fn print_line(name: &str, value: &str) {
    print_text(&format!("{name:<9}{value}"));
}

/// A hub goes on when nobody reads what it says: `paybell serve | head -1` is no reason to stop.
fn print_text(text: &str) {
    if let Err(error) = writeln!(io::stdout(), "{text}") {
        tracing::warn!(%error, "a line of the result could not be written to stdout");
    }
}

/// Returns once SIGTERM or SIGINT came, having passed it on. A second signal ends the process at once.
async fn wait_for_signal(stop: &watch::Sender<bool>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(
        "stopping: sockets are closed, webhooks under way get the drain time; another signal ends at once"
    );
    stop.send_replace(true);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(1);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by reading: a hub that could not start left its program running, without a word, until someone stopped it.
    #[tokio::test]
    async fn a_hub_that_cannot_start_ends_the_program() {
        let (stop, _stopped) = watch::channel(false);
        let ended = run_until_signal(async { anyhow::bail!("no") }, &stop).await;
        assert_eq!(ended.expect_err("it failed").to_string(), "no");
    }
}
