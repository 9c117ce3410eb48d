#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
//! What a kernel needs to put probes on A64 instructions so that the probed code does not notice: which instructions can be probed
//! and how, the simulation of some, copies in which the others run, and the text form of probes. No kernel types, no allocation,
//! no `unsafe`: the crate decides what must be done, and the kernel does it.
//!
//! A probe replaces an instruction by `BRK`. When it is hit, the kernel calls the probe's handler and must then do what the
//! displaced instruction would have done:
//!
//! - [`classify_at`] says how, once, at registration: [`Class::Simulate`], [`Class::OutOfLine`], or [`Class::Refuse`] with a
//!   [`Reason`] to show to the user.
//! - [`simulate`] does the work of instructions that depend on the PC or decide it, on the saved registers.
//! - [`ool::Copies`] is the text in which all others run elsewhere. [`ool::Copies::form`] chooses one of three copies at each hit:
//!   one for contexts with interrupts open, one for those with interrupts masked, one that traps.
//!   [`trampoline::Trampoline`] takes no exception at all. [`ool::exchangeable`] tells whether text may be patched while other
//!   CPUs execute it.
//! - [`events::parse`] reads probes as a person types them, in the syntax of Linux's `kprobe_events`.
//!
//! # Adopting it
//!
//! Implement [`Regs`] for the frame that your exception entry saves, and [`Mem`] for kernel memory. Then a registration is
//! `register` of the following example, and a hit is `hit`. The rest only the kernel can do: allocate executable copies, patch text
//! with cache maintenance, and report a fault in a copy as one at the probed address ([`ool::Copies::faulted`]).
//! `examples/engine.rs` adds handlers, the end of a copy, faults and a trampoline, and runs on a byte buffer.
//!
//! ```
//! use stepwell_probe::ool::{self, Copies};
//! use stepwell_probe::{Class, Cpu, Exception, Mem, Reason, Regs, Sim, classify_at, simulate};
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
//!     // Where other CPUs write, this is one LDR of 64 bits.
//!     fn read_u64(&mut self, address: u64) -> Result<u64, Fault> {
//!         let low = self.read_u32(address)?;
//!         Ok(u64::from(self.read_u32(address + 4)?) << 32 | u64::from(low))
//!     }
//!     // A kernel has `original` here too, from its table of probes.
//! }
//!
//! /// How the displaced instruction of a probe is run.
//! enum Displaced {
//!     Simulated(Sim),
//!     /// The address of the copies.
//!     OutOfLine(u64),
//! }
//!
//! fn register(text: &mut Text, address: u64, at: u64, copies: &mut Vec<u32>) -> Result<Displaced, Reason> {
//!     let (start, end) = (text.0, text.0 + 4 * text.1.len() as u64);
//!     let word = text.fetch(address).ok_or(Reason::Unreadable)?;
//!     let class = classify_at(|a| text.fetch(a), address, start, end);
//!     // This kernel switches no pointer-authentication key on, so its PACIASP are NOPs.
//!     let displaced = match Cpu::NO_KEYS.knowing(word, class) {
//!         Class::Refuse(reason) => return Err(reason),
//!         Class::Simulate(sim) => Displaced::Simulated(sim),
//!         Class::OutOfLine(instruction) => {
//!             // None where `at` is too far away to come back from.
//!             *copies = Copies::new(instruction, at, address).unwrap().words().to_vec();
//!             Displaced::OutOfLine(at)
//!         }
//!     };
//!     // Here a kernel cleans the copies to the point of unification, and stops the other CPUs unless the old word is
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
//!         Displaced::OutOfLine(copies) => {
//!             frame.elr = *copies + Copies::form(frame.spsr, false); // while `spsr` still has the probed context's masks
//!             frame.spsr |= 0xc0; // I and F
//!             Ok(())
//!         }
//!     }
//! }
//!
//! // paciasp ; bl .+0x100 ; add x1, x1, #1 ; ret
//! let mut text = Text(0xffff_8000_0001_0000, vec![0xd503_233f, 0x9400_0040, 0x9100_0421, 0xd65f_03c0]);
//! let (mut copies, start) = (Vec::new(), text.0);
//! let mut frame = Frame { x: [0; 31], elr: start + 4, spsr: 0x6000_03c5 };
//!
//! let call = register(&mut text, start + 4, start + 0x1000, &mut copies).unwrap();
//! hit(&call, start + 4, &mut frame, &mut text).unwrap();
//! assert_eq!((frame.elr, frame.x[30]), (start + 0x104, start + 8));
//!
//! let entry = register(&mut text, start, start + 0x1000, &mut copies).unwrap();
//! assert!(matches!(entry, Displaced::Simulated(Sim::Nop)));
//!
//! let add = register(&mut text, start + 8, start + 0x1000, &mut copies).unwrap();
//! assert!(matches!(add, Displaced::OutOfLine(_)));
//! assert_eq!(copies[0], 0x9100_0421);
//! frame.spsr = 5; // interrupts are open
//! hit(&add, start + 8, &mut frame, &mut text).unwrap();
//! assert_eq!((frame.elr, frame.spsr), (start + 0x1000 + Copies::OPEN, 0xc5));
//! assert_eq!(text.1[2], ool::brk(ool::KPROBE));
//!
//! text.1[3] = 0xd503_207f; // wfi
//! let error = register(&mut text, start + 12, start + 0x1000, &mut copies).err().unwrap();
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
//! | the words as they were before any probe | [`Mem::original`] | a literal on a probed word reads as the BRK |
//!
//! On guarded pages a BRK may replace a landing pad, a B must not ([`is_landing_pad`]). A BRK is a permitted target of every
//! branch, so the CPU does not take the Branch Target exception that the displaced instruction would have taken: [`accepts`] tells
//! whether the kernel must report one.
//!
//! # What a handler must leave alone
//!
//! The probed code finds its registers as the frame holds them. Registers that no frame holds must not change between the BRK and
//! the return to the probed code: the handlers, the engine, and [`Mem`]'s reads must not use them, or must save and restore them:
//!
//! | register | changed by | seen by |
//! |---|---|---|
//! | PAR_EL1 | AT, as to find out why a read faulted | MRS behind an AT of the probed code |
//! | TPIDR_EL0, TPIDRRO_EL0, TPIDR2_EL0, SP_EL0 | a switch of threads | MRS |
//! | FPCR, FPSR, V0 to V31, Z, P, FFR, ZA | floating point in a handler | all floating point |
//! | NZCV and the rest of PSTATE | restored by ERET from SPSR; a [`trampoline`] takes no exception, so the kernel's entry must restore NZCV | |
//! | DISR_EL1 | ESB in the exception entry | MRS behind an ESB of the probed code |
//! | TFSR_EL1, TFSRE0_EL1 | a tag check that fails asynchronously | MRS |
//! | MDSCR_EL1, DBGBCR*n*_EL1 and kin | an engine that steps | MRS |
//! | TTBR0_EL1, CONTEXTIDR_EL1, ASIDs | a handler that borrows another address space | every access |
//!
//! Some state cannot be kept: the exclusive monitor, which every exception clears (so exclusive sequences are refused); branch
//! records, trace and event counters, which record the probe's own work; time. The registers that an exception itself writes are
//! refused ([`Reason::ExceptionState`]), and so are writes to registers that the probe itself depends on
//! ([`Reason::MachineState`]).
//!
//! Out-of-line copies run with I and F masked, and ALLINT where it exists, for one instruction. Instructions that would tell the
//! probed code of this are refused ([`Reason::InterruptMasks`], [`Reason::InterruptState`]). Loads cannot be told apart, so those
//! that read such state from memory are not refused: from the registers of a GICv2, or of a device that raises interrupts.
//!
//! # A probed context that is being stepped
//!
//! The engine executes the displaced instruction in place of the CPU, so it also does the CPU's part of a software step. After
//! [`simulate`] it clears SPSR.SS: the step exception then comes before the next instruction, as after any other. A copy must not
//! be stepped, because the step would count the copy's own instructions. So MDSCR_EL1.SS is clear while a copy runs, the form is
//! the trapping one ([`ool::Copies::form`] with `trap`), and at its BRK the engine sets MDSCR_EL1.SS again and clears SPSR.SS.
//!
//! # What is faithful, and what is not
//!
//! The verdicts are checked over all 2^32 words against an independent decoder (`tests/oracle`; one table, `tests/oracle/known.rs`,
//! says where the two differ, and why). The limits, each described at its place: unallocated words of the FP, SIMD, SVE and SME
//! groups are not told from allocated ones ([`classify()`]); exclusive sequences that span functions are not seen
//! ([`in_exclusive_sequence`]); FEAT_GCS and watchpoints on literals ([`sim`]); loads from below SP differ in a trampoline
//! ([`trampoline`]). A load from probed text, other than a literal load, reads the BRK. One limit is in the method: if an
//! instruction that moves SP runs in a copy that ends in BRK, it must leave SP where the kernel can take an exception.

mod bits;
mod class;
mod classify;
mod cpu;
pub mod events;
mod exclusive;
mod monitor;
pub mod ool;
pub mod sequence;
pub mod sim;
pub mod stepping;
pub mod trampoline;

pub use class::{Class, Reason, Relocatable};
pub use classify::classify;
pub use cpu::{Cpu, accepts, is_landing_pad};
pub use exclusive::{Function, MAX_FUNCTION_WORDS, NEAR_WORDS, classify_at, in_exclusive_sequence};
pub use monitor::{exclusives, is_clear_exclusive, is_load_exclusive, is_store_exclusive};
pub use sim::{Bti, Exception, Mem, Regs, Sim, simulate};

/// Runs the README's example with the other ones.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
