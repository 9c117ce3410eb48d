"""`stepwell masks`"""

import gdb

from . import contexts, cpu, data


def show(argument):
    """Show the masks of the selected frame, and the exceptions on its CPU's stack.

For each exception: what it interrupted, with which masks, and the row of the rule table that it is under.
Usage: stepwell masks"""
    if argument:
        data.fail("stepwell masks takes no argument; select a frame with `frame N` first")
    selected = gdb.selected_frame()
    stack = contexts.walk()
    inner = newer_than(selected, stack)
    value = cpu.register("cpsr") if inner is None else inner.field("pstate")
    where = "now" if inner is None else "when it was interrupted"
    print(f"cpu{cpu.index()}, frame #{selected.level()} {selected.name() or ''}, {where}: {cpu.pstate(value)}")
    registers()
    if selected.type() == gdb.SIGTRAMP_FRAME and selected.older() is None:
        vectors()
    elif not stack:
        print("no exception on the stack")
    for context in stack:
        describe(context)


def newer_than(frame, stack):
    """The exception that interrupted `frame`, directly or by interrupting what it called."""
    newer = [context for context in stack if context.frame.level() < frame.level()]
    return newer[-1] if newer else None


def registers():
    mdscr, pmr = cpu.register("MDSCR_EL1"), cpu.register("ICC_PMR_EL1")
    by_priority = data.optional_static("kernel::irq::off::BY_PRIORITY")
    priority = by_priority is not None and data.number(by_priority)
    parts = ["MDSCR_EL1 not shown by this QEMU" if mdscr is None else f"MDSCR_EL1 {mdscr:#x}: {cpu.mdscr(mdscr)}"]
    parts.append("ICC_PMR_EL1 not shown by this QEMU" if pmr is None else f"ICC_PMR_EL1 {pmr:#x}")
    parts.append(f"interrupts are turned off by {'priority' if priority else 'PSTATE.I'}")
    print("  " + "; ".join(parts))


def vectors():
    """In the vectors' code the interrupted context is in registers that no backtrace can follow."""
    pc, spsr, syndrome = (cpu.register(name) for name in ("ELR_EL1", "SPSR_EL1", "ESR_EL1"))
    if None not in (pc, spsr, syndrome):
        print(f"in the vectors: ELR_EL1 {pc:#x} <{data.name_of(pc)}>, ESR_EL1 {syndrome:#x}, SPSR_EL1: {cpu.pstate(spsr)}")


def describe(context):
    rule = context.rule or "rule not known"
    row = contexts.row(context.rule) if context.rule else None
    handler = context.handlers[0] if context.handlers else context.frame.name()
    print(f"frame #{context.frame.level()} {context.what()}, {handler}: {rule}{f', {row}' if row else ''}")
    pc = context.field("pc")
    print(f"  interrupted {data.name_of(pc)} ({pc:#x}): {cpu.pstate(context.field('pstate'))}")
    if not context.interrupt():
        print(f"  ESR_EL1 {context.field('esr'):#x}, FAR_EL1 {context.field('far'):#x}")
