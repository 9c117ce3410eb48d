//! Hardware slots that a tracer sets (NT_ARM_HW_BREAK, NT_ARM_HW_WATCH): what is a hit, where, how often, and whose slots they are (T3, T5).

use super::client::{Stop, Tracer, Tracing};
use super::program::{Act, BRKPT, NO_SIGNAL, Program, READS_AND_WRITES, give_way, word};
use super::text::{self, data};
use crate::failed;
use alloc::vec::Vec;
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq, suite};
use hwdebug::Kind::{self, Break, Watch};
use kernel::debug::slots::{self as hardware, Disposition, Installed};
use kernel::errno::Errno;
use kernel::sched::{self, CpuSet};
use kernel::{percpu, smp};
use slots::{Access, Cpus, Privilege, Request};

suite!("programs-traced":
    h7_watchpoints_of_every_mask_are_hit_by_every_access_at_its_address,
    a_hit_is_a_signal_with_the_address_accessed,
    a_hit_comes_again_at_once_as_long_as_the_slot_is_there,
    breakpoints_on_calls_are_hit_once_for_each_call,
    breakpoints_on_the_way_back_from_a_handler,
    a_breakpoint_behind_a_stepped_instruction_is_hit,
    h9_a_sequence_under_a_tracers_watchpoint_ends,
    h9_a_breakpoint_in_a_sequence_lets_it_end,
    m15_the_kernels_accesses_are_silent,
    slots_of_the_kernel_and_of_events_on_the_same_address,
    slots_that_do_not_fit_are_refused_and_none_is_lost,
    t3_slots_are_dropped_by_execve,
    t3_slots_are_not_inherited,
    t3_slots_go_with_their_tasks_to_all_cpus,
);

const READ: u32 = 1;
const WRITE: u32 = 2;

/// A regset with these slots: addresses and control words.
fn regset(slots: &[(u64, u32)]) -> Vec<u8> {
    let mut bytes = [0; 8].to_vec();
    for &(address, control) in slots {
        bytes.extend_from_slice(&address.to_le_bytes());
        bytes.extend_from_slice(&u64::from(control).to_le_bytes());
    }
    bytes
}

/// A slot on bytes of a doubleword, or on an instruction.
fn watch(address: u64, length: u32, access: u32) -> (u64, u32) {
    let offset = address & 7;
    (address - offset, ((1 << length) - 1) << offset << 5 | access << 3 | 0b101)
}

fn instruction(address: u64) -> (u64, u32) {
    (address, 0xf << 5 | 0b101)
}

fn set(program: &Program, kind: Kind, slots: &[(u64, u32)]) -> Result<(), Ended> {
    program.task.set_hw_debug(kind, &regset(slots)).map_err(failed)
}

/// Runs a program under slots that the client steps over, and returns the hits.
fn run(act: Act, breakpoints: &[(u64, u32)], watchpoints: &[(u64, u32)]) -> Result<Vec<Stop>, Ended> {
    let program = Program::start(act, 30)?;
    set(&program, Break, breakpoints)?;
    set(&program, Watch, watchpoints)?;
    let tracer = Tracer::new(Tracing::Steps);
    program.go();
    check_eq!(program.signals()?, NO_SIGNAL);
    Ok(tracer.stops())
}

fn pcs(stops: &[Stop]) -> Vec<u64> {
    stops.iter().map(|stop| stop.pc).collect()
}

/// The accesses of `el0_accesses` in their order: how many bytes, of how many each element, and which kind. 0 is a block of DC ZVA.
const ACCESSES: [(u64, u64, u32); 17] = [
    (1, 1, WRITE),
    (2, 2, WRITE),
    (4, 4, WRITE),
    (8, 8, WRITE),
    (8, 4, WRITE),
    (16, 8, WRITE),
    (16, 8, WRITE),
    (32, 8, WRITE),
    (0, 1, WRITE),
    (1, 1, READ),
    (2, 2, READ),
    (4, 4, READ),
    (8, 8, READ),
    (8, 4, READ),
    (16, 8, READ),
    (16, 8, READ),
    (32, 8, READ),
];

/// The bytes that QEMU 7.2 loads for a load that is not aligned, from a page with a watchpoint: for each element the two that are aligned and
/// hold it. So such a load hits watchpoints near it. A store that is not aligned may hit any watchpoint of its page there. Hardware accesses
/// what it is asked to, and later versions of QEMU too.
fn as_qemu_loads(at: u64, bytes: u64, element: u64) -> (u64, u64) {
    let first = at & !(element - 1);
    let end = at + bytes + if at == first { 0 } else { element - 1 };
    (first, (end & !(element - 1)) - first)
}

