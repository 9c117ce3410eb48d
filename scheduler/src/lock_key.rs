//! The names of locks.

/// Names a lock, by its address for instance. The scheduler knows a lock only while somebody waits for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LockKey(pub usize);
