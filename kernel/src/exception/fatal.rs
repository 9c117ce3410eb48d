//! The kernel's end (M7): exceptions are masked, steps are dropped, the other CPUs are stopped, and a report is
//! printed.

use super::apply;
use super::frame::Frame;
use super::live;
use super::reason::Reason;
use crate::arch::{daif, mdscr};
use crate::console;
use crate::debug::{self, control};
use crate::percpu;
use crate::report::backtrace::Backtrace;
use crate::report::power;
use crate::report::symbols::Shown;
use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Release, SeqCst},
};
use rules::pstate::Daif;
use rules::table::{Masks, RowId, Ss};

const M7: u8 = RowId::M7 as u8;

/// Functions that the image adds to the kernel's end.
pub struct Hook {
    /// Called before the report, when M7 was applied because of the exception in the frame. If a test has provoked the
    /// end, this function goes on with the test instead of returning, and there is no report. All exceptions are
    /// masked; the function takes no lock and does not allocate.
    pub caught: fn(&Frame),
    /// Adds lines to the end of the report, each by one call of the [`Say`] that it is given. All exceptions are masked
    /// and the other CPUs are stopped; the function takes no lock and does not allocate.
    pub last_words: fn(&Say),
}

/// Prints a line of the report.
pub type Say = dyn Fn(fmt::Arguments);

static HOOKS: AtomicPtr<&[Hook]> = AtomicPtr::new(core::ptr::null_mut());

/// Sets the hooks, in the order in which they are called, in place of all hooks that were set before. The image calls
/// this function before it starts anything that needs its hooks. Any context.
pub fn register_hooks(hooks: &'static &'static [Hook]) {
    HOOKS.store(core::ptr::from_ref(hooks).cast_mut(), Release);
}

fn hooks() -> &'static [Hook] {
    // SAFETY: the pointer is null, or the argument of `register_hooks`, a `'static` reference.
    unsafe { HOOKS.load(Acquire).as_ref() }.copied().unwrap_or(&[])
}

/// The index of the CPU that makes the report, or `usize::MAX` as long as there is no report.
static REPORTER: AtomicUsize = AtomicUsize::new(usize::MAX);

macro_rules! say {
    ($($arg:tt)*) => { console::print_regardless(format_args!("{}\n", format_args!($($arg)*))) };
}

/// Ends the kernel because of the exception in `frame`. `rule` is the rule by which the exception was dealt with. Any
/// context.
pub fn fatal(frame: &mut Frame, rule: &str, reason: Reason) -> ! {
    enter_panic(Some(frame));
    for hook in hooks() {
        (hook.caught)(frame);
    }
    let stuck = begin();
    say!("panic: {}", Described(reason, frame));
    state(rule, stuck, Some(frame));
    registers(frame);
    say!("backtrace:");
    console::print_regardless(format_args!("{}", Backtrace { pc: frame.pc, fp: frame.x[29] }));
    end()
}

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    enter_panic(None);
    let stuck = begin();
    match info.location() {
        Some(at) => say!("panic: {} ({}:{})", info.message(), at.file(), at.line()),
        None => say!("panic: {}", info.message()),
    }
    state("M7", stuck, None);
    say!("backtrace:");
    console::print_regardless(format_args!("{}", Backtrace::here()));
    end()
}

/// Does what the row M7 of the rule table says. There is no frame if the kernel ends by a panic.
fn enter_panic(frame: Option<&mut Frame>) {
    if matches!(live::masks::<M7>(), Masks::Masked) {
        daif::set::<{ daif::ALL }>();
    }
    let mut none = Frame::zeroed();
    // SAFETY: D is masked, unless a boot argument has the row M7 open it; then the kernel still ends here, on this CPU.
    let cpu = unsafe { debug::masked() };
    let frame = frame.unwrap_or(&mut none);
    let _ = apply::set_aside::<M7>(cpu, frame);
    if live::ss::<M7>() == Ss::Clear {
        // `set_aside` has cleared SS only if there were owners. SS is cleared here in any case, because at the kernel's
        // end the owners, or the shadow of MDSCR_EL1, may be wrong.
        control::force(cpu, mdscr::read() & !mdscr::SS);
    }
    apply::open::<M7>(cpu, frame);
}

