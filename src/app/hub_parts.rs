//! A hub: its parts put together, and its tasks run side by side until the end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use super::build::{self, Setting};
use super::operator_door::OperatorDoor;
use super::pages::PAGES;
use super::print_line;
use crate::api::host;
use crate::api::idempotency::InFlight;
use crate::api::keyring::Keyring;
use crate::api::live::{LiveContext, LiveLimits, Seats};
use crate::api::pages::Pages;
use crate::api::reference::Documents;
use crate::api::socket;
use crate::api::socket::handshake::Origins;
use crate::api::token::ClientTokens;
use crate::api::wire::WireEncoder;
use crate::api::{self, ApiContext, ApiSettings, CallbackCheck, FirstKey, RunMode};
use crate::chains::Chains;
use crate::clock::{Clock, SystemClock};
use crate::config::{ClassicWebhooks, Config, KeylessAccess, KeysConfigured};
use crate::delivery::attempt::CallbackSecrets;
use crate::delivery::callback_url::CallbackUrl;
use crate::delivery::dispatcher;
use crate::delivery::gauges::Gauges;
use crate::delivery::guard::GuardedResolver;
use crate::delivery::lookup::{FairLookup, SystemLookup};
use crate::delivery::sender::{Sender, SenderLimits};
use crate::delivery::signature::Secret;
use crate::domain::ids::{PaymentId, Sequence};
use crate::domain::payment::CallbackScope;
use crate::domain::wallet::Wallets;
use crate::entropy::SystemEntropy;
use crate::follower::{self, Follower, ProgressSink};
use crate::hub::{self, announce};
use crate::index::Index;
use crate::janitor;
use crate::key_uses::{self, KeyUses};
use crate::ledger_task::{Announcer, Entropy, Ledger};
use crate::sandbox::Sandbox;
use crate::server::{self, descriptors::max_connections};
use crate::shutdown::{self, Shutdown};
use crate::store::redb::RedbStore;
use crate::store::{Store, Write};
use crate::trends::{self, Trends};

/// How often the closing sockets are counted.
const SOCKETS_LOOK: Duration = Duration::from_millis(10);

/// Everything that a running hub needs, built and not yet started.
pub struct Hub {
    config: Config,
    setting: Setting,
    store: Arc<RedbStore>,
    ledger: Ledger,
    chains: Chains,
    wallets: Wallets,
    index: Arc<Index>,
    announcer: Arc<Announcer>,
    commits: UnboundedReceiver<Arc<Write>>,
    live: Arc<hub::Hub>,
    resolver: GuardedResolver,
    secrets: CallbackSecrets,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    seats: Arc<Seats>,
    gauges: Arc<Gauges>,
    key_uses: Arc<KeyUses>,
    trends: Arc<Trends>,
    pages: Pages,
    door: Option<OperatorDoor>,
    /// The demo's chain, whose controls the hub serves too.
    sandbox: Option<Sandbox>,
}

