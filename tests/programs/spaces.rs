//! More address spaces than ASIDs.
//!
//! Each program has the same address, and its own number there. QEMU forgets all translations where the ASID in TTBR0_EL1 changes, so these
//! tests show that generations begin and that programs live through them; that no CPU could use a stale translation is shown by the tests of
//! `protocols::Asids`, with TLBs that forget nothing.

use super::program::{Act, NO_SIGNAL, Program, word};
use super::text;
use crate::failed;
use alloc::vec::Vec;
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq, suite};
use kernel::percpu;
use kernel::sched::{self, CpuSet, Policy};
use kernel::space;

suite!("programs-spaces":
    programs_share_a_few_asids_on_all_cpus,
    programs_share_a_few_asids_on_one_cpu,
);

/// How many ASIDs there are, with that of the empty tables, and how many programs.
const ASIDS: usize = percpu::MAX_CPUS + 4;
const PROGRAMS: u32 = 40;

/// All ASIDs can be used again at the end.
struct Few(());

impl Few {
    fn new() -> Self {
        space::limit_asids(ASIDS);
        Self(())
    }
}

impl Drop for Few {
    fn drop(&mut self) {
        space::limit_asids(0);
    }
}

fn share(cpus: CpuSet) -> Outcome {
    let _few = Few::new();
    let start = |number| {
        let program = Program::start(Act::At(text::own()), 30)?;
        program.write(word::MEMBERS, 1000 * number);
        sched::set_policy(program.task.thread(), Policy::Fair(0)).map_err(failed)?;
        sched::set_affinity(program.task.thread(), cpus).map_err(failed)?;
        Ok::<_, Ended>(program)
    };
    let programs = (0..PROGRAMS).map(start).collect::<Result<Vec<_>, _>>()?;
    let before = space::asid_generations();
    programs.iter().for_each(Program::go);
    for (number, program) in programs.iter().enumerate() {
        check_eq!(
            program.signals()?,
            NO_SIGNAL,
            "program {number}: 15 says that its memory was another one's"
        );
    }
    let generations = space::asid_generations() - before;
    check!(generations >= 3, "{generations} generations");
    Ok(())
}

fn programs_share_a_few_asids_on_all_cpus() -> Outcome {
    share(CpuSet::ALL)
}

fn programs_share_a_few_asids_on_one_cpu() -> Outcome {
    share(CpuSet::of(percpu::index()))
}
