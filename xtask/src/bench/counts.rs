//! Classes of instructions whose cost on real CPUs is far above that of an average instruction, by their words. Nothing here does
//! input or output.

/// The classes, which are the columns of the table of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Exceptions taken. No instruction is of this class: QEMU's log says when an exception is taken.
    Exception,
    /// Exception returns.
    Eret,
    Isb,
    Dsb,
    Dmb,
    /// Writes of PSTATE.D, A, I or F: MSR DAIFSet, MSR DAIFClr, MSR DAIF.
    Daif,
    /// Writes of debug registers: MDSCR_EL1, DBGBVR, DBGBCR, DBGWVR, DBGWCR and all others whose op0 is 2 and whose op1 is 0.
    Debug,
    /// Writes of other system registers, and of other fields of PSTATE.
    Other,
    /// Load-exclusives, store-exclusives, and atomics of LSE. Without LSE two of these make one atomic.
    Exclusive,
}

impl Class {
    pub const ALL: [Self; 9] = [
        Self::Exception,
        Self::Eret,
        Self::Isb,
        Self::Dsb,
        Self::Dmb,
        Self::Daif,
        Self::Debug,
        Self::Other,
        Self::Exclusive,
    ];

    /// The name in tables, in JSON and in `budgets.txt`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exception => "exc",
            Self::Eret => "eret",
            Self::Isb => "isb",
            Self::Dsb => "dsb",
            Self::Dmb => "dmb",
            Self::Daif => "daif",
            Self::Debug => "debug",
            Self::Other => "other",
            Self::Exclusive => "excl",
        }
    }

    /// The class of an instruction word. None for an instruction that is cheap, or that is not counted.
    pub fn of(word: u32) -> Option<Self> {
        // ERET, ERETAA, ERETAB.
        if matches!(word, 0xd69f_03e0 | 0xd69f_0bff | 0xd69f_0fff) {
            return Some(Self::Eret);
        }
        Self::of_barrier(word)
            .or_else(|| Self::of_write(word))
            .or_else(|| is_atomic(word).then_some(Self::Exclusive))
    }

    /// DDI 0487 C4.1, "Barriers". SSBB and PSSBB, which are encoded as DSB with CRm 0 and 4, are no DSB.
    fn of_barrier(word: u32) -> Option<Self> {
        match word & 0xffff_f0ff {
            0xd503_30df => Some(Self::Isb),
            0xd503_30bf => Some(Self::Dmb),
            0xd503_309f if !matches!(word >> 8 & 15, 0 | 4) => Some(Self::Dsb),
            // DSB with the qualifier nXS.
            0xd503_303f if word >> 8 & 3 == 2 => Some(Self::Dsb),
            _ => None,
        }
    }

    fn of_write(word: u32) -> Option<Self> {
        let (op1, op2) = (word >> 16 & 7, word >> 5 & 7);
        // MSR (immediate). With op1 0, op2 0 to 2 are CFINV, XAFLAG and AXFLAG, which only change flags.
        if word & 0xfff8_f01f == 0xd500_401f {
            return match (op1, op2) {
                (3, 6 | 7) => Some(Self::Daif),
                (0, 0..=2) => None,
                _ => Some(Self::Other),
            };
        }
        // MSR (register).
        if word & 0xfff0_0000 != 0xd510_0000 {
            return None;
        }
        const DAIF: u32 = 0xd51b_4220;
        let debug = word >> 19 & 1 == 0 && op1 == 0;
        Some(match word & !31 {
            DAIF => Self::Daif,
            _ if debug => Self::Debug,
            _ => Self::Other,
        })
    }
}

/// DDI 0487 C4.1, "Loads and Stores". LDAPR lies among the encodings of the atomics, and is a plain load.
fn is_atomic(word: u32) -> bool {
    // Bit 23 is 0 for exclusives, and for CASP, and 1 for LDAR, STLR and CAS.
    let exclusive = word & 0x3f80_0000 == 0x0800_0000;
    let compare_and_swap = word & 0x3fa0_7c00 == 0x08a0_7c00;
    let ldapr = word & 0x3fff_fc00 == 0x38bf_c000;
    let operation = word & 0x3f20_0c00 == 0x3820_0000 && !ldapr;
    exclusive || compare_and_swap || operation
}

