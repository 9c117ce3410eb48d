//! The numbers that tune the scheduler. All times are in nanoseconds.

/// How long a SCHED_RR task runs before its equals get their turn: 100 ms, as on Linux (sched_rr_get_interval).
pub const RR_QUANTUM: u64 = 100_000_000;

/// How long a fair task runs at least before [`tick`](crate::Scheduler::tick) lets another fair task take over, by default:
/// [`set_granularity`](crate::Scheduler::set_granularity) changes it.
pub const MIN_GRANULARITY: u64 = 3_000_000;

/// How far, in virtual time of the woken task, the woken task must be behind the running one to preempt it.
pub const WAKEUP_GRANULARITY: u64 = 1_000_000;

/// How far behind all others a task is placed at most when it wakes: the reward for having slept.
pub const SLEEPER_BONUS: u64 = 3_000_000;

/// How often each CPU compares its fair load with the others'.
pub const BALANCE_INTERVAL: u64 = 20_000_000;

/// How late the time of a running task may be accounted for when another task is woken on its CPU: a tenth of [`WAKEUP_GRANULARITY`].
pub(crate) const CHARGED_LATE: u64 = WAKEUP_GRANULARITY / 10;

/// How far ahead or behind of its CPU a task's virtual time may be when it changes the CPU or wakes up. Bounds what a task can be
/// punished for, and what a wrapped difference can do.
pub(crate) const MAX_LAG: i64 = 4_000_000_000;

/// The longest time that is charged at once, so that virtual times stay comparable: 13 days.
pub(crate) const MAX_CHARGE: u64 = 1 << 50;

/// The fair load of a CPU that runs a real-time task, on top of its tasks' weights: its fair tasks get nothing, so whoever else
/// may run them shall take them.
pub(crate) const REAL_TIME_LOAD: u64 = 1 << 30;

/// The longest chain of owners that [`lock_wait`](crate::Scheduler::lock_wait) follows (Linux: max_lock_depth of rt_mutex).
pub const MAX_CHAIN: usize = 1024;
