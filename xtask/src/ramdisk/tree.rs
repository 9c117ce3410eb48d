//! A tree of files in memory, and the newc archive that it becomes.

use anyhow::{Context, Result, bail};
use cpio::newc::{self, ModeFileType};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::Path;

/// The most symbolic links that are followed on the way to one file, as on Linux (MAXSYMLINKS).
const MOST_LINKS: u32 = 40;
/// The permissions of a directory that somebody else's path has made necessary.
const PARENT: u32 = 0o755;

/// One file. The permissions are the lower 12 bits of a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory with these permissions.
    Directory(u32),
    /// A regular file: permissions, content.
    File(u32, Vec<u8>),
    /// A symbolic link to this path.
    Link(String),
    /// A device node, a FIFO or a socket: what is in no file's content.
    Special {
        /// Permissions and file type, as in `st_mode`.
        mode: u32,
        /// Major and minor number; 0 for what is no device.
        device: (u32, u32),
    },
}

/// A tree of files. Paths are absolute, and name files of the ramdisk.
#[derive(Debug, Default)]
pub struct Tree {
    /// By path without the leading slash, so that a directory comes before what is in it.
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Reads a directory of the host: types, permissions, symbolic links and, where the user may read them, device numbers. All
    /// files belong to root in the ramdisk. A file with several hard links becomes several files.
    ///
    /// # Errors
    /// When something cannot be read, or a name is no UTF-8.
    pub fn read(dir: &Path) -> Result<Self> {
        let mut tree = Self::default();
        let mut left = vec![(dir.to_owned(), String::new())];
        while let Some((dir, prefix)) = left.pop() {
            for entry in dir.read_dir().with_context(|| format!("cannot read {}", dir.display()))? {
                let path = entry?.path();
                let name = path.file_name().and_then(|name| name.to_str());
                let name = name.with_context(|| format!("the name {} is no UTF-8", path.display()))?;
                let inside = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
                let node = read_node(&path).with_context(|| format!("cannot read {}", path.display()))?;
                if matches!(node, Node::Directory(_)) {
                    left.push((path, inside.clone()));
                }
                tree.nodes.insert(inside, node);
            }
        }
        Ok(tree)
    }

    /// Puts a file at an absolute path, in place of what was there. Missing directories are made. Symbolic links to directories are
    /// followed, so that `/lib/x` goes to `/usr/lib/x` where `lib` is a link to `usr/lib`. A directory that is there already stays
    /// as it is.
    ///
    /// # Errors
    /// When a file is in the way of a directory, or a directory in the way of a file; when the links go round in circles.
    pub fn put(&mut self, path: &str, node: Node) -> Result<()> {
        let path = self.resolve(path)?;
        match (self.nodes.get(&path), &node) {
            (Some(Node::Directory(_)), Node::Directory(_)) => return Ok(()),
            (Some(Node::Directory(_)), _) => bail!("/{path} is a directory and cannot be a file"),
            (Some(_), Node::Directory(_)) => bail!("/{path} is a file and cannot be a directory"),
            _ => {}
        }
        let parents: Vec<_> = path.match_indices('/').map(|(end, _)| path[..end].to_owned()).collect();
        for parent in parents {
            self.nodes.entry(parent).or_insert(Node::Directory(PARENT));
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    /// The file at an absolute path. Links in front of the last component are followed, the last one is not.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&self.resolve(path).ok()?)
    }

    /// A path without `.`, `..`, a leading slash, and links in front of its last component.
    fn resolve(&self, path: &str) -> Result<String> {
        let mut left: Vec<String> = components(path).rev().map(str::to_owned).collect();
        let mut done: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(component) = left.pop() {
            if component == ".." {
                done.pop();
                continue;
            }
            done.push(component);
            if left.is_empty() {
                break;
            }
            match self.nodes.get(&done.join("/")) {
                Some(Node::Link(target)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        bail!("{path}: too many symbolic links");
                    }
                    done.pop();
                    if target.starts_with('/') {
                        done.clear();
                    }
                    left.extend(components(target).rev().map(str::to_owned));
                }
                Some(Node::Directory(_)) | None => {}
                Some(_) => bail!("{path}: /{} is no directory", done.join("/")),
            }
        }
        if done.is_empty() {
            bail!("'{path}' names the root directory, not a file in it");
        }
        Ok(done.join("/"))
    }

    /// Writes the directories, regular files and relative links into a directory of the host. Absolute links would lead out of it.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn copy(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        for (path, node) in &self.nodes {
            let place = dir.join(path);
            match node {
                Node::Directory(_) => fs::create_dir_all(place)?,
                Node::File(_, content) => fs::write(place, content)?,
                Node::Link(target) if !target.starts_with('/') => symlink(target, place)?,
                Node::Link(_) | Node::Special { .. } => {}
            }
        }
        Ok(())
    }

    /// Writes the tree as a newc archive. All files belong to root, and have the time 0, so that the same tree always becomes the
    /// same archive.
    ///
    /// # Errors
    /// When the output cannot be written, or a file is too large for the format (4 GiB).
    pub fn write(&self, mut out: impl Write) -> Result<()> {
        for (number, (path, node)) in self.nodes.iter().enumerate() {
            let (mode, content): (u32, &[u8]) = match node {
                Node::Directory(mode) => (mode | u32::from(ModeFileType::Directory), &[]),
                Node::File(mode, content) => (mode | u32::from(ModeFileType::Regular), content),
                Node::Link(target) => (0o777 | u32::from(ModeFileType::Symlink), target.as_bytes()),
                Node::Special { mode, .. } => (*mode, &[]),
            };
            let (major, minor) = if let Node::Special { device, .. } = node { *device } else { (0, 0) };
            let size = u32::try_from(content.len())
                .with_context(|| format!("/{path} is too large for an initial ramdisk (4 GiB)"))?;
            // Entries with one inode number are hard links of each other, so every entry has its own.
            let inode = u32::try_from(number + 1).context("too many files for an initial ramdisk")?;
            let links = if matches!(node, Node::Directory(_)) { 2 } else { 1 };
            let entry = newc::Builder::new(path).ino(inode).mode(mode).nlink(links);
            let mut writer = entry.rdev_major(major).rdev_minor(minor).write(&mut out, size);
            writer.write_all(content)?;
            writer.finish()?;
        }
        newc::trailer(&mut out)?;
        Ok(())
    }
}

/// The parts of a path that say something: no empty ones and no `.`.
fn components(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|component| !component.is_empty() && *component != ".")
}

fn read_node(path: &Path) -> Result<Node> {
    let meta = path.symlink_metadata()?;
    let kind = meta.file_type();
    let permissions = meta.mode() & 0o7777;
    Ok(if kind.is_dir() {
        Node::Directory(permissions)
    } else if kind.is_file() {
        Node::File(permissions, fs::read(path)?)
    } else if kind.is_symlink() {
        let target = fs::read_link(path)?;
        Node::Link(target.to_str().context("the link's target is no UTF-8")?.to_owned())
    } else {
        let device = if kind.is_char_device() || kind.is_block_device() {
            (libc::major(meta.rdev()), libc::minor(meta.rdev()))
        } else {
            (0, 0)
        };
        Node::Special { mode: meta.mode(), device }
    })
}
