//! What the console says of a program that the signal of a fault has ended.

use super::Task;
use super::table::table;
use crate::exception::Frame;
use crate::space::{Backing, Object};
use alloc::format;
use alloc::string::String;
use programs::elf::{Function, function_at};
use programs::{ReadAt, ReadError};
use signals::{Fields, Info, SigSet};

/// Names the program, the signal, the function that the program was in and its file, and what the CPU has said of the fault. Nothing for
/// signals that somebody has sent. Thread context; may sleep: it reads the program's file.
pub(super) fn tell(task: &Task, frame: &Frame, info: &Info) {
    let signal = info.signal;
    if !SigSet::SYNCHRONOUS.contains(signal) || info.code <= 0 {
        return;
    }
    let name = String::from_utf8_lossy(&task.process.name.lock()).into_owned();
    let address = match info.fields {
        Fields::Fault { address } => format!(", address {address:#x}"),
        _ => String::new(),
    };
    let fault = table().own(task).and_then(|(entry, at)| entry.members[at].fault);
    let syndrome = fault.filter(|(of, ..)| *of == signal).map(|(.., esr)| format!(", ESR {esr:#x}"));
    let (place, syndrome) = (place_of(task, frame.pc).unwrap_or_default(), syndrome.unwrap_or_default());
    crate::println!("{name}[{}]: {signal} at {:#x}{place}{address}{syndrome}", task.tid(), frame.pc);
}

/// The function at an address and its file; None if no file is mapped there.
fn place_of(task: &Task, pc: u64) -> Option<String> {
    let (object, offset) = task.space()?.look(|maps| {
        let mapping = maps.find(pc)?;
        match &mapping.backing {
            Backing::Object(object) => Some((object.clone(), mapping.offset_of(pc))),
            Backing::Anonymous => None,
        }
    })?;
    let path = object.path();
    Some(match function_at(&Content(&*object), offset) {
        Some(Function { name, offset }) => {
            format!(" ({}+{offset:#x} in {path})", String::from_utf8_lossy(&name).escape_debug())
        }
        None => format!(" (in {path})"),
    })
}

/// What is mapped, as a file to read.
struct Content<'a>(&'a dyn Object);

impl ReadAt for Content<'_> {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<usize, ReadError> {
        Ok(self.0.content(offset, to))
    }

    /// Not known: an object ends where nothing more can be read.
    fn size(&self) -> u64 {
        u64::MAX
    }
}