impl Hub {
    /// Opens the store and builds everything on it. Nothing runs yet.
    ///
    /// # Errors
    /// The data file cannot be used, or a part cannot be made from the configuration.
    pub async fn build(
        config: &Config,
        setting: Setting,
        sandbox: Option<Sandbox>,
    ) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let store = build::open_store(config, entropy.as_ref()).await?;
        let chains = build::chains(config, store.as_ref()).await?;
        let wallets = build::wallets(config, &chains)?;
        let index = Arc::new(Index::default());
        let ids = chains.iter().map(|chain| chain.spec.id);
        index.rebuild(ids, store.as_ref()).await?;
        let trends = Trends::new(
            Arc::clone(&clock),
            chains.iter().map(|chain| chain.spec.id),
            store.last_sequence(),
        );
        let trends = Arc::new(trends);
        let (announcer, commits) = Announcer::new(Arc::clone(&index), Arc::clone(&trends));
        let announcer = Arc::new(announcer);
        store.observe(Arc::clone(&announcer) as _);
        let ledger = Ledger::new(
            Arc::clone(&store) as _,
            Arc::clone(&clock),
            Arc::clone(&entropy),
            Arc::new(WireEncoder {
                chains: chains.clone(),
            }),
            build::amount_policy(config),
        );
        let policy = build::callback_policy(config, setting);
        Ok(Self {
            live: hub::Hub::new(&store.identity().epoch),
            resolver: GuardedResolver::new(
                policy,
                Arc::new(FairLookup::new(Arc::new(SystemLookup))),
            ),
            secrets: build::callback_secrets(config, store.as_ref())?,
            config: config.clone(),
            setting,
            store,
            ledger,
            chains,
            wallets,
            index,
            announcer,
            commits,
            clock,
            entropy,
            seats: Arc::default(),
            gauges: Arc::default(),
            key_uses: Arc::default(),
            trends,
            pages: Documents::assemble()?.add_to(Pages::new(PAGES)),
            // Before anybody is told that the hub is there.
            door: OperatorDoor::open(&config.data),
            sandbox,
        })
    }

    /// Puts every chain's cursor at its node's head: for the demo, whose chain begins anew with each start.
    ///
    /// # Errors
    /// The node or the store does not answer.
    pub async fn restart_chains(&self) -> anyhow::Result<()> {
        for (chain, config) in self.chains.iter().zip(&self.config.chains) {
            let head = build::endpoints(config, &self.clock)?.pick().head().await?;
            self.ledger.restart(chain.spec.id, head.header).await?;
        }
        Ok(())
    }

    /// Whether the data file holds any API key, so that the hub is guarded wherever it listens.
    pub fn keys_configured(&self) -> KeysConfigured {
        KeysConfigured::of(&self.store.api_keys())
    }

    /// The secret that webhooks are signed with, as receivers are given it.
    pub fn webhook_secret(&self) -> String {
        self.secrets
            .at(&self.store.endpoints(), self.clock.now())
            .first()
            .map(Secret::to_text)
            .unwrap_or_default()
    }

    /// Prints the webhook secret when it was made just now: no other place tells it.
    pub fn tell_new_secret(&self) {
        let is_new = self.store.last_sequence() == Sequence(0);
        if is_new && self.config.webhook_secrets.is_empty() {
            print_line("secret", &self.webhook_secret());
        }
    }

    /// Runs until `stopped` turns true, then drains and closes the store.
    ///
    /// # Errors
    /// A part could not be started.
    pub async fn run(mut self, listener: TcpListener, stopped: Shutdown) -> anyhow::Result<()> {
        let drain = self.config.drain;
        let store = Arc::clone(&self.store);
        let public_url = self.public_url(&listener)?;
        let routes = self.routes(&public_url, &stopped);
        let door = self.door.take();
        let door_routes = self.operator_routes(&public_url, &stopped);
        let mut tasks = JoinSet::new();
        self.spawn_followers(&mut tasks, &stopped)?;
        self.spawn_dispatcher(&mut tasks, &stopped)?;
        tasks.spawn(trends::run(
            Arc::clone(&self.trends),
            Arc::clone(&store) as _,
            self.chains.clone(),
            stopped.clone(),
        ));
        let retention = self.config.retention;
        let (ledger, as_store, clock) = (
            self.ledger.clone(),
            Arc::clone(&store),
            Arc::clone(&self.clock),
        );
        tasks.spawn(janitor::run(
            ledger,
            as_store,
            clock,
            retention,
            stopped.clone(),
        ));
        tasks.spawn(key_uses::run(
            Arc::clone(&self.key_uses),
            self.ledger.clone(),
            stopped.clone(),
        ));
        let announcing = tokio::spawn(announce(self.commits, self.live));
        drop(self.announcer);
        let serving = async {
            server::serve(listener, routes, max_connections(), stopped.clone(), drain).await;
            Ok(())
        };
        let operators = async {
            if let Some(door) = door {
                door.serve(door_routes, stopped.clone(), drain).await;
            }
            Ok(())
        };
        // All from the same moment on, so that the end takes the drain time once.
        let sockets = closed(&self.seats, stopped.clone(), drain);
        let outcome = tokio::try_join!(
            serving,
            operators,
            sockets,
            ended(&mut tasks, stopped.clone(), drain)
        );
        tasks.shutdown().await;
        tokio::task::spawn_blocking(move || store.close())
            .await
            .context("the store could not be closed")?;
        announcing.abort();
        outcome.map(|_| ())
    }

    fn routes(&self, public_url: &str, stopped: &Shutdown) -> BoxedFilter<(Response,)> {
        let keyring = self.keyring();
        let live = Arc::new(self.live_context(keyring.clone(), stopped.clone()));
        let sockets = socket::route(Arc::clone(&live));
        let http = api::routes(Arc::new(self.api_context(public_url, live)));
        let served = match &self.sandbox {
            Some(sandbox) => {
                let controls = sockets.or(sandbox.control_routes()).unify();
                controls.or(http).unify().boxed()
            }
            None => sockets.or(http).unify().boxed(),
        };
        match self.config.keyless {
            KeylessAccess::LoopbackOnly => host::guard(keyring).or(served).unify().boxed(),
            KeylessAccess::AnyAddress => served,
        }
    }

    /// The same for those who come through the socket beside the data file.
    fn operator_routes(&self, public_url: &str, stopped: &Shutdown) -> BoxedFilter<(Response,)> {
        let keyring = self.keyring().for_operators();
        let live = Arc::new(self.live_context(keyring, stopped.clone()));
        let sockets = socket::route(Arc::clone(&live));
        let http = api::routes(Arc::new(self.api_context(public_url, live)));
        sockets.or(http).unify().boxed()
    }

    fn api_context(&self, public_url: &str, live: Arc<LiveContext>) -> ApiContext {
        ApiContext {
            ledger: self.ledger.clone(),
            store: Arc::clone(&self.store) as _,
            index: Arc::clone(&self.index),
            chains: self.chains.clone(),
            wallets: self.wallets.clone(),
            tokens: self.tokens(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            started_at: self.clock.now(),
            live,
            gauges: Arc::clone(&self.gauges),
            trends: Arc::clone(&self.trends),
            callbacks: Arc::new(GuardedCallbacks(self.resolver.clone())),
            callback_secrets: self.secrets.clone(),
            pages: self.pages.clone(),
            settings: self.api_settings(public_url),
            in_flight: InFlight::default(),
        }
    }

    /// Where payers reach the pages.
    fn public_url(&self, listener: &TcpListener) -> anyhow::Result<String> {
        match &self.config.public_url {
            Some(url) => Ok(url.as_str().to_owned()),
            None => super::base_url(listener),
        }
    }

    fn api_settings(&self, public_url: &str) -> ApiSettings {
        let config = &self.config;
        ApiSettings {
            classic_scope: match config.classic_webhooks {
                ClassicWebhooks::Completed => CallbackScope::CompletionOnly,
                ClassicWebhooks::All => CallbackScope::Everything,
            },
            default_expires_in_seconds: config.default_expiry.as_secs(),
            max_expires_in_seconds: config.max_expiry.as_secs(),
            grace_seconds: config.grace.as_secs(),
            public_url: public_url.to_owned(),
            allowed_origins: config
                .allowed_origins
                .iter()
                .map(|o| o.as_str().to_owned())
                .collect(),
            polling_interval: config.polling_interval,
            first_key: match config.keyless {
                KeylessAccess::LoopbackOnly => FirstKey::ByVisitors,
                KeylessAccess::AnyAddress => FirstKey::ByOperators,
            },
            mode: match self.setting {
                Setting::Demo => RunMode::Demo,
                Setting::Real => RunMode::Serve,
            },
        }
    }

    fn live_context(&self, keyring: Keyring, shutdown: Shutdown) -> LiveContext {
        let usual = LiveContext::new(
            Arc::clone(&self.live),
            Arc::clone(&self.store) as _,
            Arc::clone(&self.clock),
            self.chains.clone(),
            shutdown,
        );
        LiveContext {
            keyring,
            origins: self.socket_origins(),
            limits: self.live_limits(),
            seats: Arc::clone(&self.seats),
            ..usual
        }
    }

    fn keyring(&self) -> Keyring {
        let keyring = Keyring::new(Arc::clone(&self.store) as _, Arc::clone(&self.clock));
        keyring.joined(Arc::clone(&self.key_uses), self.announcer.keys_changed())
    }

    /// Behind a proxy the Host header may be another than the browser's, so the public URL is named beside the others.
    fn socket_origins(&self) -> Origins {
        let public = self.config.public_url.iter();
        let public = public.filter_map(|url| url::Url::parse(url.as_str()).ok());
        let public = public.map(|url| url.origin().ascii_serialization());
        let allowed = self.config.allowed_origins.iter();
        Origins::new(public.chain(allowed.map(|o| o.as_str().to_owned())))
    }

    /// Those who wait leave some connections to the API. They are closed within the drain time, with a rest of it for
    /// their last frames.
    fn live_limits(&self) -> LiveLimits {
        let usual = LiveLimits::default();
        let connections = max_connections() as u64;
        let grace = (self.config.drain / 5).min(Duration::from_secs(2));
        LiveLimits {
            shutdown_spread: self.config.drain / 2,
            shutdown_grace: grace,
            connections: usual.connections.min(connections * 9 / 10),
            long_polls: usual.long_polls.min(connections / 20),
            ..usual
        }
    }

    fn tokens(&self) -> ClientTokens {
        ClientTokens::new(self.store.identity().token_secret)
    }

    fn spawn_followers(&self, tasks: &mut JoinSet<()>, stopped: &Shutdown) -> anyhow::Result<()> {
        for (chain, config) in self.chains.iter().zip(&self.config.chains) {
            let follower = Follower::new(follower::Parts {
                chain: Arc::clone(chain),
                endpoints: Arc::new(build::endpoints(config, &self.clock)?),
                ledger: self.ledger.clone(),
                store: Arc::clone(&self.store) as _,
                index: Arc::clone(&self.index),
                progress: Arc::new(Progress(Arc::clone(&self.live))),
                clock: Arc::clone(&self.clock),
                least_wait: self.config.polling_interval,
            });
            tasks.spawn(follower.run(self.announcer.watch_changed(), stopped.clone()));
        }
        Ok(())
    }

    fn spawn_dispatcher(&self, tasks: &mut JoinSet<()>, stopped: &Shutdown) -> anyhow::Result<()> {
        let parts = dispatcher::Parts {
            store: Arc::clone(&self.store) as _,
            ledger: self.ledger.clone(),
            sender: Arc::new(Sender::new(self.resolver.clone(), SenderLimits::default())?),
            policy: self.resolver.policy(),
            secrets: self.secrets.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            due: Arc::clone(&self.announcer.deliveries_due),
            gauges: Arc::clone(&self.gauges),
            trends: Arc::clone(&self.trends),
        };
        tasks.spawn(dispatcher::run(parts, stopped.clone(), self.config.drain));
        Ok(())
    }
}

