//! QEMU's gdbstub on a socket of its own, so that no port can be taken.

use crate::session::Process;
use crate::setup::facts;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A place where QEMU listens for gdb.
pub struct Stub(TempDir);

impl Stub {
    /// A fresh one.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub fn new() -> Result<Self> {
        Ok(Self(tempfile::Builder::new().prefix("stepwell-gdb").tempdir()?))
    }

    /// What gdb's `target remote` takes.
    pub fn socket(&self) -> PathBuf {
        self.0.path().join("stub")
    }

    /// What QEMU's `-gdb` takes.
    pub fn option(&self) -> String {
        format!("unix:{},server=on,wait=off", self.socket().display())
    }

    /// Waits until QEMU listens.
    ///
    /// # Errors
    /// When it ends instead.
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

/// The debugger.
///
/// # Errors
/// When there is none.
pub fn gdb() -> Result<Command> {
    Ok(Command::new(facts::gdb().context("no gdb that knows AArch64: see `cargo xtask doctor`")?))
}
