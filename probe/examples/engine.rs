//! A kprobe engine over a byte buffer: registration, hits, copies, a trampoline.
//!
//! The buffer holds text and a stack. A small interpreter stands for the CPU: it runs the function that is probed, the copies and
//! the trampolines, and takes an exception at each BRK. All that a kernel would do about probes is in [`Engine`].
//!
//! Run it with `cargo run --example engine`; `cargo test` runs it too.

use std::collections::BTreeMap;

use stepwell_probe::ool::{self, Copies};
use stepwell_probe::sequence::{Registers, execute};
use stepwell_probe::trampoline::{self, Layout, Trampoline};
use stepwell_probe::{
    Class, Cpu, Mem, Reason, Relocatable, Sim, classify, classify_at, is_landing_pad, simulate,
};

/// The address of the buffer.
const BASE: u64 = 0xffff_8000_0008_0000;
/// The function, at the start of the buffer: `x0` = n in, the sum of 1 to n out.
const SUM: [u32; 7] = [
    0xd503_233f, // paciasp
    0xd280_0001, // mov x1, #0
    0x8b00_0021, // 1: add x1, x1, x0
    0xf100_0400, // subs x0, x0, #1
    0x54ff_ffc1, // b.ne 1b
    0xaa01_03e0, // mov x0, x1
    0xd65f_03c0, // ret
];
const SUM_END: u64 = BASE + 4 * SUM.len() as u64;
/// Copies of displaced instructions.
const COPIES: u64 = BASE + 0x1000;
const TRAMPOLINES: u64 = BASE + 0x2000;
/// The shared entry of trampolines. In a kernel it is assembly; here the interpreter calls [`Engine::entry`].
const ENTRY: u64 = BASE + 0x3000;
const STACK: u64 = BASE + 0x4000;
/// The address to which the function returns.
const CALLER: u64 = BASE + 0x3ff0;
const BYTES: usize = 0x4000;

const I_AND_F: u64 = 0xc0;
const DAIF: u64 = 0x3c0;

/// The byte buffer.
struct Memory(Vec<u8>);

impl Memory {
    fn get<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let at = usize::try_from(address.checked_sub(BASE)?).ok()?;
        self.0.get(at..)?.get(..N)?.try_into().ok()
    }

    fn word(&self, address: u64) -> Option<u32> {
        self.get(address).map(u32::from_le_bytes)
    }

    fn double(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.get(address).expect("mapped"))
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
        let at = (address - BASE) as usize;
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A kernel cleans and invalidates the caches here.
    fn write_words(&mut self, address: u64, words: &[u32]) {
        for (at, word) in (address..).step_by(4).zip(words) {
            self.write(at, &word.to_le_bytes());
        }
    }
}

/// How a displaced instruction is run.
#[derive(Clone, Copy)]
enum How {
    Simulated(Sim),
    /// The instruction, and the address of its copies.
    OutOfLine(Relocatable, u64),
}

struct Probe {
    word: u32,
    how: How,
    hits: u64,
}

/// What simulated loads read: the buffer, with the words that probes have replaced.
struct Literals<'a>(&'a Memory, &'a BTreeMap<u64, Probe>);

impl Mem for Literals<'_> {
    /// The address that cannot be read.
    type Error = u64;
    fn read_u32(&mut self, address: u64) -> Result<u32, u64> {
        self.0.word(address).ok_or(address)
    }
    fn read_u64(&mut self, address: u64) -> Result<u64, u64> {
        self.0.get(address).map(u64::from_le_bytes).ok_or(address)
    }
    fn original(&self, address: u64) -> Option<u32> {
        self.1.get(&address).map(|probe| probe.word)
    }
}

#[derive(Default)]
struct Engine {
    probes: BTreeMap<u64, Probe>,
    copies: u64,
    trampolines: u64,
    /// The probe whose trapping copy runs, and I and F of its context.
    trapping: Option<(u64, u64)>,
    exceptions: u64,
}

impl Engine {
    /// Places a probe on an instruction of the function.
    fn register(&mut self, memory: &mut Memory, address: u64) -> Result<(), Reason> {
        let original = |at| self.probes.get(&at).map(|probe| probe.word).or_else(|| memory.word(at));
        let class = classify_at(original, address, BASE, SUM_END);
        let word = original(address).ok_or(Reason::Unreadable)?;
        let how = match Cpu::NO_KEYS.knowing(word, class) {
            Class::Refuse(reason) => return Err(reason),
            Class::Simulate(sim) => How::Simulated(sim),
            Class::OutOfLine(instruction) => {
                let at = COPIES + self.copies * Copies::BYTES as u64;
                let copies = Copies::new(instruction, at, address).expect("aligned and within reach");
                memory.write_words(at, copies.words());
                self.copies += 1;
                How::OutOfLine(instruction, at)
            }
        };
        self.probes.insert(address, Probe { word, how, hits: 0 });
        // A kernel with several CPUs writes the BRK under a rendezvous, unless the old word is `ool::exchangeable`.
        memory.write_words(address, &[ool::brk(ool::KPROBE)]);
        Ok(())
    }

