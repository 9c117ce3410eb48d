"""`stepwell stash`"""

from . import cpu, data
from .slots import masks_of, sets

# rules::step::Owners.
OWNERS = ["StepOver", "Debugger", "Tracer", "Uprobe"]


def show(argument):
    """Show a CPU's debug state: depth, owners of the running context's step, and what interrupts have set aside (rule M8).

Usage: stepwell stash [CPU | all]"""
    for index in cpu.chosen(argument.strip()):
        one(index)


def one(index):
    state = data.element(data.static("kernel::debug::cpu::CPU_DEBUG"), index)
    value = lambda name: data.number(data.member(state, name))
    session = data.functions_in(data.member(state, "session"))
    length = value("stash_len")
    print(
        f"cpu{index}: debug depth {value('depth')}, owners {owners(value('owners'))}, "
        f"MDSCR_EL1 as written last {value('mdscr'):#x} ({cpu.mdscr(value('mdscr'))}), "
        f"steps reported to {session}, {length} on the stash"
    )
    stash = data.member(state, "stash")
    if length > data.length(stash):
        data.fail(f"the stash cannot hold {length} entries: the kernel is not up yet, or scripts/ are of another version")
    for depth in range(length):
        entry = data.element(stash, depth)
        owner = owners(data.number(data.member(entry, "owners")))
        session = data.functions_in(data.member(entry, "session"))
        print(
            f"  stash[{depth}]: owners {owner}, steps reported to {session}, "
            f"suspended slots {sets(masks_of(data.member(entry, 'suspended')))}"
        )


def owners(bits):
    names = [name for bit, name in enumerate(OWNERS) if bits >> bit & 1]
    return "|".join(names) or "none"
