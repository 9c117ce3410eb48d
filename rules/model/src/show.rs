//! A state on one line.

use crate::event::Named;
use crate::state::{Context, Progress, SLOTS, Slots, State, Stepping, Thread};
use core::fmt;
use rules::step::Owners;

/// A state on one line: for each CPU its contexts, the outermost first, and what it has of steps; then the threads that wait.
pub struct Line<'a>(pub &'a State);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, cpu) in self.0.cpus.iter().enumerate() {
            let Some(running) = cpu.running else { continue };
            write!(f, "cpu{number} runs thread {running}: ")?;
            contexts(f, &self.0.threads[usize::from(running)])?;
            write!(f, "; MDSCR_EL1.SS={}", u8::from(cpu.ss))?;
            if !cpu.owners.is_empty() {
                write!(f, ", owners {}", Names(cpu.owners))?;
            }
            suspended(f, cpu.suspended)?;
            if cpu.debt {
                f.write_str(", an ISB is owed")?;
            }
            for entry in cpu.stashed() {
                write!(f, ", stashed {}", Names(entry.owners))?;
                suspended(f, entry.suspended)?;
            }
            if cpu.reschedule {
                f.write_str(", a reschedule is wanted")?;
            }
            if cpu.sgi {
                f.write_str(", an SGI is pending")?;
            }
            f.write_str(". ")?;
        }
        for (number, thread) in self.0.threads.iter().enumerate() {
            if thread.len == 0 {
                continue;
            }
            let is_running = self.0.cpus.iter().any(|cpu| cpu.running == Some(number as u8));
            if !is_running {
                write!(f, "Thread {number} waits: ")?;
                contexts(f, thread)?;
            }
            if let Some(saved) = thread.saved {
                write!(f, ", saved {}", Names(saved.owners))?;
                suspended(f, saved.suspended)?;
            }
            if thread.held != Stepping::default() {
                write!(f, ", thread {number} holds {}", Names(thread.held.owners))?;
                suspended(f, thread.held.suspended)?;
            }
            if !is_running {
                f.write_str(". ")?;
            }
        }
        let installed: Vec<String> =
            SLOTS.iter().filter(|slot| self.0.installed.contains(**slot)).map(ToString::to_string).collect();
        if installed.is_empty() {
            f.write_str("No slot is installed.")
        } else {
            write!(f, "Installed: {}.", installed.join(", "))
        }
    }
}

fn suspended(f: &mut fmt::Formatter<'_>, slots: Slots) -> fmt::Result {
    SLOTS.iter().filter(|slot| slots.contains(**slot)).try_for_each(|slot| write!(f, ", {slot} suspended"))
}

fn contexts(f: &mut fmt::Formatter<'_>, thread: &Thread) -> fmt::Result {
    for (index, context) in thread.contexts().iter().enumerate() {
        if index != 0 {
            f.write_str(" > ")?;
        }
        write!(f, "{}", Shown(context))?;
    }
    Ok(())
}

/// A context: what it is, its masks, PSTATE.SS, and how far its steps are.
struct Shown<'a>(&'a Context);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, SS={}", Named(self.0), self.0.masks, u8::from(self.0.ss))?;
        if self.0.copy.is_some() {
            f.write_str(", out of line")?;
        }
        if !self.0.parked.is_empty() {
            write!(f, ", parked {}", Names(self.0.parked))?;
        }
        for index in 0..self.0.steps.len() {
            let owner = self.0.owner(index);
            match self.0.steps[index] {
                Progress::None => {}
                Progress::Asked => write!(f, ", {} has asked for a step", Names(owner))?,
                Progress::Due => write!(f, ", the step of {} is due", Names(owner))?,
            }
        }
        f.write_str("]")
    }
}

/// Owners by their names.
pub(crate) struct Names(pub(crate) Owners);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("nobody") } else { bitflags_names(self.0, f) }
    }
}

fn bitflags_names(owners: Owners, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, (name, _)) in owners.iter_names().enumerate() {
        if index != 0 {
            f.write_str("+")?;
        }
        f.write_str(name)?;
    }
    Ok(())
}
