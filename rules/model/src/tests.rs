//! The machine of the model, event by event, and the explorer against a plainer one.

use crate::config::{Base, Class, Config};
use crate::event::{Event, What};
use crate::explore::explore;
use crate::model::Model;
use crate::scenarios::small;
use crate::show::Line;
use crate::state::{Code, Progress, Section, Slot, State};
use crate::table::Table;
use rules::overrides::Override;
use rules::step::Owners;
use std::collections::{BTreeSet, VecDeque};

fn model(threads: &[Base], depth: usize) -> Model {
    let config =
        Config { name: "test", cpus: 1, threads: threads.to_vec(), depth, without: vec![Class::SlotChanges] };
    Model::new(Table::of_kernel(), config)
}

fn successors(model: &Model, state: &State) -> Vec<(Event, State)> {
    let mut all = Vec::new();
    model.successors(state, |event, after| all.push((event, after)));
    all
}

/// The events that a state allows.
fn offered(model: &Model, state: &State) -> Vec<What> {
    successors(model, state).iter().map(|(event, _)| event.what).collect()
}

/// The state after these events.
fn after(model: &Model, events: &[What]) -> State {
    events.iter().fold(model.initial(), |state, what| {
        let all = successors(model, &state);
        let found = all.iter().find(|(event, _)| event.what == *what);
        found.unwrap_or_else(|| panic!("{what:?} is not offered: {}", Line(&state))).1
    })
}

const HIT: What = What::Attempt(Slot::Breakpoint);

#[test]
fn a_step_over_is_one_instruction_with_the_slot_suspended() {
    let model = model(&[Base::Thread], 4);
    let stepping = after(&model, &[HIT, What::Return]);
    let (cpu, thread) = (&stepping.cpus[0], &stepping.threads[0]);
    assert!(cpu.ss && cpu.suspended.contains(Slot::Breakpoint) && cpu.owners == Owners::STEP_OVER);
    assert!(thread.stack[0].ss && thread.stack[0].steps[0] == Progress::Asked);
    // Active-not-pending: the instruction is executed, and hits nothing.
    let due = after(&model, &[HIT, What::Return, HIT]);
    assert!(!due.threads[0].stack[0].ss && due.threads[0].stack[0].steps[0] == Progress::Due);
    let done = after(&model, &[HIT, What::Return, HIT, What::Step, What::Return]);
    assert!(!done.cpus[0].ss && done.cpus[0].suspended.is_empty() && done.cpus[0].owners.is_empty());
}

#[test]
fn a_pending_step_and_an_interrupt_come_in_either_order_and_no_instruction_comes_before() {
    let model = model(&[Base::Thread], 4);
    let due = after(&model, &[HIT, What::Return, HIT]);
    let offered = offered(&model, &due);
    assert_eq!(offered, [What::Irq, What::SpuriousIrq, What::Nmi, What::SError, What::Step]);
    // With D masked the step is inactive, and waits.
    let masked = after(&model, &[What::Debugger, What::Ask, What::Return, What::Section(Section::All)]);
    assert!(masked.cpus[0].ss && !self::offered(&model, &masked).contains(&What::Step));
    let open = after(
        &model,
        &[What::Debugger, What::Ask, What::Return, What::Section(Section::All), What::Section(Section::None)],
    );
    assert!(self::offered(&model, &open).contains(&What::Step));
}

#[test]
fn an_interrupt_of_a_step_over_sees_the_slot_armed_and_gives_it_back() {
    let model = model(&[Base::Thread], 4);
    let handler = after(&model, &[HIT, What::Return, What::Irq]);
    let cpu = &handler.cpus[0];
    assert!(!cpu.ss && cpu.suspended.is_empty() && cpu.stash_len == 1 && !cpu.debt);
    for way in [&[What::Irq, What::Return][..], &[What::SpuriousIrq], &[What::Nmi, What::Return]] {
        let back = after(&model, &[&[HIT, What::Return], way].concat());
        assert_eq!(back.pack(), after(&model, &[HIT, What::Return]).pack());
    }
    // The breakpoint is hit in the handler, too.
    let nested = after(&model, &[HIT, What::Return, What::Irq, HIT]);
    assert_eq!(nested.threads[0].len, 3);
}

#[test]
fn a_step_of_a_program_waits_while_the_program_is_in_the_kernel() {
    let model = model(&[Base::Program], 4);
    let inside = after(&model, &[What::Svc, What::TracerAsks(0), What::Return, What::Irq]);
    assert!(!inside.cpus[0].ss && inside.cpus[0].owners.is_empty());
    assert_eq!(inside.threads[0].held.owners, Owners::TRACER);
    let outside = after(&model, &[What::Svc, What::TracerAsks(0), What::Return, What::Irq, What::Return]);
    assert!(outside.cpus[0].ss && outside.threads[0].stack[0].ss);
    // An SVC under a step: the step is due behind it.
    let call = after(&model, &[What::Svc, What::TracerAsks(0), What::Return, What::Svc, What::Return]);
    assert_eq!(offered(&model, &call).last(), Some(&What::TracerLeaves(0)));
    assert!(offered(&model, &call).contains(&What::Step) && !offered(&model, &call).contains(&What::Execute));
}

