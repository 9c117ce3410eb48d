"""Which exceptions are on the stack of the selected CPU, and the rule that each is under."""

import re

import gdb

from . import data

# ESR_EL1.EC (DDI 0487 D24.2.40).
CLASSES = {
    0x00: "unknown reason",
    0x0E: "illegal execution state",
    0x15: "SVC",
    0x21: "instruction abort",
    0x22: "misaligned PC",
    0x25: "data abort",
    0x26: "misaligned SP",
    0x2F: "SError",
    0x31: "breakpoint",
    0x33: "software step",
    0x35: "watchpoint",
    0x3C: "BRK",
}

# The kernel's function that handles a class (kernel/src/exception), and the rule of `stepwell_rules::table`.
HANDLERS = {
    "exception_el1_irq": "M8",
    "exception_el1_fiq": "M8",
    "exception_el1_error": "M16",
    "step": "M10",
    "breakpoint": "M10",
    "watchpoint": "M10",
    "exception_el1_brk": "M12",
    "kprobe_hit": "M12",
    "out_of_line_end": "M12",
    "call_returned": "M12",
    "debugger": "M12",
    "begin_step": "M12",
    "empty": "M12",
    "assertion": "M11",
    "fault": "M6",
    "exception_on_sp_el0": "M7",
    "fatal": "M7",
    "exception_stack_overflow": "M7",
}
DEBUG_CONTEXT = {"M10", "M12", "M14"}


class Context:
    """An exception on the stack."""

    def __init__(self, frame, handlers):
        #: gdb's frame of the vectors' code.
        self.frame = frame
        #: Names of the functions that run because of it, from the one that the vectors call.
        self.handlers = handlers
        #: The rule's name, if known.
        self.rule = None
        kind = data.type_of("kernel::exception::frame::Frame")
        address = int(frame.read_register("sp")) & (1 << 64) - 1
        self.saved = gdb.Value(address).cast(kind.pointer()).dereference()

    def field(self, name):
        """A number of the saved frame."""
        return data.number(data.member(self.saved, name))

    def interrupt(self):
        """Whether it is an interrupt: those have no syndrome."""
        return re.search("irq|fiq", self.frame.name() or "") is not None

    def what(self):
        """The class of the exception."""
        if self.interrupt():
            return "interrupt"
        syndrome = self.field("esr")
        kind = syndrome >> 26 & 0x3F
        name = CLASSES.get(kind, f"class {kind:#x}")
        return f"{name} #{syndrome & 0xffff:#x}" if kind == 0x3C else name


def plain(name):
    """The last part of a function's path, without generic arguments."""
    return re.sub(r"<.*", "", name or "").split("::")[-1]


def walk():
    """The exceptions on the stack, the newest first."""
    found, handlers, frame = [], [], gdb.newest_frame()
    while frame is not None:
        if frame.type() == gdb.SIGTRAMP_FRAME and frame.older() is not None:
            # `kprobe/hit.S` is the vectors' code and a handler in one.
            name = plain(frame.name())
            found.append(Context(frame, [name] * (name in HANDLERS) + handlers[::-1]))
            handlers = []
        else:
            handlers.append(plain(frame.name()))
        frame = frame.older()
    nested = False
    for context in reversed(found):
        context.rule = rule(context.handlers, nested)
        nested = nested or context.rule in DEBUG_CONTEXT
    return found


def rule(handlers, nested):
    """The rule of an exception, by the functions that run because of it."""
    if "fatal" in handlers or "rust_begin_unwind" in handlers:
        return "M7"
    if "nmi" in handlers:
        return "M9"
    names = (name.removesuffix("_nested") for name in handlers)
    known = next((HANDLERS[name] for name in names if name in HANDLERS), None)
    return "M14" if nested and known in ("M11", "M12") else known


def row(name):
    """What the table says of a rule; None where it is compiled in (release builds)."""
    masks = data.optional_static("kernel::exception::live::MASKS")
    ss = data.optional_static("kernel::exception::live::SS")
    if masks is None or ss is None:
        return None
    index = variants("RowId").index(name)
    cell = lambda column, kind: variants(kind)[data.number(data.element(column, index))]
    return f"masks {cell(masks, 'Masks')}, SS {cell(ss, 'Ss')}"


def variants(kind):
    """The names of an enum's variants."""
    return [field.name.split("::")[-1] for field in data.type_of(f"stepwell_rules::table::{kind}").fields()]
