//! Load-exclusive/store-exclusive sequences, inside of which no probe and no breakpoint may be.
//!
//! An exception between the load-exclusive and the store-exclusive clears the exclusive monitor (DDI 0487 B2, "Synchronization and
//! semaphores"). The store then fails and the loop runs again, so a loop with a probe inside would never end.
use crate::bits::bits;
use crate::class::{Class, Reason};
use crate::classify::{classify, is_move_prefix};
use crate::cpu::is_hint;
use crate::monitor::{is_clear_exclusive, is_load_exclusive, is_store_exclusive};
use crate::sim::Sim;

/// The longest function, in instructions, whose paths [`in_exclusive_sequence`] follows from end to end. In a longer function it
/// looks only at [`NEAR_WORDS`] on either side of the instruction.
pub const MAX_FUNCTION_WORDS: usize = 8192;

/// How far from an instruction [`in_exclusive_sequence`] looks in a long function, in instructions. The architecture promises that
/// a sequence makes progress only if it lies within 128 bytes (DDI 0487 B2, "Load-Exclusive and Store-Exclusive instruction usage
/// restrictions").
pub const NEAR_WORDS: usize = 1024;

/// The longest function, in instructions, that is searched for a load-exclusive as a whole. In a longer function only the words
/// near the instruction in question are searched.
const MAX_SEARCHED_WORDS: u64 = 1 << 18;

/// Whether the instruction at `pc` lies on a path from a load-exclusive to a store-exclusive of the function from `fn_start`
/// up to, not including, `fn_end`. The monitor is set when such an instruction is reached, and a store that needs the monitor can
/// follow.
///
/// `fetch` gives the word at an address, as it was before any probe was placed there, or `None` if it cannot be read. Takes 4 KiB
/// of stack. Takes time linear in the function for all but contrived control flow. The time is bounded however long the function
/// is said to be (a kernel without symbols may pass its whole text): at most 2^18 words are searched for a load-exclusive, and
/// paths lead through at most 8,192 words. Meant for registration, not for a handler.
///
/// Paths go through direct branches, forwards and backwards, and past calls, on the assumption that the callee leaves the monitor
/// alone. The answer errs towards `true`:
/// - every conditional branch counts as taken and as not taken, whatever its condition;
/// - in a function that has a load-exclusive, `true` when a word on the paths cannot be fetched or is an indirect branch that could
///   lead anywhere in the function (BR, BRAA). [`classify_at`] calls this [`Reason::Surroundings`].
///
/// `in_exclusive_sequence` does not see these sequences:
/// - a sequence that spans functions (the load-exclusive here, its store-exclusive in the caller or the callee), or that is
///   entered by a branch from outside;
/// - in a function of more than [`MAX_FUNCTION_WORDS`] instructions, a sequence whose load-exclusive is more than [`NEAR_WORDS`]
///   away, or that goes through an indirect branch.
///
/// DDI 0487 B2, "Load-Exclusive and Store-Exclusive instruction usage restrictions" promises progress for none of them, and
/// compilers emit none.
pub fn in_exclusive_sequence(
    fetch: impl Fn(u64) -> Option<u32>,
    pc: u64,
    fn_start: u64,
    fn_end: u64,
) -> bool {
    (fn_start..fn_end).contains(&pc)
        && Function::new(&fetch, fn_start, fn_end).in_exclusive_sequence(&fetch, pc)
}

/// [`classify`] for the word at `pc`. It also refuses instructions because of their surroundings: an instruction inside an
/// exclusive sequence (the arguments are those of [`in_exclusive_sequence`]), the instruction behind a MOVPRFX, and a PACIASP or
/// kin behind a PACM, which makes its result depend on the PC. If `fetch` gives `None` for `pc`, the answer is
/// [`Reason::Unreadable`].
pub fn classify_at(fetch: impl Fn(u64) -> Option<u32>, pc: u64, fn_start: u64, fn_end: u64) -> Class {
    match fetch(pc).map(classify) {
        None => Class::Refuse(Reason::Unreadable),
        Some(refused @ Class::Refuse(_)) => refused,
        Some(_) => Function::new(&fetch, fn_start, fn_end).classify(&fetch, pc),
    }
}

