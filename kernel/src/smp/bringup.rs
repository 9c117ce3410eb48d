//! Starting further CPUs by PSCI, and what every CPU does before it takes part.

use super::set_online;
use crate::arch::{daif, psci};
use crate::debug;
use crate::drivers::gic::{self, Priority};
use crate::irq::{off, sgi};
use crate::mm::{self, layout};
use crate::{exception, percpu, time};
use boot::SecondaryArgs;
use core::sync::atomic::{
    AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use platform::{MPIDR_AFFINITY, Platform};

/// What further CPUs need to know of the first one's choices.
static HZ: AtomicU32 = AtomicU32::new(0);
static TIMER: AtomicU32 = AtomicU32::new(0);
/// The CPU that came up last.
static UP: AtomicUsize = AtomicUsize::new(0);

/// Brings this CPU's debug hardware, interrupts and tick up, and opens D, A, I, F. Once a CPU.
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
    // Online first, slots second: whoever sets a slot in between finds this CPU in the set and tells it (H5).
    set_online(cpu);
    debug::slots::init_cpu(debug::this());
    time::init_cpu(hz);
    daif::clear::<{ daif::ALL }>();
}

/// Arguments of the CPU that is being started. One CPU at a time.
static ARGS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

/// Starts the CPUs of the device tree, one after the other. Returns how many are online then.
pub fn start_others(machine: &Platform, ttbr1: u64) -> usize {
    if let Some(firmware) = machine.psci {
        psci::init(firmware.conduit);
    }
    let me = crate::read_sysreg!("mpidr_el1") & MPIDR_AFFINITY;
    let others = machine.cpus.iter().filter(|&&mpidr| mpidr != me).copied();
    for (mpidr, cpu) in others.zip(1..percpu::MAX_CPUS) {
        if let Err(error) = start(cpu, mpidr, ttbr1) {
            log::error!("cpu{cpu} (MPIDR {mpidr:#x}) does not start: {error}");
        }
    }
    super::online_count()
}

fn start(cpu: usize, mpidr: u64, ttbr1: u64) -> Result<(), smccc::psci::Error> {
    const _: () = assert!(size_of::<SecondaryArgs>() >= 24);
    let stack = layout::stack_top(cpu) as u64;
    for (word, value) in ARGS.iter().zip([ttbr1, stack, cpu as u64]) {
        word.store(value, Release);
    }
    clean(&raw const ARGS as usize, size_of_val(&ARGS));
    let entry = mm::image_physical(boot::secondary_entry as *const () as usize);
    let args = mm::image_physical(&raw const ARGS as usize);
    psci::cpu_on(mpidr, entry as u64, args as u64)?;
    let patience = crate::drivers::timer::frequency() * 5;
    let start = crate::drivers::timer::now();
    while UP.load(Acquire) != cpu {
        if crate::drivers::timer::now() - start > patience {
            log::error!("cpu{cpu} was started and does not come up");
            break;
        }
        crate::arch::barrier::relax();
    }
    Ok(())
}

/// Cleans memory that the next CPU reads with its caches off.
fn clean(address: usize, length: usize) {
    for line in (address & !15..address + length).step_by(16) {
        // SAFETY: cleaning changes no content.
        unsafe { core::arch::asm!("dc cvac, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    crate::arch::barrier::dsb_ish();
}

/// A further CPU's first Rust code, from `head.S`. No-probe: at first there are no vectors.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn kernel_secondary(cpu: usize) -> ! {
    percpu::set_index(cpu);
    exception::init_cpu();
    mm::drop_identity_map();
    init_cpu(HZ.load(Relaxed), TIMER.load(Relaxed));
    UP.store(cpu, Release);
    crate::idle::run()
}
