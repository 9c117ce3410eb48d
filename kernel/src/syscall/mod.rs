//! System calls: Linux's numbers and conventions for AArch64 (X8 is the number, X0 to X5 are the arguments, X0 is the result).

mod credentials;
mod files;
mod limit;
mod memory;
mod perf;
mod process;
mod ptrace;
mod remote;
mod signals;
mod system;
mod threads;
mod time;
mod timers;

pub use system::{NAMES, uname};

use crate::errno::Errno;
use crate::exception::{El0Frame, Frame};
use crate::task::Task;
use crate::task::calls::{self, CALLS, Call, Table};
use alloc::boxed::Box;
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use linux_raw_sys::general as nr;

/// A number below [`CALLS`] that no call has: what is done for numbers beyond.
const BEYOND: usize = CALLS - 1;

macro_rules! calls {
    ($($number:ident => $function:path,)*) => {
        static TABLE: Table = {
            let mut table: Table = [missing; CALLS];
            $(table[nr::$number as usize] = $function;)*
            table
        };
        /// The names of the calls, as `linux-raw-sys` has them, and their numbers.
        static CALL_NAMES: &[(&str, u32)] = &[$((stringify!($number), nr::$number)),*];
    };
}

calls! {
    __NR_brk => memory::brk,
    __NR_mmap => memory::mmap,
    __NR_munmap => memory::munmap,
    __NR_mprotect => memory::mprotect,
    __NR_mremap => memory::mremap,
    __NR_madvise => memory::madvise,
    __NR_mincore => memory::mincore,
    __NR_msync => memory::msync,
    __NR_mlock => memory::mlock,
    __NR_mlock2 => memory::mlock2,
    __NR_munlock => memory::munlock,
    __NR_mlockall => memory::mlockall,
    __NR_munlockall => memory::munlockall,
    __NR_process_vm_readv => remote::process_vm_readv,
    __NR_process_vm_writev => remote::process_vm_writev,
    __NR_openat => files::openat,
    __NR_close => files::close,
    __NR_close_range => files::close_range,
    __NR_dup => files::dup,
    __NR_dup3 => files::dup3,
    __NR_fcntl => files::fcntl,
    __NR_pipe2 => files::pipe2,
    __NR_eventfd2 => files::eventfd2,
    __NR_read => files::read,
    __NR_write => files::write,
    __NR_readv => files::readv,
    __NR_writev => files::writev,
    __NR_pread64 => files::pread64,
    __NR_pwrite64 => files::pwrite64,
    __NR_preadv => files::preadv,
    __NR_pwritev => files::pwritev,
    __NR_lseek => files::lseek,
    __NR_sendfile => files::sendfile,
    __NR_fsync => files::fsync,
    __NR_fadvise64 => files::fadvise64,
    __NR_readahead => files::readahead,
    __NR_sync => files::sync,
    __NR_ioctl => files::ioctl,
    __NR_newfstatat => files::newfstatat,
    __NR_fstat => files::fstat,
    __NR_statx => files::statx,
    __NR_faccessat => files::faccessat,
    __NR_faccessat2 => files::faccessat2,
    __NR_statfs => files::statfs,
    __NR_fstatfs => files::fstatfs,
    __NR_readlinkat => files::readlinkat,
    __NR_getcwd => files::getcwd,
    __NR_chdir => files::chdir,
    __NR_fchdir => files::fchdir,
    __NR_umask => files::umask,
    __NR_getdents64 => files::getdents64,
    __NR_mkdirat => files::mkdirat,
    __NR_mknodat => files::mknodat,
    __NR_unlinkat => files::unlinkat,
    __NR_symlinkat => files::symlinkat,
    __NR_linkat => files::linkat,
    __NR_renameat => files::renameat,
    __NR_renameat2 => files::renameat2,
    __NR_fchmod => files::fchmod,
    __NR_fchmodat => files::fchmodat,
    __NR_fchown => files::fchown,
    __NR_fchownat => files::fchownat,
    __NR_utimensat => files::utimensat,
    __NR_ftruncate => files::ftruncate,
    __NR_truncate => files::truncate,
    __NR_fallocate => files::fallocate,
    __NR_ppoll => files::ppoll,
    __NR_pselect6 => files::pselect6,
    __NR_fdatasync => files::fsync,
    __NR_exit => process::exit,
    __NR_exit_group => process::exit_group,
    __NR_clone => process::clone,
    __NR_clone3 => process::clone3,
    __NR_execve => process::execve,
    __NR_execveat => process::execveat,
    __NR_wait4 => process::wait4,
    __NR_waitid => process::waitid,
    __NR_getpid => process::getpid,
    __NR_getppid => process::getppid,
    __NR_getpgid => process::getpgid,
    __NR_getsid => process::getsid,
    __NR_setpgid => process::setpgid,
    __NR_setsid => process::setsid,
    __NR_uname => system::uname,
    __NR_sysinfo => system::sysinfo,
    __NR_getrusage => system::getrusage,
    __NR_prlimit64 => system::prlimit64,
    __NR_getrlimit => system::getrlimit,
    __NR_setrlimit => system::setrlimit,
    __NR_personality => system::personality,
    __NR_getrandom => system::getrandom,
    __NR_gettid => threads::gettid,
    __NR_set_tid_address => threads::set_tid_address,
    __NR_set_robust_list => threads::set_robust_list,
    __NR_futex => threads::futex,
    __NR_prctl => threads::prctl,
    __NR_sched_yield => threads::sched_yield,
    __NR_sched_setaffinity => threads::sched_setaffinity,
    __NR_sched_getaffinity => threads::sched_getaffinity,
    __NR_sched_setscheduler => threads::sched_setscheduler,
    __NR_sched_setparam => threads::sched_setparam,
    __NR_sched_getscheduler => threads::sched_getscheduler,
    __NR_sched_getparam => threads::sched_getparam,
    __NR_sched_rr_get_interval => threads::sched_rr_get_interval,
    __NR_sched_get_priority_max => threads::sched_get_priority_max,
    __NR_sched_get_priority_min => threads::sched_get_priority_min,
    __NR_setpriority => threads::setpriority,
    __NR_getpriority => threads::getpriority,
    __NR_getcpu => threads::getcpu,
    __NR_rt_sigaction => signals::rt_sigaction,
    __NR_rt_sigprocmask => signals::rt_sigprocmask,
    __NR_rt_sigpending => signals::rt_sigpending,
    __NR_rt_sigsuspend => signals::rt_sigsuspend,
    __NR_rt_sigtimedwait => signals::rt_sigtimedwait,
    __NR_rt_sigqueueinfo => signals::rt_sigqueueinfo,
    __NR_rt_tgsigqueueinfo => signals::rt_tgsigqueueinfo,
    __NR_kill => signals::kill,
    __NR_tkill => signals::tkill,
    __NR_tgkill => signals::tgkill,
    __NR_sigaltstack => signals::sigaltstack,
    __NR_rt_sigreturn => crate::task::sigreturn,
    __NR_clock_gettime => time::clock_gettime,
    __NR_clock_getres => time::clock_getres,
    __NR_clock_settime => time::clock_settime,
    __NR_settimeofday => time::settimeofday,
    __NR_gettimeofday => time::gettimeofday,
    __NR_times => time::times,
    __NR_nanosleep => time::nanosleep,
    __NR_clock_nanosleep => time::clock_nanosleep,
    __NR_restart_syscall => time::restart_syscall,
    __NR_ptrace => ptrace::ptrace,
    __NR_perf_event_open => perf::perf_event_open,
    __NR_getitimer => timers::getitimer,
    __NR_setitimer => timers::setitimer,
    __NR_timer_create => timers::timer_create,
    __NR_timer_settime => timers::timer_settime,
    __NR_timer_gettime => timers::timer_gettime,
    __NR_timer_getoverrun => timers::timer_getoverrun,
    __NR_timer_delete => timers::timer_delete,
    __NR_rseq => threads::none,
    __NR_membarrier => threads::none,
    __NR_getuid => credentials::root,
    __NR_geteuid => credentials::root,
    __NR_getgid => credentials::root,
    __NR_getegid => credentials::root,
    __NR_setuid => credentials::root,
    __NR_setgid => credentials::root,
    __NR_setreuid => credentials::root,
    __NR_setregid => credentials::root,
    __NR_setresuid => credentials::root,
    __NR_setresgid => credentials::root,
    __NR_setfsuid => credentials::root,
    __NR_setfsgid => credentials::root,
    __NR_setgroups => credentials::root,
    __NR_getresuid => credentials::three,
    __NR_getresgid => credentials::three,
    __NR_capget => credentials::capget,
    __NR_getgroups => credentials::getgroups,
}

