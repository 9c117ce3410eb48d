//! Which programs of `tests/user` are run, how they are linked, and with which system calls.

use crate::user::Linking::{self, GlibcDynamic, GlibcStatic, GlibcStaticPie, MuslDynamic, MuslStatic};

/// A program that is run.
pub struct Run {
    /// The name of the test.
    pub suite: &'static str,
    /// The name of the source, without its ending.
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    /// Lines that the console must show, in which `*` stands for any text.
    pub prints: &'static [&'static str],
    /// How it is linked. Empty for a script, which busybox runs.
    pub linkings: &'static [Linking],
    /// Those of `linkings` that the quick matrix tries, if it does not try all.
    pub quick: &'static [Linking],
    /// What else is in `/bin`: programs of `tests/user`, linked with glibc dynamically, and tracers, by their names. A path is that of another
    /// file of the tracers, which keeps it.
    pub with: &'static [&'static str],
    /// The only system calls that it has; empty if it has all.
    pub calls: &'static str,
    /// Whether the machine has the second line, whose other end sends back what it gets.
    pub line: bool,
    /// How many CPUs it runs with, if not with as many as the machine has.
    pub cpus: Option<u8>,
    /// More boot arguments.
    pub boot: &'static str,
}

/// A program that reports its checks itself, and needs no arguments.
const fn checks(suite: &'static str, name: &'static str) -> Run {
    Run {
        suite,
        name,
        arguments: &[],
        prints: &[],
        linkings: &Linking::ALL,
        quick: &Linking::ALL,
        with: &[],
        calls: "",
        line: false,
        cpus: None,
        boot: "",
    }
}

/// A program that takes long, in two linkings.
const fn long(suite: &'static str, name: &'static str, arguments: &'static [&'static str]) -> Run {
    Run { arguments, linkings: &[GlibcDynamic, MuslStatic], ..checks(suite, name) }
}

/// A program that takes seconds and is the same in all linkings but for what the C library does in between.
const fn same(suite: &'static str, name: &'static str) -> Run {
    Run { quick: &[GlibcDynamic, MuslStatic], ..checks(suite, name) }
}

/// A program that has these system calls only, all of which programs of its kind need on Linux.
const fn limited(
    suite: &'static str,
    name: &'static str,
    linkings: &'static [Linking],
    calls: &'static str,
) -> Run {
    Run { linkings, calls, ..checks(suite, name) }
}

/// What gdb finds threads with. It opens this library by its name.
const LIBTHREAD_DB: &str = "/lib/aarch64-linux-gnu/libthread_db.so.1";
const HELLO: &[&str] = &["hello, world"];

