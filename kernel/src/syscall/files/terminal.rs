//! ioctl, which is mostly about terminals.

use super::arguments::usable;
use super::owner::set_async;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::terminal::{self, Terminal, denied};
use crate::fs::{self, Descriptor, OpenFile};
use crate::task::{self, Task, user};
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::{general as raw, ioctl as number};
use signals::Signal;
use tty::{Access, FlowRequest, Queues, Termios, WindowSize};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// ioctl
pub fn ioctl(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [descriptor, request, argument, ..] = frame.x;
    let file = usable(task, descriptor)?;
    match (request as u32, &file.what) {
        (number::FIONBIO, _) => {
            let on = user::get::<u32>(argument)? != 0;
            let _ = file.status.fetch_update(Relaxed, Relaxed, |old| {
                Some(if on { old | raw::O_NONBLOCK } else { old & !raw::O_NONBLOCK })
            });
            Ok(0)
        }
        (request @ (number::FIOCLEX | number::FIONCLEX), _) => {
            let close = request == number::FIOCLEX;
            task.process.files.lock().set_close_on_exec(descriptor & 0xffff_ffff, close)?;
            Ok(0)
        }
        (number::FIOASYNC, _) => {
            let on = user::get::<u32>(argument)? != 0;
            if on != file.has(raw::FASYNC) && file.listeners().next().is_none() {
                return Err(Errno::ENOTTY);
            }
            set_async(task, &file, descriptor as u32, on);
            Ok(0)
        }
        (request, Descriptor::Terminal(end, _)) => of_terminal(end.terminal(), request, argument),
        (request, Descriptor::Special(special)) => special.control(request, argument),
        (number::FIONREAD, _) => {
            user::put(argument, queued(&file)?)?;
            Ok(0)
        }
        _ => Err(Errno::ENOTTY),
    }
}

/// How many bytes can be read without a wait.
fn queued(file: &OpenFile) -> Result<u32, Errno> {
    match &file.what {
        Descriptor::Pipe(end) => Ok(end.queued() as u32),
        Descriptor::File(object) => {
            let offset = *file.offset.lock();
            let size = fs::tree().stat(object.inode())?.size;
            Ok(size.saturating_sub(offset) as u32)
        }
        _ => Err(Errno::ENOTTY),
    }
}

fn of_terminal(terminal: &Terminal, request: u32, argument: u64) -> Result<u64, Errno> {
    match request {
        number::TCGETS => {
            let termios = *terminal.lock().termios();
            user::write(argument, termios.as_bytes())?;
        }
        number::TCSETS | number::TCSETSW | number::TCSETSF => {
            let mut termios = Termios::new_zeroed();
            user::read(argument, termios.as_mut_bytes())?;
            if request != number::TCSETS {
                drop(terminal.check(Access::Change)?);
                terminal.drain()?;
            }
            let mut tty = terminal.check(Access::Change)?;
            if request == number::TCSETSF {
                tty.flush(Queues::Input, &mut terminal.output());
            }
            let effects = tty.set_termios(termios);
            drop(tty);
            terminal.act(effects);
        }
        number::TIOCGWINSZ => {
            let window = terminal.lock().window;
            user::write(argument, window.as_bytes())?;
        }
        number::TIOCSWINSZ => set_window(terminal, argument)?,
        number::TIOCGPGRP | number::TIOCGSID => of_job(terminal, request, argument)?,
        number::TIOCSPGRP => set_foreground(terminal, argument)?,
        number::TIOCSCTTY => terminal::acquire(terminal, argument == 1)?,
        number::TIOCNOTTY => terminal::leave(terminal)?,
        number::FIONREAD => {
            let queued = terminal.lock().queued() as u32;
            user::put(argument, queued)?;
        }
        number::TIOCOUTQ => user::put(argument, terminal.unsent() as u32)?,
        number::TCFLSH => {
            let queues = match argument as u32 {
                raw::TCIFLUSH => Queues::Input,
                raw::TCOFLUSH => Queues::Output,
                raw::TCIOFLUSH => Queues::Both,
                _ => return Err(Errno::EINVAL),
            };
            let mut tty = terminal.check(Access::Change)?;
            tty.flush(queues, &mut terminal.output());
            drop(tty);
            terminal.act(tty::Effects::default());
        }
        number::TCXONC => {
            let request = match argument as u32 {
                raw::TCOOFF => FlowRequest::StopOutput,
                raw::TCOON => FlowRequest::StartOutput,
                raw::TCIOFF => FlowRequest::StopInput,
                raw::TCION => FlowRequest::StartInput,
                _ => return Err(Errno::EINVAL),
            };
            let mut tty = terminal.check(Access::Change)?;
            let effects = tty.control_flow(request, &mut terminal.output());
            drop(tty);
            terminal.act(effects);
        }
        // A break is not sent.
        number::TCSBRK | number::TCSBRKP => {
            drop(terminal.check(Access::Change)?);
            terminal.drain()?;
        }
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

/// TIOCSWINSZ. The foreground group is told of a change by SIGWINCH.
fn set_window(terminal: &Terminal, argument: u64) -> Result<(), Errno> {
    let mut bytes = [0; size_of::<WindowSize>()];
    user::read(argument, &mut bytes)?;
    let window = WindowSize::read_from_bytes(&bytes).map_err(|_| Errno::EINVAL)?;
    let mut tty = terminal.lock();
    let before = core::mem::replace(&mut tty.window, window);
    let foreground = tty.job.foreground;
    drop(tty);
    if let Some(group) = foreground.filter(|_| before != window) {
        task::signal_group(group, Signal::SIGWINCH);
    }
    Ok(())
}

/// TIOCGPGRP and TIOCGSID.
fn of_job(terminal: &Terminal, request: u32, argument: u64) -> Result<(), Errno> {
    let job = terminal.job();
    let caller = task::terminal_caller(&job, Signal::SIGTTOU);
    let foreground = job.foreground_for(&caller).map_err(|error| denied(error, caller.group))?;
    let answer = if request == number::TIOCGPGRP { foreground } else { job.session.unwrap_or(0) };
    user::put(argument, answer)
}

/// TIOCSPGRP
fn set_foreground(terminal: &Terminal, argument: u64) -> Result<(), Errno> {
    let group = user::get::<i32>(argument)?;
    let job = terminal.job();
    let caller = task::terminal_caller(&job, Signal::SIGTTOU);
    let session = u32::try_from(group).ok().and_then(task::session_of_group);
    let set = terminal.lock().job.set_foreground(group, &caller, |_| session);
    set.map_err(|error| denied(error, caller.group))
}
