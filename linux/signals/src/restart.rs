//! What becomes of a system call that a signal cuts short.

use crate::ActionFlags;

/// How a system call that a signal cut short wants to go on. The call returns it in place of a result; the numbers are Linux's
/// internal error numbers, which user programs never see, but debuggers do: at the end of the call x0 holds -[`Cut::errno`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// ERESTARTSYS: restart, unless a handler without SA_RESTART runs. Most calls.
    RestartSys,
    /// ERESTARTNOINTR: always restart.
    RestartNoIntr,
    /// ERESTARTNOHAND: restart, unless any handler runs (`ppoll`, `pselect6`, `rt_sigsuspend`).
    RestartNoHand,
    /// ERESTART_RESTARTBLOCK: go on by `restart_syscall`, which knows how much is left (sleeps), unless any handler runs.
    RestartBlock,
}

/// What the thread does once it is back at EL0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resume {
    /// The call again: x0 is the first argument again, the PC is at the SVC instruction.
    Again,
    /// `restart_syscall`: as [`Resume::Again`], and x8 is 128.
    RestartSyscall,
    /// The call returns -EINTR.
    Interrupted,
}

impl Cut {
    /// Linux's internal error number.
    pub fn errno(self) -> u32 {
        match self {
            Self::RestartSys => 512,
            Self::RestartNoIntr => 513,
            Self::RestartNoHand => 514,
            Self::RestartBlock => 516,
        }
    }

    /// The way to go on that an internal error number stands for.
    pub fn from_errno(errno: u32) -> Option<Self> {
        [Self::RestartSys, Self::RestartNoIntr, Self::RestartNoHand, Self::RestartBlock]
            .into_iter()
            .find(|cut| cut.errno() == errno)
    }

    /// What happens to the call. `handler` has the flags of the first handler that runs, or `None` if no handler runs: all signals
    /// were ignored, or stopped the process for a while.
    pub fn resume(self, handler: Option<ActionFlags>) -> Resume {
        match (self, handler) {
            (Self::RestartBlock, None) => Resume::RestartSyscall,
            (_, None) | (Self::RestartNoIntr, Some(_)) => Resume::Again,
            (Self::RestartSys, Some(flags)) if flags.contains(ActionFlags::RESTART) => Resume::Again,
            (_, Some(_)) => Resume::Interrupted,
        }
    }
}
