//! Small pictures for the rows of the table: one exception's course, with the masks and the step at each part of it. They are computed from the
//! row's columns, so that a change of the table changes them.

use rules::pstate::Daif;
use rules::step::{By, Owners, mdscr_ss};
use rules::table::{Masks, Row, RowId, Ss};
use std::fmt::Write;
use trace::Side;
use trace::text::Names;

/// A part of a course, from left to right.
struct Part {
    /// What runs.
    what: &'static str,
    side: Side,
    /// Whether the row says what the masks are.
    masks: bool,
    /// How many entries the stash has.
    stash: u8,
}

const OPEN: Side = Side { masks: Daif::empty(), ss: false, mdscr_ss: false, owners: Owners::empty() };

/// A context that is to execute one instruction for this owner.
fn stepped(owner: Owners) -> Side {
    Side { ss: true, mdscr_ss: true, owners: owner, ..OPEN }
}

fn part(what: &'static str, side: Side) -> Part {
    Part { what, side, masks: true, stash: 0 }
}

/// The handler of a row, as the columns say.
fn handler(row: &Row, what: &'static str, interrupted: Side) -> Part {
    let decided = row.masks.apply(interrupted.masks);
    let (masks, said) = (decided.unwrap_or(interrupted.masks), decided.is_some());
    let owners = match row.ss {
        Ss::Unsaid | Ss::Keep | Ss::Decide | Ss::Compute => interrupted.owners,
        Ss::Clear | Ss::Stash | Ss::Park | Ss::ClearThenSet => Owners::empty(),
        Ss::CompleteStepOver => interrupted.owners - Owners::STEP_OVER,
    };
    let side = Side { masks, ss: false, mdscr_ss: mdscr_ss(owners), owners };
    Part { what, side, masks: said, stash: u8::from(row.ss == Ss::Stash) }
}

/// What the handler of an exception of this row returns to, if it asks for nothing itself.
fn returned(row: &Row, interrupted: Side) -> Side {
    match row.ss {
        Ss::Clear => Side { owners: Owners::empty(), ss: false, mdscr_ss: false, ..interrupted },
        Ss::CompleteStepOver => {
            let owners = interrupted.owners - Owners::STEP_OVER;
            Side {
                owners,
                ss: interrupted.ss && !owners.is_empty(),
                mdscr_ss: mdscr_ss(owners),
                ..interrupted
            }
        }
        // The displaced instruction was the step, and ELR has moved (M13).
        Ss::Park => Side { ss: false, ..interrupted },
        _ => interrupted,
    }
}

/// The parts of the row's course.
fn parts(row: &Row) -> Vec<Part> {
    let step_over = stepped(Owners::STEP_OVER);
    let tracer = stepped(Owners::TRACER);
    let around = |before: &'static str, interrupted: Side, what: &'static str| {
        vec![
            part(before, interrupted),
            handler(row, what, interrupted),
            part(before, returned(row, interrupted)),
        ]
    };
    // A breakpoint's or a watchpoint's course: the hit, the step-over, the step exception.
    let hit = |what: &'static str| {
        let done = Side { ss: false, ..step_over };
        vec![
            part("code at EL1", OPEN),
            handler(row, what, OPEN),
            part("one instruction", step_over),
            handler(row, "step", done),
            part("code at EL1", OPEN),
        ]
    };
    match row.id {
        RowId::M1 => around("program", tracer, "any exception"),
        RowId::M2 => {
            // The SVC is the step, which is reported before the next instruction (T2).
            let done = Side { ss: false, ..tracer };
            vec![
                part("program", tracer),
                handler(row, "system call", done),
                part("program", returned(row, done)),
            ]
        }
        RowId::M3 => {
            let owners = tracer.owners - By::Brk.ends();
            let after = Side { owners, ss: !owners.is_empty(), mdscr_ss: mdscr_ss(owners), ..OPEN };
            vec![part("program", tracer), handler(row, "BRK", tracer), part("program", after)]
        }
        RowId::M4 => {
            let done = Side { ss: false, ..tracer };
            let first = handler(row, "step, masked", done);
            let opens = row.masks == Masks::MaskedThenOpen;
            let masks = if opens { Daif::empty() } else { first.side.masks };
            let second = part("report", Side { masks, ..first.side });
            vec![part("program", tracer), first, second, part("program", OPEN)]
        }
        RowId::M5 => around("program", tracer, "IRQ"),
        RowId::M6 => around("one instruction", step_over, "fault"),
        RowId::M7 => vec![part("one instruction", step_over), handler(row, "panic", step_over)],
        RowId::M8 => around("one instruction", step_over, "IRQ"),
        RowId::M9 => around("one instruction", step_over, "NMI"),
        RowId::M16 => around("one instruction", step_over, "SError"),
        RowId::M10 => hit("breakpoint"),
        RowId::M15 => hit("watchpoint"),
        RowId::M11 => around("one instruction", step_over, "WARN"),
        RowId::M12 => {
            let debugger = stepped(Owners::DEBUGGER);
            // K8: D as in the probed context, I and F masked.
            let copy = Side { masks: debugger.masks | Daif::I | Daif::F, ..OPEN };
            vec![
                part("probed code", debugger),
                handler(row, "BRK", debugger),
                part("copy", copy),
                handler(row, "BRK at its end", OPEN),
                part("probed code", returned(row, debugger)),
            ]
        }
        RowId::M12b => {
            let displaced = Side { masks: Daif::I | Daif::F, ..OPEN };
            vec![
                part("probed code", OPEN),
                handler(row, "trampoline", OPEN),
                part("displaced instruction", displaced),
                part("probed code", OPEN),
            ]
        }
        RowId::M13 => {
            let masked = Side { masks: Daif::all(), ..OPEN };
            let way_out = handler(row, "way out", Side { ss: false, ..step_over });
            vec![part("breakpoint", masked), way_out, part("one instruction", step_over)]
        }
        RowId::M14 => {
            let within = Side { masks: Daif::all(), ..OPEN };
            vec![
                part("code at EL1", OPEN),
                part("breakpoint", within),
                handler(row, "BRK in it", within),
                part("breakpoint", returned(row, within)),
                part("code at EL1", OPEN),
            ]
        }
    }
}

