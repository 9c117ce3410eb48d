//! Events: hardware slots that a program has asked for by `perf_event_open`.
//!
//! An event is watched in one or several tasks. Each of them has a slot for it ([`TaskDebug`](crate::debug::task::TaskDebug)), which counts
//! hits while the task runs. A task has references to its events, an event has weak ones to its tasks.

use super::Task;
use super::table::table;
use crate::clock;
use crate::debug::task::{Answer, Use};
use crate::errno::Errno;
use crate::sched::{self, Mutex};
use crate::sync::IrqMutex;
use ::slots::{Access, Privilege, Request, SlotError};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use linux_raw_sys::general as raw;
pub use perf::Attributes;
use perf::{Reading, Watch};
use signals::{Fields, Info, Signal};

/// What of an event changes.
struct Changing {
    /// What is asked for now.
    attributes: Attributes,
    /// The event is closed.
    closed: bool,
}

/// An event.
pub struct PerfEvent {
    /// What was asked for first. What changes later is in `changing` only.
    attributes: Attributes,
    /// Held while the event gets another task, is enabled, disabled, changed or closed, so that each of these is seen whole by the others.
    /// Taken before all other locks.
    changing: Mutex<Changing>,
    /// What the signals carry.
    sig_data: AtomicU64,
    id: u64,
    enabled: AtomicBool,
    /// Where the event is watched.
    uses: IrqMutex<Vec<(Weak<Task>, Use)>>,
    /// The hits in tasks that do not watch any more.
    gone: AtomicU64,
    /// The count at the last PERF_EVENT_IOC_RESET.
    base: AtomicU64,
    /// The hits that were reported, for the period.
    reported: AtomicU64,
    /// Since when the event is enabled, and how long it was before, in nanoseconds.
    times: IrqMutex<(u64, u64)>,
}

static IDS: AtomicU64 = AtomicU64::new(1);

fn request_of(watch: Watch) -> Request {
    let access = match watch.access {
        perf::Access::Read => Access::Read,
        perf::Access::Write => Access::Write,
        perf::Access::ReadWrite => Access::ReadWrite,
        perf::Access::Execute => return Request::breakpoint(watch.address, Privilege::El0),
    };
    Request::watchpoint(watch.address, watch.length, access, Privilege::El0)
}

/// The error of a slot that cannot be set, as Linux names it: ENOSPC if there is none left.
pub(super) fn errno_of(error: SlotError) -> Errno {
    match error {
        SlotError::NoFreeSlot { .. } => Errno::ENOSPC,
        SlotError::WrongAddressSpace { .. } | SlotError::NotCanonical { .. } => Errno::EPERM,
        _ => Errno::EINVAL,
    }
}

impl PerfEvent {
    /// An event that is watched in one task. Thread context; may sleep.
    ///
    /// # Errors
    /// ENOSPC if the CPUs have no slot left, EPERM for an address of the kernel's, ENOMEM.
    pub fn open(task: &Arc<Task>, attributes: Attributes) -> Result<Arc<Self>, Errno> {
        let event = Arc::new(Self {
            attributes,
            changing: Mutex::new(Changing { attributes, closed: false }),
            sig_data: AtomicU64::new(attributes.sig_data),
            id: IDS.fetch_add(1, Relaxed),
            enabled: AtomicBool::new(false),
            uses: IrqMutex::new(Vec::new()),
            gone: AtomicU64::new(0),
            base: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            times: IrqMutex::new((0, 0)),
        });
        event.add(task)?;
        if !attributes.disabled {
            event.enable(true);
        }
        Ok(event)
    }

    /// Watches in one more task, which is not in the event yet, unless the event is closed. Thread context; may sleep.
    fn add(self: &Arc<Self>, task: &Arc<Task>) -> Result<(), Errno> {
        let changing = self.changing.lock();
        if changing.closed {
            return Ok(());
        }
        self.watch(task, &request_of(changing.attributes.watch))
    }

    /// Adds a slot of a task. The caller has the lock of `changing`.
    fn watch(self: &Arc<Self>, task: &Arc<Task>, request: &Request) -> Result<(), Errno> {
        let signals = self.attributes.sigtrap && self.attributes.period != 0;
        let answer = if signals { Answer::Report } else { Answer::Count };
        let this = task.debug.set_slot(request, answer).map_err(errno_of)?;
        let noted = {
            let (mut events, mut uses) = (task.events.lock(), self.uses.lock());
            let room = events.try_reserve(1).and_then(|()| uses.try_reserve(1));
            if room.is_ok() {
                events.push((this, self.clone()));
                uses.push((Arc::downgrade(task), this));
            }
            room
        };
        if noted.is_err() {
            // The slot was not enabled, so no CPU has it.
            task.debug.remove_slot(this);
            return Err(Errno::ENOMEM);
        }
        if self.enabled.load(SeqCst) {
            task.debug.enable_slot(this, true);
            task.settle_slots();
        }
        Ok(())
    }

