//! Tools for several suites: interrupts on demand, work on every CPU at the same time, and slots that are removed when dropped.

use crate::failed;
use ::slots::{Access, Cpus, Privilege, Request};
use core::ops::Deref;
use core::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use harness::ktest::{Ended, Outcome};
use kernel::arch::barrier::relax;
use kernel::debug::slots::Watcher;
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

/// A value that is to be watched, alone on its page. QEMU looks through its list of watchpoints at every access to a page that has
/// one, and other data on the page might be written by every interrupt.
#[repr(C, align(4096))]
pub struct OwnPage<T>(pub T);

impl<T> Deref for OwnPage<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// An interrupt that comes when a test sends it. When this is dropped, the handler is removed.
pub struct OnDemand(u32);

impl OnDemand {
    /// An ordinary interrupt (M8), handled by `handler`; [`interrupt_me`] sends it.
    pub fn new(handler: irq::Handler) -> Self {
        irq::set_handler(sgi::TEST, handler);
        Self(sgi::TEST)
    }

    /// An interrupt handled by `handler`; [`nmi_me`] sends it. It has the priority of NMIs (M9) where the interrupt controller has
    /// priorities.
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

/// Runs `work` on every online CPU, also on this one, and begins it on all of them at the same time. Fails if `work` fails on one
/// of them.
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
    // SAFETY: `on_every_cpu` has stored a function of this type, and stores another one only after every CPU has ended its work.
    let work: fn() -> Outcome = unsafe { core::mem::transmute(WORK.load(Relaxed)) };
    together(&HERE);
    if let Err(ended) = work() {
        *ENDED.this().lock() = Some(ended);
    }
    DONE.fetch_add(1, AcqRel);
}

/// Waits until every online CPU has called this with the same `count`. `count` must be 0 before the first call. To use it again,
/// the caller must set it to 0 again.
pub fn together(count: &AtomicUsize) {
    count.fetch_add(1, AcqRel);
    while count.load(Acquire) < smp::online_count() {
        relax();
    }
}

/// Gives every other CPU `work`, and does not wait for its end. [`all_idle`] does that.
pub fn on_other_cpus(work: idle::Work) {
    for cpu in smp::online().filter(|&cpu| cpu != percpu::index()) {
        while !idle::give(cpu, work) {
            relax();
        }
    }
    smp::kick_slots();
}

/// Waits until all other CPUs are idle.
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

/// A request for a breakpoint that is hit at EL1 only.
pub fn breakpoint_at(address: u64) -> Request {
    Request::breakpoint(address, Privilege::El1)
}

/// A request for a watchpoint that is hit by accesses from EL1 only.
pub fn watchpoint_at(address: u64, length: u64, access: Access) -> Request {
    Request::watchpoint(address, length, access, Privilege::El1)
}

/// A slot that is removed when this is dropped. It is set on all CPUs, unless [`Slot::on`] has made it.
pub struct Slot(pub Installed);

impl Slot {
    /// Sets a slot whose hits are counted, on all CPUs.
    pub fn counting(request: &Request) -> Result<Self, Ended> {
        Self::on(request, Cpus::ALL, Disposition::Count)
    }

    /// Sets a slot whose hits are counted and call `handler`, on all CPUs.
    pub fn calling(request: &Request, watcher: &'static Watcher) -> Result<Self, Ended> {
        Self::on(request, Cpus::ALL, Disposition::Call(watcher))
    }

    /// Sets a slot on `cpus` only, with any disposition.
    pub fn on(request: &Request, cpus: Cpus, disposition: Disposition) -> Result<Self, Ended> {
        Installed::new(request, cpus, disposition).map(Self).map_err(failed)
    }

    /// The hits so far, or None if the slot is gone.
    pub fn hits(&self) -> Option<u64> {
        self.0.hits()
    }
}

/// Waits until all slots that were retired in debug context are free. They become free in a later call to the slot manager, once
/// every CPU has disarmed them. So this sets and removes a slot again and again.
pub fn nothing_left() -> Outcome {
    for _ in 0..1_000_000 {
        drop(Slot::counting(&breakpoint_at(crate::address_of!(nothing_left)))?);
        if slots::list().count() == 0 {
            return Ok(());
        }
        relax();
    }
    Err(failed("a retired slot never became free"))
}

/// This CPU has no tick for as long as this lives. Thread context.
pub struct NoTick(());

impl NoTick {
    /// Stops the tick.
    pub fn new() -> Self {
        kernel::time::pause();
        Self(())
    }
}

impl Drop for NoTick {
    fn drop(&mut self) {
        kernel::time::resume();
    }
}
