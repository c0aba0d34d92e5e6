//! The `/v1/keys` endpoints: who may call the API, and how far.

use serde_json::value::RawValue;
use warp::reply::Response;

use super::auth::Caller;
use super::checks::{self, Checked};
use super::form::Form;
use super::problem::{Kind, Problem};
use super::request::{Fields, kind_word, string};
use super::wire::key::{CurrentKeyObject, KeyObject};
use super::wire::list::List;
use super::wire::scalar::Text;
use super::{ApiContext, FirstKey, answer};
use crate::domain::api_key::{KeyId, KeyScope, KeySecret, MAX_NAME_CHARS, PresentedKey};
use crate::domain::api_key_commands::NewKey;
use crate::domain::ids::UnixMs;
use crate::ledger_task::Entropy;

pub const NEW_FIELDS: [&str; 2] = ["name", "scope"];

/// All of them in one piece: there are at most [`crate::domain::api_keys::MAX_KEYS`].
pub async fn list(ctx: &ApiContext) -> Result<Response, Problem> {
    let (keys, uses) = (ctx.store.api_keys(), ctx.live.keyring.uses());
    let newest_first = keys.iter().rev();
    let objects = newest_first.map(|key| KeyObject::new(key, uses.get(key.id)));
    answer::ok(&List::new(objects.collect(), None::<KeyId>))
}

pub async fn create(ctx: &ApiContext, caller: Caller, body: &[u8]) -> Result<Response, Problem> {
    let mut form = Form::new(Fields::parse(body)?);
    form.only(&NEW_FIELDS);
    let name = form.required("name", name);
    let scope = form.required("scope", scope);
    form.finish()?;
    let (name, scope) = name
        .zip(scope)
        .ok_or_else(|| Problem::new(Kind::Internal, "a checked field got lost"))?;
    may_begin(ctx, caller)?;
    let presented = draw_key(ctx.entropy.as_ref(), ctx.clock.now());
    let new = NewKey::of(&presented, name, scope);
    let key = ctx.ledger.create_key(new, caller.asker()).await?;
    let object = KeyObject::new(&key, None).with_key(presented.to_text());
    answer::made(&object, format!("/v1/keys/{}", key.id))
}

/// Where strangers are let in, none of them may lock the owner out.
fn may_begin(ctx: &ApiContext, caller: Caller) -> Result<(), Problem> {
    if caller != Caller::Anyone || ctx.settings.first_key == FirstKey::ByVisitors {
        return Ok(());
    }
    let detail = "this hub lets everyone in (allow_unauthenticated), so its first key is made with 'paybell keys create --scope admin'";
    Err(Problem::new(Kind::Forbidden, detail))
}

pub async fn get(ctx: &ApiContext, id: &str) -> Result<Response, Problem> {
    let (id, keys) = (key_id(id)?, ctx.store.api_keys());
    let key = keys.get(id).ok_or_else(Problem::key_not_found)?;
    answer::ok(&KeyObject::new(key, ctx.live.keyring.uses().get(id)))
}

pub async fn revoke(ctx: &ApiContext, caller: Caller, id: &str) -> Result<Response, Problem> {
    ctx.ledger.revoke_key(key_id(id)?, caller.asker()).await?;
    Ok(answer::gone())
}

/// What the caller's own credential is.
pub async fn current(ctx: &ApiContext, caller: Caller) -> Result<Response, Problem> {
    let keys = ctx.store.api_keys();
    let key = match caller {
        Caller::Key(id, _) => keys.get(id),
        Caller::Anyone | Caller::Payer(_) | Caller::Operator => None,
    };
    let scope = caller
        .scope()
        .ok_or_else(|| Problem::new(Kind::Forbidden, "a client token has no scope"))?;
    answer::ok(&CurrentKeyObject {
        id: key.map(|key| Text(key.id)),
        name: key.map(|key| key.name.as_str()),
        scope: scope.as_str(),
        keys_required: !keys.is_empty(),
    })
}

/// A key that nobody has seen yet.
pub fn draw_key(entropy: &dyn Entropy, now: UnixMs) -> PresentedKey {
    let (mut place, mut secret) = ([0; 16], [0; 32]);
    entropy.fill(&mut place);
    entropy.fill(&mut secret);
    let ulid = ulid::Ulid::from_parts(now.0, u128::from_be_bytes(place));
    PresentedKey {
        id: KeyId(ulid.0),
        secret: KeySecret::of_random(secret),
    }
}

fn key_id(text: &str) -> Result<KeyId, Problem> {
    KeyId::parse(text).ok_or_else(Problem::key_not_found)
}

fn name(value: &RawValue) -> Checked<String> {
    match string(value) {
        Some(text) => checked_name(&text),
        None => Err(format!("name must be a string, not {}", kind_word(value))),
    }
}

/// A name tells keys apart for people: at least one visible character, and nothing that would disturb a list.
///
/// # Errors
/// What is wrong with it.
pub fn checked_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().all(checks::is_invisible) {
        return Err("name must not be empty: say who uses the key, like \"shop\"".to_owned());
    }
    let chars = text.chars().count();
    if chars > MAX_NAME_CHARS {
        return Err(format!(
            "name cannot exceed {MAX_NAME_CHARS} characters, this has {chars}"
        ));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!(
            "name must not contain control characters, such as {}",
            c.escape_unicode()
        )),
        None => Ok(text.to_owned()),
    }
}

fn scope(value: &RawValue) -> Checked<KeyScope> {
    let words = KeyScope::ALL.map(|scope| (scope.as_str(), scope));
    checks::one_of("scope", value, &words)
}
