//! The instruction by which a program reads an identification register.

/// An MRS with op0 3, op1 0, CRn 0, CRm 0 to 7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mrs {
    /// The number of the register that gets the value; 31 if none does.
    pub to: u8,
    /// CRm, 0 to 7.
    pub crm: u8,
    /// op2.
    pub op2: u8,
}

impl Mrs {
    /// Decodes an instruction word; None if it is another instruction, or an MRS of a register outside of the identification space.
    #[must_use]
    pub const fn decode(word: u32) -> Option<Self> {
        // MRS (DDI 0487 C6.2): 1101 0101 0011, then o0 (op0 less 2), op1, CRn, CRm, op2, Rt. CRm[3] is 0 as well.
        if word & 0xffff_f800 != 0xd538_0000 {
            return None;
        }
        Some(Self { to: (word & 0x1f) as u8, crm: (word >> 8 & 7) as u8, op2: (word >> 5 & 7) as u8 })
    }
}
