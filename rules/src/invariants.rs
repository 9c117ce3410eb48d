//! The rules that are no rows of the table: what holds at all times (I), for hardware slots (H), for probes (K), for the whole (X).

use core::fmt;

/// A rule that is not a row of the table.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Invariant {
    /// The name of the rule: I, H, K or X, and a number.
    pub id: &'static str,
    /// What the rule demands.
    pub text: &'static str,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<5} {}", self.id, self.text)
    }
}

const fn rule(id: &'static str, text: &'static str) -> Invariant {
    Invariant { id, text }
}

/// All of these rules, in the order of the letters I, H, K, X.
pub const INVARIANTS: &[Invariant] = &[
    rule(
        "I1",
        "at EL1, D masked implies I masked: an interrupt from EL1 has always interrupted code with D = 0",
    ),
    rule(
        "I2",
        "with D open at EL1, MDSCR_EL1.SS = 1 only if this context has an owner; MDSCR_EL1 is changed with D masked only",
    ),
    rule(
        "I3",
        "ESR, FAR, ELR, SPSR are read once, into the frame; no synchronous exception can come before that, nor between the loads of ELR and SPSR and the ERET",
    ),
    rule(
        "I4",
        "for a step no bit of the saved SPSR changes but SS: every other bit, NZCV above all, is resumed as it was saved",
    ),
    rule(
        "I5",
        "at a context switch: D open, MDSCR_EL1.SS = 0, debug depth 0, no probe active, stash empty, no EL1 slot suspended",
    ),
    rule(
        "I6",
        "on return to EL0, MDSCR_EL1.SS = 1 exactly if the task has an owner, and exactly that task's suspended slots are suspended on this CPU",
    ),
    rule("I7", "full frames always: x0 to x30, SP, ELR, SPSR; handlers may change any of them"),
    rule(
        "I8",
        "masking D, A, I, F does not make code atomic, since a BRK is taken all the same: state that a debug context may touch is changed by single instructions, or in no-probe text",
    ),
    rule(
        "I9",
        "the debug state of a context is one value with one holder at a time, and moves whole; what a context holds is given back when the context ends",
    ),
    rule(
        "I10",
        "a reference to per-CPU data, or the index of a CPU, is not used any more once code has run with I open and preemption on",
    ),
    rule(
        "H1",
        "install: publish the record, write the value register, write the control register with the enable bit, ISB; uninstall: write zero to the control register, ISB, and free the record when every CPU has done so; all register writes with D masked",
    ),
    rule("H2", "after install returns the next matching access must hit, after uninstall returns none can"),
    rule(
        "H3",
        "a hit without a record switches its slot off, and a step exception without an owner clears SS; each counts as spurious, and is not taken again for ever",
    ),
    rule("H4", "banked registers: bank select and access are one D-masked section"),
    rule(
        "H5",
        "global slots take effect on every online CPU before the call returns, unless the caller is a debug context or has D masked: such a caller never waits for other CPUs; a CPU that comes online later has the slots before it runs anything that may be probed",
    ),
    rule(
        "H6",
        "no-probe text is refused for breakpoints and probes, no-probe data for watchpoints; what the engine itself accesses is seen by no slot and no step",
    ),
    rule(
        "H7",
        "a watchpoint hit is attributed among the slots that match the access's direction, where that is known: by exact range first, then by nearest distance; every match gets its own disposition",
    ),
    rule(
        "H8",
        "MDE and KDE are on only while somebody needs them; OS lock and double lock are cleared, every slot written, at bring-up",
    ),
    rule(
        "H9",
        "a breakpoint inside an exclusive sequence is refused; after a watchpoint hit by an exclusive, or by another access between the exclusives, the whole sequence runs in one go; for a debugger the sequence is one step",
    ),
    rule(
        "K1",
        "the probed code cannot notice the probe by registers, NZCV, PC, LR, memory or faults; neither can other CPUs, system registers that no frame holds, slots, or clients of hits and steps",
    ),
    rule("K2", "an instruction that cannot be probed faithfully is refused at registration, with the reason"),
    rule(
        "K3",
        "only B, BL, BRK, SVC, HVC, SMC, NOP, ISB are exchanged while other CPUs may execute them; every other exchange holds all other CPUs in a rendezvous, and each executes an ISB",
    ),
    rule(
        "K4",
        "removal waits for CPUs inside the probe, and no removed probe runs again; a BRK whose probe is gone re-reads the text and retries",
    ),
    rule(
        "K5",
        "handlers of different probes nest, to a bounded depth, past which hits count as missed; a probe that is hit while the CPU still deals with a hit of the same probe counts as missed, and its instruction still runs",
    ),
    rule(
        "K6",
        "where a hardware breakpoint is set on a probed address, the breakpoint and the probe are each hit exactly once per execution",
    ),
    rule(
        "K7",
        "a fault in the out-of-line copy is reported at the probed address, after masks and owners of the probed context are back in place",
    ),
    rule(
        "K8",
        "out-of-line copies run with I and F masked and D as in the probed context, never by hardware step",
    ),
    rule(
        "X1",
        "for a probe, and for a slot as long as D is open, hits + missed = attempts to execute, on any number of CPUs, under any interrupt load",
    ),
    rule(
        "X2",
        "a step lands at the architecturally next PC of the same context at which D is open (a stretch with D masked is one step), or in the handler of a synchronous exception that the instruction takes, but never in an interrupt handler; a request to step a context with D masked is an error",
    ),
    rule("X3", "nothing that a user program does reaches EL1's debug state, another task, or a panic"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, rule) in INVARIANTS.iter().enumerate() {
            assert!(INVARIANTS[..index].iter().all(|other| other.id != rule.id), "{}", rule.id);
        }
    }
}
