//! The initial ramdisk: cpio archives in the format newc, plain or compressed, as Linux's `init/initramfs.c` reads them.
//!
//! A ramdisk is any number of archives one behind the other, each plain or compressed by gzip, with zeroes between them. [`expand()`]
//! decompresses; [`Archive`] lists the entries of what comes out:
//!
//! ```
//! # use programs::ramdisk::{Archive, RamdiskError, expand};
//! # fn load(initrd: &[u8]) -> Result<(), RamdiskError> {
//! for part in expand(initrd, 64 << 20)? {
//!     for entry in Archive::new(&part) {
//!         let entry = entry?;
//!         // Make entry.path, of entry.kind.
//!     }
//! }
//! # Ok(())
//! # }
//! # load(&[]).unwrap();
//! ```

mod entry;
mod error;
mod expand;
mod format;
mod header;
mod links;
#[cfg(test)]
mod tests;

pub use entry::{Archive, Entry, Kind};
pub use error::{Flaw, RamdiskError};
pub use expand::expand;
pub use format::Format;
