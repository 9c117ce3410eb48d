//! The files of `/proc` and `/sys` that are texts, or bytes that are copied as they are.

use crate::clock;
use crate::errno::Errno;
use crate::fs::node::Content;
use crate::fs::{self, terminal};
use crate::mm::{layout::PAGE, pages};
use crate::sched::{self, Mutex, Policy};
use crate::smp::cpus;
use crate::space::{Backing, Program, Right, Space, Usage};
use crate::syscall::NAMES;
use crate::task::{self, Facts, PID_LIMIT, Subject};
use alloc::vec::Vec;
use core::ops::Range;
use linux_raw_sys::general as raw;
use procfs::{
    Addresses, Entry, Fixed, MapsLine, MemInfo, Name, ProcessStat, Statm, Status, SystemStat, Text,
};

/// USER_HZ: nanoseconds of the ticks in which times are told.
const TICK: u64 = 10_000_000;

/// A text. It is made when it is read from its beginning; reads behind that see the same text, as long as the file is open.
pub struct File {
    name: Name,
    of: Option<Subject>,
    text: Mutex<Option<Vec<u8>>>,
}

impl File {
    /// A file that nobody has read yet.
    pub fn new(name: Name, of: Option<Subject>) -> Self {
        Self { name, of, text: Mutex::new(None) }
    }
}