/// The exclusive sequences of one function, found by reading the function once. For kernels that classify many instructions of a
/// function: [`new`](Self::new) takes time linear in the function's length, each [`classify`](Self::classify) after that takes
/// little.
#[derive(Clone, Debug)]
pub struct Function {
    start: u64,
    end: u64,
    exclusive: Exclusive,
}

/// The load-exclusives of a function.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap")]
enum Exclusive {
    /// The function has no load-exclusive.
    Nowhere,
    /// The function has a load-exclusive, but some path from it cannot be followed.
    Anywhere,
    /// The instructions at which the monitor is held.
    Held(Bitmap),
    /// The function is too long for a bitmap: look near the instruction.
    Long,
}

/// Whether an instruction is inside a sequence.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    No,
    Yes,
    /// The paths cannot be followed.
    Unclear,
}

impl Function {
    /// Reads the function from `start` up to, not including, `end`. `fetch` is as for [`in_exclusive_sequence`].
    pub fn new(fetch: impl Fn(u64) -> Option<u32>, start: u64, end: u64) -> Self {
        Self { start, end, exclusive: Exclusive::of(&fetch, start, end) }
    }

    /// Whether the instruction at this address belongs to the function.
    pub fn contains(&self, pc: u64) -> bool {
        (self.start..self.end).contains(&pc)
    }

    /// [`classify_at`] for an address of this function. The function's words must not have changed since [`new`](Self::new).
    pub fn classify(&self, fetch: impl Fn(u64) -> Option<u32>, pc: u64) -> Class {
        const PACM: u32 = 0xd503_24ff;
        let Some(word) = fetch(pc) else { return Class::Refuse(Reason::Unreadable) };
        let class = classify(word);
        if matches!(class, Class::Refuse(_)) {
            return class;
        }
        // The word before can change what this word does. It is fetched even if the function begins with this word, because a
        // kernel without symbols passes every instruction as the start of a function. The partner of a MOVPRFX is an SVE
        // instruction.
        const SVE: u32 = 0b0010;
        let signs = is_hint(word) && matches!(class, Class::OutOfLine(_));
        if signs || bits(word, 25, 4) == SVE {
            let before = pc.checked_sub(4).and_then(&fetch).unwrap_or(0);
            if is_move_prefix(before) {
                return Class::Refuse(Reason::MovePrefix);
            }
            if signs && before == PACM {
                return Class::Refuse(Reason::PcAuthentication);
            }
        }
        match self.inside(&fetch, pc) {
            Inside::No => class,
            Inside::Yes => Class::Refuse(Reason::ExclusiveSequence),
            Inside::Unclear => Class::Refuse(Reason::Surroundings),
        }
    }

    /// [`in_exclusive_sequence`] for an address of this function. The function's words must not have changed since [`new`](Self::new).
    pub fn in_exclusive_sequence(&self, fetch: impl Fn(u64) -> Option<u32>, pc: u64) -> bool {
        self.inside(&fetch, pc) != Inside::No
    }

    fn inside(&self, fetch: &impl Fn(u64) -> Option<u32>, pc: u64) -> Inside {
        if !self.contains(pc) {
            return Inside::No;
        }
        match &self.exclusive {
            Exclusive::Nowhere => Inside::No,
            Exclusive::Anywhere => Inside::Unclear,
            Exclusive::Held(held) => inside(fetch, pc, self.start, self.end, held, false),
            Exclusive::Long => {
                const NEAR: u64 = 4 * NEAR_WORDS as u64;
                let start = self.start.max(pc.saturating_sub(NEAR));
                let end = self.end.min(pc.saturating_add(NEAR));
                match Exclusive::held(fetch, start, end, true) {
                    None => Inside::No,
                    Some(held) => inside(fetch, pc, start, end, &held, true),
                }
            }
        }
    }
}

