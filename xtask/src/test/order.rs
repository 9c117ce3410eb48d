//! The boot code as it is executed, from the entry to the kernel's own page tables. QEMU logs every instruction, and
//! [`trace::check_boot`] checks the order of register writes and the barriers between them.

use super::boots::Kernel;
use super::outcome::{Case, Outcome};
use crate::bench::trace;
use crate::ktap::Verdict;
use crate::qemu::{El, Machine, Start, one_at_a_time};
use crate::session::{self, End, Flow, Input};
use crate::setup::facts;
use crate::symbols;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::time::Instant;

/// The names of both cases begin with this.
pub const PREFIX: &str = "boot_order.";

/// Where QEMU puts an arm64 image of `virt`.
const IMAGE_AT: u64 = 0x4020_0000;
/// Rust functions that belong to the boot. The compiler may have inlined them: then they are part of another function.
const FUNCTIONS: [&str; 2] = ["kernel_main", "kernel::mm::tables::drop_identity_map"];

/// The cases: the level that the kernel is entered at.
pub static CASES: [(&str, El); 2] = [("el1", El::El1), ("el2", El::El2)];

/// Boots one case.
pub fn boot(kernel: &Kernel, name: &'static str, el: El) -> Outcome {
    let begin = Instant::now();
    let machine = Machine { el, smp: 1, append: "mode=list".into(), ..Machine::default() };
    let (verdict, tail) = match record(kernel, &machine) {
        Ok(trace) => match trace::check_boot(&trace, el == El::El2) {
            wrong if wrong.is_empty() => (Verdict::Passed, String::new()),
            wrong => (Verdict::Failed(wrong[0].clone()), wrong.join("\n")),
        },
        Err(error) => (Verdict::Unknown(format!("{error:#}")), String::new()),
    };
    Outcome {
        name: format!("{PREFIX}{name}"),
        cases: vec![Case::new("boot_order", name, verdict)],
        tail,
        replay: machine.shell_line(&Start::Kernel(&kernel.image)),
        wall: begin.elapsed(),
    }
}

/// The instruction words of the boot code, in the order of their execution.
fn record(kernel: &Kernel, machine: &Machine) -> Result<Vec<u32>> {
    let elf = std::fs::read(&kernel.elf)?;
    let parsed = symbols::parse(&elf)?;
    let start = symbols::value(&parsed, "__image_start")?;
    let head = symbols::value(&parsed, "__noprobe_text_start")? - start;
    let mut ranges = vec![(IMAGE_AT, head), (start, head)];
    let functions = symbols::read(&parsed)?;
    let functions = functions.iter().filter(|symbol| FUNCTIONS.contains(&symbol.name.as_str()));
    ranges.extend(functions.map(|symbol| (start + u64::from(symbol.offset), symbol.size.into())));
    let filter: Vec<_> = ranges.iter().map(|(from, length)| format!("{from:#x}+{length:#x}")).collect();

    let log = tempfile::NamedTempFile::new()?;
    let mut command = machine.command(&Start::Kernel(&kernel.image));
    command.args(one_at_a_time(facts::qemu_version().context("no QEMU")?));
    command.args(["-d", "cpu,nochain", "-dfilter"]).arg(filter.join(",")).arg("-D").arg(log.path());
    let end = session::run(&mut command, Input::None, kernel.limit, |_| Flow::Continue)?;
    ensure!(end == End::Status(0), "the kernel did not come to its end ({end:?})");

    let image = std::fs::read(&kernel.image)?;
    let word = |pc: u64| -> Option<u32> {
        let at = pc.checked_sub(start).or_else(|| pc.checked_sub(IMAGE_AT))?;
        let bytes = image.get(usize::try_from(at).ok()?..)?.get(..4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let mut trace = Vec::new();
    let mut last = 0;
    for line in BufReader::new(log.reopen()?).lines() {
        let line = line?;
        let Some(pc) = line.strip_prefix(" PC=").and_then(|rest| rest.get(..16)) else { continue };
        let pc = u64::from_str_radix(pc, 16)
            .with_context(|| format!("QEMU's log has a line that cannot be read: {line:?}"))?;
        // The same instruction twice in the log: QEMU had begun it, and begins it again.
        if pc != last {
            trace.push(word(pc).with_context(|| format!("{pc:#x} is not in the image"))?);
        }
        last = pc;
    }
    Ok(trace)
}
