//! Replays a trace of the kernel through the model: every record must be one that the model allows.
//!
//! A record shows the masks, the two SS bits and the owners on both sides of an exception's entry or exit; it does not show what a handler has
//! decided, nor what a context has executed in between. So each CPU has a set of the states that it may be in. A record moves each of them by the
//! model's own transition for its exception, behind every sequence of moves that leave no record (`gaps`); those stay whose transition shows
//! what the record has. If none stays, the kernel has done what the model does not allow.
//!
//! A CPU has one thread at a time, so a state here has one CPU and one thread. When threads are switched, the thread's part of the states is kept
//! by the thread's number, wherever it goes on.

mod check;
mod entry;
mod exit;
mod gaps;
mod plausible;

pub use check::Words;

use crate::kernel::{Kernel, Run};
use crate::state::{CPUS, Code, Context, Cpu, Next, STACK, State, THREADS, Thread};
use check::{ALL_SLOTS, After, Refusal};
use core::fmt;
use rules::pstate::Daif;
use rules::table::RowId;
use std::collections::HashMap;
use trace::{Kind, Record};

/// The most states that a CPU may be in: a set that grows beyond it says nothing any more.
const MOST_STATES: usize = 4096;

/// A replay under way.
pub struct Replay<'m> {
    kernel: &'m Kernel,
    /// The same kernel, which notes nothing: for an exception that a test has forged.
    forged: Kernel,
    cpus: Vec<OnCpu>,
    /// The threads that no CPU runs, by number: the states that each may be in.
    waiting: HashMap<u32, (Vec<Thread>, Vec<u64>)>,
    /// What was replayed.
    pub counts: Counts,
}

/// How many records there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that the model allows.
    pub allowed: u64,
    /// Records of exceptions that nest deeper than the model has room for, of which nothing is checked but that they pair.
    pub beyond: u64,
    /// The most states that a CPU may have been in.
    pub most_states: usize,
}

/// A CPU, with the thread that it runs.
struct OnCpu {
    thread: u32,
    states: Vec<State>,
    time: u64,
    /// How many handlers there were when a test said that it changes debug state behind the kernel's back, until that shows.
    foreign: Option<usize>,
    /// Where the contexts were interrupted that the thread has on its stack, the innermost last.
    pcs: Vec<u64>,
    /// How many exceptions are nested in what the model has room for.
    beyond: u32,
}

/// A record that the model does not allow.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The record.
    pub record: Record,
    /// What is wrong with it.
    pub what: String,
    /// A state that the CPU may have been in; None if there is none.
    pub state: Option<State>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Words(&self.record), self.what)?;
        if let Some(state) = &self.state {
            write!(f, "\nthe model's state before it: {}", crate::show::Line(state))?;
        }
        Ok(())
    }
}

impl<'m> Replay<'m> {
    /// A replay that has seen nothing: each CPU runs a thread of its own at EL1.
    pub fn new(kernel: &'m Kernel, cpus: usize) -> Self {
        let cpu = || OnCpu {
            thread: 0,
            states: vec![of_thread(base())],
            time: 0,
            foreign: None,
            pcs: Vec::new(),
            beyond: 0,
        };
        Self {
            kernel,
            forged: Kernel { watched: Vec::new(), ..kernel.clone() },
            cpus: (0..cpus).map(|_| cpu()).collect(),
            waiting: HashMap::new(),
            counts: Counts::default(),
        }
    }

