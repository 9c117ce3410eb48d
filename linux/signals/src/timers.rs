//! The timers that a process makes by `timer_create`.
//!
//! Instants are nanoseconds of the clock that never jumps. The caller turns instants of other clocks into these, sleeps until
//! [`Timers::next`], and sends what [`Timers::expire`] gives.

use alloc::collections::BTreeMap;

use linux_raw_sys::general::SI_TIMER;

use crate::{Error, Fields, Info, Signal};

/// What happens when a timer expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notify {
    /// Nothing (SIGEV_NONE): the timer can only be asked.
    Nothing,
    /// The process gets a signal (SIGEV_SIGNAL).
    Process(Signal),
    /// One thread gets a signal (SIGEV_THREAD_ID).
    Thread(Signal, u32),
}

/// When a timer expires next, and then again and again: both in nanoseconds, 0 for never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Setting {
    /// The time that is left, or with [`Timers::set`] the instant.
    pub first: u64,
    /// The time between expiries.
    pub interval: u64,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    clock: u32,
    notify: Notify,
    value: u64,
    /// The instant of the next expiry, and the time between expiries.
    setting: Setting,
    /// The instants are those of a clock that can be set, and move with it.
    follows: bool,
    /// How often the timer had expired again when its last signal was delivered.
    overrun: i32,
}

/// An expiry: who gets the signal, which is the process if no thread is named.
pub type Expiry = (Option<u32>, Info);

/// The timers of a process. A child of `fork` begins without timers, and `execve` drops them.
#[derive(Debug, Default)]
pub struct Timers {
    timers: BTreeMap<i32, Timer>,
    /// The number of the next timer.
    next: i32,
}

/// How many timers a process may have. Linux counts them as queued signals (RLIMIT_SIGPENDING).
const MOST: usize = 1024;

impl Timers {
    /// No timers. Allocates nothing.
    pub const fn new() -> Self {
        Self { timers: BTreeMap::new(), next: 0 }
    }

