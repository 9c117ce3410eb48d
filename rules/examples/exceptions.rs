//! A context is stepped over a breakpoint, and an interrupt comes in the middle of the step-over. The example makes the decisions
//! that a kernel's entry and exit code makes, with variables in place of SPSR_EL1 and of the CPU's state. `cargo test` runs it.

use stepwell_rules::pstate::{Daif, SPSR_SS};
use stepwell_rules::step::{Owners, StepError, mdscr_ss};
use stepwell_rules::table::{RowId, Ss};

fn main() -> Result<(), StepError> {
    // A context with everything open hits a breakpoint: M10, a debug context, everything masked.
    let mut spsr = 0x6000_0005;
    let mut owners = Owners::empty();
    let row = RowId::M10.row();
    println!("{row}");
    assert_eq!(row.masks.apply(Daif::of(spsr)), Some(Daif::all()));
    // The handler asks for a step of the instruction under the breakpoint (the slot is suspended).
    spsr = owners.request(Owners::STEP_OVER, spsr)?;
    assert!(mdscr_ss(owners) && spsr & SPSR_SS != 0);

    // The return (M13) sets MDSCR_EL1.SS. An interrupt is pending, and comes before the instruction: M8.
    let row = RowId::M8.row();
    println!("{row}");
    assert_eq!(row.ss, Ss::Stash);
    let stash = (owners.take(), spsr);
    assert!(!mdscr_ss(owners), "the interrupt handler is not stepped");
    assert_eq!(row.masks.apply(Daif::of(spsr)), Some(Daif::I | Daif::F), "and can be debugged");

    // On the way out the step is put back as it was: one instruction, not two, not none.
    (owners, spsr) = stash;
    assert!(mdscr_ss(owners) && spsr & SPSR_SS != 0);

    // The step exception (M10 again) ends the step-over: the slot is armed again.
    spsr = owners.complete_step_over(spsr).expect("there is one");
    println!("returns with {} and no step: {}", Daif::of(spsr), RowId::M13.row());
    assert!(!mdscr_ss(owners) && spsr == 0x6000_0005);
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("the context has D open");
}
