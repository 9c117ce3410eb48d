//! What a CPU calls for itself: which task runs, and for how long.

use crate::{
    BALANCE_INTERVAL, Error, Policy, RR_QUANTUM, Scheduler, TaskId, WAKEUP_GRANULARITY,
    fair::{before, lag},
    task::{Requeue, Slot, State, Task},
    weight::virtual_time,
};

impl Scheduler {
    /// Decides what `cpu` runs next, and makes it current. `None` means that the CPU shall be idle.
    ///
    /// If the answer is not the task that was current, the kernel switches to its context and then calls
    /// [`switched`](Self::switched), all with interrupts masked. Until then further calls repeat the answer.
    #[inline(never)]
    pub fn pick(&mut self, cpu: usize, now: u64) -> Option<TaskId> {
        let cpu = self.checked(cpu)?;
        if self.cpus[cpu].leaving.is_some() {
            return self.current(cpu);
        }
        self.advance(now);
        self.charge(cpu);
        self.kicks.remove(cpu);
        let was_asked = self.reschedule.remove(cpu);
        let rotate = core::mem::take(&mut self.cpus[cpu].rotate);
        let previous = self.cpus[cpu].current;
        let next = self.choose_next(cpu, rotate);
        if next != previous {
            if let Some(next) = next {
                self.take(next, cpu);
            }
            if let Some(previous) = previous {
                self.cpus[cpu].leaving = Some(previous);
                let task = &mut self.tasks[previous];
                if task.state == State::Running {
                    task.state = State::Ready;
                    task.requeue = if rotate { Requeue::Tail } else { Requeue::Head };
                }
            }
            self.cpus[cpu].current = next;
        }
        // Some ready task may have counted on this CPU, which chose another one.
        if was_asked {
            self.kick_for_all_ready(cpu);
        }
        Some(self.tasks.id(next?))
    }

    #[inline]
    fn choose_next(&self, cpu: usize, rotate: bool) -> Option<Slot> {
        let running = self.cpus[cpu].running(&self.tasks).filter(|&task| self.allowed(task).contains(cpu));
        let first = self.cpus[cpu].first();
        let local = match (running, first) {
            (Some(running), Some(first)) if self.goes_before(first, running, rotate) => Some(first),
            (running, first) => running.or(first),
        };
        let level = local.map(|task| self.tasks[task].level());
        self.find_elsewhere(cpu, level).or(local)
    }

    /// Takes a ready task out of its queue, wherever that is, and lets it run on `cpu`.
    #[inline(always)]
    fn take(&mut self, task: Slot, cpu: usize) {
        self.dequeue(task);
        if self.tasks[task].cpu != cpu {
            self.move_to(task, cpu);
        }
        let task = &mut self.tasks[task];
        task.state = State::Running;
        task.on_cpu = true;
        if task.level() == 0 {
            task.slice = 0;
        }
    }

    /// As the function of the same name says, for two tasks of the same CPU.
    #[inline(always)]
    pub(crate) fn goes_before(&self, first: Slot, running: Slot, rotate: bool) -> bool {
        goes_before(&self.tasks[first], &self.tasks[running], rotate, self.granularity)
    }

    /// The switch that [`pick`](Self::pick) decided is over: nothing of the task before is in use on this CPU any more, so that other
    /// CPUs may run it. Called in the new context, also in the first run of a new task and in the idle context; or before the switch, by a
    /// kernel that keeps its lock over the switch.
    ///
    /// The answer is the task that was left if it has [ended](Self::exit): its id is not valid any more, and its stack may be freed.
    #[inline]
    pub fn switched(&mut self, cpu: usize) -> Option<TaskId> {
        let cpu = self.checked(cpu)?;
        let left = self.cpus[cpu].leaving.take()?;
        self.tasks[left].on_cpu = false;
        match self.tasks[left].state {
            State::Exited => {
                let id = self.tasks.id(left);
                self.tasks.free(left);
                return Some(id);
            }
            State::Ready => self.requeue(left, cpu),
            _ => {}
        }
        None
    }

    #[inline(never)]
    fn requeue(&mut self, task: Slot, cpu: usize) {
        let requeue = self.tasks[task].requeue;
        if requeue == Requeue::Woken || !self.allowed(task).contains(cpu) {
            self.place_woken(task, None);
        } else {
            self.enqueue(task, requeue == Requeue::Head);
            self.kick_for(task, false);
        }
    }

    /// The current task of `cpu` waits for [`wake`](Self::wake): `true`, and the kernel then calls [`pick`](Self::pick). If somebody
    /// has called `wake` for the task since [`prepare_to_wait`](Self::prepare_to_wait), nothing happens and the answer is `false`.
    /// `false` too if no task runs.
    #[inline(always)]
    pub fn block(&mut self, cpu: usize, now: u64) -> bool {
        let Some(cpu) = self.checked(cpu) else { return false };
        let Some(task) = self.cpus[cpu].running(&self.tasks) else { return false };
        if core::mem::take(&mut self.tasks[task].wake_pending) {
            return false;
        }
        self.stop(task, State::Blocked, now);
        true
    }

    /// The current task of `cpu` will check a condition, and block if the condition does not hold: wake-ups from before this call count no
    /// more.
    pub fn prepare_to_wait(&mut self, cpu: usize) {
        if let Some(task) = self.cpus.get(cpu).and_then(|cpu| cpu.running(&self.tasks)) {
            self.tasks[task].wake_pending = false;
        }
    }

