//! Exceptions from EL0: which row of the rule table applies to each, and the way back to the program.
//!
//! The program's registers are in a frame at the top of its thread's kernel stack. M2 and M3 open everything right after the
//! snapshot, so the handler is ordinary kernel code in thread context: it may be preempted, sleep, and go on on another CPU. What the kernel
//! does for programs is an implementation of [`Programs`], to which [`el0_handlers!`](crate::el0_handlers) binds the vectors.

use super::apply::{
    go_on_as, go_on_at_el0, go_on_with_debt, leave_to_el0, open, open_as, open_at_once, open_later,
    open_nothing, set_aside_of_task,
};
use super::fatal::fatal;
use super::frame::{El0Frame, Frame, ec};
use super::places::{self, HANDLERS};
use super::reason::Reason;
use crate::arch::daif;
use crate::debug::task::hit::{self, Report};
use crate::debug::task::{By, TaskDebug};
use crate::debug::{self, MaskedCpu, control};
use crate::irq;
use crate::trace;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use rules::table::RowId;

const M2: u8 = RowId::M2 as u8;
const M3: u8 = RowId::M3 as u8;
const M4: u8 = RowId::M4 as u8;
const M5: u8 = RowId::M5 as u8;
const M9: u8 = RowId::M9 as u8;

