"""The CPUs, as QEMU's stub shows them: a thread each."""

from contextlib import contextmanager

import gdb

from . import data

UPPER_HALF = 1 << 63
MODES = {0: "EL0t", 4: "EL1t", 5: "EL1h", 8: "EL2t", 9: "EL2h"}


def register(name):
    """A register of the selected CPU, in its selected frame; None where the stub does not show it."""
    value = gdb.parse_and_eval(f"${name}")
    return None if value.type.code == gdb.TYPE_CODE_VOID else int(value) & (1 << 64) - 1


def threads():
    """All CPUs, in their order."""
    return sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.ptid[1])


def index(thread=None):
    """The kernel's number of a CPU, by default of the selected one."""
    thread = thread or gdb.selected_thread()
    if thread is None:
        data.fail("no CPU: attach with `target remote` first")
    # Both QEMU and the kernel count in the order of the device tree, from the CPU that boots.
    return thread.ptid[1] - 1


def chosen(argument):
    """The CPUs that a command's argument names: a number, `all`, or nothing for the selected one."""
    count = len(threads())
    if not argument:
        return [index()]
    if argument == "all":
        return list(range(count))
    if argument.isdecimal() and int(argument) < count:
        return [int(argument)]
    data.fail(f"`{argument}` is no CPU: give 0 to {count - 1}, `all`, or nothing for the selected one")


@contextmanager
def selected(cpu):
    """Selects a CPU for a while."""
    thread, frame = gdb.selected_thread(), gdb.selected_frame()
    if index(thread) != cpu:
        threads()[cpu].switch()
    try:
        yield
    finally:
        thread.switch()
        frame.select()


def is_online():
    """Whether the selected CPU runs on the kernel's tables."""
    return register("pc") >= UPPER_HALF


def pstate(value):
    """PSTATE, decoded (DDI 0487, SPSR_EL1)."""
    masks = ", ".join(name for name, bit in zip("DAIF", (9, 8, 7, 6)) if value >> bit & 1)
    # Every exception sets ALLINT where the CPU has it (FEAT_NMI). It masks only while SCTLR_EL1.NMI is 1, and the kernel leaves that 0.
    allint = ", ALLINT=1" if value >> 13 & 1 else ""
    flags = "".join(name if value >> bit & 1 else name.lower() for name, bit in zip("NZCV", (31, 30, 29, 28)))
    mode = MODES.get(value & 0x1F, f"mode {value & 0x1f:#x}")
    return f"{masks or 'nothing'} masked, SS={value >> 21 & 1}, {mode}, {flags}{allint}"


def mdscr(value):
    """MDSCR_EL1, decoded."""
    return f"SS={value & 1} KDE={value >> 13 & 1} MDE={value >> 15 & 1}"
