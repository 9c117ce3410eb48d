//! The terminal at the console: the line discipline of the crate `tty`, behind a lock, and who waits for it.
//!
//! The interrupt of received bytes only wakes a thread of this module. The thread takes the bytes, so that echo, signals and wake-ups
//! happen in thread context, and the interrupt handler never waits for a lock that a writer holds.
//!
//! What is written goes to the console at once, under the lock: so the order of output and echo is that of the line discipline's columns.
//! While output is stopped (^S), writers wait. The echo does not wait.

use super::asks;
use super::changes;
use super::pipe::cut;
use crate::clock;
use crate::console::{self, input};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::sched::{self, Alarm, CpuSet, Mutex, MutexGuard, Policy, WaitQueue};
use alloc::boxed::Box;
use alloc::string::String;
use core::ops::{Deref, DerefMut};
use linux_raw_sys::general as raw;
use signals::Signal;
use tty::{Access, Denied, Effects, Flow, Job, OutputQueue, Read, Tty};

static TERMINAL: Mutex<Option<Tty>> = Mutex::new(None);
/// Those that wait for input.
static READERS: WaitQueue = WaitQueue::new();
/// Those that wait until output goes on.
static WRITERS: WaitQueue = WaitQueue::new();
/// The terminal's thread, which waits for received bytes and for room.
static RECEIVER: WaitQueue = WaitQueue::new();

