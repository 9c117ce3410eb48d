//! What is done before a task goes back to EL0.

use super::Task;
use super::end::{end_task, exit_process};
use super::exclusive;
use super::handlers::{self, Start};
use super::last_words;
use super::process::Status;
use super::table::{Member, Table, table};
use super::trace::state::Trace;
use crate::arch::daif;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::sched;
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use linux_raw_sys::general::__NR_restart_syscall;
use signals::{ActionFlags, Cut, Delivery, Info, Resume, Signal, deliver, take};

/// What the running task does next.
enum Next {
    GoOn,
    End,
    /// It waits until its process goes on.
    Halt,
    Terminate(Info),
    /// It stops for its tracer, with its process or because it was asked to.
    Trap,
    /// It stops for its tracer, who decides about a signal.
    Tell(Info),
    Handler(Info, Start),
}

impl Task {
    /// Whether nothing is left to be done before the task goes on at EL0: [`leave`] would return true at once, and the task was never
    /// debugged. All exceptions are masked. The function is part of the return path, which no probe can be in.
    #[inline(always)]
    pub fn is_ready(&self) -> bool {
        !self.attention.load(Relaxed) && !self.debug.is_active()
    }
}

/// Does one thing that is left to be done before the running task goes on at EL0. Returns true if nothing was left. All exceptions are masked.
#[inline(never)]
pub fn leave(frame: &mut Frame) -> bool {
    let Some(task) = super::current() else { return true };
    if task.attention.load(Acquire) {
        return attend(task, frame);
    }
    if !task.debug.is_active() {
        return true;
    }
    task.debug.refresh();
    if exclusive::is_stepped_next(task, frame) { step_sequence(task, frame) } else { true }
}

#[inline(never)]
fn attend(task: &Task, frame: &mut Frame) -> bool {
    daif::clear::<{ daif::ALL }>();
    act(task, frame, None);
    daif::set::<{ daif::ALL }>();
    false
}

#[cold]
#[inline(never)]
fn step_sequence(task: &Task, frame: &mut Frame) -> bool {
    daif::clear::<{ daif::ALL }>();
    exclusive::step(task, frame);
    daif::set::<{ daif::ALL }>();
    false
}

/// Does one thing that is to be done before the running task goes on at EL0. `given` is a signal that the tracer has let through. Thread context;
/// may sleep.
pub(super) fn act(task: &Task, frame: &mut Frame, mut given: Option<Info>) {
    loop {
        let delivery = task.process.delivery.lock_by(task.thread());
        let next = table().next(task, frame.sp, given.take());
        if let Next::Handler(info, start) = &next {
            resume(task, frame, Some(start.entry.flags));
            return handlers::begin_later(task, frame, info, start);
        }
        drop(delivery);
        match next {
            Next::GoOn | Next::Handler(..) => return resume(task, frame, None),
            Next::End => {
                // Unless the process ends, execve of another thread ends the task.
                task.is_ending(frame, Status::Exited(0));
                end_task()
            }
            Next::Halt => return halt(task),
            Next::Terminate(info) => terminate(task, frame, &info),
            Next::Trap => return task.stop_with_process(frame),
            Next::Tell(info) => {
                given = task.stop_for_signal(frame, &info);
                if given.is_none() {
                    return;
                }
            }
        }
    }
}

