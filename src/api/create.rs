//! A new payment from a request's fields: the classic endpoint's four, or all of `/v1`'s.
//!
//! Everything that can be wrong with the request itself is found here, and told in one answer. What depends on other
//! payments is the ledger's to decide.

use std::sync::Arc;

use super::ApiContext;
use super::checks::{self, Checked};
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

const V1_FIELDS: [&str; 13] = [
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

/// The fields that both endpoints have, checked one by one.
struct Basics {
    address: Option<Address>,
    expected: Option<Amount>,
    callback_url: Option<String>,
    order_id: Option<String>,
}

/// Reads a new payment, or says everything that is wrong with it.
pub async fn payment(ctx: &ApiContext, body: &[u8], dialect: Dialect) -> Result<Payment, Problem> {
    let mut form = Form::new(Fields::parse(body)?);
    if dialect == Dialect::V1 {
        form.only(&V1_FIELDS);
    }
    let chain = chain(ctx, &mut form, dialect)?;
    let basics = Basics::read(&mut form, &chain, dialect);
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
    let (Some(address), Some(expected), Some(order_id)) =
        (basics.address, basics.expected, basics.order_id)
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
    Ok(terms.payment(ctx, &chain, address, order_id, expected, callback))
}

fn chain(ctx: &ApiContext, form: &mut Form<'_>, dialect: Dialect) -> Result<Arc<Chain>, Problem> {
    let default = ctx
        .chains
        .default_chain()
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
    Ok(Arc::clone(asked.unwrap_or(default)))
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
    fn read(form: &mut Form<'_>, chain: &Chain, dialect: Dialect) -> Self {
        let decimals = chain.spec.decimals;
        // In the order in which the replaced service lists what is missing.
        let address = match dialect {
            Dialect::V1 if form.has("wallet") => wallet(form),
            _ => form.required("wallet_address", checks::address),
        };
        let expected = form.required("expected_amount_usdt", |v| checks::amount(v, decimals));
        let callback_url = match dialect {
            Dialect::Classic => form.required("callback_url", checks::callback_url),
            Dialect::V1 => form.optional("callback_url", checks::callback_url),
        };
        let order_id = form.required("order_id", checks::order_id);
        Self {
            address,
            expected,
            callback_url,
            order_id,
        }
    }
}

/// Wallets that derive an address a payment are not configurable yet, so that none has the name.
fn wallet(form: &mut Form<'_>) -> Option<Address> {
    if form.has("wallet_address") {
        form.mistake("wallet", "give wallet_address or wallet, not both");
    }
    form.optional("wallet", |value| -> Checked<Address> {
        let name = string(value).unwrap_or_default();
        Err(format!(
            "no such wallet is configured: {}; give a wallet_address",
            Quoted(&name)
        ))
    })
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

/// What opens a new payment to its payer: the token, and the page's address.
pub fn access(ctx: &ApiContext, payment: &Payment) -> (String, String) {
    let token = ctx.tokens.issue(payment.id, payment.grace_end());
    let base = ctx.settings.public_url.trim_end_matches('/');
    (token, format!("{base}/#{}", payment.id))
}
