//! The page of the kernel's own in every address space: the beginning of a vDSO. A handler returns to its two instructions if the program
//! has named no restorer.

use crate::errno::Errno;
use crate::mm::layout::PAGE;
use crate::mm::pages::Page;
use crate::space::{Backing, MMAP_BASE, NoMemory, Object, Space};
use alloc::string::String;
use alloc::sync::Arc;
use maps::{Flags, Limits, Placement, Prot, Request};
use spin::Once;

/// Where the page is: above all mappings that the kernel places, and far below the stack.
pub(super) const TRAMPOLINE: u64 = MMAP_BASE;

/// `mov x8, #139; svc #0`: rt_sigreturn. Unwinders know a signal's frame by these words.
const WORDS: [u32; 2] = [0xd280_1168, 0xd400_0001];

struct Trampoline(Page);

impl Object for Trampoline {
    fn page(&self, index: u64) -> Result<Option<Page>, NoMemory> {
        Ok((index == 0).then(|| self.0.clone()))
    }

    fn path(&self) -> String {
        "[vdso]".into()
    }

    fn identity(&self) -> (u64, u64) {
        (0, 0)
    }
}

/// The page is made when the first program starts, and is the same for all.
static OBJECT: Once<Option<Arc<Trampoline>>> = Once::new();

/// Maps the page.
pub(super) fn put_trampoline(space: &Space) -> Result<(), Errno> {
    let object = OBJECT.call_once(|| {
        let page = Page::zeroed()?;
        WORDS.iter().enumerate().for_each(|(at, word)| _ = page.write(4 * at, &word.to_le_bytes()));
        Some(Arc::new(Trampoline(page)))
    });
    let object = object.clone().ok_or(Errno::ENOMEM)?;
    let request = Request {
        hint: TRAMPOLINE,
        len: PAGE as u64,
        placement: Placement::FixedNoReplace,
        prot: Prot::READ | Prot::EXEC,
        may: Prot::READ | Prot::EXEC,
        flags: Flags::DONT_EXPAND,
        backing: Backing::Object(object),
        offset: 0,
    };
    space.map(request, &Limits::UNLIMITED)?;
    Ok(())
}
