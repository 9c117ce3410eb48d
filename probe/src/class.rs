//! The verdicts on instructions, and the reasons why an instruction is refused.
use core::fmt;

use crate::sim::Sim;

/// How the instruction under a probe is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// A copy of the word does elsewhere exactly what the original does in place: run it from [`Copies`](crate::ool::Copies) or a
    /// [`Trampoline`](crate::trampoline::Trampoline).
    OutOfLine(Relocatable),
    /// The instruction depends on the PC or decides it: [`simulate`](crate::sim::simulate) does what the instruction would do.
    Simulate(Sim),
    /// Neither is faithful: do not place a probe here.
    Refuse(Reason),
}

/// An instruction whose copy elsewhere does exactly what the instruction does in place. Only [`Class::OutOfLine`] gives one, so no
/// other word gets into [`Copies`](crate::ool::Copies) or a [`Trampoline`](crate::trampoline::Trampoline).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Relocatable(u32);

impl Relocatable {
    /// The placeholder that the decoding functions return. [`classify`](crate::classify()) puts the word in.
    pub(crate) const UNKNOWN: Relocatable = Relocatable(0);

    pub(crate) const fn new(word: u32) -> Relocatable {
        Relocatable(word)
    }

    /// The A64 word.
    pub const fn word(self) -> u32 {
        self.0
    }
}

/// Why an instruction cannot be probed. `Display` says what the instruction is and why it cannot be probed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// LDXR, LDAXR, LDXP, STXR, STLXR, STXP and the unprivileged LDTXR, STTXR.
    Exclusive,
    /// An ordinary instruction between a load-exclusive and its store-exclusive. Never from [`classify`](crate::classify())
    /// (one word cannot tell), only from [`classify_at`](crate::classify_at).
    ExclusiveSequence,
    /// BRK and HLT.
    Breakpoint,
    /// SVC, HVC, SMC, DCPS1 to DCPS3.
    ExceptionGeneration,
    /// ERET, ERETAA, ERETAB, DRPS.
    ExceptionReturn,
    /// BRAA, BLRAA, RETAA and kin.
    AuthenticatedBranch,
    /// Signing and authentication with the PC as modifier: PACIASPPC, AUTIASPPC and kin, PACM, and (from
    /// [`classify_at`](crate::classify_at)) PACIASP and kin right after a PACM.
    PcAuthentication,
    /// A read or write of PSTATE.DAIF or PSTATE.ALLINT in any form.
    InterruptMasks,
    /// A read of a register that tells whether an interrupt is pending, or an access to a register that masks interrupts by
    /// priority: ISR_EL1; ICC_IAR0_EL1, ICC_HPPIR0_EL1 and kin, GICR CDIA and CDNMIA; ICC_PMR_EL1, ICC_RPR_EL1, ICC_AP0R0_EL1 and
    /// kin; the status of timers, counters and buffers that raise an interrupt themselves.
    InterruptState,
    /// A read or write of SPSel.
    StackSelect,
    /// A write to any other PSTATE field that is not a condition flag: PAN, UAO, DIT, SSBS, TCO, SM, ZA, PM.
    PstateWrite,
    /// A read or write of a register that an exception writes at the level that it is taken to: ELR, SPSR, ESR, FAR, PFAR, HPFAR,
    /// MFAR, AFSR0, AFSR1; and GCSPUSHX, GCSPOPX, GCSPOPCX.
    ExceptionState,
    /// A write to a register that the probe itself depends on: SCTLR, TCR, TTBR0, TTBR1, MAIR and all others that decide the
    /// translation of the copy's page; VBAR; SP_EL0 and other stack pointers; TPIDR_EL1, TPIDR_EL2; HCR_EL2.
    MachineState,
    /// MOVPRFX, and (from [`classify_at`](crate::classify_at)) the instruction behind it.
    MovePrefix,
    /// CPY* and SET* (FEAT_MOPS).
    MemoryCopy,
    /// WFI, WFE, WFIT, WFET.
    Wait,
    /// TSTART, TTEST, TCOMMIT, TCANCEL.
    Transaction,
    /// UDF: permanently undefined.
    Udf,
    /// No instruction has this encoding; or the word breaks should-be-zero or should-be-one fields of its instruction, which is
    /// CONSTRAINED UNPREDICTABLE (DDI 0487 K1.2).
    Unallocated,
    /// It is unknown whether the instruction is inside an exclusive sequence: after an earlier load-exclusive, control can go to a
    /// word that cannot be read, or through an indirect branch. Only from [`classify_at`](crate::classify_at).
    Surroundings,
    /// The word cannot be read. Only from [`classify_at`](crate::classify_at).
    Unreadable,
}

