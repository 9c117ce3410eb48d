//! The descriptors of a process.

use super::Start;
use super::open::{OpenFile, open};
use crate::errno::Errno;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use files::{LastLink, Open};

/// The most descriptors that RLIMIT_NOFILE can allow a process.
pub const MOST: usize = 1024;

#[derive(Clone)]
struct Entry {
    file: Arc<OpenFile>,
    close_on_exec: bool,
}

/// The descriptors of a process, by number: an open file, and whether `execve` closes the descriptor.
///
/// Dropping an open file may sleep. So whatever takes a file out of the table returns the file, and the caller drops it when it holds no
/// lock.
#[derive(Clone, Default)]
pub struct OpenFiles(Vec<Option<Entry>>);

impl OpenFiles {
    fn entry(&mut self, number: u64) -> Result<&mut Entry, Errno> {
        let place = usize::try_from(number).ok().and_then(|number| self.0.get_mut(number));
        place.and_then(Option::as_mut).ok_or(Errno::EBADF)
    }

    /// A copy for a child process.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn try_clone(&self) -> Result<Self, Errno> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(self.0.len()).map_err(|_| Errno::ENOMEM)?;
        copy.extend_from_slice(&self.0);
        Ok(Self(copy))
    }

    /// Takes out the descriptors that `execve` closes.
    pub fn take_close_on_exec(&mut self) -> Self {
        Self(self.0.iter_mut().map(|entry| entry.take_if(|entry| entry.close_on_exec)).collect())
    }

    /// The open file of a descriptor.
    ///
    /// # Errors
    /// EBADF.
    pub fn get(&self, number: u64) -> Result<Arc<OpenFile>, Errno> {
        let place = usize::try_from(number).ok().and_then(|number| self.0.get(number)?.as_ref());
        place.map(|entry| entry.file.clone()).ok_or(Errno::EBADF)
    }

    /// Whether a descriptor is free.
    pub fn has_room(&self) -> bool {
        self.0.len() < MOST || self.0.iter().any(Option::is_none)
    }

    /// The lowest descriptor that is open and not below `from`.
    pub fn next(&self, from: u64) -> Option<u64> {
        let from = usize::try_from(from).ok()?;
        let entries = self.0.get(from..)?;
        entries.iter().position(Option::is_some).map(|place| (from + place) as u64)
    }

    /// For how many descriptors the table has room, as Linux counts it: a power of two, at least 64.
    pub fn room(&self) -> usize {
        self.0.len().next_power_of_two().max(64)
    }

    /// A descriptor for an open file: the lowest that is free and below `limit` (RLIMIT_NOFILE).
    ///
    /// # Errors
    /// EMFILE, ENOMEM.
    pub fn add(&mut self, file: Arc<OpenFile>, close_on_exec: bool, limit: u64) -> Result<u64, Errno> {
        self.place_new(file, close_on_exec, 0..limit)
    }

    /// A descriptor for an open file: the lowest of a range that is free. The range ends at RLIMIT_NOFILE.
    ///
    /// # Errors
    /// EINVAL for an empty range; EMFILE, ENOMEM.
    pub fn add_within(
        &mut self,
        file: Arc<OpenFile>,
        close_on_exec: bool,
        range: Range<u64>,
    ) -> Result<u64, Errno> {
        if range.start >= range.end.min(MOST as u64) {
            return Err(Errno::EINVAL);
        }
        self.place_new(file, close_on_exec, range)
    }

    fn place_new(
        &mut self,
        file: Arc<OpenFile>,
        close_on_exec: bool,
        range: Range<u64>,
    ) -> Result<u64, Errno> {
        let is_free = |number: &usize| self.0.get(*number).is_none_or(Option::is_none);
        let most = range.end.min(MOST as u64) as usize;
        let number = (range.start as usize..most).find(is_free).ok_or(Errno::EMFILE)?;
        *self.place(number)? = Some(Entry { file, close_on_exec });
        Ok(number as u64)
    }

    /// Makes a descriptor below `limit` (RLIMIT_NOFILE) name an open file. Returns the file that it named before.
    ///
    /// # Errors
    /// EBADF for a number that no descriptor can have; ENOMEM.
    pub fn set(
        &mut self,
        number: u64,
        file: Arc<OpenFile>,
        close_on_exec: bool,
        limit: u64,
    ) -> Result<Option<Arc<OpenFile>>, Errno> {
        if number >= limit.min(MOST as u64) {
            return Err(Errno::EBADF);
        }
        let before = self.place(number as usize)?.replace(Entry { file, close_on_exec });
        Ok(before.map(|entry| entry.file))
    }

    fn place(&mut self, number: usize) -> Result<&mut Option<Entry>, Errno> {
        if number >= self.0.len() {
            let more = number + 1 - self.0.len();
            self.0.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
            self.0.resize(number + 1, None);
        }
        Ok(&mut self.0[number])
    }

    /// Closes a descriptor.
    ///
    /// # Errors
    /// EBADF.
    pub fn close(&mut self, number: u64) -> Result<Arc<OpenFile>, Errno> {
        let place = usize::try_from(number).ok().and_then(|number| self.0.get_mut(number)?.take());
        place.map(|entry| entry.file).ok_or(Errno::EBADF)
    }

    /// Closes the lowest descriptor from `first` to `last`. None once there is none left.
    pub fn close_between(&mut self, first: u64, last: u64) -> Option<Arc<OpenFile>> {
        let range = Self::range(first, last, self.0.len());
        self.0.get_mut(range)?.iter_mut().find_map(Option::take).map(|entry| entry.file)
    }

    /// Has `execve` close the descriptors from `first` to `last`.
    pub fn mark_between(&mut self, first: u64, last: u64) {
        let range = Self::range(first, last, self.0.len());
        for entry in self.0.get_mut(range).into_iter().flatten().flatten() {
            entry.close_on_exec = true;
        }
    }

    fn range(first: u64, last: u64, length: usize) -> Range<usize> {
        let end = last.saturating_add(1).min(length as u64) as usize;
        (first.min(end as u64) as usize)..end
    }

    /// Whether `execve` closes a descriptor.
    ///
    /// # Errors
    /// EBADF.
    pub fn closes_on_exec(&mut self, number: u64) -> Result<bool, Errno> {
        Ok(self.entry(number)?.close_on_exec)
    }

    /// Says whether `execve` closes a descriptor.
    ///
    /// # Errors
    /// EBADF.
    pub fn set_close_on_exec(&mut self, number: u64, close: bool) -> Result<(), Errno> {
        self.entry(number)?.close_on_exec = close;
        Ok(())
    }
}

/// The descriptors of the first process: the console three times.
///
/// # Errors
/// ENOMEM.
pub fn standard() -> Result<OpenFiles, Errno> {
    let how = Open { read: true, write: true, ..Open::default() };
    let console = open(&Start::ROOT, b"/dev/console", LastLink::Follow, &how, 0)?;
    let mut files = OpenFiles::default();
    for _ in 0..3 {
        files.add(console.clone(), false, MOST as u64)?;
    }
    Ok(files)
}
