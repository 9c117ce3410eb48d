//! Tasks that begin: the first program's, and any other once it is in the table.

use super::limits::ResourceLimits;
use super::process::{Files, Pid, Process};
use super::table::{Entry, Member, Number, table};
use super::{Task, exec};
use crate::arch::daif;
use crate::arch::fp::Fpsimd;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{self, OpenFiles};
use crate::sched::{self, CpuSet, Occupant, Policy};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Release;
use programs::start::Strings;
use signals::{Actions, SigSet};

/// Starts the first program. Returns its process. Thread context; may sleep.
///
/// # Errors
/// As execve(2).
pub fn spawn_first(path: &[u8], arguments: &Strings, environment: &Strings) -> Result<Arc<Process>, Errno> {
    let files = |pid| {
        fs::terminal::init(pid).map_err(|message| {
            log::error!("{message}");
            Errno::ENOMEM
        })?;
        fs::standard()
    };
    spawn(path, arguments, environment, files).map(|task| task.process.clone())
}

/// Starts a program that nobody waits for, with the files that `files` makes for its number. Returns its first task. Thread context; may
/// sleep.
///
/// # Errors
/// As execve(2), and those of `files`.
pub fn spawn(
    path: &[u8],
    arguments: &Strings,
    environment: &Strings,
    files: impl FnOnce(Pid) -> Result<OpenFiles, Errno>,
) -> Result<Arc<Task>, Errno> {
    let loaded = exec(&fs::Start::ROOT, path, arguments, environment)?;
    let number = Number::new().ok_or(Errno::EAGAIN)?;
    let pid = number.0;
    let (name, files) = (exec::name_of(path), Files::new(files(pid)?));
    let process = Arc::new(Process::new(pid, name, files, ResourceLimits::first()));
    let task = Arc::new(Task::new(pid, process.clone(), loaded.space, 0, Fpsimd::zeroed()));
    task.set_name(path);
    begin(&task, loaded.frame, (Policy::Fair(0), CpuSet::ALL), |thread| {
        task.thread.store(thread, Release);
        let mut entry = Entry::new(process.clone(), Box::new(Actions::new()));
        (entry.group, entry.session) = (pid, pid);
        entry.members.push(Member::new(task.clone(), SigSet::EMPTY));
        table().processes.insert(pid, entry);
        Ok(())
    })?;
    Ok(task)
}

/// Starts a task with these registers, once `add` has put it into the table. `add` is given the number of the task's thread. The task gets the
/// policy, and runs on the CPUs, of `place`.
pub(super) fn begin(
    task: &Arc<Task>,
    registers: Frame,
    place: (Policy, CpuSet),
    add: impl FnOnce(u64) -> Result<(), Errno>,
) -> Result<(), Errno> {
    *task.start.lock() = Some(registers);
    let occupant: Arc<dyn Occupant> = task.clone();
    // The entry has no captures: what it would capture could not be given back, because it never returns.
    let (policy, affinity) = place;
    let thread = sched::create("program", Box::new(enter), Some(occupant), policy, affinity, None);
    let thread = thread.map_err(|_| Errno::EAGAIN)?;
    let added = add(thread.id().to_bits());
    if added.is_err() {
        // The thread ends at once.
        *task.start.lock() = None;
    }
    sched::wake(thread.id());
    added
}

/// Enters a program for the first time.
fn enter() {
    unsafe extern "C" {
        /// In `vectors.S`: goes to EL0 with a copy of `registers` at `place`, the top of this thread's stack.
        fn begin_at_el0(place: usize, registers: *const Frame) -> !;
    }
    let Some(frame) = super::current().and_then(|task| task.start.lock().take()) else { return };
    let top = sched::stack_top();
    daif::set::<{ daif::ALL }>();
    // SAFETY: nothing that is on this thread's stack is used any more, but the registers, which are copied first.
    unsafe { begin_at_el0(top - size_of::<Frame>(), &raw const frame) }
}
