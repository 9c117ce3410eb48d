//! What the tool itself says: on standard error, so that standard output is the kernel's console or the result.

/// Tells the user something.
macro_rules! say {
    ($($argument:tt)*) => { eprintln!("xtask: {}", format_args!($($argument)*)) };
}
pub(crate) use say;
