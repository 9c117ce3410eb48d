//! Runs tasks on several threads.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

/// Runs every task on one of `jobs` threads. Calls `done` with each result and the task's index, in the order in which tasks end.
pub fn run<T: Send, R: Send>(
    tasks: Vec<T>,
    jobs: usize,
    work: impl Fn(T) -> R + Sync,
    mut done: impl FnMut(usize, R),
) {
    let queue: Mutex<VecDeque<_>> = Mutex::new(tasks.into_iter().enumerate().collect());
    let (sender, results) = channel();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (sender, queue, work) = (sender.clone(), &queue, &work);
            scope.spawn(move || {
                loop {
                    // A `while let` would hold the lock while the task runs.
                    let next = queue.lock().unwrap_or_else(|poison| poison.into_inner()).pop_front();
                    let Some((index, task)) = next else { return };
                    if sender.send((index, work(task))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (index, result) in results {
            done(index, result);
        }
    });
}

/// As many boots at once as the host has CPUs.
pub fn default_jobs() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn every_task_is_done_once() {
        let mut seen = vec![0; 20];
        run(
            (0..20).collect(),
            3,
            |task: usize| task * 2,
            |index, result| {
                assert_eq!(result, index * 2);
                seen[index] += 1;
            },
        );
        assert_eq!(seen, [1; 20]);
    }
}
