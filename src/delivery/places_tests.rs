//! Places under every load: none is lost, none is given out twice, and a receiver that answers always finds one.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use uuid::Uuid;

use super::breaker::Told;
use super::moment::Moment;
use super::places::{Lane, Limits, Noted, Offer, Places, Rest, Ticket};
use super::standing::{MAX_PER_TARGET, SLOW_MS};
use crate::domain::ids::{DeliveryId, EndpointId, PaymentId, Sequence};
use crate::domain::retry::Jitter;
use crate::domain::target::Target;

const NOW: Moment = Moment(1_000_000);

fn target(number: u32) -> Target {
    Target::Endpoint(EndpointId(number))
}

fn payment_lane(target: u32, payment: u128) -> Lane {
    Lane::Payment(EndpointId(target), PaymentId(Uuid::from_u128(payment)))
}

fn lone_lane(target: u32, sequence: u64) -> Lane {
    Lane::Alone(DeliveryId {
        sequence: Sequence(sequence),
        endpoint: EndpointId(target),
    })
}

/// A backlog that never ends, at every target that is wanted.
struct Flood {
    places: Places,
    sequence: u64,
}

impl Flood {
    fn new(limits: Limits) -> Self {
        Self {
            places: Places::new(limits),
            sequence: 0,
        }
    }

    fn usual() -> Self {
        Self::new(Limits::default())
    }

    fn want(&mut self, numbers: impl IntoIterator<Item = u32>, now: Moment) {
        for number in numbers {
            assert_eq!(self.places.want(target(number), now), Noted::Yes);
        }
    }

    /// Starts all that may be started; returns the tickets by target.
    fn start(&mut self, now: Moment) -> BTreeMap<u32, Vec<Ticket>> {
        let mut started: BTreeMap<u32, Vec<Ticket>> = BTreeMap::new();
        while let Some(Offer { target, room }) = self.places.next(now) {
            let Target::Endpoint(EndpointId(number)) = target else {
                panic!("an endpoint")
            };
            for _ in 0..room {
                self.sequence += 1;
                let lane = lone_lane(number, self.sequence);
                let ticket = self.places.enter(target, lane, now);
                started
                    .entry(number)
                    .or_default()
                    .push(ticket.expect("room"));
            }
            self.places.used(target, Rest::More, now);
        }
        started
    }

    fn end(&mut self, tickets: Vec<Ticket>, told: Told, took_ms: u64, now: Moment) {
        for ticket in tickets {
            self.places.leave(ticket, told, took_ms, now, Jitter::NONE);
        }
    }

    /// One attempt at a target, while nothing else is wanted.
    fn attempt(&mut self, number: u32, told: Told, now: Moment) {
        self.want([number], now);
        let offer = self.places.next(now).expect("room");
        self.sequence += 1;
        let lane = lone_lane(number, self.sequence);
        let ticket = self.places.enter(offer.target, lane, now).expect("room");
        self.places.used(offer.target, Rest::Nothing, now);
        self.end(vec![ticket], told, 10, now);
        // It is looked at once more, for what may have waited behind.
        if let Some(offer) = self.places.next(now) {
            assert_eq!(offer.target, target(number));
            self.places.used(offer.target, Rest::Nothing, now);
        }
    }

    /// Makes targets proven, with their whole allowance.
    fn prove(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            for _ in 0..MAX_PER_TARGET {
                self.attempt(number, Told::Delivered, NOW);
            }
        }
        assert_eq!(self.places.in_flight(), 0);
    }
}

fn count(started: &BTreeMap<u32, Vec<Ticket>>) -> usize {
    started.values().map(Vec::len).sum()
}

#[test]
fn a_target_never_called_gets_two_places_and_a_proven_one_eight() {
    let mut flood = Flood::usual();
    flood.want([1], NOW);
    assert_eq!(count(&flood.start(NOW)), 2);
    let mut flood = Flood::usual();
    flood.prove([1]);
    flood.want([1], NOW);
    assert_eq!(count(&flood.start(NOW)), 8);
}

#[test]
fn one_at_a_time_for_an_endpoint_and_a_payment() {
    let mut places = Places::new(Limits::default());
    let lane = payment_lane(1, 7);
    assert_eq!(places.want(target(1), NOW), Noted::Yes);
    let offer = places.next(NOW).expect("room");
    let ticket = places.enter(offer.target, lane, NOW).expect("free");
    assert!(places.is_taken(&lane));
    assert!(places.enter(offer.target, lane, NOW).is_none());
    assert!(!places.is_taken(&payment_lane(2, 7)), "another endpoint's");
    places.used(offer.target, Rest::Nothing, NOW);
    assert_eq!(
        places.next(NOW),
        None,
        "what waits in the lane waits for its end"
    );
    places.leave(ticket, Told::Delivered, 10, NOW, Jitter::NONE);
    assert!(!places.is_taken(&lane));
    assert!(places.next(NOW).is_some(), "and is looked for then");
}

