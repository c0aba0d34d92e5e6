//! Faults on order: what a node or the network in front of it may do wrong, for how long or how often.
//!
//! Refuses more than a few at a time. Control endpoints are never at fault.

use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::Answer;
use super::view::View;

/// Faults that can be active at once.
const MAX_FAULTS: usize = 32;
/// Longest time and most requests a fault may be ordered for.
const MAX_FOR_MS: u64 = 24 * 3_600_000;
const MAX_TIMES: u64 = 1_000_000;
const MAX_PATH_CHARS: usize = 200;
/// How long a request that times out is held before the connection gets a 504.
pub const HANG: Duration = Duration::from_secs(60);
/// How far a head goes back.
const BACK_BLOCKS: u64 = 5;
/// TronGrid's usual suspension.
const SUSPENDED_SECONDS: u64 = 30;
const MAX_SUSPENDED_SECONDS: u64 = 3_600;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum FaultKind {
    #[serde(rename = "429")]
    TooMany,
    #[serde(rename = "403_suspended")]
    Suspended,
    #[serde(rename = "500")]
    Internal,
    #[serde(rename = "404_spurious")]
    Spurious404,
    #[serde(rename = "html_502")]
    Html502,
    #[serde(rename = "timeout")]
    Timeout,
    #[serde(rename = "truncated")]
    Truncated,
    #[serde(rename = "empty_logs")]
    EmptyLogs,
    #[serde(rename = "head_back")]
    HeadBack,
    #[serde(rename = "slow_drip")]
    SlowDrip,
    #[serde(rename = "stale_node")]
    StaleNode,
}

/// What `POST /sandbox/fault` takes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    kind: FaultKind,
    for_ms: Option<u64>,
    times: Option<u64>,
    /// A prefix of the paths at fault; without one, all are.
    path: Option<String>,
    /// Only for `403_suspended`: the seconds that its text names.
    suspended_s: Option<u64>,
}

/// A fault in force.
#[derive(Debug, Clone)]
struct Fault {
    kind: FaultKind,
    /// Unix milliseconds; exclusive.
    until: Option<u64>,
    times_left: Option<u64>,
    path: Option<String>,
    suspended_s: u64,
    /// The head when it was ordered: where a stale node stays.
    stale_head: u64,
}

/// The one fault that hits a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    pub kind: FaultKind,
    suspended_s: u64,
    stale_head: u64,
}

#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// # Errors
    /// Says what is wrong with the order, and how to put it right.
    pub fn order(&mut self, order: FaultOrder, now_ms: u64, head: u64) -> Result<(), String> {
        self.drop_spent(now_ms);
        let limit = match (order.for_ms, order.times) {
            (Some(_), Some(_)) => Err("give either for_ms or times, not both".to_owned()),
            (None, None) => {
                Err("say how long: for_ms (milliseconds) or times (requests)".to_owned())
            }
            (Some(ms), None) if !(1..=MAX_FOR_MS).contains(&ms) => {
                Err(format!("for_ms must be from 1 to {MAX_FOR_MS}"))
            }
            (None, Some(n)) if !(1..=MAX_TIMES).contains(&n) => {
                Err(format!("times must be from 1 to {MAX_TIMES}"))
            }
            (Some(ms), None) => Ok((Some(now_ms.saturating_add(ms)), None)),
            (None, Some(n)) => Ok((None, Some(n))),
        };
        let (until, times_left) = limit?;
        if self.0.len() >= MAX_FAULTS {
            return Err(format!(
                "{MAX_FAULTS} faults are in force already; DELETE /sandbox/fault clears them"
            ));
        }
        if let Some(path) = &order.path
            && (!path.starts_with('/') || path.len() > MAX_PATH_CHARS)
        {
            return Err(format!(
                "path must start with / and have at most {MAX_PATH_CHARS} characters"
            ));
        }
        let suspended_s = order.suspended_s.unwrap_or(SUSPENDED_SECONDS);
        if suspended_s > MAX_SUSPENDED_SECONDS {
            return Err(format!(
                "suspended_s must be at most {MAX_SUSPENDED_SECONDS}"
            ));
        }
        self.0.push(Fault {
            kind: order.kind,
            until,
            times_left,
            path: order.path,
            suspended_s,
            stale_head: head,
        });
        Ok(())
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The oldest fault that this path runs into; counts it as used once.
    pub fn hit(&mut self, path: &str, now_ms: u64) -> Option<Hit> {
        self.drop_spent(now_ms);
        let fault = self.0.iter_mut().find(|fault| {
            fault
                .path
                .as_ref()
                .is_none_or(|prefix| path.starts_with(prefix))
        })?;
        if let Some(left) = &mut fault.times_left {
            *left -= 1;
        }
        Some(Hit {
            kind: fault.kind,
            suspended_s: fault.suspended_s,
            stale_head: fault.stale_head,
        })
    }

    fn drop_spent(&mut self, now_ms: u64) {
        self.0.retain(|fault| {
            fault.until.is_none_or(|until| now_ms < until) && fault.times_left != Some(0)
        });
    }

    pub fn list(&mut self, now_ms: u64) -> Value {
        self.drop_spent(now_ms);
        let all = self.0.iter().map(|fault| {
            let mut object = json!({"kind": fault.kind});
            if let Some(until) = fault.until {
                object["ms_left"] = (until - now_ms).into();
            }
            if let Some(left) = fault.times_left {
                object["times_left"] = left.into();
            }
            if let Some(path) = &fault.path {
                object["path"] = path.clone().into();
            }
            object
        });
        all.collect()
    }
}