    /// Makes the probe's BRK a branch to a trampoline. False if the instruction cannot be run there.
    fn optimise(&mut self, memory: &mut Memory, address: u64) -> bool {
        const LAYOUT: Layout = Layout::new(272).unwrap();
        let probe = &self.probes[&address];
        let displaced = match probe.how {
            // A branch is no landing pad, where a BRK is one.
            _ if is_landing_pad(probe.word) => return false,
            How::OutOfLine(instruction, _) => trampoline::Displaced::Word(instruction),
            How::Simulated(sim) => match sim.leads_to(address) {
                Some(target) => trampoline::Displaced::LeadsTo(target),
                None => return false,
            },
        };
        let at = TRAMPOLINES + self.trampolines * Trampoline::BYTES as u64;
        let trampoline = Trampoline::new(LAYOUT, at, address, displaced, ENTRY, [address, 0]);
        let (Some(trampoline), Some(branch)) = (trampoline, ool::branch(address, at)) else { return false };
        self.trampolines += 1;
        memory.write_words(at, trampoline.words());
        // BRK and B may be exchanged while other CPUs run through.
        assert!(ool::exchangeable(ool::brk(ool::KPROBE)) && ool::exchangeable(branch));
        memory.write_words(address, &[branch]);
        true
    }

    fn unregister(&mut self, memory: &mut Memory, address: u64) -> u64 {
        let probe = self.probes.remove(&address).expect("registered");
        memory.write_words(address, &[probe.word]);
        probe.hits
    }

    /// Handles BRK #KPROBE. With `post` the engine wants control back behind the instruction.
    fn hit(&mut self, memory: &Memory, frame: &mut Registers, post: bool) {
        let address = frame.pc;
        self.probes.get_mut(&address).expect("a probe's BRK").hits += 1; // the pre-handler
        self.run(memory, address, frame, post);
    }

    /// Simulates the displaced instruction on the frame, or sets the frame's PC to a copy of it.
    fn run(&mut self, memory: &Memory, address: u64, frame: &mut Registers, post: bool) {
        match self.probes[&address].how {
            How::OutOfLine(_, copies) => {
                let form = Copies::form(frame.pstate, post);
                if form == Copies::TRAPPING {
                    self.trapping = Some((address, frame.pstate & I_AND_F));
                }
                frame.pstate |= I_AND_F;
                frame.pc = copies + form;
            }
            How::Simulated(sim) => {
                // A kernel would report a literal that cannot be read as a data abort of the probed instruction.
                simulate(sim, address, frame, &mut Literals(memory, &self.probes)).expect("no literal here");
            }
        }
    }

    /// Handles BRK #OOL_END.
    fn end_of_copy(&mut self, frame: &mut Registers) {
        let (address, masks) = self.trapping.take().expect("a copy that traps is under way");
        frame.pstate = frame.pstate & !I_AND_F | masks;
        frame.pc = address + 4;
        // the post-handler
    }

    /// The entry that trampolines call. SP points to the frame, and X0 holds the probed context's DAIF.
    fn entry(&mut self, memory: &Memory, regs: &mut Registers) {
        let trampoline = regs.x[30] - Trampoline::OPEN;
        let address = memory.double(trampoline + Trampoline::DATA);
        self.probes.get_mut(&address).expect("an optimised probe").hits += 1; // the handler
        regs.pc = match regs.x[0] & DAIF {
            0 => regs.x[30],
            I_AND_F => trampoline + Trampoline::INTERRUPT,
            DAIF => trampoline + Trampoline::MASKED,
            // No end of a trampoline leaves only some of the masks set. A kernel's entry executes a BRK of its own here. The
            // handler of that BRK makes the frame of the probed context from the saved registers, and then does what the probe's
            // BRK does.
            some => {
                self.exceptions += 1;
                let saved = |n| memory.double(regs.sp + 8 * n);
                *regs = Registers {
                    x: std::array::from_fn(|n| saved(n as u64)),
                    sp: saved(31),
                    pc: address,
                    pstate: regs.pstate & !DAIF | some,
                };
                return self.run(memory, address, regs, false);
            }
        };
        // The trampoline itself loads X0, X1 and X28 to X30, because a kernel's entry branches through X28.
        for n in 2..28 {
            regs.x[n] = memory.double(regs.sp + 8 * n as u64);
        }
    }
}

/// Runs the function until it returns. `post` as for [`Engine::hit`].
fn call(engine: &mut Engine, memory: &mut Memory, n: u64, masks: u64, post: bool) -> Registers {
    let mut regs = Registers { x: [0; 31], sp: STACK, pc: BASE, pstate: 5 | masks };
    (regs.x[0], regs.x[27], regs.x[30]) = (n, 27, CALLER);
    while regs.pc != CALLER {
        if regs.pc == ENTRY {
            engine.entry(memory, &mut regs);
            continue;
        }
        let word = memory.word(regs.pc).expect("mapped");
        match ool::imm_of_brk(word) {
            Some(ool::KPROBE) => engine.hit(memory, &mut regs, post),
            Some(ool::OOL_END) => engine.end_of_copy(&mut regs),
            Some(imm) => panic!("BRK #{imm} at {:#x}", regs.pc),
            None => {
                step(memory, &mut regs, word);
                continue;
            }
        }
        engine.exceptions += 1;
    }
    regs
}