/// The heart of it: hundreds that hang, and one that answers.
#[test]
fn a_proven_target_finds_a_place_whatever_hangs() {
    let mut flood = Flood::usual();
    flood.prove([1]);
    flood.want(1000..2000, NOW);
    let unknown = flood.start(NOW);
    assert_eq!(
        count(&unknown),
        350,
        "those never called have their share and no more"
    );
    flood.want([1], NOW);
    let mut proven = flood.start(NOW);
    assert_eq!(count(&proven), 8);
    let tickets = proven.remove(&1).expect("some");
    flood.end(tickets, Told::Delivered, 10, NOW);
    let proven = flood.start(NOW);
    assert_eq!(count(&proven), 8, "again and again");

    let later = NOW.plus_ms(15_000);
    for (_, tickets) in unknown {
        flood.end(tickets, Told::Failed, 15_000, later);
    }
    // The eight hang by now: they count with the others.
    assert_eq!(count(&flood.start(later)), 342);
}

#[test]
fn suspects_hold_two_hundred_places_at_most() {
    let (mut flood, now) = (Flood::usual(), NOW);
    for number in 1000..1600 {
        flood.attempt(number, Told::Failed, now);
    }
    flood.want(1000..1600, now);
    let started = flood.start(now);
    assert_eq!(count(&started), 200);
    assert!(
        started.values().all(|tickets| tickets.len() == 1),
        "one each"
    );
    flood.want(2000..2200, now);
    assert_eq!(
        count(&flood.start(now)),
        150,
        "unknown ones up to 350 with the suspects"
    );
}

/// Sixty that answered well fall silent at once, all with eight attempts under way: as places become scarce each gets
/// fewer, so that the others are still served.
#[test]
fn a_sudden_silence_of_many_proven_ones_leaves_places_for_the_others() {
    let mut flood = Flood::usual();
    flood.prove(1..=61);
    flood.want(1..=60, NOW);
    let silent = count(&flood.start(NOW));
    let later = NOW.plus_ms(SLOW_MS);
    flood.want([61], later);
    let served = flood.start(later);
    assert!(!served[&61].is_empty(), "{silent} places are silent");
}

#[test]
fn what_hangs_is_suspect_while_it_hangs() {
    let mut flood = Flood::new(Limits {
        suspects: 4,
        ..Limits::default()
    });
    flood.prove([1, 2]);
    flood.want([1], NOW);
    let mut hanging = flood.start(NOW);
    flood.want([2], NOW);
    let mut second = flood.start(NOW);
    assert_eq!((count(&hanging), count(&second)), (8, 8));
    let tickets = hanging.remove(&1).expect("some");
    let mut tickets = tickets.into_iter();
    let now = NOW.plus_ms(SLOW_MS + 1);
    let one = tickets.next().into_iter().collect();
    flood.end(one, Told::Delivered, 10, now);
    assert_eq!(
        count(&flood.start(now)),
        0,
        "seven still hang, more than suspects may hold"
    );
    flood.end(tickets.collect(), Told::Delivered, 10, now);
    assert_eq!(
        count(&flood.start(now)),
        8,
        "an attempt that only took long to be recorded spoils nothing"
    );
    let tickets = second.remove(&2).expect("some");
    flood.end(tickets, Told::Delivered, 3_000, now);
    assert_eq!(count(&flood.start(now)), 4, "slow to the last");
}

