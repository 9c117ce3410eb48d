//! M13, I4, I7: the registers and the step state with which the kernel returns to a context.

use super::seen::Seen;
use super::signal::{self, Signal};
use super::{code, trace};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq, suite};
use kernel::arch::mdscr;
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::{self, Hit};
use kernel::debug::{self, record, stats};
use kernel::exception::{DebugFrame, Frame};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::watcher;

suite!("rule-return":
    m13_entry_and_return_synchronise,
    m13_spsr_ss_stays_as_saved,
    m13_moving_pc_clears_spsr_ss,
    m13_a_cancelled_step_is_not_taken,
    m13_ss_is_clear_once_nobody_asks,
    m13_a_step_that_is_cut_short_ends,
    i4_flags_survive,
    i7_handlers_change_every_register,
    i7_handlers_move_pc,
    i7_an_interrupt_changes_no_register,
);

static INTERRUPT: Seen = Seen::new();

fn interrupted(frame: &mut Frame) {
    INTERRUPT.note(frame);
}

fn send(_: &Kprobe, _: &mut DebugFrame) -> Then {
    signal::send();
    Then::Run
}

/// SCTLR_EL1.EIS and EOS are set on every CPU. WXN is set, too: changes of text rely on it.
fn m13_entry_and_return_synchronise() -> Outcome {
    static SCTLR: [AtomicU64; kernel::percpu::MAX_CPUS] =
        [const { AtomicU64::new(0) }; kernel::percpu::MAX_CPUS];
    fn note() {
        SCTLR[kernel::percpu::index()].store(kernel::read_sysreg!("sctlr_el1"), Relaxed);
    }
    note();
    for cpu in kernel::smp::online().filter(|cpu| *cpu != kernel::percpu::index()) {
        check!(kernel::idle::give(cpu, note));
        while !kernel::idle::is_idle(cpu) {
            kernel::arch::barrier::relax();
        }
    }
    for cpu in kernel::smp::online() {
        let sctlr = SCTLR[cpu].load(Relaxed);
        check_eq!((sctlr >> 22 & 1, sctlr >> 11 & 1), (1, 1), "EIS, EOS of cpu{cpu}");
    }
    Ok(())
}

/// An interrupt comes after a stepped instruction is done and before the step is reported. SPSR.SS is 0 then and must stay 0, or a
/// second instruction would run.
fn m13_spsr_ss_stays_as_saved() -> Outcome {
    Signal::Irq.prepare(interrupted)?;
    signal::arm(Signal::Irq);
    INTERRUPT.reset();
    let branch = code::branch_range();
    kprobe::register(branch.start, Some(send), None).map_err(crate::failed)?;
    let mut result = 0;
    let steps = trace::trace(branch.clone(), || result = code::branch())?;
    kprobe::unregister(branch.start).map_err(crate::failed)?;
    check_eq!((result, INTERRUPT.count()), (7, 1));
    let seen = INTERRUPT.view();
    check_eq!((seen.pc, seen.spsr_ss, seen.stash, seen.ss), (branch.start + 8, 0, 1, 0));
    check_eq!(steps.len(), 4, "{steps:x?}");
    check_eq!(steps[..3], [branch.start, branch.start + 8, branch.start + 12]);

    // If the interrupt comes before the stepped instruction, SPSR.SS is 1 and must stay 1.
    INTERRUPT.reset();
    let line = code::line_range();
    let id = signal::breakpoint_in_line(watcher!(signal::interrupt))?;
    let steps = trace::trace(line.clone(), || result = code::line())?;
    signal::remove(id)?;
    check_eq!((result, INTERRUPT.count(), INTERRUPT.view().spsr_ss), (4, 1, 1));
    check_eq!(steps[..3], [line.start, line.start + 4, line.start + 8]);
    Ok(())
}

/// If a handler moves PC, the step is reported before the instruction at the new PC is executed.
fn m13_moving_pc_clears_spsr_ss() -> Outcome {
    static PCS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    static COUNT: AtomicU64 = AtomicU64::new(0);
    fn moves(_: &Hit, frame: &mut DebugFrame) {
        frame.move_to(code::line_range().start + 8);
    }
    fn hook(frame: &mut DebugFrame) -> Wish {
        let line = code::line_range();
        if !line.contains(&frame.pc) {
            return Wish::Step;
        }
        let count = COUNT.fetch_add(1, Relaxed) as usize;
        PCS[count].store(frame.pc, Relaxed);
        if count == 2 { Wish::Run } else { Wish::Step }
    }
    COUNT.store(0, Relaxed);
    let line = code::line_range();
    let id = signal::breakpoint_in_line(watcher!(moves))?;
    let mut result = 0;
    session::step_with(hook, || result = code::line()).map_err(crate::failed)?;
    let hits = signal::remove(id)?;
    check_eq!((result, hits), (3, 1), "the instruction under the breakpoint was left out");
    let pcs = PCS.each_ref().map(|pc| pc.load(Relaxed) - line.start);
    check_eq!(pcs, [0, 4, 8], "the step lands where PC was moved to, not behind it");
    Ok(())
}