/// One bit for each number that the log has named as missing.
static NAMED: [AtomicU64; CALLS / 64] = [const { AtomicU64::new(0) }; CALLS / 64];

/// What tasks that are traced call, whatever the number.
static TRACED: Table = [for_tracer; CALLS];

/// A system call of a task that is traced: its tracer may be told of the call's begin and end, and exchange its number and its result.
#[cold]
fn for_tracer(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let number = task.call_begins(frame);
    if number != -1 {
        // SAFETY: as in `call`.
        let table = unsafe { &*calls::untraced() };
        let result = match usize::try_from(number) {
            Ok(known) if known < CALLS => table[known](task, frame),
            // A number that the tracer has put in: strace does so to have a call fail.
            _ if number != frame.x[8] as i32 => Err(Errno::ENOSYS),
            _ => table[BEYOND](task, frame),
        };
        match result {
            Ok(value) => frame.x[0] = value,
            Err(errno) => fails(task, frame, errno),
        }
    }
    task.call_ends(frame);
    Ok(frame.x[0])
}

/// Serves a system call of the running task. Thread context; may sleep. Part of the entry, where no probe can be (H6); the functions of the
/// calls can be probed.
#[inline(always)]
pub fn call(task: &Task, frame: &mut El0Frame) {
    // SAFETY: the pointer is that of a table that is never freed.
    let table = unsafe { &*task.calls.load(Relaxed) };
    let number = frame.x[8] as u32 as usize;
    let result = if number < CALLS { table[number](task, frame) } else { beyond(task, frame) };
    match result {
        Ok(value) => frame.x[0] = value,
        Err(errno) => fails(task, frame, errno),
    }
}

