//! Optimised probes. Their handlers see and may do the same as the handlers of a probe with a BRK. Where no branch is possible, the
//! probe keeps its BRK.
//!
//! On machines with the boot argument `optimise=1`, all other tests of probes use optimised probes too.

use crate::address_of;
use crate::failed;
use crate::support::{Slot, breakpoint_at};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::arch::{daif, uaccess};
use kernel::debug::debugger::{self, Client, Plan, Resume, Stop};
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::Hit;
use kernel::exception::DebugFrame;
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Kprobe, Then, Wanted};
use kernel::time;
use kernel::watcher;
use rules::pstate::Daif;

specimen! {
    /// Sets the flags, is probed at the third instruction, and stores to `out` what the probe has left: X0, NZCV, and how far SP
    /// was moved down.
    fn target(n: u64, out: &mut [u64; 3]) {
        "mov x3, sp",
        "cmp xzr, x0",
        "add x0, x0, #1",
        "mrs x2, nzcv",
        "mov x4, sp",
        "mov sp, x3",
        "sub x3, x3, x4",
        "stp x0, x2, [x1]",
        "str x3, [x1, #16]",
        "ret",
    }
}

fn site() -> u64 {
    address_of!(target) + 8
}

fn call(n: u64) -> [u64; 3] {
    let mut out = [0; 3];
    target(n, &mut out);
    out
}

/// NZCV after the comparison of 0 with `n`.
const fn flags(n: u64) -> u64 {
    if n == 0 { 0x6000_0000 } else { 0x8000_0000 }
}

fn place(pre: Option<kprobe::PreHandler>) -> Result<&'static Kprobe, Ended> {
    let wanted = Wanted { pre, optimise: Some(true), ..Wanted::at(site()) };
    Ok(kprobe::register_all([wanted]).map_err(failed)?[0])
}

fn is_branch() -> bool {
    uaccess::read_u32(site()).is_ok_and(|word| word >> 26 == 0b000101)
}

static SEEN: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

fn look(probe: &Kprobe, frame: &mut DebugFrame) -> Then {
    let here = [
        frame.pc,
        frame.pstate,
        frame.x[0],
        frame.sp - frame.x[3],
        probe.address,
        daif::read().bits(),
        kernel::debug::this().depth.get().into(),
        kprobe::depth() as u64,
    ];
    for (seen, value) in SEEN.iter().zip(here) {
        seen.store(value, Relaxed);
    }
    Then::Run
}

pub fn an_optimised_probes_handler_sees_what_a_brks_does() -> Outcome {
    let probe = place(Some(look))?;
    check_eq!(probe.how(), "optimised");
    check!(is_branch());
    check_eq!(kprobe::original(site()), Some(0x9100_0400));
    for n in 0..50 {
        check_eq!(call(n), [n + 1, flags(n), 0]);
        let seen = SEEN.each_ref().map(|seen| seen.load(Relaxed));
        let mode = 0x5;
        check_eq!(seen, [site(), flags(n) | mode, n, 0, site(), 0x3c0, 1, 1], "call {n}");
        check_eq!((probe.hits(), kernel::debug::this().depth.get(), kprobe::depth()), (n + 1, 0, 0));
    }
    check_eq!(kprobe::remove(probe), (50, 0));
    check_eq!(uaccess::read_u32(site()), Ok(0x9100_0400));
    check_eq!(call(1), [2, flags(1), 0]);
    Ok(())
}

