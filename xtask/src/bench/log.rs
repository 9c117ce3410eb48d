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
            (Some(inside), 0) => self.end(&inside, counter),
            (None, 1..) => {
                let (d, i) = Default::default();
                self.inside = Some(Inside { path, count: self.at_mark, counter, d, i });
            }
            (inside, _) => self
                .wrong(format!("the mark {path} comes in path {}", inside.map_or(0, |inside| inside.path))),
        }
    }

    fn end(&mut self, inside: &Inside, counter: u64) {
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
mod tests {
    use super::*;

    const MARK: u64 = 0xffff_8000_0000_1000;
    const CODE: u64 = 0xffff_8000_0000_2000;
    const VECTOR: u64 = 0xffff_8000_0000_0a00;
    const OPEN: u64 = 0x5;

    /// A log as QEMU 7.2 writes it.
    #[derive(Default)]
    struct Log {
        text: String,
        counter: u64,
    }

    impl Log {
        /// The state in front of an instruction that QEMU begins.
        fn begun(&mut self, pc: u64, pstate: u64) -> &mut Self {
            self.state(pc, pstate, 0, 0)
        }

        /// And finishes.
        fn insn(&mut self, pc: u64, pstate: u64) -> &mut Self {
            self.counter += 1;
            self.begun(pc, pstate)
        }

        fn state(&mut self, pc: u64, pstate: u64, x0: u64, x1: u64) -> &mut Self {
            self.text += &format!(" PC={pc:016x} X00={x0:016x} X01={x1:016x}\nX02={x1:016x} X03={x0:016x}\n");
            self.text += &format!("PSTATE={pstate:08x} -Z-- EL1h\n");
            self
        }

        fn mark(&mut self, path: u64, pstate: u64) -> &mut Self {
            let counter = self.counter;
            self.state(MARK, pstate, path, 77).state(MARK + 4, pstate, path, counter);
            self.counter += 2;
            self
        }

        fn exception(&mut self, kind: &str, elr: u64) -> &mut Self {
            self.text += &format!(
                "Taking exception {kind} on CPU 0\n...from EL1 to EL1\n...with ESR 0x3c/0xf2000402\n...with ELR 0x{elr:x}\n\
                 ...to EL1 PC 0x{VECTOR:x} PSTATE 0x3c5\n"
            );
            self
        }

        /// So many instructions of a handler, the last of which returns.
        fn handler(&mut self, length: u64, pstate: u64) -> &mut Self {
            (0..length).for_each(|n| _ = self.insn(VECTOR + n * 4, pstate));
            self.text += "Exception return from AArch64 EL1 to AArch64 EL1 PC 0x1\n";
            self
        }

        fn read(&self) -> Result<BTreeMap<u64, Longest>> {
            let mut reader = Reader::new(MARK);
            for line in self.text.lines() {
                assert!(reader.line(line), "{line}");
            }
            reader.finish()
        }

        fn only(&self) -> Longest {
            let paths = self.read().unwrap();
            assert_eq!(paths.keys().copied().collect::<Vec<_>>(), [3]);
            paths[&3]
        }
    }

    /// A path of some instructions in the open around `inside`.
    fn path(inside: impl FnOnce(&mut Log)) -> Log {
        let mut log = Log::default();
        log.insn(CODE, OPEN).mark(3, OPEN).insn(CODE + 4, OPEN);
        inside(&mut log);
        log.insn(CODE + 0x100, OPEN).mark(0, OPEN).insn(CODE, OPEN);
        log
    }

    #[test]
    fn each_mask_has_its_stretch() {
        let log = path(|log| {
            log.insn(CODE + 8, I).insn(CODE + 12, D | I).insn(CODE + 16, D | I).insn(CODE + 20, I);
            log.insn(CODE + 24, OPEN).insn(CODE + 28, D | I);
        });
        let longest = log.only();
        assert_eq!(longest.d, Stretch { insns: 2, from: CODE + 12 });
        assert_eq!(longest.i, Stretch { insns: 4, from: CODE + 8 });
        // With the return of the first mark, and the second one's read of the counter not.
        assert_eq!((longest.runs, longest.insns), (1, 10));
    }

    #[test]
    fn a_path_without_masks_has_no_stretch() {
        let longest = path(|_| ()).only();
        assert_eq!((longest.d, longest.i), Default::default());
    }

    #[test]
    fn of_several_runs_the_longest_counts() {
        let mut log = Log::default();
        for length in [2, 5, 3] {
            log.mark(3, OPEN);
            (0..length).for_each(|n| _ = log.insn(CODE + n * 4, D | I));
            log.insn(CODE + 40, OPEN).mark(0, OPEN);
        }
        log.insn(CODE, OPEN);
        let longest = log.only();
        assert_eq!((longest.runs, longest.d.insns, longest.insns), (3, 5, 8));
    }

    #[test]
    fn masks_outside_of_a_path_do_not_count() {
        let mut log = Log::default();
        log.insn(CODE, D | I).insn(CODE + 4, D | I).mark(3, OPEN).mark(0, OPEN).insn(CODE, D | I);
        assert_eq!(log.only().d.insns, 0);
    }

    #[test]
    fn a_brk_counts_and_is_open() {
        let brk = path(|log| {
            log.insn(CODE + 8, OPEN).exception("7 [Breakpoint]", CODE + 8).handler(94, D | I);
            log.insn(CODE + 12, OPEN);
        });
        assert_eq!(brk.only().d, Stretch { insns: 94, from: VECTOR });
    }

    #[test]
    fn what_is_begun_and_not_finished_does_not_count() {
        let plain = path(|log| {
            log.insn(CODE + 8, I);
        });
        let interrupted = path(|log| {
            log.begun(CODE + 8, I).exception("5 [IRQ]", CODE + 8).insn(CODE + 8, I);
        });
        let watchpoint = path(|log| {
            log.begun(CODE + 8, I).exception("4 [Data Abort]", CODE + 8).insn(CODE + 8, I);
        });
        let device = path(|log| {
            log.begun(CODE + 8, I).begun(CODE + 8, I).insn(CODE + 8, I);
        });
        for log in [interrupted, watchpoint, device] {
            assert_eq!(log.only(), plain.only());
        }
    }

    #[test]
    fn what_is_finished_in_front_of_an_exception_counts() {
        // A breakpoint in hardware is found in front of the instruction, which the log does not have then.
        let log = path(|log| {
            log.insn(CODE + 8, I).exception("3 [Prefetch Abort]", CODE + 12).handler(1, D | I);
            log.insn(CODE + 12, OPEN);
        });
        assert_eq!((log.only().i.insns, log.only().d.insns), (2, 1));
    }

    #[test]
    fn the_counter_must_agree() {
        for wrong in [-1, 1] {
            let log = path(|log| log.counter = log.counter.wrapping_add_signed(wrong));
            let error = log.read().unwrap_err().to_string();
            assert!(error.contains("by QEMU's log") && error.contains("path 3"), "{error}");
        }
    }

    #[test]
    fn marks_that_do_not_match_are_refused() {
        let refused = |build: &dyn Fn(&mut Log)| {
            let mut log = Log::default();
            build(&mut log);
            log.insn(CODE, OPEN);
            log.read().is_err()
        };
        assert!(refused(&|log| _ = log.mark(3, OPEN)), "no end");
        assert!(refused(&|log| _ = log.mark(0, OPEN)), "no begin");
        assert!(refused(&|log| _ = log.mark(3, OPEN).mark(4, OPEN).mark(0, OPEN)), "one in the other");
        assert!(refused(&|log| _ = log.mark(3, I).mark(0, OPEN)), "begins masked");
        assert!(refused(&|log| _ = log.mark(3, OPEN).mark(0, D)), "ends masked");
        assert!(!refused(&|log| _ = log.mark(3, OPEN).mark(0, OPEN)));
    }

    #[test]
    fn what_is_no_line_of_the_log_is_left_to_the_caller() {
        let mut reader = Reader::new(MARK);
        assert!(!reader.line("qemu-system-aarch64: warning: x"));
        assert!(reader.line(" PC=xyz"));
        assert!(reader.finish().is_err(), "a damaged line");
    }
}
