//! Whose terminal it is: sessions, process groups, and who may use it from the background.

use linux_raw_sys::errno::{EINVAL, EIO, ENOTTY, EPERM, ESRCH};
use linux_raw_sys::general::TOSTOP;
use signals::Signal;

use crate::Termios;

/// The session and the process group that a terminal belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Job {
    /// The session whose controlling terminal this is.
    pub session: Option<u32>,
    /// The foreground process group. Signals of typed characters go there.
    pub foreground: Option<u32>,
}

/// The process that uses a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Its session.
    pub session: u32,
    /// Its process group.
    pub group: u32,
    /// Whether it leads its session.
    pub leads_session: bool,
    /// Whether this terminal is its controlling terminal.
    pub controlled_by_this: bool,
    /// Whether it has a controlling terminal, this one or another.
    pub has_terminal: bool,
    /// Whether its process group is orphaned: no member's parent is in another group of the same session.
    pub orphaned: bool,
    /// Whether the calling thread blocks or ignores SIGTTIN (for [`Access::Read`]) or SIGTTOU (for the other kinds).
    pub ignores_signal: bool,
}

/// What a process wants of a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// `read`.
    Read,
    /// `write`.
    Write,
    /// TCSETS and its variants, TCFLSH, TCXONC, TCSBRK.
    Change,
}

/// Why a process may not use a terminal now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// Send the signal to the caller's whole process group. The call then is cut as ERESTARTSYS: it is tried again once the
    /// process is continued.
    Signal(Signal),
    /// The call fails with this error number.
    Errno(u32),
}

impl Job {
    /// Whether a process may use the terminal as `access` says. Foreground processes may, and processes that are not controlled by
    /// this terminal. Without TOSTOP everybody may write.
    ///
    /// # Errors
    /// A background process is stopped by a signal. If that cannot work, because the signal is ignored or nobody would continue the
    /// process, reading fails with EIO; a process that ignores SIGTTOU may write and change, in an orphaned group it fails with EIO.
    pub fn check(&self, access: Access, caller: &Caller, termios: &Termios) -> Result<(), Denied> {
        let signal = match access {
            Access::Write if !termios.local(TOSTOP) => return Ok(()),
            Access::Read => Signal::SIGTTIN,
            Access::Write | Access::Change => Signal::SIGTTOU,
        };
        self.check_background(signal, caller)
    }

    fn check_background(&self, signal: Signal, caller: &Caller) -> Result<(), Denied> {
        let in_background = self.foreground.is_some_and(|foreground| foreground != caller.group);
        if !caller.controlled_by_this || !in_background {
            return Ok(());
        }
        match (caller.ignores_signal, signal) {
            (true, Signal::SIGTTIN) => Err(Denied::Errno(EIO)),
            (true, _) => Ok(()),
            (false, _) if caller.orphaned => Err(Denied::Errno(EIO)),
            (false, _) => Err(Denied::Signal(signal)),
        }
    }

    /// The foreground process group (TIOCGPGRP). 0 if there is none.
    ///
    /// # Errors
    /// ENOTTY if the terminal is not the caller's controlling terminal.
    pub fn foreground_for(&self, caller: &Caller) -> Result<u32, Denied> {
        if caller.controlled_by_this { Ok(self.foreground.unwrap_or(0)) } else { Err(Denied::Errno(ENOTTY)) }
    }

    /// Makes `group` the foreground process group (TIOCSPGRP). `session_of` finds the session of a process group, if there is the
    /// group.
    ///
    /// # Errors
    /// SIGTTOU from the background; ENOTTY if the terminal is not the caller's controlling terminal or the caller could not be
    /// stopped; EINVAL for a negative number; ESRCH if there is no such group; EPERM if it is of another session.
    pub fn set_foreground(
        &mut self,
        group: i32,
        caller: &Caller,
        session_of: impl FnOnce(u32) -> Option<u32>,
    ) -> Result<(), Denied> {
        self.check_background(Signal::SIGTTOU, caller).map_err(|denied| match denied {
            Denied::Errno(_) => Denied::Errno(ENOTTY),
            Denied::Signal(_) => denied,
        })?;
        let group = u32::try_from(group).map_err(|_| Denied::Errno(EINVAL))?;
        if !caller.controlled_by_this || self.session != Some(caller.session) {
            return Err(Denied::Errno(ENOTTY));
        }
        let session = session_of(group).ok_or(Denied::Errno(ESRCH))?;
        if session != caller.session {
            return Err(Denied::Errno(EPERM));
        }
        self.foreground = Some(group);
        Ok(())
    }

    /// Makes this the controlling terminal of the caller's session (TIOCSCTTY). `steal` says that the caller may take it from
    /// another session and asked to: the caller of this function then takes it from that session's processes.
    ///
    /// # Errors
    /// EPERM if the caller does not lead its session, has a controlling terminal already, or another session has this one.
    pub fn acquire(&mut self, caller: &Caller, steal: bool) -> Result<(), Denied> {
        if caller.leads_session && self.session == Some(caller.session) {
            return Ok(());
        }
        if !caller.leads_session || caller.has_terminal || (self.session.is_some() && !steal) {
            return Err(Denied::Errno(EPERM));
        }
        *self = Self { session: Some(caller.session), foreground: Some(caller.group) };
        Ok(())
    }

    /// The session has given the terminal up: its leader has ended, or called TIOCNOTTY. Returns the foreground process group,
    /// to which the caller sends SIGHUP and SIGCONT.
    pub fn release(&mut self) -> Option<u32> {
        core::mem::take(self).foreground
    }
}