#[test]
fn what_masks_keep_away_is_not_offered() {
    let model = model(&[Base::Thread], 4);
    let handler = after(&model, &[What::Irq]);
    assert!(!offered(&model, &handler).contains(&What::Irq));
    let deferred = after(&model, &[What::Irq, What::Defer]);
    assert!(offered(&model, &deferred).contains(&What::Irq));
    let debug = after(&model, &[HIT]);
    let offered = offered(&model, &debug);
    assert!(![What::Irq, What::Nmi, What::SError].iter().any(|what| offered.contains(what)));
    // D does not mask BRK.
    assert!(offered.contains(&What::Probe));
}

#[test]
fn a_state_is_what_its_words_say() {
    let model = model(&[Base::Thread, Base::Program], 1);
    let mut queue = VecDeque::from([model.initial()]);
    let mut seen = BTreeSet::new();
    while let Some(state) = queue.pop_front() {
        if seen.len() > 20_000 {
            break;
        }
        let words = state.pack();
        let again = State::unpack(&words);
        assert_eq!(again.pack(), words);
        // What the words do not have is not used either: everything that a trace shows is there.
        assert_eq!(Line(&again).to_string(), Line(&state).to_string());
        if seen.insert(words) {
            queue.extend(successors(&model, &again).into_iter().map(|(_, after)| after));
        }
    }
}

/// The explorer's figures, by a search that keeps its states in a set of the standard library.
#[test]
fn the_explorer_finds_what_a_plain_search_finds() {
    for config in small() {
        let model = Model::new(Table::of_kernel(), config.at_depth(1));
        let mut seen = BTreeSet::from([model.initial().pack()]);
        let mut level = vec![model.initial()];
        let (mut transitions, mut depth) = (0, 0);
        while !level.is_empty() {
            let mut next = Vec::new();
            for (_, after) in level.iter().flat_map(|state| successors(&model, state)) {
                transitions += 1;
                if seen.insert(after.pack()) {
                    next.push(after);
                }
            }
            depth += usize::from(!next.is_empty());
            level = next;
        }
        let outcome = explore(&model);
        assert!(outcome.violation.is_none());
        assert_eq!((outcome.states, outcome.transitions, outcome.depth), (seen.len(), transitions, depth));
    }
}

#[test]
fn a_violation_is_told_by_a_shortest_trace() {
    let mut model = model(&[Base::Thread], 2);
    model.kernel.table = Table::of_kernel().with(Override::parse("M8", "ss", "keep").unwrap());
    let violation = explore(&model).violation.unwrap();
    let shown = violation.to_string();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "rule I2 is broken (ss_is_this_contexts): it does not hold that with D open at EL1, MDSCR_EL1.SS=1 exactly if this context has an owner, and nothing is owed",
            "  1. cpu0: the thread at EL1 attempts the instruction under the breakpoint",
            "  2. cpu0: the handler of a breakpoint (M10) ends",
            "  3. cpu0: an IRQ is taken in the thread at EL1",
        ]
    );
    assert!(lines[4].starts_with("before the last event: cpu0 runs thread 0: the thread at EL1 [daif, SS=1, STEP_OVER has asked for a step]"));
    assert!(lines[5].contains("> the handler of an IRQ (M8) [daIF, SS=0]; MDSCR_EL1.SS=1, owners STEP_OVER, the breakpoint suspended"));
    // No shorter sequence of events breaks the rule.
    let mut level = vec![model.initial()];
    for _ in 0..2 {
        level = level.iter().flat_map(|state| successors(&model, state)).map(|(_, after)| after).collect();
        let holds = |state: &State| {
            model.properties.iter().all(|property| (property.holds)(&model.kernel.table, state))
        };
        assert!(level.iter().all(holds));
    }
}

#[test]
fn an_event_says_where_it_happens() {
    let model = model(&[Base::Thread], 4);
    let state = after(&model, &[What::Attempt(Slot::Watchpoint)]);
    let all = successors(&model, &state);
    let fault = all.iter().find(|(event, _)| event.what == What::Fault).unwrap().0;
    assert_eq!(fault.to_string(), "cpu0: an instruction of the handler of a watchpoint (M10) faults");
    assert_eq!(state.threads[0].stack[1].code, Code::Watchpoint);
}

/// The functions of this crate name those of the kernel that they mirror. A function that is not there any more is mirrored no more.
#[test]
fn the_kernel_has_the_functions_that_are_mirrored() {
    fn read(folder: &std::path::Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                *text += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut kernel, mut mirrors) = (String::new(), String::new());
    read(&root.join("../../kernel/src"), &mut kernel);
    read(&root.join("src/kernel"), &mut mirrors);
    let comments = mirrors.lines().filter_map(|line| line.trim_start().strip_prefix("/// "));
    let mut names: Vec<&str> = comments
        .flat_map(|comment| comment.split('`').skip(1).step_by(2))
        .filter(|name| {
            name.contains("::")
                && !name.starts_with("exception::")
                && !name.contains(|c: char| c.is_uppercase())
        })
        .collect();
    names.extend(
        crate::config::DEMANDS
            .iter()
            .flat_map(|demand| demand.place.split(", "))
            .filter(|place| !place.contains(' ')),
    );
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let function = name.rsplit("::").next().unwrap_or(name);
        assert!(kernel.contains(&format!("fn {function}")), "the kernel has no function `{name}`");
    }
}
