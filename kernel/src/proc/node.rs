//! Directories, links and files of `/proc` and `/sys`.

use super::{memory, text};
use crate::errno::Errno;
use crate::fs::node::{Content, FIRST_COOKIE, Listed, Node, Target};
use crate::fs::{Found, OpenFile, Start};
use crate::task::{self, Subject};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::LastLink;
use procfs::{Entry, Fixed, Name, Numbers};

/// The cookie of the entry that is called 0; what has a word for a name comes before (Linux: FIRST_PROCESS_ENTRY).
const FIRST_NUMBER: u64 = 256;

/// A file of `/proc` or `/sys`.
pub struct ProcNode {
    name: Name,
    /// The process or task whose file it is.
    of: Option<Subject>,
}

impl ProcNode {
    /// A file that always exists.
    pub fn fixed(name: Name) -> Arc<dyn Node> {
        Arc::new(Self { name, of: None })
    }

    fn subject(&self) -> Result<&Subject, Errno> {
        self.of.as_ref().filter(|subject| subject.exists()).ok_or(Errno::ENOENT)
    }

    /// The open file of a link in `fd`.
    fn file(&self, number: u32) -> Result<Arc<OpenFile>, Errno> {
        let process = self.subject()?.shared().ok_or(Errno::ENOENT)?;
        let file = process.files.lock().get(number.into());
        file.map_err(|_| Errno::ENOENT)
    }

    /// Whether anything that the name of a child says to exist does.
    fn made(&self, child: Name) -> Result<Self, Errno> {
        let of = match child {
            Name::Fixed(_) => None,
            Name::Of { pid, tid: None, entry: Entry::Directory } => {
                Some(Subject::process(pid).ok_or(Errno::ENOENT)?)
            }
            Name::Of { tid: Some(tid), entry: Entry::Directory, .. } => {
                Some(self.subject()?.task(tid).ok_or(Errno::ENOENT)?)
            }
            Name::Of { entry: Entry::Fd(number) | Entry::FdInfo(number), .. } => {
                drop(self.file(number)?);
                self.of.clone()
            }
            Name::Of { .. } => Some(self.subject()?.clone()),
        };
        Ok(Self { name: child, of })
    }

    /// The lowest number in the directory that is not below `from`.
    fn next_number(&self, from: u32) -> Result<Option<u32>, Errno> {
        Ok(match self.name.numbers() {
            None => None,
            Some(Numbers::Processes) => task::next_process(from),
            Some(Numbers::Tasks) => self.subject()?.next_task(from),
            Some(Numbers::Descriptors) => {
                let Some(process) = self.subject()?.shared() else { return Ok(None) };
                let files = process.files.lock();
                files.next(from.into()).map(|number| number as u32)
            }
        })
    }

    /// Where a link of a process leads to that has no path of its own.
    fn magic(&self) -> Result<Found, Errno> {
        let Name::Of { entry, .. } = self.name else { return Err(Errno::EINVAL) };
        match entry {
            Entry::Fd(number) => Ok(self.file(number)?.found()),
            Entry::Exe => {
                let space = self.subject()?.space().ok_or(Errno::ENOENT)?;
                let file = space.program().and_then(|program| program.file.inode()).ok_or(Errno::ENOENT)?;
                crate::fs::held(file).map(Found::Object)
            }
            Entry::Cwd => {
                let process = self.subject()?.shared().ok_or(Errno::ENOENT)?;
                let directory = process.place.lock().directory.clone();
                directory.map_or_else(root, Ok)
            }
            Entry::Root => root(),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The path of a link that has one.
    fn target(&self) -> Option<Vec<u8>> {
        let own = || task::current();
        match self.name {
            Name::Fixed(Fixed::SelfLink) => own().map(|task| task.process.pid.to_string().into_bytes()),
            Name::Fixed(Fixed::ThreadSelf) => {
                own().map(|task| alloc::format!("{}/task/{}", task.process.pid, task.tid()).into_bytes())
            }
            Name::Fixed(Fixed::Mounts) => Some(b"self/mounts".to_vec()),
            _ => None,
        }
    }
}

fn root() -> Result<Found, Errno> {
    crate::fs::find(&Start::ROOT, b"/", LastLink::Follow)
}

impl Node for ProcNode {
    fn number(&self) -> u64 {
        self.name.number()
    }

    fn mode(&self) -> u32 {
        let mode = self.name.mode();
        let Name::Of { entry: Entry::Fd(number), .. } = self.name else { return mode };
        let Ok(file) = self.file(number) else { return mode };
        let reads = if file.readable { 0o500 } else { 0 };
        let writes = if file.writable { 0o300 } else { 0 };
        mode | reads | writes
    }

    fn child(&self, name: &[u8]) -> Result<Arc<dyn Node>, Errno> {
        let child = self.name.child(name).ok_or(Errno::ENOENT)?;
        Ok(Arc::new(self.made(child)?))
    }

    fn parent(&self) -> Option<Arc<dyn Node>> {
        let name = self.name.parent()?;
        let of = match name {
            Name::Fixed(_) => None,
            Name::Of { pid, tid: None, .. } => Subject::process(pid),
            Name::Of { .. } => self.of.clone(),
        };
        Some(Arc::new(Self { name, of }))
    }

    fn entry(&self, cookie: u64) -> Result<Option<Listed>, Errno> {
        if self.of.is_some() {
            self.subject()?;
        }
        if cookie < FIRST_NUMBER {
            let word = self.name.children().nth((cookie - FIRST_COOKIE) as usize);
            if let Some((word, child)) = word {
                let name = word.as_bytes().to_vec();
                let (number, mode) = (child.number(), child.mode());
                return Ok(Some(Listed { name, number, mode, next: cookie + 1 }));
            }
        }
        let from = u32::try_from(cookie.saturating_sub(FIRST_NUMBER)).unwrap_or(u32::MAX);
        let Some(number) = self.next_number(from)? else { return Ok(None) };
        let Some(child) = self.name.numbered(number) else { return Ok(None) };
        Ok(Some(Listed {
            name: number.to_string().into_bytes(),
            number: child.number(),
            mode: child.mode(),
            next: FIRST_NUMBER + u64::from(number) + 1,
        }))
    }

    fn follow(&self) -> Result<Target, Errno> {
        match self.target() {
            Some(path) => Ok(Target::Path(path)),
            None => self.magic().map(Target::File),
        }
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        match self.target() {
            Some(path) => Ok(path),
            None => Ok(self.magic()?.shown()),
        }
    }

    fn open(&self) -> Result<Arc<dyn Content>, Errno> {
        Ok(match self.name {
            Name::Of { entry: Entry::Mem, .. } => {
                Arc::new(memory::Memory::of(self.of.as_ref().ok_or(Errno::ESRCH)?))
            }
            _ => Arc::new(text::File::new(self.name, self.of.clone())),
        })
    }

    fn path(&self) -> Vec<u8> {
        let mut parts = Vec::new();
        let mut at = self.name;
        while let Some(parent) = at.parent() {
            parts.push(match at.last() {
                (_, Some(number)) => number.to_string(),
                (word, None) => word.to_string(),
            });
            at = parent;
        }
        let mut path = Vec::new();
        for part in parts.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(part.as_bytes());
        }
        path
    }
}
