//! Kept answers as rows.

use serde::{Deserialize, Serialize};

use super::Stored;
use crate::domain::idempotency::{Answer, KeptAnswer, RequestDigest};
use crate::domain::ids::UnixMs;

#[derive(Serialize, Deserialize)]
pub struct AnswerRow {
    request: [u8; 32],
    created_at: u64,
    location: String,
    body: Vec<u8>,
}

impl Stored for KeptAnswer {
    type Row = AnswerRow;
    const NAME: &'static str = "a kept answer";

    fn to_row(&self) -> AnswerRow {
        AnswerRow {
            request: self.request.0,
            created_at: self.created_at.0,
            location: self.answer.location.clone(),
            body: self.answer.body.clone(),
        }
    }

    fn from_row(row: AnswerRow) -> Option<Self> {
        Some(Self {
            request: RequestDigest(row.request),
            created_at: UnixMs(row.created_at),
            answer: Answer {
                location: row.location,
                body: row.body,
            },
        })
    }
}
