"""`stepwell probes`"""

import re

import gdb

from . import data

# The word that stands for a probed instruction: BRK #4.
BRK = 0xD4200080


def show(argument):
    """Show the registered kprobes: where, how the instruction runs, handlers, counts.

Usage: stepwell probes"""
    if argument:
        data.fail("stepwell probes takes no argument")
    kind = data.type_of("kernel::kprobe::probe::Kprobe").pointer()
    count = 0
    for site in sites():
        how = re.search(r"How::(\w+)", str(data.member(site, "how")))[1]
        probe = data.word(data.member(site, "first"))
        while probe:
            value = gdb.Value(probe).cast(kind).dereference()
            print(describe(value, how))
            probe = data.word(data.member(value, "next"))
            count += 1
    print(f"{count} probes")


def sites():
    """All of them, in the order of their addresses. One read a page of pointers: there are a thousand in each."""
    kind = data.type_of("kernel::kprobe::site::Site").pointer()
    nothing = data.static("kernel::kprobe::table::NOTHING")
    table = data.static("kernel::kprobe::table::KPROBE_PAGES")
    for page in words(int(table.address), table.type.sizeof):
        if page != int(nothing.address):
            for site in filter(None, words(page, nothing.type.sizeof)):
                yield gdb.Value(site).cast(kind).dereference()


def words(address, size):
    memory = bytes(gdb.selected_inferior().read_memory(address, size))
    return [int.from_bytes(memory[at : at + 8], "little") for at in range(0, size, 8)]


def hits(probe):
    """Each CPU counts its own."""
    counts = data.bare(data.member(probe, "hits"))
    return sum(data.number(counts[cpu]) for cpu in range(data.length(counts)))


def handler(probe, name):
    address = data.word(data.member(probe, name))
    return data.name_of(address) if address else "none"


def describe(probe, how):
    address = data.number(data.member(probe, "address"))
    now = int.from_bytes(bytes(gdb.selected_inferior().read_memory(address, 4)), "little")
    parts = [
        f"{address:#x} <{data.name_of(address)}>: instruction {data.number(data.member(probe, 'word')):#010x}",
        how,
        f"pre {handler(probe, 'pre')}, post {handler(probe, 'post')}",
        f"{hits(probe)} hits, {data.number(data.member(probe, 'missed'))} missed",
    ]
    if now != BRK:
        parts.append(f"no BRK there yet (or any more) but {now:#010x}")
    return ", ".join(parts)
