//! Starts further CPUs by PSCI, and initialises every CPU before it takes interrupts.

use super::cpus::{self, set_online};
use super::rendezvous;
use crate::arch::{daif, psci};
use crate::drivers::gic::{self, Priority};
use crate::irq::{off, sgi};
use crate::mm::{self, layout};
use crate::{debug, early, exception, percpu, time};
use boot::SecondaryArgs;
use core::fmt;
use core::ptr;
use core::sync::atomic::{
    AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use platform::MPIDR_AFFINITY;

/// The ticks per second that the first CPU has chosen, for further CPUs.
static HZ: AtomicU32 = AtomicU32::new(0);
/// The number of the timer's interrupt, for further CPUs.
static TIMER: AtomicU32 = AtomicU32::new(0);
/// The index of the CPU that came up last. Each further CPU writes it as soon as D, A, I, F are open.
pub static LAST_UP: AtomicUsize = AtomicUsize::new(0);
/// The index of the CPU that [`bring_up`] waits for, else [`NOBODY`]. That CPU takes its index out, and then comes online. A CPU
/// that comes late finds another value here, and waits until it is asked for again: it may come online only while `bring_up`
/// excludes rendezvous ([`rendezvous::exclude`]).
#[unsafe(link_section = ".noprobe.data")]
static AWAITED: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
/// The CPUs that were started but had not come up in time, one bit for each. The firmware would refuse to start them again.
static LATE: AtomicU64 = AtomicU64::new(0);

/// Initialises this CPU's interrupts, debug hardware and tick, and opens D, A, I, F. Called once on each CPU.
pub fn init_cpu(hz: u32, timer: u32) {
    let cpu = percpu::index();
    HZ.store(hz, Relaxed);
    TIMER.store(timer, Relaxed);
    let mpidr = crate::read_sysreg!("mpidr_el1") & MPIDR_AFFINITY;
    if let Err(error) = gic::init_cpu(cpu, mpidr) {
        panic!("cpu{cpu}: {error}");
    }
    let nmi = if off::by_priority() { Priority::Nmi } else { Priority::Normal };
    let ours = [
        (sgi::SLOTS, Priority::Normal),
        (sgi::RENDEZVOUS, Priority::Normal),
        (sgi::STOP, nmi),
        (sgi::RESCHEDULE, Priority::Normal),
        (sgi::TEST, Priority::Normal),
        (sgi::TEST_NMI, nmi),
        (timer, Priority::Normal),
    ];
    for (intid, priority) in ours {
        if let Err(error) = gic::enable(intid, priority) {
            panic!("cpu{cpu}: interrupt {intid}: {error}");
        }
    }
    crate::sched::init_cpu();
    crate::space::init_cpu();
    crate::arch::el0::init_cpu();
    // Online first, slots second: another CPU that sets a slot in between finds this CPU online and tells it (H5).
    set_online(cpu);
    // SAFETY: nothing has been unmasked on this CPU yet.
    debug::slots::init_cpu(unsafe { debug::masked() });
    time::init_cpu(hz);
    daif::clear::<{ daif::ALL }>();
}

/// The arguments with which each CPU starts. Each CPU has its own, because a CPU may still come up after the kernel has
/// stopped waiting for it ([`BringUpError::Silent`]).
static ARGS: [[AtomicU64; 3]; percpu::MAX_CPUS] =
    [const { [const { AtomicU64::new(0) }; 3] }; percpu::MAX_CPUS];

/// The affinity fields of MPIDR_EL1 of the CPU that booted.
static FIRST: AtomicU64 = AtomicU64::new(0);

/// Why a CPU does not come up. `Display` is one line that says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BringUpError {
    /// The device tree has no such CPU, or the kernel has no room for the CPU.
    NoSuchCpu {
        /// The index that was asked for.
        cpu: usize,
        /// How many CPUs there are.
        present: usize,
    },
    /// The CPU is online already.
    Online {
        /// The index of the CPU.
        cpu: usize,
    },
    /// The firmware refuses to start the CPU.
    Firmware {
        /// The index of the CPU.
        cpu: usize,
        /// The CPU's MPIDR_EL1.
        mpidr: u64,
        /// The error that `CPU_ON` has returned.
        error: smccc::psci::Error,
    },
    /// The firmware has started the CPU, but the CPU has not come up in time. It may be asked for again.
    Silent {
        /// The index of the CPU.
        cpu: usize,
    },
}

impl fmt::Display for BringUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoSuchCpu { cpu, present } => {
                write!(f, "there is no cpu{cpu}: the last of {present} is cpu{}", present.saturating_sub(1))
            }
            Self::Online { cpu } => write!(f, "cpu{cpu} is online already"),
            Self::Firmware { cpu, mpidr, error } => {
                write!(f, "cpu{cpu} (MPIDR {mpidr:#x}) does not start: {error}")
            }
            Self::Silent { cpu } => {
                write!(
                    f,
                    "cpu{cpu} was started, but has not come up in time: bring it up again to wait once more"
                )
            }
        }
    }
}

impl core::error::Error for BringUpError {}

/// How many CPUs there are, online or not started yet. Any context after boot.
pub fn present() -> usize {
    early::boot().platform.cpus.len().min(percpu::MAX_CPUS)
}

