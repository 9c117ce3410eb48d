//! Random numbers by PCG. Each purpose has a stream of its own, so that the numbers that one CPU takes do not change those of the others.

use oorandom::Rand32;

/// 2^64 divided by the golden ratio: multiples of it are far apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The purpose of random numbers.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// Choices that must be the same on all CPUs.
    Plan,
    /// Choices of a CPU's thread.
    Thread(usize),
    /// Choices of a CPU's interrupts.
    Interrupts(usize),
    /// Choices of a CPU's deferred work.
    Deferred(usize),
    /// Choices of a CPU's background thread.
    Background(usize),
    /// Choices for the programs at EL0.
    Programs,
}

impl Stream {
    fn number(self) -> u64 {
        match self {
            Self::Plan => 0,
            Self::Programs => u64::MAX - 1,
            Self::Thread(cpu) => 1 + 4 * cpu as u64,
            Self::Interrupts(cpu) => 2 + 4 * cpu as u64,
            Self::Deferred(cpu) => 3 + 4 * cpu as u64,
            Self::Background(cpu) => 4 + 4 * cpu as u64,
        }
    }
}

/// A source of random numbers.
#[derive(Clone, Copy, Debug)]
pub struct Random(Rand32);

impl Random {
    /// The source for this seed, round and purpose.
    pub fn new(seed: u64, round: u64, stream: Stream) -> Self {
        let stream = (stream.number() + 1).wrapping_mul(SPREAD);
        Self(Rand32::new_inc(seed ^ round.wrapping_mul(SPREAD).rotate_left(32), stream))
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: u32) -> u32 {
        self.0.rand_range(0..end)
    }

    /// Any 32 bits.
    pub fn word(&mut self) -> u32 {
        self.0.rand_u32()
    }

    /// Any 64 bits.
    pub fn long(&mut self) -> u64 {
        u64::from(self.word()) << 32 | u64::from(self.word())
    }

    /// True with a probability of one in `n`.
    pub fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// One of these values.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u32) as usize]
    }
}
