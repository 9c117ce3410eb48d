"""`stepwell slots`"""

from . import cpu, data

# A record's state word (slots/src/record.rs): control[63:32], generation[31:2], state[1:0].
STATES = ["free", "being filled", "live", "retired"]
KINDS = {"breakpoints": ("DBGBVR", "DBGBCR"), "watchpoints": ("DBGWVR", "DBGWCR")}
ACCESSES = {1: "read", 2: "write", 3: "access"}
ALL_CPUS = (1 << 64) - 1


def show(argument):
    """Show the records of hardware slots, and each CPU's registers that are in use.

The records are what every CPU shall have (rule H1); a slot that a CPU has suspended for a step-over has its
registers' enable bit clear there.
Usage: stepwell slots"""
    if argument:
        data.fail("stepwell slots takes no argument")
    tables = data.static("kernel::debug::slots::records::SLOTS")
    records = {kind: list(read(data.member(tables, kind, "records"))) for kind in KINDS}
    for kind in KINDS:
        for record in records[kind]:
            print(record)
    if not any(records.values()):
        print("no records")
    for index in range(len(cpu.threads())):
        with cpu.selected(index):
            print(f"cpu{index}: {registers(index)}")


def read(records):
    """The lines of the records in use."""
    for index in range(data.length(records)):
        record = data.element(records, index)
        state = data.number(data.member(record, "state"))
        if state & 3 == 0:
            continue
        yield describe(record, state)


def describe(record, state):
    value = lambda name: data.number(data.member(record, name))
    control, generation = state >> 32, state >> 2 & (1 << 30) - 1
    access = ACCESSES.get(control >> 3 & 3)
    first, last = watched(value("value"), control) if access else (value("value"), None)
    cpus, slot = value("cpus"), value("place") & 0xff
    parts = [
        f"{'watchpoint' if access else 'breakpoint'} {slot} {STATES[state & 3]}, use {generation}:",
        f"{access or 'execute'} {first:#x}" + (f"..{last:#x}" if access else ""),
        f"<{data.name_of(first)}>,",
        "all CPUs," if cpus == ALL_CPUS else f"CPUs {cpus:#x},",
        f"{hits(bool(access), slot, cpus)} hits,",
        does(value("payload")),
    ]
    return " ".join(parts)


def does(payload):
    """What is done about a hit: the payload is the address of a `Watcher`, or 0."""
    if not payload:
        return "counts"
    watcher = data.at("kernel::debug::client::Watcher", payload)
    word = data.number(data.member(watcher, "data"))
    return f"calls {data.name_of(data.word(watcher['handler']))}" + (f"({word:#x})" if word else "")


def watched(value, control):
    """First and last byte, by the mask or by the byte address select."""
    mask, select = control >> 24 & 0x1f, control >> 5 & 0xff
    if mask:
        return value, value | (1 << mask) - 1
    return value + (select & -select).bit_length() - 1, value + select.bit_length() - 1


def hits(watchpoint, slot, cpus):
    """Of the CPUs that the slot is for."""
    states = data.static("kernel::debug::cpu::CPU_DEBUG")
    counts = lambda cpu: data.element(data.member(data.element(states, cpu), "hits"), int(watchpoint))
    return sum(data.number(data.element(counts(cpu), slot)) for cpu in range(8) if cpus >> cpu & 1)


def registers(index):
    """What one CPU has in its registers, and what it says of them."""
    if not cpu.is_online():
        return "not running the kernel"
    found = []
    for kind, (value_name, control_name) in KINDS.items():
        n = 0
        while (control := cpu.register(f"{control_name}{n}_EL1")) is not None:
            if control:
                value = cpu.register(f"{value_name}{n}_EL1")
                found.append(f"{value_name}{n}={value:#x} {control_name}{n}={control:#x} ({decode(kind, control)})")
            n += 1
    state = data.member(data.element(data.static("kernel::debug::cpu::CPU_DEBUG"), index), "slots")
    mask = lambda kind, name: data.number(data.member(state, kind, name))
    armed = [mask(kind, "all") & ~mask(kind, "free") for kind in KINDS]
    suspended = masks_of(data.member(state, "suspended"))
    for name, masks in ("armed", armed), ("suspended", suspended):
        found.append(f"{name} {sets(masks)}")
    return ", ".join(found)


def decode(kind, control):
    fields = [f"E={control & 1}", f"P{'M' if kind == 'breakpoints' else 'A'}C={control >> 1 & 3}"]
    if kind == "breakpoints":
        fields.append(f"BAS={control >> 5 & 0xf:#x}")
    else:
        fields += [f"LSC={control >> 3 & 3}", f"BAS={control >> 5 & 0xff:#x}", f"MASK={control >> 24 & 0x1f}"]
    return " ".join(fields)


def masks_of(suspended):
    masks = data.member(suspended, "masks")
    return [data.number(data.element(masks, kind)) for kind in range(2)]


def sets(masks):
    """The two sets of slot indices, breakpoints and watchpoints, as `b0 w1`."""
    names = []
    for mask, letter in zip(masks, "bw"):
        names += [f"{letter}{n}" for n in range(64) if mask >> n & 1]
    return " ".join(names) or "none"