    /// Makes a timer of a clock (CLOCK_*), which does not run yet. Without a `value` its signals carry its number. Returns the number.
    ///
    /// # Errors
    /// [`Error::Again`] if there are too many.
    pub fn create(&mut self, clock: u32, notify: Notify, value: Option<u64>) -> Result<i32, Error> {
        if self.timers.len() >= MOST {
            return Err(Error::Again);
        }
        while self.timers.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1) & i32::MAX;
        }
        let id = self.next;
        self.next = id.wrapping_add(1) & i32::MAX;
        // Only the first 4 bytes of a `union sigval` hold its int.
        let value = value.unwrap_or(u64::from(id.cast_unsigned()));
        let setting = Setting::default();
        self.timers.insert(id, Timer { clock, notify, value, setting, follows: false, overrun: 0 });
        Ok(id)
    }

    fn timer(&mut self, id: i32) -> Result<&mut Timer, Error> {
        self.timers.get_mut(&id).ok_or(Error::Invalid)
    }

    /// Has a timer expire at an instant, or never, and then after each interval. Returns what was left of the old setting.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such timer.
    pub fn set(&mut self, id: i32, setting: Setting, now: u64) -> Result<Setting, Error> {
        let timer = self.timer(id)?;
        let old = timer.left(now);
        (timer.setting, timer.follows, timer.overrun) = (setting, false, 0);
        Ok(old)
    }

    /// The instant that a timer was set to is one of CLOCK_REALTIME: it moves when that clock is set.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such timer.
    pub fn follow(&mut self, id: i32) -> Result<(), Error> {
        self.timer(id)?.follows = true;
        Ok(())
    }

    /// CLOCK_REALTIME was set: it was `before` nanoseconds ahead of the clock that never jumps, and now it is `after` ahead.
    pub fn clock_set(&mut self, before: u64, after: u64) {
        for timer in self.timers.values_mut().filter(|timer| timer.follows && timer.setting.first != 0) {
            // 0 would stop the timer: an instant of the past is the first one that there is.
            let instant = timer.setting.first.saturating_add(before).saturating_sub(after);
            timer.setting.first = instant.max(1);
        }
    }

    /// What is left until a timer expires, and its interval.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such timer.
    pub fn get(&mut self, id: i32, now: u64) -> Result<Setting, Error> {
        Ok(self.timer(id)?.left(now))
    }

    /// The clock that a timer was made with.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such timer.
    pub fn clock(&mut self, id: i32) -> Result<u32, Error> {
        Ok(self.timer(id)?.clock)
    }

    /// How often a timer had expired again when its last signal was delivered.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such timer.
    pub fn overrun(&mut self, id: i32) -> Result<i32, Error> {
        Ok(self.timer(id)?.overrun)
    }

    /// Deletes a timer. The caller drops its signal, if one is pending.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such timer.
    pub fn delete(&mut self, id: i32) -> Result<(), Error> {
        self.timers.remove(&id).map(|_| ()).ok_or(Error::Invalid)
    }

    /// The numbers of all timers.
    pub fn ids(&self) -> impl Iterator<Item = i32> {
        self.timers.keys().copied()
    }

    /// Takes note of the delivery of a signal, if it is one of a timer: then `now` is asked for the time. Expiries that are due by then, and for which nobody has called
    /// [`Timers::expire`], are counted in the signal.
    pub fn delivered(&mut self, info: &mut Info, now: impl FnOnce() -> u64) {
        if let Fields::Timer { id, overrun, .. } = &mut info.fields
            && let Ok(timer) = self.timer(*id)
        {
            let now = now();
            if timer.setting.interval != 0 && (1..=now).contains(&timer.setting.first) {
                *overrun = overrun.saturating_add(timer.advance(now)).saturating_add(1);
            }
            timer.overrun = *overrun;
        }
    }

    /// The instant of the next expiry that sends a signal.
    pub fn next(&self) -> Option<u64> {
        let running = |timer: &&Timer| timer.notify != Notify::Nothing && timer.setting.first != 0;
        self.timers.values().filter(running).map(|timer| timer.setting.first).min()
    }

    /// Takes one expiry that is due. Expiries of the same timer that were missed make one signal, whose overrun counts the others.
    pub fn expire(&mut self, now: u64) -> Option<Expiry> {
        let due = |timer: &Timer| timer.notify != Notify::Nothing && (1..=now).contains(&timer.setting.first);
        let (&id, timer) = self.timers.iter_mut().find(|(_, timer)| due(timer))?;
        let overrun = timer.advance(now);
        let (thread, signal) = match timer.notify {
            Notify::Thread(signal, thread) => (Some(thread), signal),
            Notify::Process(signal) => (None, signal),
            Notify::Nothing => return None,
        };
        let fields = Fields::Timer { id, overrun, value: timer.value };
        Some((thread, Info { signal, errno: 0, code: SI_TIMER, fields }))
    }
}

impl Timer {
    /// Goes on to the next expiry behind `now`, which is not before the one that is due. Returns how many expiries besides that one were
    /// passed over.
    fn advance(&mut self, now: u64) -> i32 {
        let Setting { first, interval } = self.setting;
        let missed = now.saturating_sub(first).checked_div(interval).unwrap_or(0);
        let step = interval.saturating_mul(missed.saturating_add(1));
        self.setting.first = if interval == 0 { 0 } else { first.saturating_add(step) };
        i32::try_from(missed).unwrap_or(i32::MAX)
    }

    fn left(&self, now: u64) -> Setting {
        let Setting { first, interval } = self.setting;
        let left = match first {
            0 => 0,
            _ if first > now => first - now,
            // Nobody takes the expiries of a timer that sends no signal: the next one is computed when somebody asks.
            _ if self.notify == Notify::Nothing => {
                (now - first).checked_rem(interval).map_or(0, |since| interval - since)
            }
            // The signal has not been sent yet: the timer still runs.
            _ => 1,
        };
        Setting { first: left, interval }
    }
}
