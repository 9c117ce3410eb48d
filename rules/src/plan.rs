//! A debugger's plan says how far a context is stepped. After each step the kernel asks here whether the plan is done.

/// How far a debugger wants a context to be stepped. `P` is the kernel's type for a predicate over a stopped context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan<P> {
    /// Exactly one step.
    One,
    /// This number of steps. With 0 the context is not stepped at all.
    Count(u64),
    /// Steps until the predicate holds after one of them. There is at least one step, even if the predicate holds before.
    Until(P),
    /// If the next instruction is a call: until the call has returned. Otherwise one step.
    Over,
}

/// Where a context stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address of the context's next instruction.
    pub pc: u64,
    /// The context's stack pointer.
    pub sp: u64,
}

/// What is left of a plan that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course<P> {
    /// This number of steps is left.
    Steps(u64),
    /// Steps until the predicate holds.
    Until(P),
    /// Steps until a call has returned to this place.
    Return(Place),
}

impl<P> Plan<P> {
    /// Begins the plan at `here`; `call` says whether the next instruction is a call. None if the plan asks for no step.
    pub fn from(self, here: Place, call: bool) -> Option<Course<P>> {
        match self {
            Self::Count(0) => None,
            Self::Count(count) => Some(Course::Steps(count)),
            Self::Until(predicate) => Some(Course::Until(predicate)),
            Self::Over if call => Some(Course::Return(Place { pc: here.pc.wrapping_add(4), ..here })),
            Self::One | Self::Over => Some(Course::Steps(1)),
        }
    }
}

impl<P> Course<P> {
    /// Counts a step that has landed at `here`, and says whether the plan is done. `holds` evaluates the predicate of
    /// [`Course::Until`].
    pub fn is_done(&mut self, here: Place, holds: impl FnOnce(&mut P) -> bool) -> bool {
        match self {
            Self::Steps(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            Self::Until(predicate) => holds(predicate),
            Self::Return(to) => here.is_return_to(*to) || here.is_above(*to),
        }
    }
}

impl Place {
    /// Whether a call that returns to `to` has returned with this step. SP tells this call from other executions of the same code:
    /// a function returns with the SP that it was called with (AAPCS64 6.4.5.1), while a recursive call, an interrupt's handler or
    /// another thread arrives at `to.pc` with another SP.
    pub fn is_return_to(self, to: Place) -> bool {
        self == to
    }

    /// Whether the call's frame was left without a return to `to`, for example by an unwinder. The answer is right only if the
    /// context still runs on the stack of the call.
    pub fn is_above(self, to: Place) -> bool {
        self.sp > to.sp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place { pc: 0x1000, sp: 0x8000 };

    fn never(_: &mut ()) -> bool {
        panic!("no plan with a predicate")
    }

    #[test]
    fn a_count_is_that_many_steps() {
        let mut course = Plan::Count(3).from(HERE, true).unwrap();
        let done: Vec<bool> = (0..3).map(|_| course.is_done(HERE, never)).collect();
        assert_eq!(done, [false, false, true]);
        assert_eq!(Plan::<()>::Count(0).from(HERE, false), None);
    }

    #[test]
    fn one_is_one_step_also_into_a_call() {
        assert_eq!(Plan::<()>::One.from(HERE, true), Some(Course::Steps(1)));
        assert!(Course::Steps(1).is_done(HERE, never));
    }

    #[test]
    fn until_asks_behind_each_step() {
        let mut course = Plan::Until(0).from(HERE, false).unwrap();
        let mut ask = |at: u64| {
            course.is_done(Place { pc: at, ..HERE }, |asked| {
                *asked += 1;
                at == 0x1008
            })
        };
        assert_eq!([ask(0x1004), ask(0x1008)], [false, true]);
        assert_eq!(course, Course::Until(2));
    }

    #[test]
    fn over_is_one_step_where_no_call_is_next() {
        assert_eq!(Plan::<()>::Over.from(HERE, false), Some(Course::Steps(1)));
    }

    #[test]
    fn over_a_call_ends_where_it_returns_with_the_stack_as_it_was() {
        let mut course = Plan::Over.from(HERE, true).unwrap();
        let mut done = |pc, sp| course.is_done(Place { pc, sp }, never);
        assert!(!done(0x2000, 0x8000), "in the function");
        assert!(!done(0x1004, 0x7fe0), "in a recursion, or an interrupt's handler");
        assert!(done(0x1004, 0x8000));
        assert!(done(0x3000, 0x8010), "it never returned, but who called has");
    }

    #[test]
    fn another_threads_stack_is_not_the_same_place() {
        let to = Place { pc: 0x1004, ..HERE };
        assert!(!Place { sp: 0x2_8000, ..to }.is_return_to(to));
    }
}
