//! Who may send now: hands out the places that attempts occupy while they are under way, so that no receiver takes
//! those that another needs.
//!
//! Pure: time and chance are passed in. Owns the targets that have something due, those with attempts under way, and what
//! is remembered of others. Refuses to know what is due: the dispatcher asks the store for it, target by target, and
//! says here what it found.
//!
//! Places are shared by class: targets that hang or fail together hold at most [`Limits::suspects`] of them, those never
//! called hold at most [`Limits::unproven`] together with the former, so some are always left for those that answer at
//! once. As places become scarce each target's share shrinks, so that a few that fall silent all at once leave some, too.
//! Among those with room the one that has waited longest is next.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::breaker::{Gate, Role, Told};
use super::moment::Moment;
use super::standing::{Class, Ended, SLOW_MS, Standing};

use crate::domain::ids::{DeliveryId, EndpointId, PaymentId};
use crate::domain::retry::Jitter;
use crate::domain::target::Target;

/// A target may hold one of so many free places: 8 while 80 are free, 1 when fewer than 20 are.
const FREE_FOR_ONE: usize = 10;
/// Targets remembered while nothing is due to them; the ones idle for longest are forgotten first.
const MAX_IDLE: usize = 10_000;
/// How long an idle target is remembered, ms.
const IDLE_MS: u64 = 3_600_000;

/// How many places there are.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Attempts under way at once, over all targets.
    pub total: usize,
    /// Of those, for suspects.
    pub suspects: usize,
    /// Of those, for suspects and unknown targets together.
    pub unproven: usize,
    /// Targets known at once.
    pub targets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: 500,
            suspects: 200,
            unproven: 350,
            targets: 65_536,
        }
    }
}

/// One at a time: what goes to one endpoint for one payment. What concerns no payment waits for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    Payment(EndpointId, PaymentId),
    Alone(DeliveryId),
}

/// An attempt's place; given back by [`Places::leave`].
#[derive(Debug)]
pub struct Ticket {
    number: u64,
    target: Target,
    lane: Lane,
    role: Role,
    began: Moment,
}

impl Ticket {
    pub const fn target(&self) -> Target {
        self.target
    }

    pub const fn began(&self) -> Moment {
        self.began
    }
}

/// A target that may send so many now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    pub target: Target,
    pub room: usize,
}

/// What is left at a target after an offer was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// More is due, or may be.
    More,
    /// Nothing that could be sent before [`Places::want`] or the end of an attempt.
    Nothing,
    /// Nothing before this moment.
    NotBefore(Moment),
}

/// Whether a target was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    Yes,
    /// Too many are known; look again later.
    Full,
}

/// What a target waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Its turn, since this stamp, among its class.
    Turn(u64, Class),
    /// A moment: its breaker's, or the one at which more is due.
    Moment(Moment),
    /// One of its own attempts to end.
    Allowance,
    /// Places to become less scarce, since this stamp.
    Place(u64),
    /// The dispatcher to use its offer.
    Offered,
    /// News, while its attempts are under way.
    News,
    /// News, since this moment.
    Idle(Moment),
}

struct Entry {
    standing: Standing,
    work: Work,
}

/// Sums over all targets, kept in step by [`Places::change`] alone.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
struct Tally {
    in_flight: [usize; Class::ALL.len()],
    open: usize,
}

impl Tally {
    fn add(&mut self, standing: &Standing) {
        self.in_flight[standing.class() as usize] += standing.in_flight();
        self.open += usize::from(standing.is_open());
    }

    fn subtract(&mut self, standing: &Standing) {
        self.in_flight[standing.class() as usize] -= standing.in_flight();
        self.open -= usize::from(standing.is_open());
    }
}

#[derive(Default)]
pub struct Places {
    limits: Limits,
    entries: HashMap<Target, Entry>,
    tally: Tally,
    lanes: HashSet<Lane>,
    /// Those whose turn may come, by the stamp of their queueing.
    turns: [BTreeMap<u64, Target>; Class::ALL.len()],
    moments: BTreeSet<(Moment, Target)>,
    idle: BTreeSet<(Moment, Target)>,
    /// Had allowance left, but places were scarce.
    squeezed: BTreeMap<u64, Target>,
    /// Attempts that have not been out for long, by the moment from which on they have.
    prompt: BTreeMap<(Moment, u64), Target>,
    next_number: u64,
}

