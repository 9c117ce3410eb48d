//! execve: a program's file becomes an address space and the registers with which the program starts.

use super::process::Pid;
use super::table::table;
use super::vdso::{VDSO, put_vdso};
use super::{Task, cpu, interrupted, pi};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{self, FileObject, Start};
use crate::mm::layout::PAGE;
use crate::space::{Backing, MMAP_BASE, Program, Space, TOP};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering::Relaxed;
use files::{Kind, LastLink};
use maps::{Flags, Layout, Limits, Placement, Prot, Request};
use programs::ReadAt;
use programs::elf::{Image, MapPlan, Protection, Role, Source};
use programs::script::{HEAD_SIZE, Levels, Script};
use programs::start::{self, AuxValues, Contents, Strings};

/// Why a program was not started: Linux's error number, and, for messages, what is wrong.
pub type ExecError = Errno;

/// The top of the first thread's stack.
const STACK_TOP: u64 = TOP - PAGE as u64;
/// Where position-independent programs are placed (Linux: ELF_ET_DYN_BASE, two thirds of the address space).
const PROGRAM_BASE: u64 = (TOP / 3 * 2) & !0xffff;

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
    start: &Start,
    path: &[u8],
    arguments: &Strings,
    environment: &Strings,
) -> Result<Loaded, ExecError> {
    exec_file(start, open(start, path)?, path, arguments, environment)
}

/// As [`exec`], for a file that was found already: the path is what the program is told. Interpreters are looked for from `start`.
fn exec_file(
    start: &Start,
    mut file: Arc<FileObject>,
    path: &[u8],
    arguments: &Strings,
    environment: &Strings,
) -> Result<Loaded, ExecError> {
    let mut levels = Levels::default();
    // How the program was named, and the interpreter of the last script on the way to it.
    let mut script: Option<(Vec<u8>, Strings)> = None;
    loop {
        let (name, arguments) = script.as_ref().map_or((path, arguments), |(name, list)| (name, list));
        let mut head = [0; HEAD_SIZE];
        let length = file.read_at(0, &mut head).map_err(|error| Errno::new(error.0))?;
        let head = &head[..length];
        if !head.starts_with(b"#!") {
            return load(&file, path, arguments, environment);
        }
        levels.enter().map_err(|error| Errno::new(error.errno()))?;
        let line = Script::parse(head).ok_or(Errno::ENOEXEC)?;
        let arguments = line.arguments(name, arguments).map_err(|error| Errno::new(error.errno()))?;
        let interpreter = line.interpreter.to_vec();
        file = open(start, &interpreter)?;
        script = Some((interpreter, arguments));
    }
}

/// Loads a program that is no script.
fn load(
    file: &Arc<FileObject>,
    path: &[u8],
    arguments: &Strings,
    environment: &Strings,
) -> Result<Loaded, ExecError> {
    let image = Image::read(&**file, Role::Program).map_err(|error| Errno::new(error.errno()))?;
    let space = Space::new(Layout::new(TOP, MMAP_BASE)).map_err(|_| Errno::ENOMEM)?;
    let base = match image.kind() {
        programs::elf::Kind::Fixed => 0,
        _ if image.interpreter().is_some() => PROGRAM_BASE,
        _ => MMAP_BASE - (1 << 32),
    };
    let plan = place(&space, file, &image, base)?;
    let mut aux = AuxValues::of(&image, &plan);
    let mut entry = plan.entry;
    if let Some(path) = image.interpreter() {
        let file = open(&Start::ROOT, path)?;
        let image = Image::read(&*file, Role::Interpreter).map_err(|error| Errno::new(error.errno()))?;
        let span = image.span();
        let plan = place(&space, &file, &image, MMAP_BASE - (1 << 31) - (span.end - span.start))?;
        aux.base = image.bias_at(plan.mappings.first().map_or(0, |mapping| mapping.start));
        entry = plan.entry;
    }
    aux.vdso = Some(VDSO);
    (aux.hwcap, aux.hwcap2) = (cpu::registers().hwcap(), cpu::registers().hwcap2());
    space.change(|maps, _| maps.set_brk(plan.end, 0));
    let random = crate::clock::random();
    let contents = Contents { arguments, environment, path, random, aux: &aux };
    let stack =
        start::layout(&contents, STACK_TOP, arguments.limit()).map_err(|error| Errno::new(error.errno()))?;
    put_stack(&space, &stack)?;
    space.set_program(Program {
        file: file.clone(),
        auxv: stack.auxv().to_vec(),
        arguments: stack.arguments.clone(),
        environment: stack.environment.clone(),
        code: span(&plan, Protection::EXECUTE),
        data: span(&plan, Protection::WRITE),
        stack: stack.sp,
    });
    put_vdso(&space)?;
    let mut frame = Frame::zeroed();
    (frame.sp, frame.pc) = (stack.sp, entry);
    Ok(Loaded { space: Arc::new(space), frame })
}