/// The slot is removed while its step-over is on the stash.
fn m13_a_cancelled_step_is_not_taken() -> Outcome {
    static SLOT: spin::Mutex<Option<::slots::SlotId>> = spin::Mutex::new(None);
    static REMOVED: AtomicU64 = AtomicU64::new(0);
    fn removes(frame: &mut Frame) {
        INTERRUPT.note(frame);
        let removed = SLOT.try_lock().and_then(|mut id| id.take()).map(|id| slots::remove(id).is_ok());
        REMOVED.store(u64::from(removed == Some(true)), Relaxed);
    }
    Signal::Irq.prepare(removes)?;
    signal::arm(Signal::Irq);
    INTERRUPT.reset();
    let counts = || [&stats::STEPS, &stats::STEP_OVERS, &stats::CANCELLED].map(|counter| counter.here());
    let before = counts();
    let id = signal::breakpoint_in_line(watcher!(signal::interrupt))?;
    *SLOT.lock() = Some(id);
    let result = code::line();
    let (after, ss) = (counts(), mdscr::read());
    check_eq!((result, REMOVED.load(Relaxed), INTERRUPT.count()), (4, 1, 1));
    check_eq!(ss, mdscr::TDCC);
    let [steps, overs, cancelled] = [after[0] - before[0], after[1] - before[1], after[2] - before[2]];
    check_eq!((steps, overs, cancelled), (0, 0, 1));
    Ok(())
}

fn m13_ss_is_clear_once_nobody_asks() -> Outcome {
    fn nothing(_: &Hit, _: &mut DebugFrame) {}
    let id = signal::breakpoint_in_line(watcher!(nothing))?;
    code::line();
    let register = mdscr::read();
    signal::remove(id)?;
    check_eq!(
        register,
        mdscr::TDCC | 1 << 15 | 1 << 13,
        "MDE and KDE are set for the slot, and SS for no owner"
    );
    check_eq!(mdscr::read(), mdscr::TDCC);
    Ok(())
}

/// A debugger's steps that end in the middle leave neither an owner nor MDSCR_EL1.SS behind.
fn m13_a_step_that_is_cut_short_ends() -> Outcome {
    fn never(_: &mut DebugFrame) -> Wish {
        Wish::Step
    }
    let mut result = 0;
    session::step_with(never, || result = code::line()).map_err(crate::failed)?;
    let steps = stats::STEPS.here();
    check_eq!((result, code::line()), (4, 4));
    check_eq!(stats::STEPS.here() - steps, 0);
    check_eq!((mdscr::read(), debug::this().owners.get().bits()), (mdscr::TDCC, 0));
    Ok(())
}

/// I4: all 16 values of NZCV survive a breakpoint with an interrupt in its step-over, a probe, a debugger's step, and a step over a
/// probe with an interrupt.
fn i4_flags_survive() -> Outcome {
    let at = code::flags_at();
    let all = || (0..16u64).map(|nzcv| nzcv << 28);
    Signal::Irq.prepare(interrupted)?;

    let id = signal::breakpoint(at, watcher!(signal::interrupt))?;
    for nzcv in all() {
        signal::arm(Signal::Irq);
        check_eq!(code::flags(nzcv), nzcv, "breakpoint and interrupt");
    }
    check_eq!(signal::remove(id)?, 16);

    kprobe::register(at, Some(send), None).map_err(crate::failed)?;
    for nzcv in all() {
        check_eq!(code::flags(nzcv), nzcv, "probe and interrupt");
    }
    check_eq!(kprobe::unregister(at), Ok((16, 0)));

    for nzcv in all() {
        let mut left = 0;
        let steps = trace::trace(at..at + 4, || left = code::flags(nzcv))?;
        check_eq!(left, nzcv, "step");
        check_eq!(steps, [at, at + 4]);
    }

    kprobe::register(at, Some(send), None).map_err(crate::failed)?;
    for nzcv in all() {
        let mut left = 0;
        let steps = trace::trace(at..at + 4, || left = code::flags(nzcv))?;
        check_eq!(left, nzcv, "step over a probe, interrupted");
        check_eq!(steps, [at, at + 4]);
    }
    check_eq!(kprobe::unregister(at), Ok((16, 0)));
    Ok(())
}

/// How many bytes [`scramble`] adds to SP; the number may be negative.
static MOVE_SP: AtomicU64 = AtomicU64::new(0);
const NZCV: u64 = 0b1010 << 28;

const fn pattern(n: u64) -> u64 {
    0xa5a5_0000_0000_5a5a | n << 20
}