fn h7_watchpoints_of_every_mask_are_hit_by_every_access_at_its_address() -> Outcome {
    let area = data(0x1400);
    for offset in 0..8 {
        for length in 1..=8 - offset {
            let first = area + 8 + offset;
            let last = first + length - 1;
            for direction in [READ, WRITE] {
                let stops = run(Act::At(text::accesses()), &[], &[watch(first, length as u32, direction)])?;
                let mut stops = stops.iter().peekable();
                for (number, &(bytes, element, access)) in ACCESSES.iter().enumerate() {
                    for at in (0..24).map(|at| area + at) {
                        let what = (offset, length, direction, number, at - area);
                        let touches = |at, bytes| at <= last && first < at + bytes;
                        let (wide, wide_bytes) = as_qemu_loads(at, bytes, element);
                        let widened = bytes != 0 && touches(wide, wide_bytes);
                        let must = access == direction && (bytes == 0 || touches(at, bytes));
                        let unaligned = at % element != 0;
                        let may = access == direction && unaligned && (widened || access == WRITE);
                        let Some(stop) =
                            stops.next_if(|stop| stop.x[..2] == [number as u64, at - area] && (must || may))
                        else {
                            check!(!must, "no hit of {what:?}, but {:?}", stops.peek());
                            continue;
                        };
                        check_eq!(stop.pc, text::access() + 8 * number as u64, "{what:?}");
                        let exact = stop.address == at.max(first) || bytes == 0;
                        let exact =
                            exact || unaligned && (access == WRITE || stop.address == wide.max(first));
                        check!(exact, "address {:#x} of {what:?}", stop.address);
                    }
                }
                check_eq!(stops.next(), None, "hits of nothing: {offset} {length} {direction}");
            }
        }
    }
    Ok(())
}

fn a_hit_is_a_signal_with_the_address_accessed() -> Outcome {
    const HWBKPT: u64 = 4;
    for (act, breakpoint, address) in
        [(text::told(), false, data(word::STORED)), (text::told(), true, text::told_store())]
    {
        let program = Program::start(Act::At(act), 30)?;
        match breakpoint {
            true => set(&program, Break, &[instruction(address)])?,
            false => set(&program, Watch, &[watch(data(word::STORED), 4, WRITE)])?,
        }
        let tracer = Tracer::new(Tracing::Removes);
        program.go();
        let mut turns = 0;
        while (program.read(word::SIGNALS) == 0 || !program.sleeps()) && !program.has_ended() {
            give_way();
            turns += 1;
            check!(
                turns < 100_000,
                "{:?} ended {} sleeps {}",
                tracer.stops(),
                program.has_ended(),
                program.sleeps()
            );
        }
        // What the handler has stored of its siginfo: si_code and si_addr.
        check_eq!((program.read(word::SIGNALS), program.read(24), program.read(32)), (1, HWBKPT, address));
        check_eq!(pcs(&tracer.stops()), [text::told_store()]);
        program.wake(word::WAIT);
        check_eq!(program.signals()?, (1, HWBKPT as u8));
    }
    Ok(())
}

/// The program's handler returns to the instruction. At its 15th signal it ends the program.
fn a_hit_comes_again_at_once_as_long_as_the_slot_is_there() -> Outcome {
    for breakpoint in [false, true] {
        let program = Program::start(Act::Spot, 30)?;
        match breakpoint {
            true => set(&program, Break, &[instruction(text::spot() + 4)])?,
            false => set(&program, Watch, &[watch(data(word::STORED), 4, WRITE)])?,
        }
        let tracer = Tracer::new(Tracing::Tells);
        program.go();
        check_eq!(program.signals()?, (15, 4), "signals, and si_code of the last one but one");
        check_eq!(pcs(&tracer.stops()), [text::spot() + 4; 15]);
    }
    Ok(())
}

fn breakpoints_on_calls_are_hit_once_for_each_call() -> Outcome {
    let stops = run(Act::Names, &[instruction(text::call())], &[])?;
    check_eq!(pcs(&stops), [text::call(); 100]);
    Ok(())
}

/// The handler of a BRK returns by what is in the vDSO.
fn breakpoints_on_the_way_back_from_a_handler() -> Outcome {
    let program = Program::start(Act::Brk, 30)?;
    set(&program, Break, &[instruction(text::trap())])?;
    let tracer = Tracer::new(Tracing::Steps);
    program.go();
    check_eq!(program.signals()?, (1, BRKPT));
    let stops = tracer.stops();
    check_eq!(pcs(&stops), [text::trap()]);
    let back = stops[0].x[2];
    drop(tracer);
    // The next program has its vDSO at the same place, unless these places are random.
    let program = Program::start(Act::Brk, 30)?;
    let places = [text::trap(), back, back + 4, text::brk() + 4].map(instruction);
    let count = places.len().min(usize::from(hardware::count(slots::Kind::Breakpoint)));
    set(&program, Break, &places[..count])?;
    let tracer = Tracer::new(Tracing::Steps);
    program.go();
    check_eq!(program.signals()?, (1, BRKPT));
    let expected: Vec<_> = places[..count].iter().map(|place| place.0).collect();
    check_eq!(pcs(&tracer.stops()), expected);
    Ok(())
}

