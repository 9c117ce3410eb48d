//! QEMU's gdbstub on a Unix socket. With a TCP port, another program could be using that port.

use crate::session::Process;
use crate::setup::facts;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The socket on which QEMU listens for gdb.
pub struct Stub(TempDir);

impl Stub {
    /// Makes a new socket's path. QEMU creates the socket.
    ///
    /// # Errors
    /// When no temporary directory can be made.
    pub fn new() -> Result<Self> {
        Ok(Self(tempfile::Builder::new().prefix("stepwell-gdb").tempdir()?))
    }

    /// The path for gdb's `target remote`.
    pub fn socket(&self) -> PathBuf {
        self.0.path().join("stub")
    }

    /// The value for QEMU's `-gdb`.
    pub fn option(&self) -> String {
        format!("unix:{},server=on,wait=off", self.socket().display())
    }

    /// Waits until QEMU listens on the socket.
    ///
    /// # Errors
    /// When QEMU ends before that.
    pub fn wait(&self, qemu: &mut Process) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.socket().exists() {
            if let Some(status) = qemu.wait_until(Instant::now() + Duration::from_millis(20))? {
                bail!("QEMU ended before gdb could attach: {status}");
            }
            if Instant::now() > deadline {
                bail!("QEMU does not listen for gdb");
            }
        }
        Ok(())
    }
}

/// A command that starts gdb.
///
/// # Errors
/// When no gdb is installed that knows AArch64.
pub fn gdb() -> Result<Command> {
    Ok(Command::new(facts::gdb().context("no gdb that knows AArch64: see `cargo xtask doctor`")?))
}
