//! Files that grow, within the limits of who makes them larger.

use super::{asks, now};
use crate::errno::Errno;
use files::{Caller, FileError};

/// Who makes a file larger: the running task, whose limit is RLIMIT_FSIZE. Thread context.
pub fn grower() -> Caller<'static> {
    Caller { file_size: asks::size_limit(), ..Caller::root(now()) }
}

/// What has become of an operation of a [`grower`]. Sends SIGXFSZ if the limit was in the way. Thread context.
///
/// # Errors
/// Those of the operation.
pub fn grown<R>(result: files::Result<R>) -> Result<R, Errno> {
    if matches!(result, Err(FileError::FileLimit)) {
        asks::too_large();
    }
    Ok(result?)
}
