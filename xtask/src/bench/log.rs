//! Reads QEMU's log of every instruction (`-d cpu,int,nochain`, one instruction in each block), and counts how long PSTATE.D and
//! PSTATE.I stay set. Nothing here does input or output.
//!
//! The log shows the state before each instruction that QEMU begins. QEMU does not finish all of them: it may take an interrupt
//! first, or begin the instruction again because of a device. Such an instruction is in the log twice. A path runs between two
//! calls of a mark (`bench_mark`, `sample_begin` and `sample_end`, or those of a program), whose first instruction reads the counter. Under icount the counter is the number of
//! instructions so far. So the instructions counted here must be as many as the counter says; otherwise the log was misunderstood.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::mem::take;

/// PSTATE.D and PSTATE.I, as in SPSR_EL1.
const D: u64 = 1 << 9;
const I: u64 = 1 << 7;

/// A stretch of instructions without a break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    pub insns: u64,
    /// The address of its first instruction.
    pub from: u64,
}

/// The figures of one path: the largest of all runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// How often the path was run.
    pub runs: u64,
    /// Instructions from mark to mark.
    pub insns: u64,
    /// The longest stretch with D set.
    pub d: Stretch,
    /// The longest stretch with I set.
    pub i: Stretch,
}

/// Reads the log line by line.
pub struct Reader {
    /// The addresses of the marks.
    marks: [u64; 2],
    /// The instruction whose state the log is showing.
    reading: Insn,
    /// The instruction before `reading`. QEMU may not have finished it.
    begun: Option<Insn>,
    /// Whether the exception that the log is showing is a BRK.
    brk: bool,
    /// Instructions finished so far.
    count: u64,
    at_mark: u64,
    inside: Option<Inside>,
    paths: BTreeMap<u64, Longest>,
    runs: Vec<Run>,
    wrong: Option<String>,
}

#[derive(Clone, Copy, Default)]
struct Insn {
    pc: u64,
    x0: u64,
    x1: u64,
    pstate: u64,
}

/// The path that is running.
struct Inside {
    count: u64,
    counter: u64,
    d: Running,
    i: Running,
    run: Run,
}

/// What was executed between two marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub path: u64,
    /// The addresses of the instructions.
    pub trace: Vec<u64>,
    /// Where exceptions were taken: how many instructions had been executed before each.
    pub taken: Vec<usize>,
}

/// The current stretch, and the longest one so far.
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
    /// A reader for marks at these addresses.
    pub fn new(marks: [u64; 2]) -> Self {
        Self {
            marks,
            reading: Insn::default(),
            begun: None,
            brk: false,
            count: 0,
            at_mark: 0,
            inside: None,
            paths: BTreeMap::new(),
            runs: Vec::new(),
            wrong: None,
        }
    }

    /// Takes a line. False if the line does not belong to the log.
    pub fn line(&mut self, line: &str) -> bool {
        if let Some(rest) = line.strip_prefix(" PC=") {
            let word = |name| rest.split_once(name).and_then(|(_, rest)| hex(rest));
            match (hex(rest), word("X00="), word("X01=")) {
                (Some(pc), Some(x0), Some(x1)) => self.reading = Insn { pc, x0, x1, pstate: 0 },
                _ => self.wrong(format!("QEMU's log has a line that cannot be read: {line:?}")),
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
        // The same instruction again: it was not finished the first time.
        let again = self.begun.is_some_and(|begun| begun.pc == insn.pc);
        if let Some(begun) = self.begun.replace(insn).filter(|_| !again) {
            self.finished(begun);
        }
    }

    fn exception(&mut self, elr: Option<u64>) {
        // If ELR is the instruction's own address, QEMU has not finished the instruction. Only a BRK is finished nevertheless: its
        // ELR is always its own address.
        if let Some(begun) = self.begun.take()
            && (self.brk || elr != Some(begun.pc))
        {
            self.finished(begun);
        }
        if let Some(inside) = &mut self.inside {
            inside.run.taken.push(inside.run.trace.len());
        }
    }

    fn finished(&mut self, insn: Insn) {
        if self.marks.contains(&insn.pc) {
            self.at_mark = self.count;
        }
        self.count += 1;
        if let Some(inside) = &mut self.inside {
            inside.run.trace.push(insn.pc);
            inside.d.insn(insn.pc, insn.pstate & D != 0);
            inside.i.insn(insn.pc, insn.pstate & I != 0);
        }
        if self.marks.contains(&insn.pc.wrapping_sub(4)) {
            self.marked(insn);
        }
    }

    /// Takes the counter's value after its read in `bench_mark`.
    fn marked(&mut self, Insn { x0: path, x1: counter, pstate, .. }: Insn) {
        if pstate & (D | I) != 0 {
            self.wrong(format!("the mark of path {path} is executed with D or I masked"));
        }
        match (self.inside.take(), path) {
            (Some(inside), 0) => self.end(inside, counter),
            (None, 1..) => {
                let (d, i) = Default::default();
                let run = Run { path, ..Run::default() };
                self.inside = Some(Inside { count: self.at_mark, counter, d, i, run });
            }
            (inside, _) => self.wrong(format!(
                "the mark {path} comes inside path {}",
                inside.map_or(0, |inside| inside.run.path)
            )),
        }
    }

    fn end(&mut self, inside: Inside, counter: u64) {
        let logged = self.at_mark - inside.count;
        let counted = counter.wrapping_sub(inside.counter);
        if logged != counted {
            let path = inside.run.path;
            self.wrong(format!("path {path}: {logged} instructions by QEMU's log, {counted} by the counter"));
        }
        let longest = self.paths.entry(inside.run.path).or_default();
        longest.runs += 1;
        longest.insns = longest.insns.max(logged);
        for (longest, stretch) in [(&mut longest.d, &inside.d.most), (&mut longest.i, &inside.i.most)] {
            if stretch.insns > longest.insns {
                *longest = *stretch;
            }
        }
        self.runs.push(inside.run);
    }

    /// Takes out the runs that have ended since the last call, in order.
    pub fn take_runs(&mut self) -> Vec<Run> {
        take(&mut self.runs)
    }

    /// Records an error. Only the first one is kept.
    fn wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    /// The figures of the paths, by their numbers.
    ///
    /// # Errors
    /// When the log and the counter contradict each other.
    pub fn finish(self) -> Result<BTreeMap<u64, Longest>> {
        if let Some(wrong) = self.wrong {
            bail!("{wrong}");
        }
        if let Some(inside) = self.inside {
            bail!("path {} has no end in QEMU's log", inside.run.path);
        }
        Ok(self.paths)
    }
}

/// The hexadecimal number at the beginning of a text.
fn hex(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    u64::from_str_radix(&text[..end], 16).ok()
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
