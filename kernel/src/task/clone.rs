//! `clone`: new processes and new threads.

use super::process::{Files, Process};
use super::start::begin;
use super::table::{Entry, Member, Number, table};
use super::{Pid, Task, user};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::mm;
use crate::sched::{self, CpuSet, Policy};
use crate::space::Right;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use linux_raw_sys::general as raw;
use signals::{AltStack, Signal};

/// What `clone` and `clone3` ask for.
#[derive(Clone, Copy, Debug)]
pub struct Clone {
    /// CLONE_*, without the signal.
    pub flags: u64,
    /// The signal that the parent gets at the child's end; 0 for none.
    pub exit_signal: u64,
    /// The child's SP; 0 for the parent's.
    pub stack: u64,
    /// Where CLONE_PARENT_SETTID writes.
    pub parent_tid: u64,
    /// Where CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID write.
    pub child_tid: u64,
    /// TPIDR_EL0 of the child with CLONE_SETTLS.
    pub tls: u64,
}

/// Flags that ask for what the kernel does not have.
const REFUSED: u64 = (raw::CLONE_NEWNS
    | raw::CLONE_NEWUTS
    | raw::CLONE_NEWIPC
    | raw::CLONE_NEWUSER
    | raw::CLONE_NEWPID
    | raw::CLONE_NEWNET
    | raw::CLONE_NEWCGROUP
    | raw::CLONE_PIDFD) as u64;

/// Makes a task. Returns its number. Thread context; may sleep.
///
/// # Errors
/// EINVAL, EAGAIN, ENOMEM, EFAULT.
pub fn clone(task: &Task, frame: &mut Frame, request: &Clone) -> Result<u64, Errno> {
    let has = |flag: u32| request.flags & u64::from(flag) != 0;
    // As on Linux, a number that is no signal's means that there is none.
    let exit_signal = u32::try_from(request.exit_signal).ok().and_then(Signal::new);
    let thread = has(raw::CLONE_THREAD);
    let of_first = has(raw::CLONE_PARENT) && task.process.pid == 1;
    if request.flags & REFUSED != 0
        || of_first
        || (thread && !has(raw::CLONE_SIGHAND))
        || (has(raw::CLONE_SIGHAND) && !has(raw::CLONE_VM))
        || (has(raw::CLONE_SIGHAND) && request.flags & raw::CLONE_CLEAR_SIGHAND != 0)
    {
        return Err(Errno::EINVAL);
    }
    if mm::heap_is_low() || mm::pages::are_low() {
        return Err(Errno::ENOMEM);
    }
    let number = Number::new().ok_or(Errno::EAGAIN)?;
    let tid = number.0;
    let own = task.space().ok_or(Errno::ENOMEM)?;
    let space = if has(raw::CLONE_VM) { own } else { Arc::new(own.fork().map_err(|_| Errno::ENOMEM)?) };
    let mut registers = Frame::zeroed();
    (registers.x, registers.sp, registers.pc, registers.pstate) = (frame.x, frame.sp, frame.pc, frame.pstate);
    registers.x[0] = 0;
    if request.stack != 0 {
        registers.sp = request.stack;
    }
    let tls = if has(raw::CLONE_SETTLS) { request.tls } else { crate::read_sysreg!("tpidr_el0") };
    let fp = task.saved_fp().clone();
    let process = if thread { task.process.clone() } else { new_process(task, tid, has(raw::CLONE_FILES))? };
    let child = Arc::new(Task::new(tid, process.clone(), space, tls, fp));
    *child.name.lock() = *task.name.lock();
    child.personality.store(task.personality.load(Relaxed), Relaxed);
    if has(raw::CLONE_CHILD_CLEARTID) {
        child.clear_child_tid.store(request.child_tid, Relaxed);
    }
    if has(raw::CLONE_CHILD_SETTID) {
        write_in(&child, request.child_tid, tid);
    }
    if has(raw::CLONE_PARENT_SETTID) {
        // As on Linux, an address that cannot be written is no error: the task exists already.
        let _ = user::put(request.parent_tid, tid);
    }
    if let Err(error) = task.hand_events_on(&child, thread) {
        abandon(&child, thread);
        return Err(error);
    }
    let vfork = has(raw::CLONE_VFORK);
    let mut event = None;
    let added = begin(&child, registers, inherited(task), |thread_id| {
        child.thread.store(thread_id, Relaxed);
        event = add(task, &child, request.flags, exit_signal)?;
        Ok(())
    });
    if let Err(error) = added {
        abandon(&child, thread);
        return Err(error);
    }
    drop(number);
    if let Some(event) = event {
        task.stop_at_event(frame, event, tid.into());
    }
    if vfork {
        // Only the end of this process ends the wait: the child runs on this thread's stack.
        let gone = || child.left_space.load(Acquire).then_some(());
        let ends = || task.process.ends.load(Acquire) || task.ends.load(Acquire);
        if child.parent_waits.wait_unless(ends, gone).is_ok() {
            task.vfork_is_done(frame, tid);
        }
    }
    Ok(tid.into())
}

