//! How a measured time was spread: a fixed histogram whose bins widen with the value, and percentiles from it.
//!
//! Up to 8 ms every value has its own bin; from there on each octave has four, so a percentile is told to about an
//! eighth of itself. Refuses to grow: a count is an addition, whatever was measured.

/// Bins of one octave.
const BINS_PER_OCTAVE: usize = 1 << OCTAVE_BITS;
const OCTAVE_BITS: u32 = 2;
/// The highest octave, from 2^27 ms (37 hours) on; what is longer counts as the longest.
const LAST_OCTAVE: u32 = 27;
const BINS: usize = bin(u64::MAX) + 1;

/// Times in milliseconds, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    count: u32,
    bins: [u32; BINS],
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            count: 0,
            bins: [0; BINS],
        }
    }
}

/// A whole percentage of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(pub u8);

impl Spread {
    pub fn add(&mut self, ms: u64) {
        let bin = &mut self.bins[bin(ms)];
        *bin = bin.saturating_add(1);
        self.count = self.count.saturating_add(1);
    }

    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The value that so many percent do not exceed; `None` where nothing was counted.
    pub fn percentile(&self, percent: Percent) -> Option<u64> {
        let rank = (u64::from(self.count) * u64::from(percent.0)).div_ceil(100);
        let mut below = 0;
        for (bin, count) in self.bins.iter().enumerate() {
            let count = u64::from(*count);
            if count > 0 && below + count >= rank {
                let (low, width) = (low_of(bin), width_of(bin));
                // In the middle of its share of the bin.
                let halves = (2 * rank.saturating_sub(below)).saturating_sub(1);
                return Some(low + width.saturating_mul(halves) / (2 * count));
            }
            below += count;
        }
        None
    }
}

const fn bin(ms: u64) -> usize {
    if ms < BINS_PER_OCTAVE as u64 {
        return ms as usize;
    }
    let octave = ms.ilog2();
    if octave > LAST_OCTAVE {
        return bin((1 << (LAST_OCTAVE + 1)) - 1);
    }
    let within = (ms >> (octave - OCTAVE_BITS)) as usize - BINS_PER_OCTAVE;
    (octave - OCTAVE_BITS + 1) as usize * BINS_PER_OCTAVE + within
}

/// The least value of a bin.
const fn low_of(bin: usize) -> u64 {
    if bin < BINS_PER_OCTAVE {
        return bin as u64;
    }
    let within = (BINS_PER_OCTAVE + bin % BINS_PER_OCTAVE) as u64;
    within << shift_of(bin)
}

const fn width_of(bin: usize) -> u64 {
    1 << shift_of(bin)
}

const fn shift_of(bin: usize) -> u32 {
    ((bin / BINS_PER_OCTAVE) as u32).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bins_lie_side_by_side_and_cover_everything() {
        let mut end = 0;
        for at in 0..BINS {
            assert_eq!(low_of(at), end, "bin {at}");
            end = low_of(at) + width_of(at);
            assert_eq!((bin(low_of(at)), bin(end - 1)), (at, at));
        }
        assert_eq!(end, 1 << 28);
        assert_eq!((bin(end), bin(u64::MAX)), (BINS - 1, BINS - 1));
    }

    #[test]
    fn nothing_has_no_percentile_and_one_value_has_all() {
        assert_eq!(Spread::default().percentile(Percent(50)), None);
        let mut one = Spread::default();
        one.add(7);
        for percent in [0, 1, 50, 95, 100] {
            assert_eq!(one.percentile(Percent(percent)), Some(7));
        }
        assert_eq!(one.count(), 1);
    }

    #[test]
    fn a_slow_tail_shows_in_the_high_percentile_alone() {
        let mut spread = Spread::default();
        for _ in 0..90 {
            spread.add(3);
        }
        for _ in 0..10 {
            spread.add(u64::MAX);
        }
        assert_eq!(spread.percentile(Percent(50)), Some(3));
        assert!(spread.percentile(Percent(95)) > Some(1 << 27));
    }

    proptest! {
        #[test]
        fn percentiles_are_as_close_as_their_bin_is_wide(
            mut values in proptest::collection::vec(0_u64..10_000_000, 1..200),
            percent in 1_u8..=100,
        ) {
            let mut spread = Spread::default();
            for value in &values {
                spread.add(*value);
            }
            values.sort_unstable();
            let rank = (values.len() * usize::from(percent)).div_ceil(100);
            let exact = values[rank - 1];
            let told = spread.percentile(Percent(percent)).expect("a value");
            prop_assert!(told.abs_diff(exact) <= exact / 4, "{told} for {exact}");
            prop_assert_eq!(bin(told), bin(exact));
        }
    }
}
