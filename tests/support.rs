//! Tools for several suites: interrupts on demand, work on every CPU at the same time, short ways to set slots.

use crate::failed;
use ::slots::{Access, Cpus, Privilege, Request};
use core::ops::Deref;
use core::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use harness::ktest::{Ended, Outcome};
use kernel::arch::barrier::relax;
use kernel::debug::slots::{self, Disposition, Installed};
use kernel::drivers::gic::{self, Target};
use kernel::exception::Frame;
use kernel::irq::{self, sgi};
use kernel::percpu::PerCpu;
use kernel::sync::IrqMutex;
use kernel::{idle, percpu, smp};

/// The address of a function.
#[macro_export]
macro_rules! address_of {
    ($function:expr) => {
        $function as *const () as u64
    };
}

/// What is watched, on a page with nothing else. QEMU looks at its list of watchpoints for every access to a page that has one,
/// and other data on it may be what every interrupt writes.
#[repr(C, align(4096))]
pub struct OwnPage<T>(pub T);

impl<T> Deref for OwnPage<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Interrupts that come when they are wanted.
pub struct OnDemand(u32);

impl OnDemand {
    /// Ordinary ones (M8), handled by `handler`.
    pub fn new(handler: irq::Handler) -> Self {
        irq::set_handler(sgi::TEST, handler);
        Self(sgi::TEST)
    }

    /// Ones of NMI priority where there are priorities (M9), handled by `handler`.
    pub fn nmi(handler: irq::Handler) -> Self {
        irq::set_handler(sgi::TEST_NMI, handler);
        Self(sgi::TEST_NMI)
    }
}

impl Drop for OnDemand {
    fn drop(&mut self) {
        fn nothing(_: &mut Frame) {}
        irq::set_handler(self.0, nothing);
    }
}

/// Makes the interrupt of [`OnDemand::new`] pending on this CPU. Any context.
pub fn interrupt_me() {
    gic::send_sgi(sgi::TEST, Target::Me);
}

/// Makes the interrupt of [`OnDemand::nmi`] pending on this CPU. Any context.
pub fn nmi_me() {
    gic::send_sgi(sgi::TEST_NMI, Target::Me);
}

static WORK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static HERE: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);
static ENDED: PerCpu<IrqMutex<Option<Ended>>> = kernel::per_cpu!(IrqMutex::new(None));

/// Runs `work` on every online CPU, this one too; all begin together. Fails if one of them fails.
pub fn on_every_cpu(work: fn() -> Outcome) -> Outcome {
    let others = smp::online_count() - 1;
    WORK.store(work as *mut (), Relaxed);
    HERE.store(0, Relaxed);
    DONE.store(0, Release);
    for cpu in smp::online().filter(|&cpu| cpu != percpu::index()) {
        while !idle::give(cpu, take_part) {
            relax();
        }
    }
    smp::kick_slots();
    take_part();
    while DONE.load(Acquire) <= others {
        relax();
    }
    for cpu in smp::online() {
        if let Some(ended) = ENDED.of(cpu).lock().take() {
            return Err(match ended {
                Ended::Failed(why) => Ended::Failed(alloc::format!("cpu{cpu}: {why}")),
                skipped => skipped,
            });
        }
    }
    Ok(())
}

fn take_part() {
    // SAFETY: `on_every_cpu` stored it, and waits until every CPU is done with it.
    let work: fn() -> Outcome = unsafe { core::mem::transmute(WORK.load(Relaxed)) };
    together(&HERE);
    if let Err(ended) = work() {
        *ENDED.this().lock() = Some(ended);
    }
    DONE.fetch_add(1, AcqRel);
}

/// Waits until every online CPU has come here. `count` is 0 before, and of no use afterwards.
pub fn together(count: &AtomicUsize) {
    count.fetch_add(1, AcqRel);
    while count.load(Acquire) < smp::online_count() {
        relax();
    }
}

/// Gives every other CPU `work` and comes back at once; [`all_idle`] waits for the end.
pub fn on_other_cpus(work: idle::Work) {
    for cpu in smp::online().filter(|&cpu| cpu != percpu::index()) {
        while !idle::give(cpu, work) {
            relax();
        }
    }
    smp::kick_slots();
}

/// Waits until the other CPUs have nothing to do.
pub fn all_idle() {
    for cpu in smp::online().filter(|&cpu| cpu != percpu::index()) {
        while !idle::is_idle(cpu) {
            relax();
        }
    }
}

/// Ends the test as skipped unless there are several CPUs.
#[macro_export]
macro_rules! needs_several_cpus {
    () => {
        if kernel::smp::online_count() == 1 {
            harness::skip!("there is one CPU only");
        }
    };
}

/// A request for a breakpoint of the kernel.
pub fn breakpoint_at(address: u64) -> Request {
    Request::breakpoint(address, Privilege::El1)
}

/// A request for a watchpoint of the kernel.
pub fn watchpoint_at(address: u64, length: u64, access: Access) -> Request {
    Request::watchpoint(address, length, access, Privilege::El1)
}

/// A slot, on all CPUs but for [`Slot::on`], that is there for as long as this lives.
pub struct Slot(pub Installed);

impl Slot {
    /// One that counts.
    pub fn counting(request: &Request) -> Result<Self, Ended> {
        Self::on(request, Cpus::ALL, Disposition::Count)
    }

    /// One that calls `handler` too.
    pub fn calling(request: &Request, handler: slots::Handler) -> Result<Self, Ended> {
        Self::on(request, Cpus::ALL, Disposition::Call(handler))
    }

    /// Any.
    pub fn on(request: &Request, cpus: Cpus, disposition: Disposition) -> Result<Self, Ended> {
        Installed::new(request, cpus, disposition).map(Self).map_err(failed)
    }

    /// Hits so far; None once it is gone.
    pub fn hits(&self) -> Option<u64> {
        self.0.hits()
    }
}

/// Waits until slots that were retired in debug context are given back: by a later call, once every CPU has let go of them.
pub fn nothing_left() -> Outcome {
    for _ in 0..1_000_000 {
        drop(Slot::counting(&breakpoint_at(crate::address_of!(nothing_left)))?);
        if slots::list().count() == 0 {
            return Ok(());
        }
        relax();
    }
    Err(failed("a retired slot was never given back"))
}
