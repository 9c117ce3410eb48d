//! How several machines share a sweep. A sweep runs each scenario many times, each time with an interrupt at another instruction
//! boundary; a [`Share`] says which of these boundaries one machine tries.

use crate::number;
use core::ops::Range;

/// The part of every scenario's boundaries that one of several machines tries. Every boundary is in the part of exactly one
/// machine. Which machine tries the first boundary differs from scenario to scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    part: u64,
    of: u64,
}

impl Share {
    /// One machine tries all boundaries.
    pub const ALL: Self = Self { part: 0, of: 1 };

    /// The share of the machine with the number `part` of `of` machines, counted from 0; None if there is no such machine.
    pub const fn new(part: u64, of: u64) -> Option<Self> {
        if part < of { Some(Self { part, of }) } else { None }
    }

    /// Reads `PART/OF`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (part, of) = text.split_once('/')?;
        Self::new(number::parse(part)?, number::parse(of)?)
    }

    /// How many machines share the boundaries.
    pub const fn of(self) -> u64 {
        self.of
    }

    /// The share of the machine whose number is greater by `turns`; numbers wrap around behind the last machine.
    pub const fn turned(self, turns: u64) -> Self {
        let turns = turns % self.of;
        let part =
            if turns < self.of - self.part { self.part + turns } else { turns - (self.of - self.part) };
        Self { part, of: self.of }
    }

    /// A part of this share: one of the `times` shares that it falls into if so many times as many machines share the boundaries. A
    /// machine that shares with no other keeps all.
    pub const fn thinned(self, times: u64) -> Self {
        match self.of {
            1 => self,
            of => Self { part: self.part, of: of.saturating_mul(times) },
        }
    }

    /// This machine's part of the boundaries 0 to `length - 1` of the scenario with the number `scenario`: each `k` such that
    /// `k + scenario`, divided by the number of machines, leaves this machine's number as remainder.
    pub fn boundaries(self, scenario: u64, length: u64) -> impl Iterator<Item = u64> {
        self.turned(self.of - scenario % self.of).choose(0..length)
    }

    /// Every item of `all` whose number, divided by the number of machines, leaves this machine's number as remainder.
    pub fn choose<T>(self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        let at = |number| usize::try_from(number).unwrap_or(usize::MAX);
        all.skip(at(self.part)).step_by(at(self.of))
    }

    /// As [`boundaries`](Self::boundaries), for a scenario that has too many boundaries to try all: a range without gaps, from
    /// which the caller chooses.
    pub fn stretch(self, scenario: u64, length: u64) -> Range<u64> {
        let at = |part: u64| (u128::from(length) * u128::from(part) / u128::from(self.of)) as u64;
        let part = self.turned(self.of - scenario % self.of).part;
        at(part)..at(part + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(of: u64) -> impl Iterator<Item = Share> {
        (0..of).map(move |part| Share::new(part, of).unwrap())
    }

    #[test]
    fn each_boundary_is_one_machines() {
        for (of, scenario, length) in
            [(1, 0, 5), (4, 0, 103), (4, 7, 103), (3, 2, 1), (4, u64::MAX, 9), (5, 3, 0)]
        {
            let mut all: Vec<_> = shares(of).flat_map(|share| share.boundaries(scenario, length)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..length).collect::<Vec<_>>(), "{of} machines, scenario {scenario}");
            let mut all: Vec<_> = shares(of).flat_map(|share| share.stretch(scenario, length)).collect();
            all.sort_unstable();
            assert_eq!(
                all,
                (0..length).collect::<Vec<_>>(),
                "{of} machines, scenario {scenario}, in stretches"
            );
        }
    }

    #[test]
    fn each_machine_has_as_many_and_begins_in_turn() {
        for share in shares(4) {
            assert_eq!(share.boundaries(3, 100).count(), 25);
            assert_eq!(share.stretch(3, 100).count(), 25);
            let turns: Vec<_> =
                (0..4).map(|scenario| share.boundaries(scenario, 100).next().unwrap()).collect();
            assert_eq!(turns.iter().sum::<u64>(), 6, "{turns:?}");
        }
        assert_eq!(Share::new(1, 4).unwrap().boundaries(2, 12).collect::<Vec<_>>(), [3, 7, 11]);
    }

    #[test]
    fn turns_lead_through_all_machines() {
        let share = Share::new(2, 4).unwrap();
        assert_eq!([0, 1, 2, 3, 4, u64::MAX].map(|turns| share.turned(turns).part), [2, 3, 0, 1, 2, 1]);
    }

    #[test]
    fn what_is_chosen_is_one_machines() {
        let mut all: Vec<_> = shares(4).flat_map(|share| share.choose(0..10)).collect();
        assert_eq!(all[..3], [0, 4, 8]);
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        assert_eq!(Share::ALL.choose(0..3).count(), 3);
    }

    #[test]
    fn half_a_share_has_every_second_of_its_boundaries() {
        for (part, scenario) in [(0, 0), (1, 5), (3, 2)] {
            let share = Share::new(part, 4).unwrap();
            let whole: Vec<_> = share.boundaries(scenario, 100).collect();
            let half: Vec<_> = share.thinned(2).boundaries(scenario, 100).collect();
            assert!(half.iter().all(|k| whole.contains(k)), "{whole:?}: {half:?}");
            assert!(half.len().abs_diff(whole.len() - half.len()) <= 1, "{whole:?}: {half:?}");
        }
        assert_eq!(Share::ALL.thinned(2), Share::ALL);
        assert_eq!(Share::new(1, 4).unwrap().thinned(1), Share::new(1, 4).unwrap());
    }

    #[test]
    fn what_is_no_share_is_refused() {
        assert_eq!(Share::parse("2/4"), Share::new(2, 4));
        assert_eq!(Share::parse("0/18446744073709551615").unwrap().boundaries(5, 100).count(), 0);
        for wrong in ["", "1", "4/4", "1/0", "0/0", "/", "1/", "/4", "-1/4", "1/4/4"] {
            assert_eq!(Share::parse(wrong), None, "{wrong}");
        }
    }
}
