//! `paybell keys`: API keys made, listed and revoked on the hub's machine.
//!
//! Where no hub runs, the data file is opened here; where one does, it holds the file, and is asked through the socket
//! beside it. Results go to stdout, a key alone on its line.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::build;
use super::operator_door::socket_path;
use crate::api::keys::draw_key;
use crate::api::wire::key::KeyObject;
use crate::api::wire::scalar::Rfc3339;
use crate::api::wire::{self, WireEncoder};
use crate::chains::Chains;
use crate::cli::{CreateKeyArgs, KeysCommand, RevokeKeyArgs};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::delivery::signature::Secret;
use crate::domain::api_key::{ApiKey, KeyId};
use crate::domain::api_key_commands::{Asker, NewKey};
use crate::domain::ids::UnixMs;
use crate::entropy::SystemEntropy;
use crate::ledger_task::Ledger;
use crate::store::redb::RedbStore;
use crate::store::{Store, StoreError};

/// How long a running hub may take to answer.
const HUB_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs one command.
pub async fn run(command: KeysCommand, config: Config) -> anyhow::Result<()> {
    match command {
        KeysCommand::Create(args) => create(Books::open(&config).await?, args).await,
        KeysCommand::List(_) => {
            must_exist(&config.data)?;
            list(Books::open(&config).await?).await
        }
        KeysCommand::Revoke(args) => {
            must_exist(&config.data)?;
            revoke(Books::open(&config).await?, args).await
        }
    }
}

/// What is looked at must be there: a mistyped path would make an empty file and show no keys.
fn must_exist(data: &Path) -> anyhow::Result<()> {
    if data.exists() {
        return Ok(());
    }
    bail!(
        "there is no data file {}: name the hub's configuration with --config, or its data file with PAYBELL_DATA",
        data.display()
    );
}

async fn create(books: Books, args: CreateKeyArgs) -> anyhow::Result<()> {
    let made = books.create(args).await?;
    books.close().await?;
    let key = made.key.as_deref().context("the hub told no key")?;
    let lost = || format!("the key could not be written: revoke {}", made.id);
    result(key).with_context(lost)?;
    note(&format!(
        "{} ({}, {}) is made. This is the only time that the key is shown: keep it where secrets are kept.",
        made.id, made.name, made.scope
    ));
    Ok(())
}

async fn list(books: Books) -> anyhow::Result<()> {
    let (keys, secret) = books.list().await?;
    books.close().await?;
    if keys.is_empty() {
        note("No API key was made yet: the hub asks for none, and serves this machine only.");
    } else {
        result(&table(&keys))?;
    }
    if let Some(secret) = secret {
        result(&format!("webhook secret {secret}"))?;
    }
    Ok(())
}

async fn revoke(books: Books, args: RevokeKeyArgs) -> anyhow::Result<()> {
    books.revoke(args.id).await?;
    let (keys, _) = books.list().await?;
    books.close().await?;
    result(&format!("{} is revoked", args.id))?;
    if !keys
        .iter()
        .any(|key| key.revoked_at.is_none() && key.scope == "admin")
    {
        note(
            "No key of scope admin is left; 'paybell keys create --name N --scope admin' makes one.",
        );
    }
    Ok(())
}

/// A line of the result, whose loss is a failure: it may hold a key that nobody sees again.
fn result(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

fn note(text: &str) {
    if let Err(error) = writeln!(io::stderr(), "{text}") {
        tracing::debug!(%error, "nobody reads stderr");
    }
}

/// A key as the API shows it.
#[derive(Debug, Deserialize)]
struct Shown {
    id: String,
    name: String,
    scope: String,
    created_at: f64,
    last_used_at: Option<f64>,
    revoked_at: Option<f64>,
    key: Option<String>,
}

fn table(keys: &[Shown]) -> String {
    let head = format!(
        "{:<30}  {:<5}  {:<7}  {:<20}  {:<20}  NAME",
        "ID", "SCOPE", "STATE", "CREATED", "LAST USED"
    );
    let rows = keys.iter().map(|key| {
        let state = key.revoked_at.map_or("in use", |_| "revoked");
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), time);
        let created = time(key.created_at);
        format!(
            "{:<30}  {:<5}  {state:<7}  {created:<20}  {used:<20}  {}",
            key.id, key.scope, key.name
        )
    });
    let lines: Vec<String> = std::iter::once(head).chain(rows).collect();
    lines.join("\n")
}

/// To the second.
fn time(seconds: f64) -> String {
    let text = Rfc3339(UnixMs(seconds as u64 * 1000)).to_string();
    text.replace(".000Z", "Z")
}

/// Where the keys are.
enum Books {
    File(File),
    Hub(RunningHub),
}

impl Books {
    /// The data file's lock tells whether a hub runs.
    async fn open(config: &Config) -> anyhow::Result<Self> {
        let entropy = SystemEntropy;
        match build::open_store(config, &entropy).await {
            Ok(store) => Ok(Self::File(File::new(config, store)?)),
            Err(error) => match error.downcast_ref::<StoreError>() {
                Some(StoreError::InUse { .. }) => Ok(Self::Hub(RunningHub::new(&config.data)?)),
                _ => Err(error),
            },
        }
    }

    async fn create(&self, args: CreateKeyArgs) -> anyhow::Result<Shown> {
        match self {
            Self::File(file) => file.create(args).await,
            Self::Hub(hub) => {
                let body = json!({"name": args.name, "scope": args.scope.as_str()});
                let made = hub.ask(reqwest::Method::POST, "/v1/keys", Some(&body));
                Ok(serde_json::from_value(made.await?)?)
            }
        }
    }

