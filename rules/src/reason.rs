//! Why each rule is as it is, and where it comes from.

use crate::source::{BANKS, INTERRUPTS, KPROBES, PREEMPTION, Source, X86};
use Source::{Architecture, Discussion, Own, Practice, Tried};

/// One rule's reason and sources.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Reason {
    /// The rule: the name of a row of the table or of an invariant.
    pub id: &'static str,
    /// What goes wrong without the rule.
    pub why: &'static str,
    /// Where the rule comes from.
    pub sources: &'static [Source],
}

const fn reason(id: &'static str, why: &'static str, sources: &'static [Source]) -> Reason {
    Reason { id, why, sources }
}

/// The reason of the rule with this name, in upper or lower case.
pub fn of(id: &str) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| reason.id.eq_ignore_ascii_case(id))
}

/// The reasons of all rules: of the rows of the table, then of the invariants, each in their order.
pub const REASONS: &[Reason] = &[
    reason(
        "M1",
        "MDSCR_EL1.SS does not say for which context the step was asked. If SS is still set when the kernel unmasks D, an instruction of the kernel is stepped in place of the task's.",
        &[
            Architecture(
                "D2.12: with MDSCR_EL1.SS and KDE set, software step is active at EL1 as soon as PSTATE.D is 0.",
            ),
            Own(
                "The list of exceptions in the discussion of 2020 mentions stepping only for interrupts from EL1; for exceptions from EL0 the same follows from I2 and I6.",
            ),
        ],
    ),
    reason(
        "M2",
        "Nothing in the handler of a system call or of a page fault needs exceptions masked, and an instruction that runs with D masked can be neither stepped nor watched.",
        &[Discussion(
            &PREEMPTION,
            "Will Deacon (26 June 2020) proposes to unmask D as soon as possible. Mark Rutland (30 November 2020) adds that the exception's registers must be copied before, since a later exception overwrites them.",
        )],
    ),
    reason(
        "M3",
        "A BRK from user space ends in a signal or in a uprobe, and the code that delivers signals takes locks that may sleep. A handler that runs with preemption off must not deliver signals.",
        &[Discussion(
            &PREEMPTION,
            "Paul Gortmaker reports the fault: with preempt-rt, a breakpoint of gdb makes the kernel sleep with preemption off. Will Deacon (23 and 26 June 2020) wants D and I unmasked together with preemption, and the whole path preemptible.",
        )],
    ),
    reason(
        "M4",
        "What has happened must be read from the debug state of this CPU, before the task can migrate to another CPU. So the first part of the handler reads that state with everything masked; the second part delivers the signal and may sleep, as for M3.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (26 June 2020) treats every debug exception from EL0 alike: D and I unmasked, then a signal. He and Mark Rutland (30 November 2020) note that the lists of handlers were not written for preemption.",
            ),
            Practice(
                "Linux (6.18, by reading) runs its handlers of breakpoints and watchpoints from EL0 with everything masked.",
            ),
            Own("The division into two parts is this kernel's."),
        ],
    ),
    reason(
        "M5",
        "An interrupt handler may have breakpoints of its own, so D is unmasked. I and F stay masked, because handlers do not nest.",
        &[Own(
            "The discussions treat interrupts from EL1 only. For interrupts from EL0 the same masks are enough, and no stash is needed, because M1 clears SS.",
        )],
    ),
    reason(
        "M6",
        "A fault's handler is ordinary code of the interrupted context, so it runs with that context's masks and can be stepped into. A step-over must end first: while its slot is suspended, hits of that slot by the handler would be missed.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (26 June 2020): unmask D as soon as possible, so that a step goes into such an exception. Mark Rutland (30 November 2020) agrees, once the registers are copied.",
            ),
            Practice("Linux runs the handler with the masks of the interrupted code."),
            Own("To complete the step-over in software is this kernel's addition, which follows from X1."),
        ],
    ),
    reason(
        "M7",
        "The report of a panic must not be interrupted by a breakpoint, a step or an interrupt that belongs to the state that has just been found broken.",
        &[Discussion(&PREEMPTION, "Will Deacon (26 June 2020): a fatal exception can leave D masked.")],
    ),
    reason(
        "M8",
        "When a context is resumed for a step, a periodic interrupt is nearly always pending, so a step that is not set aside lands in the interrupt's handler. The suspended slots of a step-over are armed again while the handler runs: otherwise the handler's hits of these slots would be missed.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (26 June 2020): keep MDSCR_EL1.SS in a per-CPU variable and clear it, unmask only D, restore SS on the way out, and do not reschedule while something is stepped. Mark Rutland (30 November 2020) asks about softirqs, which unmask interrupts: hence the stash stays while deferred work runs.",
            ),
            Discussion(
                &INTERRUPTS,
                "Sumit Garg's patch does so, but decides by SPSR.SS of the interrupted context. Will Deacon (26 January 2023) finds the test for the reschedule the wrong way round, and that the patch breaks breakpoints and watchpoints that the kernel steps over by itself. Ard Biesheuvel (27 January 2023): without such a patch every second step lands in the handler, and with the patch some steps still do.",
            ),
        ],
    ),
    reason(
        "M9",
        "An NMI may come while a lock is held or a slot is half written. With GICv3 priorities an NMI arrives as an IRQ, and only the acknowledge tells the two apart; by then it is too late to stash.",
        &[
            Discussion(
                &X86,
                "Andy Lutomirski (11 July 2019) lists NMIs and machine checks that come between two debug exceptions: x86 handles such NMIs with difficulty, and such machine checks not at all.",
            ),
            Own("To stash before the acknowledge is this kernel's addition."),
        ],
    ),
    reason(
        "M10",
        "The handlers of slots and steps change state that another debug exception would also change. With D masked, no hit of a slot and no step exception can come in between.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (26 June 2020): a debug exception from EL1 leaves D and I masked. Mark Rutland (23 June 2020) would treat it like an NMI.",
            ),
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013) refuses a patch that unmasks D within a debug exception: the rest of the debug code is not made for that.",
            ),
        ],
    ),
    reason(
        "M11",
        "WARN and BUG use BRK, but belong to the code that executes them and not to a debugger: a WARN in code that may sleep must not make that code atomic, and a WARN must be possible in every context.",
        &[Discussion(
            &PREEMPTION,
            "Mark Rutland (30 November 2020) wants BRK separated from the other debug exceptions, so that WARN, BUG and KASAN inherit the context that they interrupt. Masami Hiramatsu (24 November 2020) had asked to which class BRK belongs.",
        )],
    ),
    reason(
        "M12",
        "A probe can be set in code of every context, so its handler runs under the same restrictions as the handlers of M10. A step of the context is not lost: the step waits until the displaced instruction has been executed.",
        &[
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013): to unmask D for a probe's handlers takes more than a change of that flag; a handler that blocks would switch tasks with D set.",
            ),
            Discussion(
                &PREEMPTION,
                "Masami Hiramatsu (25 June 2020): a handler can run into another probe, whose instruction still has to be executed.",
            ),
        ],
    ),
    reason(
        "M12b",
        "At an optimised probe a branch to a trampoline stands in place of the BRK. Its handlers must see no difference, so the trampoline makes by hand the context that the exception would have made.",
        &[Own("No discussion: the rule is M12 without an exception.")],
    ),
    reason(
        "M13",
        "An interrupt can come when a step is done but not yet reported: MDSCR_EL1.SS is 1 and SPSR_EL1.SS is 0. If the way out sets SPSR_EL1.SS again, a second instruction runs before the step is reported. So one place computes MDSCR_EL1.SS, and SPSR_EL1.SS stays as it was saved.",
        &[
            Discussion(
                &INTERRUPTS,
                "Sumit Garg's patch looks at SPSR_EL1.SS to find out whether somebody steps. That test fails in exactly this state; Ard Biesheuvel (27 January 2023) still sees steps that end in an interrupt handler.",
            ),
            Architecture(
                "D2.12: ERET copies SPSR_EL1.SS to PSTATE.SS only if step is enabled for the target; D2.12.4 does not say that ERET sees a write of MDSCR_EL1 just before it, hence the ISB.",
            ),
            Tried(
                "QEMU 7.2 and 10.0: with MDSCR_EL1.SS set and SPSR_EL1.SS clear, an interrupt can be taken before the step exception.",
            ),
        ],
    ),
    reason(
        "M14",
        "Masking D does not keep a BRK away, so a probe or a WARN can be hit in every debug handler outside of no-probe text (text where probes are refused, H6). Such a BRK is taken at once; only the depth of the nesting is bounded.",
        &[
            Architecture("A BRK instruction exception is taken whatever PSTATE.D is."),
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013): a recursive probe just takes another BRK, since PSTATE.D does not mask it; the difficulty is to step over that one.",
            ),
            Discussion(
                &PREEMPTION,
                "Masami Hiramatsu (24 November 2020): a probe in the handler of a step is hit while that handler runs.",
            ),
        ],
    ),
    reason(
        "M15",
        "The kernel reads and writes user memory by unprivileged loads and stores (LDTR, STTR), which match the user's watchpoints. The kernel makes such an access on behalf of the task: a report of the hit would send the task a signal for an instruction that the task has not executed.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (26 June 2020): watchpoints on accesses to user memory are silently stepped over.",
            ),
            Tried(
                "QEMU 7.2 and 10.0: LDTR at EL1 hits a watchpoint for EL0, but only with MDSCR_EL1.KDE set and PSTATE.D clear.",
            ),
        ],
    ),
    reason(
        "M16",
        "An SError can come at any time, like an NMI, and usually means that something is broken for good.",
        &[
            Architecture(
                "D1.3: an SError is asynchronous, and its syndrome may say that the error is contained.",
            ),
            Own("No discussion. An SError is treated like an NMI (M9)."),
        ],
    ),
    reason(
        "I1",
        "If D could be masked with I unmasked, an interrupt could come from a context that is itself a debug handler. The interrupt's handler would have to keep D masked, and the stash would have to tell contexts with D masked from those with D open.",
        &[
            Discussion(&PREEMPTION, "Will Deacon (26 June 2020) names D and I together in every case."),
            Practice("Linux unmasks D in an interrupt from EL1 even if the interrupted code had it masked."),
        ],
    ),
    reason(
        "I2",
        "A step belongs to the context for which it was asked. If MDSCR_EL1.SS stays set while another context runs, the step exception stops that other context.",
        &[
            Discussion(
                &PREEMPTION,
                "Masami Hiramatsu (24 November 2020) welcomes the proposal of 26 June, because a step then belongs to one context.",
            ),
            Architecture(
                "D2.12: SS acts on whatever runs with D unmasked. B2.6.1: a write of MDSCR_EL1 is certain to be seen only after a context synchronization event.",
            ),
            Practice(
                "FreeBSD and CheriBSD have stepped their own debuggers because KDE and SS were set too early.",
            ),
        ],
    ),
    reason(
        "I3",
        "Every exception overwrites ESR_EL1, FAR_EL1, ELR_EL1 and SPSR_EL1. A BRK before they are copied, or between their reload and ERET, loses the interrupted context for good.",
        &[
            Discussion(
                &PREEMPTION,
                "Mark Rutland (30 November 2020): the registers are to be copied before anything decides what the exception is, so that D can be unmasked early.",
            ),
            Practice(
                "Handlers that read FAR_EL1 when they print report the wrong address after a nested fault.",
            ),
        ],
    ),
    reason(
        "I4",
        "The stepped instruction may have changed the flags. A kernel that restores the whole SPSR from before the step undoes that change.",
        &[Practice("illumos restored the whole SPSR after a step, and lost NZCV.")],
    ),
    reason(
        "I5",
        "PSTATE is not switched with the task. A switch with D masked, or with a slot suspended, leaves the next task without debug exceptions for as long as that task runs.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (23 June 2020): without unmasking before a switch there are holes in the kernel's debug coverage, fatal if a probe needs a step just then.",
            ),
            Discussion(&KPROBES, "Will Deacon (November 2013) warns of switching tasks with D set."),
        ],
    ),
    reason(
        "I6",
        "A step of one task must not stop another task, and a step of kernel code must not be reported as an exception from user space.",
        &[
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013): after a switch of tasks in a probe's handler, MDSCR_EL1.SS is still set on the return to user space, which then takes the step.",
            ),
            Practice(
                "Serenity: SS stayed set while another process ran, and the step exception killed that process. Linux: a tracer's step is lost when the kernel steps over a breakpoint at the same time (rr, issue 4100); hence owners are kept apart.",
            ),
        ],
    ),
    reason(
        "I7",
        "A probed instruction can read and write any register. Without the callee-saved registers in the frame, the kernel cannot simulate such an instruction, and a handler cannot see these registers.",
        &[Practice(
            "FreeBSD's kinst cannot probe whole classes of instructions, because its return to EL1 does not restore callee-saved registers.",
        )],
    ),
    reason(
        "I8",
        "A BRK cannot be masked, so a masked section is not atomic against a probe's handler. Data that such a handler may touch must be consistent after every single instruction of the section.",
        &[
            Architecture("A BRK instruction exception is taken whatever PSTATE.DAIF is."),
            Discussion(
                &PREEMPTION,
                "Will Deacon and Mark Rutland (23 June 2020) doubt that the code which handlers of debug exceptions share is reentrant.",
            ),
            Tried(
                "A probe on every instruction of such sections (the suite `reentrancy`) found places where work or console text was lost.",
            ),
        ],
    ),
    reason(
        "I9",
        "If the state of a step lies in several places, it can happen that only a part of it is moved or dropped: a suspended slot without its owner, or an owner without its slot. What an ended context still holds is never given back.",
        &[Own("No discussion: M1, M8, I5 and I6 have this rule in common.")],
    ),
    reason(
        "I10",
        "While interrupts are on, a thread may be switched away and continue on another CPU. A reference to per-CPU data that was taken before the switch then belongs to the wrong CPU.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (26 June 2020) wants debug exceptions preemptible, so every use of a per-CPU variable in their handlers has to be examined.",
            ),
            Own("To demand this of the whole kernel is this kernel's addition."),
        ],
    ),
    reason(
        "H1",
        "A hit can come at any moment between two writes. If the record is freed before the register is cleared, the handler finds a hit that belongs to nobody.",
        &[Discussion(
            &BANKS,
            "Mark Rutland (9 April 2026) shows this for Linux: the slot's pointer is cleared before the control register, and a hit in between is taken again and again. He would write the control register first, and explains why memory barriers are not needed: the exceptions are synchronous.",
        )],
    ),
    reason(
        "H2",
        "The caller of install and uninstall must be able to rely on them. Between the register's write and the ISB an access may hit or miss.",
        &[
            Discussion(
                &BANKS,
                "Mark Rutland (9 April 2026) lists for each access before the write, between write and ISB, and after the ISB whether it can, may or must hit.",
            ),
            Architecture(
                "D2, \"Synchronization and debug exceptions\": changes of debug registers are certain to be seen after a context synchronization event.",
            ),
        ],
    ),
    reason(
        "H3",
        "A hit that nobody owns is taken again as soon as the handler returns, for ever.",
        &[Discussion(
            &BANKS,
            "Mark Rutland (9 April 2026) reproduces the livelock: a breakpoint on the function that writes the debug registers stalls the CPU. He wants the kernel to survive even a breakpoint that nobody should set.",
        )],
    ),
    reason(
        "H4",
        "With banked registers, one register selects the bank that the next access goes to. If a hit or an interrupt comes in between and its handler selects another bank, the access goes to the wrong slot.",
        &[
            Discussion(
                &BANKS,
                "Mark Rutland (December 2024, and again April 2026) asks what keeps an exception's handler from running between the selection of a bank and the access.",
            ),
            Architecture(
                "FEAT_Debugv8p9: MDSELR_EL1.BANK selects the registers that DBGBCR<n>_EL1 and its like name.",
            ),
            Own("No QEMU has the feature; the code is tested against a model of the registers."),
        ],
    ),
    reason(
        "H5",
        "A breakpoint that is in force on some CPUs only is no breakpoint. But two debug handlers that wait for each other's CPU wait for ever.",
        &[Own("No discussion.")],
    ),
    reason(
        "H6",
        "Code that handles a debug exception cannot take one itself: the handler would be entered again before it has done anything.",
        &[
            Discussion(
                &BANKS,
                "Rob Herring (31 March 2026) relies on the mark that keeps probes out of code, and has found no such mark for data. Mark Rutland (2 April 2026) agrees, but does not find where the mark is enforced for breakpoints.",
            ),
            Discussion(
                &X86,
                "Peter Zijlstra (11 July 2019) describes a #DB in lockdep whose entry code calls lockdep again. Marks on functions prevent this today, but watchpoints on kernel text can still be set.",
            ),
        ],
    ),
    reason(
        "H7",
        "The address that the CPU reports may lie outside of the watched range, and several slots may match one access. A guess gives the hit to the wrong client, and one client's wish must not replace the other's.",
        &[
            Architecture(
                "DDI 0487, \"Determining the memory location that caused a Watchpoint exception\": the reported address may differ from the watched one within bounds.",
            ),
            Tried("QEMU: DC ZVA hits a watchpoint with a FAR_EL1 outside of the watched range."),
            Practice(
                "Linux (by reading): where several watchpoints match, the last handler decides for all of them.",
            ),
        ],
    ),
    reason(
        "H8",
        "While MDE or KDE is on, a slot or an SS bit that was set by mistake takes effect. The slots' registers are UNKNOWN out of reset, and with the OS lock set no debug exception comes at all.",
        &[
            Practice(
                "mu: on hardware no step exception came, because the OS lock was set; on the emulator it came. Unikraft: control registers of breakpoints are UNKNOWN out of reset.",
            ),
            Tried(
                "QEMU 7.2 and 10.0 ignore the OS lock for steps and breakpoints, so a test reads OSLSR_EL1 instead.",
            ),
        ],
    ),
    reason(
        "H9",
        "The return from every exception clears the exclusive monitor. If a loop of LDXR and STXR is stopped between the two each time, its store never succeeds.",
        &[
            Architecture(
                "B2, \"Synchronization and semaphores\": what clears the exclusive monitor, and which sequences are certain to make progress.",
            ),
            Tried(
                "QEMU: if a watchpoint on a lock's word is stepped over like any other watchpoint, the lock can never be taken.",
            ),
        ],
    ),
    reason(
        "K1",
        "Kprobes are used to find faults. A probe that changes what the code does hides the fault or makes another one.",
        &[
            Practice(
                "Linux computed the target of a simulated BR in 32 bits. The crate `kprobe` runs ADRP out of line, where it computes another address.",
            ),
            Tried(
                "While another CPU changed a literal, a simulation by two loads read torn values; the native instruction never did. Hence the rule names other CPUs.",
            ),
            Own("The list of observers is this kernel's."),
        ],
    ),
    reason(
        "K2",
        "There are instructions whose effect depends on where or when they are executed. It is better to refuse a probe than to run such an instruction differently.",
        &[
            Practice(
                "FreeBSD masks everything but debug exceptions while it steps, which is wrong for instructions that read or write DAIF. The crate `kprobe` accepts exclusives, ERET and RETAA out of line.",
            ),
            Own(
                "The list of refused instructions is this kernel's; it is made from the encodings in DDI 0487 C4.1.",
            ),
        ],
    ),
    reason(
        "K3",
        "While one CPU overwrites an instruction, another CPU may execute the old word, the new word, or, for most pairs of words, anything at all.",
        &[
            Architecture(
                "B2.2.5: which instructions may be exchanged while others execute them. B2, \"Synchronization and coherency issues between data and instruction accesses\": what has to follow the write.",
            ),
            Practice(
                "illumos: a BRK that was written without cache maintenance was never seen, and its caller looped.",
            ),
        ],
    ),
    reason(
        "K4",
        "The caller frees what the handler uses as soon as the removal returns.",
        &[Own("No discussion; every implementation of kprobes promises this.")],
    ),
    reason(
        "K5",
        "A handler calls ordinary functions, which may be probed. If a handler ran for a hit of its own probe, the recursion would never end; a different probe must still be hit.",
        &[
            Discussion(
                &KPROBES,
                "Sandeepa Prabhu and Will Deacon (November 2013): a handler that calls printk runs into a probe on printk. Will asks for a test with a probe in a probe's handler, each hit exactly once.",
            ),
            Discussion(
                &PREEMPTION,
                "Masami Hiramatsu (25 June and 24 November 2020): kprobes notice the nested hit and do not run its handlers, but its instruction has to be executed.",
            ),
        ],
    ),
    reason(
        "K6",
        "The breakpoint and the probe both have to be hit, and then both have to let the same instruction run.",
        &[
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013) asks for this test: a breakpoint and a probe on one address, with a probe in the probe's handler, each hit exactly once and without a hang.",
            ),
            Tried("QEMU: a hardware breakpoint on a BRK is taken before the BRK."),
        ],
    ),
    reason(
        "K7",
        "Only the probe engine knows of the copy. A fault at an address in the copy would find no fix-up, and a report would name no function.",
        &[Discussion(
            &PREEMPTION,
            "Will Deacon (26 June 2020) would like to assume that a stepped kernel instruction can take no exception but an interrupt, and does not trust this assumption; the rule covers the other exceptions.",
        )],
    ),
    reason(
        "K8",
        "A hardware step of the copy would cost a second exception, and would be in the way of a step that somebody has asked for the context. An interrupt in the copy could switch the thread away while the thread uses the copy.",
        &[
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013) would clear PSTATE.D only for the one copied instruction.",
            ),
            Discussion(
                &PREEMPTION,
                "Masami Hiramatsu (24 November 2020) names a condition for the new rules: kprobes must need BRK only, and no step.",
            ),
        ],
    ),
    reason(
        "X1",
        "A tool that loses or doubles hits cannot be trusted with the rare case for which it is used.",
        &[
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013): each probe and each breakpoint is hit exactly once.",
            ),
            Own("To count missed hits too, and on several CPUs, is this kernel's addition."),
        ],
    ),
    reason(
        "X2",
        "A user who steps expects the next instruction of the same code. While a timer runs, steps that may land in an interrupt handler make no progress in that code.",
        &[
            Discussion(
                &INTERRUPTS,
                "Sumit Garg (19 December 2022): the step should stop at the next instruction or at the branch's target. Ard Biesheuvel (27 January 2023): otherwise half of the steps end in an interrupt handler.",
            ),
            Architecture(
                "D2.12: step is inactive while PSTATE.D is set at EL1, so a context with D masked cannot be stepped.",
            ),
        ],
    ),
    reason(
        "X3",
        "A user program is not trusted. A value of SPSR that such a program chooses must not lead to an exception return that the architecture calls illegal.",
        &[
            Own("No discussion."),
            Tried(
                "QEMU: after an illegal exception return with SPSR_EL1.SS set, step exceptions are taken at EL1 without end.",
            ),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::INVARIANTS;
    use crate::source::DISCUSSIONS;
    use crate::table::TABLE;

    #[test]
    fn every_rule_has_a_reason_and_a_source_and_nothing_else_has() {
        let rules = TABLE.iter().map(|row| row.id.name()).chain(INVARIANTS.iter().map(|rule| rule.id));
        assert_eq!(rules.collect::<Vec<_>>(), REASONS.iter().map(|reason| reason.id).collect::<Vec<_>>());
        for reason in REASONS {
            assert!(!reason.why.is_empty() && !reason.sources.is_empty(), "{}", reason.id);
            assert_eq!(of(reason.id).map(|found| found.why), Some(reason.why));
        }
        assert_eq!(of("m12B").map(|found| found.id), Some("M12b"));
        assert!(of("M17").is_none());
    }

    #[test]
    fn every_text_is_made_of_sentences() {
        for reason in REASONS {
            for text in reason.sources.iter().map(Source::text).chain([reason.why]) {
                assert!(text.ends_with('.') && !text.contains("  "), "{}: {text}", reason.id);
            }
        }
    }

    #[test]
    fn every_discussion_is_some_rules_source() {
        for discussion in DISCUSSIONS {
            let used = REASONS.iter().flat_map(|reason| reason.sources).any(
                |source| matches!(source, Source::Discussion(of, _) if of.subject == discussion.subject),
            );
            assert!(used, "{discussion}");
        }
    }
}