#[test]
fn an_open_breaker_makes_no_attempt_until_its_probe() {
    let mut flood = Flood::usual();
    let mut now = NOW;
    for _ in 0..5 {
        flood.want([1], now);
        let mut started = flood.start(now);
        let mut tickets = started.remove(&1).expect("room");
        let last = tickets.pop();
        flood.end(tickets, Told::Nothing, 1, now);
        flood.end(last.into_iter().collect(), Told::Failed, 1, now);
        // Whatever the end of it let start.
        for (_, tickets) in flood.start(now) {
            flood.end(tickets, Told::Nothing, 1, now);
        }
        now = now.plus_ms(1);
    }
    assert_eq!(flood.places.open_breakers(), 1);
    flood.want([1], now);
    assert_eq!(count(&flood.start(now)), 0);
    assert_eq!(flood.places.want_now(target(1), now), Noted::Yes);
    let mut probe = flood.start(now);
    assert_eq!(count(&probe), 1, "somebody asked by hand");
    let tickets = probe.remove(&1).expect("the probe");
    flood.end(tickets, Told::Nothing, 1, now);
    let probe_at = flood.places.next_moment().expect("the breaker's end");
    assert!(probe_at > now && probe_at <= now.plus_ms(15_000));
    let mut probe = flood.start(probe_at);
    assert_eq!(count(&probe), 1);
    flood.want([1], probe_at);
    assert_eq!(count(&flood.start(probe_at)), 0, "one probe");
    let ticket = probe.remove(&1).expect("the probe");
    flood.end(ticket, Told::Delivered, 1, probe_at);
    assert_eq!(flood.places.open_breakers(), 0);
    assert_eq!(count(&flood.start(probe_at)), 2);
}

#[test]
fn turns_go_round() {
    let mut flood = Flood::new(Limits {
        total: 1,
        suspects: 1,
        unproven: 1,
        targets: 10,
    });
    flood.want(1..=3, NOW);
    let mut order = Vec::new();
    for _ in 0..6 {
        let (number, tickets) = flood.start(NOW).pop_first().expect("a place");
        order.push(number);
        flood.end(tickets, Told::Delivered, 1, NOW);
    }
    assert_eq!(order, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn memory_is_bounded() {
    let limits = Limits {
        targets: 100,
        ..Limits::default()
    };
    let mut flood = Flood::new(limits);
    flood.want(0..100, NOW);
    assert_eq!(flood.places.want(target(100), NOW), Noted::Full);
    // Never called and nothing due: forgotten at once.
    while let Some(offer) = flood.places.next(NOW) {
        flood.places.used(offer.target, Rest::Nothing, NOW);
    }
    assert_eq!(flood.places.known(), 0);
    // Proven ones are remembered, until others need the room or an hour has passed.
    flood.prove(0..100);
    assert_eq!(flood.places.known(), 100);
    assert_eq!(flood.places.want(target(100), NOW), Noted::Yes);
    assert_eq!(flood.places.known(), 100);
    assert!(flood.places.next(NOW).is_some());
    assert_eq!(flood.places.next(NOW.plus_ms(3_600_000)), None);
    assert_eq!(flood.places.known(), 1);
}

/// One step of a story.
#[derive(Debug, Clone)]
enum Step {
    /// So many more are due at a target, in so many lanes.
    Due(u32, usize, u128),
    Pass(u64),
    End(prop::sample::Index, usize, u64),
}

const TOLD: [Told; 5] = [
    Told::Delivered,
    Told::Answered,
    Told::Failed,
    Told::Overloaded(None),
    Told::Nothing,
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..12_u32, 1..20_usize, 1..6_u128).prop_map(|(t, n, lanes)| Step::Due(t, n, lanes)),
        prop_oneof![0..50_u64, 900..1100_u64, 5_000..400_000_u64].prop_map(Step::Pass),
        (
            any::<prop::sample::Index>(),
            0..TOLD.len(),
            prop_oneof![0..900_u64, 1_000..15_000_u64]
        )
            .prop_map(|(i, t, ms)| Step::End(i, t, ms)),
    ]
}