impl Places {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Something may be due at a target.
    pub fn want(&mut self, target: Target, now: Moment) -> Noted {
        if !self.entries.contains_key(&target) {
            if self.entries.len() >= self.limits.targets && !self.forget_idle() {
                return Noted::Full;
            }
            let entry = Entry {
                standing: Standing::default(),
                work: Work::News,
            };
            self.entries.insert(target, entry);
        }
        self.settle(target, now);
        Noted::Yes
    }

    /// Somebody asked for it by hand: an open breaker lets its probe through now.
    pub fn want_now(&mut self, target: Target, now: Moment) -> Noted {
        self.change(target, |standing| standing.bring_forward(now));
        self.want(target, now)
    }

    /// The next target that may send; call until there is none, each time telling by [`Places::used`] what came of it.
    pub fn next(&mut self, now: Moment) -> Option<Offer> {
        self.pass(now);
        loop {
            let (stamp, target) = self.whose_turn()?;
            let room = self.room(target, now);
            if room > 0 {
                self.set_work(target, Work::Offered);
                return Some(Offer { target, room });
            }
            self.set_work(target, Work::Place(stamp));
        }
    }

    /// Takes a place for an attempt within an offer; none where its lane is taken.
    pub fn enter(&mut self, target: Target, lane: Lane, now: Moment) -> Option<Ticket> {
        if !self.entries.contains_key(&target) || !self.lanes.insert(lane) {
            return None;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.prompt.insert((slow_from(now), number), target);
        let role = self.change(target, Standing::begin)?;
        Some(Ticket {
            number,
            target,
            lane,
            role,
            began: now,
        })
    }

    pub fn is_taken(&self, lane: &Lane) -> bool {
        self.lanes.contains(lane)
    }

    /// Tells what an offer's use has left.
    pub fn used(&mut self, target: Target, rest: Rest, now: Moment) {
        match rest {
            Rest::More => self.settle(target, now),
            Rest::NotBefore(moment) => self.set_work(target, Work::Moment(moment)),
            Rest::Nothing => self.rest(target, now),
        }
    }

    /// Gives a place back.
    pub fn leave(&mut self, ticket: Ticket, told: Told, took_ms: u64, now: Moment, jitter: Jitter) {
        self.lanes.remove(&ticket.lane);
        let slow = (slow_from(ticket.began), ticket.number);
        let ended = Ended {
            told,
            took_ms,
            role: ticket.role,
            hung: self.prompt.remove(&slow).is_none(),
        };
        self.change(ticket.target, |standing| standing.end(&ended, now, jitter));
        // What waited behind it in its lane may be due.
        self.settle(ticket.target, now);
        while let Some((_, target)) = self.squeezed.first_key_value() {
            self.settle(*target, now);
        }
    }

    /// When something changes by time alone.
    pub fn next_moment(&self) -> Option<Moment> {
        self.moments.first().map(|(moment, _)| *moment)
    }

    pub fn in_flight_of(&self, target: Target) -> usize {
        let entry = self.entries.get(&target);
        entry.map_or(0, |entry| entry.standing.in_flight())
    }

    pub fn in_flight(&self) -> usize {
        self.tally.in_flight.iter().sum()
    }

    pub const fn open_breakers(&self) -> usize {
        self.tally.open
    }

    /// Until when a target's breaker is open, where it is.
    pub fn open_until(&self, target: Target, now: Moment) -> Option<Moment> {
        self.entries.get(&target)?.standing.open_until(now)
    }

    /// Whether a target's breaker is open.
    #[cfg(test)]
    pub fn is_open(&self, target: Target) -> bool {
        let entry = self.entries.get(&target);
        entry.is_some_and(|entry| entry.standing.is_open())
    }

    /// Targets that are waiting, under way, or remembered.
    pub fn known(&self) -> usize {
        self.entries.len()
    }

    /// Moves on what time alone moves.
    fn pass(&mut self, now: Moment) {
        while let Some(((from, number), target)) = self.prompt.first_key_value()
            && *from <= now
        {
            let (key, target) = ((*from, *number), *target);
            self.prompt.remove(&key);
            self.change(target, Standing::hangs);
        }
        while let Some((moment, target)) = self.moments.first()
            && *moment <= now
        {
            self.settle(*target, now);
        }
        while let Some((since, _)) = self.idle.first()
            && since.plus_ms(IDLE_MS) <= now
        {
            self.forget_idle();
        }
    }

    /// The one that has waited longest, of those whose class has room.
    fn whose_turn(&self) -> Option<(u64, Target)> {
        let open = Class::ALL.into_iter().filter(|c| self.class_room(*c) > 0);
        let first = open.filter_map(|class| self.turns[class as usize].first_key_value());
        first
            .min_by_key(|(stamp, _)| **stamp)
            .map(|(stamp, target)| (*stamp, *target))
    }

    fn class_room(&self, class: Class) -> usize {
        let held = |class: Class| self.tally.in_flight[class as usize];
        let (unknown, suspect) = (held(Class::Unknown), held(Class::Suspect));
        let total = self.limits.total.saturating_sub(self.in_flight());
        let unproven = self.limits.unproven.saturating_sub(unknown + suspect);
        match class {
            Class::Proven => total,
            Class::Unknown => total.min(unproven),
            Class::Suspect => {
                let suspects = self.limits.suspects.saturating_sub(suspect);
                total.min(unproven).min(suspects)
            }
        }
    }

    fn room(&self, target: Target, now: Moment) -> usize {
        let Some(entry) = self.entries.get(&target) else {
            return 0;
        };
        let standing = &entry.standing;
        let free = self.limits.total.saturating_sub(self.in_flight());
        let share = (free / FREE_FOR_ONE).max(1);
        standing
            .room(now)
            .min(share.saturating_sub(standing.in_flight()))
            .min(self.class_room(standing.class()))
    }

    /// Changes a target's standing, with all that is derived from it.
    fn change<R>(&mut self, target: Target, change: impl FnOnce(&mut Standing) -> R) -> Option<R> {
        let entry = self.entries.get_mut(&target)?;
        self.tally.subtract(&entry.standing);
        let changed = change(&mut entry.standing);
        self.tally.add(&entry.standing);
        let (class, work) = (entry.standing.class(), entry.work);
        if let Work::Turn(stamp, before) = work
            && before != class
        {
            self.set_work(target, Work::Turn(stamp, class));
        }
        Some(changed)
    }

    /// Puts a target that may have something due where it waits.
    fn settle(&mut self, target: Target, now: Moment) {
        let Some(entry) = self.entries.get(&target) else {
            return;
        };
        let class = entry.standing.class();
        let work = match (entry.standing.gate(now), entry.work) {
            (Gate::Shut(until), _) => Work::Moment(until),
            _ if entry.standing.room(now) == 0 => Work::Allowance,
            (_, Work::Turn(stamp, _) | Work::Place(stamp)) => Work::Turn(stamp, class),
            _ => {
                let stamp = self.next_number;
                self.next_number += 1;
                Work::Turn(stamp, class)
            }
        };
        self.set_work(target, work);
    }

    /// Nothing is due at a target: remembers it as long as there is something to remember.
    fn rest(&mut self, target: Target, now: Moment) {
        let Some(entry) = self.entries.get(&target) else {
            return;
        };
        if entry.standing.in_flight() > 0 {
            self.set_work(target, Work::News);
        } else if entry.standing.is_blank() {
            self.forget(target);
        } else {
            self.set_work(target, Work::Idle(now));
            if self.idle.len() > MAX_IDLE {
                self.forget_idle();
            }
        }
    }

    fn set_work(&mut self, target: Target, work: Work) {
        let Some(entry) = self.entries.get_mut(&target) else {
            return;
        };
        let before = std::mem::replace(&mut entry.work, work);
        match before {
            Work::Turn(stamp, class) => {
                self.turns[class as usize].remove(&stamp);
            }
            Work::Moment(moment) => {
                self.moments.remove(&(moment, target));
            }
            Work::Idle(since) => {
                self.idle.remove(&(since, target));
            }
            Work::Place(stamp) => {
                self.squeezed.remove(&stamp);
            }
            Work::Allowance | Work::Offered | Work::News => {}
        }
        match work {
            Work::Turn(stamp, class) => {
                self.turns[class as usize].insert(stamp, target);
            }
            Work::Moment(moment) => {
                self.moments.insert((moment, target));
            }
            Work::Idle(since) => {
                self.idle.insert((since, target));
            }
            Work::Place(stamp) => {
                self.squeezed.insert(stamp, target);
            }
            Work::Allowance | Work::Offered | Work::News => {}
        }
    }

    /// Forgets the target that is idle for longest, where one is.
    fn forget_idle(&mut self) -> bool {
        let Some((_, target)) = self.idle.first().copied() else {
            return false;
        };
        self.forget(target);
        true
    }

    fn forget(&mut self, target: Target) {
        self.set_work(target, Work::News);
        if let Some(entry) = self.entries.remove(&target) {
            self.tally.subtract(&entry.standing);
        }
    }
}

/// From when on an attempt that begins now is slow.
const fn slow_from(began: Moment) -> Moment {
    began.plus_ms(SLOW_MS)
}