    /// All keys, newest first, and the webhook secret where the hub made its own.
    async fn list(&self) -> anyhow::Result<(Vec<Shown>, Option<String>)> {
        match self {
            Self::File(file) => file.list(),
            Self::Hub(hub) => hub.list().await,
        }
    }

    async fn revoke(&self, id: KeyId) -> anyhow::Result<()> {
        match self {
            Self::File(file) => Ok(file.ledger.revoke_key(id, Asker::Operator).await?),
            Self::Hub(hub) => {
                let path = format!("/v1/keys/{id}");
                hub.ask(reqwest::Method::DELETE, &path, None)
                    .await
                    .map(|_| ())
            }
        }
    }

    async fn close(self) -> anyhow::Result<()> {
        if let Self::File(file) = self {
            let store = file.store;
            tokio::task::spawn_blocking(move || store.close())
                .await
                .context("the data file could not be closed")?;
        }
        Ok(())
    }
}

/// The data file, which no hub holds.
struct File {
    store: Arc<RedbStore>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    webhook_secret: Option<String>,
}

impl File {
    fn new(config: &Config, store: Arc<RedbStore>) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ledger = Ledger::new(
            Arc::clone(&store) as _,
            Arc::clone(&clock),
            Arc::new(SystemEntropy),
            Arc::new(WireEncoder {
                chains: Chains::new(Vec::new()),
            }),
            build::amount_policy(config),
        );
        let secrets = build::callback_secrets(config, store.as_ref())?;
        let signing = secrets.at(&store.endpoints(), clock.now());
        let webhook_secret = match secrets.are_configured() {
            true => None,
            false => signing.first().map(Secret::to_text),
        };
        Ok(Self {
            store,
            ledger,
            clock,
            webhook_secret,
        })
    }

    async fn create(&self, args: CreateKeyArgs) -> anyhow::Result<Shown> {
        let presented = draw_key(&SystemEntropy, self.clock.now());
        let new = NewKey::of(&presented, args.name, args.scope);
        let made = self.ledger.create_key(new, Asker::Operator).await?;
        shown(KeyObject::new(&made, None).with_key(presented.to_text()))
    }

    fn list(&self) -> anyhow::Result<(Vec<Shown>, Option<String>)> {
        let keys = self.store.api_keys();
        let newest_first = keys.iter().rev();
        let all = newest_first.map(|key: &ApiKey| shown(KeyObject::new(key, None)));
        Ok((all.collect::<Result<_, _>>()?, self.webhook_secret.clone()))
    }
}

fn shown(key: KeyObject<'_>) -> anyhow::Result<Shown> {
    Ok(serde_json::from_slice(&wire::encode(&key)?)?)
}

/// A hub that runs, asked through the socket beside its data file.
struct RunningHub {
    client: reqwest::Client,
    /// What to say when it cannot be reached.
    unreachable: String,
}

impl RunningHub {
    fn new(data: &Path) -> anyhow::Result<Self> {
        let socket = socket_path(data);
        let client = reqwest::Client::builder()
            .unix_socket(socket.as_path())
            .tls_certs_only([])
            .timeout(HUB_TIMEOUT)
            .no_proxy()
            .build()
            .context("the client for the hub's socket could not be made")?;
        let unreachable = format!(
            "the data file {} is in use by another process, and no hub answers at {}: run this as the user that the hub \
             runs as; if the hub has just started or stopped, try again; if its log says that it has no socket, stop it first",
            data.display(),
            socket.display()
        );
        Ok(Self {
            client,
            unreachable,
        })
    }

    /// # Errors
    /// The hub's own words where it refuses.
    async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let mut request = self
            .client
            .request(method, format!("http://localhost{path}"));
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let unreachable = || self.unreachable.clone();
        let response = request.send().await.with_context(unreachable)?;
        let status = response.status();
        let text = response.bytes().await.with_context(unreachable)?;
        let answer: Value = match text.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&text)
                .with_context(|| format!("what answered with {status} is no hub"))?,
        };
        if status.is_success() {
            return Ok(answer);
        }
        let why = answer["error"].as_str();
        bail!("{}", why.unwrap_or("the hub refused without saying why"));
    }

    async fn list(&self) -> anyhow::Result<(Vec<Shown>, Option<String>)> {
        let get = |path| self.ask(reqwest::Method::GET, path, None);
        let mut list = get("/v1/keys").await?;
        let keys = serde_json::from_value(list["data"].take())?;
        let callbacks = get("/v1/endpoints/callbacks").await?;
        Ok((keys, callbacks["secret"].as_str().map(str::to_owned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_listed_in_columns() {
        let key = |name: &str, last_used_at, revoked_at| Shown {
            id: KeyId(1).to_string(),
            name: name.to_owned(),
            scope: "read".to_owned(),
            created_at: 1_672_531_200.9,
            last_used_at,
            revoked_at,
            key: None,
        };
        let keys = [
            key("the shop", None, None),
            key("old", Some(1_672_531_261.0), Some(1_672_531_300.0)),
        ];
        assert_eq!(
            table(&keys),
            "ID                              SCOPE  STATE    CREATED               LAST USED             NAME\n\
             key_00000000000000000000000001  read   in use   2023-01-01T00:00:00Z  never                 the shop\n\
             key_00000000000000000000000001  read   revoked  2023-01-01T00:00:00Z  2023-01-01T00:01:01Z  old"
        );
    }
}