/// A dispatcher and a store, in small.
struct World {
    places: Places,
    limits: Limits,
    now: Moment,
    /// What is due, by target and lane; what is under way is still due, as in the store.
    due: BTreeMap<u32, BTreeMap<u128, usize>>,
    under_way: Vec<(u32, u128, Ticket)>,
    /// The last result of each target that had one.
    last: HashMap<u32, (Told, u64)>,
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            total: 20,
            suspects: 8,
            unproven: 14,
            targets: 100,
        };
        Self {
            places: Places::new(limits),
            limits,
            now: NOW,
            due: BTreeMap::new(),
            under_way: Vec::new(),
            last: HashMap::new(),
        }
    }

    fn of(&self, number: u32) -> usize {
        self.under_way.iter().filter(|(t, ..)| *t == number).count()
    }

    fn free_lanes(&self, number: u32) -> Vec<u128> {
        let lanes = self.due.get(&number).into_iter().flatten();
        lanes
            .filter(|(lane, due)| **due > 0 && !self.places.is_taken(&payment_lane(number, **lane)))
            .map(|(lane, _)| *lane)
            .collect()
    }

    fn pump(&mut self) {
        while let Some(Offer {
            target: offered,
            room,
        }) = self.places.next(self.now)
        {
            let Target::Endpoint(EndpointId(number)) = offered else {
                panic!("an endpoint")
            };
            assert!(room > 0);
            let lanes = self.free_lanes(number);
            let rest = if lanes.len() > room {
                Rest::More
            } else {
                Rest::Nothing
            };
            for lane in lanes.into_iter().take(room) {
                let place = payment_lane(number, lane);
                let ticket = self.places.enter(offered, place, self.now).expect("free");
                self.under_way.push((number, lane, ticket));
                self.check_caps(number);
            }
            self.places.used(offered, rest, self.now);
        }
        self.check_nobody_starves();
    }

    fn is_suspect(&self, number: u32) -> bool {
        let hangs = self
            .under_way
            .iter()
            .any(|(t, _, ticket)| *t == number && ticket.began().plus_ms(SLOW_MS) <= self.now);
        hangs
            || self.last.get(&number).is_some_and(|(told, ms)| {
                *ms >= SLOW_MS || matches!(told, Told::Failed | Told::Overloaded(_))
            })
    }

    fn is_proven(&self, number: u32) -> bool {
        !self.is_suspect(number) && self.last.contains_key(&number)
    }

    /// An attempt was just started at a target.
    fn check_caps(&self, number: u32) {
        let held = |wanted: &dyn Fn(u32) -> bool| {
            self.under_way.iter().filter(|(t, ..)| wanted(*t)).count()
        };
        assert_eq!(self.places.in_flight(), self.under_way.len());
        assert!(self.under_way.len() <= self.limits.total);
        assert!(self.of(number) <= MAX_PER_TARGET);
        if self.is_suspect(number) {
            assert!(held(&|t| self.is_suspect(t)) <= self.limits.suspects);
        }
        if !self.is_proven(number) {
            assert!(held(&|t| !self.is_proven(t)) <= self.limits.unproven);
        }
    }

    /// A proven target that has something due and nothing under way waits only for the last place of all, or for its
    /// breaker.
    fn check_nobody_starves(&self) {
        if self.under_way.len() == self.limits.total {
            return;
        }
        for number in self.due.keys().copied() {
            let waits = !self.free_lanes(number).is_empty()
                && self.of(number) == 0
                && !self.places.is_open(target(number));
            assert!(!(waits && self.is_proven(number)), "{number} starves");
        }
    }

    fn end(&mut self, index: usize, told: Told, took_ms: u64) {
        let (number, lane, ticket) = self.under_way.swap_remove(index);
        if told != Told::Nothing {
            self.last.insert(number, (told, took_ms));
        }
        if told == Told::Delivered
            && let Some(due) = self.due.get_mut(&number).and_then(|d| d.get_mut(&lane))
        {
            *due -= 1;
        }
        self.places
            .leave(ticket, told, took_ms, self.now, Jitter::NONE);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Due(number, due, lanes) => {
                for lane in 0..lanes {
                    let of_lane = due / usize::try_from(lanes).expect("small") + 1;
                    *self.due.entry(number).or_default().entry(lane).or_default() += of_lane;
                }
                assert_eq!(self.places.want(target(number), self.now), Noted::Yes);
            }
            Step::Pass(ms) => self.now = self.now.plus_ms(ms),
            Step::End(index, told, took_ms) if !self.under_way.is_empty() => {
                let index = index.index(self.under_way.len());
                self.end(index, TOLD[told], took_ms);
            }
            Step::End(..) => {}
        }
        self.pump();
    }

    /// Everything is delivered from now on, without any further word that something is due.
    fn drain(&mut self) {
        for _ in 0..100_000 {
            self.pump();
            if !self.under_way.is_empty() {
                self.end(0, Told::Delivered, 1);
            } else if let Some(moment) = self.places.next_moment() {
                self.now = self.now.max(moment);
            } else {
                break;
            }
        }
        let left: usize = self.due.values().flat_map(BTreeMap::values).sum();
        assert_eq!(left, 0, "left due, and nothing would ever look at it");
        assert_eq!(
            (self.places.in_flight(), self.places.open_breakers()),
            (0, 0)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_cap_is_exceeded_nobody_starves_and_no_place_leaks(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.drain();
        world.now = world.now.plus_ms(3_600_000);
        prop_assert!(world.places.next(world.now).is_none());
        prop_assert_eq!(world.places.known(), 0);
    }
}
