//! O_ASYNC, and who gets the signals of an open file.

use crate::errno::Errno;
use crate::fs::owner::Owned;
use crate::fs::{Descriptor, OpenFile, Receiver};
use crate::task::{self, Task, user};
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::general::{self as raw, f_owner_ex};
use signals::Signal;

/// Sets or clears O_ASYNC by a descriptor. Who has no owner yet gets one: the foreground group of a terminal that has one, else the running
/// process. Files that tell nobody ignore O_ASYNC, as on Linux.
pub(super) fn set_async(task: &Task, file: &Arc<OpenFile>, descriptor: u32, on: bool) {
    if on == file.has(raw::FASYNC) || file.listeners().next().is_none() {
        return;
    }
    if on {
        let foreground = match &file.what {
            Descriptor::Terminal(end, _) => end.terminal().job().foreground,
            _ => None,
        };
        let receiver = foreground.map_or(Receiver::Process(task.process.pid), Receiver::Group);
        file.owner.lock().receiver.get_or_insert(receiver);
        file.status.fetch_or(raw::FASYNC, Relaxed);
    } else {
        file.status.fetch_and(!raw::FASYNC, Relaxed);
    }
    let owned: Arc<dyn Owned> = file.clone();
    file.listeners().for_each(|listeners| listeners.set(&owned, descriptor, on));
}

/// fcntl with F_SETOWN, F_GETOWN, F_SETOWN_EX, F_GETOWN_EX, F_SETSIG or F_GETSIG.
///
/// # Errors
/// EINVAL, ESRCH if nobody is there who could get a signal, EFAULT.
pub(super) fn of_owner(file: &OpenFile, command: u32, argument: u64) -> Result<u64, Errno> {
    let owner = *file.owner.lock();
    match command {
        raw::F_SETOWN => {
            let number = argument as i32;
            let receiver = match number {
                0 => None,
                1.. => Some(Receiver::Process(number.unsigned_abs())),
                i32::MIN => return Err(Errno::EINVAL),
                _ => Some(Receiver::Group(number.unsigned_abs())),
            };
            set(file, receiver)
        }
        raw::F_SETOWN_EX => {
            let [kind, number] = user::get::<[i32; 2]>(argument)?;
            let of =
                |receiver: fn(u32) -> Receiver| u32::try_from(number).map(receiver).map_err(|_| Errno::ESRCH);
            let receiver = match kind.cast_unsigned() {
                raw::F_OWNER_TID => of(Receiver::Task),
                raw::F_OWNER_PID => of(Receiver::Process),
                raw::F_OWNER_PGRP => of(Receiver::Group),
                _ => Err(Errno::EINVAL),
            };
            set(file, Some(receiver?).filter(|_| number != 0))
        }
        raw::F_GETOWN => Ok(match owner.receiver {
            None => 0,
            Some(Receiver::Process(number) | Receiver::Task(number)) => number.into(),
            Some(Receiver::Group(group)) => (-i64::from(group)).cast_unsigned(),
        }),
        raw::F_GETOWN_EX => {
            let (kind, number) = match owner.receiver {
                None => (raw::F_OWNER_TID, 0),
                Some(Receiver::Task(number)) => (raw::F_OWNER_TID, number),
                Some(Receiver::Process(number)) => (raw::F_OWNER_PID, number),
                Some(Receiver::Group(group)) => (raw::F_OWNER_PGRP, group),
            };
            user::put(argument, [kind, number])?;
            Ok(0)
        }
        raw::F_SETSIG => {
            let signal = match argument as u32 {
                0 => None,
                number => Some(Signal::new(number).ok_or(Errno::EINVAL)?),
            };
            file.owner.lock().signal = signal;
            Ok(0)
        }
        raw::F_GETSIG => Ok(owner.signal.map_or(0, Signal::number).into()),
        _ => Err(Errno::EINVAL),
    }
}

const _: () = assert!(size_of::<f_owner_ex>() == size_of::<[i32; 2]>());

fn set(file: &OpenFile, receiver: Option<Receiver>) -> Result<u64, Errno> {
    if let Some(receiver) = receiver {
        task::owner_exists(receiver)?;
    }
    file.owner.lock().receiver = receiver;
    Ok(0)
}
