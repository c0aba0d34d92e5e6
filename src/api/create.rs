//! A new payment from a request's fields: the classic endpoint's four, or all of `/v1`'s.
//!
//! Everything that can be wrong with the request itself is found here, and told in one answer. What depends on other
//! payments is the ledger's to decide.

use std::sync::Arc;

use super::ApiContext;
use super::checks;
use super::form::Form;
use super::mistake::Quoted;
use super::problem::{Kind, Problem};
use super::request::{Fields, string};
use crate::chains::Chain;
use crate::domain::address::Address;
use crate::domain::amount::Amount;
use crate::domain::ids::PaymentId;
use crate::domain::payment::{
    AmountMode, Callback, CallbackScope, Finality, MatchRule, Payment, Status,
};
use crate::domain::wallet::Wallet;

pub const V1_FIELDS: [&str; 13] = [
    "wallet_address",
    "expected_amount_usdt",
    "callback_url",
    "order_id",
    "chain",
    "match",
    "tolerance",
    "amount_mode",
    "wallet",
    "expires_in",
    "confirmations",
    "metadata",
    "success_url",
];

/// Which endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Unknown fields are passed over, `callback_url` is required.
    Classic,
    V1,
}

impl Dialect {
    pub const fn path(self) -> &'static str {
        match self {
            Self::Classic => "/create_payment",
            Self::V1 => "/v1/payments",
        }
    }
}

/// What the classic endpoint cannot say.
struct Terms {
    rule: MatchRule,
    amount_mode: AmountMode,
    tolerance: Amount,
    finality: Finality,
    expires_in_seconds: u64,
    success_url: Option<String>,
    metadata: Option<String>,
}

/// Where the money is to go.
enum Destination {
    Given(Address),
    /// To the wallet's next address, which the commit takes.
    Next(Arc<Wallet>),
}

/// A checked request, ready to be committed.
pub struct NewPayment {
    payment: Payment,
    wallet: Option<Arc<Wallet>>,
}

impl NewPayment {
    /// As it was checked: a wallet's payment gets its own address only in the commit.
    pub const fn payment(&self) -> &Payment {
        &self.payment
    }

    pub fn into_parts(self) -> (Payment, Option<Arc<Wallet>>) {
        (self.payment, self.wallet)
    }

    /// Returns the payment as committed: now its address and amount are known.
    pub async fn commit(self, ctx: &ApiContext) -> Result<Payment, Problem> {
        Ok(match self.wallet {
            Some(wallet) => ctx.ledger.create_in(wallet, self.payment).await?,
            None => ctx.ledger.create(self.payment).await?,
        })
    }
}

/// The fields that both endpoints have, checked one by one.
struct Basics {
    destination: Option<Destination>,
    expected: Option<Amount>,
    callback_url: Option<String>,
    order_id: Option<String>,
}

/// Reads a new payment, or says everything that is wrong with it.
pub async fn payment(
    ctx: &ApiContext,
    body: &[u8],
    dialect: Dialect,
) -> Result<NewPayment, Problem> {
    let mut form = Form::new(Fields::parse(body)?);
    if dialect == Dialect::V1 {
        form.only(&V1_FIELDS);
    }
    let wallet = wallet(ctx, &mut form, dialect);
    let chain = chain(ctx, &mut form, wallet.as_deref(), dialect)?;
    let basics = Basics::read(&mut form, wallet, &chain, dialect);
    let terms = match dialect {
        Dialect::Classic => Terms::usual(ctx, &chain),
        Dialect::V1 => Terms::read(ctx, &chain, &mut form),
    };
    if basics
        .expected
        .is_some_and(|expected| terms.tolerance >= expected)
    {
        form.mistake("tolerance", "tolerance must be less than the amount");
    }
    if let Some(url) = &basics.callback_url
        && let Err(why) = ctx.callbacks.check(url).await
    {
        let why = why.strip_prefix("callback_url: ").unwrap_or(&why);
        form.mistake(
            "callback_url",
            format!("Invalid callback URL format: {why}"),
        );
    }
    form.finish()?;
    let (Some(destination), Some(expected), Some(order_id)) =
        (basics.destination, basics.expected, basics.order_id)
    else {
        return Err(Problem::new(Kind::Internal, "a checked field got lost"));
    };
    let callback = basics.callback_url.map(|url| Callback {
        url,
        scope: match dialect {
            Dialect::Classic => ctx.settings.classic_scope,
            Dialect::V1 => CallbackScope::Everything,
        },
    });
    let (address, wallet) = match destination {
        Destination::Given(address) => (address, None),
        // Of the wallet, so that it is the merchant's whatever happens; the commit puts the next one in its place.
        Destination::Next(wallet) => (wallet.first_address(), Some(wallet)),
    };
    Ok(NewPayment {
        payment: terms.payment(ctx, &chain, address, order_id, expected, callback),
        wallet,
    })
}

/// The wallet that the request names. A classic client that gives an address too has always been passed over with
/// whatever else it sends.
fn wallet(ctx: &ApiContext, form: &mut Form<'_>, dialect: Dialect) -> Option<Arc<Wallet>> {
    if form.has("wallet") && form.has("wallet_address") {
        if dialect == Dialect::V1 {
            form.mistake("wallet", "give wallet_address or wallet, not both");
        }
        return None;
    }
    let found = form.optional("wallet", |value| {
        let name = string(value).unwrap_or_default();
        let found = ctx.wallets.by_name(&name);
        found.ok_or_else(|| unknown_wallet(ctx, &name))
    });
    found.map(Arc::clone)
}

