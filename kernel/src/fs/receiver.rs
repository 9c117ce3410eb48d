//! Who gets the signals of a file.

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// The process with this number.
    Process(u32),
    /// Each process of this group.
    Group(u32),
    /// The task with this number.
    Task(u32),
}
