//! What belongs to one CPU.

use crate::{
    Error,
    fair::{FairQueue, before},
    real_time::RealTimeQueue,
    task::{Slot, State, Tasks},
};

#[derive(Debug)]
pub(crate) struct Cpu {
    /// The task whose code runs, or nothing while the CPU is idle. A task that blocked stays current until the next `pick`.
    pub(crate) current: Option<Slot>,
    /// The task that `pick` replaced, until `switched`: in no queue, so that no other CPU takes it.
    pub(crate) leaving: Option<Slot>,
    pub(crate) real_time: RealTimeQueue,
    pub(crate) fair: FairQueue,
    /// Never goes back. Tasks that come to this CPU are placed relative to it.
    pub(crate) min_vruntime: u64,
    /// Up to here the current task's time is accounted for.
    pub(crate) charged_until: u64,
    /// The current task yielded or its quantum is over: its equals go first.
    pub(crate) rotate: bool,
    pub(crate) next_balance: u64,
}

impl Cpu {
    /// With room for `tasks` tasks.
    pub(crate) fn new(tasks: usize) -> Result<Self, Error> {
        let mut fair = FairQueue::default();
        fair.reserve(tasks)?;
        Ok(Self {
            current: None,
            leaving: None,
            real_time: RealTimeQueue::new(),
            fair,
            min_vruntime: 0,
            charged_until: 0,
            rotate: false,
            next_balance: 0,
        })
    }

    /// The current task, unless it blocked or ended and only has yet to leave.
    pub(crate) fn running(&self, tasks: &Tasks) -> Option<Slot> {
        self.current.filter(|&task| tasks[task].state == State::Running)
    }

    /// The level of the running task. `None`, which is below every level, if nothing runs.
    pub(crate) fn level(&self, tasks: &Tasks) -> Option<u8> {
        self.running(tasks).map(|task| tasks[task].level())
    }

    /// The highest level of all tasks, running or ready. `None` if the CPU has nothing to do.
    pub(crate) fn demand(&self, tasks: &Tasks) -> Option<u8> {
        let fair = self.fair.first().map(|_| 0);
        self.level(tasks).max(self.real_time.top()).max(fair)
    }

    pub(crate) fn ready(&self) -> usize {
        self.real_time.len() + self.fair.len()
    }

    fn first_real_time(&self) -> Option<Slot> {
        if self.real_time.len() == 0 { None } else { self.real_time.first() }
    }

    /// The ready task that runs next if only this queue is asked.
    pub(crate) fn first(&self) -> Option<Slot> {
        self.first_real_time().or_else(|| self.fair.first())
    }

    /// Lets `min_vruntime` follow the fair task that is farthest behind. `running` is the virtual time of the running task, if that is a fair one.
    #[inline(always)]
    pub(crate) fn advance_min_vruntime(&mut self, running: Option<u64>, tasks: &Tasks) {
        let first = self.fair.first();
        let behind = match (running, first.map(|task| tasks[task].vruntime)) {
            (Some(a), Some(b)) => Some(if before(a, b) { a } else { b }),
            (a, b) => a.or(b),
        };
        if let Some(behind) = behind
            && before(self.min_vruntime, behind)
        {
            self.min_vruntime = behind;
        }
    }
}