/// How many instructions of each class there are, and how many instructions in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub insns: u64,
    classes: [u64; Class::ALL.len()],
}

impl Counts {
    /// Counts the instructions of a trace, in which this many exceptions were taken.
    pub fn of(words: &[u32], exceptions: usize) -> Self {
        let mut counts = Self { insns: words.len() as u64, ..Self::default() };
        words.iter().filter_map(|&word| Class::of(word)).for_each(|class| *counts.class(class) += 1);
        *counts.class(Class::Exception) = exceptions as u64;
        counts
    }

    fn class(&mut self, class: Class) -> &mut u64 {
        &mut self.classes[class as usize]
    }

    pub fn get(&self, class: Class) -> u64 {
        self.classes[class as usize]
    }

    /// What these counts have more than `other`. None if there is a class of which `other` has more.
    pub fn minus(&self, other: &Self) -> Option<Self> {
        let mut left = Self { insns: self.insns.checked_sub(other.insns)?, ..Self::default() };
        for class in Class::ALL {
            *left.class(class) = self.get(class).checked_sub(other.get(class))?;
        }
        Some(left)
    }

    /// These counts divided by `parts`, rounded up: an instruction of the whole is never lost.
    pub fn part(&self, parts: u64) -> Self {
        Self { insns: self.insns / parts, classes: self.classes.map(|count| count.div_ceil(parts)) }
    }

