//! ioctl, which is mostly about terminals.

use super::arguments::usable;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::terminal::{self, Output, act, check, denied, terminal};
use crate::fs::{self, Descriptor, Device, OpenFile};
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
        (request, Descriptor::Device(Device::Terminal, _)) => of_terminal(request, argument),
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

fn of_terminal(request: u32, argument: u64) -> Result<u64, Errno> {
    match request {
        number::TCGETS => {
            let termios = *terminal().termios();
            user::write(argument, termios.as_bytes())?;
        }
        number::TCSETS | number::TCSETSW | number::TCSETSF => {
            let mut termios = Termios::new_zeroed();
            user::read(argument, termios.as_mut_bytes())?;
            // Output is sent at once, so there is none to wait for.
            let mut tty = check(terminal(), Access::Change)?;
            if request == number::TCSETSF {
                tty.flush(Queues::Input, &mut Output::new());
            }
            let effects = tty.set_termios(termios);
            drop(tty);
            act(effects);
        }
        number::TIOCGWINSZ => {
            let window = terminal().window;
            user::write(argument, window.as_bytes())?;
        }
        number::TIOCSWINSZ => set_window(argument)?,
        number::TIOCGPGRP | number::TIOCGSID => of_job(request, argument)?,
        number::TIOCSPGRP => set_foreground(argument)?,
        number::TIOCSCTTY => {
            let mut tty = terminal();
            let caller = task::terminal_caller(&tty.job, Signal::SIGTTOU);
            let acquired = tty.job.acquire(&caller, argument == 1);
            drop(tty);
            acquired.map_err(|error| denied(error, caller.group))?;
        }
        number::TIOCNOTTY => terminal::leave()?,
        number::FIONREAD => {
            let queued = terminal().queued() as u32;
            user::put(argument, queued)?;
        }
        number::TIOCOUTQ => user::put(argument, 0_u32)?,
        number::TCFLSH => {
            let queues = match argument as u32 {
                raw::TCIFLUSH => Queues::Input,
                raw::TCOFLUSH => Queues::Output,
                raw::TCIOFLUSH => Queues::Both,
                _ => return Err(Errno::EINVAL),
            };
            let mut tty = check(terminal(), Access::Change)?;
            tty.flush(queues, &mut Output::new());
            drop(tty);
            act(tty::Effects::default());
        }
        number::TCXONC => {
            let request = match argument as u32 {
                raw::TCOOFF => FlowRequest::StopOutput,
                raw::TCOON => FlowRequest::StartOutput,
                raw::TCIOFF => FlowRequest::StopInput,
                raw::TCION => FlowRequest::StartInput,
                _ => return Err(Errno::EINVAL),
            };
            let mut tty = check(terminal(), Access::Change)?;
            let effects = tty.control_flow(request, &mut Output::new());
            drop(tty);
            act(effects);
        }
        // Output is sent at once; a break is not sent.
        number::TCSBRK | number::TCSBRKP => drop(check(terminal(), Access::Change)?),
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

/// TIOCSWINSZ. The foreground group is told of a change by SIGWINCH.
fn set_window(argument: u64) -> Result<(), Errno> {
    let mut bytes = [0; size_of::<WindowSize>()];
    user::read(argument, &mut bytes)?;
    let window = WindowSize::read_from_bytes(&bytes).map_err(|_| Errno::EINVAL)?;
    let mut tty = terminal();
    let before = core::mem::replace(&mut tty.window, window);
    let foreground = tty.job.foreground;
    drop(tty);
    if let Some(group) = foreground.filter(|_| before != window) {
        task::signal_group(group, Signal::SIGWINCH);
    }
    Ok(())
}

/// TIOCGPGRP and TIOCGSID.
fn of_job(request: u32, argument: u64) -> Result<(), Errno> {
    let job = terminal().job;
    let caller = task::terminal_caller(&job, Signal::SIGTTOU);
    let foreground = job.foreground_for(&caller).map_err(|error| denied(error, caller.group))?;
    let answer = if request == number::TIOCGPGRP { foreground } else { job.session.unwrap_or(0) };
    user::put(argument, answer)
}

/// TIOCSPGRP
fn set_foreground(argument: u64) -> Result<(), Errno> {
    let group = user::get::<i32>(argument)?;
    let job = terminal().job;
    let caller = task::terminal_caller(&job, Signal::SIGTTOU);
    let session = u32::try_from(group).ok().and_then(task::session_of_group);
    let set = terminal().job.set_foreground(group, &caller, |_| session);
    set.map_err(|error| denied(error, caller.group))
}
