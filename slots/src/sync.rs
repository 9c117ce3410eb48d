//! The atomics of the records. In a build with `--cfg loom` they are those of the model checker `loom`, which tries every order in
//! which memory accesses of several CPUs can take effect. Atomics of `loom` cannot be made in constants, hence the macros below.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// An array of `$count` elements, each made by its own evaluation of `$one`.
#[cfg(not(loom))]
macro_rules! array {
    ($one:expr; $count:expr) => {
        [const { $one }; $count]
    };
}
#[cfg(loom)]
macro_rules! array {
    ($one:expr; $count:expr) => {
        core::array::from_fn::<_, { $count }, _>(|_| $one)
    };
}
pub(crate) use array;

/// Declares a function that is `const`, except in a build for the model checker.
macro_rules! constant {
    ($(#[$attribute:meta])* $visibility:vis const fn $($rest:tt)*) => {
        #[cfg(not(loom))]
        $(#[$attribute])*
        $visibility const fn $($rest)*
        #[cfg(loom)]
        $(#[$attribute])*
        $visibility fn $($rest)*
    };
}
pub(crate) use constant;
