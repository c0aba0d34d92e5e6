//! Answers that are given again: a request that comes twice under one key has one effect.
//!
//! Owns when a kept answer counts and what the same request is. Refuses to know what an answer says.

use super::changes::{AnswerChange, Changes, Unfinished, View, ViewError};
use super::ids::UnixMs;
use super::ledger::Refusal;
use super::payment::Payment;

/// How long an answer is kept for its key.
pub const KEPT_SECONDS: u64 = 24 * 3600;
/// Answers forgotten in one commit at most; the rest follows in the next.
pub const BATCH_ANSWERS: usize = 1_000;

/// A caller's key, hashed together with who the caller is: two callers' keys never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(pub [u8; 32]);

/// A digest over everything that makes requests the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestDigest(pub [u8; 32]);

/// A request that must not take effect twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyedRequest {
    pub key: IdempotencyKey,
    pub digest: RequestDigest,
}

/// Why an answer could not be written.
pub type AnswerError = Box<dyn std::error::Error + Send + Sync>;

/// What a request that made something was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Where the new thing is.
    pub location: String,
    /// Byte for byte as it is sent.
    pub body: Vec<u8>,
}

/// An answer, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    pub request: RequestDigest,
    pub created_at: UnixMs,
    pub answer: Answer,
}

impl KeptAnswer {
    /// From this moment on the answer counts as absent, whether it was removed yet or not.
    pub const fn ends_at(&self) -> UnixMs {
        self.created_at.plus_seconds(KEPT_SECONDS)
    }

    /// The answer to give again, if it still counts.
    ///
    /// # Errors
    /// The key was used for another request.
    pub fn again_for(self, request: &KeyedRequest, now: UnixMs) -> Result<Option<Answer>, Refusal> {
        if self.ends_at() <= now {
            return Ok(None);
        }
        if self.request != request.digest {
            return Err(Refusal::KeyOfAnotherRequest);
        }
        Ok(Some(self.answer))
    }
}

/// Decides what a request does unless it has done it already, and keeps what it is answered in the same changes.
///
/// # Errors
/// [`Refusal::AlreadyAnswered`] holds the answer when the request took effect before.
pub fn once(
    view: &dyn View,
    request: &KeyedRequest,
    now: UnixMs,
    decide: impl FnOnce() -> Result<Changes, Refusal>,
    answer: impl FnOnce(&Payment) -> Result<Answer, AnswerError>,
) -> Result<Changes, Refusal> {
    let kept = view.kept_answer(request.key)?;
    let again = kept.map(|kept| kept.again_for(request, now)).transpose()?;
    if let Some(answer) = again.flatten() {
        return Err(Refusal::AlreadyAnswered(Box::new(answer)));
    }
    let mut changes = decide()?;
    if let Some(payment) = changes.payments.first().and_then(|c| c.after.as_ref()) {
        let kept = KeptAnswer {
            request: request.digest,
            created_at: now,
            answer: answer(payment).map_err(Refusal::Unanswerable)?,
        };
        changes.answers.push(AnswerChange {
            key: request.key,
            after: Some(kept),
        });
    }
    Ok(changes)
}

