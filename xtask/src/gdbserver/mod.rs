//! `run --gdbserver`: a program under Debian's gdbserver, and the host's gdb attached to it.

mod boot;

pub use boot::{Boot, LINE};

use crate::args::Common;
use crate::pack;
use crate::paths::target_dir;
use crate::process::is_executable;
use crate::qemu::{Line, Machine, Start};
use crate::ramdisk::{self, Contents};
use crate::run::{STATUS_TIMEOUT, kernel, planned_image};
use crate::say::say;
use crate::session::{self, Process, ignore_interrupts};
use crate::setup::{self, arm64, decide::Need};
use crate::symbolise::Symboliser;
use crate::user::{self, args::User};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long the boot may take until gdbserver waits for gdb.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any session: without `--timeout` a session has no limit.
const EVER: Duration = Duration::from_secs(3600 * 24 * 365);

/// What is in the ramdisk: gdbserver, the shell by which it starts programs, and the program, which `others` may follow.
///
/// # Errors
/// When the file is nothing that gdb can debug, or the tracers cannot be had.
pub fn contents(program: &Path, arguments: &[String]) -> Result<Contents> {
    check(program)?;
    setup::prepare(Need { user: true, tracers: true, ..Need::default() })?;
    let path = ramdisk::path_of(program);
    Ok(Contents {
        exec: Some(arm64::tracer("gdbserver")),
        arguments: [LINE, &path].map(str::to_owned).into_iter().chain(arguments.iter().cloned()).collect(),
        others: vec![(program.to_owned(), path), (arm64::busybox(), "/bin/sh".into())],
        ..Contents::default()
    })
}

/// Whether the file is a program; that it is for this machine is looked at when it is packed.
fn check(program: &Path) -> Result<()> {
    let shown = program.display();
    let data = std::fs::read(program).with_context(|| format!("cannot debug {shown}"))?;
    ensure!(is_executable(program), "{shown} is not executable: chmod +x {shown}");
    ensure!(!data.starts_with(b"#!"), "{shown} is a script: gdbserver debugs compiled programs");
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::root;

    #[test]
    fn what_gdb_cannot_debug_is_refused() {
        let refused = |file: &str| check(&root().join(file)).unwrap_err().to_string();
        assert!(refused("no/such/file").contains("cannot debug"));
        assert!(refused("docs").contains("cannot debug"));
        assert!(refused("README.md").contains("is not executable: chmod +x"));
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert!(check(&script).unwrap_err().to_string().contains("is a script"));
        assert!(check(&std::env::current_exe().unwrap()).is_ok());
    }
}
