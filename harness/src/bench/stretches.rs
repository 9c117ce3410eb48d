//! Runs each path a few times between two marks. The host finds the marks in QEMU's log of every instruction, and counts the longest
//! stretches of instructions with PSTATE.D set and with PSTATE.I set.

use super::place::{
    after, branch, empty_brk, install, must, on_target, on_watched, remove, run_on, skip, target, with_probe,
    with_slot, write_watched,
};
use super::program::{self, Act, Foremost, Program, word};
use super::{REACHED, reached, wait, with_timer, without_tick};
use alloc::boxed::Box;
use core::arch::naked_asm;
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use kernel::arch::{barrier, uaccess};
use kernel::debug::session::{self, Wish};
use kernel::debug::stats;
use kernel::drivers::gic::{self, Target};
use kernel::drivers::timer;
use kernel::exception::Frame;
use kernel::irq::{deferred, off, sgi};
use kernel::{kprobe, kwarn, percpu, println, sched, time};
use log::LevelFilter;
use rules::step::Owners;
use spin::Once;

/// How often each path is run. The first run may take another way than the others; the longest stretch of all runs counts.
const RUNS: usize = 3;
/// How many instructions after the timer is armed its interrupt comes. It then comes in the middle of an exception's entry.
const SOON: u64 = 60;

/// Begins the path with this number; the number 0 ends the current path. The host looks for this symbol in the log, and for the counter,
/// which is in x1 after the first instruction.
#[unsafe(no_mangle)]
#[unsafe(naked)]
extern "C" fn bench_mark(path: u64) {
    naked_asm!("mrs x1, cntvct_el0", "ret")
}

/// Runs all paths, each announced by a line `stretch: NUMBER NAME`.
pub fn run() {
    without_tick(|| {
        // The first breakpoint since boot does work that no later one does. The row `slot_install_first` has its cost, and a log of it
        // would be long.
        with_slot(&on_target(), || ());
        let mut paths = Paths(0);
        exceptions(&mut paths);
        interrupts(&mut paths);
        others(&mut paths);
        of_programs(&mut paths);
    });
}

struct Paths(u64);

impl Paths {
    /// Runs a path that consists of `operation` alone.
    fn path(&mut self, name: &str, operation: impl Fn()) {
        self.prepared(name, |marks| marks.around(&operation));
    }

    /// Runs a path with preparation or clean-up outside of the marks.
    fn prepared(&mut self, name: &str, mut run: impl FnMut(Marks)) {
        self.0 += 1;
        println!("stretch: {} {name}", self.0);
        for _ in 0..RUNS {
            run(Marks(self.0));
        }
    }

    /// A path that a program runs, with its own marks.
    fn program(&mut self, name: &str, act: Act) -> Program {
        self.0 += 1;
        println!("stretch: {} {name}", self.0);
        let program = Program::start(act, RUNS, 30);
        program.write(word::PATH, self.0);
        program
    }
}

#[derive(Clone, Copy)]
struct Marks(u64);

impl Marks {
    #[inline(always)]
    fn around<R>(self, operation: impl FnOnce() -> R) -> R {
        bench_mark(self.0);
        let result = operation();
        bench_mark(0);
        result
    }
}

/// The paths of debug exceptions, and of a fault.
fn exceptions(paths: &mut Paths) {
    paths.path("dbg_entry_exit", empty_brk);
    with_probe(target, skip, None, || paths.path("brk_bare", || target()));
    with_probe(branch, run_on, None, || paths.path("kprobe_sim", || branch()));
    with_probe(target, run_on, None, || paths.path("kprobe_ool", || target()));
    with_probe(target, run_on, Some(after), || paths.path("kprobe_pre_post", || target()));
    with_slot(&on_target(), || paths.path("hw_bp_kernel", || target()));
    with_slot(&on_watched(), || paths.path("hw_wp_kernel", write_watched));
    // One step: of the instruction behind the debugger's BRK.
    paths.path("step", || {
        assert!(session::step_with(|_| Wish::Run, || ()).is_ok(), "bench: D is masked");
    });
    paths.path("warn", || {
        let level = log::max_level();
        log::set_max_level(LevelFilter::Off);
        kwarn!(true);
        log::set_max_level(level);
    });
    paths.path("warn_printed", || {
        kwarn!(true);
    });
    paths.path("fault_fixed_up", || {
        assert!(uaccess::read_u8(0).is_err(), "bench: a read of address 0 does not fault")
    });
}

fn interrupts(paths: &mut Paths) {
    let interrupted = || {
        REACHED.store(0, Relaxed);
        timer::arm_after(SOON);
        wait();
    };
    with_timer(reached, || paths.path("irq", interrupted));
    with_timer(defers, || paths.path("irq_deferred", interrupted));
    with_slot(&on_target(), || {
        let before = stats::STASHES.here();
        let step_over = || {
            REACHED.store(0, Relaxed);
            timer::arm_after(SOON);
            target();
            wait();
        };
        with_timer(reached, || paths.path("irq_in_step_over", step_over));
        with_timer(defers, || paths.path("irq_in_step_over_deferred", step_over));
        let stashed = stats::STASHES.here() - before;
        assert_eq!(stashed, 2 * RUNS as u64, "bench: the interrupts missed the step-overs");
    });
    paths.prepared("tick", tick);
    reschedule(paths);
}

