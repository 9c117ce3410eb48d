//! The atomics, of `core` or of `loom`, whose atomics cannot be made in constants.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// An array of values that are made one by one.
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

/// A function that is `const`, except for the model checker.
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
