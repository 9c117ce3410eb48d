//! The model: which events each state allows, and the state after each.

use crate::broken::Broken;
use crate::config::{Base, Class, Config, Flaw};
use crate::event::{Event, What};
use crate::kernel::{Kernel, Run};
use crate::properties::{LIVELOCK, PROPERTIES, Property};
use crate::state::{CPUS, STACK, THREADS};
use crate::state::{
    Code, Context, Cpu, DEBUGGER, Next, Phase, Progress, SLOTS, Section, Slot, State, Thread,
};
use crate::table::Table;
use rules::pstate::Daif;
use rules::step::Owners;
use rules::table::RowId;

/// A model: everything that an exploration needs.
#[derive(Clone)]
pub struct Model {
    /// The kernel, with the rule table that it applies.
    pub kernel: Kernel,
    /// The bounds.
    pub config: Config,
    /// The properties that are checked in every state.
    pub properties: Vec<&'static Property>,
    /// Whether livelocks are looked for when all states are known.
    pub checks_livelock: bool,
}

impl Model {
    /// A model with this table and these bounds, in which all properties are checked.
    ///
    /// # Panics
    /// If the model has no room for what `config` asks for.
    pub fn new(table: Table, config: Config) -> Self {
        assert!((1..=CPUS).contains(&config.cpus), "1 to {CPUS} CPUs");
        assert!((1..=THREADS).contains(&config.threads.len()), "1 to {THREADS} threads");
        assert!(config.depth + 3 <= STACK, "nesting up to {}", STACK - 3);
        let kernel = Kernel { table, flaw: None, watched: Broken::ALL.to_vec() };
        Self { kernel, config, properties: PROPERTIES.iter().collect(), checks_livelock: true }
    }

    /// The same model with a flaw.
    #[must_use]
    pub fn with_flaw(mut self, flaw: Flaw) -> Self {
        self.kernel.flaw = Some(flaw);
        self
    }

    /// The same model, in which only the property with this name is checked.
    #[must_use]
    pub fn only(mut self, name: &str) -> Self {
        self.properties.retain(|property| property.name == name);
        self.kernel.watched.retain(|broken| broken.property() == name);
        self.checks_livelock = name == LIVELOCK;
        self
    }

    /// The same model, in which the property with this name is not checked.
    #[must_use]
    pub fn all_but(mut self, name: &str) -> Self {
        self.properties.retain(|property| property.name != name);
        self.kernel.watched.retain(|broken| broken.property() != name);
        self.checks_livelock &= name != LIVELOCK;
        self
    }