/// Waits until the end is asked for, and then at most `drain` for the tasks to come to theirs.
///
/// # Errors
/// A task ended by itself. Better no hub than one that follows no chain or sends no webhook.
async fn ended(
    tasks: &mut JoinSet<()>,
    mut stopped: Shutdown,
    drain: Duration,
) -> anyhow::Result<()> {
    tokio::select! {
        () = shutdown::requested(&mut stopped) => {}
        Some(early) = tasks.join_next() => if !*stopped.borrow() {
            early.context("a part of the hub failed")?;
            anyhow::bail!("a part of the hub ended by itself");
        }
    }
    let rest = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, rest).await.is_err() {
        tracing::warn!("not everything ended within the drain time");
    }
    Ok(())
}

/// Waits until the end is asked for, and then at most `drain` for the sockets and streams to be told and closed.
async fn closed(seats: &Seats, mut stopped: Shutdown, drain: Duration) -> anyhow::Result<()> {
    shutdown::requested(&mut stopped).await;
    let all = async {
        while seats.sockets() + seats.streams() > 0 {
            tokio::time::sleep(SOCKETS_LOOK).await;
        }
    };
    if tokio::time::timeout(drain, all).await.is_err() {
        tracing::info!("sockets still open at the end of the drain time are cut");
    }
    Ok(())
}

