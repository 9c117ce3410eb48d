//! Tasks that become ready: where they go, and which CPU is told.

use crate::{
    CpuSet, Error, Priority, SLEEPER_BONUS, Scheduler, TaskId,
    consts::MAX_LAG,
    fair::lag,
    run::is_equal,
    task::{Requeue, Slot, State},
};

impl Scheduler {
    /// Ends the wait of a task that [blocked](Self::block), or starts a new one: it becomes ready on a CPU that it may use, at best one that
    /// can run it at once.
    ///
    /// If the task is not blocked, the wake-up is remembered: its next [`block`](Self::block) returns at once. This also holds for a
    /// task that waits for a lock, which this call does not disturb (see [`lock_cancel`](Self::lock_cancel)).
    #[inline]
    pub fn wake(&mut self, task: TaskId, now: u64) -> Result<(), Error> {
        self.end_wait(task, None, now)
    }

    /// [`wake`](Self::wake) by the current task of `cpu`, which is about to wait itself: a task of its own level does not preempt it on `cpu`,
    /// which would cost a switch that the wait makes anyway. If the waker does not wait after all, it goes on until its turn is over.
    #[inline]
    pub fn wake_before_wait(&mut self, cpu: usize, task: TaskId, now: u64) -> Result<(), Error> {
        self.end_wait(task, Some(cpu), now)
    }

    #[inline(always)]
    fn end_wait(&mut self, task: TaskId, waker: Option<usize>, now: u64) -> Result<(), Error> {
        let slot = self.tasks.find(task)?;
        self.advance(now);
        match self.tasks[slot].state {
            State::Blocked => self.make_ready(slot, waker),
            _ => self.tasks[slot].wake_pending = true,
        }
        Ok(())
    }

    /// The CPUs that have become due for [`pick`](Self::pick) since the last call. The kernel asks before it gives back the
    /// scheduler's lock, and sends an interrupt to each of them. Its own CPU may be among them: there it looks at
    /// [`wants_reschedule`](Self::wants_reschedule) as soon as it may switch.
    #[must_use]
    pub fn take_kicks(&mut self) -> CpuSet {
        core::mem::take(&mut self.kicks)
    }

    /// Asks `cpu` to call `pick`.
    pub(crate) fn flag(&mut self, cpu: usize) {
        if !self.reschedule.contains(cpu) {
            self.reschedule.insert(cpu);
            self.kicks.insert(cpu);
        }
    }

    /// A task that waited does so no longer. It does not preempt its equals on the CPU `waker`.
    #[inline(always)]
    pub(crate) fn make_ready(&mut self, task: Slot, waker: Option<usize>) {
        let cpu = self.tasks[task].cpu;
        if !self.tasks[task].on_cpu {
            self.place_woken(task, waker);
        } else if self.cpus[cpu].current == Some(task) {
            // It has not left yet. The pick that follows its blocking finds that it may stay.
            self.tasks[task].state = State::Running;
        } else {
            self.tasks[task].state = State::Ready;
            self.tasks[task].requeue = Requeue::Woken;
        }
    }

    /// Puts a task that no CPU uses into a queue, as one that has just become ready. It does not preempt its equals on the CPU `waker`.
    #[inline]
    pub(crate) fn place_woken(&mut self, task: Slot, waker: Option<usize>) {
        if !self.joins_queue(task, waker) {
            self.place_on_some_cpu(task, waker);
        }
    }

    #[inline(never)]
    fn place_on_some_cpu(&mut self, task: Slot, waker: Option<usize>) {
        let cpu = self.choose_cpu(task);
        if self.tasks[task].cpu != cpu {
            self.move_to(task, cpu);
        }
        self.charge(cpu);
        self.limit_bonus(task);
        self.tasks[task].state = State::Ready;
        self.enqueue(task, false);
        let running = self.cpus[cpu].running(&self.tasks);
        let spared = waker == Some(cpu)
            && running.is_some_and(|running| is_equal(&self.tasks[task], &self.tasks[running]));
        self.kick_for(task, !spared);
    }

    /// The task's virtual time is taken over to `cpu` as a difference to that CPU's. The task is in no queue.
    pub(crate) fn move_to(&mut self, task: Slot, cpu: usize) {
        let from = self.cpus[self.tasks[task].cpu].min_vruntime;
        let task = &mut self.tasks[task];
        if task.cpu != cpu {
            let lag = lag(task.vruntime, from).clamp(-MAX_LAG, MAX_LAG);
            task.vruntime = self.cpus[cpu].min_vruntime.wrapping_add_signed(lag);
            task.cpu = cpu;
        }
    }

    /// A task that did not compete for a while comes back ahead of the others, but not by all that it missed.
    pub(crate) fn limit_bonus(&mut self, task: Slot) {
        let min_vruntime = self.cpus[self.tasks[task].cpu].min_vruntime;
        let task = &mut self.tasks[task];
        let lag = lag(task.vruntime, min_vruntime).clamp(-SLEEPER_BONUS.cast_signed(), MAX_LAG);
        task.vruntime = min_vruntime.wrapping_add_signed(lag);
    }