/// If the monitor is held at `pc`, follows paths from `pc` on to a store that needs the monitor. `past_lost` as for
/// [`Paths::follow`].
fn inside(
    fetch: &impl Fn(u64) -> Option<u32>,
    pc: u64,
    start: u64,
    end: u64,
    held: &Bitmap,
    past_lost: bool,
) -> Inside {
    if !held.get(((pc - start) / 4) as usize) {
        return Inside::No;
    }
    let mut paths = Paths { fetch, start, end, held: Bitmap::new() };
    paths.reach(pc);
    let ends = |word| is_load_exclusive(word) || is_clear_exclusive(word);
    match paths.follow(ends, is_store_exclusive, past_lost) {
        Outcome::Exhausted => Inside::No,
        Outcome::Done => Inside::Yes,
        Outcome::Lost => Inside::Unclear,
    }
}

impl Exclusive {
    fn of(fetch: &impl Fn(u64) -> Option<u32>, start: u64, end: u64) -> Self {
        let words = end.saturating_sub(start).div_ceil(4);
        if words > MAX_SEARCHED_WORDS {
            return Self::Long;
        }
        if !(0..words).any(|n| fetch(start + n * 4).is_some_and(is_load_exclusive)) {
            return Self::Nowhere;
        }
        if words > MAX_FUNCTION_WORDS as u64 {
            return Self::Long;
        }
        Self::held(fetch, start, end, false).map_or(Self::Anywhere, Self::Held)
    }

    /// The instructions at which the monitor is set: follows paths from every load-exclusive to a store-exclusive or CLREX. None if
    /// a path cannot be followed. The range has at most [`MAX_FUNCTION_WORDS`] instructions.
    fn held(fetch: &impl Fn(u64) -> Option<u32>, start: u64, end: u64, past_lost: bool) -> Option<Bitmap> {
        let mut paths = Paths { fetch, start, end, held: Bitmap::new() };
        let words = end.saturating_sub(start).div_ceil(4);
        for address in (0..words).map(|n| start + n * 4) {
            if fetch(address).is_some_and(is_load_exclusive) {
                paths.reach(address.saturating_add(4));
            }
        }
        let ends = |word| is_store_exclusive(word) || is_clear_exclusive(word);
        match paths.follow(ends, |_| false, past_lost) {
            Outcome::Lost => None,
            _ => Some(paths.held),
        }
    }
}

#[derive(Clone, Debug)]
struct Bitmap([u64; MAX_FUNCTION_WORDS / 64]);

impl Bitmap {
    const fn new() -> Self {
        Bitmap([0; MAX_FUNCTION_WORDS / 64])
    }

    fn get(&self, n: usize) -> bool {
        self.0[n / 64] >> (n % 64) & 1 == 1
    }

    /// Sets a bit. Returns whether it was clear.
    fn set(&mut self, n: usize) -> bool {
        let fresh = !self.get(n);
        self.0[n / 64] |= 1 << (n % 64);
        fresh
    }
}

pub(crate) enum Outcome {
    /// Every path has been followed to its end.
    Exhausted,
    /// A path has reached a word for which `found` is true.
    Done,
    /// A path cannot be followed.
    Lost,
}

/// The instructions of one function that some path reaches.
struct Paths<'a, F> {
    fetch: &'a F,
    start: u64,
    end: u64,
    held: Bitmap,
}

