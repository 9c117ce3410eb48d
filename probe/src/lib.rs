#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
//! What a kernel needs to put probes on A64 instructions and have the probed code not notice: which instructions can be
//! probed and how, their simulation, the slots for the rest, and the text form of probes. No kernel types, no allocation, no
//! `unsafe`; it decides, and the kernel does.
//!
//! A probe replaces an instruction by `BRK`. When it is hit, the kernel calls the probe's handler and must then do what the
//! displaced instruction would have done:
//!
//! - [`classify_at`] says how, once, at registration: [`Class::Simulate`], [`Class::OutOfLine`], or [`Class::Refuse`] with a
//!   [`Reason`] to show to whoever asked.
//! - [`simulate`] does it for instructions that depend on the PC or decide it, on the saved registers.
//! - [`ool::Slot`] is the two words in which all others run elsewhere; [`ool::exchangeable`] tells whether text may be patched
//!   while other CPUs run through it.
//! - [`ool::Copies`] is what an engine wants that chooses at each hit: a copy for contexts with interrupts open, one for those
//!   without, one that traps. [`trampoline::Trampoline`] takes no exception at all.
//! - [`events::parse`] reads probes as they are typed at a prompt, in the syntax of Linux's `kprobe_events`.
//!
//! # Adopting it
//!
//! Implement [`Regs`] for the frame that your exception entry saves, and [`Mem`] for kernel memory. Then registration is
//! `register` of the following example, and a hit is `hit`. What is left to the kernel is what only it can do: allocating
//! executable slots, patching text with cache maintenance, masking interrupts while a slot runs (the probed context's
//! interrupt masks come back at the slot's end), and reporting a fault at the slot's first word as one at the probed address.
//!
//! ```
//! use probe::ool::{self, Slot};
//! use probe::{Class, Cpu, Exception, Mem, Reason, Regs, Sim, classify_at, simulate};
//!
//! /// The frame that the exception entry saves.
//! struct Frame {
//!     x: [u64; 31],
//!     elr: u64,
//!     spsr: u64,
//! }
//!
//! impl Regs for Frame {
//!     fn x(&self, n: u8) -> u64 {
//!         self.x[n as usize]
//!     }
//!     fn set_x(&mut self, n: u8, value: u64) {
//!         self.x[n as usize] = value;
//!     }
//!     fn pstate(&self) -> u64 {
//!         self.spsr
//!     }
//!     fn set_pstate(&mut self, value: u64) {
//!         self.spsr = value;
//!     }
//!     fn set_pc(&mut self, value: u64) {
//!         self.elr = value;
//!     }
//!     // A kernel that uses SIMD&FP registers itself has `simd_trapped` and `set_v` here too.
//! }
//!
//! /// Memory that holds one function. A kernel reads through its fault-safe copy instead.
//! struct Text(u64, Vec<u32>);
//!
//! impl Text {
//!     fn fetch(&self, address: u64) -> Option<u32> {
//!         self.1.get(usize::try_from(address.checked_sub(self.0)?).ok()? / 4).copied()
//!     }
//! }
//!
//! #[derive(Debug)]
//! struct Fault(u64);
//!
//! impl Mem for Text {
//!     type Error = Fault;
//!     fn read_u32(&mut self, address: u64) -> Result<u32, Fault> {
//!         self.fetch(address).ok_or(Fault(address))
//!     }
//!     fn read_u64(&mut self, address: u64) -> Result<u64, Fault> {
//!         let low = self.read_u32(address)?;
//!         Ok(u64::from(self.read_u32(address + 4)?) << 32 | u64::from(low))
//!     }
//! }
//!
//! /// How the displaced instruction of a probe is run.
//! enum Displaced {
//!     Simulated(Sim),
//!     /// The address of the slot.
//!     OutOfLine(u64),
//! }
//!
//! fn register(text: &mut Text, address: u64, slot_at: u64, slots: &mut [u32]) -> Result<Displaced, Reason> {
//!     let (start, end) = (text.0, text.0 + 4 * text.1.len() as u64);
//!     let word = text.fetch(address).ok_or(Reason::Unallocated)?;
//!     let class = classify_at(|a| text.fetch(a), address, start, end);
//!     // This kernel switches no pointer-authentication key on, so its PACIASP are NOPs.
//!     let displaced = match Cpu::NO_KEYS.knowing(word, class) {
//!         Class::Refuse(reason) => return Err(reason),
//!         Class::Simulate(sim) => Displaced::Simulated(sim),
//!         Class::OutOfLine => {
//!             slots.copy_from_slice(&Slot::trapping(word).words);
//!             Displaced::OutOfLine(slot_at)
//!         }
//!     };
//!     // Here a kernel cleans the slot to the point of unification, and stops the other CPUs unless the old word is
//!     // `ool::exchangeable`.
//!     text.1[(address - start) as usize / 4] = ool::brk(ool::KPROBE);
//!     Ok(displaced)
//! }
//!
//! /// From the exception handler of `BRK #KPROBE`, after the probe's own handler. On an error the kernel goes on as if the
//! /// probed instruction had taken that exception: a data abort at `Sim::literal`, or the trap of SIMD&FP registers.
//! fn hit(d: &Displaced, probed: u64, frame: &mut Frame, text: &mut Text) -> Result<(), Exception<Fault>> {
//!     match d {
//!         Displaced::Simulated(sim) => simulate(*sim, probed, frame, text),
//!         Displaced::OutOfLine(slot) => {
//!             frame.elr = *slot; // and `BRK #OOL_END` sets it to `probed + 4`
//!             Ok(())
//!         }
//!     }
//! }
//!
//! // paciasp ; bl .+0x100 ; add x1, x1, #1 ; ret
//! let mut text = Text(0xffff_8000_0001_0000, vec![0xd503_233f, 0x9400_0040, 0x9100_0421, 0xd65f_03c0]);
//! let (mut slot, start) = ([0; 2], text.0);
//! let mut frame = Frame { x: [0; 31], elr: start + 4, spsr: 0x6000_03c5 };
//!
//! let call = register(&mut text, start + 4, 0, &mut slot).unwrap();
//! hit(&call, start + 4, &mut frame, &mut text).unwrap();
//! assert_eq!((frame.elr, frame.x[30]), (start + 0x104, start + 8));
//!
//! let entry = register(&mut text, start, 0, &mut slot).unwrap();
//! assert!(matches!(entry, Displaced::Simulated(Sim::Nop)));
//!
//! let add = register(&mut text, start + 8, start + 0x1000, &mut slot).unwrap();
//! assert!(matches!(add, Displaced::OutOfLine(_)));
//! assert_eq!(slot, [0x9100_0421, ool::brk(ool::OOL_END)]);
//! assert_eq!(text.1[2], ool::brk(ool::KPROBE));
//!
//! text.1[3] = 0xd503_207f; // wfi
//! let error = register(&mut text, start + 12, 0, &mut slot).err().unwrap();
//! assert_eq!(error, Reason::Wait);
//! ```
//!
//! # What the crate asks of a kernel
//!
//! | to be told | where | if the kernel does not |
//! |---|---|---|
//! | whether SIMD&FP registers are trapped, and how to set one | [`Regs::simd_trapped`], [`Regs::set_v`] | LDR (literal) of such a register is [`Exception::SimdTrap`] |
//! | which pointer-authentication keys are live | [`Cpu::knowing`] | PACIASP and kin run out of line: right with and without a key |
//! | whether the CPU has BC.cond, `CB<cc>` | [`Cpu::knowing`] | they work under a probe where they are undefined without |
//! | whether there is FEAT_BTI, and the page is guarded | [`Mem::bti`] | BTYPE stays 0: right without FEAT_BTI |
//! | the words as they were before any probe | `fetch` of [`classify_at`] | exclusive sequences with probes near are misread |
//!
//! On guarded pages a BRK may replace a landing pad, a B must not ([`is_landing_pad`]). BRK itself is a permitted target of
//! every branch, so there the Branch Target exception of what it replaces does not come by itself: [`accepts`] tells whether
//! it is due.
//!
//! # What is faithful, and what is not
//!
//! Checked over all 2^32 words against an independent decoder (`tests/oracle`; where the two differ, and why, is one table,
//! `tests/oracle/known.rs`). Limits, each described where it is:
//! unallocated words of the FP, SIMD, SVE and SME groups are not told from allocated ones ([`classify`]); exclusive sequences
//! that span functions are not seen ([`in_exclusive_sequence`]); FEAT_GCS and watchpoints on literals ([`sim`]). And one of the
//! method: an instruction that moves SP and runs out of line, in a slot that ends in BRK, must leave SP where the kernel can
//! take an exception.

mod bits;
mod class;
mod classify;
mod cpu;
pub mod events;
mod exclusive;
pub mod ool;
pub mod sequence;
pub mod sim;
pub mod stepping;
pub mod trampoline;

pub use class::{Class, Reason};
pub use classify::classify;
pub use cpu::{Cpu, accepts, is_landing_pad};
pub use exclusive::{
    Function, MAX_FUNCTION_WORDS, classify_at, in_exclusive_sequence, is_clear_exclusive, is_load_exclusive,
    is_store_exclusive,
};
pub use sim::{Bti, Exception, Mem, Regs, Sim, simulate};