impl Hit {
    /// The answer that takes the place of the node's own, for faults that have one.
    pub fn instead(self) -> Option<Answer> {
        Some(match self.kind {
            FaultKind::TooMany => Answer::json_status(
                StatusCode::TOO_MANY_REQUESTS,
                &json!({"Error": "request rate exceeds the frequency limit(15)"}),
            ),
            FaultKind::Suspended => Answer::json_status(
                StatusCode::FORBIDDEN,
                &json!({"Error": format!(
                    "The key exceeds the frequency limit(15), and the query server is suspended for {}s",
                    self.suspended_s
                )}),
            ),
            FaultKind::Internal => Answer::html(
                StatusCode::INTERNAL_SERVER_ERROR,
                "<h2>HTTP ERROR 500 Server Error</h2>",
            ),
            FaultKind::Spurious404 => Answer::json_status(
                StatusCode::NOT_FOUND,
                &json!({"success": false, "statusCode": 404, "error": "Not Found"}),
            ),
            FaultKind::Html502 => Answer::html(
                StatusCode::BAD_GATEWAY,
                "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>openresty</center>\r\n</body>\r\n</html>\r\n",
            ),
            FaultKind::Timeout => {
                Answer::html(StatusCode::GATEWAY_TIMEOUT, "<h1>504 Gateway Time-out</h1>")
            }
            _ => return None,
        })
    }

    /// What the node sees of the chain while at fault.
    pub fn distort(self, view: View<'_>) -> View<'_> {
        match self.kind {
            FaultKind::EmptyLogs => view.without_logs(),
            FaultKind::HeadBack => view.up_to(view.head_height().saturating_sub(BACK_BLOCKS)),
            FaultKind::StaleNode => view.up_to(self.stale_head),
            _ => view,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> FaultOrder {
        serde_json::from_str(text).expect("an order")
    }

    #[test]
    fn faults_end_by_count_or_by_time() {
        let mut faults = Faults::default();
        faults
            .order(order(r#"{"kind":"429","times":2}"#), 0, 0)
            .expect("fine");
        assert_eq!(
            faults.hit("/wallet/x", 0).map(|hit| hit.kind),
            Some(FaultKind::TooMany)
        );
        assert!(faults.hit("/v1/x", 0).is_some());
        assert!(faults.hit("/wallet/x", 0).is_none());
        faults
            .order(order(r#"{"kind":"timeout","for_ms":100}"#), 1000, 0)
            .expect("fine");
        assert!(faults.hit("/", 1099).is_some());
        assert!(faults.hit("/", 1100).is_none());
    }

    #[test]
    fn a_path_limits_a_fault_and_does_not_use_it_up_elsewhere() {
        let mut faults = Faults::default();
        faults
            .order(order(r#"{"kind":"500","times":1,"path":"/jsonrpc"}"#), 0, 0)
            .expect("fine");
        assert!(faults.hit("/wallet/getnowblock", 0).is_none());
        assert!(faults.hit("/jsonrpc", 0).is_some());
        assert!(faults.hit("/jsonrpc", 0).is_none());
    }

    #[test]
    fn bad_orders_are_told_what_to_do() {
        let mut faults = Faults::default();
        for (bad, hint) in [
            (r#"{"kind":"429"}"#, "for_ms"),
            (r#"{"kind":"429","times":1,"for_ms":1}"#, "either"),
            (r#"{"kind":"429","times":0}"#, "from 1"),
            (r#"{"kind":"429","for_ms":99999999999}"#, "from 1"),
            (
                r#"{"kind":"429","times":1,"path":"wallet"}"#,
                "start with /",
            ),
            (
                r#"{"kind":"403_suspended","times":1,"suspended_s":99999}"#,
                "at most",
            ),
        ] {
            let refusal = faults.order(order(bad), 0, 0).expect_err(bad);
            assert!(refusal.contains(hint), "{refusal}");
        }
        for _ in 0..MAX_FAULTS {
            faults
                .order(order(r#"{"kind":"500","times":1}"#), 0, 0)
                .expect("room");
        }
        assert!(
            faults
                .order(order(r#"{"kind":"500","times":1}"#), 0, 0)
                .is_err()
        );
        faults.clear();
        assert!(faults.hit("/", 0).is_none());
    }
}
