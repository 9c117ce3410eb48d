//! Who is told by a signal that something can be read or written: O_ASYNC and F_SETOWN of fcntl(2).

use super::asks;
use super::receiver::Receiver;
use crate::sched::Mutex;
use crate::sync::IrqMutex;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use linux_raw_sys::general as raw;
use signals::{Fields, Info, Signal};

/// Who owns an open file, as far as signals go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Who gets the signals.
    pub receiver: Option<Receiver>,
    /// F_SETSIG; without it the signal is SIGIO, and says nothing about the file.
    pub signal: Option<Signal>,
}

/// What has happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something can be read.
    Input,
    /// There is room again after a write that found too little.
    Room,
}

impl Event {
    /// `si_code`, and `si_band`.
    fn code_and_band(self) -> (u32, u32) {
        match self {
            Self::Input => (raw::POLL_IN, raw::POLLIN | raw::POLLRDNORM),
            Self::Room => (raw::POLL_OUT, raw::POLLOUT | raw::POLLWRNORM | raw::POLLWRBAND),
        }
    }
}

impl Owner {
    /// Sends the signal of an event. `descriptor` is the one by which O_ASYNC was set.
    fn tell(self, event: Event, descriptor: u32) {
        let Some(receiver) = self.receiver else { return };
        let plain = Info::kernel(Signal::SIGIO);
        let sent = self.signal.map(|signal| {
            let (code, band) = event.code_and_band();
            // Codes of some signals mean something else already.
            let code = if has_own_codes(signal) { raw::SI_SIGIO } else { code as i32 };
            let fields = Fields::Poll { band: band.into(), fd: descriptor.cast_signed() };
            asks::signal(receiver, &Info { signal, errno: 0, code, fields })
        });
        // As on Linux, SIGIO says that the queue of the other signal was full.
        if sent != Some(true) {
            asks::signal(receiver, &plain);
        }
    }
}

/// Whether positive codes of the signal have meanings of their own. Those of SIGIO are the codes of files.
fn has_own_codes(signal: Signal) -> bool {
    [
        Signal::SIGILL,
        Signal::SIGFPE,
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGTRAP,
        Signal::SIGCHLD,
        Signal::SIGSYS,
    ]
    .contains(&signal)
}

/// What has an owner: an open file.
pub trait Owned: Send + Sync {
    /// Who owns it now.
    fn owner(&self) -> Owner;
}

/// The open files of a device or the like that have O_ASYNC, each with the descriptor by which it was set.
pub struct Listeners {
    list: IrqMutex<Vec<(Weak<dyn Owned>, u32)>>,
    /// Held while owners are told: whoever is taken out of the list is told of nothing afterwards.
    telling: Mutex<()>,
    /// Whether there are some. Written under the lock.
    any: AtomicBool,
}

impl Default for Listeners {
    fn default() -> Self {
        Self::new()
    }
}

impl Listeners {
    /// Nobody listens.
    pub const fn new() -> Self {
        Self { list: IrqMutex::new(Vec::new()), telling: Mutex::new(()), any: AtomicBool::new(false) }
    }

    /// An open file gets O_ASYNC by this descriptor, or loses it. Thread context; may sleep.
    pub fn set(&self, file: &Arc<dyn Owned>, descriptor: u32, on: bool) {
        let _telling = self.telling.lock();
        let mut listeners = self.list.lock();
        let file = Arc::downgrade(file);
        listeners.retain(|(other, _)| other.strong_count() != 0 && !other.ptr_eq(&file));
        if on {
            listeners.push((file, descriptor));
        }
        self.any.store(!listeners.is_empty(), Relaxed);
    }

    /// Whether somebody listens, or has listened. Any context.
    #[inline]
    pub fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Tells the owners of an event. Thread context without locks; may sleep.
    #[inline]
    pub fn tell(&self, event: Event) {
        if self.any() {
            self.tell_all(event);
        }
    }

    #[cold]
    fn tell_all(&self, event: Event) {
        let telling = self.telling.lock();
        let files: Vec<_> =
            self.list.lock().iter().filter_map(|(file, number)| Some((file.upgrade()?, *number))).collect();
        for (file, number) in &files {
            file.owner().tell(event, *number);
        }
        drop(telling);
        // Giving back the last reference of a file may sleep, and may take locks of the device, and this one.
        drop(files);
    }
}
