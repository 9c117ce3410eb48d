//! The resource limits of a process: each is a soft one, which holds, and a hard one, up to which the soft one may be raised.
//!
//! RLIMIT_NOFILE, RLIMIT_STACK, RLIMIT_DATA, RLIMIT_AS and RLIMIT_FSIZE are enforced. The others are kept and inherited.

use crate::errno::Errno;
use crate::fs::MOST;
use crate::sync::IrqMutex;
use linux_raw_sys::general as raw;
use maps::Limits;

/// No limit: RLIM_INFINITY.
const NONE: u64 = u64::MAX;

/// A soft and a hard limit: `struct rlimit64`.
pub(crate) type Limit = [u64; 2];

/// RLIMIT_STACK at the beginning: Linux's 8 MiB.
pub const STACK_LIMIT: u64 = 8 << 20;

const COUNT: usize = raw::RLIM_NLIMITS as usize;

/// The limits of a process.
pub struct ResourceLimits(IrqMutex<[Limit; COUNT]>);

impl Clone for ResourceLimits {
    fn clone(&self) -> Self {
        Self(IrqMutex::new(*self.0.lock()))
    }
}

impl ResourceLimits {
    /// Those of the first process: what Linux gives it (INIT_RLIMITS), but for the numbers of processes, queued signals and descriptors,
    /// which this kernel has less of.
    pub(super) fn first() -> Self {
        let mut limits = [[NONE; 2]; COUNT];
        let mut set = |resource: u32, soft, hard| limits[resource as usize] = [soft, hard];
        set(raw::RLIMIT_STACK, STACK_LIMIT, NONE);
        set(raw::RLIMIT_CORE, 0, NONE);
        set(raw::RLIMIT_NPROC, 1024, 1024);
        set(raw::RLIMIT_NOFILE, MOST as u64, MOST as u64);
        set(raw::RLIMIT_MEMLOCK, raw::MLOCK_LIMIT.into(), raw::MLOCK_LIMIT.into());
        set(raw::RLIMIT_SIGPENDING, 1024, 1024);
        set(raw::RLIMIT_MSGQUEUE, 819_200, 819_200);
        set(raw::RLIMIT_NICE, 0, 0);
        set(raw::RLIMIT_RTPRIO, 0, 0);
        Self(IrqMutex::new(limits))
    }

    /// The soft limit of a resource (RLIMIT_*). Thread context.
    pub fn soft(&self, resource: u32) -> u64 {
        self.0.lock().get(resource as usize).map_or(NONE, |[soft, _]| *soft)
    }

    /// The soft limits that an address space has. Thread context.
    pub(super) fn of_address_space(&self) -> Limits {
        let limits = self.0.lock();
        let soft = |resource: u32| limits[resource as usize][0];
        Limits {
            address_space: soft(raw::RLIMIT_AS),
            data: soft(raw::RLIMIT_DATA),
            stack: soft(raw::RLIMIT_STACK),
        }
    }

    /// The limit of a resource, which is replaced if `new` is given: root may raise the hard limit too. Thread context.
    ///
    /// # Errors
    /// EINVAL for a resource that Linux does not have, or a soft limit above the hard one; EPERM for more descriptors than any process may
    /// have.
    pub(super) fn exchange(&self, resource: u32, new: Option<Limit>) -> Result<Limit, Errno> {
        let mut limits = self.0.lock();
        let limit = limits.get_mut(resource as usize).ok_or(Errno::EINVAL)?;
        let old = *limit;
        if let Some([soft, hard]) = new {
            if soft > hard {
                return Err(Errno::EINVAL);
            }
            if resource == raw::RLIMIT_NOFILE && hard > MOST as u64 {
                return Err(Errno::EPERM);
            }
            *limit = [soft, hard];
        }
        Ok(old)
    }
}

/// RLIMIT_FSIZE of the running task. Thread context.
pub fn size_limit() -> u64 {
    super::current().map_or(NONE, |task| task.process.resources.soft(raw::RLIMIT_FSIZE))
}
