//! openat.

use super::arguments::{descriptor_limit, last_link, new_mode, path, start};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs;
use crate::task::Task;
use files::Open;
use linux_raw_sys::general as raw;

/// openat
pub fn openat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, name, flags, mode, ..] = frame.x;
    let flags = flags as u32;
    let has = |flag: u32| flags & flag != 0;
    let access = flags & raw::O_ACCMODE;
    if flags & raw::O_TMPFILE == raw::O_TMPFILE {
        return Err(Errno::new(linux_raw_sys::errno::EOPNOTSUPP));
    }
    let how = Open {
        read: access != raw::O_WRONLY,
        write: access != raw::O_RDONLY,
        create: has(raw::O_CREAT),
        exclusive: has(raw::O_EXCL),
        truncate: has(raw::O_TRUNC),
        directory: has(raw::O_DIRECTORY),
        mode: new_mode(task, mode),
    };
    let path = path(name)?;
    // Nothing is made that no descriptor could name. Linux sets the descriptor aside; here another thread can still take the last one.
    if !task.process.files.lock().has_room() {
        return Err(Errno::EMFILE);
    }
    let start = start(task, number, &path)?;
    let opened = fs::open(&start, &path, last_link(!has(raw::O_NOFOLLOW)), &how, flags)?;
    task.process.files.lock().add(opened, has(raw::O_CLOEXEC), descriptor_limit(task))
}
