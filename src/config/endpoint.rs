//! A chain's endpoints: where a node answers, with which key, and how often it may be asked.
//!
//! Refuses the same URL with the same key twice: its budget would be counted double. Calls nobody.

use std::ops::RangeInclusive;

use super::checker::{Checker, Section};
use super::environment::TRONGRID_API_KEY;
use super::mistake::{Place, Problem};
use super::scalar;
use super::secret::SecretText;
use super::tree::Tree;
use super::web::EndpointUrl;
use crate::source::node::Api;

pub const MAX_ENDPOINTS_PER_CHAIN: usize = 16;
pub const REQUESTS_PER_SECOND: RangeInclusive<u32> = 1..=10_000;
pub const REQUESTS_PER_DAY: RangeInclusive<u32> = 1..=1_000_000_000;

const TRONGRID_URL: &str = "https://api.trongrid.io";
const TRONGRID_DOMAIN: &str = "trongrid.io";
/// What TronGrid serves to callers without a key.
const TRONGRID_KEYLESS_PER_SECOND: u32 = 3;

/// One node or provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    pub url: EndpointUrl,
    pub api: Api,
    pub api_key: Option<SecretText>,
    /// Within [`REQUESTS_PER_SECOND`].
    pub requests_per_second: u32,
    /// Within [`REQUESTS_PER_DAY`].
    pub requests_per_day: u32,
}

impl EndpointConfig {
    /// An endpoint with the default budget: that of a free TronGrid key, with a margin.
    pub const fn new(url: EndpointUrl, api_key: Option<SecretText>) -> Self {
        Self {
            url,
            api: Api::Auto,
            api_key,
            requests_per_second: 12,
            requests_per_day: 95_000,
        }
    }

    /// TronGrid's mainnet.
    pub(super) fn trongrid(api_key: Option<SecretText>) -> Self {
        let url = EndpointUrl::parse(TRONGRID_URL).expect("a constant URL");
        Self::new(url, api_key)
    }

    fn is_trongrid(&self) -> bool {
        let rest = self.url.host().strip_suffix(TRONGRID_DOMAIN);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// Reads a chain's list `endpoints`; absent, it is TronGrid. Nothing when the list itself is wrong.
pub(super) fn read_endpoints(
    chain: &mut Section,
    spare_key: Option<&SecretText>,
    checker: &mut Checker,
) -> Option<Vec<EndpointConfig>> {
    let Some((place, tree)) = chain.find("endpoints", checker) else {
        let endpoint = EndpointConfig::trongrid(spare_key.cloned());
        let place = chain.place_of("endpoints").item(0);
        advise(&endpoint, &place, spare_key, checker);
        return Some(vec![endpoint]);
    };
    let mut seen: Vec<(EndpointConfig, Place)> = Vec::new();
    let count = 1..=MAX_ENDPOINTS_PER_CHAIN;
    checker.items(&place, tree, count, |place, tree, checker| {
        let endpoint = read_endpoint(place, tree, spare_key, checker)?;
        let is_same =
            |other: &EndpointConfig| other.url == endpoint.url && other.api_key == endpoint.api_key;
        if let Some((_, first)) = seen.iter().find(|(other, _)| is_same(other)) {
            let first = first.clone();
            checker.wrong(place.clone(), Problem::Repeated { first });
        }
        advise(&endpoint, place, spare_key, checker);
        seen.push((endpoint.clone(), place.clone()));
        Some(endpoint)
    })
}

fn read_endpoint(
    place: &Place,
    tree: &Tree,
    spare_key: Option<&SecretText>,
    checker: &mut Checker,
) -> Option<EndpointConfig> {
    let mut section = Section::open(place, tree, checker)?;
    let url = section.require("url", "\"https://api.trongrid.io\"", checker, |tree| {
        EndpointUrl::parse(scalar::text(tree)?).map_err(Problem::Web)
    });
    let api_key = match section.get("api_key", checker, key_wish) {
        Some(KeyWish::Own(key)) => Some(key),
        Some(KeyWish::Without) => None,
        Some(KeyWish::Spare) | None => spare_key.cloned(),
    };
    let api = section.get("api", checker, |tree| {
        scalar::one_of(
            tree,
            &[
                ("auto", Api::Auto),
                ("http", Api::Http),
                ("jsonrpc", Api::JsonRpc),
            ],
        )
    });
    let per_second = section.get("requests_per_second", checker, |tree| {
        scalar::whole(tree, REQUESTS_PER_SECOND)
    });
    let per_day = section.get("requests_per_day", checker, |tree| {
        scalar::whole(tree, REQUESTS_PER_DAY)
    });
    section.close(checker);
    let defaults = EndpointConfig::new(url?, api_key);
    Some(EndpointConfig {
        api: api.unwrap_or(defaults.api),
        requests_per_second: per_second.unwrap_or(defaults.requests_per_second),
        requests_per_day: per_day.unwrap_or(defaults.requests_per_day),
        ..defaults
    })
}

/// What `api_key` says: a key, `""` for the environment's, `null` for none at all.
enum KeyWish {
    Own(SecretText),
    Spare,
    Without,
}

fn key_wish(tree: &Tree) -> Result<KeyWish, Problem> {
    let key = scalar::optional(tree, scalar::api_key)?;
    Ok(match key {
        None => KeyWish::Without,
        Some(None) => KeyWish::Spare,
        Some(Some(key)) => KeyWish::Own(key),
    })
}

fn advise(
    endpoint: &EndpointConfig,
    place: &Place,
    spare_key: Option<&SecretText>,
    checker: &mut Checker,
) {
    let EndpointConfig { url, api_key, .. } = endpoint;
    let keyed = api_key.is_some();
    if keyed && url.url().scheme() == "http" && !url.is_loopback() {
        checker.warn(
            place.key("url"),
            "http sends the API key readable over the network: write https",
        );
    }
    let is_spare = keyed && api_key.as_ref() == spare_key;
    if is_spare && !endpoint.is_trongrid() && !url.is_loopback() {
        let variable = TRONGRID_API_KEY.name;
        let text = format!(
            "{variable} is sent to {url}, which is not TronGrid: write its own key, or null for none"
        );
        checker.warn(place.key("api_key"), text);
    }
    let eager = endpoint.requests_per_second > TRONGRID_KEYLESS_PER_SECOND;
    if !keyed && eager && endpoint.is_trongrid() {
        let text = format!(
            "without an API key TronGrid answers about {TRONGRID_KEYLESS_PER_SECOND} requests a second: set {} or lower requests_per_second",
            TRONGRID_API_KEY.name
        );
        checker.warn(place.key("api_key"), text);
    }
}
