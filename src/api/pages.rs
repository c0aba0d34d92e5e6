//! The pages: files built into the program, served with a tag so that a browser asks again but loads only what changed.
//!
//! Refuses to read the disk. Which files there are, the caller says.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue, IF_NONE_MATCH};
use sha2::{Digest, Sha256};
use warp::reply::Response;

use super::answer;

/// Bytes of a file's SHA-256 that make up its tag.
const TAG_BYTES: usize = 12;
/// Ends the path of a page that is the same whatever stands there.
const ANY_ID: &str = "{id}";

/// A file and where it is served.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// `/assets/style.css`; `/pay/{id}` is served under every id.
    pub path: &'static str,
    /// `text/css; charset=utf-8`
    pub content_type: &'static str,
    pub readers: Readers,
    pub body: &'static [u8],
}

/// Whose pages a browser lets read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    OwnPages,
    /// Shops' pages too, wherever they are: what they import from here.
    AllPages,
}

/// A file with its tag.
#[derive(Debug, Clone)]
pub struct TaggedPage {
    path: &'static str,
    content_type: &'static str,
    readers: Readers,
    body: Bytes,
    etag: HeaderValue,
}

/// All files.
#[derive(Debug, Clone, Default)]
pub struct Pages(Vec<TaggedPage>);

impl Pages {
    pub fn new(pages: &'static [Page]) -> Self {
        let all = Self(Vec::with_capacity(pages.len()));
        pages.iter().fold(all, |all, page| {
            let body = Bytes::from_static(page.body);
            all.with(page.path, page.content_type, page.readers, body)
        })
    }

    /// Adds a file that was put together at the start.
    #[must_use]
    pub fn with(
        mut self,
        path: &'static str,
        content_type: &'static str,
        readers: Readers,
        body: Bytes,
    ) -> Self {
        let etag = tag(&body);
        self.0.push(TaggedPage {
            path,
            content_type,
            readers,
            body,
            etag,
        });
        self
    }

    pub fn find(&self, path: &str) -> Option<&TaggedPage> {
        self.0.iter().find(|tagged| tagged.is_at(path))
    }
}

impl TaggedPage {
    fn is_at(&self, path: &str) -> bool {
        match self.path.strip_suffix(ANY_ID) {
            Some(folder) => path
                .strip_prefix(folder)
                .is_some_and(|id| !id.contains('/')),
            None => self.path == path,
        }
    }

    pub fn serve(&self, headers: &HeaderMap) -> Response {
        let mut response = self.answer(headers);
        if self.readers == Readers::AllPages {
            let all = HeaderValue::from_static("*");
            response
                .headers_mut()
                .insert(ACCESS_CONTROL_ALLOW_ORIGIN, all);
        }
        response
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let present = headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag.as_bytes() == self.etag.as_bytes());
        if present {
            return answer::not_modified(&self.etag);
        }
        answer::page(self.content_type, &self.etag, self.body.clone())
    }
}

fn tag(body: &[u8]) -> HeaderValue {
    let digest = hex::encode(&Sha256::digest(body)[..TAG_BYTES]);
    // Hexadecimal digits in quotes are always a header value.
    HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}