impl Table {
    /// Takes signals of the running task until one has to be dealt with outside of the table's lock. `given` is one that the tracer has let
    /// through.
    fn next(&mut self, task: &Task, sp: u64, mut given: Option<Info>) -> Next {
        loop {
            let Some((entry, at)) = self.own(task) else { return Next::End };
            if entry.ends.is_some() || task.ends.load(Relaxed) {
                return Next::End;
            }
            let group = entry.group;
            let member = &mut entry.members[at];
            let traced = member.trace.as_deref();
            if given.is_none() {
                if traced.is_some_and(Trace::wants_stop) {
                    return Next::Trap;
                }
                if traced.is_none() && entry.stopped.is_some() {
                    return Next::Halt;
                }
            }
            let tells = traced.is_some() && given.is_none();
            // SIGCONT has come while the tracer was asked: as on Linux no stop that the tracer gives is meant any more.
            let is_late = given.is_some() && !member.may_stop;
            let taken =
                given.take().or_else(|| take(&mut member.pending, &mut entry.pending, member.blocked));
            let Some(mut info) = taken else {
                if let Some(saved) = member.saved.take() {
                    member.blocked = saved;
                    continue;
                }
                entry.refresh(at);
                return Next::GoOn;
            };
            entry.timers.delivered(&mut info, crate::clock::nanoseconds);
            if tells && info.signal != Signal::SIGKILL {
                return Next::Tell(info);
            }
            let (blocked, alternate) = (member.blocked, member.alternate);
            match deliver(&mut entry.actions, info.signal, blocked, &alternate, sp) {
                Delivery::Ignore => {}
                Delivery::Terminate { .. } => return Next::Terminate(info),
                Delivery::Stop { unless_orphaned } => {
                    if !is_late && (!unless_orphaned || !self.is_orphaned(group)) {
                        self.stop(task.process.pid, info.signal);
                    }
                }
                Delivery::Handler(handler) => {
                    let fault = member.fault.filter(|(signal, ..)| *signal == info.signal && info.code > 0);
                    let start = member.start(handler, fault.map(|(_, address, esr)| (address, esr)));
                    entry.refresh(at);
                    return Next::Handler(info, start);
                }
            }
        }
    }
}

impl Member {
    /// Gives the task the mask and the alternate stack with which a handler runs.
    #[inline(always)]
    pub fn start(&mut self, entry: signals::Entry, fault: Option<(u64, u64)>) -> Start {
        let (blocked, alternate) = (self.blocked, self.alternate);
        (self.blocked, self.alternate) = (entry.blocked, entry.alternate);
        let saved = self.saved.take();
        Start { entry, fault, saves: saved.unwrap_or(blocked), blocked: (blocked, saved), alternate }
    }
}

/// Waits, with its process, for SIGCONT or the end.
fn halt(task: &Task) {
    loop {
        sched::prepare_to_sleep();
        {
            let mut table = table();
            let Some((entry, at)) = table.own(task) else { return };
            let traced = entry.members[at].trace.is_some();
            if entry.stopped.is_none() || entry.ends.is_some() || task.ends.load(Relaxed) || traced {
                entry.members[at].halted = false;
                return;
            }
            entry.members[at].halted = true;
            table.check_stop(task.process.pid);
        }
        sched::sleep();
    }
}

/// Ends the process by a signal.
fn terminate(task: &Task, frame: &mut Frame, info: &Info) -> ! {
    last_words::tell(task, frame, info);
    let status = Status::Killed(info.signal.number() as u8);
    task.begin_end(status);
    task.is_ending(frame, status);
    exit_process(status)
}

/// Decides how a system call goes on that was cut short, if one was. `handler` has the flags of the handler that runs first.
fn resume(task: &Task, frame: &mut Frame, handler: Option<ActionFlags>) {
    let Some(cut) = Cut::from_errno(task.cut.swap(0, Relaxed)) else { return };
    let rewound = task.rewound.swap(0, Relaxed);
    let how = cut.resume(handler);
    if rewound != 0 {
        // A tracer may have had the task go on elsewhere: then there is no call.
        if frame.pc == rewound {
            resume_rewound(task, frame, how, handler.is_none());
        }
        return;
    }
    if how == Resume::Interrupted {
        frame.x[0] = Errno::EINTR.as_result();
        return;
    }
    frame.x[0] = task.first_argument.load(Relaxed);
    if how == Resume::RestartSyscall {
        frame.x[8] = __NR_restart_syscall.into();
    }
    frame.move_to(frame.pc.wrapping_sub(4));
    if handler.is_none() {
        task.debug.call_is_made_anew(frame);
    }
}

/// As [`resume`], if the registers are those of the call that is made anew already.
#[cold]
fn resume_rewound(task: &Task, frame: &mut Frame, how: Resume, no_handler: bool) {
    match how {
        Resume::Interrupted => {
            frame.x[0] = Errno::EINTR.as_result();
            frame.move_to(frame.pc.wrapping_add(4));
        }
        Resume::RestartSyscall => frame.x[8] = __NR_restart_syscall.into(),
        Resume::Again => {}
    }
    if no_handler {
        task.debug.call_is_made_anew(frame);
    }
}
