//! `docs/rules.md`: the rule table and the other rules, each with its reason and its sources.

use super::course::picture;
use super::evidence::Evidence;
use anyhow::Result;
use rules::invariants::{INVARIANTS, Invariant};
use rules::reason;
use rules::source::{DISCUSSIONS, Discussion, Source};
use rules::table::{Row, TABLE};
use std::fmt::Write;

/// Where the page is, from the repository's root.
pub const PAGE: &str = "docs/rules.md";

const HEAD: &str = "\
<!-- Written by `cargo xtask docs` from rules/src: change the rules there. -->
# The rules

These are the rules for PSTATE.D, A, I, F and for MDSCR_EL1.SS that Stepwell applies, with the reason of each and with the place that it
comes from. The table (M) says what each class of exception does. The other rules hold at all times (I), for hardware slots (H), for
probes (K), and for the whole (X). Code, tests and panics name rules by these names.

The rows M1 to M5 are for exceptions from EL0, where unmodified programs for AArch64 Linux run.

Each row of the table has a picture: one exception's course from left to right, not to scale. What is masked has its letter, what is open a dot, and
`?` is what the row leaves to the other rows. A `1` is a bit that is set; PSTATE.SS is SPSR_EL1.SS where a context is interrupted or returned to.
[Timelines](timeline.md) show the same for runs of the kernel.

*Fails without it* names what tests a rule; without the rule some of it fails. Tests have the rule at the beginning of their names, files of tests
and scenarios of the [sweep](writing-tests.md) name it in a comment. For the [model](../rules/model/README.md) these are its own properties of the rule, and
for the rows of the table which rule does not hold when a cell is changed: the model's tests compare that list with what a search finds.
`cargo xtask mutate M8` changes each cell of the row M8 in the kernel, and names a test that fails.

## Words

| word | means |
|---|---|
| frame | the saved registers of the interrupted context |
| snapshot | the copy of ESR_EL1, FAR_EL1, ELR_EL1 and SPSR_EL1 in the frame |
| slot | a hardware breakpoint or watchpoint; *suspended* while it is switched off so that the instruction that hit it can run |
| record | what the kernel remembers of a slot: whom it belongs to, what it watches, its disposition |
| disposition | what the kernel does about a hit of a slot: it only counts the hit, or it calls the slot's handler as well |
| step-over | the instruction under a slot runs once: the slot is suspended, the instruction is stepped, the slot is armed again |
| owner | who asked for a step of a context: a step-over, a debugger, a tracer, a uprobe |
| stash | each CPU's stack of what interrupts have set aside |
| debug context | code at EL1 that runs because of a debug exception from EL1, or in place of one (M12b) |
| debug depth | how many debug contexts a CPU is in, one inside of the other; 0 outside of all |
| no-probe text | code in which breakpoints and probes are refused, because every debug exception may execute it (H6) |
| displaced instruction | the instruction in whose place a probe has put a BRK or a branch; the kernel still has it executed at every hit |
| out-of-line copy | a copy of the displaced instruction at another address, where it is executed |
| trampoline | code for one optimised probe: calls the handlers and executes the displaced instruction; the probed address branches there |
| missed | a hit of a probe whose handlers did not run, for example because the CPU was busy with this probe already (K5) |
| fix-up | the place where the kernel goes on after a fault of an instruction that may fault, such as a read of user memory |
| deferred work | work that interrupt handlers leave for the way out of the interrupt |
| pseudo-NMI | an interrupt whose GICv3 priority lets it through while other interrupts are held back |
| rendezvous | all other CPUs are held while one CPU changes text |
| masked | D, A, I and F are set; with FEAT_NMI also ALLINT |

";

const SOURCES: &str = "\
## The discussions

The rules come from these discussions on public mailing lists of kernel developers. What a rule says of one is a summary in our words.
*Architecture* is the Arm Architecture Reference Manual (DDI 0487), *tried* is a trial on an emulator or in a test, *elsewhere* is what
other systems do, and *own* marks a rule, or a part of one, that has no outside source.

";

/// The text of `docs/rules.md`.
///
/// # Errors
/// When a source with tests cannot be read.
pub fn page() -> Result<String> {
    let evidence = Evidence::read()?;
    let mut page = HEAD.to_owned();
    page += "## What each exception does (M)\n\n";
    TABLE.iter().for_each(|rule| row(&mut page, rule, &evidence));
    for (letter, title) in [
        ('I', "What holds at all times (I)"),
        ('H', "Hardware slots (H)"),
        ('K', "Probes (K)"),
        ('X', "The whole (X)"),
    ] {
        page += &format!("## {title}\n\n");
        let rules = INVARIANTS.iter().filter(|rule| rule.id.starts_with(letter));
        rules.for_each(|rule| invariant(&mut page, rule, &evidence));
    }
    page += SOURCES;
    for (discussion, number) in DISCUSSIONS.iter().zip(1..) {
        page += &format!("{number}. {discussion}\n");
    }
    Ok(page)
}

fn row(page: &mut String, row: &Row, evidence: &Evidence) {
    *page += &format!("### {}: {}, {}\n\n", row.id, row.class, row.origin.meaning());
    let columns = [
        ("Masks", row.masks.meaning()),
        ("MDSCR_EL1.SS", row.ss.meaning()),
        ("The handler", row.context.meaning()),
        ("Besides", Some(row.note).filter(|note| !note.is_empty())),
    ];
    for (name, text) in columns {
        if let Some(text) = text {
            *page += &format!("- {name}: {text}.\n");
        }
    }
    *page += &format!("\n```text\n{}```\n\n", picture(row));
    background(page, row.id.name());
    tested(page, row.id.name(), evidence);
}

fn invariant(page: &mut String, rule: &Invariant, evidence: &Evidence) {
    *page += &format!("### {}\n\n{}.\n\n", rule.id, capitalised(rule.text));
    background(page, rule.id);
    tested(page, rule.id, evidence);
}

/// Adds what fails without a rule.
fn tested(page: &mut String, id: &str, evidence: &Evidence) {
    let lines = evidence.lines(id);
    if !lines.is_empty() {
        *page += &format!("*Fails without it.*\n\n{}\n\n", lines.join("\n"));
    }
}

/// Adds a rule's reason, and the sources of it.
fn background(page: &mut String, id: &str) {
    let Some(reason) = reason::of(id) else { return };
    *page += &format!("*Why.* {}\n\n", reason.why);
    for source in reason.sources {
        let kind = match source {
            Source::Discussion(discussion, _) => format!("discussion {}", number(discussion)),
            Source::Architecture(_) => "architecture".into(),
            Source::Tried(_) => "tried".into(),
            Source::Practice(_) => "elsewhere".into(),
            _ => "own".into(),
        };
        // Writing to a String does not fail.
        let _ = writeln!(page, "- *{kind}*: {}", source.text());
    }
    page.push('\n');
}

/// A discussion's number in the list at the end of the page.
fn number(discussion: &Discussion) -> usize {
    DISCUSSIONS.iter().position(|other| *other == discussion).map_or(0, |index| index + 1)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
