//! The scheduler's state: creation, tasks that come and go, queries.

use alloc::vec::Vec;

use crate::{
    CpuSet, Error, LockKey, MAX_CPUS, MIN_GRANULARITY, Policy, Priority, TaskId, TaskState,
    cpu::Cpu,
    lock_table::LockTable,
    task::{Requeue, Slot, State, Task, Tasks},
};

/// Who runs where. See the crate's documentation for the rules of use.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) tasks: Tasks,
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) locks: LockTable,
    pub(crate) online: CpuSet,
    /// The CPUs that shall call `pick` soon.
    pub(crate) reschedule: CpuSet,
    /// Those of `reschedule` that nobody has told yet.
    pub(crate) kicks: CpuSet,
    /// The CPUs that have a ready real-time task: mostly none.
    pub(crate) real_time_ready: CpuSet,
    /// The latest time that a caller gave.
    pub(crate) now: u64,
    /// How long a fair task runs at least before [`tick`](Self::tick) lets another fair task take over, in nanoseconds.
    pub(crate) granularity: u64,
}

impl Scheduler {
    /// A scheduler for CPUs 0 to `cpus - 1`, none of them online, without tasks. Allocates.
    ///
    /// [`Error::Invalid`] for more than [`MAX_CPUS`] CPUs or none, [`Error::NoMemory`].
    pub fn new(cpus: usize) -> Result<Self, Error> {
        if cpus == 0 || cpus > MAX_CPUS {
            return Err(Error::Invalid);
        }
        let mut all = Vec::new();
        all.try_reserve_exact(cpus).map_err(|_| Error::NoMemory)?;
        for _ in 0..cpus {
            all.push(Cpu::new(0)?);
        }
        Ok(Self {
            tasks: Tasks::default(),
            cpus: all,
            locks: LockTable::default(),
            online: CpuSet::EMPTY,
            reschedule: CpuSet::EMPTY,
            kicks: CpuSet::EMPTY,
            real_time_ready: CpuSet::EMPTY,
            now: 0,
            granularity: MIN_GRANULARITY,
        })
    }

    /// `cpu` runs its idle context and takes tasks from now on. CPUs never go offline.
    ///
    /// [`Error::Invalid`] if there is no such CPU.
    pub fn online(&mut self, cpu: usize) -> Result<(), Error> {
        if cpu >= self.cpus.len() {
            return Err(Error::Invalid);
        }
        self.online.insert(cpu);
        self.flag(cpu);
        Ok(())
    }

    /// Sets how long a fair task runs at least before [`tick`](Self::tick) lets another fair task take over, in nanoseconds. By
    /// default [`MIN_GRANULARITY`].
    pub fn set_granularity(&mut self, granularity: u64) {
        self.granularity = granularity;
    }

    /// The CPUs that are online.
    pub fn online_cpus(&self) -> CpuSet {
        self.online
    }

    /// A new task, blocked: nothing runs it before the first [`wake`](Self::wake). Allocates all that later operations on the task
    /// may need; the memory of ended tasks is used again, but not given back.
    ///
    /// `home` is where the task begins if it is free then; without it, the CPU with the fewest tasks.
    ///
    /// [`Error::Invalid`] for a bad policy, an affinity without an online CPU, or a home outside it; [`Error::NoMemory`].
    pub fn spawn(&mut self, policy: Policy, affinity: CpuSet, home: Option<usize>) -> Result<TaskId, Error> {
        let own = policy.priority()?;
        let possible = affinity & self.online;
        let least = |cpu: &usize| self.cpus[*cpu].ready() + usize::from(self.cpus[*cpu].current.is_some());
        let cpu = match home {
            Some(home) => home,
            None => possible.iter().min_by_key(least).ok_or(Error::Invalid)?,
        };
        if !possible.contains(cpu) {
            return Err(Error::Invalid);
        }
        let len = self.tasks.reserve()?;
        self.locks.reserve(len)?;
        for cpu in &mut self.cpus {
            cpu.fair.reserve(len)?;
        }
        let slot = self.tasks.add(Task {
            generation: 1,
            state: State::Blocked,
            policy,
            own,
            effective: own,
            affinity,
            cpu,
            on_cpu: false,
            pinned: 0,
            wake_pending: false,
            requeue: Requeue::Woken,
            vruntime: self.cpus[cpu].min_vruntime,
            run_time: 0,
            slice: 0,
            previous: None,
            next: None,
            heap_position: None,
            queued_level: None,
            held: None,
        });
        Ok(self.tasks.id(slot))
    }

    /// Forgets a blocked task that will never run (again), as when a fork fails half-way.
    ///
    /// [`Error::Invalid`] if the task is not blocked, or is still on its CPU's stack; [`Error::HoldsLock`] if others wait for a lock of the
    /// task.
    pub fn discard(&mut self, task: TaskId) -> Result<(), Error> {
        let slot = self.tasks.find(task)?;
        if self.tasks[slot].state != State::Blocked || self.tasks[slot].on_cpu {
            return Err(Error::Invalid);
        }
        if self.tasks[slot].held.is_some() {
            return Err(Error::HoldsLock);
        }
        self.tasks.free(slot);
        Ok(())
    }