    /// The first property that does not hold in a state.
    pub fn broken_in(&self, state: &State) -> Option<&'static Property> {
        self.properties.iter().copied().find(|property| !(property.holds)(&self.kernel.table, state))
    }

    fn has(&self, class: Class) -> bool {
        !self.config.without.contains(&class)
    }

    fn has_slot(&self, slot: Slot) -> bool {
        self.has(match slot {
            Slot::Breakpoint => Class::Breakpoint,
            Slot::Watchpoint => Class::Watchpoint,
        })
    }

    /// The state that an exploration begins in: the first threads run, and nobody has asked for anything.
    pub fn initial(&self) -> State {
        let mut state = State {
            cpus: [Cpu::IDLE; CPUS],
            threads: [Thread::NONE; THREADS],
            installed: crate::state::Slots::NONE,
            noted: None,
        };
        for (thread, &base) in state.threads.iter_mut().zip(&self.config.threads) {
            let code = match base {
                Base::Thread => Code::Thread,
                Base::Program | Base::Probed => Code::Program,
            };
            thread.len = 1;
            let uprobe = base == Base::Probed;
            thread.stack[0] = Context { masks: Daif::empty(), uprobe, ..Context::new(code, RowId::M13) };
        }
        for cpu in 0..self.config.cpus.min(self.config.threads.len()) {
            state.cpus[cpu].running = Some(cpu as u8);
        }
        if !self.has(Class::SlotChanges) {
            for slot in SLOTS.into_iter().filter(|&slot| self.has_slot(slot)) {
                state.installed = state.installed.or(crate::state::Slots::of(slot));
            }
        }
        state
    }

    /// Calls `found` with each event that the state allows, and the state after it.
    pub fn successors(&self, state: &State, mut found: impl FnMut(Event, State)) {
        for cpu in 0..self.config.cpus {
            match state.cpus[cpu].running {
                Some(_) => On { model: self, state, cpu, found: &mut found }.events(),
                None => self.idle(state, cpu, &mut found),
            }
        }
        self.tracers(state, &mut found);
    }

    /// The threads that run on no CPU.
    fn ready<'a>(&'a self, state: &'a State) -> impl Iterator<Item = u8> + 'a {
        (0..self.config.threads.len() as u8)
            .filter(|&thread| state.cpus.iter().all(|cpu| cpu.running != Some(thread)))
            .filter(|&thread| state.threads[usize::from(thread)].len != 0)
    }

    fn idle(&self, state: &State, cpu: usize, found: &mut impl FnMut(Event, State)) {
        for thread in self.ready(state) {
            let mut run = Run::new(&self.kernel, *state, cpu);
            run.cpu().running = Some(thread);
            run.arrive();
            found(Event { cpu: cpu as u8, what: What::Pick(thread), again: false, place: None }, run.state);
        }
    }

    fn tracers(&self, state: &State, found: &mut impl FnMut(Event, State)) {
        if !self.has(Class::Tracer) {
            return;
        }
        for (index, thread) in state.threads.iter().enumerate() {
            if thread.len == 0 || thread.stack[0].code != Code::Program {
                continue;
            }
            let mut after = *state;
            let asks = !thread.wants;
            if asks && thread.len == 1 {
                // A tracer asks while its tracee stops, which is in the kernel.
                continue;
            }
            let changed = &mut after.threads[index];
            // `TaskDebug::ask`
            changed.wants = asks;
            changed.asked = asks;
            changed.withdrawn = !asks;
            let what = if asks { What::TracerAsks(index as u8) } else { What::TracerLeaves(index as u8) };
            found(Event { cpu: 0, what, again: false, place: Some(thread.stack[0]) }, after);
        }
    }
}

/// The events of one CPU, which runs a thread.
struct On<'a, F> {
    model: &'a Model,
    state: &'a State,
    cpu: usize,
    found: &'a mut F,
}

impl<'a, F: FnMut(Event, State)> On<'a, F> {
    fn thread(&self) -> &Thread {
        &self.state.threads[usize::from(self.state.cpus[self.cpu].running.unwrap_or_default())]
    }

    fn top(&self) -> &Context {
        &self.thread().stack[self.thread().top()]
    }

    fn below(&self) -> Option<&Context> {
        self.thread().top().checked_sub(1).map(|below| &self.thread().stack[below])
    }

    fn has(&self, class: Class) -> bool {
        self.model.has(class)
    }

