//! execve: a program's file becomes an address space and the registers with which the program starts.

use super::process::STACK_LIMIT;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{self, FileObject};
use crate::mm::layout::PAGE;
use crate::space::{Backing, Space, TOP};
use alloc::sync::Arc;
use files::{InodeId, LastLink};
use maps::{Flags, Layout, Limits, Placement, Prot, Request};
use programs::elf::{Image, MapPlan, Protection, Role, Source};
use programs::start::{self, AuxValues, Contents, Strings};

/// Why a program was not started: Linux's error number, and, for messages, what is wrong.
pub type ExecError = Errno;

/// Where mappings are placed below: a gap for the stack stays above.
const MMAP_BASE: u64 = TOP - (1 << 30);
/// The top of the first thread's stack.
const STACK_TOP: u64 = TOP - PAGE as u64;
/// Where position-independent programs are placed (Linux: ELF_ET_DYN_BASE, two thirds of the address space).
const PROGRAM_BASE: u64 = TOP / 3 * 2 & !0xffff;

/// A program that is ready to run.
pub struct Loaded {
    /// Its address space.
    pub space: Arc<Space>,
    /// Its registers.
    pub frame: Frame,
}

/// Loads a program from a file. Thread context; may sleep.
///
/// # Errors
/// As execve(2).
pub fn exec(
    directory: InodeId,
    path: &[u8],
    arguments: &Strings,
    environment: &Strings,
) -> Result<Loaded, ExecError> {
    let file = open(directory, path)?;
    let image = Image::read(&*file, Role::Program).map_err(|error| Errno::new(error.errno()))?;
    let space = Space::new(Layout::new(TOP, MMAP_BASE)).map_err(|_| Errno::ENOMEM)?;
    let base = match image.kind() {
        programs::elf::Kind::Fixed => 0,
        _ if image.interpreter().is_some() => PROGRAM_BASE,
        _ => MMAP_BASE - (1 << 32),
    };
    let plan = place(&space, &file, &image, base)?;
    let mut aux = AuxValues::of(&image, &plan);
    let mut entry = plan.entry;
    if let Some(path) = image.interpreter() {
        let file = open(fs::tree().root(), path)?;
        let image = Image::read(&*file, Role::Interpreter).map_err(|error| Errno::new(error.errno()))?;
        let span = image.span();
        let plan = place(&space, &file, &image, MMAP_BASE - (1 << 31) - (span.end - span.start))?;
        aux.base = image.bias_at(plan.mappings.first().map_or(0, |mapping| mapping.start));
        entry = plan.entry;
    }
    // FP and ASIMD.
    aux.hwcap = 3;
    space.change(|maps, _| maps.set_brk(plan.end, 0));
    let random = crate::clock::random();
    let contents = Contents { arguments, environment, path, random, aux: &aux };
    let limit = start::total_limit(STACK_LIMIT);
    let stack = start::layout(&contents, STACK_TOP, limit).map_err(|error| Errno::new(error.errno()))?;
    put_stack(&space, &stack)?;
    let mut frame = Frame::zeroed();
    (frame.sp, frame.pc) = (stack.sp, entry);
    Ok(Loaded { space: Arc::new(space), frame })
}

fn open(directory: InodeId, path: &[u8]) -> Result<Arc<FileObject>, Errno> {
    Ok(FileObject::of_held(fs::find(directory, path, LastLink::Follow)?))
}

/// Maps an image so that its first page is at `base`, or where it wants to be.
fn place(space: &Space, file: &Arc<FileObject>, image: &Image, base: u64) -> Result<MapPlan, Errno> {
    let plan =
        image.plan(image.bias_at(base), 0x1_0000..MMAP_BASE).map_err(|error| Errno::new(error.errno()))?;
    for mapping in &plan.mappings {
        let (backing, offset, zero_tail) = match mapping.source {
            Source::File { offset, zero_tail } => (Backing::Object(file.clone()), offset, zero_tail),
            Source::Anonymous => (Backing::Anonymous, 0, 0),
        };
        let request = Request {
            hint: mapping.start,
            len: mapping.length,
            placement: Placement::FixedNoReplace,
            prot: prot_of(mapping.protection),
            may: Prot::all(),
            flags: Flags::empty(),
            backing,
            offset,
        };
        space.map(request, &Limits::UNLIMITED).map_err(|error| Errno::new(error.errno() as u32))?;
        if zero_tail != 0 {
            let page = space.page_for_tracer(mapping.end() - 1, true).map_err(|_| Errno::ENOMEM)?;
            page.fill(PAGE - zero_tail as usize, zero_tail as usize);
        }
    }
    Ok(plan)
}

fn prot_of(protection: Protection) -> Prot {
    let mut prot = Prot::empty();
    prot.set(Prot::READ, protection.contains(Protection::READ));
    prot.set(Prot::WRITE, protection.contains(Protection::WRITE));
    prot.set(Prot::EXEC, protection.contains(Protection::EXECUTE));
    prot
}

/// Maps the first stack and writes what a program finds there.
fn put_stack(space: &Space, stack: &start::InitialStack<'_>) -> Result<(), Errno> {
    // Linux maps 128 KiB more than what is on the stack; the rest grows by faults.
    let bottom = (stack.sp & !(PAGE as u64 - 1)) - (128 << 10);
    let request = Request {
        hint: bottom,
        len: STACK_TOP - bottom,
        placement: Placement::FixedNoReplace,
        prot: Prot::READ | Prot::WRITE,
        may: Prot::all(),
        flags: Flags::GROWS_DOWN,
        backing: Backing::Anonymous,
        offset: 0,
    };
    space.map(request, &Limits::UNLIMITED).map_err(|error| Errno::new(error.errno() as u32))?;
    for (address, mut bytes) in stack.pieces() {
        let mut address = address;
        while !bytes.is_empty() {
            let page = space.page_for_tracer(address, true).map_err(|_| Errno::ENOMEM)?;
            let count = page.write((address % PAGE as u64) as usize, bytes);
            bytes = &bytes[count..];
            address += count as u64;
        }
    }
    Ok(())
}
