//! The explorer: breadth first through all states, so that the trace of a violation is a shortest one.
//!
//! States are kept whole, as words, and compared word by word: two different states are never taken for one. Each state has the number of the
//! state that it was first reached from. The events of a trace are found again at the end, by asking each state of the trace for its
//! successors.

use crate::event::{Cause, Event};
use crate::model::Model;
use crate::properties::{LIVELOCK, Property};
use crate::show::Line;
use crate::state::State;
use core::fmt;
use std::time::{Duration, Instant};

/// The number of no state.
const NONE: u32 = u32::MAX;

/// The result of an exploration.
pub struct Outcome {
    /// The name of the bounds.
    pub name: &'static str,
    /// How many states were found.
    pub states: usize,
    /// How many transitions were made.
    pub transitions: u64,
    /// How many events the longest of the shortest ways to a state has.
    pub depth: usize,
    /// The most entries that the stash of a CPU had in any state.
    pub stash: usize,
    /// How long it took.
    pub time: Duration,
    /// The rule that does not hold, if one does not. The exploration ends there.
    pub violation: Option<Violation>,
}

/// How a rule is broken.
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// The property's name.
    pub property: &'static str,
    /// What the property demands, and what has happened instead if a transition has noted it.
    pub says: String,
    /// The events, from the initial state on.
    pub trace: Vec<Event>,
    /// The state before the last event.
    pub before: State,
    /// The state after it.
    pub after: State,
    /// For a livelock: the events that go round.
    pub cycle: Vec<Event>,
}

/// All states that were found, in the order in which they were found.
struct Seen {
    words: Vec<u64>,
    /// Where the words of each state begin, and one past the end of the last.
    starts: Vec<usize>,
    parents: Vec<u32>,
    /// An open-addressing hash table of numbers of states. Its length is a power of two.
    table: Vec<u32>,
}

impl Seen {
    fn new() -> Self {
        Self { words: Vec::new(), starts: vec![0], parents: Vec::new(), table: vec![NONE; 1 << 12] }
    }

    fn len(&self) -> usize {
        self.parents.len()
    }

    fn words(&self, state: u32) -> &[u64] {
        &self.words[self.starts[state as usize]..self.starts[state as usize + 1]]
    }

    fn state(&self, state: u32) -> State {
        State::unpack(self.words(state))
    }

