//! One endpoint's record: what it failed at, and whether it is set aside for it.
//!
//! Owns the rules. Failures are counted for each kind of question, so that a node whose heads
//! are fine and whose logs are not cannot hide behind its heads. Refuses to read a clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::SourceError;
use super::is_far_below;
use crate::domain::ids::{Height, UnixMs};

/// Faults at one kind of question in a row that set an endpoint aside.
pub const FAULTS_IN_A_ROW: u32 = 3;
/// "Not ready" and "another block" in a row that do: each is normal now and then.
pub const DELAYS_IN_A_ROW: u32 = 20;
/// The first time aside; doubles each time that the endpoint fails again.
pub const FIRST_PAUSE_MS: u64 = 5_000;
pub const LONGEST_PAUSE_MS: u64 = 300_000;
/// A head that has not risen for so many block slots, over so many answers, is a fault.
pub const STANDSTILL_SLOTS: u64 = 10;
pub const STANDSTILL_ANSWERS: u32 = 3;

/// The kinds of questions, each with its own count of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Head,
    FinalHead,
    Header,
    Block,
    /// A round of the others: whether their answers made sense together.
    Round,
}

const QUESTIONS: usize = 5;

/// Where an endpoint stands when one has to be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Well,
    /// Its time aside is over; it has yet to show that it is well.
    DueForTrial,
    SetAside {
        until: UnixMs,
    },
    /// A pause that it asked for, or a spent budget.
    Refusing {
        until: UnixMs,
    },
}

impl Standing {
    /// From when on it may be asked.
    pub(super) fn until(self, now: UnixMs) -> UnixMs {
        match self {
            Self::Well | Self::DueForTrial => now,
            Self::SetAside { until } | Self::Refusing { until } => until,
        }
    }
}

/// What an answer changed, for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Unchanged,
    Recovered,
    SetAside { pause: Duration, because: String },
}

/// An error as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastError {
    pub text: String,
    pub at: UnixMs,
}

/// What statistics show.
pub(super) struct Record {
    pub set_aside_until: Option<UnixMs>,
    pub last_error: Option<LastError>,
}

#[derive(Debug, Default)]
pub(super) struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    faults: [u32; QUESTIONS],
    delays: [u32; QUESTIONS],
    aside: Option<Aside>,
    /// Times aside since it was last wholly well.
    times_aside: u32,
    on_trial: bool,
    head: Option<HeadSeen>,
    last_error: Option<LastError>,
}

#[derive(Debug, Clone, Copy)]
struct Aside {
    until: UnixMs,
    failed_at: Question,
}

#[derive(Debug, Clone, Copy)]
struct HeadSeen {
    height: Height,
    risen_at: UnixMs,
    answers_since: u32,
}

impl Health {
    pub(super) fn standing(&self, now: UnixMs) -> Standing {
        match self.lock().aside {
            None => Standing::Well,
            Some(aside) if aside.until > now => Standing::SetAside { until: aside.until },
            Some(_) => Standing::DueForTrial,
        }
    }

    pub(super) fn answered(&self, question: Question) -> Verdict {
        self.lock().answered(question)
    }

    pub(super) fn failed(&self, question: Question, error: &SourceError, now: UnixMs) -> Verdict {
        let mut state = self.lock();
        // Our own restraint is no news of the node.
        if matches!(error, SourceError::Budget { .. }) {
            return Verdict::Unchanged;
        }
        state.last_error = Some(LastError {
            text: error.to_string(),
            at: now,
        });
        let at = question as usize;
        let too_often = match error {
            SourceError::NotReady { .. } | SourceError::Mismatch { .. } => {
                state.delays[at] += 1;
                state.delays[at] >= DELAYS_IN_A_ROW
            }
            error if error.is_endpoint_fault() => {
                state.faults[at] += 1;
                state.faults[at] >= FAULTS_IN_A_ROW
            }
            _ => false,
        };
        if too_often {
            return state.set_aside(question, now, error.to_string());
        }
        Verdict::Unchanged
    }

