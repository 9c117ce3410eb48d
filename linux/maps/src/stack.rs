use crate::{
    error::Error,
    layout::Limits,
    mapping::{Backing, Flags},
    maps::Maps,
    page::{PAGE, align_down},
};

impl<B: Backing> Maps<B> {
    /// Extends the stack above the address down to the page of the address, after [`Maps::access`] said
    /// [`Fault::NotMapped`](crate::Fault::NotMapped) (Linux: expand_stack). Nothing if the address is mapped already. Needs no change
    /// of page tables and does not allocate.
    ///
    /// # Errors
    /// All mean SIGSEGV with SEGV_MAPERR to the program. [`Error::Fault`]: the next mapping above is no stack, or there is none.
    /// [`Error::NotPermitted`]: below `min`. [`Error::NoMemory`]: the guard gap to the mapping below (which a mapping without any
    /// permission needs not, nor another stack), RLIMIT_STACK, RLIMIT_AS.
    pub fn grow_stack(&mut self, addr: u64, limits: &Limits) -> Result<(), Error> {
        let start = align_down(addr);
        let index = self.store.first_above(start);
        let list = self.store.list();
        let stack = list.get(index).ok_or(Error::Fault)?;
        if stack.start <= start {
            return Ok(());
        }
        if !stack.flags.contains(Flags::GROWS_DOWN) {
            return Err(Error::Fault);
        }
        if start < self.layout.min {
            return Err(Error::NotPermitted);
        }
        let too_near = index.checked_sub(1).map(|below| &list[below]).is_some_and(|below| {
            !below.flags.contains(Flags::GROWS_DOWN)
                && !below.prot.is_empty()
                && start - below.end < self.layout.guard
        });
        let more = (stack.start - start) / PAGE;
        if too_near
            || stack.end - start > limits.stack
            || !self.store.usage().may_add(more, stack.is_data(), limits)
        {
            return Err(Error::NoMemory);
        }
        self.store.extend_down(index, start);
        Ok(())
    }
}