/// The policy of a task that the running one makes, and the CPUs on which it may run: the same as its creator's, but for SCHED_RESET_ON_FORK.
fn inherited(task: &Task) -> (Policy, CpuSet) {
    let (policy, affinity) = sched::policy_and_affinity(task.thread());
    let policy = match policy {
        Policy::Fifo(_) | Policy::Rr(_) if task.reset_on_fork.load(Relaxed) => Policy::Fair(0),
        Policy::Fair(nice) if task.reset_on_fork.load(Relaxed) => Policy::Fair(nice.max(0)),
        policy => policy,
    };
    (policy, affinity)
}

/// Gives back what has to sleep for that, of a task that does not start.
fn abandon(child: &Task, thread: bool) {
    child.leave_events();
    let space = child.space.lock().take();
    drop(space);
    if !thread {
        child.process.files.leave();
    }
}

fn new_process(task: &Task, pid: Pid, share_files: bool) -> Result<Arc<Process>, Errno> {
    let parent = &task.process;
    let name = parent.name.lock().clone();
    let files = if share_files { parent.files.share() } else { Files::new(parent.files.lock().try_clone()?) };
    let place = parent.place.lock().clone();
    let process = Process::new(pid, name, files, parent.resources.clone());
    *process.place.lock() = place;
    Ok(Arc::new(process))
}

/// Writes the child's number into the child's memory. Errors are the program's own affair, as on Linux.
fn write_in(child: &Task, address: u64, tid: Pid) {
    if let Some(space) = child.space() {
        let _ = space.poke(address & !(0xff << 56), &tid.to_ne_bytes(), Right::Own);
    }
}

/// Puts the task into the table: from here on it gets signals. Returns the event at which the running task stops for its tracer.
fn add(
    task: &Task,
    child: &Arc<Task>,
    flags: u64,
    exit_signal: Option<Signal>,
) -> Result<Option<u32>, Errno> {
    let has = |flag: u32| flags & u64::from(flag) != 0;
    let mut table = table();
    let (own, at) = table.own(task).ok_or(Errno::EAGAIN)?;
    let blocked = own.members[at].blocked;
    let tracer = own.members[at].trace.as_deref();
    let event = tracer.and_then(|trace| trace.event_of_clone(flags, exit_signal));
    let trace = tracer.and_then(|trace| trace.of_child(flags, event));
    // A thread on the same memory must not run on the alternate stack of its creator.
    let shares_stack = has(raw::CLONE_VM) && !has(raw::CLONE_VFORK);
    let alternate = if shares_stack { AltStack::DISABLED } else { own.members[at].alternate };
    let mut member = Member::new(child.clone(), blocked);
    member.alternate = alternate;
    if task.ends.load(Relaxed) {
        return Err(Errno::EAGAIN);
    }
    if has(raw::CLONE_THREAD) {
        own.members.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        own.members.push(member);
        let last = own.members.len() - 1;
        table.trace_child(task.process.pid, last, trace);
        // A process that ends or stops meanwhile ends or stops this task too.
        if let Some(own) = table.process(task.process.pid) {
            own.refresh(last);
        }
        return Ok(event);
    }
    let mut actions = own.actions.clone();
    if flags & raw::CLONE_CLEAR_SIGHAND != 0 {
        actions.reset_handlers();
    }
    let mut entry = Entry::new(child.process.clone(), actions);
    entry.set_parent(if has(raw::CLONE_PARENT) { own.parent } else { task.process.pid });
    (entry.group, entry.session, entry.exit_signal) = (own.group, own.session, exit_signal);
    entry.creator = task.thread();
    entry.members.push(member);
    let pid = child.process.pid;
    table.insert(entry);
    table.trace_child(pid, 0, trace);
    if let Some(entry) = table.process(pid) {
        entry.refresh(0);
    }
    Ok(event)
}
