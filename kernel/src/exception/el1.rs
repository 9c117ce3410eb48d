//! Exceptions from EL1: which row of the rule table applies to each, and which function handles it.
#![allow(
    clippy::redundant_closure,
    reason = "a function passed by name becomes a call through a shim, which costs and lies in text that can be probed"
)]

use super::apply::{Aside, enter, leave, open, open_nothing, put_back, resume, set_aside};
use super::brk::{self, Use};
use super::fatal::fatal;
use super::frame::{DebugFrame, Frame, ec};
use super::live;
use super::reason::Reason;
use super::study;
use crate::arch::barrier;
use crate::debug::{self, MaskedCpu, bug, hit};
use crate::irq;
use crate::kprobe;
use crate::mm;
use crate::sched;
use rules::step::{Owners, moved};
use rules::table::RowId;

const M6: u8 = RowId::M6 as u8;
const M8: u8 = RowId::M8 as u8;
const M9: u8 = RowId::M9 as u8;
const M10: u8 = RowId::M10 as u8;
const M11: u8 = RowId::M11 as u8;
const M12: u8 = RowId::M12 as u8;
const M14: u8 = RowId::M14 as u8;

/// This CPU's debug state, at the entry of an exception and, once exceptions are masked again, on the way out.
#[inline(always)]
fn entered() -> &'static MaskedCpu {
    // SAFETY: the vectors and `hit.S` call the functions of this module with D masked. After `open` has opened D, the
    // reference is not used before `leave` has masked D again. If I was open meanwhile, `leave` looks the CPU up anew
    // (I10).
    unsafe { debug::masked() }
}

/// The frame of a context that the exception of M10, M12 or M14 has interrupted.
#[inline(always)]
fn debug_frame(frame: &mut Frame) -> &mut DebugFrame {
    // SAFETY: called behind the entry of such an exception, whose handler runs with D, A, I and F masked and ends before they open.
    unsafe { DebugFrame::of(frame) }
}

/// A handler, which the vectors call with all exceptions masked.
type Handler = extern "C" fn(&mut Frame);

/// The handlers, by ESR_EL1.EC. Each class has a function of its own, so no handler makes a stack frame for the needs
/// of another.
#[unsafe(no_mangle)]
static EXCEPTION_EL1_CLASSES: [Handler; 64] = {
    let mut classes: [Handler; 64] = [fault; 64];
    classes[ec::BRK64 as usize] = exception_el1_brk;
    classes[ec::STEP_SAME as usize] = step;
    classes[ec::BREAKPOINT_SAME as usize] = breakpoint;
    classes[ec::WATCHPOINT_SAME as usize] = watchpoint;
    classes
};

/// The handlers of M10. `$name` has the common case inlined, so that it makes no call; everything else goes to the cold function
/// `$rest`.
macro_rules! hardware {
    ($($name:ident, $rest:ident: $plain:expr, $handler:expr;)*) => {$(
        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        extern "C" fn $name(frame: &mut Frame) {
            let cpu = entered();
            let aside = enter::<M10>(cpu, frame);
            let frame = debug_frame(frame);
            if !$plain(cpu, frame) {
                return $rest(cpu, frame, aside);
            }
            leave::<M10>(cpu, frame, aside);
        }

        #[cold]
        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        fn $rest(cpu: &MaskedCpu, frame: &mut DebugFrame, aside: Aside) {
            let depth = cpu.depth.get();
            cpu.depth.set(depth + 1);
            $handler(cpu, frame);
            cpu.depth.set(depth);
            leave::<M10>(cpu, frame, aside);
        }
    )*};
}

hardware! {
    step, any_step: |cpu, _: &mut DebugFrame| hit::plain_step(cpu), |cpu, frame| hit::step(cpu, frame);
    breakpoint, any_breakpoint: |cpu, frame| hit::plain_breakpoint(cpu, frame), |cpu, frame| hit::breakpoint(cpu, frame);
    watchpoint, any_watchpoint: |cpu, frame| hit::plain_watchpoint(cpu, frame), |cpu, frame| hit::watchpoint(cpu, frame);
}

unsafe extern "C" {
    /// In `kprobe/hit.S`: deals with the common hits of probes, and jumps to `exception_el1_any_brk` for all other BRKs. Only the
    /// vectors may jump here: it does not return as a function does.
    safe fn exception_el1_brk(frame: &mut Frame);
}

/// Deals with a BRK that `hit.S` does not deal with. The immediate decides between the rows M11, M12, M14 and M7.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text.brk")]
extern "C" fn exception_el1_any_brk(frame: &mut Frame) {
    match brk::lookup(frame.esr) {
        Some(Use::Kprobe) => kprobe_hit(frame),
        Some(Use::OutOfLineEnd) => out_of_line_end(frame),
        Some(Use::Debugger) => debugger(frame),
        Some(Use::Step) => begin_step(frame),
        Some(Use::Trampoline) => trampoline(frame),
        Some(Use::Empty) => empty(frame),
        Some(Use::Assertion) => assertion(frame),
        Some(Use::ReturnProbe) => call_returned(frame),
        None => fatal(frame, "M7", Reason::UnknownBrk),
    }
}

