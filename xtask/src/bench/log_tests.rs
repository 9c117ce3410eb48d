//! Tests of the log's reader, on logs as QEMU 7.2 writes them.

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

    /// The state in front of an instruction that QEMU begins and finishes.
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

    /// `length` instructions of a handler, the last of which returns.
    fn handler(&mut self, length: u64, pstate: u64) -> &mut Self {
        (0..length).for_each(|n| _ = self.insn(VECTOR + n * 4, pstate));
        self.text += "Exception return from AArch64 EL1 to AArch64 EL1 PC 0x1\n";
        self
    }

    fn read(&self) -> Result<BTreeMap<u64, Longest>> {
        let mut reader = Reader::new([MARK, 0]);
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

/// A path of some instructions with nothing masked, and the instructions of `inside` in their middle.
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
    // The return of the first mark counts, the read of the counter in the second mark does not.
    assert_eq!((longest.runs, longest.insns), (1, 10));
}

#[test]
fn a_path_without_masks_has_no_stretch() {
    let longest = path(|_| ()).only();
    assert_eq!((longest.d, longest.i), Default::default());
}

#[test]
fn what_a_path_executed_is_recorded() {
    let mut log = Log::default();
    for from in [0x100, 0x200] {
        log.mark(3, OPEN)
            .insn(CODE + from, OPEN)
            .begun(CODE + from + 4, I)
            .exception("5 [IRQ]", CODE + from + 4);
        log.handler(1, D | I).insn(CODE + from + 4, I).mark(0, OPEN);
    }
    log.insn(CODE, OPEN);
    let mut reader = Reader::new([MARK, 0]);
    log.text.lines().for_each(|line| _ = reader.line(line));
    let run = |from| Run {
        path: 3,
        trace: vec![CODE + from, VECTOR, CODE + from + 4, MARK, MARK + 4],
        taken: vec![1],
    };
    assert_eq!(reader.take_runs(), [run(0x100), run(0x200)]);
    assert_eq!(reader.take_runs(), []);
}

#[test]
fn a_brk_stands_before_its_exception() {
    let mut log = Log::default();
    log.mark(3, OPEN).insn(CODE, OPEN).exception("7 [Breakpoint]", CODE).handler(1, D | I);
    log.insn(CODE + 4, OPEN).mark(0, OPEN).insn(CODE, OPEN);
    let mut reader = Reader::new([MARK, 0]);
    log.text.lines().for_each(|line| _ = reader.line(line));
    let [run] = &reader.take_runs()[..] else { panic!("one run") };
    assert_eq!((&run.trace[..3], &run.taken[..]), (&[CODE, VECTOR, CODE + 4][..], &[1][..]));
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
    // A hardware breakpoint hits in front of the instruction, so the log does not have the instruction.
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
    let mut reader = Reader::new([0, MARK]);
    assert!(!reader.line("qemu-system-aarch64: warning: x"));
    assert!(reader.line(" PC=xyz"));
    assert!(reader.finish().is_err(), "a damaged line");
}
