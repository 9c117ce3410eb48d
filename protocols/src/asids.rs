//! Who has which ASID, the number by which the TLB tells address spaces apart (DDI 0487 D8, "Address space identifiers").
//!
//! There are fewer ASIDs than there may be address spaces, so an address space has an ASID only until all are used up. Then a new
//! *generation* begins: the address spaces that run keep their ASIDs, all others get a new one when they run next, and each CPU empties
//! its TLB before it runs another address space. An address space that never runs again need not give its ASID back.
//!
//! ASID 0 belongs to the empty tables that a CPU has while it runs no program. The callers take turns under a lock.

/// The most ASIDs that an implementation has.
pub const MOST_ASIDS: usize = 1 << 16;

/// The generation and the ASID of an address space in one word: `generation << 16 | asid`; 0 if it has none yet.
pub type AsidWord = u64;

/// The ASID in a word.
pub const fn asid_of(word: AsidWord) -> u64 {
    word & (MOST_ASIDS as u64 - 1)
}

/// What a CPU does to run an address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The word of the address space from now on.
    pub word: AsidWord,
    /// Whether the CPU first empties its TLB.
    pub flush: bool,
}

/// The ASIDs of a machine with up to 64 CPUs.
#[derive(Debug)]
pub struct Asids<const CPUS: usize> {
    generation: u64,
    /// One bit for each ASID, set if it is used in this generation.
    used: [u64; MOST_ASIDS / 64],
    /// Where the search for a free ASID begins.
    next: usize,
    /// For each CPU the word of the address space that it runs, or ran when the generation began; 0 if none.
    running: [AsidWord; CPUS],
    /// One bit for each CPU that has to empty its TLB before it runs another address space.
    to_flush: u64,
    limit: usize,
}

impl<const CPUS: usize> Asids<CPUS> {
    /// No address space has run, and all ASIDs can be used.
    pub const fn new() -> Self {
        Self {
            generation: 1,
            used: [0; MOST_ASIDS / 64],
            next: 1,
            running: [0; CPUS],
            to_flush: 0,
            limit: MOST_ASIDS,
        }
    }

    /// Only ASIDs below `limit` are given from now on. It is more than there are CPUs and one.
    pub fn limit(&mut self, limit: usize) {
        assert!(limit > CPUS + 1, "there are more ASIDs than CPUs");
        self.limit = limit.min(MOST_ASIDS);
    }

    /// How many generations have begun.
    pub fn generations(&self) -> u64 {
        self.generation
    }

    /// As [`run`](Self::run), if the word stays as it is and the TLB need not be emptied: nearly always. Else returns false, and has done nothing.
    #[inline(always)]
    pub fn run_again(&mut self, cpu: usize, word: AsidWord) -> bool {
        if word >> 16 != self.generation || self.to_flush >> cpu & 1 != 0 {
            return false;
        }
        self.running[cpu] = word;
        true
    }

    /// A CPU is about to run the address space with this word.
    pub fn run(&mut self, cpu: usize, word: AsidWord) -> Run {
        let word = if word >> 16 == self.generation { word } else { self.assign(word) };
        self.running[cpu] = word;
        let flush = self.to_flush >> cpu & 1 != 0;
        self.to_flush &= !(1 << cpu);
        Run { word, flush }
    }

    /// A CPU is about to run no address space.
    pub fn run_none(&mut self, cpu: usize) {
        self.running[cpu] = 0;
    }

    #[cold]
    #[inline(never)]
    fn assign(&mut self, old: AsidWord) -> AsidWord {
        // After a new generation the address spaces that run keep their ASIDs.
        if old != 0 && self.running.contains(&old) {
            let kept = self.generation << 16 | asid_of(old);
            self.running.iter_mut().filter(|word| **word == old).for_each(|word| *word = kept);
            return kept;
        }
        let asid = self.free().unwrap_or_else(|| {
            self.begin_generation();
            self.free().expect("there are more ASIDs than CPUs")
        });
        self.used[asid / 64] |= 1 << (asid % 64);
        self.next = asid + 1;
        self.generation << 16 | asid as u64
    }

    fn free(&self) -> Option<usize> {
        (self.next..self.limit).find(|&asid| self.used[asid / 64] & 1 << (asid % 64) == 0)
    }

    fn begin_generation(&mut self) {
        self.generation += 1;
        self.used.fill(0);
        self.next = 1;
        for word in self.running {
            let asid = asid_of(word) as usize;
            self.used[asid / 64] |= 1 << (asid % 64);
        }
        self.to_flush = u64::MAX;
    }
}

