//! The entries of archives.

use alloc::string::String;

use linux_raw_sys::general::{
    PATH_MAX, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK,
};

use super::header::{Header, skip_zeroes};
use super::links::Links;
use super::{Flaw, RamdiskError};

/// The type of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file, with its data.
    File,
    /// A directory.
    Directory,
    /// A symbolic link. The data is its target.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A named socket.
    Socket,
}

impl Kind {
    fn of(mode: u32) -> Option<Self> {
        Some(match mode & S_IFMT {
            S_IFREG => Self::File,
            S_IFDIR => Self::Directory,
            S_IFLNK => Self::Symlink,
            S_IFCHR => Self::CharacterDevice,
            S_IFBLK => Self::BlockDevice,
            S_IFIFO => Self::Fifo,
            S_IFSOCK => Self::Socket,
            _ => return None,
        })
    }
}

/// An entry of an archive.
///
/// Linux makes directories only if the archive has an entry for them, and first removes what is at [`path`](Self::path) if that is of
/// another type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The path below the root, without `/` and `./` at the beginning and `/` at the end. Empty for the root itself. Has no NUL and
    /// no component `..`.
    pub path: &'a [u8],
    /// The type.
    pub kind: Kind,
    /// The mode, with the bits of the type (`S_IFMT`).
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The time of the last change, in seconds since 1970.
    pub mtime: u32,
    /// The number of the inode that the entry was made of.
    pub ino: u32,
    /// How many hard links that inode had, possibly not all of them in the archive.
    pub nlink: u32,
    /// The major and the minor number of a device.
    pub rdev: (u32, u32),
    /// The data of a file, or the target of a symbolic link, up to its first NUL.
    pub data: &'a [u8],
    /// If the entry is another link to a file that had an entry before: the path of the first such entry. Make a hard link to that
    /// path. Then, if `data` is not empty, it is the whole data of the file, and replaces what the file has (`cpio` packs the data
    /// with the last link only); if `data` is empty, leave the file as it is.
    pub link_to: Option<&'a [u8]>,
    /// Where the entry begins, in bytes from the beginning of the part (see [`expand`](super::expand())).
    pub offset: usize,
}

impl<'a> Entry<'a> {
    /// The components of the path, without empty ones and `.`.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        components(self.path)
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|component| !matches!(*component, b"" | b"."))
}

/// The entries of the archives in one part of a ramdisk. Ends after the first error.
///
/// Allocates a list of the files that have more than one link, and the path in an error.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    at: usize,
    links: Links<'a>,
}

impl<'a> Archive<'a> {
    /// The archives in `bytes`, one behind the other, with zeroes between them.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: skip_zeroes(bytes, 0), links: Links::default() }
    }

    fn read(&mut self) -> Result<Option<Entry<'a>>, RamdiskError> {
        let bytes = self.bytes;
        loop {
            if self.at >= bytes.len() {
                return Ok(None);
            }
            let offset = self.at;
            if !offset.is_multiple_of(4) {
                return Err(Flaw::Padding.at(offset));
            }
            let error = |(flaw, path): (Flaw, core::ops::Range<usize>)| RamdiskError {
                path: (!path.is_empty()).then(|| String::from_utf8_lossy(&bytes[path]).into_owned()),
                ..flaw.at(offset)
            };
            let header = Header::read(bytes, offset).map_err(error)?;
            self.at = header.next;
            if !header.is_trailer(bytes) {
                return match self.entry(&header, offset) {
                    Ok(entry) => Ok(Some(entry)),
                    Err(flaw) => Err(error((flaw, header.path))),
                };
            }
            self.links.clear();
            self.at = skip_zeroes(bytes, self.at);
        }
    }

    fn entry(&mut self, header: &Header, offset: usize) -> Result<Entry<'a>, Flaw> {
        let path = trim(&self.bytes[header.path.clone()]);
        if components(path).any(|component| component == b"..") {
            return Err(Flaw::DotDot);
        }
        let kind = Kind::of(header.mode).ok_or(Flaw::UnknownType(header.mode))?;
        let mut data = &self.bytes[header.data.clone()];
        match kind {
            Kind::File => {
                let sum = || data.iter().fold(0_u32, |sum, &byte| sum.wrapping_add(byte.into()));
                if header.sum.is_some_and(|expected| expected != sum()) {
                    return Err(Flaw::Checksum);
                }
            }
            Kind::Symlink => {
                if data.len() > PATH_MAX as usize {
                    return Err(Flaw::TargetLength(data.len()));
                }
                data = data.split(|&byte| byte == 0).next().unwrap_or_default();
                if data.is_empty() {
                    return Err(Flaw::TargetLength(0));
                }
            }
            _ if !data.is_empty() => return Err(Flaw::UnexpectedData),
            _ => {}
        }
        let can_be_link = header.nlink >= 2 && !matches!(kind, Kind::Directory | Kind::Symlink);
        let link_to = if can_be_link {
            self.links.find_or_insert(header, path).map_err(|_| Flaw::NoMemory)?
        } else {
            None
        };
        let &Header { mode, uid, gid, mtime, ino, nlink, rdev, .. } = header;
        Ok(Entry { path, kind, mode, uid, gid, mtime, ino, nlink, rdev, data, link_to, offset })
    }
}

/// `path` without what stands for the root at its beginning, and without slashes at its end.
fn trim(mut path: &[u8]) -> &[u8] {
    while let Some(shorter) = path.strip_suffix(b"/") {
        path = shorter;
    }
    loop {
        path = match path {
            b"." => b"",
            [b'/', rest @ ..] | [b'.', b'/', rest @ ..] => rest,
            _ => return path,
        }
    }
}

impl<'a> Iterator for Archive<'a> {
    type Item = Result<Entry<'a>, RamdiskError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.read().transpose();
        if !matches!(entry, Some(Ok(_))) {
            self.at = self.bytes.len();
        }
        entry
    }
}

impl core::iter::FusedIterator for Archive<'_> {}