/// Changes everything in the frame that a handler may change, except PC.
fn scramble(frame: &mut Frame) {
    for (n, x) in frame.x.iter_mut().enumerate() {
        *x = pattern(n as u64);
    }
    frame.sp = frame.sp.wrapping_add(MOVE_SP.load(Relaxed));
    // Sets NZCV, and masks I and F.
    record::foreign();
    frame.pstate = frame.pstate & !(0xf << 28) | NZCV | 0xc0;
}

fn scrambles_at_hit(_: &Hit, frame: &mut DebugFrame) {
    scramble(frame);
}

fn scrambles_before(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    scramble(frame);
    Then::Run
}

fn scrambles_after(_: &Kprobe, frame: &mut DebugFrame) {
    scramble(frame);
}

fn scrambles_at_step(frame: &mut DebugFrame) -> Wish {
    if frame.pc != code::registers_at() {
        return Wish::Step;
    }
    scramble(frame);
    Wish::Run
}

fn scrambles_in_irq(frame: &mut Frame) {
    INTERRUPT.note(frame);
    scramble(frame);
}

/// Checks that `code::registers` has stored what [`scramble`] has left.
fn scrambled(left: &code::Registers) -> Outcome {
    for (n, value) in left[..31].iter().enumerate() {
        check_eq!(*value, pattern(n as u64), "x{n}");
    }
    check_eq!(left[31], left[34].wrapping_add(MOVE_SP.load(Relaxed)), "SP");
    check_eq!(left[32], NZCV);
    check_eq!(left[33], 0xc0, "DAIF");
    Ok(())
}

fn i7_handlers_change_every_register() -> Outcome {
    let at = code::registers_at();
    Signal::Irq.prepare(scrambles_in_irq)?;
    for move_sp in [0u64, 256, 256u64.wrapping_neg()] {
        MOVE_SP.store(move_sp, Relaxed);

        let mut left = [0; 35];
        let id = signal::breakpoint(at, watcher!(scrambles_at_hit))?;
        code::registers(&mut left);
        check_eq!(signal::remove(id)?, 1);
        scrambled(&left)?;

        left = [0; 35];
        kprobe::register(at, Some(scrambles_before), None).map_err(crate::failed)?;
        code::registers(&mut left);
        check_eq!(kprobe::unregister(at), Ok((1, 0)));
        scrambled(&left)?;

        left = [0; 35];
        kprobe::register(at, None, Some(scrambles_after)).map_err(crate::failed)?;
        code::registers(&mut left);
        check_eq!(kprobe::unregister(at), Ok((1, 0)));
        scrambled(&left)?;

        left = [0; 35];
        session::step_with(scrambles_at_step, || code::registers(&mut left)).map_err(crate::failed)?;
        scrambled(&left)?;

        left = [0; 35];
        INTERRUPT.reset();
        signal::arm(Signal::Irq);
        let id = signal::breakpoint(at, watcher!(signal::interrupt))?;
        code::registers(&mut left);
        check_eq!((signal::remove(id)?, INTERRUPT.count()), (1, 1));
        scrambled(&left)?;
    }
    Ok(())
}

fn i7_handlers_move_pc() -> Outcome {
    fn skips(_: &Hit, frame: &mut DebugFrame) {
        let pc = frame.pc;
        frame.move_to(pc + 4);
    }
    fn leaves_out(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        frame.pc += 4;
        Then::Skip
    }
    let id = signal::breakpoint(code::trap as *const () as u64, watcher!(skips))?;
    code::trap();
    check_eq!(signal::remove(id)?, 1);

    let at = code::line_range().start + 4;
    kprobe::register(at, Some(leaves_out), None).map_err(crate::failed)?;
    let result = code::line();
    check_eq!((result, kprobe::unregister(at)), (3, Ok((1, 0))));
    Ok(())
}

/// An interrupt in the middle of a step-over, whose handler changes nothing, leaves all 31 registers, SP and NZCV alone.
fn i7_an_interrupt_changes_no_register() -> Outcome {
    fn scrambles_and_sends(hit: &Hit, frame: &mut DebugFrame) {
        scramble(frame);
        frame.pstate &= !0xc0;
        signal::interrupt(hit, frame);
    }
    MOVE_SP.store(0, Relaxed);
    Signal::Irq.prepare(interrupted)?;
    INTERRUPT.reset();
    signal::arm(Signal::Irq);
    let mut left = [0; 35];
    let id = signal::breakpoint(code::registers_at(), watcher!(scrambles_and_sends))?;
    code::registers(&mut left);
    check_eq!((signal::remove(id)?, INTERRUPT.count()), (1, 1));
    check_eq!(INTERRUPT.view().pc, code::registers_at());
    check_eq!(left[33], 0);
    left[33] = 0xc0;
    scrambled(&left)
}