    /// Makes a transition and tells of it.
    fn go(&mut self, what: What, transition: impl FnOnce(&mut Run<'a>)) {
        let mut run = Run::new(&self.model.kernel, *self.state, self.cpu);
        transition(&mut run);
        let (place, cpu) = (Some(*self.top()), self.cpu as u8);
        let again = place.is_some_and(|place| place.next != Next::Any)
            && matches!(what, What::Attempt(_) | What::AttemptReported | What::Execute);
        (self.found)(Event { cpu, what, again, place }, run.state);
    }

    fn events(&mut self) {
        let top = *self.top();
        if top.code == Code::Panic {
            return;
        }
        // The step's own exception may come where no other would fit.
        let room = usize::from(self.thread().len) < self.model.config.depth + 1;
        if room {
            self.interrupts(&top);
        }
        let is_enabled = self.state.cpus[self.cpu].ss && (top.code == Code::Program || top.d_is_open());
        if is_enabled && !top.ss {
            // Active-pending: the step exception comes before the next instruction. An interrupt that the masks let in may come
            // before it: the architecture does not say which one is first.
            return self.go(What::Step, |run| match top.code {
                Code::Program => run.step_from_el0(),
                _ => run.step(),
            });
        }
        match top.copy {
            Some(copy) if copy.ran => return self.go(What::Trap, Run::trap),
            Some(_) => return self.displaced(room),
            None => {}
        }
        if top.code == Code::Program {
            return self.program(room);
        }
        if room {
            self.exceptions(&top);
        }
        if top.is_debug() {
            self.client(&top);
        } else {
            self.instructions(&top, room);
            if top.next == Next::Any {
                self.sections(&top);
                self.sleep();
                self.end_session();
            }
        }
        if top.next == Next::Any && top.section == Section::None {
            self.slot_changes(&top);
            self.ends(&top);
        }
    }

    /// Interrupts, as far as the masks let them in.
    fn interrupts(&mut self, top: &Context) {
        let is_program = top.code == Code::Program;
        if !top.masks.contains(Daif::I) {
            self.go(What::Irq, |run| if is_program { run.irq_from_el0() } else { run.irq() });
            self.go(What::SpuriousIrq, |run| {
                if is_program { run.spurious_irq_from_el0() } else { run.spurious_irq() }
            });
            if self.has(Class::Nmi) {
                self.go(What::Nmi, |run| if is_program { run.nmi_from_el0() } else { run.nmi() });
            }
        }
        if self.has(Class::Fatal) && !top.masks.contains(Daif::A) {
            self.go(What::SError, |run| if is_program { run.serror_from_el0() } else { run.serror() });
        }
    }

    /// An instruction that runs out of line.
    fn displaced(&mut self, room: bool) {
        self.go(What::Execute, Run::execute);
        if room {
            self.attempt(Slot::Watchpoint, What::Attempt(Slot::Watchpoint));
            if self.has(Class::Fault) {
                self.go(What::Fault, Run::fault);
            }
        }
    }

    /// What a program does.
    fn program(&mut self, room: bool) {
        let next = self.top().next;
        if let Some(slot) = next.slot() {
            self.attempt(slot, What::Attempt(slot));
        } else {
            self.go(What::Execute, Run::execute);
            if room {
                self.attempt(Slot::Watchpoint, What::Attempt(Slot::Watchpoint));
                self.attempt(Slot::Watchpoint, What::AttemptReported);
                self.go(What::Svc, Run::svc);
                self.go(What::Brk, Run::brk_from_el0);
            }
        }
        if room && self.has(Class::Fault) {
            self.go(What::Fault, Run::fault_from_el0);
        }
    }

    /// What code at EL1 does that is no debug context.
    fn instructions(&mut self, top: &Context, room: bool) {
        if let Some(slot) = top.next.slot() {
            return self.attempt(slot, What::Attempt(slot));
        }
        self.go(What::Execute, Run::execute);
        if room {
            for slot in SLOTS {
                self.attempt(slot, What::Attempt(slot));
            }
        }
    }

    /// The context at the top attempts an instruction that `slot` is for. The hardware hits if D is open, and the slot is armed here.
    fn attempt(&mut self, slot: Slot, what: What) {
        let top = *self.top();
        let at_el0 = top.code == Code::Program;
        if !self.model.has_slot(slot) || at_el0 && slot == Slot::Breakpoint {
            return;
        }
        let is_new = top.next == Next::Any;
        if is_new && !self.state.installed.contains(slot) {
            // No slot is there, so this is an instruction as any other.
            return;
        }
        let sees = at_el0 || top.d_is_open();
        let is_installed = self.state.installed.contains(slot);
        let is_armed = is_installed && !self.state.cpus[self.cpu].suspended.contains(slot);
        self.go(what, |run| {
            if sees && is_armed {
                if !is_new {
                    run.note(Broken::HitTwice);
                }
                run.top().next = Next::at(slot);
                match what {
                    What::AttemptReported => run.hit_from_el0(true),
                    _ if at_el0 => run.hit_from_el0(false),
                    _ => run.hit(slot),
                }
            } else {
                if sees && is_installed && is_new {
                    run.note(Broken::HitLost);
                }
                run.execute();
            }
        });
    }

    /// Synchronous exceptions of code at EL1, in debug contexts too.
    fn exceptions(&mut self, top: &Context) {
        // An access to watched data is no BRK. A breakpoint may be on one.
        if top.next != Next::AtWatchpoint {
            if self.has(Class::Probe) {
                self.go(What::Probe, |run| {
                    run.top().next = Next::Any;
                    run.probe();
                });
            }
            if self.has(Class::Warn) {
                self.go(What::Warn, |run| {
                    run.top().next = Next::Any;
                    run.warn();
                });
            }
            if self.has(Class::Debugger) {
                self.go(What::Debugger, Run::debugger);
            }
        }
        if self.has(Class::Fault) {
            self.go(What::Fault, Run::fault);
        }
        if self.has(Class::Fatal) {
            self.go(What::Fatal, Run::fatal);
        }
    }

    /// What the clients of a debug context do with the context that it has interrupted.
    fn client(&mut self, top: &Context) {
        let Some(&below) = self.below() else { return };
        let is_told = match top.code {
            Code::Step => top.phase == Phase::Client,
            Code::Breakpoint | Code::Watchpoint | Code::Debugger => true,
            Code::Probe => top.phase == Phase::Body,
            _ => false,
        };
        if !is_told || top.row == RowId::M14 || self.thread().depth() != 1 {
            return;
        }
        if !below.d_is_open() {
            // Only to be refused (X2).
            if self.has(Class::Debugger) {
                self.go(What::Ask, Run::ask_masked);
            }
            return;
        }
        let thread = *self.thread();
        let is_stepped = thread.stack[thread.stepped()].steps[DEBUGGER] != Progress::None;
        if self.has(Class::Debugger) {
            if !is_stepped {
                self.go(What::Ask, Run::ask);
            }
            let is_on_cpu = self.state.cpus[self.cpu].owners.contains(Owners::DEBUGGER);
            if is_stepped && is_on_cpu && matches!(top.code, Code::Breakpoint | Code::Watchpoint) {
                self.go(What::EndPlan, Run::end_plan);
            }
        }
        if self.has(Class::MovedPc) {
            self.go(What::MovePc, Run::move_pc);
        }
    }

    /// Code masks exceptions for a while, and opens them again.
    fn sections(&mut self, top: &Context) {
        if !self.has(Class::Section) || top.phase != Phase::Body {
            return;
        }
        if top.section != Section::None {
            return self.go(What::Section(Section::None), |run| run.set_section(Section::None));
        }
        if !top.masks.contains(Daif::I) {
            self.go(What::Section(Section::Interrupts), |run| run.set_section(Section::Interrupts));
        }
        if top.d_is_open() {
            self.go(What::Section(Section::All), |run| run.set_section(Section::All));
        }
    }

    /// The running context ends its session, in a section of its own.
    fn end_session(&mut self) {
        let thread = *self.thread();
        let root = thread.root(thread.top());
        if self.state.cpus[self.cpu].owners.contains(Owners::DEBUGGER)
            && thread.stack[root].steps[DEBUGGER] != Progress::None
        {
            self.go(What::EndSession, Run::end_session);
        }
    }

    fn slot_changes(&mut self, top: &Context) {
        if !self.has(Class::SlotChanges) || top.phase != Phase::Body {
            return;
        }
        for slot in SLOTS.into_iter().filter(|&slot| self.model.has_slot(slot)) {
            if self.state.installed.contains(slot) {
                self.go(What::Uninstall(slot), |run| run.uninstall(slot));
            } else {
                self.go(What::Install(slot), |run| run.install(slot));
            }
        }
    }

    /// The running thread gives the CPU away, if it may sleep (M2, M3, M4, M6, M11).
    fn sleep(&mut self) {
        let thread = *self.thread();
        let root = thread.root(thread.top());
        let is_plain = |context: &Context| {
            context.section == Section::None && context.phase == Phase::Body && context.copy.is_none()
        };
        let contexts = &thread.contexts()[root..];
        let base = thread.stack[root];
        let from_el0 = root > 0 && thread.stack[root - 1].code == Code::Program;
        let may =
            base.code == Code::Thread || from_el0 && matches!(base.row, RowId::M2 | RowId::M3 | RowId::M4);
        if !may || !contexts.iter().all(is_plain) {
            return;
        }
        let mut choices: Vec<Option<u8>> = self.model.ready(self.state).map(Some).collect();
        if self.model.config.cpus > 1 {
            choices.push(None);
        }
        for next in choices {
            self.go(What::Sleep(next), |run| {
                // The scheduler has chosen, which is what a reschedule asks for.
                run.cpu().reschedule = false;
                run.switch(next);
            });
        }
    }

    /// The ways in which a handler goes on to its end.
    fn ends(&mut self, top: &Context) {
        let Some(&below) = self.below() else { return };
        let from_el0 = below.code == Code::Program;
        match top.code {
            Code::Program | Code::Thread | Code::Panic => {}
            Code::Step if !from_el0 => self.go(What::Return, Run::leave_debug),
            Code::Breakpoint => self.go(What::Return, Run::leave_debug),
            Code::Watchpoint if !from_el0 => self.go(What::Return, Run::leave_debug),
            Code::Probe if top.phase == Phase::Moved => self.go(What::Return, Run::leave),
            Code::Probe => {
                self.go(What::Simulate, Run::simulate);
                if top.row == RowId::M12 {
                    self.go(What::IntoCopy, Run::send_into_copy);
                }
            }
            Code::Trap => self.go(What::Return, |run| run.end_copy(false)),
            Code::Debugger => self.go(What::Return, Run::leave),
            Code::Warn => self.leave_moved(),
            Code::Fault if !from_el0 => {
                self.go(What::Return, Run::leave);
                self.leave_moved();
            }
            Code::Irq | Code::Nmi => self.end_of_interrupt(top, from_el0),
            Code::Step | Code::Watchpoint | Code::Fault | Code::Svc | Code::Brk => {
                if self.state.cpus[self.cpu].reschedule {
                    return self.reschedule();
                }
                self.go(What::Return, Run::leave_to_el0);
                if matches!(top.code, Code::Fault | Code::Brk) {
                    self.go(What::ReturnMoved, |run| {
                        run.move_on(0);
                        run.leave_to_el0();
                    });
                }
            }
        }
    }

    fn leave_moved(&mut self) {
        self.go(What::ReturnMoved, |run| {
            let below = run.thread().top() - 1;
            run.set_pc(below);
            run.leave();
        });
    }

    /// The end of an IRQ and of an NMI: deferred work, a switch of threads, the return (M5, M8, M9).
    fn end_of_interrupt(&mut self, top: &Context, from_el0: bool) {
        if top.phase == Phase::Deferred {
            return self.go(What::DeferEnd, Run::end_deferred);
        }
        let cpu = self.state.cpus[self.cpu];
        if top.code == Code::Irq && top.phase == Phase::Body && !cpu.reschedule {
            self.go(What::Tick, |run| run.cpu().reschedule = true);
        }
        let works = (top.code == Code::Irq || from_el0) && !self.thread().is_in_deferred();
        if works && top.phase == Phase::Body && self.has(Class::Deferred) {
            self.go(What::Defer, Run::begin_deferred);
        }
        let may = Run::new(&self.model.kernel, *self.state, self.cpu).may_reschedule();
        if works && cpu.reschedule && may {
            return self.reschedule();
        }
        self.go(What::Return, |run| if from_el0 { run.leave_to_el0() } else { run.leave() });
    }

    fn reschedule(&mut self) {
        self.go(What::Reschedule(None), |run| run.reschedule(None));
        let ready: Vec<u8> = self.model.ready(self.state).collect();
        for next in ready {
            self.go(What::Reschedule(Some(next)), |run| run.reschedule(Some(next)));
        }
    }
}
