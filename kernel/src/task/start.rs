//! The first program, and the end of the last.

use super::process::{Files, Process, STACK_LIMIT, Status};
use super::table::{Entry, Member, Number, table};
use super::{Task, exec, fault, leave};
use crate::arch::daif;
use crate::arch::fp::Fpsimd;
use crate::errno::Errno;
use crate::exception::{Frame, el0};
use crate::fs::{self, FileObject};
use crate::mm;
use crate::sched::{self, CpuSet, Occupant, Policy, TaskId};
use crate::syscall;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Release},
};
use files::LastLink;
use programs::ReadAt;
use programs::start::{self, Strings};
use signals::{Actions, SigSet};

static PROGRAMS: el0::Programs =
    el0::Programs { system_call: syscall::call, exception: fault::exception, leave: leave::leave };

/// Prepares the kernel for programs. Called once at boot, before the first program.
pub fn init() {
    el0::set_programs(&PROGRAMS);
    mm::fault::set_user(fault::of_kernel);
}

/// The initial ramdisk's bytes; None if the machine has none.
fn ramdisk() -> Option<&'static [u8]> {
    let region = crate::early::boot().platform.ramdisk?;
    let start = mm::linear(region.base as usize) as *const u8;
    // SAFETY: the region is RAM that the device tree sets aside, so nobody writes there, and the linear map has all RAM.
    Some(unsafe { core::slice::from_raw_parts(start, region.size as usize) })
}

/// The words of a file of the ramdisk that end with a NUL each, as strings of a program.
fn words(path: &[u8], to: &mut Strings) -> Result<bool, Errno> {
    let root = fs::tree().root();
    let Ok(inode) = fs::find(root, path, LastLink::Follow) else { return Ok(false) };
    let file = FileObject::of_held(inode);
    let mut content = Vec::new();
    content.try_reserve_exact(file.size() as usize).map_err(|_| Errno::ENOMEM)?;
    content.resize(file.size() as usize, 0);
    fs::tree().read(inode, 0, &mut content)?;
    for word in content.split_inclusive(|&byte| byte == 0) {
        to.push(word.strip_suffix(&[0]).unwrap_or(word)).map_err(|error| Errno::new(error.errno()))?;
    }
    Ok(true)
}

/// Unpacks the initial ramdisk, runs its first program, and waits for the program's end. The words of the program's command line are
/// in the file `/init.args`, additions to its environment in `/init.env`. Thread context; may sleep.
///
/// # Errors
/// A message that says what is wrong.
pub fn run_first(path: &str) -> Result<Status, String> {
    init();
    let ramdisk =
        ramdisk().ok_or("mode=user needs an initial ramdisk: give --exec PROGRAM or --initrd DIR")?;
    fs::unpack(ramdisk, mm::pages::total() as u64).map_err(|error| format!("initial ramdisk: {error}"))?;
    let cannot = |error: Errno| format!("cannot start {path}: error {}", error.number());
    let mut arguments = Strings::new(start::total_limit(STACK_LIMIT));
    if !words(b"/init.args", &mut arguments).map_err(cannot)? {
        arguments.push(path.as_bytes()).map_err(|error| cannot(Errno::new(error.errno())))?;
    }
    let mut environment = Strings::new(start::total_limit(STACK_LIMIT));
    for setting in ["HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"] {
        environment.push(setting.as_bytes()).map_err(|error| cannot(Errno::new(error.errno())))?;
    }
    words(b"/init.env", &mut environment).map_err(cannot)?;
    let process = spawn_first(path.as_bytes(), &arguments, &environment).map_err(cannot)?;
    loop {
        WAITER.store(sched::current_thread().map_or(0, |thread| thread.id().to_bits()), Release);
        sched::prepare_to_sleep();
        if let Some(status) = process.status() {
            return Ok(status);
        }
        sched::sleep();
    }
}

/// The thread that waits for the end of the first process.
static WAITER: AtomicU64 = AtomicU64::new(0);

/// Starts the first program. Returns its process. Thread context; may sleep.
///
/// # Errors
/// As execve(2).
pub fn spawn_first(path: &[u8], arguments: &Strings, environment: &Strings) -> Result<Arc<Process>, Errno> {
    let root = fs::tree().root();
    let loaded = exec(root, path, arguments, environment)?;
    let number = Number::new().ok_or(Errno::EAGAIN)?;
    let pid = number.0;
    fs::terminal::init(pid).map_err(|message| {
        log::error!("{message}");
        Errno::ENOMEM
    })?;
    let process = Arc::new(Process::new(pid, exec::name_of(path), Files::new(fs::standard()?)));
    let task = Arc::new(Task::new(pid, process.clone(), loaded.space, 0, Fpsimd::zeroed()));
    task.set_name(path);
    begin(&task, loaded.frame, |thread| {
        task.thread.store(thread, Release);
        let mut entry = Entry::new(process.clone(), Box::new(Actions::new()));
        (entry.group, entry.session) = (pid, pid);
        entry.members.push(Member::new(task.clone(), SigSet::EMPTY));
        table().processes.insert(pid, entry);
        Ok(())
    })?;
    Ok(process)
}

/// Starts a task with these registers, once `add` has put it into the table. `add` is given the number of the task's thread.
pub(super) fn begin(
    task: &Arc<Task>,
    registers: Frame,
    add: impl FnOnce(u64) -> Result<(), Errno>,
) -> Result<(), Errno> {
    *task.start.lock() = Some(registers);
    let occupant: Arc<dyn Occupant> = task.clone();
    // The entry has no captures: what it would capture could not be given back, because it never returns.
    let thread =
        sched::create("program", Box::new(enter), Some(occupant), Policy::Fair(0), CpuSet::ALL, None);
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

/// Called when a process's last task has ended.
pub(super) fn ended(process: &Process) {
    if process.pid == 1 {
        sched::wake(TaskId::from_bits(WAITER.load(Acquire)));
    }
}