/// The hit of the first slot is stepped over, which lands on the second one's instruction.
fn a_breakpoint_behind_a_stepped_instruction_is_hit() -> Outcome {
    let places = [text::spot(), text::spot() + 4];
    let stops = run(Act::Spot, &places.map(instruction), &[watch(data(word::STORED), 4, WRITE)])?;
    // At the store both the breakpoint and the watchpoint would be hit; the client disables both for the step.
    check_eq!(pcs(&stops), places);
    Ok(())
}

fn h9_a_sequence_under_a_tracers_watchpoint_ends() -> Outcome {
    let at = data(232);
    let (load, past) = (text::exclusive_load(), text::exclusive_past());
    for (access, expected) in
        [(READ, &[load, past + 4][..]), (WRITE, &[load + 8][..]), (READ | WRITE, &[load, past + 4][..])]
    {
        let stops = run(Act::At(text::exclusive()), &[], &[watch(at, 8, access)])?;
        check_eq!(pcs(&stops), expected, "accesses {access}");
    }
    Ok(())
}

fn h9_a_breakpoint_in_a_sequence_lets_it_end() -> Outcome {
    for at in [text::exclusive_load(), text::exclusive_load() + 4, text::exclusive_load() + 8] {
        let stops = run(Act::At(text::exclusive()), &[instruction(at)], &[])?;
        check_eq!(pcs(&stops), [at]);
    }
    Ok(())
}

fn m15_the_kernels_accesses_are_silent() -> Outcome {
    let stops = run(Act::Names, &[], &[watch(data(word::NAMES + 8), 1, READ | WRITE)])?;
    check_eq!(stops.len(), 1, "the program's own load: {stops:?}");
    Ok(())
}

fn slots_of_the_kernel_and_of_events_on_the_same_address() -> Outcome {
    let at = data(word::STORED);
    let program = Program::start(Act::Spot, 30)?;
    let request = Request::watchpoint(at, 4, Access::ReadWrite, Privilege::Both);
    let kernels = Installed::new(&request, Cpus::ALL, Disposition::Count).map_err(failed)?;
    let event = program.event(READS_AND_WRITES, at, 4, false)?;
    set(&program, Watch, &[watch(at, 4, WRITE)])?;
    let tracer = Tracer::new(Tracing::Steps);
    program.go();
    check_eq!(program.signals()?, NO_SIGNAL);
    check_eq!(pcs(&tracer.stops()), [text::spot() + 4]);
    check_eq!((kernels.hits(), event.read().value), (Some(1), 1), "hits of the kernel's slot, of the event");
    Ok(())
}

fn slots_that_do_not_fit_are_refused_and_none_is_lost() -> Outcome {
    let at = data(word::STORED);
    for kind in [Break, Watch] {
        let (of, request, one) = match kind {
            Break => {
                let request = Request::breakpoint(at, Privilege::El0);
                (slots::Kind::Breakpoint, request, instruction(text::spot()))
            }
            Watch => {
                let request = Request::watchpoint(at, 4, Access::Read, Privilege::El0);
                (slots::Kind::Watchpoint, request, watch(at, 4, WRITE))
            }
        };
        let total = usize::from(hardware::count(of)).min(hwdebug::MOST);
        let program = Program::start(Act::Spot, 30)?;
        let task = &program.task;
        // More slots than there are, even disabled ones.
        if total < hwdebug::MOST {
            let refused = task.set_hw_debug(kind, &regset(&[(0, 0)].repeat(total + 1)));
            check_eq!(refused, Err(Errno::ENOSPC));
        }
        // The kernel has one: disabled slots fit nevertheless, and all but one.
        let kernels = Installed::new(&request, Cpus::ALL, Disposition::Count).map_err(failed)?;
        set(&program, kind, &[(0, 0)].repeat(total))?;
        let mut all = [one].repeat(total - 1);
        all.push((0, 0));
        set(&program, kind, &all)?;
        check_eq!(task.set_hw_debug(kind, &regset(&[one].repeat(total))), Err(Errno::ENOSPC));
        let read = task.hw_debug(kind);
        check_eq!(usize::from(read[0]), total, "slots in dbg_info");
        check!(read[1] >= 6, "the debug architecture's version is {}", read[1]);
        let enabled = read[8..].chunks(16).filter(|slot| slot[8] & 1 != 0).count();
        check_eq!(enabled, total - 1, "slots that are enabled");
        // A disabled slot keeps its number: the kernel gets none.
        set(&program, kind, &[(0, 0)].repeat(total))?;
        check!(Installed::new(&request, Cpus::ALL, Disposition::Count).is_err(), "a number was given away");
        set(&program, kind, &all)?;
        drop(kernels);
        set(&program, kind, &[one].repeat(total))?;
        let tracer = Tracer::new(Tracing::Steps);
        program.go();
        check_eq!(program.signals()?, NO_SIGNAL);
        check_eq!(tracer.stops().len(), 1, "stops of the instruction that hits all slots");
        // All numbers are free again.
        let all = (0..hardware::count(of)).map(|_| Installed::new(&request, Cpus::ALL, Disposition::Count));
        all.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    }
    Ok(())
}

