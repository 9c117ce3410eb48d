//! The hardware slots of a task, armed on the CPU that runs it and only there (T3, H8).

use super::hit::Hits;
use super::list::{Answer, Slot, Use, untagged};
use super::state::TaskDebug;
use crate::arch::{barrier, daif};
use crate::debug;
use crate::debug::control::Masked;
use crate::debug::cpu::MaskedCpu;
use crate::debug::slots::{self, bank};
use crate::irq::off::IrqOff;
use crate::percpu;
use ::slots::{Request, SlotError, SlotId, SlotMask};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::{mem, ptr};
use probe::sequence::Access;

impl TaskDebug {
    /// Sets a slot of the task, disabled. The slot is for EL0 only. Thread context.
    ///
    /// # Errors
    /// Why the slot cannot be set; [`SlotError::NoFreeSlot`] if the CPUs have none left for this task.
    pub fn set_slot(&self, request: &Request, answer: Answer) -> Result<Use, SlotError> {
        let kind = request.kind();
        let encoding = request.encode()?;
        let full = SlotError::NoFreeSlot { kind, total: slots::count(kind) };
        let mut slots = self.slots.lock();
        let taken = |nth| slots.all.iter().any(|slot| slot.id.kind == kind && slot.nth == nth);
        let nth = (0..bank::MOST).find(|&nth| !taken(nth)).ok_or(full)?;
        slots.all.try_reserve(1).map_err(|_| full)?;
        let id = bank::keep(kind, nth)?;
        slots.uses += 1;
        let this = Use::new(slots.uses, answer);
        slots.all.push(Slot { this, id, nth, encoding, enabled: false, fresh: true, hits: 0 });
        self.has_slots.store(true, Relaxed);
        drop(slots);
        self.activate();
        Ok(this)
    }

    /// Arms a slot of the task from now on wherever the task runs, or no more. Returns false if there is no such slot. When the function
    /// returns, the change is in force for the running task; for a task on another CPU the caller waits by [`settle`](Self::settle).
    /// Thread context.
    pub fn enable_slot(&self, this: Use, enabled: bool) -> bool {
        self.change_slot(this, |slot| slot.enabled = enabled)
    }

    /// Has a slot match from now on what `request` says, which is of the slot's kind. The hits go on being counted. Nothing is done if there
    /// is no such slot. As [`enable_slot`](Self::enable_slot) says. Thread context.
    ///
    /// # Errors
    /// Why the slot cannot be like that. The slot is then as it was.
    pub fn move_slot(&self, this: Use, request: &Request) -> Result<(), SlotError> {
        let encoding = request.encode()?;
        self.change_slot(this, |slot| slot.move_to(request, encoding));
        Ok(())
    }

    /// [`move_slot`](Self::move_slot) and [`enable_slot`](Self::enable_slot) in one.
    ///
    /// # Errors
    /// Those of [`move_slot`](Self::move_slot).
    pub fn arm_slot(&self, this: Use, request: &Request) -> Result<(), SlotError> {
        let encoding = request.encode()?;
        self.change_slot(this, |slot| {
            slot.move_to(request, encoding);
            slot.enabled = true;
        });
        Ok(())
    }

    /// Changes a slot, and tells the CPU that runs the task. Returns false if there is no such slot.
    fn change_slot(&self, this: Use, change: impl FnOnce(&mut Slot)) -> bool {
        let found = self.slots.with(|slots| slots.find(this).map(change).is_some());
        if found {
            self.changed();
        }
        found
    }

    /// Takes out a slot that was disabled and [settled](Self::settle), and returns its hits; None if there is no such slot. Its number is
    /// given back. Thread context; does not sleep.
    pub fn remove_slot(&self, this: Use) -> Option<u64> {
        let mut slots = self.slots.lock();
        let at = slots.all.iter().position(|slot| slot.this == this)?;
        let slot = slots.all.swap_remove(at);
        self.has_slots.store(!slots.all.is_empty(), Relaxed);
        drop(slots);
        bank::give_back(slot.id.kind, slot.nth);
        Some(slot.hits)
    }

    /// How often a slot was hit so far; None if there is no such slot. Thread context.
    pub fn slot_hits(&self, this: Use) -> Option<u64> {
        let mut slots = self.slots.lock();
        let slot = slots.find(this)?;
        // The lock keeps the slot armed, or disarmed, on whichever CPU it is.
        Some(slot.hits + slots::live_hits(slot.id, ptr::from_ref(self).cast()))
    }

