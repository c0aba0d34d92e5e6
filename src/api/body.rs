//! A request's body: read with a limit and a time-out, refused when it says that it is not JSON.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};

use super::mistake::Quoted;
use super::problem::{Kind, Problem};

/// Longest body that is read.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long a client may take to send its body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Read and thrown away of a body that is too long, so that its sender gets to see the answer.
const MAX_DRAINED_BYTES: usize = 4 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A body that was not read yet.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send>>;

/// Reads a body whole.
pub async fn read(headers: &HeaderMap, stream: BodyStream) -> Result<Bytes, Problem> {
    read_within(headers, stream, BODY_TIMEOUT).await
}

/// Refuses a body that says it is something else than JSON. One that says nothing is believed to be JSON.
pub fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(given.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let structured = essence.starts_with("application/") && essence.ends_with("+json");
    if essence == "application/json" || structured {
        return Ok(());
    }
    let detail = format!(
        "the content type is {}; send application/json",
        Quoted(&text)
    );
    Err(Problem::new(Kind::UnsupportedMediaType, detail))
}

async fn read_within(
    headers: &HeaderMap,
    mut stream: BodyStream,
    timeout: Duration,
) -> Result<Bytes, Problem> {
    if announced_length(headers).is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        // A client that waits for `100 Continue` has not sent anything yet, and polling would ask for it.
        if !headers.contains_key(EXPECT) {
            drain(stream).await;
        }
        return Err(too_large());
    }
    match tokio::time::timeout(timeout, collect(&mut stream)).await {
        Ok(Err(Unread::TooLarge)) => {
            drain(stream).await;
            Err(too_large())
        }
        Ok(Err(Unread::Broken(error))) => {
            tracing::debug!(%error, "a request body broke off");
            let detail = "the body broke off before its end";
            Err(Problem::new(Kind::BodyUnreadable, detail).closing())
        }
        Ok(Ok(body)) => Ok(body),
        Err(_) => {
            let detail = format!("the body did not arrive within {} s", timeout.as_secs());
            Err(Problem::new(Kind::RequestTimeout, detail).closing())
        }
    }
}

enum Unread {
    TooLarge,
    Broken(warp::Error),
}

async fn collect(stream: &mut BodyStream) -> Result<Bytes, Unread> {
    let Some(first) = stream.next().await else {
        return Ok(Bytes::new());
    };
    let first = within_limit(0, first)?;
    let Some(second) = stream.next().await else {
        return Ok(first);
    };
    let mut whole = BytesMut::from(first.as_ref());
    whole.extend_from_slice(&within_limit(whole.len(), second)?);
    while let Some(chunk) = stream.next().await {
        whole.extend_from_slice(&within_limit(whole.len(), chunk)?);
    }
    Ok(whole.freeze())
}

fn within_limit(before: usize, chunk: Result<Bytes, warp::Error>) -> Result<Bytes, Unread> {
    let chunk = chunk.map_err(Unread::Broken)?;
    if before + chunk.len() > MAX_BODY_BYTES {
        return Err(Unread::TooLarge);
    }
    Ok(chunk)
}

/// Reads on for a moment: a connection closed on a sender loses the answer in most clients.
async fn drain(mut stream: BodyStream) {
    let reading = async {
        let mut drained = 0;
        while let Some(Ok(chunk)) = stream.next().await {
            drained += chunk.len();
            if drained > MAX_DRAINED_BYTES {
                break;
            }
        }
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, reading).await.is_err() {
        tracing::debug!("a body that is too long went on for too long");
    }
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large() -> Problem {
    let detail = format!("the body is longer than {MAX_BODY_BYTES} bytes");
    Problem::new(Kind::BodyTooLarge, detail).closing()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    fn chunks(sizes: &[usize]) -> BodyStream {
        let chunks: Vec<_> = sizes
            .iter()
            .map(|size| Ok(Bytes::from(vec![b'x'; *size])))
            .collect();
        Box::pin(stream::iter(chunks))
    }

    #[tokio::test]
    async fn the_limit_counts_bytes_and_not_promises() {
        let headers = HeaderMap::new();
        let body = read(&headers, chunks(&[MAX_BODY_BYTES])).await;
        assert_eq!(body.expect("at the limit").len(), MAX_BODY_BYTES);
        let body = read(&headers, chunks(&[1000, MAX_BODY_BYTES - 1000])).await;
        assert_eq!(body.expect("at the limit").len(), MAX_BODY_BYTES);
        for sizes in [
            &[MAX_BODY_BYTES + 1][..],
            &[MAX_BODY_BYTES, 1],
            &[1, MAX_BODY_BYTES],
            &[40_000, 20_000, 20_000],
            &[MAX_BODY_BYTES; 200],
        ] {
            let error = read(&headers, chunks(sizes)).await.expect_err("too large");
            assert_eq!(error.kind, Kind::BodyTooLarge);
        }
        assert!(read(&headers, chunks(&[])).await.expect("empty").is_empty());
    }

    #[tokio::test]
    async fn an_announced_length_is_refused_before_reading() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, "65537".parse().expect("a header"));
        headers.insert(EXPECT, "100-continue".parse().expect("a header"));
        let silent: BodyStream = Box::pin(stream::pending());
        let error = read(&headers, silent).await.expect_err("too large");
        assert_eq!(error.kind, Kind::BodyTooLarge);
    }

    #[tokio::test]
    async fn a_silent_sender_is_not_waited_for() {
        let silent: BodyStream = Box::pin(stream::pending());
        let error = read_within(&HeaderMap::new(), silent, Duration::from_millis(20)).await;
        assert_eq!(error.expect_err("timeout").kind, Kind::RequestTimeout);
    }

    #[test]
    fn only_json_or_nothing_is_a_content_type() {
        let check = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, given.parse().expect("a header"));
            require_json(&headers).is_ok()
        };
        assert!(require_json(&HeaderMap::new()).is_ok());
        for good in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
        ] {
            assert!(check(good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "text/json",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "multipart/form-data; boundary=application/json",
        ] {
            assert!(!check(bad), "{bad}");
        }
    }
}