/// Deals with the BRK at which a trampoline gives up (M12b).
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn trampoline(frame: &mut Frame) {
    match kprobe::rest(frame) {
        kprobe::Rest::Hit => kprobe_hit(frame),
        kprobe::Rest::Instruction(then) => kprobe_rest_of_hit(entered(), frame, then),
        kprobe::Rest::Nobodys => fatal(frame, "M7", Reason::UnknownBrk),
    }
}

/// The handlers of M12, and of M14 inside a debug context, where the owners belong to the outer context and stay. Each BRK has
/// functions of its own: code that they share would become a call of a function in text that can be probed.
macro_rules! software {
    ($($name:ident, $nested:ident: $handler:expr;)*) => {$(
        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        fn $name(frame: &mut Frame) {
            if debug::this().depth.get() == 0 {
                software::<M12>(frame, $handler);
            } else {
                $nested(frame);
            }
        }

        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        fn $nested(frame: &mut Frame) {
            software::<M14>(frame, $handler);
        }
    )*};
}

software! {
    kprobe_hit, kprobe_hit_nested: |cpu, frame, parked| kprobe::hit(cpu, frame, parked);
    out_of_line_end, out_of_line_end_nested: |cpu, frame, parked| Ok(kprobe::out_of_line_end(cpu, frame, parked));
    call_returned, call_returned_nested: |cpu, frame, parked| Ok(kprobe::returned(cpu, frame, parked));
    debugger, debugger_nested: |cpu, frame, parked| Ok(debug::debugger::brk(cpu, frame, parked));
    begin_step, begin_step_nested: |cpu, frame, parked| Ok(debug::session::enter_brk(cpu, frame, parked));
    empty, empty_nested: |_, frame, parked| {
        frame.move_to(frame.pc + 4);
        Ok(parked)
    };
}

/// Calls the handler with the owners that are parked. The handler returns the owners to put back, or the exception of a
/// probed instruction.
#[inline(always)]
fn software<const ROW: u8>(
    frame: &mut Frame,
    handler: impl FnOnce(&'static MaskedCpu, &mut DebugFrame, Owners) -> Result<Owners, kprobe::Excepted>,
) {
    let cpu = entered();
    let mut aside = enter::<ROW>(cpu, frame);
    let depth = cpu.depth.get();
    cpu.depth.set(depth + 1);
    match handler(cpu, debug_frame(frame), aside.parked) {
        Ok(parked) => aside.parked = parked,
        Err(kprobe::Excepted) => return kprobe_exception(cpu, frame, depth),
    }
    cpu.depth.set(depth);
    leave::<ROW>(cpu, frame, aside);
}

/// Deals with the exception of a simulated instruction by M6, in place of M13 for its probe's hit. `depth` is the depth of debug
/// contexts without that hit.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn kprobe_exception(cpu: &MaskedCpu, frame: &mut Frame, depth: u32) {
    cpu.depth.set(depth);
    fault_of_probed(cpu, frame);
}

/// The rest of a probe's hit (M12) that `hit.S` has begun. The pre-handler has asked for a step, or the context masks only one of I
/// and F, so that the copy has to end in a BRK.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn kprobe_rest_of_hit(cpu: &MaskedCpu, frame: &mut Frame, then: kprobe::Then) {
    let mut aside = Aside::NOTHING;
    match kprobe::rest_of_hit(cpu, debug_frame(frame), then) {
        Ok(parked) => aside.parked = parked,
        Err(kprobe::Excepted) => return kprobe_exception(cpu, frame, 0),
    }
    cpu.depth.set(0);
    leave::<M12>(cpu, frame, aside);
}

/// Called by `hit.S` in checked builds, as long as no cell was exchanged: checks that what `hit.S` does at the entry is what the
/// table says.
#[cfg(debug_assertions)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn kprobe_check_entry(cpu: &MaskedCpu, frame: &mut Frame) {
    // The context has no owners, so `enter` sets nothing aside.
    let _ = enter::<M12>(cpu, frame);
}

/// Called by `hit.S` in checked builds, before `hit.S` brings MDSCR_EL1 into line: checks the exit.
#[cfg(debug_assertions)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn kprobe_check_exit(cpu: &MaskedCpu, frame: &mut Frame) {
    leave::<M12>(cpu, frame, Aside::NOTHING);
}

/// Deals with the BRK of a WARN or BUG by M11; inside a debug context by M14, which results in the same masks.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn assertion(frame: &mut Frame) {
    let cpu = entered();
    if cpu.depth.get() == 0 {
        let aside = enter::<M11>(cpu, frame);
        bug::report(frame);
        leave::<M11>(cpu, frame, aside);
    } else {
        let aside = enter::<M14>(cpu, frame);
        bug::report(frame);
        leave::<M14>(cpu, frame, aside);
    }
}

/// Deals with a synchronous exception that is no debug exception by M6; by M7 if nothing fixes the fault up.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn fault(frame: &mut Frame) {
    let cpu = entered();
    // A fault in a copy is the probed instruction's. The probed context's masks and owners are put back before M6 decides (K7).
    kprobe::fault_in_copy(cpu, frame);
    fault_of_probed(cpu, frame);
}