/// Opens a file that is to be executed.
fn open(start: &Start, path: &[u8]) -> Result<Arc<FileObject>, Errno> {
    // Nothing else has a program in it.
    executable(fs::find(start, path, LastLink::Follow)?.object().map_err(|_| Errno::EACCES)?)
}

/// A file, if it can be executed.
fn executable(file: Arc<FileObject>) -> Result<Arc<FileObject>, Errno> {
    let tree = fs::tree();
    let executable = tree.kind(file.inode())? == Kind::Regular && tree.stat(file.inode())?.mode & 0o111 != 0;
    drop(tree);
    if executable { Ok(file) } else { Err(Errno::EACCES) }
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

/// The addresses from the first to the last page of a program's file with this permission.
fn span(plan: &MapPlan, protection: Protection) -> Range<u64> {
    let of_file = |mapping: &&programs::elf::Mapping| {
        mapping.protection.contains(protection) && matches!(mapping.source, Source::File { .. })
    };
    let mut found = plan.mappings.iter().filter(of_file);
    let first = found.next();
    first.map_or(0..0, |first| first.start..found.next_back().unwrap_or(first).end())
}

/// The last part of a path: what a program is called.
pub(super) fn name_of(path: &[u8]) -> Vec<u8> {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path).to_vec()
}

impl Task {
    /// Names the task after the program at a path.
    pub(super) fn set_name(&self, path: &[u8]) {
        let mut name = [0; 16];
        name.iter_mut().take(15).zip(name_of(path)).for_each(|(to, byte)| *to = byte);
        *self.name.lock() = name;
    }
}

/// execve: the running task goes on as another program, and the other threads of its process end. A `file` is what is executed, and the path
/// then only its name. Thread context; may sleep.
///
/// # Errors
/// As execve(2). The old program goes on then.
pub fn execve(
    task: &Task,
    frame: &mut Frame,
    start: &Start,
    path: &[u8],
    file: Option<Arc<FileObject>>,
    arguments: &Strings,
    environment: &Strings,
) -> Result<(), Errno> {
    let file = file.map_or_else(|| open(start, path), executable)?;
    let loaded = exec_file(start, file, path, arguments, environment)?;
    end_others(task)?;
    task.leave_space(Some(loaded.space));
    let before = become_first(task);
    // Another process may have begun to wait for a lock of the thread's old number meanwhile.
    pi::turn_away_late(task);
    task.robust_list.store(0, Relaxed);
    let closed = task.process.files.lock().take_close_on_exec();
    drop(closed);
    *task.process.name.lock() = name_of(path);
    task.set_name(path);
    let delivery = task.process.delivery.lock();
    if let Some((entry, at)) = table().own(task) {
        entry.actions.reset_handlers();
        entry.drop_timers();
        entry.members[at].alternate = signals::AltStack::DISABLED;
        entry.members[at].fault = None;
    }
    drop(delivery);
    task.exec_drops_events();
    super::load_fp(&[0; 32], 0, 0);
    crate::write_sysreg!("tpidr_el0", 0);
    task.take_restart();
    (frame.x, frame.sp, frame.pstate) = ([0; 31], loaded.frame.sp, 0);
    frame.move_to(loaded.frame.pc);
    task.has_executed(frame, before);
    Ok(())
}

/// Makes the only task of the process its first thread, with the process's number, whichever thread it was. Its robust locks have been given
/// away before: they name their owner by the old number. Returns the number that it had.
fn become_first(task: &Task) -> Pid {
    let before = task.tid();
    let mut table = table();
    if let Some((entry, _)) = table.own(task) {
        // How other threads have ended counts no more.
        entry.exits = None;
        let tracer = entry.first_tracer.take();
        task.tid.store(task.process.pid, Relaxed);
        if let Some(tracer) = tracer {
            table.count_tracee_out(tracer.process);
        }
    }
    before
}

/// Ends the other threads of the process, and waits until they are gone.
///
/// # Errors
/// EAGAIN if another thread ends this one: of several threads that call execve at once the first one goes on. EINTR if the process ends.
fn end_others(task: &Task) -> Result<(), Errno> {
    let own: Pid = task.tid();
    if let Some((entry, _)) = table().own(task) {
        if task.ends.load(Relaxed) {
            return Err(Errno::EAGAIN);
        }
        for member in entry.members.iter().filter(|member| member.task.tid() != own) {
            member.task.ends.store(true, Relaxed);
            member.task.alert();
        }
    }
    let alone = || match table().own(task) {
        Some((entry, _)) => (entry.members.len() == 1).then_some(()),
        None => Some(()),
    };
    let ends = || interrupted() && task.process.ends.load(Relaxed);
    task.process.changed.wait_unless(ends, alone).map_err(|_| Errno::EINTR)
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
