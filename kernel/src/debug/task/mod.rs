//! The debug state of a program's thread, which the kernel calls a task (rules T1 to T6).
//!
//! A task has owners of a step, slots that are suspended for its step-over, and hardware slots of its own. While the task runs at EL0,
//! its owners and suspended slots are those of the CPU ([`CpuDebug`](super::CpuDebug)). At the entry to the kernel they are taken off the
//! CPU as one value ([`entry`]), which the task holds until it goes back to EL0, perhaps on another CPU. So nothing that the kernel does for
//! the task is stepped (M1), and every slot is armed while the kernel runs (I6). The task's own slots are armed from before its return to
//! EL0 until it is switched away ([`slots`], T3).
//!
//! Others ask for steps, and change slots, at any time: they leave a note, which the task takes over on its way to EL0.

mod entry;
pub mod hit;
mod list;
mod put_off;
mod slots;
mod state;

pub use entry::{forget, give, handler_returns, is_in_no_sequence, run_free, stepped_by_hand, take};
pub use list::{Answer, Use};
pub use rules::step::By;
pub use state::TaskDebug;