/// Starts the CPUs of the device tree, one after the other, until `most` are online; the others wait for [`bring_up`]. Returns how
/// many are online then. Called at boot, on the first CPU.
pub fn start_others(most: usize) -> usize {
    if let Some(firmware) = early::boot().platform.psci {
        psci::init(firmware.conduit);
    }
    FIRST.store(crate::read_sysreg!("mpidr_el1") & MPIDR_AFFINITY, Relaxed);
    for cpu in 1..present().min(most) {
        if let Err(error) = bring_up(cpu) {
            log::error!("{error}");
        }
    }
    cpus::online_count()
}

/// Brings up a CPU that [`start_others`] has left out, and waits until the CPU takes interrupts. Before the new CPU
/// runs anything that can be probed, it has armed the slots that are set for it, also those that are set meanwhile
/// (rule H5).
///
/// Waits 5 seconds at most. Thread context with interrupts on; never a debug context, never an interrupt handler.
///
/// # Errors
/// See [`BringUpError`].
pub fn bring_up(cpu: usize) -> Result<(), BringUpError> {
    bring_up_within(cpu, crate::drivers::timer::frequency() * 5)
}

/// As [`bring_up`], but waits for `patience` ticks of the timer's counter, not for 5 seconds. With 0 the CPU is only started, and
/// does not come online until it is asked for again.
///
/// # Errors
/// See [`BringUpError`].
pub fn bring_up_within(cpu: usize, patience: u64) -> Result<(), BringUpError> {
    // No CPU may come online during a rendezvous, which counts the CPUs at its beginning.
    let _no_rendezvous = rendezvous::exclude();
    let boot = early::boot();
    let first = FIRST.load(Relaxed);
    let mut others = boot.platform.cpus.iter().copied().filter(|&mpidr| mpidr != first);
    if cpus::online().any(|online| online == cpu) {
        return Err(BringUpError::Online { cpu });
    }
    match cpu.checked_sub(1).filter(|_| cpu < present()).and_then(|at| others.nth(at)) {
        Some(mpidr) => start(cpu, mpidr, boot.ttbr1, patience),
        None => Err(BringUpError::NoSuchCpu { cpu, present: present() }),
    }
}

fn start(cpu: usize, mpidr: u64, ttbr1: u64, patience: u64) -> Result<(), BringUpError> {
    // A CPU that was started before is on its way. If the firmware has given up on it, it is started again.
    let late = LATE.load(Relaxed) & 1 << cpu != 0;
    if !late || psci::is_off(mpidr) {
        match power_on(cpu, mpidr, ttbr1) {
            Ok(()) => {}
            // Until the started CPU runs, the firmware may say that it is off (QEMU does), and refuse a moment later.
            Err(psci::Error::AlreadyOn | psci::Error::OnPending) if late => {}
            Err(error) => return Err(BringUpError::Firmware { cpu, mpidr, error }),
        }
    }
    if patience > 0 {
        AWAITED.store(cpu, Release);
        let start = crate::drivers::timer::now();
        // A CPU that has taken its index out of `AWAITED` comes online soon, so this loop waits for it even after `patience`.
        while crate::drivers::timer::now() - start < patience || !stop_awaiting(cpu) {
            if LAST_UP.load(Acquire) == cpu {
                return Ok(());
            }
            crate::arch::barrier::relax();
        }
    }
    LATE.fetch_or(1 << cpu, Relaxed);
    Err(BringUpError::Silent { cpu })
}

/// Tells a CPU not to come online any more. Returns false if the CPU has taken its index out of [`AWAITED`] already.
fn stop_awaiting(cpu: usize) -> bool {
    AWAITED.compare_exchange(cpu, NOBODY, Relaxed, Relaxed).is_ok()
}

/// Has the firmware start a CPU at `secondary_entry`.
fn power_on(cpu: usize, mpidr: u64, ttbr1: u64) -> Result<(), smccc::psci::Error> {
    const _: () = assert!(size_of::<SecondaryArgs>() >= 24);
    let stack = (layout::stack_top(cpu) - layout::STACK_ROOM) as u64;
    let args = &ARGS[cpu];
    for (word, value) in args.iter().zip([ttbr1, stack, cpu as u64]) {
        word.store(value, Release);
    }
    clean(ptr::from_ref(args) as usize, size_of_val(args));
    let entry = mm::image_physical(boot::secondary_entry as *const () as usize);
    let args = mm::image_physical(ptr::from_ref(args) as usize);
    psci::cpu_on(mpidr, entry as u64, args as u64)
}

/// Cleans memory that the started CPU reads with its caches off. No cache line is shorter than 16 bytes, so steps of 16
/// bytes reach every line.
fn clean(address: usize, length: usize) {
    for line in (address & !15..address + length).step_by(16) {
        // SAFETY: cleaning changes no content.
        unsafe { core::arch::asm!("dc cvac, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    // The lines are clean before the other CPU is started (DDI 0487 B2, "Data Synchronization Barrier").
    crate::arch::barrier::dsb_ish();
}

/// The first Rust code of a further CPU, called by `head.S`. No-probe, because the CPU has no vectors at first.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn kernel_secondary(cpu: usize) -> ! {
    percpu::set_index(cpu);
    exception::init_cpu();
    mm::drop_identity_map();
    while AWAITED.compare_exchange(cpu, NOBODY, Acquire, Relaxed).is_err() {
        crate::arch::barrier::relax();
    }
    // Text may have been changed while this CPU was not online, and so not told (DDI 0487 B2, "Synchronization and coherency issues between
    // data and instruction accesses").
    crate::arch::barrier::isb();
    init_cpu(HZ.load(Relaxed), TIMER.load(Relaxed));
    LAST_UP.store(cpu, Release);
    crate::idle::run()
}
