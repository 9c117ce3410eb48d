"""The commands."""

import inspect

import gdb

from . import data, irq_steps, masks, probes, slots, stash

COMMANDS = {
    "masks": masks.show,
    "slots": slots.show,
    "probes": probes.show,
    "stash": stash.show,
    "irq-steps": irq_steps.show,
}


def register():
    """Defines them all."""
    type("Prefix", (gdb.Command,), {"__doc__": "Stepwell's debug state, and how QEMU steps."})(
        "stepwell", gdb.COMMAND_STATUS, prefix=True
    )
    for name, function in COMMANDS.items():
        define(name, function)


def define(name, function):
    def invoke(_self, argument, _from_tty):
        if not gdb.selected_inferior().threads():
            data.fail("nothing to look at: attach with `target remote` first (`cargo xtask gdb` does)")
        try:
            function(argument)
        except gdb.MemoryError as error:
            data.fail(f"{error}: before the MMU is on there is no data to read; `continue` to kernel_main first")

    members = {"__doc__": inspect.getdoc(function), "invoke": invoke}
    type(name, (gdb.Command,), members)(f"stepwell {name}", gdb.COMMAND_STATUS)