/// Removes answers whose time is over.
pub fn forget(view: &dyn View, now: UnixMs) -> Result<Changes, ViewError> {
    let Some(newest_over) = now.0.checked_sub(KEPT_SECONDS * 1000) else {
        return Ok(Changes::default());
    };
    let keys = view.answers_before(UnixMs(newest_over + 1), BATCH_ANSWERS)?;
    let unfinished = match keys.len() < BATCH_ANSWERS {
        true => Unfinished::No,
        false => Unfinished::Yes,
    };
    let gone = |key| AnswerChange { key, after: None };
    Ok(Changes {
        answers: keys.into_iter().map(gone).collect(),
        unfinished,
        ..Changes::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::changes::PaymentChange;
    use crate::domain::test_support::{MemoryState, payment};

    const AT: UnixMs = UnixMs(1_700_000_000_000);
    const DAY_MS: u64 = 24 * 3600 * 1000;

    fn request(key: u8, digest: u8) -> KeyedRequest {
        KeyedRequest {
            key: IdempotencyKey([key; 32]),
            digest: RequestDigest([digest; 32]),
        }
    }

    fn answered(request: KeyedRequest, at: UnixMs) -> AnswerChange {
        let after = KeptAnswer {
            request: request.digest,
            created_at: at,
            answer: Answer {
                location: "/v1/payments/1".to_owned(),
                body: b"{}".to_vec(),
            },
        };
        AnswerChange {
            key: request.key,
            after: Some(after),
        }
    }

    fn created() -> Changes {
        Changes {
            payments: vec![PaymentChange {
                before: None,
                after: Some(payment(1)),
            }],
            ..Changes::default()
        }
    }

    fn once_at(
        state: &MemoryState,
        request: &KeyedRequest,
        now: UnixMs,
    ) -> Result<Changes, Refusal> {
        let answer = |payment: &Payment| {
            Ok(Answer {
                location: payment.id.to_string(),
                body: Vec::new(),
            })
        };
        once(state, request, now, || Ok(created()), answer)
    }

    fn state(answers: Vec<AnswerChange>) -> MemoryState {
        let mut state = MemoryState::default();
        state.apply(&Changes {
            answers,
            ..Changes::default()
        });
        state
    }

    #[test]
    fn the_same_request_is_answered_again_for_a_day() {
        let state = state(vec![answered(request(1, 1), AT)]);
        for (request, now, expected) in [
            (request(1, 1), AT, "again"),
            (request(1, 1), AT.plus_ms(DAY_MS - 1), "again"),
            (request(1, 1), AT.plus_ms(DAY_MS), "anew"),
            (request(1, 2), AT.plus_ms(DAY_MS - 1), "another"),
            (request(1, 2), AT.plus_ms(DAY_MS), "anew"),
            (request(2, 1), AT, "anew"),
            // A clock that was set back must not make a second payment.
            (request(1, 1), AT.minus_ms(DAY_MS), "again"),
        ] {
            let found = match once_at(&state, &request, now) {
                Ok(changes) => {
                    assert_eq!(changes.answers[0].after.as_ref().unwrap().created_at, now);
                    assert_eq!(changes.payments.len(), 1);
                    "anew"
                }
                Err(Refusal::AlreadyAnswered(answer)) if answer.body == b"{}" => "again",
                Err(Refusal::KeyOfAnotherRequest) => "another",
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expected, "{request:?} at {now:?}");
        }
    }

    #[test]
    fn what_is_refused_or_cannot_be_answered_is_not_kept() {
        let state = MemoryState::default();
        let refused = once(
            &state,
            &request(1, 1),
            AT,
            || Err(Refusal::NoSuchPayment),
            |_| panic!("there is nothing to answer"),
        );
        assert!(matches!(refused, Err(Refusal::NoSuchPayment)));
        let unanswered = once(
            &state,
            &request(1, 1),
            AT,
            || Ok(created()),
            |_| Err("no".into()),
        );
        assert!(matches!(unanswered, Err(Refusal::Unanswerable(_))));
    }

    #[test]
    fn what_is_forgotten_is_exactly_what_no_longer_counts() {
        let ages = [DAY_MS + 1, DAY_MS, DAY_MS - 1, 0];
        let answers = (0_u8..)
            .zip(ages)
            .map(|(n, age)| answered(request(n, n), AT.minus_ms(age)));
        let mut state = state(answers.collect());
        let changes = forget(&state, AT).expect("a state");
        let gone: Vec<u8> = changes
            .answers
            .iter()
            .map(|change| change.key.0[0])
            .collect();
        assert_eq!(gone, [0, 1]);
        assert_eq!(changes.unfinished, Unfinished::No);
        state.apply(&changes);
        assert_eq!(forget(&state, AT).expect("a state"), Changes::default());
        assert_eq!(
            forget(&state, UnixMs(5)).expect("a state"),
            Changes::default()
        );
    }

    #[test]
    fn more_than_a_batch_is_forgotten_in_pieces() {
        let key = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
            KeyedRequest {
                key: IdempotencyKey(bytes),
                digest: RequestDigest(bytes),
            }
        };
        let mut state = state(
            (0..BATCH_ANSWERS + 1)
                .map(|n| answered(key(n), AT))
                .collect(),
        );
        let now = AT.plus_ms(DAY_MS);
        let first = forget(&state, now).expect("a state");
        assert_eq!(
            (first.answers.len(), first.unfinished),
            (BATCH_ANSWERS, Unfinished::Yes)
        );
        state.apply(&first);
        let last = forget(&state, now).expect("a state");
        assert_eq!((last.answers.len(), last.unfinished), (1, Unfinished::No));
    }
}