/// An interrupt whose handler leaves work for the way out.
fn defers(_: &mut Frame) {
    timer::stop();
    assert!(deferred::defer(|| REACHED.store(1, Relaxed)), "bench: no room for deferred work");
}

/// The kernel's own timer interrupt.
fn tick(marks: Marks) {
    // The CPU sleeps until shortly before the next tick, because a log of the wait would be long.
    let ahead = loop {
        time::resume();
        let ahead = kernel::read_sysreg!("cntv_cval_el0") - SOON * 10;
        if timer::now() < ahead {
            break ahead;
        }
    };
    with_timer(reached, || {
        REACHED.store(0, Relaxed);
        timer::arm_at(ahead);
        while REACHED.load(Relaxed) == 0 {
            off::wait();
        }
    });
    let before = time::ticks();
    marks.around(|| {
        time::resume();
        while time::ticks() == before {
            barrier::relax();
        }
    });
    time::pause();
}

/// Switches to another thread and back: by an interrupt that asks for a reschedule, and by `yield`.
fn reschedule(paths: &mut Paths) {
    static END: AtomicBool = AtomicBool::new(false);
    static TURNS: AtomicU64 = AtomicU64::new(0);
    END.store(false, Relaxed);
    let other = || {
        while !END.load(Acquire) {
            TURNS.fetch_add(1, Relaxed);
            sched::yield_now();
        }
    };
    let thread = must(sched::spawn(percpu::index(), "bench", Box::new(other)));
    let had_its_turn = |operation: &dyn Fn()| {
        let before = TURNS.load(Relaxed);
        operation();
        assert_eq!(TURNS.load(Relaxed), before + 1, "bench: turns of the other thread");
    };
    paths.path("irq_reschedule", || {
        had_its_turn(&|| {
            sched::want_reschedule();
            gic::send_sgi(sgi::RESCHEDULE, Target::Me);
            barrier::isb();
        });
    });
    paths.path("yield", || had_its_turn(&|| sched::yield_now()));
    END.store(true, Release);
    thread.join();
}

/// The first phase of M4, and what comes around it: debug exceptions of a program. The program has the marks. A hit is counted, or it is also
/// reported by a signal; a step is reported.
fn of_programs(paths: &mut Paths) {
    const STORES: u32 = 2;
    const EXECUTES: u32 = 4;
    let _foremost = Foremost::new();
    let slots = [
        ("user_bp", EXECUTES, program::spot(), false),
        ("user_wp", STORES, program::STORED, false),
        ("user_bp_signal", EXECUTES, program::spot(), true),
        ("user_wp_signal", STORES, program::STORED, true),
    ];
    for (name, kind, address, signal) in slots {
        let program = paths.program(name, Act::Path);
        let event = program.event(kind, address, signal);
        program.wait();
        let told = if signal { RUNS as u64 } else { 0 };
        assert_eq!((event.read().value, program.read(word::SIGNALS)), (RUNS as u64, told), "bench: {name}");
    }
    let program = STEPPED.call_once(|| paths.program("user_step_signal", Act::Step));
    with_timer(asks_for_step, || {
        timer::arm_after(STEP_EVERY);
        program.wait();
        timer::stop();
    });
    assert!(program.read(word::SIGNALS) >= RUNS as u64, "bench: the steps of a program");
}

/// How often a step of the program is asked for, in instructions.
const STEP_EVERY: u64 = 5000;
/// The program that is stepped.
static STEPPED: Once<Program> = Once::new();

/// An interrupt whose handler asks for a step of the program, if the program waits for one: in the handler of SIGTRAP a step would end it.
fn asks_for_step(frame: &mut Frame) {
    if let Some(program) = STEPPED.get().filter(|_| program::waits_at(frame.pc)) {
        program.task.debug.request_step(Owners::TRACER);
    }
    timer::arm_after(STEP_EVERY);
}

/// The paths that set and remove slots and probes.
fn others(paths: &mut Paths) {
    for (install_name, remove_name, request) in
        [("slot_install", "slot_remove", on_target()), ("slot_install_wp", "slot_remove_wp", on_watched())]
    {
        paths.prepared(install_name, |marks| remove(marks.around(|| install(&request))));
        paths.prepared(remove_name, |marks| {
            let id = install(&request);
            marks.around(|| remove(id));
        });
    }
    let address = target as *const () as u64;
    paths.prepared("kprobe_register", |marks| {
        must(marks.around(|| kprobe::register(address, Some(run_on), None)));
        must(kprobe::unregister(address));
    });
    paths.prepared("kprobe_unregister", |marks| {
        must(kprobe::register(address, Some(run_on), None));
        must(marks.around(|| kprobe::unregister(address)));
    });
}
