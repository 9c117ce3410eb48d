//! Tasks that another task traces: `ptrace(2)`.
//!
//! A tracer is told of what a *tracee* does by *stops*: the tracee sleeps in [`stop`], with a copy of its registers in its [`Trace`]. The
//! tracer finds the stop by `wait4` ([`wait`]), looks at the copy and changes it ([`request`]), and lets the tracee go on, which takes over
//! what was changed. So the tracer never touches the registers of a task that may be running. Who traces whom, and all that both sides
//! write, is under the table's lock.
//!
//! | file | what |
//! |---|---|
//! | [`state`] | what is known of a tracee |
//! | [`attach`] | how a trace begins and ends |
//! | [`stop`] | the tracee's side: it stops, and goes on |
//! | [`event`] | stops at clone, exec and exit |
//! | [`call`] | stops at system calls |
//! | [`request`] | the tracer's side: what it asks of a tracee that has stopped |
//! | [`registers`] | the sets of registers |
//! | [`wait`] | what the tracer is told |

pub(super) mod attach;
pub(super) mod call;
pub(super) mod event;
mod registers;
mod request;
pub(super) mod state;
pub(super) mod stop;
pub(super) mod wait;

pub use registers::RegisterSet;
pub use request::{CallInfo, How};
pub use state::Options;
