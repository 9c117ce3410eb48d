"""What gdb does not know of Stepwell.

- `data`: the kernel's statics and types, by their Rust paths
- `cpu`: the CPUs and their registers
- `contexts`: which exceptions are on the stack, and the rule that each is under
- `masks`, `slots`, `probes`, `stash`, `irq_steps`: a command each
"""