    fn each_use(&self) -> Vec<(Weak<Task>, Use)> {
        self.uses.lock().clone()
    }

    /// Has the event count, or not. Thread context; may sleep.
    pub(crate) fn enable(&self, enabled: bool) {
        let changing = self.changing.lock();
        if !changing.closed {
            self.switch(enabled);
        }
    }

    /// As [`enable`](Self::enable). The caller has the lock of `changing`.
    fn switch(&self, enabled: bool) {
        if self.enabled.swap(enabled, SeqCst) != enabled {
            let now = clock::nanoseconds();
            let mut times = self.times.lock();
            *times = if enabled { (now, times.1) } else { (now, times.1 + now.saturating_sub(times.0)) };
        }
        for (task, this) in self.each_use() {
            if let Some(task) = task.upgrade() {
                task.debug.enable_slot(this, enabled);
                task.settle_slots();
            }
        }
    }

    /// PERF_EVENT_IOC_MODIFY_ATTRIBUTES: the event watches something else from now on, and its hits go on being counted. Thread context; may
    /// sleep.
    ///
    /// # Errors
    /// EINVAL if `new` changes more than an event can change; those of [`open`](Self::open). The event is then as it was.
    pub(crate) fn modify(self: &Arc<Self>, new: &Attributes) -> Result<(), Errno> {
        let mut changing = self.changing.lock();
        if changing.closed {
            return Ok(());
        }
        let current = &mut changing.attributes;
        let new = current.modified(new)?;
        let request = request_of(new.watch);
        request.encode().map_err(errno_of)?;
        if request.kind() == request_of(current.watch).kind() {
            if new.disabled {
                self.switch(false);
            }
            for (task, this) in self.each_use() {
                if let Some(task) = task.upgrade() {
                    task.debug.move_slot(this, &request).map_err(errno_of)?;
                    task.settle_slots();
                }
            }
        } else {
            self.exchange_slots(&request)?;
        }
        *current = new;
        self.sig_data.store(new.sig_data, Relaxed);
        self.switch(!new.disabled);
        Ok(())
    }

    /// A breakpoint becomes a watchpoint, or the other way round: each task gets another slot. Leaves the event disabled.
    fn exchange_slots(self: &Arc<Self>, request: &Request) -> Result<(), Errno> {
        let was_enabled = self.enabled.load(SeqCst);
        self.switch(false);
        let old = self.each_use();
        let tasks = || old.iter().filter_map(|(task, _)| task.upgrade());
        let exchanged = tasks().try_for_each(|task| self.watch(&task, request));
        let is_old =
            |of: &Weak<Task>, this: Use| old.iter().any(|(task, old)| *old == this && task.ptr_eq(of));
        let leaving = |(of, this): &(Weak<Task>, Use)| is_old(of, *this) == exchanged.is_ok();
        for (task, this) in self.each_use().into_iter().filter(leaving) {
            if let Some(task) = task.upgrade() {
                self.leave(&task, this);
            }
        }
        if exchanged.is_err() {
            self.switch(was_enabled);
        }
        exchanged
    }

    /// The count begins again at 0. Thread context.
    pub(crate) fn reset(&self) {
        self.base.store(self.hits(), Relaxed);
    }

    fn hits(&self) -> u64 {
        // Under the lock a use is either in the list with its hits, or its hits are in `gone`.
        let uses = self.uses.lock();
        let tasks: Vec<_> = uses.iter().filter_map(|(task, this)| Some((task.upgrade()?, *this))).collect();
        let live: u64 = tasks.iter().filter_map(|(task, this)| task.debug.slot_hits(*this)).sum();
        let hits = live + self.gone.load(SeqCst);
        // The last reference to a task may go here, without the lock.
        drop(uses);
        drop(tasks);
        hits
    }

    /// What a read returns. Thread context.
    pub fn read(&self) -> Reading {
        let (since, before) = *self.times.lock();
        let now = if self.enabled.load(SeqCst) { clock::nanoseconds().saturating_sub(since) } else { 0 };
        let time = before + now;
        let value = self.hits().saturating_sub(self.base.load(Relaxed));
        Reading { value, enabled: time, running: time, id: self.id }
    }

    /// What was asked for.
    pub(crate) fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The event's own number.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Ends the event: no task watches any more. Thread context; may sleep.
    pub fn close(&self) {
        let mut changing = self.changing.lock();
        changing.closed = true;
        self.enabled.store(false, SeqCst);
        for (task, this) in self.each_use() {
            if let Some(task) = task.upgrade() {
                self.leave(&task, this);
            }
        }
    }

