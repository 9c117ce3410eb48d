//! What a record must be by itself, whatever came before.

use rules::table::RowId;
use trace::{Class, Kind, Record};

/// What is wrong with a record by itself.
pub(super) fn contradiction(record: &Record) -> Option<String> {
    let class_of_esr = match record.esr >> 26 {
        0x15 => Some(Class::Svc),
        0x30 | 0x31 => Some(Class::Breakpoint),
        0x32 | 0x33 => Some(Class::Step),
        0x34 | 0x35 => Some(Class::Watchpoint),
        _ => None,
    };
    let by_row: &[Class] = match record.row {
        RowId::M2 => &[Class::Svc, Class::Fault],
        RowId::M3 => &[Class::Brk],
        RowId::M4 | RowId::M10 => &[Class::Step, Class::Breakpoint, Class::Watchpoint],
        RowId::M5 | RowId::M8 => &[Class::Irq, Class::Spurious],
        RowId::M6 => &[Class::Fault],
        RowId::M7 => &[Class::Fatal],
        RowId::M9 | RowId::M16 => &[Class::Nmi],
        RowId::M11 => &[Class::Assertion],
        RowId::M12 => &[
            Class::Probe,
            Class::OutOfLineEnd,
            Class::ReturnProbe,
            Class::Debugger,
            Class::Session,
            Class::Empty,
        ],
        RowId::M14 => &[
            Class::Probe,
            Class::OutOfLineEnd,
            Class::ReturnProbe,
            Class::Debugger,
            Class::Session,
            Class::Empty,
            Class::Assertion,
        ],
        RowId::M13 => &[Class::None],
        RowId::M1 | RowId::M12b | RowId::M15 => &[],
    };
    // At an exit ESR_EL1 in the frame, from which the class comes, may be that of an instruction that the handler has made in software.
    let is_exit = record.kind == Kind::Exit;
    if !is_exit && !by_row.contains(&record.class) {
        return Some(format!("{} is no exception of {}", record.class.name(), record.row));
    }
    let hardware = matches!(record.row, RowId::M2 | RowId::M4 | RowId::M10);
    if hardware && !is_exit && class_of_esr.unwrap_or(Class::Fault) != record.class {
        return Some(format!("ESR_EL1 {:#x} is of another exception", record.esr));
    }
    let none = record.class == Class::None;
    let fits = match record.kind {
        Kind::Entry => !none,
        Kind::Open => record.row == RowId::M4,
        Kind::Exit => record.row != RowId::M7 && (record.row == RowId::M13) == record.el0,
        Kind::Switch | Kind::Foreign => none,
    };
    if !fits {
        return Some("no such record is written".into());
    }
    let rows_of_el0 = matches!(record.row, RowId::M2 | RowId::M3 | RowId::M4 | RowId::M5);
    let rows_of_el1 =
        matches!(record.row, RowId::M6 | RowId::M8 | RowId::M10 | RowId::M11 | RowId::M12 | RowId::M14);
    if record.kind != Kind::Switch && (rows_of_el0 && !record.el0 || rows_of_el1 && record.el0) {
        return Some(format!("{} is not for exceptions from this exception level", record.row));
    }
    // The kernel is mapped in the upper half of the addresses, programs in the lower one.
    if record.kind == Kind::Entry && !record.el0 && record.pc >> 63 == 0 && record.class != Class::Fault {
        return Some(format!("{:#x} is no address of the kernel", record.pc));
    }
    None
}
