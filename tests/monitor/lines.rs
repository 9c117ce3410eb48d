//! Lines with errors, and lines that set nothing.

use super::{refusal, shown};
use alloc::string::String;
use cli::command::COMMANDS;
use harness::ktest::{Ended, Outcome, everywhere};
use harness::{check, check_eq};
use kernel::debug::slots;
use kernel::monitor::{Flow, Session};

/// Lines with an error, each with a part of the message that the monitor must answer.
const WRONG: &[(&str, &str)] = &[
    ("brake x", "did you mean 'break'?"),
    ("probe p:a", "no place"),
    ("probe q:a kernel::time::account", "at byte 0: unknown command"),
    ("probe p:a-b kernel::time::account", "bad event name"),
    ("probe p kernel::time::nosuch", "'kernel::time::nosuch': no such symbol"),
    ("probe p kernel::time::account+0x10000", "is outside kernel::time::account"),
    ("probe p kernel::time::account+2", "not a multiple of 4"),
    ("probe p kernel::time::TICKS", "not in the kernel's text"),
    ("probe p kernel::time::acount", "no such symbol: did you mean 'kernel::time::account'?"),
    ("break time::acount", "no such symbol: did you mean 'kernel::time::account'?"),
    (
        "watch kernel::time::TICSK",
        "no such symbol: did you mean 'kernel::time::TICK' or 'kernel::time::TICKS'?",
    ),
    ("probe p tests::probes::names::twin", "is the name of 2 symbols: "),
    ("break tests::probes::names::twin", "is the name of 2 symbols: "),
    ("break <kernel::time", "expected an address or SYMBOL[+OFFSET]"),
    ("probes", "--blacklist"),
    ("probe p 0x1000", "not in the kernel's text"),
    ("probe p exception_el1_irq", "no-probe text"),
    ("probe r kernel::time::account+4", "the start of a function"),
    ("probe p kernel::time::account+4%return", "the start of a function"),
    ("probe r65 kernel::time::account", "no room for 65 calls at once"),
    ("probe p kernel::time::account $arg1", "fetch arguments"),
    ("probe -:nosuch", "no probe 'nosuch'"),
    ("probe -:no/such", "no probe 'no/such'"),
    ("break nosuch", "no such symbol"),
    ("break 0x1000", "nothing is executed there"),
    ("break kernel::time::TICKS", "nothing is executed there"),
    ("break kernel::time::account+2", "not aligned"),
    ("break exception_el1_irq", "no-probe text"),
    ("probe p kernel_secondary", "no-probe text"),
    ("break -1", "no breakpoint 1: 'break' lists them"),
    ("watch nosuch", "no such symbol"),
    ("watch kernel::time::TICKS+6 24", "neither one watchpoint nor two"),
    ("watch 0x1000 3000000000", "1 byte to 2 GiB"),
    ("watch 0x1000_0000_0000_0000", "no virtual address"),
    ("watch CPU_DEBUG 8", "no-probe data"),
    ("watch -1", "no watchpoint 1: 'watch' lists them"),
    ("step 0", "1 or more"),
    ("step 10001", "at most 10000"),
    ("cpu 0 online", "cpu0 is online already"),
    ("cpu 99 online", "there is no cpu99"),
    ("cpu 18446744073709551615 online", "there is no cpu"),
    ("rules M99", "no rule 'M99'"),
    ("test there.is_no_such_test", "no test's name contains"),
];

pub fn what_is_wrong_is_told_and_nothing_is_set() -> Outcome {
    let mut session = Session::new();
    for (line, part) in WRONG {
        let said = refusal(&mut session, line)?;
        check!(said.contains(part), "'{line}' is answered by '{said}'");
        check!(!said.contains('\n'), "'{line}' is answered by '{said}'");
        check_eq!((everywhere::others(), slots::list().count()), (0, 0), "after '{line}'");
    }
    Ok(())
}

pub fn the_end_is_told_apart() -> Outcome {
    let mut out = String::new();
    let mut session = Session::new();
    for (line, flow) in [("", Flow::Continue), ("  ", Flow::Continue), ("poweroff", Flow::End)] {
        let outcome =
            session.execute(line, &mut out).map_err(|error| Ended::Failed(alloc::format!("{error}")))?;
        check_eq!(outcome, flow, "'{line}'");
    }
    check_eq!(out, "");
    Ok(())
}

pub fn help_knows_every_command() -> Outcome {
    let mut session = Session::new();
    let all = shown(&mut session, "help")?;
    for command in COMMANDS {
        let own = shown(&mut session, &alloc::format!("help {}", command.name))?;
        check!(own.lines().all(|line| all.lines().any(|other| other == line)), "{}", command.name);
        check!(own.contains(command.name), "{}", command.name);
    }
    Ok(())
}
