//! What a hit and a registration cost while there are tens of thousands of other probes.

use super::place::must;
use alloc::vec::Vec;
use kernel::drivers::timer;
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Kprobe};
use kernel::mm::layout::{self, PAGE};
use kernel::mm::patch;

/// The largest number of probes that is measured.
pub const MANY: usize = 50_000;

/// ADD X1, X1, #1, which is run out of line, and NOP, which is simulated.
const WORDS: [u32; 2] = [0x9100_0421, probe::ool::NOP];

/// Probes on generated text, which is never executed.
pub struct Many(Vec<&'static Kprobe>);

impl Many {
    /// Fills the area for generated text with instructions, and registers no probes yet.
    pub fn new() -> Self {
        let page: Vec<u32> = (0..PAGE / 4).map(|n| WORDS[n % WORDS.len()]).collect();
        for at in (layout::generated_start()..layout::generated_end()).step_by(PAGE) {
            let _off = IrqOff::new();
            patch::write_words(at, &page);
        }
        // The first probe in a function searches the whole function for exclusives. That is done here, and not measured.
        let first = layout::generated_start() as u64;
        must(kprobe::register(first, None, None));
        must(kprobe::unregister(first));
        Self(Vec::with_capacity(MANY))
    }

    /// Registers probes one after the other until there are `count`. Returns the cost of the last registration of a probe whose
    /// instruction runs out of line.
    pub fn grow(&mut self, count: usize) -> u64 {
        let mut cost = 0;
        while self.0.len() < count {
            let at = layout::generated_start() + 4 * self.0.len();
            let start = timer::now();
            let probe = must(kprobe::register(at as u64, None, None));
            if probe.how() == "out of line" {
                cost = timer::now() - start;
            }
            self.0.push(probe);
        }
        cost
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        kprobe::remove_all(&self.0);
    }
}
