//! The monitor's command `step`.

use super::shown;
use alloc::format;
use alloc::vec::Vec;
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::monitor::Session;

/// Executes `line`, which is a `step`, and returns the PCs that it shows.
fn walk(session: &mut Session, line: &str) -> Result<Vec<u64>, Ended> {
    let text = shown(session, line)?;
    let lines = text.lines().filter(|line| line.contains("kernel::monitor::walk::"));
    let pcs =
        lines.map(|line| line.split_whitespace().nth(1).and_then(|pc| u64::from_str_radix(pc, 16).ok()));
    pcs.collect::<Option<_>>().ok_or_else(|| Ended::Failed(format!("no PCs in {text}")))
}

pub fn steps_go_on_where_the_last_one_ended() -> Outcome {
    let mut session = Session::new();
    let together = walk(&mut session, "step 60")?;
    check_eq!(together.len(), 60);
    let mut session = Session::new();
    let mut apart = walk(&mut session, "step")?;
    apart.extend(walk(&mut session, "step 19")?);
    apart.extend(walk(&mut session, "step 40")?);
    check_eq!(apart, together);
    Ok(())
}

pub fn steps_meet_probes_and_breakpoints_once() -> Outcome {
    let mut session = Session::new();
    let plain = walk(&mut session, "step 64")?;
    drop(session);
    let mut session = Session::new();
    for line in [
        "probe p:a kernel::monitor::walk::next",
        "break kernel::monitor::walk::next",
        "break kernel::monitor::walk::next+4",
        "probe p:b kernel::monitor::walk::next+8",
    ] {
        shown(&mut session, line)?;
    }
    let walked = walk(&mut session, "step 64")?;
    check_eq!(walked, plain);
    let next =
        kernel::report::symbols::by_name("kernel::monitor::walk::next").map_err(super::super::failed)?;
    // The instruction that the last step landed on has not been executed.
    let times = |offset| walked[..63].iter().filter(|&&pc| pc == next.address + offset).count();
    for (line, count) in [
        ("probe -:a", format!("kprobes/a: removed, {} hits, 0 missed\n", times(0))),
        ("probe -:b", format!("kprobes/b: removed, {} hits, 0 missed\n", times(8))),
        ("break -1", format!("breakpoint 1: removed, {} hits\n", times(0))),
        ("break -2", format!("breakpoint 2: removed, {} hits\n", times(4))),
    ] {
        check_eq!(shown(&mut session, line)?, count);
    }
    check!(times(0) > 1);
    Ok(())
}
