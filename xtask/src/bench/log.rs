//! QEMU's log of every instruction (`-d cpu,int,nochain`, one instruction a block): how long PSTATE.D and PSTATE.I stay
//! set. Pure.
//!
//! The log shows the state in front of each instruction that QEMU begins. Some it does not finish: it has to take an
//! interrupt first, or to begin anew because of a device; those are there twice. A path runs between two calls of the kernel's
//! `bench_mark`, whose first instruction reads the counter. Under icount that is the number of instructions so far, so the
//! count made here must be the counter's, or the log was not understood.

use anyhow::{Result, bail};
use std::collections::BTreeMap;

/// PSTATE.D and PSTATE.I, as in SPSR_EL1.
const D: u64 = 1 << 9;
const I: u64 = 1 << 7;

/// Instructions without a break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    pub insns: u64,
    /// Where the first one is.
    pub from: u64,
}

/// What one path came to; of all times that it was run the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// How often it was run.
    pub runs: u64,
    /// Instructions from mark to mark.
    pub insns: u64,
    /// The longest stretch with D set.
    pub d: Stretch,
    /// With I set.
    pub i: Stretch,
}

/// Reads the log line by line.
pub struct Reader {
    /// The address of `bench_mark`.
    mark: u64,
    /// The instruction whose state is being read.
    reading: Insn,
    /// The last one, not known yet to have been finished.
    begun: Option<Insn>,
    /// The exception that is being told is a BRK.
    brk: bool,
    /// Instructions finished so far.
    count: u64,
    at_mark: u64,
    inside: Option<Inside>,
    paths: BTreeMap<u64, Longest>,
    /// Of each path what was executed the last time.
    traces: BTreeMap<u64, Vec<u64>>,
    wrong: Option<String>,
}

#[derive(Clone, Copy, Default)]
struct Insn {
    pc: u64,
    x0: u64,
    x1: u64,
    pstate: u64,
}

/// The path that runs.
struct Inside {
    path: u64,
    count: u64,
    counter: u64,
    d: Running,
    i: Running,
    /// What was executed.
    trace: Vec<u64>,
}

/// The stretch that runs, and the longest so far.
#[derive(Default)]
struct Running {
    now: Stretch,
    most: Stretch,
}

impl Running {
    fn insn(&mut self, pc: u64, masked: bool) {
        if !masked {
            self.now = Stretch::default();
            return;
        }
        if self.now.insns == 0 {
            self.now.from = pc;
        }
        self.now.insns += 1;
        if self.now.insns > self.most.insns {
            self.most = self.now;
        }
    }
}

impl Reader {
    /// With the address of `bench_mark`.
    pub fn new(mark: u64) -> Self {
        Self {
            mark,
            reading: Insn::default(),
            begun: None,
            brk: false,
            count: 0,
            at_mark: 0,
            inside: None,
            paths: BTreeMap::new(),
            traces: BTreeMap::new(),
            wrong: None,
        }
    }

    /// Takes a line. False if it is none of the log's.
    pub fn line(&mut self, line: &str) -> bool {
        if let Some(rest) = line.strip_prefix(" PC=") {
            let word = |name| rest.split_once(name).and_then(|(_, rest)| hex(rest));
            match (hex(rest), word("X00="), word("X01=")) {
                (Some(pc), Some(x0), Some(x1)) => self.reading = Insn { pc, x0, x1, pstate: 0 },
                _ => self.wrong(format!("QEMU's log has a line {line:?}")),
            }
        } else if let Some(rest) = line.strip_prefix("PSTATE=") {
            self.begin(Insn { pstate: hex(rest).unwrap_or(0), ..self.reading });
        } else if let Some(rest) = line.strip_prefix("Taking exception ") {
            self.brk = rest.starts_with("7 ");
        } else if let Some(rest) = line.strip_prefix("...with ELR 0x") {
            self.exception(hex(rest));
        } else {
            let known = ["X", "...", "Exception return from "];
            return known.iter().any(|known| line.starts_with(known));
        }
        true
    }

    fn begin(&mut self, insn: Insn) {
        // In front of the same instruction again: it was not finished.
        let again = self.begun.is_some_and(|begun| begun.pc == insn.pc);
        if let Some(begun) = self.begun.replace(insn).filter(|_| !again) {
            self.finished(begun);
        }
    }

    fn exception(&mut self, elr: Option<u64>) {
        // One that returns to the instruction found it unfinished; but a BRK counts as an instruction.
        if let Some(begun) = self.begun.take()
            && (self.brk || elr != Some(begun.pc))
        {
            self.finished(begun);
        }
    }

    fn finished(&mut self, insn: Insn) {
        if insn.pc == self.mark {
            self.at_mark = self.count;
        }
        self.count += 1;
        if let Some(inside) = &mut self.inside {
            inside.trace.push(insn.pc);
            inside.d.insn(insn.pc, insn.pstate & D != 0);
            inside.i.insn(insn.pc, insn.pstate & I != 0);
        }
        if insn.pc == self.mark + 4 {
            self.marked(insn);
        }
    }

    /// Behind the counter's read in `bench_mark`.
    fn marked(&mut self, Insn { x0: path, x1: counter, pstate, .. }: Insn) {
        if pstate & (D | I) != 0 {
            self.wrong(format!("the mark {path} stands in a context with D or I masked"));
        }
        match (self.inside.take(), path) {
            (Some(inside), 0) => self.end(inside, counter),
            (None, 1..) => {
                let (d, i, trace) = Default::default();
                self.inside = Some(Inside { path, count: self.at_mark, counter, d, i, trace });
            }
            (inside, _) => self
                .wrong(format!("the mark {path} comes in path {}", inside.map_or(0, |inside| inside.path))),
        }
    }

    fn end(&mut self, inside: Inside, counter: u64) {
        let logged = self.at_mark - inside.count;
        let counted = counter.wrapping_sub(inside.counter);
        if logged != counted {
            let path = inside.path;
            self.wrong(format!("path {path}: {logged} instructions by QEMU's log, {counted} by the counter"));
        }
        let longest = self.paths.entry(inside.path).or_default();
        longest.runs += 1;
        longest.insns = longest.insns.max(logged);
        for (longest, stretch) in [(&mut longest.d, &inside.d.most), (&mut longest.i, &inside.i.most)] {
            if stretch.insns > longest.insns {
                *longest = *stretch;
            }
        }
        self.traces.insert(inside.path, inside.trace);
    }

    /// The addresses that each path executed the last time, in order; takes them.
    pub fn take_traces(&mut self) -> BTreeMap<u64, Vec<u64>> {
        std::mem::take(&mut self.traces)
    }

    /// Keeps the first thing that is wrong.
    fn wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// The paths by their number.
    ///
    /// # Errors
    /// When something did not add up.
    pub fn finish(self) -> Result<BTreeMap<u64, Longest>> {
        if let Some(wrong) = self.wrong {
            bail!("{wrong}");
        }
        if let Some(inside) = self.inside {
            bail!("path {} has no end in QEMU's log", inside.path);
        }
        Ok(self.paths)
    }
}

/// The hexadecimal number that a text begins with.
fn hex(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    u64::from_str_radix(&text[..end], 16).ok()
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