/// Makes this CPU the reporter and stops all other CPUs. Returns the CPUs that did not stop, one bit for each. If
/// another CPU is the reporter, this CPU stops here. If this CPU is the reporter already, the kernel has failed in its
/// report, and is powered off.
fn begin() -> u64 {
    let me = percpu::index();
    match REPORTER.compare_exchange(usize::MAX, me, SeqCst, SeqCst) {
        Ok(_) => crate::smp::stop_others(),
        Err(reporter) if reporter == me => {
            say!("panic: another panic during the report; the report above is incomplete");
            power::exit(power::PANIC)
        }
        Err(_) => {
            daif::set::<{ daif::ALL }>();
            crate::smp::end_this_cpu(me)
        }
    }
}

/// Prints the debug state of this CPU, and which CPUs did not stop (`stuck`).
fn state(rule: &str, stuck: u64, frame: Option<&Frame>) {
    let cpu = debug::this();
    let ss = mdscr::read() & mdscr::SS;
    say!("cpu{}, rule {rule} in force, now M7: masks {}, MDSCR_EL1.SS {ss}", percpu::index(), daif::read());
    if let Some(frame) = frame {
        say!("interrupted context: masks {}", Daif::of(frame.pstate));
    }
    say!("debug depth {}, owners {:?}, stash {}", cpu.depth.get(), cpu.owners.get(), cpu.stash_len.get());
    if stuck == 0 {
        say!("all other CPUs stopped");
    }
    for other in (0..percpu::MAX_CPUS).filter(|other| stuck & 1 << other != 0) {
        say!("cpu{other} did not stop: it has interrupts off");
    }
}

fn registers(frame: &Frame) {
    say!("pc  {:016x} {}", frame.pc, Shown(frame.pc));
    say!("esr {:016x} far {:016x} pstate {:016x} sp {:016x}", frame.esr, frame.far, frame.pstate, frame.sp);
    for (row, values) in frame.x.chunks(4).enumerate() {
        console::print_regardless(format_args!("x{:<2}", row * 4));
        for value in values {
            console::print_regardless(format_args!(" {value:016x}"));
        }
        say!("");
    }
}

fn end() -> ! {
    for hook in hooks() {
        (hook.last_words)(&|text| say!("{text}"));
    }
    say!("end of report");
    power::exit(power::PANIC)
}

struct Described<'a>(Reason, &'a Frame);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(reason, frame) = self;
        match reason {
            Reason::UnknownBrk => write!(f, "unexpected BRK #{:#x}", frame.esr & 0xffff),
            Reason::Bug(site) => write!(f, "BUG at {}:{}: {}", site.file, site.line, site.text),
            Reason::Fault => {
                write!(f, "{} at {:#x}, FAR {:#x}", class_name(frame.class()), frame.pc, frame.far)
            }
            // ELR_EL1 is the address behind the SVC.
            Reason::Svc => write!(f, "SVC #{:#x} at {:#x}, from EL1", frame.esr & 0xffff, frame.pc - 4),
            Reason::StackOverflow => write!(f, "stack overflow: SP {:#x}", frame.sp),
            Reason::ProbesTooDeep => write!(f, "probes nest too deep at {}", Shown(frame.pc)),
            Reason::SError => write!(f, "SError, ESR {:#x}", frame.esr),
            Reason::OnSpEl0 => f.write_str("exception with SP_EL0 as the stack pointer"),
            Reason::FromAarch32 => f.write_str("exception from AArch32, which nothing runs in"),
        }
    }
}

fn class_name(class: u64) -> &'static str {
    use super::frame::ec;
    match class {
        ec::UNKNOWN => "undefined instruction",
        ec::ILLEGAL_STATE => "illegal execution state",
        ec::INSTRUCTION_ABORT_SAME => "instruction abort",
        ec::PC_ALIGNMENT => "misaligned PC",
        ec::DATA_ABORT_SAME => "data abort",
        ec::SP_ALIGNMENT => "misaligned SP",
        _ => "unexpected exception",
    }
}