impl<F: Fn(u64) -> Option<u32>> Paths<'_, F> {
    fn index(&self, address: u64) -> usize {
        ((address - self.start) / 4) as usize
    }

    /// Marks `address` as reached. Returns whether it lies in the function and was not marked before.
    fn reach(&mut self, address: u64) -> bool {
        (self.start..self.end).contains(&address) && {
            let n = self.index(address);
            self.held.set(n)
        }
    }

    /// Follows all paths from the marked instructions and marks what they reach, up to words that end a path, until `found` is true
    /// of a word. If a path cannot be followed from a word: with `past_lost` only that path ends there, without it the search ends.
    fn follow(
        &mut self,
        ends: impl Fn(u32) -> bool,
        found: impl Fn(u32) -> bool,
        past_lost: bool,
    ) -> Outcome {
        // Sweeps in address order: straight-line code and forward branches take one, each nested loop one more.
        let mut again = true;
        while again {
            again = false;
            let mut address = self.start;
            while address < self.end {
                if self.held.get(self.index(address)) {
                    // 0 is UDF, which ends a path.
                    let word = (self.fetch)(address).or(past_lost.then_some(0));
                    let Some(word) = word else { return Outcome::Lost };
                    if found(word) {
                        return Outcome::Done;
                    }
                    if !ends(word) {
                        let step = successors(word);
                        if step.anywhere && !past_lost {
                            return Outcome::Lost;
                        }
                        if let Some(offset) = step.branch {
                            let target = address.wrapping_add_signed(i64::from(offset));
                            again |= self.reach(target) && target <= address;
                        }
                        if step.next {
                            self.reach(address.saturating_add(4));
                        }
                    }
                }
                address = address.saturating_add(4);
            }
        }
        Outcome::Exhausted
    }
}

/// Whether a path from `pc` reaches a store-exclusive before a load-exclusive or CLREX, within the function; None if the function
/// is too long to tell.
pub(crate) fn reaches_store(
    fetch: impl Fn(u64) -> Option<u32>,
    pc: u64,
    fn_start: u64,
    fn_end: u64,
) -> Option<Outcome> {
    if (fn_end.saturating_sub(fn_start)).div_ceil(4) > MAX_FUNCTION_WORDS as u64 {
        return None;
    }
    let mut paths = Paths { fetch: &fetch, start: fn_start, end: fn_end, held: Bitmap::new() };
    paths.reach(pc);
    Some(paths.follow(|word| is_load_exclusive(word) || is_clear_exclusive(word), is_store_exclusive, true))
}

/// Where control can go after a word, within the word's function.
pub(crate) struct Successors {
    pub next: bool,
    pub branch: Option<i32>,
    pub anywhere: bool,
}

pub(crate) fn successors(word: u32) -> Successors {
    const NEXT: Successors = Successors { next: true, branch: None, anywhere: false };
    const NOWHERE: Successors = Successors { next: false, branch: None, anywhere: false };
    match classify(word) {
        Class::Simulate(sim) => match sim {
            // The callee returns here. A call of this function itself (recursion) starts without a held monitor.
            Sim::Branch { link: true, .. } | Sim::BranchLinkReg { .. } => NEXT,
            Sim::Branch { offset, .. } => Successors { branch: Some(offset), ..NOWHERE },
            Sim::BranchCond { offset, .. }
            | Sim::CompareZero { offset, .. }
            | Sim::TestBit { offset, .. }
            | Sim::CompareBranch { offset, .. } => Successors { branch: Some(offset), ..NEXT },
            Sim::BranchReg { .. } => Successors { anywhere: true, ..NOWHERE },
            Sim::Return { .. } => NOWHERE,
            Sim::Nop
            | Sim::Adr { .. }
            | Sim::Adrp { .. }
            | Sim::LoadLiteral { .. }
            | Sim::LoadVector { .. } => NEXT,
        },
        Class::Refuse(Reason::AuthenticatedBranch) => authenticated(word),
        // `Paths::follow` has tested for store-exclusives before it asks for successors. UDF and unallocated words end in an
        // exception that does not return here; the exceptions of SVC, BRK and kin may return.
        Class::Refuse(Reason::ExceptionReturn | Reason::Udf | Reason::Unallocated) => NOWHERE,
        Class::Refuse(_) | Class::OutOfLine(_) => NEXT,
    }
}

/// BLRAA comes back, RETAA leaves, BRAA may go anywhere.
fn authenticated(word: u32) -> Successors {
    let branch_register = bits(word, 25, 7) == 0b110_1011;
    match bits(word, 21, 2) {
        0b01 if branch_register => Successors { next: true, branch: None, anywhere: false },
        0b00 if branch_register => Successors { next: false, branch: None, anywhere: true },
        _ => Successors { next: false, branch: None, anywhere: false },
    }
}

#[cfg(test)]
#[path = "exclusive_tests.rs"]
mod tests;
