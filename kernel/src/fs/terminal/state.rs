//! A terminal: the line discipline of the crate `tty`, behind a lock, and who waits for it.
//!
//! The interrupt of received bytes only wakes a thread of the terminal. The thread takes the bytes, so that echo, signals and wake-ups
//! happen in thread context, and the interrupt handler never waits for a lock that a writer holds.
//!
//! What is written goes to the port at once, under the lock: so the order of output and echo is that of the line discipline's columns.
//! While output is stopped (^S), or the port has no room, writers wait. The echo does not wait, and is lost if there is no room.

use super::output::Output;
use super::port::Port;
use crate::clock;
use crate::errno::Errno;
use crate::fs::owner::{Event, Listeners};
use crate::fs::pipe::cut;
use crate::fs::{asks, changes};
use crate::sched::{Alarm, Mutex, MutexGuard, WaitQueue};
use alloc::collections::TryReserveError;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use linux_raw_sys::general as raw;
use signals::Signal;
use tty::{Access, Denied, Effects, Flow, Job, Read, Tty};

/// How many received bytes are taken under the lock before others get it.
const BATCH: usize = 256;

/// A terminal.
pub struct Terminal {
    port: Port,
    /// None until [`init`](Self::init).
    state: Mutex<Option<State>>,
    /// Those that wait for input.
    readers: WaitQueue,
    /// Those that wait until output goes on.
    writers: WaitQueue,
    /// The terminal's thread, which waits for received bytes and for room.
    receiver: WaitQueue,
    /// The open files with O_ASYNC.
    pub listeners: Listeners,
    /// A write by somebody who did not wait has found too little room, and the listeners are told when there is some.
    wants_room: AtomicBool,
}

struct State {
    tty: Tty,
    /// How many open files lead to the terminal.
    opened: usize,
}

/// What the terminal's thread has to tell others.
struct Happened {
    /// What the received bytes have done.
    effects: Effects,
    /// The foreground group at that time.
    foreground: Option<u32>,
    /// The port has sent bytes.
    sent: bool,
    /// There is room, and somebody wants to know it.
    has_room: bool,
}

/// The line discipline of a terminal, under its lock.
pub struct Held<'a>(MutexGuard<'a, Option<State>>);

impl Held<'_> {
    fn state(&mut self) -> &mut State {
        self.0.as_mut().expect("a terminal is made before a program can open it")
    }
}

impl Deref for Held<'_> {
    type Target = Tty;

    fn deref(&self) -> &Tty {
        &self.0.as_ref().expect("a terminal is made before a program can open it").tty
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Tty {
        &mut self.state().tty
    }
}

/// An open file's part of a terminal. When the last one is dropped, what was typed and not read is lost, as on Linux. What arrives while nobody
/// has the terminal open stays in the port.
pub struct TerminalEnd(&'static Terminal);

impl TerminalEnd {
    /// The terminal.
    pub fn terminal(&self) -> &'static Terminal {
        self.0
    }
}

impl Drop for TerminalEnd {
    fn drop(&mut self) {
        let mut held = self.0.lock();
        let state = held.state();
        state.opened -= 1;
        if state.opened == 0 {
            state.tty.flush_input();
        }
    }
}

impl Terminal {
    pub(super) const fn new(port: Port) -> Self {
        Self {
            port,
            state: Mutex::new(None),
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
            receiver: WaitQueue::new(),
            listeners: Listeners::new(),
            wants_room: AtomicBool::new(false),
        }
    }

    /// Makes the terminal. Thread context; may sleep.
    ///
    /// # Errors
    /// No memory.
    pub(super) fn init(&self, job: Job) -> Result<(), TryReserveError> {
        let mut tty = Tty::new()?;
        tty.job = job;
        *self.state.lock() = Some(State { tty, opened: 0 });
        Ok(())
    }

    /// Whether the terminal was made.
    pub fn exists(&self) -> bool {
        self.state.lock().is_some()
    }