/// The picture of a row. What is masked has its letter, what is open a dot; `?` is what the row leaves to others.
pub fn picture(row: &Row) -> String {
    let parts = parts(row);
    let owners: Vec<String> = parts.iter().map(|part| Names(part.side.owners).to_string()).collect();
    let widths: Vec<usize> =
        parts.iter().zip(&owners).map(|(part, owners)| part.what.len().max(owners.len()) + 2).collect();
    let mut picture = String::new();
    let mut line = |name: &str, cell: &dyn Fn(usize) -> String| {
        let cells: String =
            (0..parts.len()).map(|index| format!("|{:<1$}", cell(index), widths[index])).collect();
        // Writing to a String does not fail.
        let _ = writeln!(picture, "{}", format!("{name:<13} {cells}").trim_end());
    };
    let bar =
        |letter: &str, set: bool, width: usize| if set { letter.repeat(width) } else { ".".repeat(width) };
    line("", &|index| format!(" {}", parts[index].what));
    for (letter, mask) in [("D", Daif::D), ("A", Daif::A), ("I", Daif::I), ("F", Daif::F)] {
        line(&format!("PSTATE.{letter}"), &|index| {
            let part = &parts[index];
            if part.masks {
                bar(letter, part.side.masks.contains(mask), widths[index])
            } else {
                "?".repeat(widths[index])
            }
        });
    }
    line("MDSCR_EL1.SS", &|index| bar("1", parts[index].side.mdscr_ss, widths[index]));
    line("PSTATE.SS", &|index| bar("1", parts[index].side.ss, widths[index]));
    line("owners", &|index| format!(" {}", owners[index]));
    if parts.iter().any(|part| part.stash != 0) {
        line("stash", &|index| format!(" {}", parts[index].stash));
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::table::TABLE;

    #[test]
    fn an_interrupt_of_a_step_is_drawn_as_the_table_says() {
        let picture = picture(RowId::M8.row());
        assert_eq!(
            picture,
            "              | one instruction | IRQ | one instruction\n\
             PSTATE.D      |.................|.....|.................\n\
             PSTATE.A      |.................|.....|.................\n\
             PSTATE.I      |.................|IIIII|.................\n\
             PSTATE.F      |.................|FFFFF|.................\n\
             MDSCR_EL1.SS  |11111111111111111|.....|11111111111111111\n\
             PSTATE.SS     |11111111111111111|.....|11111111111111111\n\
             owners        | step-over       | -   | step-over\n\
             stash         | 0               | 1   | 0\n"
        );
    }

    #[test]
    fn another_column_is_another_picture() {
        let mut row = *RowId::M8.row();
        row.masks = Masks::Masked;
        assert!(picture(&row).contains("PSTATE.D      |.................|DDDDD|"));
        row.ss = Ss::Keep;
        assert!(picture(&row).contains("MDSCR_EL1.SS  |11111111111111111|11111111111|11111111111111111"));
    }

    /// What the pictures draw must not break the standing invariants.
    #[test]
    fn no_picture_breaks_i1_or_i2() {
        for row in TABLE {
            for part in parts(row) {
                assert!(part.side.masks.holds_i1(), "{}: {}", row.id, part.what);
                let open = !part.side.masks.contains(Daif::D);
                let right = part.side.mdscr_ss == mdscr_ss(part.side.owners);
                assert!(!open || !part.masks || right, "{}: {}", row.id, part.what);
            }
        }
    }
}