/// Applies M6 to the context of `frame`. If a probed instruction has faulted, that is the probed context. All
/// exceptions are masked when this function is called and when it returns.
#[inline(always)]
fn fault_of_probed(cpu: &MaskedCpu, frame: &mut Frame) {
    let nested = cpu.depth.get() != 0;
    // In a debug context the owners are not those of the code that faulted.
    let aside = if nested { Aside::NOTHING } else { set_aside::<M6>(cpu, frame) };
    if !nested && !cpu.owners.get().is_empty() {
        // A debugger's step goes into the handler. If the steps go on to the handler's end, the instruction that is attempted again is the next
        // one (X2).
        frame.pstate = moved(frame.pstate);
    }
    open::<M6>(cpu, frame);
    if !mm::fault::handle(frame) {
        let reason = if frame.class() == ec::SVC64 { Reason::Svc } else { Reason::Fault };
        fatal(frame, "M6", reason);
    }
    leave::<M6>(cpu, frame, aside);
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el1_irq(frame: &mut Frame) {
    kprobe::settle(frame);
    let cpu = entered();
    let aside = set_aside::<M8>(cpu, frame);
    let Some(interrupt) = irq::acknowledge() else {
        // Spurious: nothing was opened, but a step may have been set aside.
        open_nothing::<M8>(cpu, frame);
        return resume::<M8>(cpu, frame, aside);
    };
    if irq::is_nmi(interrupt) {
        return nmi(cpu, frame, aside, interrupt);
    }
    open::<M8>(cpu, frame);
    irq::handle(interrupt, frame);
    leave_interrupt(cpu, frame, aside);
}

/// The way out of an IRQ and of an FIQ (M8).
#[inline(always)]
fn leave_interrupt(cpu: &MaskedCpu, frame: &mut Frame, aside: Aside) {
    if cpu.anything_pending() {
        study::interrupted(cpu, frame);
        on_the_way_out();
        return leave::<M8>(entered(), frame, aside);
    }
    leave::<M8>(cpu, frame, aside);
}

/// Runs deferred work with I open, then reschedules if that is wanted (M8). An interrupt that comes during deferred work leaves
/// both to the interrupt that runs the work. No reference to the CPU's state is kept across this function (rule I10).
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub(super) fn on_the_way_out() {
    if debug::this().in_deferred() {
        return;
    }
    // The end of the interrupt was a write of a system register, ICC_EOIR1_EL1, which is in force only behind a context synchronization
    // event (DDI 0487 D24.1.2.2). It has to take effect before I is opened, here or in another thread: until the running priority has dropped, no further interrupt of this priority is signalled. If
    // nothing is pending, this function is not called, and the exception return synchronises.
    barrier::isb();
    irq::deferred::run();
    let cpu = debug::this();
    if cpu.reschedule_wanted() && study::may_switch() {
        sched::leave_interrupt(cpu);
    }
}

/// Deals with an NMI (M9). Only the acknowledge tells an NMI from an IRQ, so the context was stashed by M8 already.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn nmi(cpu: &MaskedCpu, frame: &mut Frame, mut aside: Aside, interrupt: irq::IntId) {
    if live::ss::<M8>() != live::ss::<M9>() {
        put_back(cpu, frame, aside);
        aside = set_aside::<M9>(cpu, frame);
    }
    open::<M9>(cpu, frame);
    irq::handle(interrupt, frame);
    leave::<M9>(cpu, frame, aside);
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el1_fiq(frame: &mut Frame) {
    kprobe::settle(frame);
    let cpu = entered();
    let aside = set_aside::<M8>(cpu, frame);
    let Some(interrupt) = irq::acknowledge_fiq() else {
        open_nothing::<M8>(cpu, frame);
        return resume::<M8>(cpu, frame, aside);
    };
    open::<M8>(cpu, frame);
    irq::handle_fiq(interrupt, frame);
    leave_interrupt(cpu, frame, aside);
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el1_error(frame: &mut Frame) {
    let cpu = entered();
    // M16, M9: an SError from EL1 is fatal, whatever the syndrome says.
    let _ = enter::<M9>(cpu, frame);
    fatal(frame, "M16", Reason::SError)
}

/// Deals with a synchronous exception of a context that runs on SP_EL0. The kernel's own code never does so, but code
/// that is stepped may switch to SP_EL0 (MSR SPSel): a step that ends there is a step like any other. The frame's `sp`
/// is SP_EL1, on which the exception was taken; SP_EL0 is not saved, and keeps its value.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el1t_sync(frame: &mut Frame) {
    match frame.class() {
        ec::STEP_SAME => step(frame),
        _ => fatal(frame, "M7", Reason::OnSpEl0),
    }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_on_sp_el0(frame: &mut Frame) -> ! {
    fatal(frame, "M7", Reason::OnSpEl0)
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_stack_overflow(frame: &mut Frame) -> ! {
    // If the first store of a trampoline has overflowed, the report shows the probed address.
    kprobe::settle(frame);
    fatal(frame, "M7", Reason::StackOverflow)
}
