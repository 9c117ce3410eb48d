//! Exceptions from EL0: which row of the rule table applies to each, and the way back to the program.
//!
//! The program's registers are in a frame at the top of its thread's kernel stack. M2 and M3 open everything right after the
//! snapshot, so the handler is ordinary kernel code in thread context: it may be preempted, sleep, and go on on another CPU. What the kernel
//! does for programs is in `task`, which [`set_programs`] names.

use super::apply::{go_on_at_el0, leave_to_el0, open, open_later, set_aside_of_task};
use super::fatal::fatal;
use super::frame::{Frame, ec};
use super::reason::Reason;
use crate::arch::daif;
use crate::debug::task::hit::{self, Report};
use crate::debug::task::{By, TaskDebug};
use crate::debug::{self, MaskedCpu, control};
use crate::irq;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};
use rules::table::RowId;

const M2: u8 = RowId::M2 as u8;
const M3: u8 = RowId::M3 as u8;
const M4: u8 = RowId::M4 as u8;
const M5: u8 = RowId::M5 as u8;
const M9: u8 = RowId::M9 as u8;

/// What the kernel does for programs.
pub struct Programs {
    /// Serves a system call. Thread context; may sleep.
    pub system_call: fn(&mut Frame),
    /// Deals with any other synchronous exception. Thread context; may sleep.
    pub exception: fn(&mut Frame),
    /// Deals with what a step, breakpoint or watchpoint exception has to report. Thread context; may sleep.
    pub report: fn(&mut Frame, &Report),
    /// The debug state of the running task. All exceptions are masked.
    pub debug: fn() -> Option<&'static TaskDebug>,
    /// Does what is left to be done before the program goes on: signals, registers. Returns true once nothing is. Called with all
    /// exceptions masked; may open them, and masks them again.
    pub leave: fn(&mut Frame) -> bool,
}

static PROGRAMS: AtomicPtr<Programs> = AtomicPtr::new(core::ptr::null_mut());

/// Names what the kernel does for programs. Called before the first program starts.
pub fn set_programs(programs: &'static Programs) {
    PROGRAMS.store(core::ptr::from_ref(programs).cast_mut(), Release);
}

/// What the kernel does for programs. Without it nothing runs at EL0, and the exception is a bug of the kernel.
#[inline(always)]
fn programs(frame: &mut Frame) -> &'static Programs {
    // SAFETY: the pointer is null, or the argument of `set_programs`, a `'static` reference.
    match unsafe { PROGRAMS.load(Acquire).as_ref() } {
        Some(programs) => programs,
        None => fatal(frame, "M2", Reason::FromEl0),
    }
}

/// A handler, which the vectors call with all exceptions masked. It returns with all exceptions masked and the frame of the
/// program as it goes on.
type Handler = extern "C" fn(&mut Frame);

/// The handlers of synchronous exceptions, by ESR_EL1.EC.
#[unsafe(no_mangle)]
static EXCEPTION_EL0_CLASSES: [Handler; 64] = {
    let mut classes: [Handler; 64] = [other; 64];
    classes[ec::SVC64 as usize] = system_call;
    classes[ec::BRK64 as usize] = brk;
    classes[ec::STEP_LOWER as usize] = step;
    classes[ec::BREAKPOINT_LOWER as usize] = breakpoint;
    classes[ec::WATCHPOINT_LOWER as usize] = watchpoint;
    classes
};

/// This CPU's debug state, at the entry of an exception.
#[inline(always)]
fn entered() -> &'static MaskedCpu {
    // SAFETY: the vectors call the functions of this module with D masked. The reference is not used after `enter` has opened D.
    unsafe { debug::masked() }
}

/// Applies both columns of the row: takes the task's owners off the CPU, and opens exceptions.
#[inline(always)]
fn enter<const ROW: u8>(frame: &mut Frame, by: By) {
    let cpu = entered();
    set_aside_of_task::<ROW>(cpu, frame, by);
    open::<ROW>(cpu, frame);
}