    /// Ends the watch in the running task, which goes on as another program or ends. Thread context; may sleep.
    fn leaves(&self, task: &Task, this: Use) {
        let _changing = self.changing.lock();
        self.leave(task, this);
    }

    /// Ends the watch in one task. The caller has the lock of `changing`.
    fn leave(&self, task: &Task, this: Use) {
        if task.debug.enable_slot(this, false) {
            task.settle_slots();
        }
        {
            // No hit can come any more. In one section with the list, so that a sum of the hits has them once.
            let mut uses = self.uses.lock();
            if let Some(hits) = task.debug.remove_slot(this) {
                self.gone.fetch_add(hits, SeqCst);
            }
            uses.retain(|(of, other)| *other != this || !core::ptr::eq(of.as_ptr(), task));
        }
        let left = {
            let mut events = task.events.lock();
            events.iter().position(|(other, _)| *other == this).map(|at| events.swap_remove(at))
        };
        // The last reference to the event may go here, without a lock.
        drop(left);
    }

    /// The event was hit in the running task, and reports its hits. The signal that follows from this one, if one does.
    pub(super) fn hit(&self, address: u64) -> Option<Info> {
        let count = self.reported.fetch_add(1, Relaxed) + 1;
        let overflow = self.attributes.sigtrap && count.is_multiple_of(self.attributes.period.max(1));
        const TYPE: u32 = 5;
        overflow.then(|| {
            let data = self.sig_data.load(Relaxed);
            let fields = Fields::Perf { address, data, kind: TYPE, flags: 0 };
            Info { signal: Signal::SIGTRAP, errno: 0, code: raw::TRAP_PERF as i32, fields }
        })
    }
}

/// What the program is told of the hits of one instruction, or of one sequence: there is one SIGTRAP for all of them, as if those behind the
/// first one had found it pending.
#[derive(Default)]
pub(super) struct Told {
    first: Option<(Info, Option<(u64, u64)>)>,
}

impl Told {
    /// Notes a signal, with FAR_EL1 and ESR_EL1 if its handler sees them.
    pub fn note(&mut self, info: Info, fault: Option<(u64, u64)>) {
        self.first.get_or_insert((info, fault));
    }

    /// What was noted first.
    pub fn signal(&self) -> Option<(&Info, Option<(u64, u64)>)> {
        self.first.as_ref().map(|(info, fault)| (info, *fault))
    }
}

impl Task {
    /// Has the task enter the kernel if it runs on another CPU, and gives way. Returns whether it does. Thread context.
    fn enters_kernel(&self) -> bool {
        let own = super::current();
        // Another task may wait for the running one in the same way, also while the running one waits for itself.
        if let Some(own) = own {
            own.debug.catch_up();
        }
        let elsewhere =
            !own.is_some_and(|own| core::ptr::eq(own, self)) && sched::interrupt_running(self.thread());
        if elsewhere {
            sched::yield_now();
        }
        elsewhere
    }

    /// Waits until changes of the task's slots are in force. Thread context; may sleep.
    pub(super) fn settle_slots(&self) {
        self.debug.settle(|| self.enters_kernel());
    }

    /// The running task's events as it goes on as another program: they are dropped, unless they were to be enabled now (T3).
    pub(super) fn exec_drops_events(&self) {
        let events = self.events.lock().clone();
        for (this, event) in events {
            if event.attributes.enable_on_exec {
                event.enable(true);
            } else {
                event.leaves(self, this);
            }
        }
        self.drop_hw_debug();
        crate::debug::task::forget();
    }

    /// Gives back all slots, because the task ends. Thread context; may sleep.
    pub(super) fn leave_events(&self) {
        let events = self.events.lock().clone();
        for (this, event) in events {
            event.leaves(self, this);
        }
        self.drop_hw_debug();
    }

    /// Gives a new task the events that it inherits.
    pub(super) fn hand_events_on(&self, child: &Arc<Task>, thread: bool) -> Result<(), Errno> {
        let events = self.events.lock().clone();
        for (_, event) in events {
            let asked = &event.attributes;
            if asked.inherit && (thread || !asked.inherit_thread) {
                event.add(child)?;
            }
        }
        Ok(())
    }
}

/// A task by its number; 0 is the running one. Thread context.
///
/// # Errors
/// ESRCH.
pub(crate) fn task_of(own: &Task, tid: super::Pid) -> Result<Arc<Task>, Errno> {
    let tid = if tid == 0 { own.tid() } else { tid };
    table().task(tid).ok_or(Errno::ESRCH)
}
