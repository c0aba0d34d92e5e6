//! One HTTP request to a node: sent, bounded in time and bytes, and read whole.
//!
//! Owns the client's settings and the limits. Refuses proxies, redirects, compression, bodies
//! over the limit, and any text that would show a secret of the endpoint's URL.

use std::time::Duration;

pub(super) use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect;
use tracing::warn;

use super::error::{Asked, SourceError};

pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the first byte out to the last byte in, connecting included.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Below the idle times of common proxies (60 s and more): a connection that they close just as
/// a request goes out on it is a request lost.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer that is read. A block of 10,000 transactions takes about half of it.
pub const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;
/// Of an answer that is an error no more than this is looked at.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// The room made for an answer before its size is known to be true.
const MAX_FIRST_ALLOCATION_BYTES: usize = 1024 * 1024;
const USER_AGENT: &str = concat!("paybell/", env!("CARGO_PKG_VERSION"));

/// Limits of one request. Tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    pub total_timeout: Duration,
    pub response_bytes: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            total_timeout: TOTAL_TIMEOUT,
            response_bytes: MAX_RESPONSE_BYTES,
        }
    }
}

/// The client for all nodes: HTTP/1.1, TLS by rustls with ring and the system's root
/// certificates, no proxy, no redirects. Share it: its clones share one pool of connections.
///
/// Where the system has no root certificates, https requests fail and plain http still works.
///
/// # Errors
/// When the TLS library refuses its own defaults.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    install_crypto_provider();
    settings().build().or_else(|error| {
        warn!(%error, "no usable root certificates on this system: https endpoints will fail");
        settings().tls_certs_only([]).build()
    })
}

fn settings() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy()
}

/// Makes ring the process's TLS provider unless one is set. May be called any number of times.
pub fn install_crypto_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_some() {
        return;
    }
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        tracing::debug!("another thread installed the TLS provider first");
    }
}

/// A node's whole answer with status 200.
pub(super) struct Answer {
    pub body: Vec<u8>,
}

/// A node's answer with another status, as far as it was read.
pub(super) struct BadStatus {
    pub code: u16,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

/// Sends the request and reads its answer.
///
/// # Errors
/// `Transport`, `Timeout` and `TooLarge`; other statuses than 200 are the inner `Err`.
pub(super) async fn exchange(
    request: reqwest::RequestBuilder,
    limits: HttpLimits,
    asked: &Asked,
) -> Result<Result<Answer, BadStatus>, SourceError> {
    let broken = |error: reqwest::Error| broken_exchange(error, limits, asked);
    let response = request
        .timeout(limits.total_timeout)
        .send()
        .await
        .map_err(broken)?;
    let code = response.status().as_u16();
    if code == 200 {
        let body = read_whole(response, limits, asked).await?;
        return Ok(Ok(Answer { body }));
    }
    let retry_after = retry_after(response.headers());
    let body = read_beginning(response).await;
    Ok(Err(BadStatus {
        code,
        retry_after,
        body,
    }))
}

fn broken_exchange(error: reqwest::Error, limits: HttpLimits, asked: &Asked) -> SourceError {
    let asked = asked.clone();
    // The URL may hold a provider's token.
    let source = error.without_url();
    if source.is_timeout() {
        SourceError::Timeout {
            asked,
            after: if source.is_connect() {
                CONNECT_TIMEOUT.min(limits.total_timeout)
            } else {
                limits.total_timeout
            },
            source,
        }
    } else {
        SourceError::Transport { asked, source }
    }
}

async fn read_whole(
    mut response: reqwest::Response,
    limits: HttpLimits,
    asked: &Asked,
) -> Result<Vec<u8>, SourceError> {
    let too_large = || SourceError::TooLarge {
        asked: asked.clone(),
        limit_bytes: limits.response_bytes,
    };
    let told = response
        .content_length()
        .map_or(0, |told| usize::try_from(told).unwrap_or(usize::MAX));
    if told > limits.response_bytes {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(told.min(MAX_FIRST_ALLOCATION_BYTES));
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| broken_exchange(error, limits, asked))?
    {
        if body.len() + chunk.len() > limits.response_bytes {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The status is news enough: an error body that breaks off is shown as far as it came.
async fn read_beginning(mut response: reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < MAX_ERROR_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(MAX_ERROR_BYTES);
    body
}

/// `Retry-After` in seconds; no node has been seen to send its date form, which is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse();
    seconds.ok().map(Duration::from_secs)
}
