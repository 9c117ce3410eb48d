//! `probe`: adds, lists and removes named probes.

use super::Error;
use crate::exception::DebugFrame;
use crate::kprobe::{self, DEFAULT_INSTANCES, Instance, Kprobe, ProbeError, ReturnProbe, WantedReturn};
use crate::report::place::Place;
use crate::report::symbols::Shown;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cli::command::Probe as Command;
use core::fmt::Write;
use probe::events::{self, DEFAULT_GROUP, Event, Kind, MAX_NAME, Probe, Target};

#[derive(Clone, Copy)]
enum Set {
    Probe(&'static Kprobe),
    Return(&'static ReturnProbe),
}

impl Set {
    /// Registers a probe. `max_active` of a return probe is the number of calls that can be under way; 0 leaves it to the kernel.
    fn new(kind: Kind, address: u64) -> Result<Self, ProbeError> {
        fn returned(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {}
        match kind {
            Kind::Entry => kprobe::register(address, None, None).map(Self::Probe),
            Kind::Return { max_active } => {
                let instances = match max_active {
                    None | Some(0) => DEFAULT_INSTANCES,
                    Some(count) => count.into(),
                };
                let wanted = WantedReturn { address, entry: None, handler: returned, instances };
                kprobe::register_return(&wanted).map(Self::Return)
            }
        }
    }

    fn address(self) -> u64 {
        match self {
            Self::Probe(probe) => probe.address,
            Self::Return(probe) => probe.address(),
        }
    }

    /// The numbers of hits and of missed hits.
    fn counts(self) -> (u64, u64) {
        match self {
            Self::Probe(probe) => (probe.hits(), probe.missed()),
            Self::Return(probe) => (probe.hits(), probe.missed()),
        }
    }

    fn remove(self) -> (u64, u64) {
        match self {
            Self::Probe(probe) => kprobe::remove(probe),
            Self::Return(probe) => kprobe::remove_return(probe),
        }
    }

    /// How the probe runs its instruction, for the list's column.
    fn how(self) -> &'static str {
        match self {
            Self::Probe(probe) => probe.how(),
            Self::Return(_) => "returns",
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Probe(probe) => match probe.how() {
                "optimised" => "optimised: a branch to a trampoline",
                "simulated" => "its instruction is simulated",
                _ => "its instruction runs out of line",
            },
            Self::Return(_) => "each return of the function",
        }
    }
}

struct Named {
    group: String,
    name: String,
    set: Set,
}

impl Named {
    fn is(&self, group: Option<&str>, name: Option<&str>) -> bool {
        group.is_none_or(|group| group == self.group) && name.is_none_or(|name| name == self.name)
    }
}

/// The probes that were set at the prompt.
pub struct Probes(Vec<Named>);

impl Probes {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    pub fn execute(&mut self, what: Command<'_>, out: &mut dyn Write) -> Result<(), Error> {
        match what {
            Command::List => self.list(out),
            Command::Remove { name } => self.define(&format!("-:{name}"), out),
            Command::Add { spec } => self.define(spec, out),
        }
    }

    /// Executes a line in the syntax of Linux's `kprobe_events` file.
    fn define(&mut self, line: &str, out: &mut dyn Write) -> Result<(), Error> {
        match events::parse(line)? {
            events::Command::Remove(event) => self.remove(event, out),
            events::Command::Probe(probe) => self.add(probe, out),
        }
    }

    fn add(&mut self, probe: Probe<'_>, out: &mut dyn Write) -> Result<(), Error> {
        let group = probe.event.group.unwrap_or(DEFAULT_GROUP).to_string();
        let name = probe.event.name.map_or_else(|| made_up(probe.kind, probe.target), ToString::to_string);
        if self.0.iter().any(|other| other.is(Some(&group), Some(&name))) {
            return Err(Error::NameTaken(format!("{group}/{name}")));
        }
        let place = Place::try_from(probe.target)?;
        let set = Set::new(probe.kind, place.address)?;
        writeln!(out, "{group}/{name}: {}, {}", Shown(place.address), set.described())?;
        self.0.push(Named { group, name, set });
        Ok(())
    }

    /// Removes all probes that match, as Linux does.
    fn remove(&mut self, event: Event<'_>, out: &mut dyn Write) -> Result<(), Error> {
        if !self.0.iter().any(|named| named.is(event.group, event.name)) {
            let name = event.to_string();
            return Err(Error::NoSuchProbe(name.trim_start_matches(':').to_string()));
        }
        while let Some(at) = self.0.iter().position(|named| named.is(event.group, event.name)) {
            let (hits, missed) = self.0[at].set.remove();
            let Named { group, name, .. } = self.0.remove(at);
            writeln!(out, "{group}/{name}: removed, {hits} hits, {missed} missed")?;
        }
        Ok(())
    }

    fn list(&self, out: &mut dyn Write) -> Result<(), Error> {
        if self.0.is_empty() {
            writeln!(out, "no probes")?;
            return Ok(());
        }
        let width = self.0.iter().map(|named| named.group.len() + 1 + named.name.len()).fold(12, usize::max);
        writeln!(out, "  {:width$}  {:>10} {:>8}  {:11}  place", "name", "hits", "missed", "instruction")?;
        for Named { group, name, set } in &self.0 {
            let (hits, missed) = set.counts();
            writeln!(
                out,
                "  {:width$}  {:>10} {:>8}  {:11}  {}",
                format!("{group}/{name}"),
                hits,
                missed,
                set.how(),
                Shown(set.address())
            )?;
        }
        Ok(())
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        for named in self.0.drain(..) {
            named.set.remove();
        }
    }
}

/// The name that Linux would give: `p_SYMBOL_OFFSET` or `p_ADDRESS`, with `r` for a return probe. Characters that names cannot have
/// become `_`.
fn made_up(kind: Kind, target: Target<'_>) -> String {
    let letter = if kind == Kind::Entry { 'p' } else { 'r' };
    let text = match target {
        Target::Symbol { name, offset } => format!("{letter}_{name}_{offset}"),
        Target::Address(address) => format!("{letter}_{address:#x}"),
    };
    let mut name = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if !(c == '_' && name.ends_with('_')) && name.len() < MAX_NAME {
            name.push(c);
        }
    }
    name
}