#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn system_call(frame: &mut Frame) {
    enter::<M2>(frame, By::Synchronous);
    (programs(frame).system_call)(frame);
    leave(frame);
}

#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn brk(frame: &mut Frame) {
    enter::<M3>(frame, By::Brk);
    (programs(frame).exception)(frame);
    leave(frame);
}

#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn other(frame: &mut Frame) {
    enter::<M2>(frame, By::Synchronous);
    (programs(frame).exception)(frame);
    leave(frame);
}

/// The handlers of M4. The first phase runs masked, and takes from this CPU's debug hardware what has happened. If nothing is to be
/// reported, the program goes on at once.
macro_rules! hardware {
    ($($name:ident: $first:expr;)*) => {$(
        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        extern "C" fn $name(frame: &mut Frame) {
            let cpu = entered();
            open::<M4>(cpu, frame);
            if !cpu.has_task() {
                adopt(frame);
            }
            match $first(cpu, frame) {
                None => go_on_at_el0(cpu, frame),
                Some(found) => report(frame, &found),
            }
        }
    )*};
}

hardware! {
    step: |cpu, _: &mut Frame| hit::step(cpu);
    breakpoint: hit::breakpoint;
    watchpoint: hit::watchpoint;
}

/// Makes the running task one that has a debug state: a slot of the kernel's has been hit.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn adopt(frame: &mut Frame) {
    if let Some(task) = (programs(frame).debug)() {
        task.adopt();
    }
}

/// The second phase of M4, in which everything is open.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn report(frame: &mut Frame, found: &Report) {
    let cpu = entered();
    set_aside_of_task::<M4>(cpu, frame, By::Debug);
    open_later::<M4>(cpu);
    (programs(frame).report)(frame, found);
    leave(frame);
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el0_irq(frame: &mut Frame) {
    let cpu = entered();
    // Before the acknowledge, which may find that there is no interrupt: work that waits is done all the same.
    set_aside_of_task::<M5>(cpu, frame, By::Interrupt);
    if let Some(interrupt) = irq::acknowledge() {
        if irq::is_nmi(interrupt) {
            // Nothing is opened, so nothing else would clear MDSCR_EL1.SS for the handler (M9).
            control::sync(cpu);
            open::<M9>(cpu, frame);
        } else {
            open::<M5>(cpu, frame);
        }
        irq::handle(interrupt, frame);
    }
    leave(frame);
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el0_fiq(frame: &mut Frame) {
    let cpu = entered();
    set_aside_of_task::<M5>(cpu, frame, By::Interrupt);
    if let Some(interrupt) = irq::acknowledge_fiq() {
        open::<M5>(cpu, frame);
        irq::handle_fiq(interrupt, frame);
    }
    leave(frame);
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el0_error(frame: &mut Frame) {
    enter::<M9>(frame, By::Interrupt);
    fatal(frame, "M16", Reason::SError)
}

/// AArch32 state, which no program is started in.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el0_32(frame: &mut Frame) {
    fatal(frame, "M2", Reason::FromAarch32)
}

/// The first return to EL0 of a program's thread. All exceptions are masked.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el0_begin(frame: &mut Frame) {
    leave(frame);
}

/// The way back to the program (M13): deferred work, a reschedule, and what the program's thread has to do, until nothing is left to do
/// while everything is masked.
#[inline(always)]
fn leave(frame: &mut Frame) {
    let leave = programs(frame).leave;
    daif::set::<{ daif::ALL }>();
    loop {
        if debug::this().anything_pending() {
            work();
        } else if leave(frame) {
            break;
        }
    }
    // SAFETY: D is masked until the exception return.
    leave_to_el0(unsafe { debug::masked() }, frame);
}

/// Does what waits for the end of an interrupt (M5). The stash is empty: the interrupted context is the program.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn work() {
    daif::clear::<{ daif::DA }>();
    super::el1::on_the_way_out();
    daif::set::<{ daif::ALL }>();
}