pub fn an_optimised_probes_handler_changes_what_a_brks_can() -> Outcome {
    fn change(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        frame.x[0] += 100;
        frame.pstate = frame.pstate & !0xf000_0000 | 0x3000_0000;
        Then::Run
    }
    fn move_stack(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        frame.sp -= 48;
        Then::Run
    }
    fn skip(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        frame.x[0] = 7;
        frame.pc += 4;
        Then::Skip
    }
    type Case = (kprobe::PreHandler, [u64; 3]);
    let cases: [Case; 3] =
        [(change, [111, 0x3000_0000, 0]), (move_stack, [11, flags(10), 48]), (skip, [7, flags(10), 0])];
    for optimise in [true, false] {
        for (index, (handler, expected)) in cases.into_iter().enumerate() {
            let wanted = Wanted { pre: Some(handler), optimise: Some(optimise), ..Wanted::at(site()) };
            let probe = kprobe::register_all([wanted]).map_err(failed)?[0];
            let results = [call(10), call(10)];
            let depth = (kernel::debug::this().depth.get(), kprobe::depth());
            check_eq!(kprobe::remove(probe), (2, 0));
            check_eq!((results, depth), ([expected; 2], (0, 0)), "case {index}, optimised {optimise}");
        }
    }
    Ok(())
}

/// Tries no masks, those of an interrupt handler, those of a debug context, and two sets that no context of the kernel has.
pub fn an_optimised_probe_keeps_the_masks_of_its_context() -> Outcome {
    fn set(masks: Daif) {
        // SAFETY: the test puts back the masks from before.
        unsafe { asm!("msr daif, {}", in(reg) masks.bits(), options(nostack, preserves_flags)) }
    }
    let probe = place(Some(look))?;
    let all = [Daif::empty(), Daif::I | Daif::F, Daif::all(), Daif::I, Daif::I | Daif::F | Daif::A];
    for (index, masks) in (0..).zip(all.into_iter().cycle().take(50)) {
        set(masks);
        let result = call(index);
        let (after, before) = (daif::read(), SEEN[1].load(Relaxed));
        set(Daif::empty());
        check_eq!(result, [index + 1, flags(index), 0]);
        check_eq!((after, Daif::of(before)), (masks, masks));
    }
    check_eq!(kprobe::remove(probe), (50, 0));
    Ok(())
}

pub fn where_a_probe_cannot_be_optimised_there_is_a_brk() -> Outcome {
    fn post(_: &Kprobe, _: &mut DebugFrame) {}
    let probe = place(None)?;
    check!(is_branch());
    // For as long as a second probe is at the address, the first one has a BRK.
    let second = kprobe::register(site(), None, None).map_err(failed)?;
    check!(!is_branch());
    check_eq!((probe.how(), call(1)), ("out of line", [2, flags(1), 0]));
    kprobe::disable(second);
    check_eq!(call(1), [2, flags(1), 0]);
    check_eq!(kprobe::remove(second), (1, 0));
    check!(is_branch());
    kprobe::disable(probe);
    check_eq!(kprobe::original(site()), uaccess::read_u32(site()).ok());
    kprobe::enable(probe);
    check_eq!((is_branch(), call(1)), (true, [2, flags(1), 0]));
    check_eq!(kprobe::remove(probe), (3, 0));
    // A probe with a post-handler is not optimised, nor is a probe on an instruction that decides where execution goes on.
    let wanted = Wanted { post: Some(post), optimise: Some(true), ..Wanted::at(site()) };
    let probe = kprobe::register_all([wanted]).map_err(failed)?[0];
    check_eq!((probe.how(), is_branch()), ("out of line", false));
    kprobe::remove(probe);
    let wanted = Wanted { optimise: Some(true), ..Wanted::at(site() + 4 * 7) };
    let probe = kprobe::register_all([wanted]).map_err(failed)?[0];
    check_eq!(probe.how(), "simulated", "ret");
    check_eq!(call(1), [2, flags(1), 0]);
    check_eq!(kprobe::remove(probe), (1, 0));
    Ok(())
}

/// Where steps landed, and how many did, in the function whose first address is [`FOLLOWED`].
static LANDED: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
static LANDINGS: AtomicU64 = AtomicU64::new(0);
static FOLLOWED: AtomicU64 = AtomicU64::new(0);

/// Runs `run` without ticks on this CPU. An interrupt before the step would make the kernel move the context away from the stand-in
/// BRK of the trampoline, and back to it afterwards.
fn undisturbed<R>(run: impl FnOnce() -> R) -> R {
    {
        let _off = IrqOff::new();
        time::pause();
    }
    let result = run();
    time::resume();
    result
}

