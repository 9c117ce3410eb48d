//! Work that moves between CPUs.

use crate::{CpuSet, Scheduler, consts::REAL_TIME_LOAD, task::Slot, weight::weight};

impl Scheduler {
    /// A ready task of another CPU that `cpu` shall run rather than its own best one, which has `level`: a more important real-time
    /// task; or, if `cpu` has none, a fair one from the queue with the most of them.
    ///
    /// Looks at the first task of each queue, and at more only while affinities and pins forbid to take it.
    pub(crate) fn find_elsewhere(&self, cpu: usize, level: Option<u8>) -> Option<Slot> {
        if level.is_some() && (self.real_time_ready & !CpuSet::of(cpu)).is_empty() {
            return None;
        }
        let mut best = None;
        let mut best_level = level.unwrap_or(0);
        for other in self.real_time_ready.iter().filter(|&other| other != cpu) {
            let queue = &self.cpus[other].real_time;
            if let Some(task) =
                queue.above(best_level, &self.tasks).find(|&task| self.allowed(task).contains(cpu))
            {
                best_level = self.tasks[task].level();
                best = Some(task);
            }
        }
        if best.is_some() || level.is_some() {
            return best;
        }
        let mut most = 0;
        for other in self.online.iter().filter(|&other| other != cpu) {
            let queue = &self.cpus[other].fair;
            if queue.len() > most
                && let Some(task) = queue.rather_late_first().find(|&task| self.allowed(task).contains(cpu))
            {
                most = queue.len();
                best = Some(task);
            }
        }
        best
    }

    /// The weights of all fair tasks that share `cpu`. Much more if a real-time task keeps all of them from running.
    fn fair_load(&self, cpu: usize) -> u64 {
        let cpu = &self.cpus[cpu];
        let running = cpu.running(&self.tasks).map_or(0, |task| match self.tasks[task].level() {
            0 => weight(self.tasks[task].effective),
            _ => REAL_TIME_LOAD,
        });
        cpu.fair.load().saturating_add(running)
    }

    /// Fetches one fair task from the CPU with the highest load that has one whose move makes the loads differ less.
    pub(crate) fn balance(&mut self, cpu: usize) {
        let own = self.fair_load(cpu);
        let mut highest = own;
        let mut found = None;
        for other in self.online.iter().filter(|&other| other != cpu) {
            let load = self.fair_load(other);
            let fits = |task: &Slot| {
                let after = own.saturating_add(weight(self.tasks[*task].effective));
                after < load && self.allowed(*task).contains(cpu)
            };
            if load > highest
                && let Some(task) = self.cpus[other].fair.rather_late_first().find(fits)
            {
                highest = load;
                found = Some(task);
            }
        }
        if let Some(task) = found {
            self.dequeue(task);
            self.move_to(task, cpu);
            self.enqueue(task, false);
            self.kick_for(task, false);
        }
    }
}