impl Content for File {
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<usize, Errno> {
        let mut text = self.text.lock();
        if offset == 0 || text.is_none() {
            *text = None;
            *text = Some(make(self.name, self.of.as_ref())?);
        }
        let rest = text.as_deref().unwrap_or_default();
        let rest = usize::try_from(offset).ok().and_then(|offset| rest.get(offset..)).unwrap_or_default();
        let count = rest.len().min(to.len());
        to[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write(&self, _: u64, from: &[u8]) -> Result<usize, Errno> {
        match (self.name, &self.of) {
            (Name::Of { entry: Entry::Comm, .. }, Some(of)) => {
                of.set_name(&from[..from.len().min(15)])?;
                Ok(from.len())
            }
            _ => Err(Errno::EINVAL),
        }
    }
}

fn make(name: Name, of: Option<&Subject>) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    match name {
        Name::Fixed(file) => of_system(file, &mut text).map_err(|_| Errno::ENOMEM)?,
        Name::Of { entry, .. } => of_process(entry, of.ok_or(Errno::ESRCH)?, &mut text)?,
    }
    Ok(text.into_bytes())
}

/// How long the CPUs had nothing to do for programs, in nanoseconds.
fn idle() -> u64 {
    let all = clock::nanoseconds().saturating_mul(cpus::online_count() as u64);
    all.saturating_sub(task::run_time())
}

fn of_system(file: Fixed, to: &mut Text) -> procfs::Result {
    match file {
        Fixed::MemInfo => {
            let files = fs::tree().statfs();
            let (total, free) = (pages::total() as u64, pages::free() as u64);
            MemInfo { total, free, cached: files.blocks - files.blocks_free }.write(to)
        }
        Fixed::Stat => SystemStat {
            user: task::run_time() / TICK,
            idle: idle() / TICK,
            switches: sched::reschedules(),
            boot_time: (fs::now().sec as u64).saturating_sub(clock::nanoseconds() / 1_000_000_000),
            running: task::running(),
        }
        .write(to),
        Fixed::Uptime => procfs::uptime(clock::nanoseconds(), idle(), to),
        Fixed::Version => procfs::version(NAMES[0], NAMES[2], NAMES[3], to),
        Fixed::PidMax => to.bytes(alloc::format!("{PID_LIMIT}\n").as_bytes()),
        Fixed::CpuOnline | Fixed::CpuPossible | Fixed::CpuPresent => {
            procfs::cpu_list(cpus::online().fold(0, |set, cpu| set | 1 << cpu), to)
        }
        // Links and directories, which are not opened as texts.
        _ => Ok(()),
    }
}

fn of_process(entry: Entry, of: &Subject, to: &mut Text) -> Result<(), Errno> {
    let no_memory = |_| Errno::ENOMEM;
    let facts = of.facts()?;
    let space = of.space();
    let program = space.as_ref().and_then(|space| space.program());
    match entry {
        Entry::Auxv => to.bytes(program.as_ref().map_or(&[], |program| &program.auxv)).map_err(no_memory),
        Entry::Cmdline => strings(space.as_deref(), program.as_ref().map(|program| &program.arguments), to),
        Entry::Environ => strings(space.as_deref(), program.as_ref().map(|program| &program.environment), to),
        Entry::Comm => {
            to.bytes(name(&of.name()?)).map_err(no_memory)?;
            to.bytes(b"\n").map_err(no_memory)
        }
        Entry::FdInfo(number) => descriptor(of, number.into(), to),
        Entry::Maps => space.map_or(Ok(()), |space| maps(&space, to).map_err(no_memory)),
        Entry::Mounts => {
            procfs::mounts(&[("/", "tmpfs"), ("/proc", "proc"), ("/sys", "sysfs")], to).map_err(no_memory)
        }
        Entry::Stat => stat(of, &facts, space.as_deref(), program.as_deref(), to),
        Entry::Statm => {
            let usage = space.map_or_else(Usage::default, |space| space.usage());
            statm(&usage, program.as_deref()).write(to).map_err(no_memory)
        }
        Entry::Status => status(of, &facts, space.as_deref(), program.as_deref(), to),
        _ => Ok(()),
    }
}

/// What `fdinfo` tells of a descriptor. Every file counts as one of the same mount.
fn descriptor(of: &Subject, number: u64, to: &mut Text) -> Result<(), Errno> {
    let process = of.shared().ok_or(Errno::ENOENT)?;
    let (file, closes) = {
        let mut files = process.files.lock();
        let file = files.get(number).map_err(|_| Errno::ENOENT)?;
        (file, files.closes_on_exec(number)?)
    };
    let flags = file.flags() | if closes { raw::O_CLOEXEC } else { 0 };
    let inode = match file.object() {
        Some(object) => fs::tree().stat(object.inode())?.number,
        None => 0,
    };
    let offset = *file.offset.lock();
    let line = alloc::format!("pos:\t{offset}\nflags:\t0{flags:o}\nmnt_id:\t1\nino:\t{inode}\n");
    to.bytes(line.as_bytes()).map_err(|_| Errno::ENOMEM)
}

/// A name without the NULs behind it.
fn name(name: &[u8; 16]) -> &[u8] {
    name.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The strings at these addresses, as the program has them now.
fn strings(space: Option<&Space>, range: Option<&Range<u64>>, to: &mut Text) -> Result<(), Errno> {
    let (Some(space), Some(range)) = (space, range) else { return Ok(()) };
    let mut piece = [0; 256];
    let mut at = range.start;
    while at < range.end {
        let wanted = (range.end - at).min(piece.len() as u64) as usize;
        let count = space.peek(at, &mut piece[..wanted], Right::Tracer);
        to.bytes(&piece[..count]).map_err(|_| Errno::ENOMEM)?;
        if count < wanted {
            break;
        }
        at += count as u64;
    }
    Ok(())
}

fn maps(space: &Space, to: &mut Text) -> procfs::Result {
    let stack = space.program().map_or(0, |program| program.stack);
    space.look(|maps| {
        maps.iter().try_for_each(|mapping| {
            let path = match &mapping.backing {
                Backing::Object(object) => object.path(),
                // Linux: `vma_is_initial_heap` and `vma_is_initial_stack`.
                Backing::Anonymous if mapping.start <= maps.brk_now() && mapping.end > maps.brk_start() => {
                    "[heap]".into()
                }
                Backing::Anonymous if mapping.contains(stack) => "[stack]".into(),
                Backing::Anonymous => Default::default(),
            };
            let (device, inode) = match &mapping.backing {
                Backing::Object(object) => object.identity(),
                Backing::Anonymous => (0, 0),
            };
            let line = MapsLine {
                range: mapping.range(),
                letters: mapping.letters(),
                offset: mapping.offset,
                device: ((device >> 8) as u32 & 0xfff, device as u32 & 0xff),
                inode,
                name: path.as_bytes(),
            };
            line.write(to)
        })
    })
}

fn statm(usage: &Usage, program: Option<&Program>) -> Statm {
    Statm {
        size: usage.mapped,
        resident: usage.resident,
        shared: usage.of_objects,
        text: program.map_or(0, |program| (program.code.end - program.code.start) / PAGE as u64),
        data: usage.data + usage.stack,
    }
}

/// The SCHED_* number, the realtime priority, the nice value, and the priority as `stat` shows it, of a policy.
fn policy(policy: Policy) -> (u32, u32, i32, i32) {
    match policy {
        Policy::Fifo(level) => (raw::SCHED_FIFO, level.into(), 0, -1 - i32::from(level)),
        Policy::Rr(level) => (raw::SCHED_RR, level.into(), 0, -1 - i32::from(level)),
        Policy::Fair(nice) => (raw::SCHED_NORMAL, 0, nice.into(), 20 + i32::from(nice)),
        Policy::Idle => (raw::SCHED_IDLE, 0, 0, 20),
    }
}

/// The number of a session's terminal, as `stat` shows it, and its foreground group, if the session has a terminal.
fn terminal_of(session: u32) -> (u32, i32) {
    let found = if session == 0 { None } else { terminal::of_session(session) };
    found.map_or((0, -1), |(terminal, numbers)| {
        let foreground = terminal.job().foreground.map_or(-1, u32::cast_signed);
        (numbers.major << 8 | numbers.minor, foreground)
    })
}

fn stat(
    of: &Subject,
    facts: &Facts,
    space: Option<&Space>,
    program: Option<&Program>,
    to: &mut Text,
) -> Result<(), Errno> {
    let usage = space.map_or_else(Usage::default, Space::usage);
    let (number, rt_priority, nice, priority) = policy(facts.policy);
    let addresses = |range: fn(&Program) -> &Range<u64>| {
        program.map_or_else(Addresses::default, |program| range(program).into())
    };
    let comm = of.name()?;
    let line = ProcessStat {
        pid: facts.id,
        comm: name(&comm),
        state: facts.state,
        ppid: facts.parent,
        pgrp: facts.group,
        session: facts.session,
        tty: terminal_of(facts.session),
        utime: facts.run_time / TICK,
        cutime: facts.children_time / TICK,
        priority,
        nice,
        num_threads: facts.threads,
        starttime: facts.started / TICK,
        vsize: usage.mapped * PAGE as u64,
        rss: usage.resident,
        code: addresses(|program| &program.code),
        startstack: program.map_or(0, |program| program.stack),
        signal: facts.pending[0].0,
        blocked: facts.blocked.0,
        sigignore: facts.ignored.0,
        sigcatch: facts.caught.0,
        exit_signal: facts.exit_signal,
        processor: facts.cpu,
        rt_priority,
        policy: number,
        data: addresses(|program| &program.data),
        start_brk: space.map_or(0, |space| space.look(maps::Maps::brk_start)),
        arg: addresses(|program| &program.arguments),
        env: addresses(|program| &program.environment),
        exit_code: facts.exit_code,
    };
    line.write(to).map_err(|_| Errno::ENOMEM)
}

fn status(
    of: &Subject,
    facts: &Facts,
    space: Option<&Space>,
    program: Option<&Program>,
    to: &mut Text,
) -> Result<(), Errno> {
    let shared = of.shared();
    let umask = shared.as_ref().map_or(0, |process| process.place.lock().umask);
    let descriptors = shared.map_or(0, |process| process.files.lock().room());
    let comm = of.name()?;
    let lines = Status {
        name: name(&comm),
        umask,
        state: facts.state,
        tgid: facts.pid,
        pid: facts.id,
        ppid: facts.parent,
        tracer: facts.tracer,
        pgrp: facts.group,
        session: facts.session,
        descriptors,
        memory: space.map(Space::usage).map(|usage| (statm(&usage, program), usage.stack)),
        threads: facts.threads,
        queued: facts.queued,
        pending: facts.pending.map(|set| set.0),
        blocked: facts.blocked.0,
        ignored: facts.ignored.0,
        caught: facts.caught.0,
        cpus: facts.affinity.0,
    };
    lines.write(to).map_err(|_| Errno::ENOMEM)
}
