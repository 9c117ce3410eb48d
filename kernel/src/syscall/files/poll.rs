//! ppoll.

use super::arguments::{descriptor_limit, file};
use super::readiness::{Timeout, block, unblock};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::OpenFile;
use crate::task::{Task, user};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as raw;

/// One `struct pollfd`: where it is, the file, which events are asked for, and what was found.
struct Polled {
    address: u64,
    file: Option<Arc<OpenFile>>,
    events: u32,
    found: u32,
}

impl Polled {
    fn get(task: &Task, address: u64) -> Result<Self, Errno> {
        let word = user::get::<u64>(address)?;
        let (number, events) = (word as i32, (word >> 32) as u16);
        // A negative number is passed over; a number that names nothing is an event.
        let file = if number < 0 { None } else { file(task, number as u64).ok() };
        let found = if number >= 0 && file.is_none() { raw::POLLNVAL } else { 0 };
        Ok(Self {
            address,
            file,
            events: u32::from(events) | raw::POLLERR | raw::POLLHUP | raw::POLLNVAL,
            found,
        })
    }

    fn look(&mut self) -> bool {
        if let Some(file) = &self.file {
            self.found = file.readiness() & self.events;
        }
        self.found != 0
    }
}

/// ppoll
pub fn ppoll(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [at, count, timeout, set, size, ..] = frame.x;
    let timeout = Timeout::new(timeout)?;
    if count > descriptor_limit(task) {
        return Err(Errno::EINVAL);
    }
    let mut polled = Vec::new();
    polled.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
    for index in 0..count {
        polled.push(Polled::get(task, at.wrapping_add(8 * index))?);
    }
    block(task, set, size)?;
    let found = timeout.wait(|| polled.iter_mut().map(|polled| u64::from(polled.look())).sum());
    unblock(task, &found);
    let found = found?;
    for one in &polled {
        // The events are the upper half of the same structure: only what was found is written.
        user::write(one.address.wrapping_add(6), &(one.found as u16).to_le_bytes())?;
    }
    Ok(found)
}
