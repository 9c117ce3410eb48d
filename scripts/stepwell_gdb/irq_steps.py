"""`stepwell irq-steps`"""

import gdb

from . import data

# QEMU's gdbstub: 1 single-steps, 2 holds interrupts back meanwhile, 4 the timers.
PACKETS = {"on": "0x1", "off": "0x7"}


def show(argument):
    """Choose whether interrupts are taken while gdb steps.

QEMU's stub holds interrupts and timers back during single steps (`off`, as it starts). With `on` a step may land in
an interrupt handler, as on hardware.
Usage: stepwell irq-steps on|off"""
    packet = PACKETS.get(argument.strip())
    if packet is None:
        data.fail("stepwell irq-steps takes `on` or `off`")
    said = gdb.execute(f"maintenance packet Qqemu.sstep={packet}", to_string=True)
    if '"OK"' not in said:
        data.fail(f"the stub does not know Qqemu.sstep: is it QEMU's? It said:\n{said}")
    print(f"interrupts during single steps: {argument.strip()}")
