//! `gdb`: the kernel under QEMU's gdbstub, and gdb attached to it.

use crate::args::Gdb;
use crate::gdbstub::{Stub, gdb};
use crate::pack;
use crate::paths::{root, target_dir};
use crate::qemu::{Machine, Start};
use crate::run::{STATUS_TIMEOUT, kernel, planned_image};
use crate::say::say;
use crate::session::{Process, ignore_interrupts};
use crate::setup::decide::Need;
use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any session: without `--timeout` a debugging session has no limit.
const EVER: Duration = Duration::from_secs(3600 * 24 * 365);

/// Boots, attaches, and ends QEMU when gdb ends. Returns gdb's status.
///
/// # Errors
/// When the host lacks something, the kernel does not build, or QEMU or gdb does not start.
pub fn run(arguments: &Gdb) -> Result<u8> {
    let common = &arguments.common;
    let stub = Stub::new()?;
    let default = Machine { append: "hz=1000".into(), gdb: Some(stub.option()), ..Machine::default() };
    let machine = common.machine(default);
    if common.dry_run {
        println!("{}", machine.shell_line(&Start::Kernel(&planned_image(common))));
        return Ok(0);
    }
    let elf = kernel(common, Need { qemu: true, gdb: true, ..Need::default() })?;
    let image = pack::pack(&elf)?;
    let log = target_dir().join("gdb-console.log");
    let console = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = machine.command(&Start::Kernel(&image));
    command.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
    // ^C is for gdb, which stops the guest. It must not end QEMU or this tool.
    command.process_group(0);
    ignore_interrupts();
    let mut qemu = Process::start(&mut command)?;
    stub.wait(&mut qemu)?;
    say!("the kernel's console goes to {}", log.display());

    let mut debugger = gdb()?;
    debugger.current_dir(root()).arg("-q").args(["-iex", "set confirm off"]).arg(&elf);
    debugger.arg("-x").arg(root().join("scripts/stepwell.py"));
    attach(&mut debugger, &stub);
    debugger.args(&arguments.arguments);
    let mut debugger = Process::start(&mut debugger)?;
    let limit = common.limit(None).unwrap_or(EVER);
    Ok(match debugger.wait_until(Instant::now() + limit)? {
        Some(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        None => {
            say!("gdb did not end within {} s", limit.as_secs());
            STATUS_TIMEOUT
        }
    })
}

/// Connects gdb to the stub, and sets a hardware breakpoint at `kernel_main`. gdb could not write a BRK there: before the MMU is
/// on, the text is not mapped at its addresses.
fn attach(debugger: &mut Command, stub: &Stub) {
    debugger.arg("-ex").arg(format!("target remote {}", stub.socket().display()));
    debugger.args(["-ex", "hbreak kernel_main"]);
}