    /// The current task stops running; it leaves its CPU at the next `pick`.
    #[inline(always)]
    pub(crate) fn stop(&mut self, task: Slot, state: State, now: u64) {
        let cpu = self.tasks[task].cpu;
        self.advance(now);
        self.charge(cpu);
        self.tasks[task].state = state;
        // The caller is on this CPU and calls pick itself: no kick.
        self.reschedule.insert(cpu);
    }

    /// The current task of `cpu` gives way to its equals at the next [`pick`](Self::pick), which the kernel then calls. A fair task goes
    /// behind all fair tasks that are ready on the CPU now, so that tasks which only yield take turns.
    pub fn yield_now(&mut self, cpu: usize) {
        let Some(cpu) = self.checked(cpu) else { return };
        if let Some(running) = self.cpus[cpu].running(&self.tasks) {
            if self.tasks[running].level() == 0
                && let Some(last) = self.cpus[cpu].fair.latest(&self.tasks)
                && !before(last, self.tasks[running].vruntime)
            {
                self.tasks[running].vruntime = last.wrapping_add(1);
            }
            self.cpus[cpu].rotate = true;
            self.reschedule.insert(cpu);
        }
    }

    /// The current task of `cpu` ends. The kernel then calls [`pick`](Self::pick); [`switched`](Self::switched) says when the task's
    /// stack may be freed.
    ///
    /// [`Error::HoldsLock`] if others wait for a lock of the task: [`contended_lock`](Self::contended_lock) names it, and
    /// [`lock_release`](Self::lock_release) hands it over. [`Error::Invalid`] if no task runs.
    pub fn exit(&mut self, cpu: usize, now: u64) -> Result<(), Error> {
        let cpu = self.checked(cpu).ok_or(Error::Invalid)?;
        let task = self.cpus[cpu].running(&self.tasks).ok_or(Error::Invalid)?;
        if self.tasks[task].held.is_some() {
            return Err(Error::HoldsLock);
        }
        self.stop(task, State::Exited, now);
        Ok(())
    }

    /// The periodic interrupt of `cpu`: ends quanta, and sometimes fetches a fair task from a CPU that has more. The answer is
    /// [`wants_reschedule`](Self::wants_reschedule). An idle CPU needs no ticks.
    pub fn tick(&mut self, cpu: usize, now: u64) -> bool {
        let Some(cpu) = self.checked(cpu) else { return false };
        self.advance(now);
        self.charge(cpu);
        if self.now >= self.cpus[cpu].next_balance {
            self.cpus[cpu].next_balance = self.now.saturating_add(BALANCE_INTERVAL);
            self.balance(cpu);
        }
        let Some(running) = self.cpus[cpu].running(&self.tasks) else { return self.wants_reschedule(cpu) };
        let task = &mut self.tasks[running];
        let level = task.level();
        if level > 0 && matches!(task.policy, Policy::Rr(_)) && task.slice >= RR_QUANTUM {
            task.slice = 0;
            // Without an equal the task has its CPU for another quantum.
            if self.cpus[cpu].real_time.top() == Some(level) {
                self.cpus[cpu].rotate = true;
            }
        }
        let rotate = self.cpus[cpu].rotate;
        if self.cpus[cpu].first().is_some_and(|first| self.goes_before(first, running, rotate)) {
            self.flag(cpu);
        }
        self.wants_reschedule(cpu)
    }

    /// Whether `cpu` shall call [`pick`](Self::pick) as soon as it may: on the way out of an interrupt, or when preemption is allowed
    /// again. True until it does.
    pub fn wants_reschedule(&self, cpu: usize) -> bool {
        self.reschedule.contains(cpu)
    }

    /// Accounts for the time since the last call to the current task of `cpu`.
    #[inline(always)]
    pub(crate) fn charge(&mut self, cpu: usize) {
        // No time passes between several operations of one caller: a task that blocks, and the choice of the next one.
        if self.now > self.cpus[cpu].charged_until {
            self.charge_time(cpu);
        }
    }

    fn charge_time(&mut self, cpu: usize) {
        let state = &mut self.cpus[cpu];
        let ran = self.now - state.charged_until;
        state.charged_until = self.now;
        let Some(current) = state.current else { return };
        let task = &mut self.tasks[current];
        task.run_time = task.run_time.saturating_add(ran);
        task.slice = task.slice.saturating_add(ran);
        if task.level() == 0 {
            task.vruntime = task.vruntime.wrapping_add(virtual_time(ran, task.effective));
        }
        let running = (task.state == State::Running && task.level() == 0).then_some(task.vruntime);
        state.advance_min_vruntime(running, &self.tasks);
    }
}

/// Whether a task that becomes ready is no more important than the one that runs.
#[inline(always)]
pub(crate) fn is_equal(ready: &Task, running: &Task) -> bool {
    let idle = crate::Priority::Idle;
    ready.level() == running.level() && (running.effective != idle || ready.effective == idle)
}

/// Whether the ready task `first` runs instead of the running one, both on the same CPU. With `rotate` the running one gives way to its equals.
/// `granularity` is how long a fair task runs at least.
#[inline(always)]
pub(crate) fn goes_before(first: &Task, running: &Task, rotate: bool, granularity: u64) -> bool {
    if first.level() != running.level() {
        return first.level() > running.level();
    }
    if rotate || first.level() > 0 {
        return rotate;
    }
    let idle = crate::Priority::Idle;
    if running.effective == idle && first.effective != idle {
        return true;
    }
    let ahead = lag(running.vruntime, first.vruntime);
    let at_wake_up = virtual_time(WAKEUP_GRANULARITY, first.effective).cast_signed();
    ahead > at_wake_up || (ahead > 0 && running.slice >= granularity)
}
