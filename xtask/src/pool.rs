//! Runs tasks on several threads.

use std::cell::Cell;
use std::collections::VecDeque;
use std::os::unix::process::CommandExt;
use std::process::Command;
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
        for lane in 0..jobs.max(1) {
            let (sender, queue, work) = (sender.clone(), &queue, &work);
            scope.spawn(move || {
                LANE.set(Some(lane));
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

thread_local! {
    /// The number of this thread among those of [`run`].
    static LANE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Has a command run on one CPU of the host: on another one for each thread of [`run`], as long as there are enough, and beginning
/// with another one in each process of this tool. For a program
/// whose threads take turns, and would otherwise be moved from CPU to CPU at each turn. Outside of `run` nothing changes.
pub fn pin(command: &mut Command) {
    let Some(lane) = LANE.get() else { return };
    // SAFETY: the set is plain data, for which all zeroes is a value; the call writes no more than its size.
    let allowed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) != 0 {
            return;
        }
        set
    };
    // SAFETY: every number is within the set.
    let cpus = (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &allowed) });
    let cpus: Vec<_> = cpus.collect();
    let number = lane + std::process::id() as usize;
    let Some(&cpu) = cpus.get(number % cpus.len().max(1)) else { return };
    // SAFETY: between fork and exec the closure makes one system call, which may be made there, and touches nothing but its own set.
    unsafe {
        command.pre_exec(move || {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut set);
            // If the host refuses, the program only runs slower.
            libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
            Ok(())
        });
    }
}

/// As many boots at once as the host has CPUs.
pub fn default_jobs() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn pinned_programs_have_one_cpu_each() {
        let cpus = |pinned: bool| {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "grep Cpus_allowed_list /proc/self/status"]);
            if pinned {
                super::pin(&mut command);
            }
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        let mut seen = Vec::new();
        run(vec![(); 4], 1, |()| cpus(true), |_, list| seen.push(list));
        assert!(seen.iter().all(|list| *list == seen[0] && !list.contains([',', '-'])), "{seen:?}");
        assert_eq!(cpus(true), cpus(false), "outside of the pool");
        // Each of two threads waits for the other, so each has one task.
        let (mut seen, both) = (Vec::new(), std::sync::Barrier::new(2));
        let work = |()| {
            both.wait();
            cpus(true)
        };
        run(vec![(); 2], 2, work, |_, list| seen.push(list));
        let several = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1);
        assert_eq!(seen[0] != seen[1], several, "{seen:?}");
    }

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
