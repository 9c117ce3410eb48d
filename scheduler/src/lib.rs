//! The scheduler of a small SMP kernel as a pure state machine: who runs where.
//!
//! A [`Scheduler`] knows tasks by [`TaskId`] and CPUs by number. It touches no hardware and keeps no stacks: it decides, and the
//! kernel does what it decides. The kernel holds it in one lock, with interrupts masked, and calls it from threads and from interrupt
//! handlers. Only [`Scheduler::new`] and [`Scheduler::spawn`] allocate, and both report it when memory is short.
//!
//! # Switching
//!
//! ```text
//! lock; next = pick(cpu, now); kicks = take_kicks()        interrupts stay masked from here ...
//! if next is not the current context: switch to it
//! (new context) left = switched(cpu); take_kicks(); unlock            ... to here
//! free the stack of `left`; look at wants_reschedule(cpu) again
//! ```
//!
//! A kernel may give up the lock for the switch and take it a second time: between `pick` and `switched` the task that is left is in no
//! queue, so no other CPU runs it while its registers are not saved. It may be woken in that time; `switched` then finds a CPU for it. A kernel
//! that keeps the lock over the switch may call `switched` before it.
//!
//! [`Scheduler::wait`] and [`Scheduler::hand_over`] do all of this in one call, for a task that waits. They need a lock that the kernel keeps
//! over the switch.
//!
//! After each operation the kernel sends an interrupt to the CPUs in [`Scheduler::take_kicks`]. A CPU calls `pick` when
//! [`Scheduler::wants_reschedule`] says so: on the way out of interrupts, when preemption is allowed again, and in the idle loop before
//! it waits (with interrupts masked, so that a kick ends the wait).
//!
//! # Waiting
//!
//! No wake-up is lost if the waiting task does this, whatever happens in between, preemption included:
//!
//! ```text
//! loop {
//!     prepare_to_wait(cpu)                 // forgets older wake-ups
//!     if condition { break }
//!     if block(cpu, now) { pick, switch }  // false: somebody called wake since prepare_to_wait
//! }
//! ```
//!
//! and who makes the condition true calls `wake` afterwards. `block` can return early for a wake-up that was meant for another wait of the
//! same task, hence the loop.
//!
//! # Locks
//!
//! A lock is a word of the kernel or of a program, with the owner ([`TaskId::to_bits`]) and a mark "contended". While it is not contended,
//! the scheduler does not know it. The slow paths hold the scheduler's lock:
//!
//! - Wait: read the word again; if it is free, take it. Else set the mark, and call [`Scheduler::lock_wait`] and then `pick`. When the
//!   task runs again, it has the lock, unless [`Scheduler::lock_cancel`] returned `true` for it: the canceller leaves it a note.
//! - Release: [`Scheduler::lock_release`] names the new owner, which goes into the word, with the mark if more wait.
//! - Exit: for each [`Scheduler::contended_lock`] release it, and write into the word what a robust lock wants there.
//!
//! The owner of a lock is as important as the most important waiter of any of its locks, along chains of owners that wait themselves.
//! A boosted fair task runs as FIFO at the waiter's real-time priority; a boost within the fair class gives the waiter's nice value.
//!
//! # Costs
//!
//! Queues are a list for each real-time priority, and a heap for fair tasks. `n` being the tasks of one queue, most operations take O(log n)
//! and O(number of CPUs). O(n) are: looking for a task to steal among tasks that their affinity or a pin forbids to take; waiting for a
//! lock, in the number of waiters that are less important; and finding a lock by key, when it first gets or last loses a
//! waiter, in the number of contended locks (one `memmove` of 4 bytes each).
//!
//! # Unlike Linux
//!
//! - No real-time throttling: a FIFO task that never blocks keeps its CPU from fair tasks for ever. Other CPUs fetch those that may move.
//! - The fair class balances by weight at every [`BALANCE_INTERVAL`], one task at a time. Loads that differ by less than a task stay so: three
//!   equal tasks on two CPUs get a half, a half and a whole.
//! - Weights are the exact powers of 1.25.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod balance;
mod consts;
mod cpu;
mod cpu_set;
mod error;
mod fair;
mod list;
mod lock_key;
mod lock_table;
mod locks;
mod policy;
mod real_time;
mod run;
mod scheduler;
mod settings;
mod task;
mod wait;
mod wake;
mod weight;

#[cfg(test)]
mod tests;

pub use consts::{
    BALANCE_INTERVAL, MAX_CHAIN, MIN_GRANULARITY, RR_QUANTUM, SLEEPER_BONUS, WAKEUP_GRANULARITY,
};
pub use cpu_set::{CpuSet, MAX_CPUS};
pub use error::Error;
pub use lock_key::LockKey;
pub use policy::{Policy, Priority};
pub use scheduler::Scheduler;
pub use task::{TaskId, TaskState};
