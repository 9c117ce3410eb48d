//! What can be set on a target (breakpoints, a watchpoint, probes), and the result that an execution then must have.

use super::code::{ADD, LOAD, Marks, POINTS, STORE, Target};
use super::held::Held;
use super::marks::{breakpoint, post, pre, recurse, skip, watchpoint};
use ::slots::{Access, Cpus, Privilege, Request};
use alloc::string::{String, ToString};
use harness::storm::Random;
use kernel::kprobe;
use kernel::watcher;

/// How a target is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The target is called without anything special.
    Plain,
    /// The target takes a fault that is fixed up and tried again.
    Faulting,
    /// The target runs with D, A, I, F masked.
    Masked,
    /// A debugger steps through the target.
    Stepped,
}

/// Every way in which a target is run.
pub const WAYS: [Way; 4] = [Way::Plain, Way::Faulting, Way::Masked, Way::Stepped];

#[derive(Clone, Copy, Debug)]
struct Breakpoint {
    point: usize,
    calls: bool,
}

#[derive(Clone, Copy, Debug)]
struct Watchpoint {
    range: usize,
    access: Access,
    calls: bool,
}

/// Ranges for the watchpoint: first byte, length, and whether the load reads some of it. A range that no single slot can hold takes
/// two slots.
const RANGES: [(u64, u64, bool); 8] = [
    (0, 8, true),
    (0, 16, true),
    (8, 8, false),
    (2, 3, true),
    (12, 4, false),
    (4, 8, true),
    (6, 5, true),
    (0, 12, true),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Does {
    /// The probe has a pre-handler only.
    Pre,
    /// The probe has a pre-handler and a post-handler.
    Both,
    /// The handler has the instruction's effect itself, and skips the instruction.
    Skips,
    /// The pre-handler runs the target again. In that run this probe is missed, and other probes are hit.
    Recurses,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    point: usize,
    does: Does,
}

/// What is set on a target. Two breakpoints may be at one place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set {
    breakpoints: [Option<Breakpoint>; 2],
    watchpoint: Option<Watchpoint>,
    probes: [Option<Probe>; 2],
}

/// The result and the counts of one execution with a [`Set`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// The marks that the execution returns.
    pub marks: Marks,
    /// The number of breakpoint exceptions.
    pub breakpoints: u64,
    /// The number of watchpoint exceptions.
    pub watchpoints: u64,
    /// The number of watchpoint exceptions inside a breakpoint's step-over.
    pub merged: u64,
    /// The number of step exceptions that end both a debugger's step and a step-over.
    pub both: u64,
    /// The number of faults that are fixed up.
    pub fixups: u64,
    /// The hits of each slot: two breakpoints and the watchpoint.
    pub hits: [u64; 3],
    /// Hits and misses of each probe.
    pub probes: [(u64, u64); 2],
}

impl Set {
    /// A random set with at most these numbers of breakpoints, watchpoints and probes.
    pub fn random(random: &mut Random, breakpoints: u32, watchpoints: u32, probes: u32) -> Self {
        let mut set = Self::default();
        for breakpoint in set.breakpoints.iter_mut().take(random.below(breakpoints + 1) as usize) {
            *breakpoint =
                Some(Breakpoint { point: random.below(POINTS as u32) as usize, calls: random.one_in(2) });
        }
        if random.below(watchpoints + 1) != 0 {
            set.watchpoint = Some(Watchpoint {
                range: random.below(RANGES.len() as u32) as usize,
                access: random.pick(&[Access::Read, Access::Write, Access::ReadWrite]),
                calls: random.one_in(2),
            });
        }
        let mut taken = POINTS;
        for (index, probe) in set.probes.iter_mut().take(random.below(probes + 1) as usize).enumerate() {
            let point = random.below(POINTS as u32) as usize;
            if point == taken {
                continue;
            }
            taken = point;
            let does = match random.below(4) {
                0 => Does::Pre,
                1 if point == ADD => Does::Skips,
                // Only the first probe may recurse: two such probes would hit each other without an end.
                2 if index == 0 => Does::Recurses,
                _ => Does::Both,
            };
            *probe = Some(Probe { point, does });
        }
        set
    }

