//! The API's description for programs: `/openapi.json`, and `/asyncapi.json` for the socket.
//!
//! It is written by hand in `openapi/`, a file a topic, as OpenAPI with four abbreviations that are written out here: an
//! operation's `needs` (who may do it) and `errors` (their codes), the list of webhooks, and descriptions as lists of
//! paragraphs. What the code knows is taken from the code: the statuses of errors, the version, the limit of bodies.
//! `tests` hold the rest against the code, both ways. Refuses to describe pages for people.

mod asyncapi;
mod join;
mod operations;
mod problems;
#[cfg(test)]
pub mod tests;
mod webhooks;

use bytes::Bytes;
use serde_json::{Map, Value};
use thiserror::Error;

use super::pages::{Pages, Readers};
use problems::Catalogue;

const DOCUMENT: Part = Part("document.json", include_str!("openapi/document.json"));
const PROBLEMS: Part = Part("problems.json", include_str!("openapi/problems.json"));
const WEBHOOKS: Part = Part("webhooks.json", include_str!("openapi/webhooks.json"));
const SOCKET: Part = Part("asyncapi.json", include_str!("asyncapi.json"));
/// Paths and their schemas.
const TOPICS: [Part; 10] = [
    Part("payments.json", include_str!("openapi/payments.json")),
    Part("events.json", include_str!("openapi/events.json")),
    Part("transfers.json", include_str!("openapi/transfers.json")),
    Part("deliveries.json", include_str!("openapi/deliveries.json")),
    Part("endpoints.json", include_str!("openapi/endpoints.json")),
    Part("keys.json", include_str!("openapi/keys.json")),
    Part("trends.json", include_str!("openapi/trends.json")),
    Part("hub.json", include_str!("openapi/hub.json")),
    Part("classic.json", include_str!("openapi/classic.json")),
    Part("documents.json", include_str!("openapi/documents.json")),
];

/// A file of this folder: its name and its text.
struct Part(&'static str, &'static str);

type Object = Map<String, Value>;

/// A part that does not fit together with the others; the tests prove that there is none.
#[derive(Debug, Error)]
pub enum PartError {
    #[error("{part} is no JSON")]
    Json {
        part: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error("there is no object at {0}")]
    NoObject(String),
    #[error("{0} is described twice")]
    Twice(String),
    #[error("{0} is not known")]
    Unknown(String),
}

/// Both documents.
pub struct Documents {
    pub openapi: Value,
    pub asyncapi: Value,
}

impl Documents {
    /// Puts the parts together.
    ///
    /// # Errors
    /// The parts do not fit; then the program was built from files that no test has seen.
    pub fn assemble() -> Result<Self, PartError> {
        let mut openapi = DOCUMENT.read()?;
        join::version(&mut openapi)?;
        for topic in &TOPICS {
            let mut topic = topic.read()?;
            join::into(&mut openapi, &["paths"], join::take(&mut topic, "paths")?)?;
            let schemas = join::take(&mut topic, "schemas")?;
            join::into(&mut openapi, &["components", "schemas"], schemas)?;
        }
        let mut catalogue = Catalogue::read(PROBLEMS.read()?)?;
        let schemas = catalogue.schemas();
        join::into(&mut openapi, &["components", "schemas"], schemas)?;
        operations::complete(join::at(&mut openapi, &["paths"])?, &mut catalogue)?;
        let responses = catalogue.into_responses();
        join::into(&mut openapi, &["components", "responses"], responses)?;
        let hooks = webhooks::operations(WEBHOOKS.read()?)?;
        join::into(&mut openapi, &["webhooks"], hooks)?;
        let asyncapi = asyncapi::document(SOCKET.read()?, &openapi)?;
        let (mut openapi, mut asyncapi) = (Value::Object(openapi), Value::Object(asyncapi));
        join::paragraphs(&mut openapi);
        join::paragraphs(&mut asyncapi);
        Ok(Self { openapi, asyncapi })
    }

    /// Serves them, to pages of every origin too.
    #[must_use]
    pub fn add_to(&self, pages: Pages) -> Pages {
        let documents = [
            ("/openapi.json", &self.openapi),
            ("/asyncapi.json", &self.asyncapi),
        ];
        documents
            .into_iter()
            .fold(pages, |pages, (path, document)| {
                let body = Bytes::from(document.to_string());
                pages.with(path, "application/json", Readers::AllPages, body)
            })
    }
}

impl Part {
    fn read(&self) -> Result<Object, PartError> {
        serde_json::from_str(self.1).map_err(|source| PartError::Json {
            part: self.0,
            source,
        })
    }
}
