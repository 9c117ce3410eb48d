//! What the rules demand in few states only ([`DEMANDS`]): with the flaw of a kernel that misses it, the exploration finds the shortest trace that
//! shows it.

use model::config::{DEMANDS, Flaw};
use model::explore::{Violation, explore};
use model::model::Model;
use model::scenarios::showing;
use model::table::Table;

fn violation(flaw: Flaw) -> Option<Violation> {
    showing(flaw)
        .find_map(|config| explore(&Model::new(Table::of_kernel(), config).with_flaw(flaw)).violation)
}

/// The rule and the events of each flaw, in the order of [`DEMANDS`].
const TRACES: &[(&str, &[&str])] = &[
    (
        "X2",
        &[
            "cpu0: the thread at EL1 attempts the instruction under the breakpoint",
            "cpu0: the handler of a breakpoint (M10) ends",
            "cpu0: the thread at EL1 executes the BRK of a debugger",
            "cpu0: the handler of a debugger's BRK (M12) asks for a step of the interrupted context",
            "cpu0: the handler of a debugger's BRK (M12) ends",
            "cpu0: the thread at EL1 executes an instruction",
        ],
    ),
    (
        "M8",
        &[
            "cpu0: the thread at EL1 executes the BRK of a debugger",
            "cpu0: the handler of a debugger's BRK (M12) asks for a step of the interrupted context",
            "cpu0: the handler of a debugger's BRK (M12) ends",
            "cpu0: an IRQ is taken in the thread at EL1",
            "cpu0: the handler of an IRQ (M8) asks for a switch of threads",
            "cpu0: the handler of an IRQ (M8) ends",
            "cpu0: the thread at EL1 executes the BRK of a debugger",
            "cpu0: the handler of a debugger's BRK (M12) ends",
        ],
    ),
    (
        "X2",
        &[
            "cpu0: the thread at EL1 executes the BRK of a debugger",
            "cpu0: the handler of a debugger's BRK (M12) asks for a step of the interrupted context",
            "cpu0: the handler of a debugger's BRK (M12) ends",
            "cpu0: an instruction of the thread at EL1 faults",
            "cpu0: the step exception is taken in the handler of a fault (M6)",
            "cpu0: the handler of a step exception (M10) asks for a step of the interrupted context",
            "cpu0: the handler of a step exception (M10) ends",
            "cpu0: the handler of a fault (M6) ends; the instruction is attempted again",
            "cpu0: the thread at EL1 executes an instruction",
        ],
    ),
    (
        "X2",
        &[
            "cpu0: the program at EL0 attempts an access to watched data",
            "cpu0: the program at EL0 attempts an access to watched data again",
            "cpu0: an IRQ is taken in the program at EL0",
            "cpu0: a tracer asks for a step of the program of thread 0",
            "cpu0: the handler of an IRQ (M5) ends",
            "cpu0: the program at EL0 executes an instruction",
        ],
    ),
    (
        "X2",
        &[
            "cpu0: an IRQ is taken in the program at EL0",
            "cpu0: a tracer asks for a step of the program of thread 0",
            "cpu0: the handler of an IRQ (M5) ends",
            "cpu0: the program at EL0 executes SVC",
            "cpu0: the tracer of the program of thread 0 takes its request back, or dies",
            "cpu0: a tracer asks for a step of the program of thread 0",
            "cpu0: the handler of a system call (M2) ends",
            "cpu0: the step exception is taken in the program at EL0",
        ],
    ),
];

#[test]
fn each_flaw_breaks_a_rule() {
    let found: Vec<(&str, Vec<String>)> = DEMANDS
        .iter()
        .map(|demand| {
            let violation = violation(demand.flaw).unwrap_or_else(|| panic!("{:?}", demand.flaw));
            (violation.rule, violation.trace.iter().map(ToString::to_string).collect())
        })
        .collect();
    for ((rule, trace), (wanted_rule, wanted)) in found.iter().zip(TRACES) {
        assert_eq!(
            (rule, &trace[..]),
            (wanted_rule, &wanted.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
        );
    }
    assert_eq!(found.len(), TRACES.len(), "{found:#?}");
}