    /// Where a task shall become ready: its last CPU if nothing, or for a real-time task less important things, run there; else a
    /// CPU with nothing to do; else the one with the least important things.
    #[inline(always)]
    fn choose_cpu(&self, task: Slot) -> usize {
        let allowed = self.allowed(task);
        let last = self.tasks[task].cpu;
        if allowed == CpuSet::of(last) { last } else { self.choose_from(task, allowed, last) }
    }

    #[inline(never)]
    fn choose_from(&self, task: Slot, allowed: CpuSet, last: usize) -> usize {
        let level = self.tasks[task].level();
        let demand = |cpu: usize| self.cpus[cpu].demand(&self.tasks);
        let stays = allowed.contains(last);
        if stays && (demand(last).is_none() || (level > 0 && demand(last) < Some(level))) {
            return last;
        }
        let Some(lowest) = allowed.iter().min_by_key(|&cpu| demand(cpu)) else { return last };
        if demand(lowest).is_none() || (level > 0 && demand(lowest) < Some(level)) {
            return lowest;
        }
        if self.tasks[task].effective > Priority::Idle {
            let mut cpus = (allowed & CpuSet::of(last)).iter().chain(allowed.iter());
            if let Some(cpu) = cpus.find(|&cpu| self.runs_only_idle_policy(cpu)) {
                return cpu;
            }
        }
        if stays {
            return last;
        }
        allowed.iter().min_by_key(|&cpu| (demand(cpu), self.cpus[cpu].ready())).unwrap_or(last)
    }

    fn runs_only_idle_policy(&self, cpu: usize) -> bool {
        let idle = |task: Slot| self.tasks[task].effective == Priority::Idle;
        self.cpus[cpu].running(&self.tasks).is_some_and(idle) && self.cpus[cpu].first().is_none_or(idle)
    }

    /// `task` has become ready, or more important, or may use more CPUs: asks a CPU that shall run it at once, if there is one. A task
    /// that was `woken` can preempt also its equals in the fair class.
    #[inline(always)]
    pub(crate) fn kick_for(&mut self, task: Slot, woken: bool) {
        let cpu = self.tasks[task].cpu;
        let here = match self.cpus[cpu].running(&self.tasks) {
            Some(running) if self.tasks[running].level() == self.tasks[task].level() => {
                woken && self.goes_before(task, running, false)
            }
            Some(running) => self.tasks[running].level() < self.tasks[task].level(),
            None => true,
        };
        if here {
            self.flag(cpu);
            return;
        }
        // What runs on `cpu` is not less important than the task.
        let others = self.allowed(task) & !(self.reschedule | CpuSet::of(cpu));
        if !others.is_empty()
            && let Some(cpu) = self.lowest_below(task, others)
        {
            self.flag(cpu);
        }
    }

    /// The CPU out of `cpus` with the least important running task, if that is less important than `task`.
    fn lowest_below(&self, task: Slot, cpus: CpuSet) -> Option<usize> {
        let level = |cpu: usize| self.cpus[cpu].level(&self.tasks);
        let lowest = cpus.iter().min_by_key(|&cpu| level(cpu))?;
        (level(lowest) < Some(self.tasks[task].level())).then_some(lowest)
    }

    /// Makes sure that each ready task that could run at once on some CPU has a CPU that will look for it. `picked` is the CPU that has
    /// just chosen the most important task that it may run.
    ///
    /// Looks at no task at all unless there is a ready real-time task, or an idle CPU that nobody asked.
    #[inline]
    pub(crate) fn kick_for_all_ready(&mut self, picked: usize) {
        let quiet = self.online & !(self.reschedule | CpuSet::of(picked));
        if !quiet.is_empty() {
            self.kick_quiet(quiet);
        }
    }

    /// Asks those of the CPUs `quiet`, which nobody has asked, that can run a ready task at once.
    fn kick_quiet(&mut self, quiet: CpuSet) {
        let level = |cpu: usize| self.cpus[cpu].level(&self.tasks);
        let Some(lowest) = quiet.iter().map(level).min() else { return };
        if lowest.is_some() && self.real_time_ready.is_empty() {
            return;
        }
        let mut idle = CpuSet::EMPTY;
        quiet.iter().filter(|&cpu| level(cpu).is_none()).for_each(|cpu| idle.insert(cpu));
        // Each CPU that was asked already takes one task.
        let mut takers = self.reschedule;
        let mut asked = CpuSet::EMPTY;
        for cpu in self.online.iter() {
            let queue = &self.cpus[cpu];
            let real_time = queue.real_time.above(lowest.unwrap_or(0), &self.tasks);
            for task in real_time.chain(queue.fair.rather_late_first()) {
                if self.tasks[task].level() == 0 && (idle & !asked).is_empty() {
                    break;
                }
                let allowed = self.allowed(task);
                if let Some(taker) = (allowed & takers).iter().next() {
                    takers.remove(taker);
                } else if let Some(cpu) = self.lowest_below(task, allowed & quiet & !asked) {
                    asked.insert(cpu);
                }
            }
        }
        asked.iter().for_each(|cpu| self.flag(cpu));
    }
}