impl<const CPUS: usize> Default for Asids<CPUS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A translation that a TLB holds: of which address space, and how often that space's tables had changed.
    type Entry = (usize, u64);

    /// CPUs with TLBs that forget nothing by themselves, and more address spaces than ASIDs.
    struct Machine<const CPUS: usize> {
        asids: Box<Asids<CPUS>>,
        tlbs: Vec<HashMap<u64, Entry>>,
        running: [Option<usize>; CPUS],
        words: Vec<AsidWord>,
        changes: Vec<u64>,
        seed: u64,
    }

    impl<const CPUS: usize> Machine<CPUS> {
        fn new(spaces: usize, limit: usize) -> Self {
            let mut asids = Box::new(Asids::new());
            asids.limit(limit);
            Self {
                asids,
                tlbs: vec![HashMap::new(); CPUS],
                running: [None; CPUS],
                words: vec![0; spaces],
                changes: vec![0; spaces],
                seed: 0x9e37_79b9_7f4a_7c15,
            }
        }

        fn random(&mut self, below: usize) -> usize {
            for (left, shift) in [(true, 13), (false, 7), (true, 17)] {
                self.seed ^= if left { self.seed << shift } else { self.seed >> shift };
            }
            (self.seed % below as u64) as usize
        }

        fn run(&mut self, cpu: usize, space: usize) {
            let word = self.words[space];
            let Run { word, flush } = match self.asids.run_again(cpu, word) {
                true => Run { word, flush: false },
                false => self.asids.run(cpu, word),
            };
            self.words[space] = word;
            if flush {
                self.tlbs[cpu].clear();
            }
            self.running[cpu] = Some(space);
            assert!((1..self.asids.limit as u64).contains(&asid_of(word)));
            self.access(cpu);
        }

        /// What a CPU runs accesses memory: the TLB gives what it holds for the ASID, else the tables do.
        fn access(&mut self, cpu: usize) {
            let Some(space) = self.running[cpu] else { return };
            let now = (space, self.changes[space]);
            let found = *self.tlbs[cpu].entry(asid_of(self.words[space])).or_insert(now);
            assert_eq!(found, now, "CPU {cpu} uses a translation of another space, or an old one");
        }

        /// The tables of a space change, and all TLBs drop what they hold for its ASID.
        fn change(&mut self, space: usize) {
            self.changes[space] += 1;
            if self.words[space] != 0 {
                self.tlbs.iter_mut().for_each(|tlb| _ = tlb.remove(&asid_of(self.words[space])));
            }
        }

        fn turn(&mut self) {
            let cpu = self.random(CPUS);
            match self.random(8) {
                0 => {
                    self.asids.run_none(cpu);
                    self.running[cpu] = None;
                }
                1 => {
                    let space = self.random(self.words.len());
                    self.change(space);
                }
                2 => self.access(cpu),
                _ => {
                    // Mostly a few spaces, so that some run on several CPUs at once, and for long.
                    let spaces = if self.random(2) == 0 { 4 } else { self.words.len() };
                    let space = self.random(spaces);
                    self.run(cpu, space);
                }
            }
            for one in 0..CPUS {
                for other in 0..one {
                    let (Some(a), Some(b)) = (self.running[one], self.running[other]) else { continue };
                    let same = asid_of(self.words[a]) == asid_of(self.words[b]);
                    assert_eq!(same, a == b, "ASIDs of what CPUs {one} and {other} run");
                }
            }
        }
    }

    #[test]
    fn no_cpu_uses_a_stale_translation_over_hundreds_of_generations() {
        let mut machine = Machine::<4>::new(40, 8);
        (0..50_000).for_each(|_| machine.turn());
        assert!(machine.asids.generations() > 500, "{}", machine.asids.generations());
    }

    #[test]
    fn one_cpu_with_the_fewest_asids() {
        let mut machine = Machine::<1>::new(40, 3);
        (0..20_000).for_each(|_| machine.turn());
        assert!(machine.asids.generations() > 500, "{}", machine.asids.generations());
    }

    #[test]
    fn a_space_that_runs_keeps_its_asid_over_generations() {
        let mut asids = Box::new(Asids::<2>::new());
        asids.limit(4);
        let first = asids.run(0, 0).word;
        let words: Vec<_> = (0..10).map(|_| asids.run(1, 0)).collect();
        assert!(asids.generations() > 3);
        assert!(words.iter().all(|run| asid_of(run.word) != asid_of(first)));
        // The other CPU joins in: the same ASID, in the generation of today.
        let joined = asids.run(1, first);
        assert_eq!((asid_of(joined.word), joined.word >> 16), (asid_of(first), asids.generations()));
        assert_eq!(asids.run(0, joined.word), Run { word: joined.word, flush: true });
        assert_eq!(asids.run(0, joined.word), Run { word: joined.word, flush: false });
    }

    #[test]
    fn all_asids_below_the_limit_are_used_before_a_generation_begins() {
        let mut asids = Box::new(Asids::<1>::new());
        asids.limit(16);
        let given: Vec<_> = (0..15).map(|_| asid_of(asids.run(0, 0).word)).collect();
        assert_eq!(given, (1..16).collect::<Vec<_>>());
        assert_eq!(asids.generations(), 1);
        assert!(asids.run(0, 0).flush);
        assert_eq!(asids.generations(), 2);
    }
}
