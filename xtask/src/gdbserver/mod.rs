//! `run --gdbserver`: a program under Debian's gdbserver, and the host's gdb attached to it.

mod boot;

pub use boot::{Boot, LINE};

use crate::args::Common;
use crate::pack;
use crate::paths::target_dir;
use crate::qemu::{Line, Machine, Start};
use crate::ramdisk::{self, Contents};
use crate::run::{STATUS_TIMEOUT, kernel, planned_image};
use crate::say::say;
use crate::session::{self, Process, ignore_interrupts};
use crate::setup::{self, arm64, decide::Need};
use crate::symbolise::Symboliser;
use crate::user::{self, args::User};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the boot may take until gdbserver waits for gdb.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any session: without `--timeout` a session has no limit.
const EVER: Duration = Duration::from_secs(3600 * 24 * 365);

/// What is in the ramdisk: gdbserver, the shell by which it starts programs, and the program, which `others` may follow.
///
/// # Errors
/// When the tracers cannot be had.
pub fn contents(program: &Path, arguments: &[String]) -> Result<Contents> {
    setup::prepare(Need { user: true, tracers: true, ..Need::default() })?;
    let path = ramdisk::path_of(program);
    Ok(Contents {
        exec: Some(arm64::tracer("gdbserver")),
        arguments: [LINE, &path].map(str::to_owned).into_iter().chain(arguments.iter().cloned()).collect(),
        others: vec![(program.to_owned(), path), (arm64::busybox(), "/bin/sh".into())],
        ..Contents::default()
    })
}

/// The machine: that of `run`, with the second line.
fn machine(common: &Common) -> Machine {
    common.machine(Machine { append: user::boot::USER_MODE.into(), ..Machine::default() })
}

/// Boots, attaches gdb to gdbserver, and ends QEMU when gdb ends. Returns gdb's status.
///
/// # Errors
/// When the host lacks something, the program cannot be packed, the kernel does not build, or QEMU, gdbserver or gdb does not start.
pub fn run(common: &Common, flags: &User, program: &Path) -> Result<u8> {
    let own = contents(program, &flags.arguments)?;
    let given = user::boot::contents(flags);
    let contents = Contents {
        others: own.others.into_iter().chain(given.others).collect(),
        exec: own.exec,
        arguments: own.arguments,
        ..given
    };
    // A mistake in the program's name shows before the kernel is built.
    let packed = ramdisk::pack(&contents)?;
    let machine = machine(common);
    if common.dry_run {
        let mut machine = user::boot::machine(common, flags, &packed)?;
        machine.line = Some(Line { socket: target_dir().join("line"), wait: false });
        println!("{}", machine.shell_line(&Start::Kernel(&planned_image(common))));
        return packed.keep().map(|()| 0);
    }
    drop(packed);
    let elf = kernel(common, Need { qemu: true, gdb: true, ..Need::default() })?;
    let image = pack::pack(&elf)?;
    ignore_interrupts();
    let mut lines = Symboliser::new(&elf);
    let mut boot = Boot::start(&machine, &image, &contents, move |piece| session::show(&lines.feed(piece)))?;
    boot.wait_for_server(PATIENCE)
        .with_context(|| format!("gdbserver did not start {}", program.display()))?;
    say!(
        "the console follows; the program is stopped before its first instruction, and the boot ends with gdb"
    );
    let mut debugger = Process::start(&mut boot.gdb(program, &["-q"])?)?;
    let limit = common.limit(None).unwrap_or(EVER);
    Ok(match debugger.wait_until(Instant::now() + limit)? {
        Some(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
        None => {
            say!("gdb did not end within {} s", limit.as_secs());
            STATUS_TIMEOUT
        }
    })
}
