//! Steps through code that takes exceptions.

use super::trace::{in_no_probe_text, trace};
use crate::address_of;
use crate::failed;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::uaccess;
use kernel::debug::session::{self, Wish};
use kernel::debug::stats;
use kernel::exception::{DebugFrame, Frame, brk};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::kwarn;
use kernel::mm;
use rules::pstate::Daif;

#[inline(never)]
fn warns(value: u64) -> u64 {
    kwarn!(core::hint::black_box(value) == 1);
    value + 1
}

pub fn a_step_over_a_warning_goes_into_its_handler() -> Outcome {
    let before = stats::WARNINGS.sum();
    let mut result = 0;
    let trace = trace(address_of!(warns), || result = warns(1))?;
    check_eq!(stats::WARNINGS.sum() - before, 1);
    check_eq!(result, 2);
    let [.., (site, _), (handler, masks)] = trace.pcs[..] else { return Err(failed("no trace")) };
    check_eq!(uaccess::read_u32(site), Ok(probe::ool::brk(brk::BUG)));
    check!(in_no_probe_text(handler), "the first unmasked instruction of the handler (X2)");
    check_eq!(masks, Daif::empty(), "the handler inherits the masks (M11)");
    Ok(())
}

specimen! {
    /// Returns 1 if a load from `from` faults, otherwise 0.
    fn faults(from: u64) -> u64 {
        "mov x1, #0",
        "2: ldrb w0, [x0]",
        "mov x0, x1",
        "ret",
        "3: mov x0, #1",
        "ret",
        ".pushsection .ex_table, \"a\"",
        ".quad 2b, 3b",
        ".popsection",
    }
}

pub fn a_step_over_a_fault_goes_into_its_handler() -> Outcome {
    const NOWHERE: u64 = 0xffff_ffff_0000_0000;
    let before = stats::FIXUPS.sum();
    let mut result = 0;
    let trace = trace(address_of!(faults), || result = faults(NOWHERE))?;
    check_eq!(result, 1);
    check_eq!(stats::FIXUPS.sum() - before, 1);
    let [(_, _), (load, _), (handler, masks)] = trace.pcs[..] else { return Err(failed(trace.words())) };
    check_eq!(load, trace.entry + 4);
    check!(in_no_probe_text(handler));
    check_eq!(masks, Daif::empty(), "the handler inherits the masks (M6)");
    Ok(())
}

specimen! {
    /// Loads from `from`, which faults until somebody mends X0.
    fn tries_again(from: *const u64) -> u64 {
        "nop",
        "ldr x0, [x0]",
        "add x0, x0, #1",
        "ret",
    }
}

pub fn steps_through_a_faults_handler_land_on_the_instruction_that_is_attempted_again() -> Outcome {
    static GOOD: AtomicU64 = AtomicU64::new(41);
    static LANDINGS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
    static INSIDE: AtomicU64 = AtomicU64::new(0);
    fn mend(frame: &mut Frame) -> bool {
        let is_ours = frame.pc == address_of!(tries_again) + 4;
        if is_ours {
            frame.x[0] = (&raw const GOOD) as u64;
        }
        is_ours
    }
    // Goes on through the handler, to the end of the specimen.
    fn hook(frame: &mut DebugFrame) -> Wish {
        let word = frame.pc.wrapping_sub(address_of!(tries_again)) / 4;
        match LANDINGS.get(word as usize) {
            Some(landings) => _ = landings.fetch_add(1, Relaxed),
            None => _ = INSIDE.fetch_add(1, Relaxed),
        }
        if word == 3 { Wish::Run } else { Wish::Step }
    }
    LANDINGS.iter().for_each(|landings| landings.store(0, Relaxed));
    INSIDE.store(0, Relaxed);
    let mut result = 0;
    mm::fault::catch(Some(mend));
    let stepped = session::step_with(hook, || result = tries_again(core::ptr::dangling::<u8>().cast()));
    mm::fault::catch(None);
    stepped.map_err(failed)?;
    check_eq!(result, 42);
    // On the load once before it faults, and once before it is attempted again (M6, X2).
    let landings = LANDINGS.each_ref().map(|landings| landings.load(Relaxed));
    check_eq!(landings, [1, 2, 1, 1]);
    check!(INSIDE.load(Relaxed) > 10, "the handler was stepped");
    Ok(())
}

specimen! {
    fn breaks(n: u64) -> u64 {
        "add x0, x0, #1",
        "brk #{debugger}",
        "add x0, x0, #2",
        "brk #{empty}",
        "add x0, x0, #4",
        "ret",
        debugger = const brk::DEBUGGER,
        empty = const brk::EMPTY,
    }
}

pub fn a_step_over_a_debuggers_brk_ends_behind_it() -> Outcome {
    let mut result = 0;
    let trace = trace(address_of!(breaks), || result = breaks(0))?;
    check_eq!(trace.words(), [0, 1, 2, 3, 4, 5]);
    check!(trace.complete);
    check_eq!(result, 7);
    Ok(())
}

specimen! {
    fn probed(n: u64) -> u64 {
        "add x0, x0, #1", "b 1f", "nop", "1: adr x1, 1b", "ret"
    }
}

pub fn a_step_over_a_probe_ends_behind_its_instruction() -> Outcome {
    static POSTS: AtomicU64 = AtomicU64::new(0);
    fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
        Then::Run
    }
    fn post(_: &Kprobe, _: &mut DebugFrame) {
        POSTS.fetch_add(1, Relaxed);
    }
    POSTS.store(0, Relaxed);
    let entry = address_of!(probed);
    // The first probed instruction runs out of line. The other three, a branch, an ADR and a RET, are simulated.
    let sites = [0, 4, 12, 16].map(|offset| entry + offset);
    for site in sites {
        kprobe::register(site, Some(pre), Some(post)).map_err(failed)?;
    }
    let mut result = 0;
    let trace = trace(entry, || result = probed(1));
    let counts = sites.map(kprobe::unregister);
    let trace = trace?;
    check_eq!(trace.words(), [0, 1, 3, 4]);
    check!(trace.complete);
    check_eq!(counts, [Ok((1, 0)); 4]);
    check_eq!((POSTS.load(Relaxed), result), (4, 2));
    Ok(())
}