/// The terminal, under its lock.
pub struct Held(MutexGuard<'static, Option<Tty>>);

impl Deref for Held {
    type Target = Tty;

    fn deref(&self) -> &Tty {
        self.0.as_ref().expect("the terminal is made before the first program starts")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Tty {
        self.0.as_mut().expect("the terminal is made before the first program starts")
    }
}

/// Takes the lock of the terminal. Thread context; may sleep.
pub fn terminal() -> Held {
    Held(TERMINAL.lock())
}

/// Collects what the line discipline sends, and passes it on to the console in pieces.
pub struct Output {
    bytes: [u8; 256],
    length: usize,
}

impl Output {
    /// Nothing is collected yet.
    pub const fn new() -> Self {
        Self { bytes: [0; 256], length: 0 }
    }

    fn flush(&mut self) {
        console::send_bytes(&self.bytes[..self.length]);
        self.length = 0;
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl OutputQueue for Output {
    fn send(&mut self, byte: u8) {
        if self.length == self.bytes.len() {
            self.flush();
        }
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn discard(&mut self) {
        self.length = 0;
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Makes the terminal, which belongs to the session that `leader` leads, and has it take the console's input. Called once, on the first
/// CPU, before the first program starts.
///
/// # Errors
/// A message that says what is wrong.
pub fn init(leader: u32) -> Result<(), String> {
    let mut tty = Tty::new().map_err(|_| "no memory for the terminal")?;
    tty.job = Job { session: Some(leader), foreground: Some(leader) };
    *TERMINAL.lock() = Some(tty);
    let entry = Box::new(|| receive());
    // Ahead of all programs: ^C is for those that do not let others run.
    let thread = sched::create("terminal", entry, None, Policy::Fifo(50), CpuSet::ALL, None);
    let thread = thread.map_err(|error| alloc::format!("the terminal's thread: {error:?}"))?;
    input::init_with(crate::early::boot().platform.uart.intid, received)
        .map_err(|error| alloc::format!("the console's interrupt: {error}"))?;
    sched::wake(thread.id());
    Ok(())
}

/// The handler of the interrupt of received bytes.
fn received(_: &mut Frame) {
    input::ignore();
    RECEIVER.wake_all();
}

/// The terminal's thread: takes received bytes as long as there is room for them.
fn receive() -> ! {
    loop {
        let (effects, foreground) = RECEIVER.wait(|| {
            let mut tty = terminal();
            let byte = if tty.room() > 0 { input::take_or_listen()? } else { return None };
            let effects = tty.input(byte, &mut Output::new());
            Some((effects, tty.job.foreground))
        });
        if let (Some(signal), Some(group)) = (effects.signal, foreground) {
            asks::signal_group(group, signal);
        }
        act(effects);
    }
}

/// Wakes those that an event of the terminal concerns.
pub fn act(effects: Effects) {
    if effects.wake_readers {
        READERS.wake_all();
    }
    if effects.flow == Some(Flow::Start) {
        WRITERS.wake_all();
    }
    if effects.wake_readers || effects.flow.is_some() {
        changes::changed();
    }
    // There may be room for further bytes now.
    RECEIVER.wake_all();
}

/// Whether the running task may use the terminal now. A task in the background has the signal sent to its group.
///
/// # Errors
/// ERESTARTSYS with the signal; EIO, ENOTTY.
pub fn check(tty: Held, access: Access) -> Result<Held, Errno> {
    let signal = if access == Access::Read { Signal::SIGTTIN } else { Signal::SIGTTOU };
    let caller = asks::terminal_caller(&tty.job, signal);
    match tty.job.check(access, &caller, tty.termios()) {
        Ok(()) => Ok(tty),
        Err(error) => {
            drop(tty);
            Err(denied(error, caller.group))
        }
    }
}

/// The error of a task that may not use the terminal now. No lock is held: a signal may be sent.
pub fn denied(error: Denied, group: u32) -> Errno {
    match error {
        Denied::Signal(signal) => {
            asks::signal_group(group, signal);
            Errno::ERESTARTSYS
        }
        Denied::Errno(number) => Errno::new(number),
    }
}

/// read(2). Thread context; may sleep.
///
/// # Errors
/// EAGAIN without `wait`, ERESTARTSYS, EIO.
pub fn read(to: &mut [u8], wait: bool) -> Result<usize, Errno> {
    drop(check(terminal(), Access::Read)?);
    let (mut done, mut deadline) = (0, None);
    let mut _alarm = None;
    let outcome = READERS.wait_unless(
        || !wait || asks::interrupted(),
        || {
            let (now_done, tenths) = match terminal().read(to, done) {
                Read::Return(count) => return Some(count),
                Read::Wait { done, tenths } => (done, tenths),
            };
            if now_done > done || deadline.is_none() {
                deadline = tenths.map(|tenths| clock::nanoseconds() + u64::from(tenths) * 100_000_000);
                _alarm = deadline.map(Alarm::at);
            }
            done = now_done;
            deadline.is_some_and(|deadline| clock::nanoseconds() >= deadline).then_some(done)
        },
    );
    RECEIVER.wake_all();
    match outcome {
        Ok(count) => Ok(count),
        Err(_) if done > 0 => Ok(done),
        Err(_) => Err(cut(wait)),
    }
}

/// write(2). Thread context; may sleep.
///
/// # Errors
/// EAGAIN without `wait`, ERESTARTSYS, EIO.
pub fn write(from: &[u8], wait: bool) -> Result<usize, Errno> {
    drop(check(terminal(), Access::Write)?);
    wait_for_flow(wait, |tty| {
        tty.output(from, &mut Output::new());
        from.len()
    })
}

/// Does something once output is not stopped.
fn wait_for_flow<R>(wait: bool, then: impl Fn(&mut Tty) -> R) -> Result<R, Errno> {
    let outcome = WRITERS.wait_unless(
        || !wait || asks::interrupted(),
        || {
            let mut tty = terminal();
            (!tty.is_stopped()).then(|| then(&mut tty))
        },
    );
    outcome.map_err(|_| cut(wait))
}

/// What poll(2) shows.
pub(super) fn readiness() -> u32 {
    let tty = terminal();
    let mut ready = 0;
    if tty.is_readable() {
        ready |= raw::POLLIN | raw::POLLRDNORM;
    }
    if !tty.is_stopped() {
        ready |= raw::POLLOUT | raw::POLLWRNORM;
    }
    ready
}

/// Takes the terminal away from the session of the running task, if the task leads it: the session's end, or TIOCNOTTY. The foreground
/// group gets SIGHUP and SIGCONT. Thread context; may sleep.
///
/// # Errors
/// ENOTTY if the terminal is not the task's.
pub fn leave() -> Result<(), Errno> {
    let mut tty = terminal();
    let caller = asks::terminal_caller(&tty.job, Signal::SIGTTOU);
    if !caller.controlled_by_this {
        return Err(Errno::ENOTTY);
    }
    let foreground = if caller.leads_session { tty.job.release() } else { None };
    drop(tty);
    if let Some(group) = foreground {
        asks::signal_group(group, Signal::SIGHUP);
        asks::signal_group(group, Signal::SIGCONT);
    }
    Ok(())
}

/// The session that a process led has lost its leader: the terminal is nobody's, if it was the session's. The foreground group gets SIGHUP and
/// SIGCONT. Thread context; may sleep.
pub fn session_ends(leader: u32) {
    let foreground = {
        // Without a terminal no session has one.
        let mut tty = TERMINAL.lock();
        let Some(tty) = tty.as_mut().filter(|tty| tty.job.session == Some(leader)) else { return };
        tty.job.release()
    };
    if let Some(group) = foreground {
        asks::signal_group(group, Signal::SIGHUP);
        asks::signal_group(group, Signal::SIGCONT);
    }
}

/// Opens the terminal. `own` says that it is asked for as the task's own (`/dev/tty`); with `acquire` the leader of a session without a terminal
/// makes it the session's, if it is nobody's.
///
/// # Errors
/// ENXIO if it is asked for as the task's own, and is not.
pub(super) fn open(own: bool, acquire: bool) -> Result<(), Errno> {
    let mut tty = terminal();
    let caller = asks::terminal_caller(&tty.job, Signal::SIGTTOU);
    if own && !caller.controlled_by_this {
        return Err(Errno::ENXIO);
    }
    if acquire {
        // Who cannot have it opens it all the same.
        let _ = tty.job.acquire(&caller, false);
    }
    Ok(())
}
