//! The vDSO (`kernel/vdso`) and the page of the kernel's data in front of it, as every address space has them: `[vdso]` and `[vvar]`.

use crate::clock;
use crate::clock::data::Data;
use crate::drivers::timer;
use crate::errno::Errno;
use crate::mm::layout::PAGE;
use crate::mm::pages::Page;
use crate::space::{Backing, MMAP_BASE, NoMemory, Object, Space};
use crate::sync::IrqMutex;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use elf::ElfBytes;
use elf::endian::LittleEndian;
use maps::{Flags, Limits, Placement, Prot, Request};
use spin::Once;

/// The shared object, whose one segment is mapped as it lies in the file.
static FILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vdso.so"));

/// Where the kernel's data is: above all mappings that the kernel places, and far below the stack.
const DATA: u64 = MMAP_BASE;
/// Where the ELF header of the vDSO is: AT_SYSINFO_EHDR.
pub(super) const VDSO: u64 = DATA + PAGE as u64;

/// Some pages that all address spaces share.
struct Pages {
    name: &'static str,
    pages: Vec<Page>,
}

impl Object for Pages {
    fn page(&self, index: u64) -> Result<Option<Page>, NoMemory> {
        Ok(usize::try_from(index).ok().and_then(|index| self.pages.get(index)).cloned())
    }

    fn path(&self) -> String {
        self.name.into()
    }

    fn identity(&self) -> (u64, u64) {
        (0, 0)
    }
}

struct Vdso {
    code: Arc<Pages>,
    data: Arc<Pages>,
}

/// Made when the first program starts, and the same for all.
static VDSO_PAGES: Once<Vdso> = Once::new();
/// Held while the time is set: the kernel's own offset and that of the page are the same.
static SETTING: IrqMutex<()> = IrqMutex::new(());

/// The offset of a symbol in the shared object.
fn symbol(name: &str) -> Option<u64> {
    let object = ElfBytes::<LittleEndian>::minimal_parse(FILE).ok()?;
    let (symbols, strings) = object.dynamic_symbol_table().ok()??;
    let mut found =
        symbols.iter().filter(|symbol| strings.get(symbol.st_name as usize).is_ok_and(|found| found == name));
    found.next().map(|symbol| symbol.st_value)
}

fn make() -> Option<Vdso> {
    let mut code = Vec::new();
    for part in FILE.chunks(PAGE) {
        let page = Page::zeroed()?;
        page.write(0, part);
        code.push(page);
    }
    let data = Page::zeroed()?;
    // SAFETY: the page is new, aligned, larger than the value and never given back; programs only read it, and its fields are atomics.
    let shared: &Data = unsafe { &*data.address().cast() };
    shared.frequency.store(timer::frequency(), Relaxed);
    shared.realtime_offset.store(clock::realtime_offset(), Relaxed);
    SIGRETURN.store(VDSO + symbol("__kernel_rt_sigreturn")?, Relaxed);
    Some(Vdso {
        code: Arc::new(Pages { name: "[vdso]", pages: code }),
        data: Arc::new(Pages { name: "[vvar]", pages: alloc::vec![data] }),
    })
}

fn vdso() -> Option<&'static Vdso> {
    VDSO_PAGES.try_call_once(|| make().ok_or(NoMemory)).ok()
}

/// The return from a handler whose program has named no restorer. Thread context.
pub(super) fn sigreturn() -> u64 {
    // A program runs, so its address space has a vDSO, and the value is there.
    SIGRETURN.load(Relaxed)
}

/// The address of the vDSO's return from a handler; 0 before the vDSO is made.
static SIGRETURN: AtomicU64 = AtomicU64::new(0);

/// Has CLOCK_REALTIME be so many nanoseconds ahead of CLOCK_MONOTONIC, for system calls and for the vDSO. Thread context.
pub(crate) fn set_realtime_offset(offset: u64) {
    let _setting = SETTING.lock();
    let before = clock::realtime_offset();
    clock::set_realtime_offset(offset);
    super::timer::realtime_was_set(before, offset);
    if let Some(data) = vdso().and_then(|vdso| vdso.data.pages.first()) {
        // SAFETY: as in `make`; the page stays, because the static has a reference to it.
        let shared: &Data = unsafe { &*data.address().cast() };
        shared.realtime_offset.store(offset, Relaxed);
    }
}

/// Maps both.
pub(super) fn put_vdso(space: &Space) -> Result<(), Errno> {
    let vdso = vdso().ok_or(Errno::ENOMEM)?;
    for (at, object, prot) in [(DATA, &vdso.data, Prot::READ), (VDSO, &vdso.code, Prot::READ | Prot::EXEC)] {
        let request = Request {
            hint: at,
            len: (object.pages.len() * PAGE) as u64,
            placement: Placement::FixedNoReplace,
            prot,
            may: prot,
            flags: Flags::DONT_EXPAND,
            backing: Backing::Object(object.clone()),
            offset: 0,
        };
        space.map(request, &Limits::UNLIMITED)?;
    }
    Ok(())
}