    /// Whether a slot exists. Thread context.
    pub fn has_slot(&self, this: Use) -> bool {
        self.slots.with(|slots| slots.find(this).is_some())
    }

    /// Whether a slot is enabled. I is masked.
    pub(super) fn is_enabled(&self, this: Use) -> bool {
        self.slots.lock_masked().find(this).is_some_and(|slot| slot.enabled)
    }

    /// Whether a load by the task hits a watchpoint that stops the task before the load is executed. Thread context.
    pub fn stops_load(&self, address: u64, bytes: u64) -> bool {
        let load = Access { address, bytes, write: false };
        self.slots.lock().all.iter().any(|slot| slot.enabled && slot.this.stops() && slot.is_hit_by(&load))
    }

    /// Counts accesses of the task that were made by other means than its own instructions: one hit for each watchpoint that one of them
    /// would have hit, except for those of `before`, and for those that the instruction has hit already and that are suspended for it. `each` is
    /// called with the uses that report, and the address. Thread context of the task.
    pub fn count_accesses(&self, accesses: &[Access], before: &Hits, mut each: impl FnMut(Use, u64)) {
        let mut reported = [(Use::NONE, 0); bank::MOST];
        let suspended = self.change_held(|held| held.stepping.suspended);
        {
            let mut slots = self.slots.lock();
            let watches = |slot: &&mut Slot| {
                slot.enabled && !before.contains(slot.this) && !suspended.contains(slot.id)
            };
            for (slot, place) in slots.all.iter_mut().filter(watches).zip(&mut reported) {
                let Some(hit) = accesses.iter().find(|access| slot.is_hit_by(access)) else { continue };
                slot.hits += 1;
                if slot.this.is_reported() {
                    *place = (slot.this, untagged(hit.address));
                }
            }
        }
        reported
            .into_iter()
            .filter(|(this, _)| this.is_some())
            .for_each(|(this, address)| each(this, address));
    }

    /// The slots have changed: if the task is the running one, its CPU is told at once.
    fn changed(&self) {
        self.changed.store(true, Release);
        let before = daif::read();
        daif::set::<{ daif::IF }>();
        if self.is_of_this_cpu() {
            self.attach();
        }
        daif::write(before);
    }

    /// Whether some CPU has this task's slots.
    fn is_on_a_cpu(&self) -> bool {
        let of = |cpu| debug::cpu::task_of(cpu);
        (0..percpu::MAX_CPUS).any(|cpu| ptr::eq(of(cpu), ptr::from_ref(self).cast()))
    }

    /// Whether the CPU has this task's slots. I is masked.
    fn is_of_this_cpu(&self) -> bool {
        ptr::eq(debug::this().task.load(Acquire), ptr::from_ref(self).cast())
    }

    /// Waits until changes of the slots are in force, or the task has left its CPU and has disarmed its slots there. `kick` has the task
    /// enter the kernel if it runs on another CPU, gives way, and says whether the task does run there. Thread context.
    pub fn settle(&self, kick: impl Fn() -> bool) {
        while self.changed.load(Acquire) && (kick() || self.is_on_a_cpu()) {
            barrier::relax();
        }
    }

    /// Brings the slots of the running task into force, if they have changed. For a task that waits in the kernel for other tasks, while these
    /// wait for it: it does not come by its way to EL0 before they go on. A task that had no slot before is not its CPU's task yet. Thread
    /// context of the task.
    pub fn catch_up(&self) {
        let _off = IrqOff::new();
        if self.changed.load(Acquire) {
            self.attach();
        }
    }

    /// The task gets a CPU. I is masked, D is open.
    #[inline(always)]
    pub fn arrives(&self) {
        if self.is_active() {
            self.attach();
        }
    }

    /// The running task is on its way to EL0: arms its slots, if that was not done since they changed. D, A, I, F are masked.
    #[inline(always)]
    pub fn refresh(&self) {
        if self.changed.load(Acquire) || !self.is_of_this_cpu() {
            self.attach();
        }
    }

    /// Makes this, the running task, one that has a debug state, because a slot has been hit. D, A, I, F are masked.
    pub fn adopt(&self) {
        self.activate();
        self.attach();
    }

    /// The task leaves its CPU. I is masked, D is open.
    #[inline(always)]
    pub fn leaves(&self) {
        if self.is_active() {
            self.detach();
        }
    }

