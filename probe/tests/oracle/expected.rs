//! The verdict that the decoder's answer calls for, found from the decoder's names of instructions alone.
use fARM64::decode::decode;
use fARM64::{Code, Feature, FeatureSet, Instruction, Mnemonic, Operand};
use stepwell_probe::{Class, Reason};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    OutOfLine,
    Simulate,
    Refuse(Reason),
}

impl Verdict {
    pub fn agrees(self, class: Class) -> bool {
        match (self, class) {
            (Verdict::OutOfLine, Class::OutOfLine(_)) | (Verdict::Simulate, Class::Simulate(_)) => true,
            (Verdict::Refuse(expected), Class::Refuse(reason)) => expected == reason,
            _ => false,
        }
    }
}

pub fn expected(word: u32) -> Verdict {
    let instruction = decode(word, 0x1000, FeatureSet::ALL);
    let code = instruction.code();
    match code.feature() {
        // Not Arm's.
        Feature::AppleAmx | Feature::Gxf => return Verdict::Refuse(Reason::Unallocated),
        Feature::Mops => return Verdict::Refuse(Reason::MemoryCopy),
        Feature::Tme => return Verdict::Refuse(Reason::Transaction),
        _ => {}
    }
    Verdict::Refuse(match code {
        Code::Invalid => Reason::Unallocated,
        Code::Udf => Reason::Udf,

        Code::BUncond | Code::BlImm | Code::BCond | Code::BcCond | Code::Br | Code::Blr | Code::Ret => {
            return Verdict::Simulate;
        }
        Code::Cbz32 | Code::Cbz64 | Code::Cbnz32 | Code::Cbnz64 | Code::Tbz | Code::Tbnz => {
            return Verdict::Simulate;
        }
        _ if code.feature() == Feature::Cmpbr => return Verdict::Simulate,
        Code::Adr | Code::Adrp | Code::LdrLit32 | Code::LdrLit64 | Code::LdrswLit | Code::PrfmLit => {
            return Verdict::Simulate;
        }
        Code::Nop | Code::Bti => return Verdict::Simulate,
        Code::LdrLitFp32 | Code::LdrLitFp64 | Code::LdrLitFp128 => return Verdict::Simulate,

        Code::Braa | Code::Brab | Code::Braaz | Code::Brabz | Code::Blraa | Code::Blrab | Code::Blraaz => {
            Reason::AuthenticatedBranch
        }
        Code::Blrabz | Code::Retaa | Code::Retab | Code::Retaasppc | Code::Retabsppc => {
            Reason::AuthenticatedBranch
        }
        Code::Retaasppcr | Code::Retabsppcr => Reason::AuthenticatedBranch,
        Code::Autiasppc | Code::Autibsppc | Code::Paciasppc | Code::Pacibsppc => Reason::PcAuthentication,
        Code::Pacnbiasppc | Code::Pacnbibsppc => Reason::PcAuthentication,
        Code::Eret | Code::Eretaa | Code::Eretab | Code::Drps => Reason::ExceptionReturn,
        Code::Svc | Code::Hvc | Code::Smc | Code::Dcps1 | Code::Dcps2 | Code::Dcps3 => {
            Reason::ExceptionGeneration
        }
        Code::Brk | Code::Hlt => Reason::Breakpoint,
        Code::Wfi | Code::Wfe | Code::Wfit | Code::Wfet => Reason::Wait,

        Code::Gcspushx | Code::Gcspopx | Code::Gcspopcx => Reason::ExceptionState,
        Code::Smstart | Code::Smstop => Reason::PstateWrite,
        Code::MsrImm => pstate_field(&instruction),
        Code::MsrReg | Code::Mrs => match system_register(&instruction, code == Code::Mrs) {
            Some(reason) => reason,
            None => return Verdict::OutOfLine,
        },
        _ if instruction.mnemonic() == Mnemonic::Movprfx => Reason::MovePrefix,
        _ if instruction.mnemonic() == Mnemonic::Pacm => Reason::PcAuthentication,
        _ if is_exclusive(instruction.mnemonic()) => Reason::Exclusive,
        _ => return Verdict::OutOfLine,
    })
}

fn is_exclusive(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Ldxr
            | M::Ldxrb
            | M::Ldxrh
            | M::Ldaxr
            | M::Ldaxrb
            | M::Ldaxrh
            | M::Ldxp
            | M::Ldaxp
            | M::Ldtxr
            | M::Ldatxr
    ) || matches!(
        mnemonic,
        M::Stxr
            | M::Stxrb
            | M::Stxrh
            | M::Stlxr
            | M::Stlxrb
            | M::Stlxrh
            | M::Stxp
            | M::Stlxp
            | M::Sttxr
            | M::Stltxr
    )
}

