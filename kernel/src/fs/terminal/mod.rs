//! Terminals: the console, and the second line of machines that have one. Which is whose, and how they are opened.

mod output;
mod port;
mod state;

pub use port::find_line;
pub use state::{Terminal, TerminalEnd, denied};

use super::Device;
use super::asks;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::sched::{self, CpuSet, Policy};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use files::Device as Numbers;
use port::Port;
use signals::Signal;
use tty::{Caller, Job};

static CONSOLE: Terminal = Terminal::new(Port::Console);
static LINE: Terminal = Terminal::new(Port::Line);

/// All terminals, with the numbers of their devices.
static ALL: [(&Terminal, Numbers); 2] =
    [(&CONSOLE, Device::CONSOLE_TERMINAL), (&LINE, Device::LINE_TERMINAL)];

/// Makes the terminals, and has them take input. The console belongs to the session that `leader` leads. Called once, on the first CPU,
/// before the first program starts.
///
/// # Errors
/// A message that says what is wrong.
pub fn init(leader: u32) -> Result<(), String> {
    let job = Job { session: Some(leader), foreground: Some(leader) };
    start(&CONSOLE, Port::Console, job, |_| CONSOLE.interrupt())?;
    if Port::Line.exists() {
        start(&LINE, Port::Line, Job::default(), |_| LINE.interrupt())?;
    }
    Ok(())
}

/// Makes a terminal, with its thread and the handler of its interrupt.
fn start(terminal: &'static Terminal, port: Port, job: Job, handler: fn(&mut Frame)) -> Result<(), String> {
    terminal.init(job).map_err(|_| "no memory for a terminal")?;
    let entry = Box::new(|| terminal.serve());
    // Ahead of all programs: ^C is for those that do not let others run.
    let thread = sched::create("terminal", entry, None, Policy::Fifo(50), CpuSet::ALL, None);
    let thread = thread.map_err(|error| format!("a terminal's thread: {error:?}"))?;
    port.listen(handler)?;
    sched::wake(thread.id());
    Ok(())
}

/// The terminal of a session, and the numbers of its device.
pub fn of_session(session: u32) -> Option<(&'static Terminal, Numbers)> {
    ALL.into_iter().find(|(terminal, _)| terminal.job().session == Some(session))
}

/// What a terminal has to know of the running task. `signal` is the one that would be sent to it in the background. Thread context.
fn caller(job: &Job, signal: Signal) -> Caller {
    let caller = asks::terminal_caller(job, signal);
    Caller { has_terminal: caller.session != 0 && of_session(caller.session).is_some(), ..caller }
}

/// Opens a terminal by the numbers of its device. Unless `keep_out` says that it must not become the terminal of a session, the leader of a
/// session without a terminal makes it the session's, if it is nobody's. Thread context; may sleep.
///
/// # Errors
/// ENXIO if the machine does not have it, or if it is `/dev/tty` and the task's session has no terminal.
pub(super) fn open(numbers: Numbers, keep_out: bool) -> Result<TerminalEnd, Errno> {
    if numbers == Device::OWN_TERMINAL {
        let caller = asks::terminal_caller(&Job::default(), Signal::SIGTTOU);
        let own = if caller.session == 0 { None } else { of_session(caller.session) };
        return own.map(|(terminal, _)| terminal.end()).ok_or(Errno::ENXIO);
    }
    let terminal = if Device::is_line(numbers) { &LINE } else { &CONSOLE };
    if !terminal.exists() {
        return Err(Errno::ENXIO);
    }
    if !keep_out && numbers != Device::CONSOLE {
        // Who cannot have it opens it all the same.
        let _ = acquire(terminal, false);
    }
    Ok(terminal.end())
}

/// TIOCSCTTY. Thread context; may sleep.
///
/// # Errors
/// EPERM.
pub fn acquire(terminal: &Terminal, steal: bool) -> Result<(), Errno> {
    let caller = caller(&terminal.job(), Signal::SIGTTOU);
    let acquired = terminal.lock().job.acquire(&caller, steal);
    acquired.map_err(|error| denied(error, caller.group))
}

/// TIOCNOTTY: takes the terminal away from the session of the running task, if the task leads it. The foreground group gets SIGHUP and
/// SIGCONT. Thread context; may sleep.
///
/// # Errors
/// ENOTTY if the terminal is not the task's.
pub fn leave(terminal: &Terminal) -> Result<(), Errno> {
    let mut held = terminal.lock();
    let caller = asks::terminal_caller(&held.job, Signal::SIGTTOU);
    if !caller.controlled_by_this {
        return Err(Errno::ENOTTY);
    }
    let foreground = if caller.leads_session { held.job.release() } else { None };
    drop(held);
    hang_up(foreground);
    Ok(())
}

/// The session that a process led has lost its leader: its terminal is nobody's. The foreground group gets SIGHUP and SIGCONT. Thread
/// context; may sleep.
pub fn session_ends(leader: u32) {
    if let Some((terminal, _)) = of_session(leader) {
        let mut held = terminal.lock();
        // Another session may have taken it meanwhile.
        let foreground = if held.job.session == Some(leader) { held.job.release() } else { None };
        drop(held);
        hang_up(foreground);
    }
}

fn hang_up(foreground: Option<u32>) {
    if let Some(group) = foreground {
        asks::signal_group(group, Signal::SIGHUP);
        asks::signal_group(group, Signal::SIGCONT);
    }
}
