//! One thread of a program is stepped among hundreds that compute, give way, sleep and make system calls on all CPUs: nobody else is stepped,
//! and that thread is stepped once for each of its instructions (I6, M1, T1).

use super::client::{Watch, Watching};
use super::program::{Act, NO_SIGNAL, Program, give_way, word};
use super::text;
use crate::failed;
use harness::ktest::{Ended, Outcome};
use harness::{check_eq, suite};
use kernel::percpu;
use kernel::sched::{self, CpuSet, Policy};

suite!("programs-crowd":
    i6_one_thread_among_hundreds_is_stepped_on_all_cpus,
    i6_one_thread_among_hundreds_is_stepped_on_one_cpu,
);

/// How many threads there are, and which of them is stepped.
const MEMBERS: u32 = 300;
const CHOSEN: u32 = 150;

/// What a member of the crowd computes, and how many instructions it executes from behind `gettid` to the end of its work. This is the
/// loop in `text.S`, instruction by instruction.
fn member(number: u64) -> (u64, u64) {
    let mut value = number;
    // MOV, MOV: the number of turns, the value.
    let mut instructions = 2;
    for turn in (1..=12).rev() {
        for _ in 0..20 {
            value ^= value << 13;
            value ^= value >> 7;
            value ^= value << 17;
        }
        // MOV, and the inner loop; the ways to the end of the turn; SUB and CBNZ.
        instructions += 1 + 20 * 5;
        instructions += match (number + turn) % 4 {
            0 => 6,
            1 => 5,
            2 => 11,
            _ => 8,
        };
        instructions += 2;
    }
    (value, instructions)
}

fn crowd(cpus: CpuSet) -> Outcome {
    let program = Program::start(Act::At(text::crowd()), 30)?;
    let task = &program.task;
    program.write(word::MEMBERS, MEMBERS);
    program.write(word::SLEEP + 8, 100_000);
    sched::set_policy(task.thread(), Policy::Fair(0)).map_err(failed)?;
    sched::set_affinity(task.thread(), cpus).map_err(failed)?;
    let watching =
        Watching::one_of(task, u64::from(CHOSEN), &Watch::until(text::member_done())).map_err(failed)?;
    program.go();
    let mut computed = [0; MEMBERS as usize + 1];
    let Some(space) = task.space() else { return Err(Ended::Failed("the program has ended".into())) };
    check_eq!(program.signals()?, NO_SIGNAL);
    // As for the program's own thread, those of the members are gone a little later.
    while sched::threads(percpu::index()) != 0 {
        give_way();
    }
    for (number, value) in computed.iter_mut().enumerate().skip(1) {
        let mut bytes = [0; 8];
        space
            .page_for_tracer(text::data(0x1000), false)
            .map_err(|_| failed("no page"))?
            .read(number * 8, &mut bytes);
        *value = u64::from_le_bytes(bytes);
    }
    for (number, value) in computed.iter().enumerate().skip(1) {
        check_eq!(*value, member(number as u64).0, "what thread {number} has computed");
    }
    check_eq!(watching.count(), member(u64::from(CHOSEN)).1, "steps of the chosen thread");
    check_eq!(watching.exceptions(), watching.count(), "step exceptions, and steps of the chosen thread");
    check_eq!(watching.strangers(), 0, "steps of other threads");
    Ok(())
}

fn i6_one_thread_among_hundreds_is_stepped_on_all_cpus() -> Outcome {
    crowd(CpuSet::ALL)
}

fn i6_one_thread_among_hundreds_is_stepped_on_one_cpu() -> Outcome {
    crowd(CpuSet::of(percpu::index()))
}
