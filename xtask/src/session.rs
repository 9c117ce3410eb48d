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
const PROMPT: &[u8] = b"stepwell> ";
/// ^D, which ends the monitor.
const END_OF_INPUT: u8 = 4;

/// Where the console's input comes from.
pub enum Input {
    /// Nowhere.
    None,
    /// The tool's own standard input, from the first prompt on.
    Forward,
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
    /// The time was over, and the tool ended QEMU.
    Timeout,
    /// The caller had seen enough, and the tool ended QEMU.
    Stopped,
}

/// What the caller says to a piece of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// End the run.
    Stop,
}

/// A child (QEMU, gdb) that ends with the tool, however that ends.
pub struct Process(Child);

impl Process {
    /// Starts it. The command's standard streams are the caller's to set.
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
    /// When the system refuses to tell.
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

    /// Ends it: politely, so that it puts the terminal back, then not.
    fn end(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        // SAFETY: the process is a child that has not been waited for, so that the number is still its.
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
        Input::Forward => command.stdin(Stdio::piped()),
        Input::Terminal => command.stdin(terminal()),
    };
    let mut qemu = Process::start(command)?;
    let (sender, pieces) = channel();
    let output = qemu.0.stdout.take().context("no console")?;
    let reader = thread::spawn(move || read(output, &sender));
    let mut input = qemu.0.stdin.take();
    let mut prompt = PromptFinder::default();
    let deadline = limit.map(|limit| Instant::now() + limit);
    let end = loop {
        match next(&pieces, deadline) {
            Ok(piece) => {
                if prompt.seen(&piece)
                    && let Some(input) = input.take()
                {
                    thread::spawn(move || forward(input));
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
    // What came between the last piece and the end is part of the console too.
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

/// Hands standard input to the guest, then says that it has ended.
fn forward(mut guest: ChildStdin) {
    let mut buffer = [0; 4096];
    let mut stdin = std::io::stdin().lock();
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if guest.write_all(&buffer[..count]).and_then(|()| guest.flush()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                say!("standard input: {error}");
                break;
            }
        }
    }
    let _ = guest.write_all(&[END_OF_INPUT]).and_then(|()| guest.flush());
    // Closed, the pipe would make QEMU look at it for ever.
    std::mem::forget(guest);
}

/// The terminal, opened anew: QEMU makes its input non-blocking, and that must not hit what the tool writes to.
fn terminal() -> Stdio {
    std::fs::File::open("/dev/tty").map_or_else(|_| Stdio::inherit(), Stdio::from)
}

/// Finds prompts, also when they come in pieces.
#[derive(Default)]
pub struct PromptFinder {
    tail: Vec<u8>,
}

impl PromptFinder {
    /// Takes a piece of the console; true when the prompt ends in it.
    pub fn seen(&mut self, piece: &[u8]) -> bool {
        self.tail.extend(piece);
        let seen = self.tail.windows(PROMPT.len()).any(|window| window == PROMPT);
        let keep = self.tail.len().saturating_sub(PROMPT.len() - 1);
        self.tail.drain(..keep);
        seen
    }
}

/// From here on ^C is for the children alone.
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
