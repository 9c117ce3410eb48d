//! Executes lines, and holds what earlier lines have set.

use super::probes::Probes;
use super::slots::Slots;
use super::walk::Walk;
use super::{Error, TESTS, blacklist, cpus, show};
use cli::command::{self, Command};
use core::fmt::Write;

/// Whether the session goes on after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The session reads the next line.
    Continue,
    /// The session ends.
    End,
}

/// What was set at the prompt. Dropping the session removes what is still set.
pub struct Session {
    probes: Probes,
    slots: Slots,
    walk: Walk,
}

impl Session {
    /// A session in which nothing is set.
    pub const fn new() -> Self {
        Self { probes: Probes::new(), slots: Slots::new(), walk: Walk::new() }
    }

    /// Executes a line and writes what it shows to `out`. Thread context, interrupts on.
    ///
    /// # Errors
    /// Either the line was not carried out, and nothing has changed; or it was carried out, and tests have failed or
    /// steps have gone wrong.
    pub fn execute(&mut self, line: &str, out: &mut dyn Write) -> Result<Flow, Error> {
        match command::parse(line)? {
            Command::Nothing => {}
            Command::Help { topic } => command::write_help(out, topic)?,
            Command::Probe(what) => self.probes.execute(what, out)?,
            Command::Blacklist => blacklist::show(out)?,
            Command::Break(what) => self.slots.execute_break(what, out)?,
            Command::Watch(what) => self.slots.execute_watch(what, out)?,
            Command::Step { count } => self.walk.step(count, out)?,
            Command::Cpu(what) => cpus::execute(what, out)?,
            Command::Slots => show::slots(out)?,
            Command::Rules { id } => show::rules(id, out)?,
            Command::Stats => show::stats(out)?,
            Command::Why { count } => show::why(count, out)?,
            Command::Test { filter } => TESTS.get().ok_or(Error::NoTests)?(filter, out)?,
            Command::Poweroff => return Ok(Flow::End),
        }
        Ok(Flow::Continue)
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}
