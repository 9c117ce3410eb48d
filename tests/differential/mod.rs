//! Rule K1 with random instructions in random states. Each is executed natively and under a probe. All registers, the flags, the
//! PC, memory, and a fault with its syndrome and addresses must be the same.
//!
//! - `words`: chooses instructions from every group of encodings, and keeps them harmless.
//! - `state`: the state before an instruction, and after it.
//! - `area`: the text in which the instructions are executed.
//!
//! All choices come from one seed, which is printed. The boot arguments `seed=` and `samples=` repeat a run.

mod area;
mod state;
mod words;

use crate::failed;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::storm::{Random, Stream};
use harness::{check, check_eq};
use kernel::arch::barrier::relax;
use kernel::exception::DebugFrame;
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::mm::patch;
use kernel::{drivers, options, println, smp};
pub use state::simd;
use state::{Came, State};
use words::GROUPS;

harness::suite!("differential":
    random_instructions_do_under_a_probe_what_they_do_natively,
);

/// How many states each instruction is run from.
const STATES: usize = 4;

static HANDLED: AtomicU64 = AtomicU64::new(0);

fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
    HANDLED.fetch_add(1, Relaxed);
    Then::Run
}

fn post(_: &Kprobe, _: &mut DebugFrame) {
    HANDLED.fetch_add(1 << 32, Relaxed);
}

/// One instruction, and the states that it is run from.
struct Sample {
    group: usize,
    word: u32,
    /// The index of the instruction's word in the area.
    slot: u64,
    states: Vec<State>,
    /// Whether SIMD&FP registers can be used.
    simd: bool,
    handlers: u32,
}

impl Sample {
    /// The sample of this number. It depends on `seed` and `number` only, not on the samples before.
    fn new(seed: u64, number: u32) -> Option<Self> {
        let mut random = Random::new(seed, number.into(), Stream::Plan);
        let group = number as usize % GROUPS.len();
        let slot = 490 + u64::from(random.below(20));
        let word = words::draw(&GROUPS[group], slot, &mut random)?;
        let states = (0..STATES).map(|_| words::state(word, slot, &mut random)).collect();
        Some(Self { group, word, slot, states, simd: !random.one_in(4), handlers: random.below(3) })
    }

    fn address(&self) -> u64 {
        area::word(self.slot)
    }

    /// Runs the instruction from each state, and returns the results.
    fn run(&self) -> Result<Vec<Came>, Ended> {
        let runs = self.states.iter().map(|state| area::run(self.address(), state));
        runs.collect::<Option<_>>().ok_or_else(|| failed("the run never began or never ended"))
    }

    /// Runs the instruction under a probe from each state, and returns the results. `natively` says how often the post-handler is
    /// due.
    fn run_probed(&self, natively: &[Came]) -> Result<Vec<Came>, Ended> {
        let at = self.address();
        HANDLED.store(0, Relaxed);
        let pre: Option<kprobe::PreHandler> = if self.handlers > 0 { Some(pre) } else { None };
        let post: Option<kprobe::PostHandler> = if self.handlers > 1 { Some(post) } else { None };
        kprobe::register(at, pre, post).map_err(failed)?;
        let came = self.run();
        check_eq!(kprobe::unregister(at), Ok((STATES as u64, 0)), "hits and missed");
        let handled = HANDLED.load(Relaxed);
        check_eq!(handled & 0xffff_ffff, if pre.is_some() { STATES as u64 } else { 0 }, "pre-handlers");
        // An instruction that took an exception is not done, so the post-handler is not called.
        let done = natively.iter().filter(|came| !came.faulted(at)).count() as u64;
        check_eq!(handled >> 32, if post.is_some() { done } else { 0 }, "post-handlers");
        came
    }

    /// Runs the instruction natively and under a probe, and compares the results. True if the instruction took an exception from at
    /// least one of the states.
    fn compare(&self) -> Result<bool, Ended> {
        let landing = kernel::arch::uaccess::read_u32(self.address()).map_err(failed)?;
        write(self.address(), self.word);
        simd::allow(self.simd);
        let outcome = self.run().and_then(|natively| {
            let probed = self.run_probed(&natively)?;
            for (number, (probed, native)) in probed.iter().zip(&natively).enumerate() {
                if let Some(difference) = probed.difference(native) {
                    return Err(Ended::Failed(format!("from state {number}: {difference}")));
                }
            }
            Ok(natively.iter().any(|came| came.faulted(self.address())))
        });
        // As the kernel has it.
        simd::allow(true);
        write(self.address(), landing);
        outcome
    }
}

/// Writes one word of the area. No other CPU executes the area, so no CPU has to be held meanwhile.
fn write(address: u64, word: u32) {
    let _off = IrqOff::new();
    patch::write_text(address as usize, word);
}

fn random_instructions_do_under_a_probe_what_they_do_natively() -> Outcome {
    let options = options::get();
    let seed = options.seed.unwrap_or_else(drivers::timer::now);
    // With other CPUs each change of text waits for all of them.
    let samples = if smp::online_count() == 1 { options.samples } else { options.samples / 20 };
    println!("        # seed={seed} samples={}", options.samples);
    let (mut compared, mut faulted) = (vec![0; GROUPS.len()], 0);
    for number in 0..samples {
        let Some(sample) = Sample::new(seed, number) else { continue };
        match sample.compare() {
            Ok(fault) => faulted += usize::from(fault),
            Err(Ended::Failed(why)) => {
                return Err(Ended::Failed(format!(
                    "{:#010x} ({}, {:?}, SIMD&FP {}), sample {number} of seed={seed}: {why}",
                    sample.word,
                    GROUPS[sample.group].name,
                    probe::classify(sample.word),
                    if sample.simd { "usable" } else { "trapped" },
                )));
            }
            Err(other) => return Err(other),
        }
        compared[sample.group] += 1;
        relax();
    }
    let never: Vec<&str> =
        GROUPS.iter().zip(&compared).filter(|(_, count)| **count == 0).map(|(group, _)| group.name).collect();
    check!(samples < GROUPS.len() as u32 || never.is_empty(), "no instruction of {never:?}");
    let sum: usize = compared.iter().sum();
    println!("        # {sum} instructions from {STATES} states each, {faulted} of them with faults");
    Ok(())
}