    /// The task whose code `cpu` runs, or nothing if it is idle. A task that blocked or ended stays current until [`pick`](Self::pick).
    pub fn current(&self, cpu: usize) -> Option<TaskId> {
        Some(self.tasks.id(self.cpus.get(cpu)?.current?))
    }

    /// What the task asked for.
    pub fn policy(&self, task: TaskId) -> Result<Policy, Error> {
        Ok(self.tasks[self.tasks.find(task)?].policy)
    }

    /// How important the task is now, with what it inherits.
    pub fn priority(&self, task: TaskId) -> Result<Priority, Error> {
        Ok(self.tasks[self.tasks.find(task)?].effective)
    }

    /// What the task does.
    pub fn state(&self, task: TaskId) -> Result<TaskState, Error> {
        Ok(match self.tasks[self.tasks.find(task)?].state {
            State::Running => TaskState::Running,
            State::Ready => TaskState::Ready,
            State::Blocked => TaskState::Blocked,
            State::Waiting(lock) => TaskState::WaitsForLock(self.locks[lock].key),
            State::Exited => TaskState::Exited,
            State::Free => return Err(Error::NoSuchTask),
        })
    }

    /// Whether no CPU uses the task's registers and stack; false for a task that has ended. If the kernel calls [`switched`](Self::switched) before
    /// a switch, this holds under the lock that it keeps over the switch.
    pub fn is_off_cpu(&self, task: TaskId) -> bool {
        self.tasks.find(task).is_ok_and(|slot| !self.tasks[slot].on_cpu)
    }

    /// Where the task runs, is ready, or ran last.
    pub fn cpu(&self, task: TaskId) -> Result<usize, Error> {
        Ok(self.tasks[self.tasks.find(task)?].cpu)
    }

    /// The affinity as it was set, with CPUs that are not online if it has such.
    pub fn affinity(&self, task: TaskId) -> Result<CpuSet, Error> {
        Ok(self.tasks[self.tasks.find(task)?].affinity)
    }

    /// The CPU time that the task has used, in nanoseconds, up to the last operation on its CPU that was given the time.
    pub fn run_time(&self, task: TaskId) -> Result<u64, Error> {
        Ok(self.tasks[self.tasks.find(task)?].run_time)
    }

    /// How many tasks wait for `cpu`, the current one not counted.
    pub fn ready(&self, cpu: usize) -> usize {
        self.cpus.get(cpu).map_or(0, Cpu::ready)
    }

    /// Who owns the lock, if somebody waits for it.
    pub fn lock_owner(&self, key: LockKey) -> Option<TaskId> {
        Some(self.tasks.id(self.locks[self.locks.find(key)?].owner))
    }

    /// A lock of the task that others wait for, if there is one. Before a task exits, its owner hands over all of these.
    pub fn contended_lock(&self, task: TaskId) -> Option<LockKey> {
        let slot = self.tasks.find(task).ok()?;
        Some(self.locks[self.tasks[slot].held?].key)
    }

    /// Only times that go on: a caller whose clock is behind cannot make another CPU's time negative.
    pub(crate) fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// `cpu`, if it is online.
    pub(crate) fn checked(&self, cpu: usize) -> Option<usize> {
        self.online.contains(cpu).then_some(cpu)
    }

    /// The CPUs where the task may run.
    pub(crate) fn allowed(&self, task: Slot) -> CpuSet {
        self.tasks[task].allowed(self.online)
    }

    /// Puts a task into the queue of its CPU.
    #[inline(always)]
    pub(crate) fn enqueue(&mut self, task: Slot, head: bool) {
        let cpu = self.tasks[task].cpu;
        if self.tasks[task].level() == 0 {
            self.cpus[cpu].fair.insert(&mut self.tasks, task);
        } else {
            self.enqueue_real_time(task, cpu, head);
        }
    }

    #[inline(never)]
    fn enqueue_real_time(&mut self, task: Slot, cpu: usize, head: bool) {
        self.cpus[cpu].real_time.insert(&mut self.tasks, task, head);
        self.real_time_ready.insert(cpu);
    }

    /// Takes a task out of the queue of its CPU.
    #[inline(always)]
    pub(crate) fn dequeue(&mut self, task: Slot) {
        let cpu = self.tasks[task].cpu;
        if self.tasks[task].queued_level.is_none() {
            self.cpus[cpu].fair.remove(&mut self.tasks, task);
        } else {
            self.dequeue_real_time(task, cpu);
        }
    }

    #[inline(never)]
    fn dequeue_real_time(&mut self, task: Slot, cpu: usize) {
        self.cpus[cpu].real_time.remove(&mut self.tasks, task);
        if self.cpus[cpu].real_time.len() == 0 {
            self.real_time_ready.remove(cpu);
        }
    }
}
