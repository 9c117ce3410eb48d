//! The part of gdb's remote protocol that is needed to stop the guest at an address and to give a command to QEMU's monitor.

use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How long QEMU may take for an answer that needs no waiting.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to QEMU's gdbstub.
pub struct Remote<S> {
    stream: S,
}

impl Remote<UnixStream> {
    /// Connects as soon as QEMU listens. None if `over` says first that QEMU has ended.
    ///
    /// # Errors
    /// When the connection is refused.
    pub fn connect(socket: &Path, over: impl Fn() -> bool) -> Result<Option<Self>> {
        while !over() {
            match UnixStream::connect(socket) {
                Ok(stream) => return Ok(Some(Self { stream })),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                    thread::sleep(Duration::from_millis(2));
                }
                Err(error) => return Err(error).context("QEMU's gdbstub"),
            }
        }
        Ok(None)
    }

    /// Lets the guest run until it is about to execute the instruction at `address`.
    ///
    /// # Errors
    /// When the guest ends before it reaches that instruction.
    pub fn run_to(&mut self, address: u64) -> Result<()> {
        self.stream.set_read_timeout(Some(PATIENCE))?;
        self.ask(&format!("Z1,{address:x},4"), "OK")?;
        // No time limit here: whoever has started QEMU ends it when this takes too long, and that ends the connection.
        self.stream.set_read_timeout(None)?;
        self.ask("c", "T05").context("the guest did not reach the address")?;
        self.stream.set_read_timeout(Some(PATIENCE))?;
        self.ask(&format!("z1,{address:x},4"), "OK")
    }
}

impl<S: Read + Write> Remote<S> {
    /// Gives QEMU's monitor a command. The command must be one that prints nothing when it succeeds.
    ///
    /// # Errors
    /// With the text that the command has printed.
    pub fn monitor(&mut self, command: &str) -> Result<()> {
        let hex: String = command.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.ask(&format!("qRcmd,{hex}"), "OK").with_context(|| format!("QEMU's monitor: {command}"))
    }

    /// The instruction word at an address, as the guest's CPU sees it now.
    ///
    /// # Errors
    /// When nothing is mapped there that the CPU may read.
    pub fn word(&mut self, address: u64) -> Result<u32> {
        self.send(&format!("m{address:x},4"))?;
        let answer = self.packet()?;
        let word = u32::from_str_radix(&answer, 16).ok().filter(|_| answer.len() == 8);
        Ok(word.with_context(|| format!("no word at {address:#x}: {answer}"))?.swap_bytes())
    }

    /// Detaches, and lets the guest run on.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn detach(mut self) -> Result<()> {
        self.ask("D", "OK")
    }

    /// Ends QEMU, if it is still there.
    pub fn kill(mut self) {
        let _ = self.send("k");
    }

    fn send(&mut self, packet: &str) -> Result<()> {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        Ok(self.stream.write_all(format!("${packet}#{sum:02x}").as_bytes())?)
    }

    /// Sends a packet, whose answer must begin with `due`.
    fn ask(&mut self, packet: &str, due: &str) -> Result<()> {
        self.send(packet)?;
        let answer = self.packet()?;
        if !answer.starts_with(due) {
            bail!("QEMU's gdbstub answers {packet} with {:?}", told(&answer));
        }
        Ok(())
    }

    /// Reads the next packet. Acknowledgements are skipped.
    fn packet(&mut self) -> Result<String> {
        while self.byte()? != b'$' {}
        let mut packet = String::new();
        loop {
            match self.byte()? {
                b'#' => break,
                byte => packet.push(byte.into()),
            }
        }
        // The two digits of the checksum are not checked, because a socket loses nothing.
        self.byte()?;
        self.byte()?;
        self.stream.write_all(b"+")?;
        Ok(packet)
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte).context("QEMU's gdbstub is gone")?;
        Ok(byte[0])
    }
}

/// An answer for an error message. Behind `O` comes a text in hexadecimal, which is decoded.
fn told(answer: &str) -> String {
    let text = answer.strip_prefix('O').and_then(|hex| {
        let bytes =
            hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
        bytes.collect::<Option<Vec<u8>>>()
    });
    text.map_or(answer.to_owned(), |text| String::from_utf8_lossy(&text).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A stream that gives the bytes in `says`, and keeps the bytes that are written to it.
    struct Fake {
        says: Cursor<&'static [u8]>,
        heard: Vec<u8>,
    }

    impl Read for Fake {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for Fake {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.heard.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn remote(says: &'static str) -> Remote<Fake> {
        Remote { stream: Fake { says: Cursor::new(says.as_bytes()), heard: Vec::new() } }
    }

    #[test]
    fn packets_have_their_checksum_and_are_acknowledged() {
        let mut remote = remote("+$OK#9a");
        remote.monitor("log cpu").unwrap();
        assert_eq!(remote.stream.heard, b"$qRcmd,6c6f6720637075#63+");
    }

    #[test]
    fn what_the_monitor_complains_of_is_told() {
        let error = remote("+$O6e6f0a#00").monitor("x").unwrap_err();
        assert!(format!("{error:#}").contains("\"no\""), "{error:#}");
        assert!(remote("+$E01#a6").monitor("x").is_err());
        assert!(remote("+").monitor("x").is_err());
    }
}
