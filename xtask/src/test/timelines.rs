//! The page of a timeline, as part of `qemu-test`: a run is recorded, and a browser opens the page. The browser is a large package, so the quick matrix
//! does this only if the filter names it.

use super::outcome::{Case, Outcome};
use super::{Kernel, matrix};
use crate::args::QemuTest;
use crate::ktap::Verdict;
use crate::qemu::Start;
use crate::test::Extent;
use crate::timeline;
use std::time::Instant;

/// The name of this part of `qemu-test` for filters.
pub const NAME: &str = "timeline.page";

/// Whether the user wants it.
pub fn is_wanted(arguments: &QemuTest) -> bool {
    match &arguments.filter {
        Some(filter) => NAME.contains(filter.as_str()),
        None => arguments.matrix == Extent::Full,
    }
}

/// Records, and has the browser open the page.
pub fn run(kernel: &Kernel, arguments: &QemuTest) -> Outcome {
    let begin = Instant::now();
    let machine = timeline::machine_of_check(&arguments.common);
    let name = format!("timeline, {}", matrix::name(&machine));
    let (verdict, tail) = match timeline::check(kernel, &arguments.common) {
        Ok(wrong) if wrong.is_empty() => (Verdict::Passed, String::new()),
        Ok(wrong) => (Verdict::Failed(wrong[0].clone()), wrong.join("\n")),
        Err(error) => (Verdict::Unknown(format!("{error:#}")), String::new()),
    };
    Outcome {
        name,
        cases: vec![Case::new("timeline", "page", verdict)],
        tail,
        replay: format!(
            "cargo xtask timeline --check\n    or: {}",
            machine.shell_line(&Start::Kernel(&kernel.image))
        ),
        wall: begin.elapsed(),
    }
}
