//! Programs at EL0, from the initial ramdisk to the end of the first program.

use crate::debug::task::TaskDebug;
use crate::debug::task::hit::Report;
use crate::errno::Errno;
use crate::exception::{El0Frame, el0};
use crate::fs::{self, Start, asks};
use crate::mm;
use crate::options;
use crate::proc;
use crate::sched::Mutex;
use crate::syscall;
use crate::task::{self, STACK_LIMIT, Status, Task};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use files::LastLink;
use programs::ReadAt;
use programs::start::{self, Strings};

/// What the exceptions of programs lead to.
struct AtEl0;

impl el0::Programs for AtEl0 {
    type Task = Task;

    #[inline(always)]
    fn task(frame: &El0Frame) -> &'static Task {
        task::of(frame)
    }

    #[inline(always)]
    fn system_call(task: &'static Task, frame: &mut El0Frame) {
        syscall::call(task, frame);
    }

    #[inline(always)]
    fn brk(task: &'static Task, frame: &mut El0Frame) {
        task::brk(task, frame);
    }

    #[inline(always)]
    fn exception(frame: &mut El0Frame) {
        task::exception(frame);
    }

    #[inline(always)]
    fn report(frame: &mut El0Frame, found: &Report) {
        task::report(frame, found);
    }

    #[inline(always)]
    fn debug() -> Option<&'static TaskDebug> {
        task::debug_of_running()
    }

    #[inline(always)]
    fn is_ready(task: &'static Task) -> bool {
        task.is_ready()
    }

    #[inline(always)]
    fn leave(frame: &mut El0Frame) -> bool {
        task::leave(frame)
    }
}

crate::el0_handlers!(AtEl0);

static PROCESSES: asks::Processes = asks::Processes {
    interrupted: task::interrupted,
    broken_pipe: task::broken_pipe,
    size_limit: task::size_limit,
    too_large: task::too_large,
    signal_group: task::signal_group,
    signal: task::signal_owner,
    terminal_caller: task::terminal_caller,
    drop_pages: task::drop_pages,
};

/// Prepares the kernel for programs, whose files begin as an initial ramdisk. Only the first call does something: programs that run, or have
/// run, hold files of the tree. Thread context; may sleep.
///
/// # Errors
/// A message that says what is wrong with the ramdisk.
pub fn prepare(ramdisk: &[u8]) -> Result<(), String> {
    static PREPARED: Mutex<bool> = Mutex::new(false);
    let mut prepared = PREPARED.lock();
    if *prepared {
        return Ok(());
    }
    asks::set_processes(&PROCESSES);
    syscall::provide(options::get().calls)?;
    mm::fault::set_user(task::fault_of_kernel);
    fs::unpack(ramdisk, mm::pages::total() as u64).map_err(|error| format!("initial ramdisk: {error}"))?;
    proc::mount().map_err(|error| format!("/proc: {error:?}"))?;
    *prepared = true;
    Ok(())
}

/// Prepares the kernel for programs with the machine's initial ramdisk. Returns false, and does nothing, if the machine has none. As
/// [`prepare`] says.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_from_ramdisk() -> Result<bool, String> {
    ramdisk().map_or(Ok(false), |ramdisk| prepare(ramdisk).map(|()| true))
}

/// The initial ramdisk's bytes; None if the machine has none.
fn ramdisk() -> Option<&'static [u8]> {
    let region = crate::early::boot().platform.ramdisk?;
    let start = mm::linear(region.base as usize) as *const u8;
    // SAFETY: the region is RAM that the device tree sets aside, so nobody writes there, and the linear map has all RAM.
    Some(unsafe { core::slice::from_raw_parts(start, region.size as usize) })
}

/// What is in a file; None if there is no such file. Thread context; may sleep.
///
/// # Errors
/// ENOMEM, and those of read(2).
pub fn content(path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let Ok(found) = fs::find(&Start::ROOT, path, LastLink::Follow) else { return Ok(None) };
    let file = found.object()?;
    let mut content = Vec::new();
    content.try_reserve_exact(file.size() as usize).map_err(|_| Errno::ENOMEM)?;
    content.resize(file.size() as usize, 0);
    fs::tree().read(file.inode(), 0, &mut content)?;
    Ok(Some(content))
}

/// The words of a file of the ramdisk that end with a NUL each, as strings of a program.
fn words(path: &[u8], to: &mut Strings) -> Result<bool, Errno> {
    let Some(content) = content(path)? else { return Ok(false) };
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
    if !prepare_from_ramdisk()? {
        return Err("mode=user needs an initial ramdisk: give --exec PROGRAM or --initrd DIR".into());
    }
    let cannot = |error: Errno| {
        let why = match error {
            Errno::ENOENT => {
                "the ramdisk does not have it, or not the dynamic linker or interpreter that it names"
            }
            Errno::ENOEXEC => "it is no program for AArch64 Linux, and no script",
            Errno::EACCES => "it is no file that may be executed",
            Errno::ENOMEM => "there is not enough memory",
            _ => "see errno(3)",
        };
        format!("cannot start {path}: {why} (error {})", error.number())
    };
    let mut arguments = Strings::new(start::total_limit(STACK_LIMIT));
    if !words(b"/init.args", &mut arguments).map_err(cannot)? {
        arguments.push(path.as_bytes()).map_err(|error| cannot(Errno::new(error.errno())))?;
    }
    let mut environment = Strings::new(start::total_limit(STACK_LIMIT));
    for setting in ["HOME=/", "TERM=linux", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"] {
        environment.push(setting.as_bytes()).map_err(|error| cannot(Errno::new(error.errno())))?;
    }
    words(b"/init.env", &mut environment).map_err(cannot)?;
    let process = task::spawn_first(path.as_bytes(), &arguments, &environment).map_err(cannot)?;
    Ok(process.wait_for_end())
}