/// MSR (immediate), by the field's printed name.
fn pstate_field(instruction: &Instruction) -> Reason {
    match printed(instruction).split([' ', ',']).find(|s| !s.is_empty() && *s != "msr") {
        Some("daifset" | "daifclr" | "allint") => Reason::InterruptMasks,
        Some("spsel") => Reason::StackSelect,
        _ => Reason::PstateWrite,
    }
}

/// MSR (register) and MRS, by the register's name.
fn system_register(instruction: &Instruction, read: bool) -> Option<Reason> {
    let name = (0..2).find_map(|n| match instruction.op(n) {
        Operand::SysReg(register) => register.name(),
        _ => None,
    })?;
    match name {
        "daif" | "allint" => Some(Reason::InterruptMasks),
        "spsel" => Some(Reason::StackSelect),
        _ if EXCEPTION_STATE.contains(&name) => Some(Reason::ExceptionState),
        _ if PRIORITY.contains(&name) => Some(Reason::InterruptState),
        _ if read && PENDING.contains(&name) => Some(Reason::InterruptState),
        "pan" | "uao" | "dit" | "ssbs" | "tco" | "svcr" | "pm" if !read => Some(Reason::PstateWrite),
        _ if !read && RUN_BY.contains(&name) => Some(Reason::MachineState),
        _ => None,
    }
}

const EXCEPTION_STATE: &[&str] = &[
    "elr_el1",
    "spsr_el1",
    "esr_el1",
    "far_el1",
    "afsr0_el1",
    "afsr1_el1",
    "pfar_el1",
    "elr_el2",
    "spsr_el2",
    "esr_el2",
    "far_el2",
    "afsr0_el2",
    "afsr1_el2",
    "pfar_el2",
    "hpfar_el2",
    "elr_el3",
    "spsr_el3",
    "esr_el3",
    "far_el3",
    "afsr0_el3",
    "afsr1_el3",
    "mfar_el3",
];
const PRIORITY: &[&str] = &[
    "icc_pmr_el1",
    "icc_rpr_el1",
    "icc_ap0r0_el1",
    "icc_ap0r1_el1",
    "icc_ap0r2_el1",
    "icc_ap0r3_el1",
    "icc_ap1r0_el1",
    "icc_ap1r1_el1",
    "icc_ap1r2_el1",
    "icc_ap1r3_el1",
    "icc_apr_el1",
    "icc_pcr_el1",
    "icc_hapr_el1",
];
const PENDING: &[&str] = &[
    "isr_el1",
    "icc_iar0_el1",
    "icc_iar1_el1",
    "icc_hppir0_el1",
    "icc_hppir1_el1",
    "icc_hppir_el1",
    "icc_nmiar1_el1",
    "icc_ppi_cpendr0_el1",
    "icc_ppi_cpendr1_el1",
    "icc_ppi_spendr0_el1",
    "icc_ppi_spendr1_el1",
    "ich_misr_el2",
    "cntp_ctl_el0",
    "cntv_ctl_el0",
    "cnthp_ctl_el2",
    "cnthv_ctl_el2",
    "cnthps_ctl_el2",
    "cnthvs_ctl_el2",
    "cntps_ctl_el1",
    "cntp_ctl_el02",
    "cntv_ctl_el02",
    "pmovsclr_el0",
    "pmovsset_el0",
    "pmbsr_el1",
    "pmbsr_el2",
    "trbsr_el1",
    "trbsr_el2",
];
const RUN_BY: &[&str] = &[
    "sctlr_el1",
    "sctlr2_el1",
    "sctlralias_el1",
    "sctlr2alias_el1",
    "ttbr0_el1",
    "ttbr1_el1",
    "tcr_el1",
    "tcr2_el1",
    "tcralias_el1",
    "tcr2alias_el1",
    "mair_el1",
    "mair2_el1",
    "amair_el1",
    "amair2_el1",
    "pir_el1",
    "pire0_el1",
    "por_el1",
    "vbar_el1",
    "tpidr_el1",
    "sp_el0",
    "sp_el1",
    "sp_el2",
    "sctlr_el2",
    "sctlr2_el2",
    "ttbr0_el2",
    "ttbr1_el2",
    "tcr_el2",
    "tcr2_el2",
    "mair_el2",
    "mair2_el2",
    "amair_el2",
    "amair2_el2",
    "pir_el2",
    "pire0_el2",
    "por_el2",
    "vbar_el2",
    "tpidr_el2",
    "hcr_el2",
    "hcrx_el2",
];

fn printed(instruction: &Instruction) -> String {
    use fARM64::Formatter;
    use fARM64::format::{BufSink, FmtFormatter};
    let mut buffer = [0; 128];
    let mut sink = BufSink::new(&mut buffer);
    FmtFormatter::new().format(instruction, &mut sink);
    sink.as_str().to_string()
}