impl Reason {
    /// Every reason, for tables and for tests.
    pub const ALL: &'static [Reason] = &[
        Reason::Exclusive,
        Reason::ExclusiveSequence,
        Reason::Breakpoint,
        Reason::ExceptionGeneration,
        Reason::ExceptionReturn,
        Reason::AuthenticatedBranch,
        Reason::PcAuthentication,
        Reason::InterruptMasks,
        Reason::InterruptState,
        Reason::StackSelect,
        Reason::PstateWrite,
        Reason::ExceptionState,
        Reason::MachineState,
        Reason::MovePrefix,
        Reason::MemoryCopy,
        Reason::Wait,
        Reason::Transaction,
        Reason::Udf,
        Reason::Unallocated,
        Reason::Surroundings,
        Reason::Unreadable,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Exclusive => {
                "load- or store-exclusive: the probe's exception clears the exclusive monitor, so the loop would never end"
            }
            Reason::ExclusiveSequence => {
                "inside a load-exclusive/store-exclusive sequence: the probe's exception clears the exclusive monitor, so the \
                 loop would never end; probe before the load-exclusive or after the sequence"
            }
            Reason::Breakpoint => "breakpoint instruction (BRK or HLT): it belongs to a debugger, an assertion or another probe",
            Reason::ExceptionGeneration => {
                "exception-generating instruction: the exception would be reported from the out-of-line copy"
            }
            Reason::ExceptionReturn => {
                "exception return: it consumes ELR and SPSR, which the probe's own exception overwrites"
            }
            Reason::AuthenticatedBranch => {
                "authenticated branch: its target can be computed only with the pointer-authentication key"
            }
            Reason::PcAuthentication => "pointer authentication with the PC as modifier: it gives another result out of line",
            Reason::InterruptMasks => {
                "access to the interrupt masks (DAIF or ALLINT): out-of-line copies run with interrupts masked, so a read is \
                 wrong and a write is lost"
            }
            Reason::InterruptState => {
                "access to pending interrupts or to their priority mask: out-of-line copies run with interrupts masked, so they \
                 would see an interrupt that is taken before the probed instruction"
            }
            Reason::StackSelect => "access to SPSel: it decides on which stack the probe's own exceptions run",
            Reason::PstateWrite => "write to PSTATE other than the condition flags: it would change how the probe itself runs",
            Reason::ExceptionState => {
                "access to a register that exceptions write (ELR, SPSR, ESR, FAR or kin): the probe's own exception overwrites it"
            }
            Reason::MachineState => {
                "write to a register that the probe itself depends on (translation, vectors, stack or per-CPU base): control might not \
                 come back from the copy"
            }
            Reason::MovePrefix => {
                "MOVPRFX or the instruction behind it: the architecture wants the two back to back, so neither can be replaced"
            }
            Reason::MemoryCopy => {
                "memory copy or set (MOPS): its prologue, main and epilogue run back to back, and a fault may set the PC back to the \
                 prologue"
            }
            Reason::Wait => "wait for event or interrupt: out-of-line copies run with interrupts masked",
            Reason::Transaction => "transactional memory: the probe's exception aborts the transaction",
            Reason::Udf => "UDF: permanently undefined, it can only fault",
            Reason::Unallocated => "not an instruction: the word has no allocated encoding, or breaks should-be-zero or should-be-one fields (data in the text?)",
            Reason::Surroundings => {
                "possibly inside a load-exclusive/store-exclusive sequence: what follows the load-exclusive of this function cannot \
                 be read, or goes through an indirect branch"
            }
            Reason::Unreadable => "unreadable: the word at this address cannot be read",
        })
    }
}

impl core::error::Error for Reason {}
