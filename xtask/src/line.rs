//! The host's end of the second line.

use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Connects to the socket of a line as soon as QEMU listens there, as long as the socket's directory exists.
///
/// # Errors
/// When the directory goes, or the connection is refused for another reason than that QEMU has not come so far.
pub fn connect(socket: &Path) -> Result<UnixStream> {
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if ![ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&error.kind()) => {
                return Err(error).context("cannot connect to the second line");
            }
            Err(_) if !socket.parent().is_some_and(Path::exists) => bail!("QEMU did not start"),
            Err(_) => sleep(Duration::from_millis(2)),
        }
    }
}

/// Sends back each byte that comes, until the machine ends.
///
/// # Errors
/// As [`connect`].
pub fn echo(socket: &Path) -> Result<()> {
    let mut stream = connect(socket)?;
    let mut piece = [0; 4096];
    // An error is the machine's end, as the end of the file is: it may leave bytes that nobody has read.
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        if stream.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    Ok(())
}