fn t3_slots_are_dropped_by_execve() -> Outcome {
    let program = Program::start(Act::At(text::exec()), 30)?;
    set(&program, Break, &[instruction(text::exec()), instruction(text::BASE)])?;
    set(&program, Watch, &[watch(data(word::READY), 4, WRITE)])?;
    // Set again by the new program.
    program.write(word::READY, 0);
    let tracer = Tracer::new(Tracing::Steps);
    program.go();
    while program.read(word::READY) == 0 || !program.sleeps() {
        give_way();
        check!(!program.has_ended(), "ended");
    }
    for kind in [Break, Watch] {
        check!(program.task.hw_debug(kind)[8..].iter().all(|&byte| byte == 0), "{kind:?} after execve");
    }
    program.write(word::ACT, (text::spot() - text::BASE) as u32);
    program.go();
    check_eq!(program.signals()?, NO_SIGNAL);
    check_eq!(pcs(&tracer.stops()), [text::exec()], "hits before execve, and none after it");
    Ok(())
}

/// A child process stores to the first word, and a thread to the second one.
fn t3_slots_are_not_inherited() -> Outcome {
    let watches = [watch(data(word::STORED), 4, WRITE), watch(data(224), 8, WRITE)];
    let program = Program::start(Act::At(text::family()), 30)?;
    set(&program, Watch, &watches)?;
    let tracer = Tracer::new(Tracing::Steps);
    program.go();
    check_eq!(program.signals()?, NO_SIGNAL);
    let stops: Vec<_> = tracer.stops().iter().map(|stop| (stop.tid, stop.address)).collect();
    check_eq!(stops, [(program.task.process.pid, data(word::STORED))], "the parent's store");
    Ok(())
}

fn t3_slots_go_with_their_tasks_to_all_cpus() -> Outcome {
    const PROGRAMS: u32 = 8;
    let programs =
        (0..PROGRAMS).map(|_| Program::start(Act::At(text::own()), 30)).collect::<Result<Vec<_>, _>>()?;
    let online = CpuSet::ALL;
    let tids: Vec<_> = programs.iter().map(|program| program.task.tid()).collect();
    for (nth, program) in programs.iter().enumerate() {
        program.write(word::MEMBERS, 1000 * nth as u32);
        sched::set_policy(program.task.thread(), sched::Policy::Fair(0)).map_err(failed)?;
        // Two with slots have a CPU each, so that there are hits on two, whatever the host does with the CPUs' threads; the others run anywhere.
        let own = smp::online().nth(nth / 2 % smp::online().count()).map(CpuSet::of);
        let cpus = own.filter(|_| nth == 0 || nth == 2).unwrap_or(online);
        sched::set_affinity(program.task.thread(), cpus).map_err(failed)?;
        if nth % 2 == 0 {
            set(program, Watch, &[watch(data(word::STORED), 4, WRITE)])?;
        }
    }
    let tracer = Tracer::new(Tracing::Steps);
    programs.iter().for_each(Program::go);
    for (nth, program) in programs.iter().enumerate() {
        check_eq!(program.signals()?, NO_SIGNAL, "program {nth}");
    }
    let stops = tracer.stops();
    for (nth, tid) in tids.iter().enumerate() {
        let hits = stops.iter().filter(|stop| stop.tid == *tid).count();
        check_eq!(hits, if nth % 2 == 0 { 50 } else { 0 }, "hits of program {nth}");
    }
    let cpus = (0..percpu::MAX_CPUS).filter(|&cpu| stops.iter().any(|stop| stop.cpu == cpu)).count();
    check!(smp::online().count() == 1 || cpus > 1, "all hits were on one CPU");
    Ok(())
}
