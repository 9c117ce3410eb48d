//! Every property can fail: each is checked alone, in a model into which a violation of it was put, and is found broken. And every rule that a
//! transition can note is noted by some such model.

use model::broken::Broken;
use model::config::{Base, Class, Config, Flaw};
use model::explore::{Outcome, explore};
use model::model::Model;
use model::properties::{LIVELOCK, PROPERTIES};
use model::scenarios::small;
use model::table::Table;
use rules::overrides::Override;

/// The kernel's table with the cells of `changes`, such as `M8.ss=keep`, separated by blanks.
fn table(changes: &str) -> Table {
    changes.split_whitespace().fold(Table::of_kernel(), |table, change| {
        let (cell, value) = change.split_once('=').unwrap();
        let (row, column) = cell.split_once('.').unwrap();
        table.with(Override::parse(row, column, value).unwrap())
    })
}

/// A scenario for what the small ones do not reach.
fn with(threads: &[Base], depth: usize, without: &[Class]) -> Config {
    Config { name: "planted", cpus: 1, threads: threads.to_vec(), depth, without: without.to_vec() }
}

/// Explores the small scenarios with only one property, until it is broken. Returns None if it holds in all.
fn broken(name: &str, changes: &str, flaw: Option<Flaw>) -> Option<Outcome> {
    use Class::{Fatal, Fault, MovedPc, Nmi, Section, SlotChanges, Warn};
    let more = [
        with(&[Base::Thread], 2, &[]),
        with(&[Base::Program], 1, &[]),
        with(&[Base::Thread, Base::Thread], 2, &[SlotChanges, Section, Fatal, Nmi, Warn, MovedPc, Fault]),
        with(&[Base::Thread], 4, &[Fatal, Fault, MovedPc, Nmi, Section, SlotChanges, Warn]),
    ];
    small().into_iter().chain(more).find_map(|config| {
        let mut model = Model::new(table(changes), config).only(name);
        model.kernel.flaw = flaw;
        let outcome = explore(&model);
        outcome.violation.is_some().then_some(outcome)
    })
}

/// For each property a model that breaks it.
const PLANTED: &[(&str, &str, Option<Flaw>)] = &[
    ("d_masked_means_i_masked", "M8.masks=masked", None),
    ("ss_is_this_contexts", "M5.ss=keep", None),
    ("ss_is_this_contexts", "M10.masks=open", None),
    ("ss_is_this_contexts", "", Some(Flaw::NeverPays)),
    ("return_path_is_masked", "M13.masks=open", None),
    ("spsr_is_kept", "", Some(Flaw::ChangesFlags)),
    ("switch_is_clean", "M6.ss=stash", None),
    ("program_has_its_own_steps", "M1.ss=keep", None),
    ("owners_have_one_holder", "M8.ss=clear", None),
    ("owners_have_one_holder", "", Some(Flaw::OldestFirst)),
    ("owners_have_one_holder", "", Some(Flaw::HandlersStepGoesOn)),
    ("owners_have_one_holder", "", Some(Flaw::KeptStaysOnCpu)),
    ("copies_are_not_stepped", "", Some(Flaw::CopyIsStepped)),
    ("copies_are_not_stepped", "", Some(Flaw::CopyRunsOpen)),
    ("suspended_slots_have_a_holder", "", Some(Flaw::StashKeepsSuspended)),
    ("way_out_is_masked", "", Some(Flaw::WayOutIsOpen)),
    ("handlers_run_to_their_end", "M8.masks=open", None),
    ("first_phase_is_masked", "M4.masks=open", None),
    ("end_is_masked", "M7.ss=keep", None),
    ("stash_is_in_order", "M6.ss=stash", None),
    ("reschedule_is_made_up", "", Some(Flaw::NoSgi)),
    ("an_attempt_is_one_hit", "", Some(Flaw::StashKeepsSuspended)),
    ("an_attempt_is_one_hit", "M8.ss=complete", None),
    ("a_step_is_one_instruction", "", Some(Flaw::SetsSsAgain)),
    ("a_step_is_one_instruction", "M13.ss=keep", None),
    ("masked_code_is_not_stepped", "", Some(Flaw::StepsMaskedCode)),
    ("a_step_has_an_owner", "M10.ss=clear", None),
    ("a_step_is_one_instruction", "M8.ss=keep", None),
    ("tracers_wish_is_known", "", Some(Flaw::TracersDeathIsForgotten)),
    ("handler_may_what_its_row_says", "M2.masks=open-da", None),
    (LIVELOCK, "M13.ss=keep", Some(Flaw::SpuriousStepStays)),
];

#[test]
fn every_property_is_broken_by_something() {
    for &(name, changes, flaw) in PLANTED {
        let outcome = broken(name, changes, flaw);
        let violation = outcome.and_then(|outcome| outcome.violation);
        let violation = violation.unwrap_or_else(|| panic!("{name} holds with {changes:?} and {flaw:?}"));
        assert_eq!(violation.property, name);
        assert!(!violation.trace.is_empty(), "{name}: no trace");
    }
    for property in PROPERTIES {
        assert!(PLANTED.iter().any(|(name, ..)| *name == property.name), "nothing breaks {}", property.name);
    }
}

/// For each note of a transition a model in which it is the first one.
const NOTES: &[(Broken, &str, Option<Flaw>)] = &[
    (Broken::ReturnsOpen, "M13.masks=open", None),
    (Broken::Flags, "", Some(Flaw::ChangesFlags)),
    (Broken::SwitchInDebugContext, "M12.masks=open", None),
    (Broken::SwitchInProbe, "", Some(Flaw::CopyRunsOpen)),
    (Broken::SwitchWithDMasked, "M2.masks=masked", None),
    (Broken::SwitchWithStash, "M6.ss=stash", None),
    (Broken::SwitchWithSuspendedSlot, "M8.ss=park", None),
    (Broken::SwitchStepping, "M13.ss=keep", Some(Flaw::SetsSsAgain)),
    (Broken::SwitchInHandler, "M5.masks=open", None),
    (Broken::FirstPhaseOpen, "M4.masks=open-da", None),
    (Broken::HitLost, "", Some(Flaw::StashKeepsSuspended)),
    (Broken::HitTwice, "M8.ss=complete", None),
    (Broken::StepTwice, "", Some(Flaw::SetsSsAgain)),
    (Broken::StepEarly, "", Some(Flaw::NewTracerInheritsStep)),
    (Broken::StepElsewhere, "M8.ss=keep", None),
    (Broken::StepOfMasked, "", Some(Flaw::StepsMaskedCode)),
    (Broken::StepOfNobody, "M10.ss=clear", None),
    (Broken::StashFull, "M8.masks=open", None),
];

#[test]
fn every_note_is_made_by_something() {
    for (index, &(note, changes, flaw)) in NOTES.iter().enumerate() {
        assert_eq!(Broken::ALL[index], note);
        let outcome = broken(note.property(), changes, flaw);
        let violation = outcome.and_then(|outcome| outcome.violation);
        let after =
            violation.unwrap_or_else(|| panic!("{note:?} is not made with {changes:?} and {flaw:?}")).after;
        assert_eq!(after.noted, Some(note), "{changes:?} and {flaw:?}");
    }
}