    /// Reads the columns of a line in the order of [`Class::ALL`]. None if there are more or fewer, or one is no number.
    pub fn read(columns: &str) -> Option<Self> {
        let counts = columns.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
        Some(Self { insns: 0, classes: counts.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as GNU as makes them.
    const WORDS: &[(u32, &str, Option<Class>)] = &[
        (0xd69f03e0, "eret", Some(Class::Eret)),
        (0xd69f0bff, "eretaa", Some(Class::Eret)),
        (0xd65f03c0, "ret", None),
        (0xd5033fdf, "isb", Some(Class::Isb)),
        (0xd5033f9f, "dsb sy", Some(Class::Dsb)),
        (0xd5033b9f, "dsb ish", Some(Class::Dsb)),
        (0xd5033a9f, "dsb ishst", Some(Class::Dsb)),
        (0xd503379f, "dsb nsh", Some(Class::Dsb)),
        (0xd5033a3f, "dsb ishnxs", Some(Class::Dsb)),
        (0xd503309f, "ssbb", None),
        (0xd503349f, "pssbb", None),
        (0xd50330ff, "sb", None),
        (0xd503305f, "clrex with CRm 0", None),
        (0xd5033bbf, "dmb ish", Some(Class::Dmb)),
        (0xd50339bf, "dmb ishld", Some(Class::Dmb)),
        (0xd5034fdf, "msr daifset, #15", Some(Class::Daif)),
        (0xd50343ff, "msr daifclr, #3", Some(Class::Daif)),
        (0xd51b4220, "msr daif, x0", Some(Class::Daif)),
        (0xd51b4233, "msr daif, x19", Some(Class::Daif)),
        (0xd53b4220, "mrs x0, daif", None),
        (0xd50040bf, "msr spsel, #0", Some(Class::Other)),
        (0xd500419f, "msr pan, #1", Some(Class::Other)),
        (0xd501411f, "msr allint, #1", Some(Class::Other)),
        (0xd500401f, "cfinv", None),
        (0xd5100240, "msr mdscr_el1, x0", Some(Class::Debug)),
        (0xd5100085, "msr dbgbvr0_el1, x5", Some(Class::Debug)),
        (0xd51005a0, "msr dbgbcr5_el1, x0", Some(Class::Debug)),
        (0xd51003c1, "msr dbgwvr3_el1, x1", Some(Class::Debug)),
        (0xd51003e1, "msr dbgwcr3_el1, x1", Some(Class::Debug)),
        (0xd5101080, "msr oslar_el1, x0", Some(Class::Debug)),
        (0xd5300240, "mrs x0, mdscr_el1", None),
        (0xd5184020, "msr elr_el1, x0", Some(Class::Other)),
        (0xd5184000, "msr spsr_el1, x0", Some(Class::Other)),
        (0xd5184100, "msr sp_el0, x0", Some(Class::Other)),
        (0xd518cc20, "msr icc_eoir1_el1, x0", Some(Class::Other)),
        (0xd518460a, "msr icc_pmr_el1, x10", Some(Class::Other)),
        (0xd51be321, "msr cntv_ctl_el0, x1", Some(Class::Other)),
        (0xd508871f, "tlbi vmalle1", None),
        (0xd50b7520, "ic ivau, x0", None),
        (0xd503201f, "nop", None),
        (0xc85ffc01, "ldaxr x1, [x0]", Some(Class::Exclusive)),
        (0x885f7c01, "ldxr w1, [x0]", Some(Class::Exclusive)),
        (0xc87f0801, "ldxp x1, x2, [x0]", Some(Class::Exclusive)),
        (0xc802fc01, "stlxr w2, x1, [x0]", Some(Class::Exclusive)),
        (0xc8220c01, "stxp w2, x1, x3, [x0]", Some(Class::Exclusive)),
        (0x48207c02, "casp x0, x1, x2, x3, [x0]", Some(Class::Exclusive)),
        (0xc8a07c01, "cas x0, x1, [x0]", Some(Class::Exclusive)),
        (0xf8e10002, "ldaddal x1, x2, [x0]", Some(Class::Exclusive)),
        (0xf8208001, "swp x0, x1, [x0]", Some(Class::Exclusive)),
        (0xf8bfc001, "ldapr x1, [x0]", None),
        (0xc8dffc01, "ldar x1, [x0]", None),
        (0xc89ffc01, "stlr x1, [x0]", None),
        (0xf9400001, "ldr x1, [x0]", None),
        (0xf8616802, "ldr x2, [x0, x1]", None),
        (0xa9bf7bfd, "stp x29, x30, [sp, #-16]!", None),
        (0x91000400, "add x0, x0, #1", None),
    ];

    #[test]
    fn each_word_has_its_class() {
        for &(word, text, class) in WORDS {
            assert_eq!(Class::of(word), class, "{text}");
        }
    }

    #[test]
    fn the_classes_are_in_the_order_of_their_numbers() {
        assert!(Class::ALL.iter().enumerate().all(|(n, &class)| class as usize == n));
    }

    #[test]
    fn counts_are_of_all_words() {
        let (isb, nop, eret) = (0xd503_3fdf, 0xd503_201f, 0xd69f_03e0);
        let counts = Counts::of(&[isb, nop, isb, eret], 3);
        let expected = Class::ALL.map(|class| match class {
            Class::Exception => 3,
            Class::Isb => 2,
            Class::Eret => 1,
            _ => 0,
        });
        assert_eq!((counts.insns, counts.classes), (4, expected));
        let left = counts.minus(&Counts::of(&[isb], 1)).unwrap();
        assert_eq!((left.insns, left.get(Class::Exception), left.get(Class::Isb)), (3, 2, 1));
        assert_eq!(Counts::of(&[nop], 0).minus(&Counts::of(&[isb], 0)), None);
        let half = left.part(2);
        assert_eq!((half.insns, half.get(Class::Exception), half.get(Class::Isb)), (1, 1, 1));
    }

    #[test]
    fn a_line_has_all_columns() {
        let counts = Counts::read(" 1 2 3 4 5 6 7 8 9").unwrap();
        assert_eq!((counts.get(Class::Exception), counts.get(Class::Exclusive)), (1, 9));
        for wrong in ["", "1 2 3 4 5 6 7 8", "1 2 3 4 5 6 7 8 9 10", "1 2 3 4 5 6 7 8 x"] {
            assert_eq!(Counts::read(wrong), None);
        }
    }
}