pub const RUNS: &[Run] = &[
    Run { arguments: &["0"], prints: HELLO, ..checks("user.hello", "hello") },
    checks("user.args", "args"),
    checks("user.calls", "calls"),
    checks("user.duo", "duo"),
    Run {
        prints: &[
            "fatal[*]: SIGTRAP at 0x* (goes_wrong+0x* in *fatal), address 0x*, ESR 0xf2000007",
            "fatal[*]: SIGSEGV at 0x* (writes_nowhere+0x* in *fatal), address 0x10, ESR 0x920000*",
            "fatal[*]: SIGILL at 0x* (undefined+0x* in *fatal), address 0x*, ESR 0x2000000",
            "fatal[*]: SIGSEGV at 0x* (__kernel_clock_gettime+0x* in [vdso]), address 0x10, ESR 0x920000*",
            "fatal[*]: SIGSEGV at 0x10, address 0x10, ESR 0x820000*",
        ],
        ..checks("user.fatal", "fatal")
    },
    checks("user.files", "files"),
    checks("user.fork", "fork"),
    checks("user.limits", "limits"),
    Run { line: true, linkings: &[GlibcDynamic, MuslStatic], ..checks("user.line", "line") },
    checks("user.memory", "memory"),
    Run { linkings: &[GlibcDynamic, MuslStatic], ..checks("user.pi", "pi") },
    checks("user.proc", "proc"),
    Run {
        linkings: &[MuslStatic],
        cpus: Some(4),
        boot: "hz=10000",
        ..long("user.ptrace_crowd", "ptrace_crowd", &["200", "100", "10"])
    },
    Run { linkings: &[GlibcDynamic, MuslStatic], ..checks("user.ptrace_events", "ptrace_events") },
    Run { linkings: &[GlibcDynamic, MuslStatic], ..checks("user.ptrace_regs", "ptrace_regs") },
    Run { linkings: &[GlibcDynamic, MuslStatic], ..checks("user.ptrace_requests", "ptrace_requests") },
    Run { linkings: &[GlibcDynamic, MuslStatic], ..checks("user.ptrace_step", "ptrace_step") },
    Run { linkings: &[GlibcDynamic, MuslStatic], ..checks("user.ptrace_stops", "ptrace_stops") },
    Run { linkings: &[MuslStatic], ..checks("user.ptrace_hw", "ptrace_hw") },
    // With one CPU: its tracees spin, and where QEMU runs all CPUs by turns (icount) that can keep the next one from ever having a turn.
    // `cargo xtask fuzz --tracers` has four.
    Run {
        linkings: &[MuslStatic],
        cpus: Some(1),
        ..long("user.ptrace_fuzz", "ptrace_fuzz", &["20000", "1"])
    },
    checks("user.registers", "registers"),
    checks("user.signals", "signals"),
    same("user.threads", "threads"),
    same("user.timers", "timers"),
    checks("user.trap", "trap"),
    checks("user.vdso", "vdso"),
    same("user.watch", "watch"),
    // With one CPU only: thousands of tasks that end hold the lock of the table of tasks for long, and virtual CPUs that wait for it keep a
    // busy host from the one that has it.
    Run { cpus: Some(1), quick: &[MuslStatic], ..long("user.bomb", "bomb", &[]) },
    long("user.rounds", "rounds", &["1000"]),
    Run { linkings: &[MuslStatic], ..long("user.fuzz", "fuzz", &["20000", "1"]) },
    Run { linkings: &[], ..checks("user.script", "script") },
    Run { linkings: &[], with: &["strace", "hello", "duo"], ..checks("user.strace", "strace") },
    Run { linkings: &[], with: &["gdb", "sums", LIBTHREAD_DB], ..checks("user.gdb", "gdb") },
    Run {
        arguments: &["0"],
        prints: HELLO,
        ..limited(
            "calls.hello_glibc_static",
            "hello",
            &[GlibcStatic, GlibcStaticPie],
            "execve,brk,mprotect,write,exit_group",
        )
    },
    Run {
        arguments: &["0"],
        prints: HELLO,
        ..limited(
            "calls.hello_musl",
            "hello",
            &[MuslStatic, MuslDynamic],
            "execve,mmap,mprotect,writev,exit_group",
        )
    },
    Run {
        arguments: &["0"],
        prints: HELLO,
        ..limited(
            "calls.hello_glibc_dynamic",
            "hello",
            &[GlibcDynamic],
            "execve,mmap,mprotect,openat,read,close,newfstatat,write,exit_group",
        )
    },
    limited(
        "calls.threads_glibc",
        "duo",
        &[GlibcStatic],
        "execve,brk,mprotect,write,exit_group,mmap,rt_sigaction,rt_sigreturn,clone,futex,exit,gettid,getpid,tgkill",
    ),
    limited(
        "calls.threads_musl",
        "duo",
        &[MuslStatic],
        "execve,mmap,mprotect,writev,exit_group,rt_sigaction,rt_sigreturn,clone,futex,exit,gettid,getpid,tkill,set_tid_address",
    ),
    limited(
        "calls.script",
        "calls",
        &[],
        "execve,brk,mprotect,write,exit_group,openat,read,close,fcntl,clone,wait4,rt_sigaction,rt_sigreturn,dup3,pipe2,newfstatat,\
         getdents64,getuid",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_by_their_beginnings() {
        let mut names: Vec<_> = RUNS.iter().map(|run| run.suite).collect();
        assert!(RUNS.iter().all(|run| run.suite.starts_with(if run.calls.is_empty() {
            "user."
        } else {
            "calls."
        })));
        assert!(RUNS.iter().all(|run| !run.calls.contains(' ')), "a blank would end the boot argument");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RUNS.len());
    }
}