/// What the kernel does for programs.
pub trait Programs {
    /// A task.
    type Task: 'static;
    /// The task that a frame belongs to.
    fn task(frame: &El0Frame) -> &'static Self::Task;
    /// Serves a system call of a task. Thread context; may sleep.
    fn system_call(task: &'static Self::Task, frame: &mut El0Frame);
    /// Deals with a BRK of a task. Thread context; may sleep.
    fn brk(task: &'static Self::Task, frame: &mut El0Frame);
    /// Deals with any other synchronous exception. Thread context; may sleep.
    fn exception(frame: &mut El0Frame);
    /// Deals with what a step, breakpoint or watchpoint exception has to report. Thread context; may sleep.
    fn report(frame: &mut El0Frame, found: &Report);
    /// The debug state of the running task. All exceptions are masked.
    fn debug() -> Option<&'static TaskDebug>;
    /// Whether the program can go on as it is: there is neither a signal for it nor a debug state. All exceptions are masked. Most ways back to the program end here, so the function is short, and part of text that cannot be probed.
    fn is_ready(task: &'static Self::Task) -> bool;
    /// Does what is left to be done before the program goes on: signals, slots, steps. Returns true once nothing is. Called with all
    /// exceptions masked; may open them, and masks them again.
    fn leave(frame: &mut El0Frame) -> bool;
}

/// A handler, which the vectors call with all exceptions masked. It returns with all exceptions masked and the frame of the
/// program as it goes on.
type Handler = extern "C" fn(&mut El0Frame);

/// The handlers of exceptions from EL0.
#[repr(transparent)]
pub struct Handlers([AtomicPtr<()>; HANDLERS]);

/// The handlers for which `P` does what is to be done, those of a kernel that traces or those of one that does not.
const fn handlers<P: Programs, const TRACED: bool>() -> [Handler; HANDLERS] {
    let mut handlers: [Handler; HANDLERS] = [other::<P, TRACED>; HANDLERS];
    handlers[ec::SVC64 as usize] = system_call::<P, TRACED>;
    handlers[ec::BRK64 as usize] = brk::<P, TRACED>;
    handlers[ec::STEP_LOWER as usize] = step::<P, TRACED>;
    handlers[ec::BREAKPOINT_LOWER as usize] = breakpoint::<P, TRACED>;
    handlers[ec::WATCHPOINT_LOWER as usize] = watchpoint::<P, TRACED>;
    handlers[places::IRQ] = irq::<P>;
    handlers[places::FIQ] = fiq::<P>;
    handlers[places::ERROR] = error;
    handlers[places::AARCH32] = aarch32;
    handlers[places::BEGIN] = leave::<P>;
    handlers
}

impl Handlers {
    /// Used by [`el0_handlers!`](crate::el0_handlers) only.
    pub const fn of<P: Programs, const TRACED: bool>() -> Self {
        let mut places = [const { AtomicPtr::new(core::ptr::null_mut()) }; HANDLERS];
        let handlers = handlers::<P, TRACED>();
        let mut n = 0;
        while n < HANDLERS {
            places[n] = AtomicPtr::new(handlers[n] as *mut ());
            n += 1;
        }
        Self(places)
    }
}

/// From here on `P` does what is to be done for programs: for tests that come between the entry and the kernel's work. Thread context; no
/// program runs.
pub fn exchange<P: Programs>() {
    let all = if trace::is_on() { const { handlers::<P, true>() } } else { const { handlers::<P, false>() } };
    for (place, handler) in EXCEPTION_EL0.0.iter().zip(all) {
        place.store(handler as *mut (), Relaxed);
    }
}

unsafe extern "Rust" {
    safe static EXCEPTION_EL0: Handlers;
    safe static EXCEPTION_EL0_TRACED: Handlers;
}

/// Has the exceptions of programs traced, if the kernel traces: the vectors call other handlers. Called once, at boot; no program runs.
pub fn trace_programs() {
    if trace::is_on() {
        for (place, traced) in EXCEPTION_EL0.0.iter().zip(&EXCEPTION_EL0_TRACED.0) {
            place.store(traced.load(Relaxed), Relaxed);
        }
    }
}

/// Binds the vectors to what the kernel does for programs, a type that implements [`Programs`](crate::exception::el0::Programs). Used once.
#[macro_export]
macro_rules! el0_handlers {
    ($programs:ty) => {
        #[unsafe(no_mangle)]
        #[unsafe(link_section = ".noprobe.data")]
        static EXCEPTION_EL0: $crate::exception::el0::Handlers =
            $crate::exception::el0::Handlers::of::<$programs, false>();

        #[unsafe(no_mangle)]
        static EXCEPTION_EL0_TRACED: $crate::exception::el0::Handlers =
            $crate::exception::el0::Handlers::of::<$programs, true>();
    };
}

/// This CPU's debug state, at the entry of an exception.
#[inline(always)]
fn entered() -> &'static MaskedCpu {
    // SAFETY: the vectors call the functions of this module with D masked. The reference is not used after `enter` has opened D.
    unsafe { debug::masked() }
}

/// Applies both columns of the row: takes the task's owners off the CPU, and opens exceptions.
#[inline(always)]
fn enter<const ROW: u8, const TRACED: bool>(frame: &mut Frame, by: By) {
    let cpu = entered();
    if cpu.owners.get().is_empty() {
        open_at_once::<ROW, TRACED>(cpu, frame);
    } else {
        set_aside_of_task::<ROW>(cpu, frame, by);
        open_as::<ROW, TRACED>(cpu, frame);
    }
}

#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn system_call<P: Programs, const TRACED: bool>(frame: &mut El0Frame) {
    enter::<M2, TRACED>(frame, By::Synchronous);
    let task = P::task(frame);
    P::system_call(task, frame);
    leave_now::<P, TRACED>(task, frame);
}

#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn brk<P: Programs, const TRACED: bool>(frame: &mut El0Frame) {
    enter::<M3, TRACED>(frame, By::Brk);
    let task = P::task(frame);
    P::brk(task, frame);
    leave_now::<P, TRACED>(task, frame);
}

#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn other<P: Programs, const TRACED: bool>(frame: &mut El0Frame) {
    enter::<M2, TRACED>(frame, By::Synchronous);
    P::exception(frame);
    leave_now::<P, TRACED>(P::task(frame), frame);
}

