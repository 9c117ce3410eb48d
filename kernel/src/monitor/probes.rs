//! `probe`: named probes.

use super::Error;
use crate::kprobe::{self, Kprobe};
use crate::report::place::Place;
use crate::report::symbols::Shown;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use cli::command::Probe as Command;
use core::fmt::Write;
use probe::events::{self, DEFAULT_GROUP, Event, Kind, MAX_NAME, Probe, Target};

struct Named {
    group: String,
    name: String,
    kprobe: &'static Kprobe,
}

impl Named {
    fn is(&self, group: Option<&str>, name: Option<&str>) -> bool {
        group.is_none_or(|group| group == self.group) && name.is_none_or(|name| name == self.name)
    }
}

/// The probes set at the prompt.
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

    /// A line as Linux's `kprobe_events` file takes them.
    fn define(&mut self, line: &str, out: &mut dyn Write) -> Result<(), Error> {
        match events::parse(line)? {
            events::Command::Remove(event) => self.remove(event, out),
            events::Command::Probe(Probe { kind: Kind::Return { .. }, .. }) => Err(Error::ReturnProbe),
            events::Command::Probe(probe) => self.add(probe, out),
        }
    }

    fn add(&mut self, probe: Probe<'_>, out: &mut dyn Write) -> Result<(), Error> {
        let group = probe.event.group.unwrap_or(DEFAULT_GROUP).to_string();
        let name = probe.event.name.map_or_else(|| made_up(probe.target), ToString::to_string);
        if self.0.iter().any(|other| other.is(Some(&group), Some(&name))) {
            return Err(Error::NameTaken(format!("{group}/{name}")));
        }
        let place = Place::try_from(probe.target)?;
        let kprobe = kprobe::register(place.address, None, None)?;
        writeln!(out, "{group}/{name}: {}, its instruction {}", Shown(place.address), runs(kprobe))?;
        self.0.push(Named { group, name, kprobe });
        Ok(())
    }

    /// Removes all that match, as Linux does.
    fn remove(&mut self, event: Event<'_>, out: &mut dyn Write) -> Result<(), Error> {
        if !self.0.iter().any(|named| named.is(event.group, event.name)) {
            let name = event.to_string();
            return Err(Error::NoSuchProbe(name.trim_start_matches(':').to_string()));
        }
        while let Some(at) = self.0.iter().position(|named| named.is(event.group, event.name)) {
            let (hits, missed) = kprobe::remove(self.0[at].kprobe);
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
        for Named { group, name, kprobe } in &self.0 {
            writeln!(
                out,
                "  {:width$}  {:>10} {:>8}  {:11}  {}",
                format!("{group}/{name}"),
                kprobe.hits(),
                kprobe.missed(),
                kprobe.how(),
                Shown(kprobe.address)
            )?;
        }
        Ok(())
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        for named in self.0.drain(..) {
            kprobe::remove(named.kprobe);
        }
    }
}

fn runs(kprobe: &Kprobe) -> &'static str {
    match kprobe.how() {
        "simulated" => "is simulated",
        _ => "runs out of line",
    }
}

/// The name that Linux would give: `p_SYMBOL_OFFSET` or `p_ADDRESS`, of characters that names can have.
fn made_up(target: Target<'_>) -> String {
    let text = match target {
        Target::Symbol { name, offset } => format!("p_{name}_{offset}"),
        Target::Address(address) => format!("p_{address:#x}"),
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
