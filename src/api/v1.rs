//! The `/v1/payments` endpoints: lists of them, one, its cancellation, its QR code.

use bytes::Bytes;
use qrcode::render::svg::Color;
use qrcode::{EcLevel, QrCode};
use warp::reply::Response;

use super::ApiContext;
use super::answer;
use super::auth::Caller;
use super::create::unknown_chain;
use super::creation::Access;
use super::problem::{Kind, Problem};
use super::query::Query;
use super::wire::list::List;
use super::wire::{self, PaymentObject};
use crate::chains::Chains;
use crate::domain::address::Address;
use crate::domain::ids::{PaymentId, TxId};
use crate::domain::payment::{Payment, Status};
use crate::store::PaymentFilter;

pub const FILTERS: [&str; 7] = [
    "status",
    "chain",
    "order_id",
    "wallet_address",
    "transaction_hash",
    "after",
    "limit",
];
/// Pixels a side that a QR code has at least.
const QR_PIXELS: u32 = 240;

/// `POST /v1/payments`' answer.
pub fn created(
    payment: &Payment,
    chains: &Chains,
    access: &Access,
) -> Result<Bytes, serde_json::Error> {
    let object = PaymentObject::new(payment, chains);
    wire::encode(&object.with_access(&access.client_token, &access.checkout_url))
}

pub async fn get(ctx: &ApiContext, id: &str, caller: Caller) -> Result<Response, Problem> {
    let payment = find(ctx, id).await?;
    let object = PaymentObject::new(&payment, &ctx.chains);
    answer::ok(&match caller {
        Caller::Payer(_) => object.for_payer(),
        Caller::Anyone | Caller::Key(..) | Caller::Operator => object,
    })
}

pub async fn cancel(ctx: &ApiContext, id: &str) -> Result<Response, Problem> {
    let id = parse_id(id)?;
    let payment = ctx.ledger.cancel(id).await?;
    answer::ok(&PaymentObject::new(&payment, &ctx.chains))
}

pub async fn list(ctx: &ApiContext, query: &str) -> Result<Response, Problem> {
    let mut query = Query::parse(query, &FILTERS);
    let filter = PaymentFilter {
        status: query.take("status", status_word),
        chain: query.take("chain", |name| {
            let chain = ctx.chains.by_name(name);
            chain
                .map(|chain| chain.spec.id)
                .ok_or_else(|| unknown_chain(ctx, name))
        }),
        order_id: query.take("order_id", |text| Ok(text.trim().to_owned())),
        address: query.take("wallet_address", wallet_address),
        transaction: query.take("transaction_hash", transaction_hash),
    };
    let after = query.take("after", payment_cursor);
    let limit = query.limit();
    query.finish()?;
    let page = ctx.store.payments(filter, after, limit).await?;
    let objects = page.items.iter();
    let objects = objects
        .map(|payment| PaymentObject::new(payment, &ctx.chains))
        .collect();
    answer::ok(&List::new(objects, page.next))
}

/// The address alone: every wallet reads that, while the forms with an amount are read by few.
pub async fn qr(ctx: &ApiContext, id: &str) -> Result<Response, Problem> {
    let payment = find(ctx, id).await?;
    let address = payment.address.to_tron();
    let code = QrCode::with_error_correction_level(address, EcLevel::M).map_err(|error| {
        tracing::error!(%error, "an address does not fit a QR code");
        Problem::new(Kind::Internal, "the QR code could not be drawn")
    })?;
    let image = code
        .render::<Color<'_>>()
        .min_dimensions(QR_PIXELS, QR_PIXELS)
        .dark_color(Color("#000"))
        .light_color(Color("#fff"))
        .build();
    Ok(answer::svg(image))
}

/// The payment of a path.
pub async fn find(ctx: &ApiContext, id: &str) -> Result<Payment, Problem> {
    let payment = ctx.store.payment(parse_id(id)?).await?;
    payment.ok_or_else(Problem::payment_not_found)
}

/// Whatever is not an id is the id of no payment.
pub fn parse_id(id: &str) -> Result<PaymentId, Problem> {
    PaymentId::parse(id).ok_or_else(Problem::payment_not_found)
}

fn status_word(text: &str) -> Result<Status, String> {
    Status::parse(text).ok_or_else(|| {
        let words = Status::ALL.map(Status::as_str);
        format!("status must be one of: {}", words.join(", "))
    })
}

fn wallet_address(text: &str) -> Result<Address, String> {
    Address::from_tron(text.trim())
        .map_err(|error| format!("wallet_address must be a TRON address: {error}"))
}

fn transaction_hash(text: &str) -> Result<TxId, String> {
    TxId::from_hex(text.trim()).ok_or_else(|| {
        "transaction_hash must be 64 hexadecimal digits, with or without 0x".to_owned()
    })
}

fn payment_cursor(text: &str) -> Result<PaymentId, String> {
    PaymentId::parse(text).ok_or_else(|| "after must be a payment's id".to_owned())
}
