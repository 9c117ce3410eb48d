//! A boot in which gdbserver waits for gdb at the second line.

use crate::gdbstub::gdb;
use crate::qemu::{Line, Machine, Start};
use crate::ramdisk::{self, Contents, Packed};
use crate::session::Process;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The line, as programs name it.
pub const LINE: &str = "/dev/ttyS1";
/// What gdbserver says once gdb can attach.
const READY: &str = "Remote debugging using ";

/// The console of a boot, as far as it has come.
#[derive(Default)]
struct Console {
    bytes: Vec<u8>,
    ended: bool,
}

/// A boot with gdbserver in it. Ends when it is dropped.
pub struct Boot {
    qemu: Process,
    console: Arc<(Mutex<Console>, Condvar)>,
    /// How often gdbserver has waited for a client that has attached.
    attached: usize,
    /// The tool ends the boot: what QEMU says about that is not shown.
    ending: Arc<AtomicBool>,
    /// Goes after QEMU has read it.
    _ramdisk: Packed,
    directory: TempDir,
}

impl Boot {
    /// Packs the ramdisk and boots. `show` is given the console, piece by piece.
    ///
    /// # Errors
    /// When the ramdisk cannot be packed, or QEMU does not start.
    pub fn start(
        machine: &Machine,
        image: &Path,
        contents: &Contents,
        mut show: impl FnMut(&[u8]) + Send + 'static,
    ) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("stepwell-gdbserver").tempdir()?;
        let ramdisk = ramdisk::pack(contents)?;
        ramdisk::copy(contents, &directory.path().join("root"))?;
        let mut machine = machine.clone();
        machine.append += &format!(" init={}", ramdisk.init.as_deref().unwrap_or("/init"));
        machine.initrd = Some(ramdisk.path().to_owned());
        machine.line = Some(Line { socket: directory.path().join("line"), wait: false });
        let mut command = machine.command(&Start::Kernel(image));
        let (mut output, input) = std::io::pipe().context("no pipe for the console")?;
        command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
        // ^C is for gdb, which has the program stopped. It must not end QEMU.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let qemu = Process::start(&mut command)?;
        // The console ends when QEMU has no end of the pipe any more, and nobody else either.
        drop(command);
        let console: Arc<(Mutex<Console>, Condvar)> = Arc::default();
        let filled = console.clone();
        let ending = Arc::new(AtomicBool::new(false));
        let ends = ending.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            loop {
                let count = output.read(&mut piece).unwrap_or(0);
                if !ends.load(Relaxed) {
                    show(&piece[..count]);
                }
                let mut console = filled.0.lock().expect("nobody panics with the console");
                console.bytes.extend(&piece[..count]);
                console.ended = count == 0;
                filled.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        Ok(Self { qemu, console, attached: 0, ending, _ramdisk: ramdisk, directory })
    }

    /// The socket of the line.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("line")
    }

    /// The host's copy of the ramdisk's files, from which gdb reads programs and libraries.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// The console so far, without carriage returns.
    pub fn console(&self) -> String {
        let console = self.console.0.lock().expect("nobody panics with the console");
        String::from_utf8_lossy(&console.bytes).replace('\r', "")
    }

    /// Waits until the console is as `wanted`.
    ///
    /// # Errors
    /// When it does not become so within the time, or the boot ends before that.
    pub fn wait_for(&self, what: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut console = self.console.0.lock().expect("nobody panics with the console");
        loop {
            if wanted(&String::from_utf8_lossy(&console.bytes)) {
                return Ok(());
            }
            if console.ended {
                bail!("the boot has ended before {what}");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("{} s have gone by before {what}", limit.as_secs());
            }
            console = self.console.1.wait_timeout(console, left).expect("nobody panics with the console").0;
        }
    }

    /// Waits until gdbserver waits for the next client.
    ///
    /// # Errors
    /// As [`wait_for`](Self::wait_for).
    pub fn wait_for_server(&mut self, limit: Duration) -> Result<()> {
        let due = self.attached + 1;
        self.wait_for("gdbserver waits for gdb", limit, |console| console.matches(READY).count() >= due)?;
        self.attached = due;
        Ok(())
    }

    /// gdb for the program, which attaches at once.
    ///
    /// # Errors
    /// When no gdb is installed that knows AArch64.
    pub fn gdb(&self, program: &Path, options: &[&str]) -> Result<Command> {
        let mut command = gdb()?;
        command.args(options).args(["-iex", "set confirm off"]);
        // Files of the boot are the host's copies, so none of them goes over the line. The host's own are not for this machine.
        command.arg("-iex").arg(format!("set sysroot {}", self.root().display()));
        command.arg(program).arg("-ex").arg(format!("target remote {}", self.socket().display()));
        Ok(command)
    }

    /// Has a gdbserver end that stays at the line: gdb has ended the program, or it has ended by itself.
    ///
    /// # Errors
    /// When gdbserver does not answer.
    pub fn end_server(&self, limit: Duration) -> Result<()> {
        let mut stream = UnixStream::connect(self.socket()).context("cannot connect to the second line")?;
        stream.set_read_timeout(Some(limit))?;
        // `monitor exit`, in hexadecimal digits.
        stream.write_all(&packet("qRcmd,65786974"))?;
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).contains("$OK#") {
            let mut piece = [0; 256];
            let count = stream.read(&mut piece).context("gdbserver does not answer `monitor exit`")?;
            if count == 0 {
                bail!("the line ended before gdbserver has answered `monitor exit`");
            }
            said.extend(&piece[..count]);
        }
        stream.write_all(b"+")?;
        Ok(())
    }

    /// Waits for the end of the boot; None if it takes longer.
    ///
    /// # Errors
    /// When the system cannot say whether QEMU has ended.
    pub fn wait(&mut self, limit: Duration) -> Result<Option<std::process::ExitStatus>> {
        self.qemu.wait_until(Instant::now() + limit)
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        self.ending.store(true, Relaxed);
    }
}

/// A packet of gdb's remote protocol.
fn packet(content: &str) -> Vec<u8> {
    let sum = content.bytes().fold(0_u8, u8::wrapping_add);
    format!("${content}#{sum:02x}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_has_its_sum() {
        assert_eq!(packet("g"), b"$g#67");
        assert_eq!(packet(""), b"$#00");
    }
}
