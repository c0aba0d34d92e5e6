//! What waits to be forwarded: bounded, in order for each payment. Pure.
//!
//! What does not fit is not kept but noted by its number, to be read again from the hub's log.

use std::collections::{HashSet, VecDeque};

use super::event::Event;
use super::log::{Piece, Rest};
use super::socket::Place;
use crate::domain::ids::Sequence;

/// Events that wait at most; a page that is read again may come on top.
pub const MAX_WAITING_EVENTS: usize = 500;
/// Their bytes.
pub const MAX_WAITING_BYTES: usize = 2 * 1024 * 1024;
/// More is read once fewer than this wait.
const FEW_EVENTS: usize = 100;

/// A payment, or everything that belongs to none.
pub type Lane = Option<String>;

#[derive(Debug, Default)]
pub struct Backlog {
    waiting: VecDeque<Event>,
    bytes: usize,
    /// Events after this place, up to this number, are to be read again.
    missed: Option<(Place, Sequence)>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offered {
    Kept,
    ToBeReadAgain,
    /// It is kept, but what was to be read again is gone with its log.
    LogReplaced,
}

impl Backlog {
    /// Takes an event that follows all that were offered before.
    pub fn offer(&mut self, event: Event, epoch: &str) -> Offered {
        let replaced = self
            .missed
            .as_ref()
            .is_some_and(|(place, _)| place.epoch != epoch);
        if replaced {
            self.missed = None;
        }
        if let Some((_, newest)) = &mut self.missed {
            *newest = event.sequence;
            return Offered::ToBeReadAgain;
        }
        let bytes = self.bytes + event.body.len();
        if self.waiting.len() >= MAX_WAITING_EVENTS || bytes > MAX_WAITING_BYTES {
            let place = Place {
                epoch: epoch.to_owned(),
                after: Sequence(event.sequence.0.saturating_sub(1)),
            };
            self.missed = Some((place, event.sequence));
            return Offered::ToBeReadAgain;
        }
        self.push(event);
        match replaced {
            true => Offered::LogReplaced,
            false => Offered::Kept,
        }
    }

    fn push(&mut self, event: Event) {
        self.bytes += event.body.len();
        self.waiting.push_back(event);
    }

    /// The oldest event whose payment has none under way.
    pub fn take(&mut self, busy: &HashSet<Lane>) -> Option<Event> {
        let at = self
            .waiting
            .iter()
            .position(|event| !busy.contains(&event.payment))?;
        let event = self.waiting.remove(at)?;
        self.bytes -= event.body.len();
        Some(event)
    }

    /// From where to read again, now that there is room.
    pub fn wants(&self) -> Option<(Place, Sequence)> {
        let few = self.waiting.len() < FEW_EVENTS && self.bytes < MAX_WAITING_BYTES / 2;
        self.missed.clone().filter(|_| few)
    }

    /// Takes what was read from where [`Backlog::wants`] said.
    pub fn refill(&mut self, asked: &(Place, Sequence), piece: Piece) {
        let Some((place, newest)) = self.missed.clone().filter(|(place, _)| *place == asked.0)
        else {
            return;
        };
        let mut covered = piece
            .events
            .last()
            .map_or(place.after, |event| event.sequence);
        if piece.rest == Rest::End {
            covered = covered.max(asked.1);
        }
        for event in piece.events {
            // What is newer was not offered yet, and will be.
            if event.sequence > place.after && event.sequence <= newest {
                self.push(event);
            }
        }
        self.missed = (covered < newest).then_some((
            Place {
                after: covered,
                ..place
            },
            newest,
        ));
    }

    /// Passes over what can no longer be read.
    pub fn pass_over(&mut self, first_kept: Sequence) {
        if let Some((place, newest)) = &mut self.missed {
            place.after = place.after.max(Sequence(first_kept.0.saturating_sub(1)));
            if place.after >= *newest {
                self.missed = None;
            }
        }
    }

