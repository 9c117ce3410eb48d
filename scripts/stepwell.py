"""gdb's helpers for Stepwell: `source scripts/stepwell.py`, then `help stepwell`.

`cargo xtask gdb` loads this file. It can be loaded again after a change.
"""

import os
import sys

import gdb

PACKAGE = "stepwell_gdb"


def load():
    # Not __file__, which is another's where a script of gdb loads this one.
    here = os.path.dirname(os.path.abspath(load.__code__.co_filename))
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]
    before = sys.path[:], sys.dont_write_bytecode
    sys.path.insert(0, here)
    sys.dont_write_bytecode = True
    try:
        from stepwell_gdb import commands

        commands.register()
    finally:
        sys.path[:], sys.dont_write_bytecode = before


# The guest has no threads that come and go: its CPUs are all there is.
gdb.execute("set print thread-events off")
# Per-CPU tables are long.
gdb.execute("set print elements 64")
gdb.execute("set print repeats 4")
load()
