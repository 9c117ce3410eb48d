//! AT_HWCAP and AT_HWCAP2.

use super::Registers;

/// A field from which a bit follows: which register has it, its first bit, and the least value for the bit.
struct Rule {
    register: fn(&Registers) -> u64,
    shift: u32,
    least: u64,
    bit: u64,
}

/// Numbers of bits, with their names (`asm/hwcap.h`). `linux-raw-sys` has them only where it is compiled for AArch64, so there they are
/// compared with its own.
macro_rules! bits {
    ($($name:ident = $bit:literal;)*) => {
        $(
            #[cfg(target_arch = "aarch64")]
            const _: () = assert!(linux_raw_sys::ptrace::$name as u64 == 1 << $bit);
        )*
    };
}

macro_rules! rules {
    ($list:ident: $($name:ident = $bit:literal: $register:ident $shift:literal >= $least:literal;)*) => {
        bits! { $($name = $bit;)* }
        const $list: &[Rule] =
            &[$(Rule { register: |registers| registers.$register, shift: $shift, least: $least, bit: 1 << $bit },)*];
    };
}

/// HWCAP_CPUID.
const CPUID: u32 = 11;

bits! {
    HWCAP_FP = 0;
    HWCAP_ASIMD = 1;
    HWCAP_FPHP = 9;
    HWCAP_ASIMDHP = 10;
    HWCAP_CPUID = 11;
}

rules! {
    HWCAP:
    HWCAP_AES = 3: isar0 4 >= 1;
    HWCAP_PMULL = 4: isar0 4 >= 2;
    HWCAP_SHA1 = 5: isar0 8 >= 1;
    HWCAP_SHA2 = 6: isar0 12 >= 1;
    HWCAP_SHA512 = 21: isar0 12 >= 2;
    HWCAP_CRC32 = 7: isar0 16 >= 1;
    HWCAP_ATOMICS = 8: isar0 20 >= 2;
    HWCAP_ASIMDRDM = 12: isar0 28 >= 1;
    HWCAP_SHA3 = 17: isar0 32 >= 1;
    HWCAP_SM3 = 18: isar0 36 >= 1;
    HWCAP_SM4 = 19: isar0 40 >= 1;
    HWCAP_ASIMDDP = 20: isar0 44 >= 1;
    HWCAP_ASIMDFHM = 23: isar0 48 >= 1;
    HWCAP_FLAGM = 27: isar0 52 >= 1;
    HWCAP_DCPOP = 16: isar1 0 >= 1;
    HWCAP_JSCVT = 13: isar1 12 >= 1;
    HWCAP_FCMA = 14: isar1 16 >= 1;
    HWCAP_LRCPC = 15: isar1 20 >= 1;
    HWCAP_ILRCPC = 26: isar1 20 >= 2;
    HWCAP_SB = 29: isar1 36 >= 1;
    HWCAP_DIT = 24: pfr0 48 >= 1;
    HWCAP_SSBS = 28: pfr1 4 >= 2;
    HWCAP_USCAT = 25: mmfr2 32 >= 1;
}

rules! {
    HWCAP2:
    HWCAP2_DCPODP = 0: isar1 0 >= 2;
    HWCAP2_FLAGM2 = 7: isar0 52 >= 2;
    HWCAP2_FRINT = 8: isar1 32 >= 1;
    HWCAP2_I8MM = 13: isar1 52 >= 1;
    HWCAP2_BF16 = 14: isar1 44 >= 1;
    HWCAP2_EBF16 = 32: isar1 44 >= 2;
    HWCAP2_DGH = 15: isar1 48 >= 1;
    HWCAP2_RNG = 16: isar0 60 >= 1;
    HWCAP2_ECV = 19: mmfr0 60 >= 1;
    HWCAP2_AFP = 20: mmfr1 44 >= 1;
    HWCAP2_RPRES = 21: isar2 4 >= 1;
    HWCAP2_WFXT = 31: isar2 0 >= 2;
    HWCAP2_RPRFM = 35: isar2 48 >= 1;
    HWCAP2_CSSC = 34: isar2 52 >= 1;
}

fn bits(registers: &Registers, rules: &[Rule]) -> u64 {
    let holds = |rule: &&Rule| (rule.register)(registers) >> rule.shift & 0xf >= rule.least;
    rules.iter().filter(holds).fold(0, |bits, rule| bits | rule.bit)
}

impl Registers {
    /// AT_HWCAP.
    #[must_use]
    pub fn hwcap(&self) -> u64 {
        let shown = self.for_programs();
        // FP and AdvSIMD: 15 is not implemented, 1 has half precision, whose bit is 9 further up.
        let float = |shift: u32, bit: u32| match shown.pfr0 >> shift & 0xf {
            0xf => 0,
            0 => 1 << bit,
            _ => 1 << bit | 1 << (bit + 9),
        };
        float(16, 0) | float(20, 1) | 1 << CPUID | bits(&shown, HWCAP)
    }

    /// AT_HWCAP2.
    #[must_use]
    pub fn hwcap2(&self) -> u64 {
        bits(&self.for_programs(), HWCAP2)
    }
}
