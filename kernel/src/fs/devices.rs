//! The devices that the kernel has, and their names in the tree.

use super::Files;
use files::{Caller, Device as Numbers, FileError, InodeId, Last, LastLink, NewNode, Parent, Time, Walk};

/// A character device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// `/dev/null`: nothing can be read, and what is written is gone.
    Null,
    /// `/dev/zero`: zeros can be read without end.
    Zero,
    /// `/dev/full`: as `/dev/zero`, but there is no space for writes.
    Full,
    /// `/dev/random` and `/dev/urandom`.
    Random,
    /// A terminal, or `/dev/tty`, which stands for the one of the process's session.
    Terminal,
}

/// Linux's numbers of the devices, and the names that each tree gets if it does not have them.
const DEVICES: [(&[u8], u32, u32, Device); 11] = [
    (b"null", 1, 3, Device::Null),
    (b"zero", 1, 5, Device::Zero),
    (b"full", 1, 7, Device::Full),
    (b"random", 1, 8, Device::Random),
    (b"urandom", 1, 9, Device::Random),
    (b"tty", 5, 0, Device::Terminal),
    (b"console", 5, 1, Device::Terminal),
    (b"ttyAMA0", 204, 64, Device::Terminal),
    (b"ttyS0", 4, 64, Device::Terminal),
    (b"ttyS1", 4, 65, Device::Terminal),
    (b"hvc0", 229, 0, Device::Terminal),
];

impl Device {
    /// The numbers of `/dev/tty`: the terminal of the process's session.
    pub const OWN_TERMINAL: Numbers = Numbers { major: 5, minor: 0 };
    /// The numbers of `/dev/console`, which nobody gets as the terminal of a session by opening it.
    pub const CONSOLE: Numbers = Numbers { major: 5, minor: 1 };

    /// The numbers by which `/proc` names the console as the terminal of a session: those of `/dev/ttyAMA0`.
    pub const CONSOLE_TERMINAL: Numbers = Numbers { major: 204, minor: 64 };
    /// The numbers of the second line: those of `/dev/ttyS1`, and of `/dev/hvc0`, which is Linux's name for a virtio console.
    pub const LINE_TERMINAL: Numbers = Numbers { major: 4, minor: 65 };
    const VIRTIO_TERMINAL: Numbers = Numbers { major: 229, minor: 0 };

    /// Whether these are numbers of the second line.
    pub fn is_line(numbers: Numbers) -> bool {
        [Self::LINE_TERMINAL, Self::VIRTIO_TERMINAL].contains(&numbers)
    }

    /// The device with these numbers; None if the kernel does not have it.
    pub fn by_numbers(numbers: Numbers) -> Option<Self> {
        let found =
            DEVICES.iter().find(|(_, major, minor, _)| (*major, *minor) == (numbers.major, numbers.minor));
        found.map(|(.., device)| *device)
    }
}

/// Makes `/dev` and the devices in it, as far as they are missing. `line` says whether the machine has the second line.
pub(super) fn make(tree: &mut Files, line: bool, now: Time) -> Result<(), FileError> {
    let caller = Caller::root(now);
    let directory = match tree.mkdir(tree.root(), name(b"dev"), 0o755, &caller) {
        Ok(made) => made,
        Err(_) => {
            // What an absolute path begins at does not matter.
            let mut walk = Walk::new(tree.root(), b"/dev/null", LastLink::Keep)?;
            match tree.resolve_parent(&mut walk, &caller)? {
                Parent::Directory(found) => found,
                // Trees are mounted later.
                Parent::Mount { .. } => return Err(FileError::Busy),
            }
        }
    };
    DEVICES.iter().try_for_each(|&(called, major, minor, _)| {
        let numbers = Numbers { major, minor };
        if called == b"ttyS0" || (Device::is_line(numbers) && !line) {
            return Ok(());
        }
        add(tree, directory, called, numbers, &caller)
    })
}

fn add(
    tree: &mut Files,
    directory: InodeId,
    called: &[u8],
    numbers: Numbers,
    caller: &Caller,
) -> Result<(), FileError> {
    match tree.mknod(directory, name(called), NewNode::Character(numbers), 0o666, caller) {
        Ok(_) | Err(FileError::Exists) => Ok(()),
        Err(error) => Err(error),
    }
}

fn name(name: &[u8]) -> Last<'_> {
    Last::Name { name, slash: false }
}