/// Executes one instruction, in place of the CPU: data processing, branches, and the instructions of copies and trampolines.
fn step(memory: &mut Memory, regs: &mut Registers, word: u32) {
    let pc = regs.pc;
    if let Class::Simulate(sim) = Cpu::NO_KEYS.knowing(word, classify(word)) {
        simulate(sim, pc, regs, &mut Literals(memory, &BTreeMap::new())).expect("no literal here");
        return;
    }
    regs.pc += 4;
    if execute(word, regs) {
        return;
    }
    let field = |lsb: u32| (word >> lsb & 31) as usize;
    let immediate = u64::from(word >> 8 & 0xf) << 6;
    let offset = i64::from((word << 10) as i32 >> 25) * 8;
    match (word, word & 0xffc0_0000) {
        (0xd53b_4220, _) => regs.x[0] = regs.pstate & DAIF,
        (_, _) if word & 0xffff_f0ff == 0xd503_40df => regs.pstate |= immediate,
        (_, _) if word & 0xffff_f0ff == 0xd503_40ff => regs.pstate &= !immediate,
        (_, 0xf940_0000) => regs.x[field(0)] = memory.double(regs.sp + u64::from(word >> 10 & 0xfff) * 8),
        // STP, STP (pre-index); LDP, LDP (post-index). The base register is always SP.
        (_, opcode @ (0xa900_0000 | 0xa980_0000 | 0xa940_0000 | 0xa8c0_0000)) => {
            let moved = regs.sp.wrapping_add_signed(offset);
            let at = if opcode == 0xa8c0_0000 { regs.sp } else { moved };
            for (register, at) in [(field(0), at), (field(10), at + 8)] {
                if opcode & 1 << 22 == 0 {
                    memory.write(at, &regs.x[register].to_le_bytes());
                } else {
                    regs.x[register] = memory.double(at);
                }
            }
            if matches!(opcode, 0xa980_0000 | 0xa8c0_0000) {
                regs.sp = moved;
            }
        }
        _ => panic!("{word:#010x} at {pc:#x} is not known to this CPU"),
    }
}

fn main() {
    let (mut engine, mut memory) = (Engine::default(), Memory(vec![0; BYTES]));
    memory.write_words(BASE, &SUM);
    let addresses: Vec<u64> = (BASE..SUM_END).step_by(4).collect();
    let executions = [1, 1, 10, 10, 10, 1, 1];

    for masks in [0, 0x80, DAIF] {
        let natively = call(&mut engine, &mut memory, 10, masks, false);
        assert_eq!((natively.x[0], engine.exceptions), (55, 0));

        // A probe on every instruction, with and without a post-handler: nothing comes out differently.
        for &address in &addresses {
            engine.register(&mut memory, address).expect("every instruction of it can be probed");
        }
        for post in [false, true] {
            assert_eq!(call(&mut engine, &mut memory, 10, masks, post), natively);
        }
        println!(
            "masks {masks:#x}: 2 calls with probes on every instruction, {} exceptions",
            engine.exceptions
        );
        let hits: Vec<u64> =
            addresses.iter().map(|&address| engine.unregister(&mut memory, address)).collect();
        assert_eq!(hits, executions.map(|n| 2 * n));
        assert_eq!(memory.word(BASE), Some(SUM[0]), "the text is as it was");
        engine.exceptions = 0;
    }

    // A hit of an optimised probe takes no exception, or two if only some of the masks are set. Landing pads, conditional branches
    // and RET keep their BRK.
    for (masks, exceptions) in [(0, 12), (I_AND_F, 12), (DAIF, 12), (0x80, 12 + 2 * 22)] {
        let natively = call(&mut engine, &mut memory, 10, masks, false);
        let mut optimised = Vec::new();
        for &address in &addresses {
            engine.register(&mut memory, address).expect("as before");
            optimised.push(engine.optimise(&mut memory, address));
        }
        assert_eq!(optimised, [false, true, true, true, false, true, false]);
        assert_eq!(call(&mut engine, &mut memory, 10, masks, false), natively);
        println!("masks {masks:#x}: 1 call with 4 probes of 7 optimised, {} exceptions", engine.exceptions);
        assert_eq!(engine.exceptions, exceptions);
        let hits: Vec<u64> =
            addresses.iter().map(|&address| engine.unregister(&mut memory, address)).collect();
        assert_eq!(hits, executions);
        engine.exceptions = 0;
    }

    // What cannot be probed is refused, with the reason.
    memory.write_words(BASE, &[0xd503_207f]); // wfi
    let reason = engine.register(&mut memory, BASE).expect_err("wfi cannot be probed");
    println!("wfi: {reason}");
    assert_eq!(reason, Reason::Wait);
}

#[test]
fn the_example_runs() {
    main();
}