/// The handlers of M4. The first phase runs masked, and takes from this CPU's debug hardware what has happened. If nothing is to be
/// reported, the program goes on at once. What happens most is dealt with by `$plain`, which returns false for all else.
macro_rules! hardware {
    ($($name:ident, $rest:ident: $plain:expr, $all:expr;)*) => {$(
        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        extern "C" fn $name<P: Programs, const TRACED: bool>(frame: &mut El0Frame) {
            let cpu = entered();
            open_as::<M4, TRACED>(cpu, frame);
            if $plain(cpu, frame) {
                go_on_with_debt::<TRACED>(cpu, frame);
            } else {
                $rest::<P>(cpu, frame);
            }
        }

        #[cold]
        #[inline(never)]
        #[unsafe(link_section = ".noprobe.text")]
        fn $rest<P: Programs>(cpu: &MaskedCpu, frame: &mut El0Frame) {
            if !cpu.has_task() {
                adopt::<P>();
            }
            match $all(cpu, frame) {
                None => go_on_at_el0(cpu, frame),
                Some(found) => report::<P>(frame, &found),
            }
        }
    )*};
}

hardware! {
    step, any_step: |cpu, _: &mut El0Frame| hit::plain_step(cpu), |cpu, _: &mut El0Frame| hit::step(cpu);
    breakpoint, any_breakpoint: hit::plain_breakpoint, hit::breakpoint;
    watchpoint, any_watchpoint: hit::plain_watchpoint, hit::watchpoint;
}

/// Makes the running task one that has a debug state: a slot of the kernel's has been hit.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn adopt<P: Programs>() {
    if let Some(task) = P::debug() {
        task.adopt();
    }
}

/// The second phase of M4, in which everything is open.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn report<P: Programs>(frame: &mut El0Frame, found: &Report) {
    let cpu = entered();
    set_aside_of_task::<M4>(cpu, frame, By::Debug);
    open_later::<M4>(cpu, frame);
    P::report(frame, found);
    leave_any::<P>(frame);
}

#[unsafe(link_section = ".noprobe.text")]
extern "C" fn irq<P: Programs>(frame: &mut El0Frame) {
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
    } else {
        open_nothing::<M5>(cpu, frame);
    }
    leave_any::<P>(frame);
}

#[unsafe(link_section = ".noprobe.text")]
extern "C" fn fiq<P: Programs>(frame: &mut El0Frame) {
    let cpu = entered();
    set_aside_of_task::<M5>(cpu, frame, By::Interrupt);
    if let Some(interrupt) = irq::acknowledge_fiq() {
        open::<M5>(cpu, frame);
        irq::handle_fiq(interrupt, frame);
    } else {
        open_nothing::<M5>(cpu, frame);
    }
    leave_any::<P>(frame);
}

#[unsafe(link_section = ".noprobe.text")]
extern "C" fn error(frame: &mut El0Frame) {
    enter::<M9, false>(frame, By::Interrupt);
    fatal(frame, "M16", Reason::SError)
}

/// AArch32 state, which no program is started in.
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn aarch32(frame: &mut El0Frame) {
    fatal(frame, "M2", Reason::FromAarch32)
}

/// The way back to the program (M13), if it can go on as it is; else [`leave`].
#[inline(always)]
fn leave_now<P: Programs, const TRACED: bool>(task: &'static P::Task, frame: &mut El0Frame) {
    daif::set::<{ daif::ALL }>();
    // SAFETY: D is masked until the exception return.
    let cpu = unsafe { debug::masked() };
    if P::is_ready(task) && !cpu.anything_pending() && cpu.owners.get().is_empty() {
        go_on_as::<TRACED>(cpu, frame);
    } else {
        leave::<P>(frame);
    }
}

/// As [`leave_now`], for handlers that are made once.
#[inline(always)]
fn leave_any<P: Programs>(frame: &mut El0Frame) {
    if trace::is_on() {
        leave_now::<P, true>(P::task(frame), frame);
    } else {
        leave_now::<P, false>(P::task(frame), frame);
    }
}

/// The way back to the program (M13): deferred work, a reschedule, and what the program's thread has to do, until nothing is left to do
/// while everything is masked. Called with all exceptions masked.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn leave<P: Programs>(frame: &mut El0Frame) {
    // An interrupt that was not to be acknowledged has opened nothing, and what was taken off the CPU is owed to MDSCR_EL1 (I2).
    // SAFETY: D is masked, and the reference is not used after this call.
    control::sync(unsafe { debug::masked() });
    loop {
        if debug::this().anything_pending() {
            work();
        } else if P::leave(frame) {
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