    /// Takes the terminal's lock. Thread context; may sleep.
    pub fn lock(&self) -> Held<'_> {
        Held(self.state.lock())
    }

    /// Where the line discipline's output goes.
    pub fn output(&self) -> Output {
        Output::new(self.port)
    }

    /// Whose terminal it is; nobody's if it was not made.
    pub fn job(&self) -> Job {
        self.state.lock().as_ref().map_or_else(Job::default, |state| state.tty.job)
    }

    /// An end for an open file. Thread context; may sleep.
    pub(super) fn end(&'static self) -> TerminalEnd {
        self.lock().state().opened += 1;
        // Bytes may wait in the port.
        self.receiver.wake_all();
        TerminalEnd(self)
    }

    /// Handles the port's interrupt.
    pub(super) fn interrupt(&self) {
        self.port.acknowledge();
        self.receiver.wake_all();
    }

    /// The terminal's thread: takes received bytes as long as there is room for them, and has the port send.
    pub(super) fn serve(&self) -> ! {
        loop {
            let Happened { effects, foreground, sent, has_room } = self.receiver.wait(|| self.serve_once());
            if sent {
                self.writers.wake_all();
                changes::changed();
            }
            if has_room {
                self.listeners.tell(Event::Room);
            }
            if effects.wake_readers {
                self.listeners.tell(Event::Input);
            }
            if let (Some(signal), Some(group)) = (effects.signal, foreground) {
                asks::signal_group(group, signal);
            }
            self.act(effects);
        }
    }

    /// Takes received bytes up to one that raises a signal, and has the port send. None if there was nothing to do.
    fn serve_once(&self) -> Option<Happened> {
        let mut held = self.lock();
        let sent = self.port.advance();
        let mut effects = Effects::default();
        let mut taken = 0;
        while held.state().opened != 0 && taken < BATCH && held.room() > 0 && effects.signal.is_none() {
            let Some(byte) = self.port.take_or_listen() else { break };
            effects = effects.and_then(held.input(byte, &mut self.output()));
            taken += 1;
        }
        let has_room = self.wants_room.load(Relaxed) && self.has_room(&held);
        if has_room {
            self.wants_room.store(false, Relaxed);
        }
        let foreground = held.job.foreground;
        (sent || taken > 0 || has_room).then_some(Happened { effects, foreground, sent, has_room })
    }

    /// Wakes those that an event of the terminal concerns.
    pub fn act(&self, effects: Effects) {
        if effects.wake_readers {
            self.readers.wake_all();
        }
        if effects.flow == Some(Flow::Start) {
            self.writers.wake_all();
        }
        if effects.wake_readers || effects.flow.is_some() {
            changes::changed();
        }
        // There may be room for further bytes now.
        self.receiver.wake_all();
    }

    /// Whether the running task may use the terminal now. A task in the background has the signal sent to its group.
    ///
    /// # Errors
    /// ERESTARTSYS with the signal; EIO, ENOTTY.
    pub fn check(&self, access: Access) -> Result<Held<'_>, Errno> {
        let signal = if access == Access::Read { Signal::SIGTTIN } else { Signal::SIGTTOU };
        let held = self.lock();
        let caller = asks::terminal_caller(&held.job, signal);
        match held.job.check(access, &caller, held.termios()) {
            Ok(()) => Ok(held),
            Err(error) => {
                drop(held);
                Err(denied(error, caller.group))
            }
        }
    }

    /// read(2). Thread context; may sleep.
    ///
    /// # Errors
    /// EAGAIN without `wait`, ERESTARTSYS, EIO.
    pub fn read(&self, to: &mut [u8], wait: bool) -> Result<usize, Errno> {
        drop(self.check(Access::Read)?);
        let (mut done, mut deadline) = (0, None);
        let mut _alarm = None;
        let outcome = self.readers.wait_unless(
            || !wait || asks::interrupted(),
            || {
                let (now_done, tenths) = match self.lock().read(to, done) {
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
        self.receiver.wake_all();
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
    pub fn write(&self, from: &[u8], wait: bool) -> Result<usize, Errno> {
        drop(self.check(Access::Write)?);
        let mut done = 0;
        let outcome = self.writers.wait_unless(
            || !wait || asks::interrupted(),
            || {
                let mut held = self.lock();
                if held.is_stopped() {
                    return None;
                }
                let fits = held.output_fits(self.port.room()).min(from.len() - done);
                held.output(&from[done..done + fits], &mut self.output());
                done += fits;
                (done == from.len()).then_some(())
            },
        );
        match outcome {
            Ok(()) => Ok(done),
            Err(_) => {
                self.wants_room.store(self.listeners.any(), Relaxed);
                // There may be room already.
                self.receiver.wake_all();
                if done > 0 { Ok(done) } else { Err(cut(wait)) }
            }
        }
    }

    /// tcdrain(3): waits until all output was sent. Thread context; may sleep.
    ///
    /// # Errors
    /// ERESTARTSYS.
    pub fn drain(&self) -> Result<(), Errno> {
        let sent = || (self.port.queued() == 0).then_some(());
        self.writers.wait_unless(asks::interrupted, sent).map_err(|_| Errno::ERESTARTSYS)
    }

    /// How many bytes wait to be sent.
    pub fn unsent(&self) -> usize {
        self.port.queued()
    }

    /// Whether a write takes something without a wait.
    fn has_room(&self, tty: &Tty) -> bool {
        !tty.is_stopped() && tty.output_fits(self.port.room()) > 0
    }

    /// What poll(2) shows.
    pub fn readiness(&self) -> u32 {
        let held = self.lock();
        let mut ready = 0;
        if held.is_readable() {
            ready |= raw::POLLIN | raw::POLLRDNORM;
        }
        if self.has_room(&held) {
            ready |= raw::POLLOUT | raw::POLLWRNORM;
        }
        ready
    }
}

/// The error of a task that may not use a terminal now. No lock is held: a signal may be sent.
pub fn denied(error: Denied, group: u32) -> Errno {
    match error {
        Denied::Signal(signal) => {
            asks::signal_group(group, signal);
            Errno::ERESTARTSYS
        }
        Denied::Errno(number) => Errno::new(number),
    }
}