/// A call whose number no call has, but perhaps a tracer that exchanges it.
#[cold]
#[inline(never)]
fn beyond(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    // SAFETY: as in `call`.
    let table = unsafe { &*task.calls.load(Relaxed) };
    table[BEYOND](task, frame)
}

#[cold]
#[inline(never)]
fn fails(task: &Task, frame: &mut Frame, errno: Errno) {
    task.call_fails(errno, frame.x[0]);
    frame.x[0] = errno.as_result();
}

/// Gives programs their calls: all, or those of a list, which is `calls=` of the boot arguments. Called once, before the first program
/// starts.
///
/// # Errors
/// A message that names the word that is no call of this kernel.
pub fn provide(list: Option<&str>) -> Result<(), String> {
    let table = match list {
        None => &TABLE,
        Some(list) => {
            let mut table = Box::new([denied as Call; CALLS]);
            limit::each(list, CALL_NAMES, |number| table[number] = TABLE[number])?;
            Box::leak(table)
        }
    };
    calls::set_calls(table, &TRACED);
    Ok(())
}

/// A call that programs do not have, although the kernel has it.
fn denied(_: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Err(Errno::ENOSYS)
}

/// A call that the kernel does not have. The log names each number once.
#[cold]
fn missing(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let number = frame.x[8] as u32 as usize;
    if let Some(word) = NAMED.get(number / 64) {
        let bit = 1 << (number % 64);
        if word.fetch_or(bit, Relaxed) & bit == 0 {
            log::warn!("system call {number} is missing: ENOSYS");
        }
    }
    Err(Errno::ENOSYS)
}