/// Steps through `body`, and returns the offsets of the first four landings in the function at `entry`, which `body` calls and
/// which has up to 40 bytes.
fn landings(entry: u64, body: impl FnOnce()) -> Result<[u64; 4], Ended> {
    fn hook(frame: &mut DebugFrame) -> Wish {
        if frame.pc.wrapping_sub(FOLLOWED.load(Relaxed)) >= 40 {
            return Wish::Step;
        }
        let count = LANDINGS.fetch_add(1, Relaxed) as usize;
        LANDED[count].store(frame.pc, Relaxed);
        if count == 3 { Wish::Run } else { Wish::Step }
    }
    FOLLOWED.store(entry, Relaxed);
    LANDINGS.store(0, Relaxed);
    undisturbed(|| session::step_with(hook, body)).map_err(failed)?;
    Ok(LANDED.each_ref().map(|pc| pc.load(Relaxed).wrapping_sub(entry)))
}

/// A post-handler begins a step, which is a step of the instruction behind the probed one. That instruction has an optimised probe:
/// the branch to the trampoline is not a step of its own.
pub fn a_step_begun_behind_a_probe_meets_an_optimised_one() -> Outcome {
    static CLIENT: Client = Client { tell: client, data: 0 };

    fn client(_: &Client, _: Stop, frame: &mut DebugFrame) -> Resume {
        LANDED[0].store(frame.pc, Relaxed);
        Resume::Run
    }
    fn begins(_: &Kprobe, frame: &mut DebugFrame) {
        LANDINGS.fetch_add(debugger::step(frame, Plan::One, &CLIENT).is_ok().into(), Relaxed);
    }
    LANDINGS.store(0, Relaxed);
    let probe = place(Some(look))?;
    let before = kprobe::register(site() - 4, None, Some(begins)).map_err(failed)?;
    let result = undisturbed(|| call(3));
    check_eq!((kprobe::remove(before), kprobe::remove(probe)), ((1, 0), (1, 0)));
    check_eq!((result, LANDINGS.load(Relaxed)), ([4, flags(3), 0], 1));
    check_eq!(LANDED[0].load(Relaxed), site() + 4);
    Ok(())
}

/// A breakpoint's handler moves PC to an optimised probe while a step is due. The step is reported there, before anything is
/// executed.
pub fn a_step_that_is_moved_to_an_optimised_probe_lands_on_it() -> Outcome {
    fn moves(_: &Hit, frame: &mut DebugFrame) {
        frame.move_to(site());
    }
    let probe = place(Some(look))?;
    let slot = Slot::calling(&breakpoint_at(site() - 4), watcher!(moves))?;
    let mut result = [0; 3];
    let landed = landings(address_of!(target), || result = call(3));
    check_eq!((kprobe::remove(probe), slot.hits()), ((1, 0), Some(1)));
    check_eq!((landed?, result[0]), ([0, 4, 8, 12], 4));
    Ok(())
}

/// A step of an exclusive sequence (H9) lands on an optimised probe. The sequence is done by then, so the step is reported before
/// anything else is executed.
pub fn a_step_over_a_sequence_lands_on_an_optimised_probe() -> Outcome {
    specimen! {
        fn adds(word: &mut u64) -> u64 {
            "mov x2, x0",
            "1: ldxr x0, [x2]",
            "add x1, x0, #1",
            "stxr w3, x1, [x2]",
            "cbnz w3, 1b",
            "add x0, x0, #2",
            "ret",
        }
    }
    let wanted = Wanted { optimise: Some(true), ..Wanted::at(address_of!(adds) + 20) };
    let probe = kprobe::register_all([wanted]).map_err(failed)?[0];
    check_eq!(probe.how(), "optimised");
    let (mut word, mut result) = (5, 0);
    let landed = landings(address_of!(adds), || result = adds(&mut word));
    check_eq!(kprobe::remove(probe), (1, 0));
    check_eq!((landed?, result, word), ([0, 4, 20, 24], 7, 6));
    Ok(())
}
