//! The atomics of the protocols: those of `core`, or in a build with `--cfg loom` those of the model checker `loom`. Atomics of
//! `loom` cannot be made in constants, hence the two macros.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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
