//! `paybell listen`: prints a hub's events while someone develops an integration, and forwards them to a local receiver.
//!
//! A client: it knows the hub by the wire contract alone, never by its code. Reading order: [`options`], [`event`],
//! [`frame`], [`socket`], [`log`], [`follow`], [`backlog`], [`forward`].

mod backlog;
mod event;
mod follow;
mod forward;
mod frame;
mod log;
pub mod options;
mod output;
mod socket;
mod trouble;

use std::sync::Arc;

use anyhow::Context;
use fastrand::Rng;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::SystemClock;
use crate::delivery::guard::GuardedResolver;
use crate::delivery::lookup::SystemLookup;
use crate::delivery::sender::{Sender, SenderLimits};
use crate::delivery::signature::Secret;
use crate::entropy::SystemEntropy;
use crate::ledger_task::Entropy;
use crate::source::http::http_client;
use follow::{Ended, Follow};
use forward::{Courier, Inbox};
use log::Log;
use options::{FORWARD_POLICY, Forwarding, Options};
use output::{Output, tell};

/// Prints and forwards events until a signal comes, nobody reads any more, or the hub refuses.
///
/// # Errors
/// The hub refuses for good, or the process cannot be set up.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    let (output, flushed) = Output::start().context("stdout cannot be written to")?;
    let log = Log::new(&options, http_client().context("no HTTP client")?);
    let inbox = match &options.forwarding {
        Some(to) => Some(start_forwarding(to, &options, &log, &output)?),
        None => None,
    };
    let mut follow = Follow {
        options,
        log,
        output: output.clone(),
        inbox,
        place: None,
        rng: Rng::with_seed(seed()),
    };
    let ended = tokio::select! {
        ended = follow.run() => ended,
        () = output.closed() => Ended::Closed,
        _ = terminate.recv() => Ended::Closed,
        _ = interrupt.recv() => Ended::Closed,
    };
    drop((follow, output));
    flushed.wait().await;
    match ended {
        Ended::Closed => Ok(()),
        Ended::Trouble(trouble) => Err(trouble.into()),
    }
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    SystemEntropy.fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

fn start_forwarding(
    forwarding: &Forwarding,
    options: &Options,
    log: &Log,
    output: &Output,
) -> anyhow::Result<Inbox> {
    let guard = GuardedResolver::new(FORWARD_POLICY, Arc::new(SystemLookup));
    let to = forwarding.to.clone();
    let secret = forwarding.secret.clone().unwrap_or_else(|| {
        let mut random = [0; 32];
        SystemEntropy.fill(&mut random);
        let made = Secret::generate(random);
        tell(&format!("webhooks are signed with {}", made.to_text()));
        made
    });
    tell(&format!("forwarding to {}", to.origin()));
    let courier = Courier {
        sender: Sender::new(guard, SenderLimits::default())?,
        to,
        secret,
        clock: Arc::new(SystemClock),
        form: options.form,
        output: output.clone(),
    };
    let inbox = Inbox::default();
    tokio::spawn(forward::run(inbox.clone(), courier, log.clone()));
    Ok(inbox)
}
