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
        "MDSCR_EL1.SS does not say whose step it is. If it is still set when the kernel unmasks D, the kernel's own next instruction is stepped in place of the task's.",
        &[
            Architecture(
                "D2.12: with MDSCR_EL1.SS and KDE set, software step is active at EL1 as soon as PSTATE.D is 0.",
            ),
            Own(
                "The list of exceptions in the discussion of 2020 speaks of stepping only where an interrupt comes from EL1; for EL0 the same follows from I2 and I6.",
            ),
        ],
    ),
    reason(
        "M2",
        "Nothing in the handler of a system call or of a page fault needs exceptions masked, and every instruction that runs with D masked can be neither stepped nor watched.",
        &[Discussion(
            &PREEMPTION,
            "Will Deacon (26 June 2020) proposes to unmask D as soon as possible. Mark Rutland (30 November 2020) adds what has to come first: the exception's registers are copied, since a later exception overwrites them.",
        )],
    ),
    reason(
        "M3",
        "A BRK from user space ends in a signal or in a uprobe, and the code that delivers signals takes locks that may sleep. A handler that keeps preemption off may not call it.",
        &[Discussion(
            &PREEMPTION,
            "Paul Gortmaker reports the fault: with preempt-rt, a breakpoint of gdb makes the kernel sleep with preemption off. Will Deacon (23 and 26 June 2020) wants D and I unmasked together with preemption, and the whole path preemptible.",
        )],
    ),
    reason(
        "M4",
        "What the debug registers say is this CPU's, and is lost once the task migrates. So the first part of the handler takes it with everything masked; the second part delivers the signal and may sleep, as for M3.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (26 June 2020) treats every debug exception from EL0 alike: D and I unmasked, then a signal. He and Mark Rutland (30 November 2020) note that the lists of handlers are not made for preemption.",
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
            "The discussions treat interrupts from EL1 only. From EL0 the same masks do, and no stash is needed (M1).",
        )],
    ),
    reason(
        "M6",
        "A fault's handler is ordinary code of the interrupted context, so it runs with that context's masks and can be stepped into. A step-over must end first: its slot is suspended, and what the handler does at that address would be missed.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (26 June 2020): unmask D as soon as possible, so that a step goes into such an exception. Mark Rutland (30 November 2020) agrees, once the registers are copied.",
            ),
            Practice("Linux inherits the masks of the interrupted code."),
            Own("That a step-over is completed in software is this kernel's: it follows from X1."),
        ],
    ),
    reason(
        "M7",
        "The report of a panic must not be interrupted by a breakpoint, a step or an interrupt that belongs to the state that has just been found broken.",
        &[Discussion(&PREEMPTION, "Will Deacon (26 June 2020): a fatal exception can leave D masked.")],
    ),
    reason(
        "M8",
        "A periodic interrupt is nearly always pending when a step ends, so a step that is not set aside lands in the interrupt's handler. The slots of a step-over are armed again for the handler's time: else every breakpoint that the handler reaches goes unseen.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (26 June 2020): keep MDSCR_EL1.SS in a per-CPU variable and clear it, unmask only D, restore SS on the way out, and do not reschedule while something is stepped. Mark Rutland (30 November 2020) asks about softirqs, which unmask interrupts: hence the stash stays while deferred work runs.",
            ),
            Discussion(
                &INTERRUPTS,
                "Sumit Garg's patch does so, but decides by SPSR.SS of the interrupted context. Will Deacon (26 January 2023) finds the test for the reschedule the wrong way round, and that the patch breaks breakpoints and watchpoints that the kernel steps over by itself. Ard Biesheuvel (27 January 2023): without such a patch every second step lands in the handler, with it still some do.",
            ),
        ],
    ),
    reason(
        "M9",
        "An NMI may come while a lock is held or a slot is half written. With GICv3 priorities an NMI arrives as an IRQ, and only the acknowledge tells which it is; by then it is too late to stash.",
        &[
            Discussion(
                &X86,
                "Andy Lutomirski (11 July 2019) lists NMIs and machine checks that come between two debug exceptions: of these x86 handles the first with difficulty, and the second not at all.",
            ),
            Own("That the stash comes before the acknowledge."),
        ],
    ),
    reason(
        "M10",
        "The handlers of slots and steps change state that another debug exception would also change. With D masked no slot and no step can come in between.",
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
        "WARN and BUG use BRK, but are no debugging: a WARN in code that may sleep must not make that code atomic, and must be possible in every context.",
        &[Discussion(
            &PREEMPTION,
            "Mark Rutland (30 November 2020) wants BRK separated from the other debug exceptions, so that WARN, BUG and KASAN inherit the context that they interrupt. Masami Hiramatsu (24 November 2020) had asked to which class BRK belongs.",
        )],
    ),
    reason(
        "M12",
        "A probe's handler can be entered from everywhere, so it runs like the handlers of M10. The context's step is not lost meanwhile: it waits until the displaced instruction has been executed.",
        &[
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013): unmasking D for a probe's handlers would need more than that flag; a handler that blocks would switch tasks with D set.",
            ),
            Discussion(
                &PREEMPTION,
                "Masami Hiramatsu (25 June 2020): a handler can run into another probe, whose instruction still has to be executed.",
            ),
        ],
    ),
    reason(
        "M12b",
        "An optimised probe must be indistinguishable from one with a BRK, so its trampoline makes by hand the context that the exception would have made.",
        &[Own("No discussion: the rule is M12 without an exception.")],
    ),
    reason(
        "M13",
        "An interrupt can come when a step is done but not reported: MDSCR_EL1.SS is 1 and SPSR_EL1.SS is 0. Whoever sets SPSR_EL1.SS again on the way out makes a second instruction run unseen. So there is one place that computes SS, and SPSR_EL1.SS stays as it was saved.",
        &[
            Discussion(
                &INTERRUPTS,
                "Sumit Garg's patch looks at SPSR_EL1.SS to find out whether somebody steps. That test fails in exactly this state; Ard Biesheuvel (27 January 2023) still sees steps that end in an interrupt handler.",
            ),
            Architecture(
                "D2.12: ERET copies SPSR_EL1.SS to PSTATE.SS only if step is enabled for the target; D2.12.4 does not say that a write of MDSCR_EL1 just before is seen, hence the ISB.",
            ),
            Tried(
                "QEMU 7.2 and 10.0: with MDSCR_EL1.SS set and SPSR_EL1.SS clear an interrupt can be taken before the step exception.",
            ),
        ],
    ),
    reason(
        "M14",
        "Masking D does not keep a BRK away, so a probe or a WARN can come within every debug handler that is not no-probe text. It is executed at once; only its depth is bounded.",
        &[
            Architecture("A BRK instruction exception is taken whatever PSTATE.D is."),
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013): a recursive probe just takes another BRK, since PSTATE.D does not mask it; the difficulty is to step over that one.",
            ),
            Discussion(
                &PREEMPTION,
                "Masami Hiramatsu (24 November 2020): a probe in the handler of a step breaks into a handler that is running.",
            ),
        ],
    ),
    reason(
        "M15",
        "The kernel reads and writes user memory by unprivileged instructions, which match the user's watchpoints. Such a hit is the kernel's access, made on behalf of the user: to report it would send a signal for an instruction that the task has not executed.",
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
        "An SError can come at any time, like an NMI, and mostly means that something is broken for good.",
        &[
            Architecture(
                "D1.3: an SError is asynchronous, and its syndrome may say that the error is contained.",
            ),
            Own("No discussion. It is treated as M9 is."),
        ],
    ),
    reason(
        "I1",
        "If D could be masked with I unmasked, an interrupt could come from a context that is itself a debug handler. Its handler would have to keep D masked, and the stash would have to know of both kinds.",
        &[
            Discussion(&PREEMPTION, "Will Deacon (26 June 2020) names D and I together in every case."),
            Practice("Linux unmasks D in an interrupt from EL1 even if the interrupted code had it masked."),
        ],
    ),
    reason(
        "I2",
        "A step belongs to the context for which it was asked. One that stays set while another context runs stops that context.",
        &[
            Discussion(
                &PREEMPTION,
                "Masami Hiramatsu (24 November 2020) welcomes the proposal of 26 June as a step that belongs to a context.",
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
        "The stepped instruction may have changed the flags. Whoever writes the whole SPSR back to what it was before the step undoes that.",
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
        "A step that was asked for one task must not stop another one, and one that was asked for kernel code must not come out as an exception from user space.",
        &[
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013): after a switch of tasks in a probe's handler, MDSCR_EL1.SS is still set on the return to user space, which then takes the step.",
            ),
            Practice(
                "Serenity: SS stayed set while another process ran, and killed it. Linux: a tracer's step is lost when the kernel steps over a breakpoint at the same time (rr, issue 4100); hence owners are kept apart.",
            ),
        ],
    ),
    reason(
        "I7",
        "A probed instruction can read and write any register. A frame without the callee-saved registers cannot simulate such an instruction, and a handler cannot see them.",
        &[Practice(
            "FreeBSD's kinst cannot probe whole classes of instructions, because the way back from EL1 leaves callee-saved registers out.",
        )],
    ),
    reason(
        "I8",
        "A BRK cannot be masked, so a masked section is not atomic against a probe's handler. What such a handler may touch must be right after every single instruction.",
        &[
            Architecture("A BRK instruction exception is taken whatever PSTATE.DAIF is."),
            Discussion(
                &PREEMPTION,
                "Will Deacon and Mark Rutland (23 June 2020) doubt that the code which handlers of debug exceptions share can be entered again.",
            ),
            Tried(
                "A probe on every instruction of such sections (the suite `reentrancy`) found places where work or console text was lost.",
            ),
        ],
    ),
    reason(
        "I9",
        "A step's state in several places is moved or dropped in part: a suspended slot without its owner, an owner without its slot. What an ended context still holds is never given back.",
        &[Own("No discussion: it is what M1, M8, I5 and I6 have in common.")],
    ),
    reason(
        "I10",
        "While interrupts are on, a thread may be switched away and go on on another CPU. A reference to per-CPU data from before then names the wrong CPU.",
        &[
            Discussion(
                &PREEMPTION,
                "Will Deacon (26 June 2020) wants debug exceptions preemptible, which makes every per-CPU variable in their handlers a question.",
            ),
            Own("The rule for the whole kernel."),
        ],
    ),
    reason(
        "H1",
        "A hit can come at any moment between two writes. If the record goes before the register, the handler finds a hit that belongs to nobody.",
        &[Discussion(
            &BANKS,
            "Mark Rutland (9 April 2026) shows it for Linux: the slot's pointer is cleared before the control register, and a hit in between is taken again and again. He would write the control register first, and explains why barriers for memory are not needed: the exceptions are synchronous.",
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
                "D2.8.5: changes of debug registers are certain to be seen after a context synchronization event.",
            ),
        ],
    ),
    reason(
        "H3",
        "A hit that nobody owns is taken again as soon as the handler returns, for ever.",
        &[Discussion(
            &BANKS,
            "Mark Rutland (9 April 2026) reproduces the livelock: a breakpoint on the function that writes the debug registers stalls the CPU. He wants the kernel to survive even what nobody should do.",
        )],
    ),
    reason(
        "H4",
        "With banked registers one register selects what the next access means. A hit or an interrupt in between whose handler selects another bank makes that access write the wrong slot.",
        &[
            Discussion(
                &BANKS,
                "Mark Rutland (December 2024, and again April 2026) asks what keeps an exception's handler from coming between the selection of a bank and the access.",
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
        "What handles a debug exception cannot take one: it would be entered again before it has done anything.",
        &[
            Discussion(
                &BANKS,
                "Rob Herring (31 March 2026) relies on code without probes, and has found no such mark for data. Mark Rutland (2 April 2026) agrees, but does not find where it is enforced for breakpoints.",
            ),
            Discussion(
                &X86,
                "Peter Zijlstra (11 July 2019) describes a #DB in lockdep whose entry calls lockdep, and that marks on functions prevent it today; watchpoints on kernel text can be set all the same.",
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
        "While MDE or KDE is on, a stray slot or a stray SS is in force. The registers are UNKNOWN out of reset, and with the OS lock set no debug exception comes at all.",
        &[
            Practice(
                "mu: no step on hardware because the OS lock was set, though the emulator stepped. Unikraft: control registers of breakpoints are UNKNOWN out of reset.",
            ),
            Tried(
                "QEMU 7.2 and 10.0 ignore the OS lock for steps and breakpoints, so a test reads OSLSR_EL1 instead.",
            ),
        ],
    ),
    reason(
        "H9",
        "Every exception clears the exclusive monitor. If a loop of LDXR and STXR is stopped between the two each time, its store never succeeds.",
        &[
            Architecture(
                "B2.12: what clears the exclusive monitor; B2.17.5: which sequences are certain to make progress.",
            ),
            Tried(
                "QEMU: a watchpoint on a lock's word, stepped over as any other, never lets the lock be taken.",
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
                "Literals that another CPU changes were read torn by a simulation of two loads, and natively never; hence other CPUs are named.",
            ),
            Own("The list of observers."),
        ],
    ),
    reason(
        "K2",
        "There are instructions whose effect depends on where or when they are executed. It is better to refuse a probe than to run such an instruction differently.",
        &[
            Practice(
                "FreeBSD masks everything but debug exceptions while it steps, which is wrong for instructions that read or write DAIF. The crate `kprobe` accepts exclusives, ERET and RETAA out of line.",
            ),
            Own("The list of what is refused, from the encodings in DDI 0487 C4.1."),
        ],
    ),
    reason(
        "K3",
        "A CPU may execute the old word, the new word, or for most pairs of words anything at all, while another CPU writes.",
        &[
            Architecture(
                "B2.2.5: which instructions may be exchanged while others execute them. B2.7.4.2: what has to follow.",
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
        "A handler calls ordinary functions, which may be probed. The same probe again would recurse for ever; another one must still be hit.",
        &[
            Discussion(
                &KPROBES,
                "Sandeepa Prabhu and Will Deacon (November 2013): a handler that calls printk runs into a probe on printk. Will asks for a test with a probe in a probe's handler, each hit exactly once.",
            ),
            Discussion(
                &PREEMPTION,
                "Masami Hiramatsu (25 June and 24 November 2020): kprobes notice the nested hit and leave its handlers out, but its instruction has to be executed.",
            ),
        ],
    ),
    reason(
        "K6",
        "Both have to be hit, and each has to get out of the way of the other for the same instruction.",
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
        "Nobody but the engine knows of the copy. A fault at an address in the copy would find no fix-up, and a report would name no function.",
        &[Discussion(
            &PREEMPTION,
            "Will Deacon (26 June 2020) would like to assume that only an interrupt can come in a stepped kernel instruction, and does not trust it; this rule is what is needed without the assumption.",
        )],
    ),
    reason(
        "K8",
        "A step of the copy would cost a second exception, and would be the probe's in the place of the context's own. An interrupt in the copy could switch the thread away in there.",
        &[
            Discussion(
                &KPROBES,
                "Will Deacon (November 2013) would clear PSTATE.D only for the one copied instruction.",
            ),
            Discussion(
                &PREEMPTION,
                "Masami Hiramatsu (24 November 2020) makes kprobes that need BRK only, and no step, the condition of the new rules.",
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
            Own("The sum with missed hits, on several CPUs, is this kernel's."),
        ],
    ),
    reason(
        "X2",
        "Whoever steps expects the next instruction of the same code. With a timer running, a step that may land in an interrupt handler never gets on.",
        &[
            Discussion(
                &INTERRUPTS,
                "Sumit Garg (19 December 2022): the step should stop at the next instruction or at the branch's target. Ard Biesheuvel (27 January 2023): otherwise half of the steps end in an interrupt handler.",
            ),
            Architecture(
                "D2.12: step is inactive while PSTATE.D is set at EL1, so a step that is asked for there cannot be had.",
            ),
        ],
    ),
    reason(
        "X3",
        "A user program is not trusted. A value of SPSR that it chooses must not become an exception return that the architecture calls illegal.",
        &[
            Own("No discussion."),
            Tried("QEMU: an illegal return with SPSR_EL1.SS set steps at once at EL1, for ever."),
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
