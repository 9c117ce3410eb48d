//! Programs: processes and their threads at EL0, what they share, and how they come and go.
//!
//! A [`Task`] is a thread of a program, a [`Process`] is what the threads of a program share. Each task runs in a thread of the scheduler
//! ([`crate::sched`]), whose kernel stack has the task's registers at its top while the task is in the kernel.
//!
//! What this module does is called through [`exception::el0::Programs`]: nothing below knows of tasks.

mod exec;
mod fault;
mod hooks;
mod leave;
mod process;
mod start;
pub mod user;

pub use exec::{ExecError, exec};
pub use hooks::{interrupted, raise, session_of_group, signal_group, terminal_caller};
pub use process::{Pid, Process, Status, exit_process, exit_task};
pub use start::run_first;

use crate::arch::fp::Fpsimd;
use crate::sched::{self, Occupant};
use crate::space::Space;
use crate::sync::IrqMutex;
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// A thread of a program.
pub struct Task {
    /// The number by which programs name the thread. That of the first thread is the process's.
    pub tid: Pid,
    /// What the threads of the program share.
    pub process: Arc<Process>,
    /// The address space that the task runs in; None once the task ends. Others take a reference under the lock; only the task itself
    /// exchanges it.
    space: IrqMutex<Option<Arc<Space>>>,
    /// Where the kernel writes 0, and wakes a futex, when the task ends (CLONE_CHILD_CLEARTID); 0 if nowhere.
    pub clear_child_tid: AtomicU64,
    /// TPIDR_EL0 while the task does not run.
    tls: AtomicU64,
    /// SIMD and floating point while `loaded` is false. Used by the CPU that runs the task.
    fp: UnsafeCell<Fpsimd>,
    /// Whether the CPU that runs the task has its SIMD registers.
    loaded: AtomicBool,
}

// SAFETY: `fp` is used by the task itself, or by the CPU that switches to or from it, with I masked.
unsafe impl Sync for Task {}
// SAFETY: as above.
unsafe impl Send for Task {}

impl Task {
    /// The address space that the task runs in; None if the task ends. Thread and interrupt context.
    pub fn space(&self) -> Option<Arc<Space>> {
        self.space.lock().clone()
    }

    /// Has the task, which is the running one, use another address space, or none, because it ends. Thread context; may sleep: the last
    /// reference to an address space gives back files.
    fn exchange_space(&self, space: Option<Arc<Space>>) {
        let before = {
            let mut current = self.space.lock();
            match &space {
                Some(space) => space.use_here(),
                None => Space::use_none(),
            }
            core::mem::replace(&mut *current, space)
        };
        drop(before);
    }

    /// Changes the SIMD registers of the running task: they are what `change` leaves, when the task returns to EL0.
    pub fn change_fp<R>(&self, change: impl FnOnce(&mut Fpsimd) -> R) -> R {
        let _off = sched::preempt::Off::new();
        // SAFETY: the task runs, on this CPU, and is not switched away.
        let fp = unsafe { &mut *self.fp.get() };
        if self.loaded.swap(false, Relaxed) {
            fp.save();
        }
        change(fp)
    }

    /// Loads the SIMD registers if this CPU does not have them. All exceptions are masked.
    fn load_fp(&self) {
        if !self.loaded.load(Relaxed) {
            // SAFETY: the task runs on this CPU, and nothing switches it away.
            unsafe { &*self.fp.get() }.load();
            self.loaded.store(true, Relaxed);
        }
    }
}

impl Occupant for Task {
    fn leaves(&self) {
        self.tls.store(crate::read_sysreg!("tpidr_el0"), Relaxed);
        if self.loaded.swap(false, Relaxed) {
            // SAFETY: the task leaves this CPU, with I masked.
            unsafe { &mut *self.fp.get() }.save();
        }
        Space::use_none();
    }

    fn arrives(&self) {
        crate::write_sysreg!("tpidr_el0", self.tls.load(Relaxed));
        if let Some(space) = &*self.space.lock() {
            space.use_here();
        }
    }

    fn address(&self) -> *const () {
        core::ptr::from_ref(self).cast()
    }
}

/// The running task; None in a thread that runs no program. Thread context and the handlers that interrupt it.
pub fn current() -> Option<&'static Task> {
    let occupant = sched::current_thread()?.occupant()?;
    // SAFETY: only this module makes occupants, and all of them are tasks. The thread keeps its task for as long as code runs on its
    // stack.
    Some(unsafe { &*occupant.address().cast::<Task>() })
}
