"""`stepwell probes`"""

import gdb

from . import data

# The word that stands for a probed instruction: BRK #4.
BRK = 0xD4200080


def show(argument):
    """Show the registered kprobes: where, how the instruction runs, handlers, counts.

Usage: stepwell probes"""
    if argument:
        data.fail("stepwell probes takes no argument")
    kind = data.type_of("kernel::kprobe::Kprobe").pointer()
    count = 0
    for head in heads():
        while head:
            probe = gdb.Value(head).cast(kind).dereference()
            print(describe(probe))
            head = data.word(data.member(probe, "next"))
            count += 1
    print(f"{count} probes")


def heads():
    """The chains that are not empty. One read: there are a thousand."""
    table = data.static("kernel::kprobe::table::HEADS")
    memory = bytes(gdb.selected_inferior().read_memory(int(table.address), table.type.sizeof))
    words = (int.from_bytes(memory[at : at + 8], "little") for at in range(0, len(memory), 8))
    return [word for word in words if word]


def handler(probe, name):
    address = data.word(data.member(probe, name))
    return data.name_of(address) if address else "none"


def describe(probe):
    address = data.number(data.member(probe, "address"))
    now = int.from_bytes(bytes(gdb.selected_inferior().read_memory(address, 4)), "little")
    parts = [
        f"{address:#x} <{data.name_of(address)}>: instruction {data.number(data.member(probe, 'word')):#010x}",
        data.member(probe, "how").format_string(format="x").split("::")[-1],
        f"pre {handler(probe, 'pre')}, post {handler(probe, 'post')}",
        f"{data.number(data.member(probe, 'hits'))} hits, {data.number(data.member(probe, 'missed'))} missed",
    ]
    if now != BRK:
        parts.append(f"no BRK there yet (or any more) but {now:#010x}")
    return ", ".join(parts)