/// Passes the follower's progress to the sockets.
struct Progress(Arc<hub::Hub>);

impl ProgressSink for Progress {
    fn progress(&self, payment: PaymentId, confirmations: u32, required: u32) {
        self.0.progress(payment, confirmations, required);
    }
}

/// Has the delivery floor judge callback URLs for the API.
struct GuardedCallbacks(GuardedResolver);

#[async_trait]
impl CallbackCheck for GuardedCallbacks {
    async fn check(&self, url: &str) -> Result<(), String> {
        let judged = match CallbackUrl::parse(url, self.0.policy()) {
            Ok(parsed) => self.0.check_resolved(&parsed).await,
            Err(refused) => Err(refused),
        };
        // The API names the field itself.
        judged.map_err(|refused| {
            refused
                .to_string()
                .trim_start_matches("callback_url: ")
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::watch;

    /// Found in review: a part that panicked was noticed at shutdown only, and the hub went on without it.
    #[tokio::test]
    async fn a_part_that_dies_ends_the_hub() {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::pending());
        tasks.spawn(async { panic!("on purpose") });
        assert!(
            ended(&mut tasks, stopped.clone(), Duration::ZERO)
                .await
                .is_err()
        );
        stop.send_replace(true);
        assert!(ended(&mut tasks, stopped, Duration::ZERO).await.is_ok());
    }
}