fn unknown_wallet(ctx: &ApiContext, name: &str) -> String {
    let known: Vec<&str> = ctx.wallets.iter().map(|w| w.name.as_str()).collect();
    let name = Quoted(name);
    if known.is_empty() {
        return format!("wallet {name} is not configured, and no other is: give a wallet_address");
    }
    let known = known.join(", ");
    format!("wallet must be one of: {known}; {name} is not configured")
}

/// The chain that is asked for; else the wallet's, else the first.
fn chain(
    ctx: &ApiContext,
    form: &mut Form<'_>,
    wallet: Option<&Wallet>,
    dialect: Dialect,
) -> Result<Arc<Chain>, Problem> {
    let own = wallet.and_then(|wallet| ctx.chains.by_id(wallet.chain));
    let default = own
        .or(ctx.chains.default_chain())
        .ok_or_else(|| Problem::new(Kind::Internal, "no chain is configured"))?;
    let asked = match dialect {
        Dialect::Classic => None,
        Dialect::V1 => form.optional("chain", |value| {
            let name = string(value).unwrap_or_default();
            ctx.chains
                .by_name(&name)
                .ok_or_else(|| unknown_chain(ctx, &name))
        }),
    };
    let chain = asked.unwrap_or(default);
    if let Some(own) = own.filter(|own| own.spec.id != chain.spec.id) {
        let name = &own.spec.name;
        form.mistake(
            "chain",
            format!("the wallet's chain is {name}: leave chain out or say {name}"),
        );
    }
    Ok(Arc::clone(chain))
}

/// Says which chains there are.
pub fn unknown_chain(ctx: &ApiContext, name: &str) -> String {
    let known: Vec<&str> = ctx.chains.iter().map(|c| c.spec.name.as_str()).collect();
    format!(
        "chain must be one of: {}; {} is not configured",
        known.join(", "),
        Quoted(name)
    )
}

impl Basics {
    fn read(
        form: &mut Form<'_>,
        wallet: Option<Arc<Wallet>>,
        chain: &Chain,
        dialect: Dialect,
    ) -> Self {
        let decimals = chain.spec.decimals;
        // In the order in which the replaced service lists what is missing.
        let destination = match wallet {
            Some(wallet) => Some(Destination::Next(wallet)),
            // Its mistake is noted already.
            None if form.has("wallet") && !form.has("wallet_address") => None,
            None => form
                .required("wallet_address", checks::address)
                .map(Destination::Given),
        };
        let expected = form.required("expected_amount_usdt", |v| checks::amount(v, decimals));
        let callback_url = match dialect {
            Dialect::Classic => form.required("callback_url", checks::callback_url),
            Dialect::V1 => form.optional("callback_url", checks::callback_url),
        };
        let order_id = form.required("order_id", checks::order_id);
        Self {
            destination,
            expected,
            callback_url,
            order_id,
        }
    }
}

impl Terms {
    fn usual(ctx: &ApiContext, chain: &Chain) -> Self {
        Self {
            rule: MatchRule::Exact,
            amount_mode: AmountMode::Fixed,
            tolerance: Amount::ZERO,
            finality: chain.spec.default_finality,
            expires_in_seconds: ctx.settings.default_expires_in_seconds,
            success_url: None,
            metadata: None,
        }
    }

    fn read(ctx: &ApiContext, chain: &Chain, form: &mut Form<'_>) -> Self {
        let usual = Self::usual(ctx, chain);
        let max_seconds = ctx.settings.max_expires_in_seconds;
        Self {
            rule: form
                .optional("match", checks::match_rule)
                .unwrap_or(usual.rule),
            tolerance: form
                .optional("tolerance", checks::tolerance)
                .unwrap_or(usual.tolerance),
            amount_mode: form
                .optional("amount_mode", checks::amount_mode)
                .unwrap_or(usual.amount_mode),
            expires_in_seconds: form
                .optional("expires_in", |v| checks::expires_in(v, max_seconds))
                .unwrap_or(usual.expires_in_seconds),
            finality: form
                .optional("confirmations", checks::confirmations)
                .unwrap_or(usual.finality),
            metadata: form.optional("metadata", checks::metadata),
            success_url: form.optional("success_url", checks::success_url),
        }
    }

    fn payment(
        self,
        ctx: &ApiContext,
        chain: &Chain,
        address: Address,
        order_id: String,
        expected: Amount,
        callback: Option<Callback>,
    ) -> Payment {
        let now = ctx.clock.now();
        Payment {
            id: new_id(ctx, now.0),
            chain: chain.spec.id,
            address,
            derivation: None,
            order_id,
            expected,
            to_pay: expected,
            rule: self.rule,
            amount_mode: self.amount_mode,
            tolerance: self.tolerance,
            finality: self.finality,
            created_at: now,
            created_above: chain.known_height(),
            expires_at: now.plus_seconds(self.expires_in_seconds),
            grace_seconds: ctx.settings.grace_seconds,
            status: Status::Pending,
            closed_at: None,
            cancelled_at: None,
            completed_at: None,
            final_confirmations: None,
            credits: Vec::new(),
            callback,
            success_url: self.success_url,
            metadata: self.metadata,
            watched: true,
        }
    }
}

fn new_id(ctx: &ApiContext, now_ms: u64) -> PaymentId {
    let mut random = [0_u8; 10];
    ctx.entropy.fill(&mut random);
    PaymentId(uuid::Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid())
}
