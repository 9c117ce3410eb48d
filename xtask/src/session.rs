//! One run of QEMU: its console, its input, its end.

use crate::say::say;
use anyhow::{Context, Result};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The monitor's prompt.
pub const PROMPT: &str = "stepwell> ";
/// ^D, which ends the monitor.
const END_OF_INPUT: u8 = 4;

/// Where the console's input comes from.
pub enum Input {
    /// There is no input.
    None,
    /// The tool's own standard input, from the first prompt on.
    Forward,
    /// The tool's own standard input, from the start on. The UART keeps what comes before somebody reads.
    ForwardAtOnce,
    /// This text, from the first prompt on, and then ^D.
    Text(String),
    /// QEMU has the terminal itself.
    Terminal,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// QEMU ended with this status.
    Status(i32),
    /// A signal ended QEMU that the tool did not send.
    Signal(i32),
    /// The time limit was reached, and the tool ended QEMU.
    Timeout,
    /// The caller had seen enough, and the tool ended QEMU.
    Stopped,
}

/// What the caller answers to a piece of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The run goes on.
    Continue,
    /// The tool ends QEMU.
    Stop,
}

/// A child process (QEMU, gdb) that ends when this tool ends, even if the tool is killed.
pub struct Process(Child);

impl Process {
    /// Starts the process. The caller sets the command's standard streams.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        // SAFETY: both calls are async-signal-safe, and the closure touches nothing else of the parent's.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                Ok(())
            });
        }
        let name = command.get_program().to_string_lossy().into_owned();
        Ok(Self(command.spawn().with_context(|| format!("cannot start {name}"))?))
    }

    /// Waits for its end until `deadline`; `None` when it is still running.
    ///
    /// # Errors
    /// When the system cannot say whether the process has ended.
    pub fn wait_until(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Has the process get SIGINT, as by ^C.
    pub fn interrupt(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // SAFETY: the process is a child that has not been waited for, so no other process can have its number.
            unsafe { libc::kill(self.0.id() as i32, libc::SIGINT) };
        }
    }

    /// Ends the process: first with SIGTERM, so that QEMU can restore the terminal, and 2 s later with SIGKILL.
    fn end(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        // SAFETY: the process is a child that has not been waited for, so no other process can have its number.
        unsafe { libc::kill(self.0.id() as i32, libc::SIGTERM) };
        if !matches!(self.wait_until(Instant::now() + Duration::from_secs(2)), Ok(Some(_))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs QEMU to its end and hands its console to `console`, piece by piece.
///
/// # Errors
/// When QEMU cannot be started.
pub fn run(
    command: &mut Command,
    input: Input,
    limit: Option<Duration>,
    mut console: impl FnMut(&[u8]) -> Flow,
) -> Result<End> {
    command.stdout(Stdio::piped());
    match input {
        Input::None => command.stdin(Stdio::null()),
        Input::Forward | Input::ForwardAtOnce | Input::Text(_) => command.stdin(Stdio::piped()),
        Input::Terminal => command.stdin(terminal()),
    };
    let at_once = matches!(input, Input::ForwardAtOnce);
    let text = match input {
        Input::Text(text) => Some(text),
        _ => None,
    };
    let mut qemu = Process::start(command)?;
    let (sender, pieces) = channel();
    let output = qemu.0.stdout.take().context("no console")?;
    let reader = thread::spawn(move || read(output, &sender));
    let mut input = qemu.0.stdin.take();
    if at_once && let Some(input) = input.take() {
        thread::spawn(move || forward(std::io::stdin().lock(), input));
    }
    let mut prompt = PromptFinder::default();
    let deadline = limit.map(|limit| Instant::now() + limit);
    let end = loop {
        match next(&pieces, deadline) {
            Ok(piece) => {
                if prompt.seen(&piece)
                    && let Some(input) = input.take()
                {
                    match text.clone() {
                        Some(text) => thread::spawn(move || forward(text.as_bytes(), input)),
                        None => thread::spawn(move || forward(std::io::stdin().lock(), input)),
                    };
                }
                if console(&piece) == Flow::Stop {
                    break Some(End::Stopped);
                }
            }
            Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) => break Some(End::Timeout),
        }
    };
    let late = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
    let status = if end.is_none() { qemu.wait_until(late)? } else { None };
    qemu.end();
    // What QEMU has written before it was ended belongs to the console too.
    while end.is_some()
        && let Ok(piece) = pieces.recv()
    {
        console(&piece);
    }
    let _ = reader.join();
    Ok(match (end, status) {
        (Some(end), _) => end,
        (None, Some(status)) => {
            status.code().map_or_else(|| End::Signal(status.signal().unwrap_or(0)), End::Status)
        }
        (None, None) => End::Timeout,
    })
}

fn next(pieces: &Receiver<Vec<u8>>, deadline: Option<Instant>) -> Result<Vec<u8>, RecvTimeoutError> {
    match deadline {
        Some(deadline) => pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        None => pieces.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

fn read(mut output: impl Read, sender: &Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        match output.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Hands the source to the guest as its input, and then ^D.
fn forward(mut source: impl Read, mut guest: ChildStdin) {
    let mut buffer = [0; 4096];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if guest.write_all(&buffer[..count]).and_then(|()| guest.flush()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                say!("cannot read the standard input: {error}");
                break;
            }
        }
    }
    let _ = guest.write_all(&[END_OF_INPUT]).and_then(|()| guest.flush());
    // QEMU would poll a closed pipe for ever, so the pipe stays open.
    std::mem::forget(guest);
}

/// The terminal, opened a second time. QEMU makes its input non-blocking, and the tool's own output must not become so.
fn terminal() -> Stdio {
    std::fs::File::open("/dev/tty").map_or_else(|_| Stdio::inherit(), Stdio::from)
}

/// Finds the monitor's prompt in the console, even if the prompt arrives in pieces.
#[derive(Default)]
pub struct PromptFinder {
    tail: Vec<u8>,
}

impl PromptFinder {
    /// Takes a piece of the console. True if a prompt ends in this piece.
    pub fn seen(&mut self, piece: &[u8]) -> bool {
        self.tail.extend(piece);
        let seen = self.tail.windows(PROMPT.len()).any(|window| window == PROMPT.as_bytes());
        let keep = self.tail.len().saturating_sub(PROMPT.len() - 1);
        self.tail.drain(..keep);
        seen
    }
}

/// From here on ^C does not end this tool, only its children.
pub fn ignore_interrupts() {
    // SAFETY: SIG_IGN is a valid disposition, and no handler is replaced.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
}

/// Writes to the tool's standard output, which a terminal shared with others may refuse for a moment.
pub fn show(bytes: &[u8]) {
    let mut left = bytes;
    let mut out = std::io::stdout().lock();
    while !left.is_empty() {
        match out.write(left) {
            Ok(count) => left = &left[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn collect(script: &str, limit: Option<Duration>) -> (End, String) {
        let mut console = Vec::new();
        let end = run(&mut shell(script), Input::None, limit, |piece| {
            console.extend(piece);
            Flow::Continue
        });
        (end.unwrap(), String::from_utf8(console).unwrap())
    }

    #[test]
    fn the_end_is_told_as_it_was() {
        assert_eq!(collect("echo x; exit 101", None), (End::Status(101), "x\n".into()));
        assert_eq!(collect("kill -9 $$", None).0, End::Signal(9));
        let (end, console) = collect("echo before; exec sleep 60", Some(Duration::from_millis(300)));
        assert_eq!((end, console.as_str()), (End::Timeout, "before\n"));
    }

    #[test]
    fn a_caller_that_has_seen_enough_ends_the_run() {
        let end = run(&mut shell("echo x; exec sleep 60"), Input::None, None, |_| Flow::Stop);
        assert_eq!(end.unwrap(), End::Stopped);
    }

    #[test]
    fn a_prompt_is_found_in_pieces_and_once() {
        let mut finder = PromptFinder::default();
        assert!(!finder.seen(b"stepw"));
        assert!(finder.seen(b"ell> "));
        assert!(!finder.seen(b"more"));
    }
}