    /// Gives up what was to be read again.
    pub fn give_up(&mut self) {
        self.missed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event(sequence: u64) -> Event {
        let body = format!(
            r#"{{"sequence":{sequence},"id":"evt_{sequence}","type":"payment.created","payment_id":"p{}"}}"#,
            sequence % 7
        );
        Event::parse(body.as_bytes()).expect("an event")
    }

    /// Pages of a log that holds the events up to a number.
    fn read(place: &Place, log_end: u64, page: u64) -> Piece {
        let first = place.after.0 + 1;
        let last = log_end.min(place.after.0 + page);
        Piece {
            events: (first..=last).map(event).collect(),
            rest: if last < log_end {
                Rest::More
            } else {
                Rest::End
            },
        }
    }

    #[test]
    fn a_busy_payment_waits_and_the_others_do_not() {
        let mut backlog = Backlog::default();
        for n in [1, 8, 2] {
            assert_eq!(backlog.offer(event(n), "e"), Offered::Kept);
        }
        let mut busy = HashSet::new();
        let first = backlog.take(&busy).expect("one");
        assert_eq!(first.sequence.0, 1);
        busy.insert(first.payment.clone());
        assert_eq!(
            backlog.take(&busy).expect("another payment's").sequence.0,
            2
        );
        assert_eq!(backlog.take(&busy), None);
        busy.clear();
        assert_eq!(backlog.take(&busy).expect("the second").sequence.0, 8);
        assert_eq!(backlog.bytes, 0);
    }

    #[test]
    fn another_log_ends_what_was_to_be_read_again() {
        let mut backlog = Backlog::default();
        for n in 1..=MAX_WAITING_EVENTS as u64 {
            assert_eq!(backlog.offer(event(n), "e"), Offered::Kept);
        }
        assert_eq!(backlog.offer(event(501), "e"), Offered::ToBeReadAgain);
        assert_eq!(backlog.wants(), None, "there is no room yet");
        while backlog.waiting.len() > 10 {
            backlog.take(&HashSet::new()).expect("one");
        }
        assert!(backlog.wants().is_some());
        assert_eq!(backlog.offer(event(1), "f"), Offered::LogReplaced);
        assert_eq!(backlog.wants(), None);
    }

    #[test]
    fn what_the_log_no_longer_has_is_passed_over() {
        let mut backlog = Backlog::default();
        for n in 1..=600 {
            backlog.offer(event(n), "e");
        }
        backlog.pass_over(Sequence(550));
        assert_eq!(
            backlog.missed.as_ref().map(|(place, _)| place.after.0),
            Some(549)
        );
        backlog.pass_over(Sequence(601));
        assert_eq!(backlog.missed, None);
    }

    proptest! {
        /// However offers, takes and pages fall together, every event comes out once, and each payment's in order.
        #[test]
        fn every_event_is_taken_once_and_in_its_order(
            bursts in prop::collection::vec((0_u64..900, 0_usize..900, 0_u64..50), 1..12)
        ) {
            let (mut backlog, mut taken, mut offered) = (Backlog::default(), Vec::new(), 0);
            for (burst, takes, ahead) in bursts {
                for _ in 0..burst {
                    offered += 1;
                    backlog.offer(event(offered), "e");
                    prop_assert!(backlog.waiting.len() <= MAX_WAITING_EVENTS);
                }
                for _ in 0..takes {
                    taken.extend(backlog.take(&HashSet::new()));
                    if let Some(asked) = backlog.wants() {
                        // The log may be ahead of what was offered; and more may be offered while it is read.
                        let piece = read(&asked.0, offered + ahead, 100);
                        if ahead % 3 == 0 {
                            offered += 1;
                            backlog.offer(event(offered), "e");
                        }
                        backlog.refill(&asked, piece);
                    }
                }
            }
            loop {
                taken.extend(backlog.take(&HashSet::new()));
                match backlog.wants() {
                    Some(asked) => {
                        let piece = read(&asked.0, offered, 100);
                        backlog.refill(&asked, piece);
                    }
                    None if backlog.waiting.is_empty() => break,
                    None => {}
                }
            }
            let numbers: Vec<u64> = taken.iter().map(|event| event.sequence.0).collect();
            prop_assert_eq!(numbers, (1..=offered).collect::<Vec<_>>());
        }
    }
}