    /// Takes the next record. All records come in the order of their times.
    ///
    /// # Errors
    /// The model does not allow it.
    pub fn record(&mut self, record: &Record) -> Result<(), Box<Mismatch>> {
        let wrong = |what: String, state: Option<State>| Box::new(Mismatch { record: *record, what, state });
        let Some(cpu) = self.cpus.get_mut(usize::from(record.cpu)) else {
            return Err(wrong("there is no such CPU".into(), None));
        };
        if record.time < cpu.time {
            return Err(wrong(format!("the record before is of {}", cpu.time), None));
        }
        cpu.time = record.time;
        if cpu.thread == 0 {
            cpu.thread = record.thread;
        }
        if cpu.thread != record.thread {
            return Err(wrong(format!("the CPU runs thread {:#x}", cpu.thread), cpu.states.first().copied()));
        }
        if let Some(what) = plausible::contradiction(record) {
            return Err(wrong(what, cpu.states.first().copied()));
        }
        if record.row == RowId::M7 && record.kind == Kind::Entry {
            // The kernel's end; or a test has provoked it, and goes on as a thread that nobody steps.
            cpu.states = vec![of_thread(base())];
            cpu.pcs.clear();
            cpu.beyond = 0;
            self.counts.allowed += 1;
            return Ok(());
        }
        let full = cpu.states.iter().any(|state| usize::from(state.threads[0].len) == STACK);
        if cpu.beyond > 0 || full && record.kind == Kind::Entry {
            match record.kind {
                Kind::Entry => cpu.beyond += 1,
                Kind::Exit => cpu.beyond -= 1,
                Kind::Open | Kind::Switch | Kind::Foreign => {}
            }
            self.counts.beyond += 1;
            return Ok(());
        }
        let level = cpu.states.first().map_or(0, |state| state.threads[0].top());
        let forged = match record.kind {
            Kind::Foreign => {
                cpu.foreign = Some(level);
                false
            }
            // In a handler it is the frame that was changed, outside of all handlers it is the registers.
            Kind::Entry => cpu.foreign.take_if(|at| *at == 0).is_some(),
            Kind::Exit => cpu.foreign.take_if(|at| *at == level).is_some(),
            Kind::Open | Kind::Switch => false,
        };
        let kernel = if forged { &self.forged } else { self.kernel };
        if forged {
            match record.kind {
                Kind::Entry => cpu.states.iter_mut().for_each(|state| entry::adopt(state, &record.before)),
                Kind::Exit => {
                    let states = core::mem::take(&mut cpu.states);
                    cpu.states = states.iter().flat_map(|state| exit::adopt(state, &record.after)).collect();
                }
                Kind::Open | Kind::Switch | Kind::Foreign => {}
            }
        }
        // The innermost handler is as deep in the stack as its entry's PC. A handler that is over without an exit leaves its PC behind.
        let handlers = |states: &[State]| states.first().map_or(0, |state| state.threads[0].top());
        cpu.pcs.truncate(handlers(&cpu.states));
        let has_moved = record.kind == Kind::Exit && cpu.pcs.last() != Some(&record.pc);
        let mut after: Vec<State> = Vec::new();
        let mut refusal: Option<Refusal> = None;
        for state in &cpu.states {
            successors(kernel, state, record, has_moved, &mut |result| match result {
                Ok(mut next) => {
                    normalise(&mut next);
                    if !after.contains(&next) {
                        after.push(next);
                    }
                }
                Err(why) if refusal.as_ref().is_none_or(|last| last.checked < why.checked) => {
                    refusal = Some(why)
                }
                Err(_) => {}
            });
        }
        if after.is_empty() {
            let why = refusal.unwrap_or_else(|| "nothing like it can happen here".into());
            return Err(wrong(why.what, cpu.states.first().copied()));
        }
        if after.len() > MOST_STATES {
            return Err(wrong(format!("the CPU may be in {} states", after.len()), None));
        }
        self.counts.allowed += 1;
        self.counts.most_states = self.counts.most_states.max(after.len());
        cpu.states = after;
        if record.kind == Kind::Entry {
            cpu.pcs.resize(handlers(&cpu.states), 0);
            if let Some(innermost) = cpu.pcs.last_mut() {
                *innermost = record.pc;
            }
        }
        if record.kind == Kind::Switch {
            self.switch(record);
        }
        Ok(())
    }

    /// The CPU goes on with another thread.
    fn switch(&mut self, record: &Record) {
        let cpu = &mut self.cpus[usize::from(record.cpu)];
        if !record.el0 {
            let mut threads: Vec<Thread> = Vec::new();
            for state in &cpu.states {
                if !threads.contains(&state.threads[0]) {
                    threads.push(state.threads[0]);
                }
            }
            self.waiting.insert(cpu.thread, (threads, core::mem::take(&mut cpu.pcs)));
        }
        cpu.thread = record.far as u32;
        let new = || (vec![base()], Vec::new());
        let (arriving, pcs) = self.waiting.remove(&cpu.thread).unwrap_or_else(new);
        cpu.pcs = pcs;
        let mut after = Vec::new();
        for cpu in core::mem::take(&mut cpu.states) {
            for thread in &arriving {
                let mut run = Run::new(self.kernel, State { threads: alone(*thread), ..cpu }, 0);
                run.arrive();
                normalise(&mut run.state);
                if !after.contains(&run.state) {
                    after.push(run.state);
                }
            }
        }
        cpu.states = after;
    }
}

/// Gives each state after the record to `found`, or why there is none. `has_moved` says whether the context that is returned to goes on elsewhere than
/// where it was interrupted.
fn successors(
    kernel: &Kernel,
    state: &State,
    record: &Record,
    has_moved: bool,
    found: &mut dyn FnMut(After),
) {
    match record.kind {
        Kind::Entry => entry::entry(kernel, state, record, found),
        Kind::Open => entry::open(kernel, state, record, found),
        Kind::Exit if record.el0 => exit::to_el0(kernel, state, record, has_moved, found),
        Kind::Exit => exit::to_el1(kernel, state, record, has_moved, found),
        Kind::Switch => exit::switch(kernel, state, record, found),
        Kind::Foreign => found(Ok(*state)),
    }
}

/// A thread that runs at EL1, and that nobody steps.
fn base() -> Thread {
    let mut thread = Thread::NONE;
    thread.len = 1;
    thread.stack[0] = Context { masks: Daif::empty(), ..Context::new(Code::Thread, RowId::M13) };
    thread
}

/// A thread as the only one of a state.
fn alone(thread: Thread) -> [Thread; THREADS] {
    let mut threads = [Thread::NONE; THREADS];
    threads[0] = thread;
    threads
}

/// A state with this thread on its CPU.
fn of_thread(thread: Thread) -> State {
    let mut cpus = [Cpu::IDLE; CPUS];
    cpus[0].running = Some(0);
    State { cpus, threads: alone(thread), installed: ALL_SLOTS, noted: None }
}

/// Drops what no record can show.
fn normalise(state: &mut State) {
    let cpu = &mut state.cpus[0];
    cpu.reschedule = false;
    cpu.sgi = false;
    cpu.debt = false;
    state.installed = ALL_SLOTS;
    let thread = &mut state.threads[0];
    thread.wants = false;
    let len = usize::from(thread.len);
    for (index, context) in thread.stack.iter_mut().enumerate() {
        if index < len {
            context.next = Next::Any;
        } else {
            *context = Thread::NONE.stack[index];
        }
    }
}