    fn hash(words: &[u64]) -> usize {
        let hash = words
            .iter()
            .fold(0u64, |hash, &word| (hash.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (hash ^ hash >> 29) as usize
    }

    /// The number of the state with these words, and whether it is new.
    fn insert(&mut self, words: &[u64], parent: u32) -> (u32, bool) {
        if self.len() * 2 >= self.table.len() {
            self.grow();
        }
        let mut place = Self::hash(words) & (self.table.len() - 1);
        while self.table[place] != NONE {
            let known = self.table[place];
            if self.words(known) == words {
                return (known, false);
            }
            place = (place + 1) & (self.table.len() - 1);
        }
        let number = self.len() as u32;
        self.table[place] = number;
        self.words.extend_from_slice(words);
        self.starts.push(self.words.len());
        self.parents.push(parent);
        (number, true)
    }

    fn grow(&mut self) {
        let size = self.table.len() * 2;
        let mut table = vec![NONE; size];
        for number in 0..self.len() as u32 {
            let mut place = Self::hash(self.words(number)) & (size - 1);
            while table[place] != NONE {
                place = (place + 1) & (size - 1);
            }
            table[place] = number;
        }
        self.table = table;
    }

    /// The states on the way to this one, from the initial state on.
    fn way_to(&self, mut state: u32) -> Vec<u32> {
        let mut way = vec![state];
        while self.parents[state as usize] != NONE {
            state = self.parents[state as usize];
            way.push(state);
        }
        way.reverse();
        way
    }
}

/// Explores the model to its end, or to the first state in which a property does not hold.
pub fn explore(model: &Model) -> Outcome {
    let begin = Instant::now();
    let mut seen = Seen::new();
    let mut levels = 0;
    let mut transitions = 0;
    let mut stash = 0;
    let mut machine: Vec<(u32, u32)> = Vec::new();
    let mut broken: Option<(u32, &'static Property)> = None;
    let (mut from, mut until) = (0, 1);
    seen.insert(&model.initial().pack(), NONE);
    'all: while from < until {
        for number in from..until {
            let state = seen.state(number);
            stash = state.cpus.iter().map(|cpu| cpu.stashed().len()).fold(stash, usize::max);
            model.successors(&state, |event, after| {
                transitions += 1;
                let (next, is_new) = seen.insert(&after.pack(), number);
                if event.cause() == Cause::Machine {
                    machine.push((number, next));
                }
                if is_new && broken.is_none() {
                    broken = model.broken_in(&after).map(|property| (next, property));
                }
            });
            if broken.is_some() {
                levels += 1;
                break 'all;
            }
        }
        levels += usize::from(seen.len() as u32 > until);
        (from, until) = (until, seen.len() as u32);
    }
    let violation = match broken {
        Some((state, property)) => Some(violation(model, &seen, state, property)),
        None if model.checks_livelock => livelock(model, &seen, &machine),
        None => None,
    };
    Outcome {
        name: model.config.name,
        states: seen.len(),
        transitions,
        depth: levels,
        stash,
        time: begin.elapsed(),
        violation,
    }
}

/// Goes through the model at random, for bounds whose states are too many: `walks` times from the initial state, `length` events far, with the
/// choices that `seed` makes. Returns how many states were looked at, and the first violation, whose trace is not a shortest one. Livelocks
/// are not looked for.
pub fn walk(model: &Model, seed: u64, walks: usize, length: usize) -> (usize, Option<Violation>) {
    let mut random = seed | 1;
    let mut states = 0;
    for _ in 0..walks {
        let mut state = model.initial();
        let mut events = Vec::new();
        for _ in 0..length {
            let mut all = Vec::new();
            model.successors(&state, |event, after| all.push((event, after)));
            if all.is_empty() {
                break;
            }
            // Xorshift.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let (event, after) = all[(random >> 33) as usize % all.len()];
            events.push(event);
            states += 1;
            if let Some(property) = model.broken_in(&after) {
                return (states, Some(Violation::new(property, events, state, after)));
            }
            state = after;
        }
    }
    (states, None)
}

/// The event that leads from one state to another.
fn event_between(model: &Model, from: &State, to: &State, only: Option<Cause>) -> Option<Event> {
    let mut found = None;
    let to = to.pack();
    model.successors(from, |event, after| {
        if found.is_none() && after.pack() == to && only.is_none_or(|cause| event.cause() == cause) {
            found = Some(event);
        }
    });
    found
}

fn trace(model: &Model, seen: &Seen, way: &[u32], only: Option<Cause>) -> Vec<Event> {
    way.windows(2)
        .filter_map(|pair| event_between(model, &seen.state(pair[0]), &seen.state(pair[1]), only))
        .collect()
}

fn violation(model: &Model, seen: &Seen, state: u32, property: &Property) -> Violation {
    let way = seen.way_to(state);
    let before = seen.state(*way.iter().rev().nth(1).unwrap_or(&state));
    Violation::new(property, trace(model, seen, &way, None), before, seen.state(state))
}

impl Violation {
    fn new(property: &Property, trace: Vec<Event>, before: State, after: State) -> Self {
        let noted = after.noted.filter(|broken| broken.property() == property.name);
        let says = noted.map_or_else(
            || format!("it does not hold that {}", property.says),
            |broken| broken.says().into(),
        );
        Self { rule: property.rule, property: property.name, says, trace, before, after, cycle: Vec::new() }
    }
}

/// Looks for a cycle of events that the machine makes by itself, in which no code gets on (H3). Takes away, again and again, the states that no
/// such event leads to; what is left contains a cycle.
fn livelock(model: &Model, seen: &Seen, edges: &[(u32, u32)]) -> Option<Violation> {
    let mut into = vec![0u32; seen.len()];
    let mut out: Vec<u32> = vec![0; seen.len() + 1];
    for &(from, to) in edges {
        into[to as usize] += 1;
        out[from as usize + 1] += 1;
    }
    for index in 1..out.len() {
        out[index] += out[index - 1];
    }
    // `edges` is in the order of its first members, because states are explored in the order of their numbers.
    let targets = |state: u32| {
        edges[out[state as usize] as usize..out[state as usize + 1] as usize].iter().map(|&(_, to)| to)
    };
    let mut free: Vec<u32> = (0..seen.len() as u32).filter(|&state| into[state as usize] == 0).collect();
    while let Some(state) = free.pop() {
        for to in targets(state) {
            into[to as usize] -= 1;
            if into[to as usize] == 0 {
                free.push(to);
            }
        }
    }
    // Every state that is left is on a cycle or behind one. Walking back along such states ends up on a cycle.
    let left = |state: u32| into[state as usize] != 0;
    let mut state = (0..seen.len() as u32).find(|&state| left(state))?;
    let mut back = vec![NONE; seen.len()];
    for &(from, to) in edges {
        if left(from) && left(to) {
            back[to as usize] = from;
        }
    }
    for _ in 0..seen.len() {
        state = back[state as usize];
    }
    let mut cycle = vec![state];
    while cycle.len() == 1 || cycle.last() != Some(&state) {
        cycle.push(back[*cycle.last()? as usize]);
    }
    cycle.reverse();
    // The cycle is shown from the state on that is reached first.
    cycle.pop();
    let first = (0..cycle.len()).min_by_key(|&index| cycle[index])?;
    cycle.rotate_left(first);
    cycle.push(cycle[0]);
    let way = seen.way_to(cycle[0]);
    Some(Violation {
        rule: "H3",
        property: LIVELOCK,
        says: "exceptions come and are returned from for ever, and no code gets on".into(),
        trace: trace(model, seen, &way, None),
        before: seen.state(*way.iter().rev().nth(1).unwrap_or(&cycle[0])),
        after: seen.state(cycle[0]),
        cycle: trace(model, seen, &cycle, Some(Cause::Machine)),
    })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} states, {} transitions, {} events deep, {:.1} s",
            self.name,
            self.states,
            self.transitions,
            self.depth,
            self.time.as_secs_f64()
        )
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rule {} is broken ({}): {}", self.rule, self.property, self.says)?;
        for (index, event) in self.trace.iter().enumerate() {
            writeln!(f, "{:3}. {event}", index + 1)?;
        }
        if !self.cycle.is_empty() {
            writeln!(f, "     and from there on, again and again:")?;
            self.cycle.iter().try_for_each(|event| writeln!(f, "   - {event}"))?;
        }
        writeln!(f, "before the last event: {}", Line(&self.before))?;
        write!(f, "after it:              {}", Line(&self.after))
    }
}
