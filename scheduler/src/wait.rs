//! A task that waits, and what its CPU runs instead; and the most frequent wake-up.

use crate::{
    CpuSet, SLEEPER_BONUS, Scheduler, TaskId,
    consts::{CHARGED_LATE, MAX_LAG},
    fair::{before, lag},
    run::{goes_before, is_equal},
    task::{Slot, State},
    weight::virtual_time,
};

impl Scheduler {
    /// The current task of `cpu` waits as [`block`](Self::block) says, and the answer is that of the [`pick`](Self::pick) which follows. `None` if
    /// the task does not wait. The kernel keeps the lock until it has switched to the answer's context, and need not call
    /// [`switched`](Self::switched).
    #[inline]
    pub fn wait(&mut self, cpu: usize, now: u64) -> Option<Option<TaskId>> {
        match self.leave_to(cpu, None, now) {
            Some(next) => Some(Some(next)),
            None => self.block_and_pick(cpu, now),
        }
    }

    /// [`wake`](Self::wake) for another task, and then [`wait`](Self::wait). The woken task runs on `cpu`, which becomes free, rather than on a
    /// CPU that has to be told, unless a ready task comes before it.
    #[inline]
    pub fn hand_over(&mut self, cpu: usize, to: TaskId, now: u64) -> Option<Option<TaskId>> {
        match self.leave_to(cpu, Some(to), now) {
            Some(next) => Some(Some(next)),
            None => self.wake_and_wait(cpu, to, now),
        }
    }

    #[inline(never)]
    fn wake_and_wait(&mut self, cpu: usize, to: TaskId, now: u64) -> Option<Option<TaskId>> {
        // A task that has ended meanwhile needs no waking.
        let _ = self.wake(to, now);
        self.block_and_pick(cpu, now)
    }

    #[inline(never)]
    fn block_and_pick(&mut self, cpu: usize, now: u64) -> Option<Option<TaskId>> {
        if !self.block(cpu, now) {
            return None;
        }
        let next = self.pick(cpu, now);
        let ended = self.switched(cpu);
        debug_assert!(ended.is_none(), "a task that waits has ended");
        Some(next)
    }

    /// The most frequent case, in which only fair tasks matter: the current task of `cpu` waits, and `cpu` goes on with the task `to`, whose
    /// wait is over, or without one with the first of its queue. `None` in any other case; then nothing has changed but that the current
    /// task's time is accounted for.
    #[inline(always)]
    fn leave_to(&mut self, cpu: usize, to: Option<TaskId>, now: u64) -> Option<TaskId> {
        self.advance(now);
        if self.reschedule.contains(cpu) || !self.real_time_ready.is_empty() {
            return None;
        }
        let Self { tasks, cpus, online, now, .. } = self;
        // Where the woken task's virtual time comes from, if that is another CPU.
        let elsewhere = match to {
            Some(to) => {
                let from = tasks[tasks.find(to).ok()?].cpu;
                if from == cpu { None } else { Some(cpus.get(from)?.min_vruntime) }
            }
            None => None,
        };
        let state = cpus.get_mut(cpu)?;
        let current = state.current?;
        let first = state.fair.first();
        let first_at = match (to, first) {
            (Some(_), Some(first)) => Some(tasks[first].vruntime),
            _ => None,
        };
        let next = match to {
            Some(to) => to.index() as Slot,
            None => first?,
        };
        let [leaving, task] = tasks.two(current, next)?;
        let waits = leaving.state == State::Running && !leaving.wake_pending && leaving.level() == 0;
        if !waits || state.leaving.is_some() || state.rotate {
            return None;
        }
        if to.is_some() {
            let is_free = task.state == State::Blocked && !task.on_cpu && task.level() == 0;
            if !is_free || !task.allowed(*online).contains(cpu) {
                return None;
            }
        }
        let ran = now.saturating_sub(state.charged_until);
        state.charged_until += ran;
        leaving.run_time = leaving.run_time.saturating_add(ran);
        leaving.slice = leaving.slice.saturating_add(ran);
        leaving.vruntime = leaving.vruntime.wrapping_add(virtual_time(ran, leaving.effective));
        let left_at = leaving.vruntime;
        let first_at = if to.is_some() { first_at } else { Some(task.vruntime) };
        let least = first_at.filter(|&at| before(at, left_at)).unwrap_or(left_at);
        if before(state.min_vruntime, least) {
            state.min_vruntime = least;
        }
        if to.is_some() {
            // As when a woken task joins a queue.
            let lag = lag(task.vruntime, elsewhere.unwrap_or(state.min_vruntime));
            let lag = lag.clamp(-SLEEPER_BONUS.cast_signed(), MAX_LAG);
            let at = state.min_vruntime.wrapping_add_signed(lag);
            if first_at.is_some_and(|first| before(first, at)) {
                return None;
            }
            (task.vruntime, task.cpu) = (at, cpu);
        }
        state.current = Some(next);
        leaving.state = State::Blocked;
        leaving.on_cpu = false;
        task.state = State::Running;
        task.on_cpu = true;
        task.slice = 0;
        let id = TaskId::new(next, task.generation);
        if to.is_none() && !state.fair.remove_only(task) {
            state.fair.remove(tasks, next);
        }
        Some(id)
    }

    /// The most frequent case of a wake-up: a fair task that may use only its last CPU, which runs a fair task, joins the queue there. It does
    /// not preempt its equal on the CPU `waker`. Returns false, and has done nothing, in any other case.
    #[inline(always)]
    pub(crate) fn joins_queue(&mut self, task: Slot, waker: Option<usize>) -> bool {
        let Self { tasks, cpus, online, now, granularity, .. } = self;
        let woken = &tasks[task];
        let cpu = woken.cpu;
        if woken.level() != 0 || woken.allowed(*online) != CpuSet::of(cpu) {
            return false;
        }
        let Some(state) = cpus.get_mut(cpu) else { return false };
        let Some(current) = state.current else { return false };
        let Some([running, woken]) = tasks.two(current, task) else { return false };
        if running.state != State::Running
            || running.level() != 0
            || now.saturating_sub(state.charged_until) > CHARGED_LATE
        {
            return false;
        }
        let lag = lag(woken.vruntime, state.min_vruntime);
        let lag = lag.clamp(-SLEEPER_BONUS.cast_signed(), MAX_LAG);
        woken.vruntime = state.min_vruntime.wrapping_add_signed(lag);
        woken.state = State::Ready;
        let goes_first = !(waker == Some(cpu) && is_equal(woken, running))
            && goes_before(woken, running, false, *granularity);
        state.fair.insert(tasks, task);
        if goes_first {
            self.flag(cpu);
        }
        true
    }
}