    /// Makes this the task of the CPU, and arms its slots. The caller is not switched away meanwhile. A slot that another CPU enables after
    /// `changed` was read is armed on the way to EL0, as for a task that has arrived already.
    #[inline]
    fn attach(&self) {
        if self.changed.load(Acquire) || self.has_slots.load(Relaxed) {
            return self.attach_slots();
        }
        let masked = Masked::new();
        self.is_attached(masked.cpu());
    }

    #[inline(never)]
    fn attach_slots(&self) {
        let mut slots = self.slots.lock_masked();
        // Under the lock: who finds that nothing has changed any more may remove a slot, whose hits must have been added before.
        self.changed.store(false, Release);
        let masked = Masked::new();
        let cpu = masked.cpu();
        for slot in &mut slots.all {
            slot.hits += disarm(cpu, slot);
        }
        debug_assert!(!has_armed(cpu), "slots of another task are armed (T3)");
        for slot in slots.all.iter_mut().filter(|slot| slot.enabled) {
            if mem::take(&mut slot.fresh) {
                self.end_suspension(slot.id);
            }
            arm(cpu, slot);
        }
        slots::set_armed(cpu);
        self.is_attached(cpu);
    }

    #[inline(always)]
    fn is_attached(&self, cpu: &MaskedCpu) {
        // What was counted of another task's hits says nothing of this one's.
        cpu.repeated.set((0, 0));
        cpu.task.store(ptr::from_ref(self).cast_mut().cast(), Release);
    }

    /// A number of the task's slots has a new use: what the task holds of the earlier one, to be suspended on its way to EL0, is dropped. The
    /// uses of all tasks have one generation, by which `unstash` cannot tell them apart. In the task's own thread, with D masked.
    fn end_suspension(&self, id: SlotId) {
        // SAFETY: this is the running task's own thread, the only user, and with D masked nothing interrupts it. Nothing that is called here
        // uses the value.
        let held = unsafe { &mut *self.held.get() };
        held.stepping.suspended.remove(id);
        held.put_off.remove(id);
    }

    /// The caller is not switched away meanwhile.
    #[inline]
    fn detach(&self) {
        let masked = Masked::new();
        if has_armed(masked.cpu()) {
            drop(masked);
            return self.detach_slots();
        }
        masked.cpu().task.store(ptr::null_mut(), Release);
    }

    #[inline(never)]
    fn detach_slots(&self) {
        let mut slots = self.slots.lock_masked();
        let masked = Masked::new();
        let cpu = masked.cpu();
        for slot in &mut slots.all {
            slot.hits += disarm(cpu, slot);
        }
        debug_assert!(!has_armed(cpu), "slots that the task does not have are armed (T3)");
        slots::set_armed(cpu);
        cpu.task.store(ptr::null_mut(), Release);
    }
}

/// Whether this CPU has armed slots of a task.
#[inline(always)]
fn has_armed(cpu: &MaskedCpu) -> bool {
    // SAFETY: the value is this CPU's, D is masked, and nothing changes it here.
    let armed = unsafe { &*cpu.task_slots.get() };
    armed.masks != [SlotMask::EMPTY; 2]
}

#[unsafe(link_section = ".noprobe.text")]
fn arm(cpu: &MaskedCpu, slot: &Slot) {
    let (kind, n) = (slot.id.kind, slot.id.index);
    // SAFETY: the value is this CPU's, D is masked, and nothing that is called here uses it.
    let armed = unsafe { &mut *cpu.task_slots.get() };
    if let Some(this) = armed.uses[kind as usize].get_mut(usize::from(n)) {
        *this = slot.this.to_word();
        armed.masks[kind as usize] = armed.masks[kind as usize].with(n);
        slots::arm_for_task(cpu, slot.id, slot.encoding);
    }
}

/// Disarms a slot of the task that this CPU has, if it is armed, and returns its hits meanwhile.
#[unsafe(link_section = ".noprobe.text")]
fn disarm(cpu: &MaskedCpu, slot: &Slot) -> u64 {
    let (kind, n) = (slot.id.kind, slot.id.index);
    // SAFETY: as in `arm`.
    let armed = unsafe { &mut *cpu.task_slots.get() };
    let Some(this) = armed.uses[kind as usize].get_mut(usize::from(n)) else { return 0 };
    if *this != slot.this.to_word() {
        return 0;
    }
    *this = Use::NONE.to_word();
    armed.masks[kind as usize] = armed.masks[kind as usize].without(SlotMask::of(n));
    slots::disarm_for_task(cpu, kind, n)
}