    /// A head was answered. One that has stood still for `standstill_ms` is a fault.
    pub(super) fn head_answered(&self, height: Height, standstill_ms: u64, now: UnixMs) -> Verdict {
        let mut state = self.lock();
        let seen = match state.head {
            Some(seen) if height <= seen.height && !is_far_below(height, seen.height) => HeadSeen {
                answers_since: seen.answers_since.saturating_add(1),
                ..seen
            },
            _ => HeadSeen {
                height,
                risen_at: now,
                answers_since: 0,
            },
        };
        state.head = Some(seen);
        let still_ms = now.0.saturating_sub(seen.risen_at.0);
        if seen.answers_since < STANDSTILL_ANSWERS || still_ms < standstill_ms {
            return state.answered(Question::Head);
        }
        let text = format!(
            "the head has not risen above {} for {} s",
            seen.height,
            still_ms / 1000
        );
        state.last_error = Some(LastError {
            text: text.clone(),
            at: now,
        });
        state.set_aside(Question::Head, now, text)
    }

    /// A round's answers, each sound by itself, did not make sense together.
    pub(super) fn contradicted(&self, text: String, now: UnixMs) -> Verdict {
        let mut state = self.lock();
        state.last_error = Some(LastError {
            text: text.clone(),
            at: now,
        });
        let faults = &mut state.faults[Question::Round as usize];
        *faults += 1;
        if *faults < FAULTS_IN_A_ROW {
            return Verdict::Unchanged;
        }
        state.set_aside(Question::Round, now, text)
    }

    /// Gives it another round. Whether it makes sense again only that round can tell: one more contradiction sets it
    /// aside for twice as long.
    pub(super) fn readmitted(&self) -> Verdict {
        self.lock().aside = None;
        Verdict::Recovered
    }

    /// A trial failed, at whatever it was that it asked.
    pub(super) fn trial_failed(&self, error: &SourceError, now: UnixMs) -> Verdict {
        let mut state = self.lock();
        match state.aside {
            Some(aside) if !matches!(error, SourceError::Budget { .. }) => {
                state.set_aside(aside.failed_at, now, error.to_string())
            }
            _ => Verdict::Unchanged,
        }
    }

    /// Begins the one trial that may run at a time; `None` while one runs or none is due.
    pub(super) fn begin_trial(&self) -> Option<Trial> {
        let mut state = self.lock();
        let aside = state.aside?;
        if state.on_trial {
            return None;
        }
        state.on_trial = true;
        Some(Trial {
            state: Arc::clone(&self.0),
            question: aside.failed_at,
        })
    }

    pub(super) fn record(&self) -> Record {
        let state = self.lock();
        Record {
            set_aside_until: state.aside.map(|aside| aside.until),
            last_error: state.last_error.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answered(&mut self, question: Question) -> Verdict {
        let at = question as usize;
        self.faults[at] = 0;
        self.delays[at] = 0;
        let counts = self.faults.iter().chain(&self.delays);
        if counts.into_iter().all(|count| *count == 0) && self.aside.is_none() {
            self.times_aside = 0;
        }
        match self.aside {
            Some(aside) if aside.failed_at == question => {
                self.aside = None;
                Verdict::Recovered
            }
            _ => Verdict::Unchanged,
        }
    }

    /// Leaves the count one short, so that a single further failure sets it aside again. Where
    /// nobody else can be asked an endpoint goes on failing while it is aside: that counts once.
    fn set_aside(&mut self, failed_at: Question, now: UnixMs, because: String) -> Verdict {
        if self.aside.is_some_and(|aside| aside.until > now) {
            return Verdict::Unchanged;
        }
        let at = failed_at as usize;
        self.faults[at] = FAULTS_IN_A_ROW - 1;
        self.delays[at] = self.delays[at].min(DELAYS_IN_A_ROW - 1);
        let pause_ms = (FIRST_PAUSE_MS << self.times_aside.min(16)).min(LONGEST_PAUSE_MS);
        self.times_aside = self.times_aside.saturating_add(1);
        self.aside = Some(Aside {
            until: now.plus_ms(pause_ms),
            failed_at,
        });
        Verdict::SetAside {
            pause: Duration::from_millis(pause_ms),
            because,
        }
    }
}

/// A trial that runs; another may begin when it is dropped, however it ended.
pub(super) struct Trial {
    state: Arc<Mutex<State>>,
    question: Question,
}

impl Trial {
    pub(super) const fn question(&self) -> Question {
        self.question
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.on_trial = false;
    }
}
