//! Host tests. The recording back end (`fake`) decides as the architecture says whether an access hits.

mod atomicity;
mod attribution;
mod banks;
mod concurrency;
mod counts;
mod encoding;
mod install;
mod one_encoder;
mod order;
mod pieces;
mod step_over;
mod table;

use crate::{Access, Admitted, Counts, Privilege, Request, Tables, VaSize};

/// The kernel's shape of tables, with a payload of one word.
type TestTables = Tables<u64, 6, 4>;

const TEXT: u64 = 0xffff_8000_0001_0000;
const DATA: u64 = 0xffff_8000_0020_0000;

fn breakpoint(address: u64) -> Admitted {
    Admitted::despite_no_probe(&Request::Breakpoint { address, privilege: Privilege::El1 }, VaSize::Bits48)
        .expect("a breakpoint")
}

fn watchpoint(address: u64, length: u64, access: Access) -> Admitted {
    let request = Request::Watchpoint { address, length, access, privilege: Privilege::El1 };
    Admitted::despite_no_probe(&request, VaSize::Bits48).expect("a watchpoint")
}

/// The counts that a CPU with FEAT_Debugv8p9 and these numbers of slots announces.
fn counts(breakpoints: u64, watchpoints: u64) -> Counts {
    let field = |n: u64| (n - 1).min(15);
    let extended = |n: u64| if n > 16 { n - 1 } else { 0 };
    Counts::from_ids(
        0xb | field(breakpoints) << 12 | field(watchpoints) << 20,
        extended(breakpoints) << 8 | extended(watchpoints) << 16,
    )
}

/// xorshift64*: the same numbers in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