    /// The result and the counts that one execution in this way must have.
    pub fn expected(&self, way: Way) -> Expected {
        let mut all = Expected::default();
        let passes = |point| 1 + u64::from(way == Way::Faulting && point == LOAD);
        // While D is masked no slot hits.
        let hardware = way != Way::Masked;
        // For each point, how often breakpoints raise an exception there. Two breakpoints at one point raise one exception.
        let mut at = [0; POINTS];
        for (lane, breakpoint) in self.breakpoints.iter().enumerate() {
            let Some(breakpoint) = breakpoint.filter(|_| hardware) else { continue };
            let passes = passes(breakpoint.point);
            at[breakpoint.point] = passes;
            all.hits[lane] = passes;
            all.marks.breakpoints += if breakpoint.calls { passes << (8 * lane) } else { 0 };
        }
        all.breakpoints = at.iter().sum();
        // If a breakpoint is on a probed instruction that is not skipped, no step exception ends its step-over: the step-over is
        // completed in software.
        let probed = |point| {
            self.probes.iter().flatten().any(|probe| probe.point == point && probe.does != Does::Skips)
        };
        // At which points the instruction is stepped over, because a breakpoint or the watchpoint has been hit.
        let mut stepped = at.map(|passes| passes != 0);
        if let Some(watchpoint) = self.watchpoint.filter(|_| hardware) {
            let (_, _, read) = RANGES[watchpoint.range];
            let writes = watchpoint.access != Access::Read;
            let reads = watchpoint.access != Access::Write && read;
            for point in
                [(STORE, writes), (LOAD, reads)].into_iter().filter_map(|(point, hit)| hit.then_some(point))
            {
                all.watchpoints += 1;
                all.merged += u64::from(at[point] != 0 && !probed(point));
                stepped[point] = true;
            }
            all.hits[2] = all.watchpoints;
            all.marks.watchpoints = if watchpoint.calls { all.watchpoints } else { 0 };
        }
        if way == Way::Stepped {
            all.both = (0..POINTS).filter(|&point| stepped[point] && !probed(point)).count() as u64;
        }
        all.fixups = u64::from(way == Way::Faulting);
        // How often a pre-handler runs the target again, plainly and in debug context.
        let recursing = self.probes[0].filter(|probe| probe.does == Does::Recurses);
        let again = recursing.map_or(0, |probe| passes(probe.point));
        for (lane, probe) in self.probes.iter().enumerate() {
            let Some(probe) = probe else { continue };
            let passes = passes(probe.point);
            let (hits, missed) = if lane == 0 { (passes, again) } else { (passes + again, 0) };
            // The post-handler does not see the attempt that faults.
            let posts = if probe.does == Does::Both { if lane == 0 { 1 } else { 1 + again } } else { 0 };
            all.probes[lane] = (hits, missed);
            all.marks.probes += hits << (16 * lane) | posts << (16 * lane + 8);
        }
        all
    }

    /// Sets everything on `target`. None if others hold the slots that this needs.
    ///
    /// # Errors
    /// If a slot or a probe cannot be set or removed although nothing stands in the way.
    pub fn place(&self, target: Target, cpus: Cpus) -> Result<Option<Placed>, String> {
        let mut placed = Placed::default();
        for (lane, set) in self.breakpoints.iter().enumerate() {
            let Some(set) = set else { continue };
            let address = target.point(set.point);
            let request = Request::Breakpoint { address, privilege: Privilege::El1 };
            let calls = [watcher!(breakpoint::<0>), watcher!(breakpoint::<1>)];
            placed.slots[lane] = Held::get(&request, cpus, set.calls.then_some(calls[lane]))?;
            if placed.slots[lane].is_none() {
                placed.take_away()?;
                return Ok(None);
            }
        }
        if let Some(set) = self.watchpoint {
            placed.slots[2] =
                Held::get(&set.request(target), cpus, set.calls.then_some(watcher!(watchpoint)))?;
            if placed.slots[2].is_none() {
                placed.take_away()?;
                return Ok(None);
            }
        }
        for (lane, probe) in self.probes.iter().enumerate() {
            let Some(probe) = probe else { continue };
            let address = target.point(probe.point);
            let pre = match probe.does {
                Does::Pre | Does::Both => [pre::<0>, pre::<1>][lane],
                Does::Skips => [skip::<0>, skip::<1>][lane],
                Does::Recurses => recurse,
            };
            let post = (probe.does == Does::Both).then_some([post::<0>, post::<1>][lane]);
            kprobe::register(address, Some(pre), post).map_err(|error| error.to_string())?;
            placed.probes[lane] = Some(address);
        }
        Ok(Some(placed))
    }
}

impl Watchpoint {
    fn request(&self, target: Target) -> Request {
        let (first, length, _) = RANGES[self.range];
        Request::Watchpoint {
            address: target.memory() + first,
            length,
            access: self.access,
            privilege: Privilege::El1,
        }
    }
}

/// The slots and the addresses of the probes of a set that has been placed.
#[derive(Clone, Copy, Default)]
pub struct Placed {
    slots: [Option<Held>; 3],
    probes: [Option<u64>; 2],
}

/// The counts of a set that has been removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// The hits of each slot: two breakpoints and the watchpoint.
    pub hits: [u64; 3],
    /// Hits and misses of each probe.
    pub probes: [(u64, u64); 2],
}

impl Counts {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        self.hits.iter_mut().zip(other.hits).for_each(|(sum, hits)| *sum += hits);
        for (sum, (hits, missed)) in self.probes.iter_mut().zip(other.probes) {
            sum.0 += hits;
            sum.1 += missed;
        }
    }
}

impl Placed {
    /// Removes all slots and probes, and returns their counts.
    ///
    /// # Errors
    /// If a slot or a probe cannot be set or removed although nothing stands in the way.
    pub fn take_away(&self) -> Result<Counts, String> {
        let mut counts = Counts::default();
        for (count, slot) in counts.hits.iter_mut().zip(self.slots) {
            *count = slot.map_or(Ok(0), |held| held.give())?;
        }
        for (count, address) in counts.probes.iter_mut().zip(self.probes) {
            let Some(address) = address else { continue };
            *count = kprobe::unregister(address).map_err(|error| error.to_string())?;
        }
        Ok(counts)
    }
}
