"""The kernel's statics and types, by their Rust paths."""

import re

import gdb


def fail(text):
    """Ends the command with a message, without a Python traceback."""
    raise gdb.GdbError(text)


def static(path):
    """The value of a static."""
    symbol = gdb.lookup_global_symbol(path) or gdb.lookup_static_symbol(path)
    if symbol is None:
        fail(f"no static {path}: load the kernel's ELF with `file`; if it is loaded, it and scripts/ are of different versions")
    return symbol.value()


def optional_static(path):
    """As `static`; None where this build has none."""
    symbol = gdb.lookup_global_symbol(path) or gdb.lookup_static_symbol(path)
    return symbol and symbol.value()


def type_of(path):
    """A type."""
    try:
        return gdb.lookup_type(path)
    except gdb.error:
        fail(f"no type {path}: load the kernel's ELF with `file`; if it is loaded, it and scripts/ are of different versions")


def member(value, *names):
    """A member of a member of `value`; wrappers (cells, atomics, newtypes) around structures are looked through."""
    for name in names:
        while True:
            fields = value.type.strip_typedefs().fields()
            if any(field.name == name for field in fields):
                value = value[name]
                break
            if len(only(fields)) != 1:
                fail(f"{value.type} has no {name}: the kernel and scripts/ are of different versions")
            value = value[only(fields)[0].name]
    return value


def only(fields):
    """The fields that take room."""
    return [field for field in fields if field.type is not None and field.type.sizeof]


def element(value, index):
    """An element of an array, which may be in wrappers."""
    value = bare(value)
    if value.type.strip_typedefs().code != gdb.TYPE_CODE_ARRAY:
        fail(f"{value.type} is no array: the kernel and scripts/ are of different versions")
    return value[index]


def length(value):
    """The length of an array, which may be in wrappers."""
    return bare(value).type.strip_typedefs().range()[1] + 1


def bare(value):
    """What is in the wrappers."""
    while True:
        kind = value.type.strip_typedefs()
        fields = only(kind.fields()) if kind.code == gdb.TYPE_CODE_STRUCT else []
        if len(fields) != 1:
            return value
        value = value[fields[0].name]


def number(value):
    """An integer, which may be in wrappers."""
    return int(bare(value))


def at(path, address):
    """The value of the type `path` at an address."""
    return gdb.Value(address).cast(type_of(path).pointer()).dereference()


def word(value):
    """The first 8 bytes of `value` as a number, whatever its type (`Option<fn()>`: 0 is None)."""
    memory = gdb.selected_inferior().read_memory(int(value.address), 8)
    return int.from_bytes(bytes(memory), "little")


def functions_in(value):
    """The functions that `value`, whatever its type, points to, as gdb prints it."""
    return ", ".join(re.findall(r"0x[0-9a-f]+ <([^<>+]+)(?:\+\d+)?>", str(value))) or "nobody"


def name_of(address):
    """`function+0x10`, or the bare number where nothing is known."""
    block = gdb.block_for_pc(address)
    while block is not None and block.function is None:
        block = block.superblock
    if block is not None:
        name, offset = block.function.name, address - block.start
    else:
        said = gdb.execute(f"info symbol {address:#x}", to_string=True)
        match = re.match(r"(.+?)(?: \+ (\d+))?(?: in section .*)?$", said.strip())
        if match is None or said.startswith("No symbol"):
            return f"{address:#x}"
        name, offset = re.sub(r"::h[0-9a-f]{16}$", "", match[1]), int(match[2] or 0)
    return f"{name}+{offset:#x}" if offset else name
