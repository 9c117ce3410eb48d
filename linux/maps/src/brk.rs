use crate::{
    change::Change,
    error::Error,
    layout::Limits,
    mapping::{Backing, Flags, Mapping},
    maps::{Break, Maps},
    page::{PAGE, align_up},
    prot::Prot,
};

impl<B: Backing> Maps<B> {
    /// Sets where the break begins, at execve: `start` in bytes, anywhere in a page; nothing is mapped yet. `data` is the size of the
    /// program's data segment in bytes, which RLIMIT_DATA counts.
    pub fn set_brk(&mut self, start: u64, data: u64) {
        self.brk = Break { start, now: start, data };
    }

    /// Where the break began: `start_brk` in /proc/PID/stat, and where the `[heap]` of /proc/PID/maps begins.
    pub fn brk_start(&self) -> u64 {
        self.brk.start
    }

    /// Where the break is.
    pub fn brk_now(&self) -> u64 {
        self.brk.now
    }

    /// brk. Returns the break, which is `wanted` if all went well and as before otherwise; the system call has no errors.
    /// `anonymous` lies behind new pages, which are readable and writable. `changes` gets [`Change::Unmapped`] for what a lower break
    /// gives back, whatever is mapped there by now.
    ///
    /// The break stays for a `wanted` below its start, RLIMIT_DATA, RLIMIT_AS, too many mappings, and if the new
    /// pages would come nearer than a page to the next mapping, or nearer than the guard and a page to a stack.
    pub fn brk(
        &mut self,
        wanted: u64,
        limits: &Limits,
        anonymous: B,
        changes: impl FnMut(Change<'_, B>),
    ) -> u64 {
        if self.move_brk(wanted, limits, anonymous, changes).is_ok() {
            self.brk.now = wanted;
        }
        self.brk.now
    }

    fn move_brk(
        &mut self,
        wanted: u64,
        limits: &Limits,
        anonymous: B,
        changes: impl FnMut(Change<'_, B>),
    ) -> Result<(), Error> {
        let Break { start, now, data } = self.brk;
        let grown = wanted.checked_sub(start).ok_or(Error::Invalid)?;
        if grown.saturating_add(data) > limits.data {
            return Err(Error::NoMemory);
        }
        let (old_end, new_end) = (align_up(now), align_up(wanted));
        if old_end == new_end {
            return Ok(());
        }
        if wanted <= now {
            // Linux refuses to give back pages that are not there.
            if self.store.overlapping(&(new_end..old_end)).is_empty() {
                return Err(Error::Invalid);
            }
            return self.unmap(new_end, old_end - new_end, changes);
        }
        self.grow_brk(old_end, new_end.checked_sub(old_end).ok_or(Error::NoMemory)?, limits, anonymous)
    }

    /// Maps new pages at the break. Start and length are multiples of a page.
    fn grow_brk(&mut self, start: u64, len: u64, limits: &Limits, backing: B) -> Result<(), Error> {
        self.check_fixed(start, len)?;
        let end = start + len;
        let next = self.store.list().get(self.store.first_above(start));
        if next.is_some_and(|next| end.saturating_add(PAGE) > next.start_with_guard(self.layout.guard)) {
            return Err(Error::NoMemory);
        }
        if !self.store.usage().may_add(len / PAGE, true, limits) || self.len() > self.layout.max_mappings {
            return Err(Error::NoMemory);
        }
        self.store.reserve(1)?;
        self.store.insert(Mapping {
            start,
            end,
            prot: Prot::READ | Prot::WRITE,
            may: Prot::all(),
            flags: Flags::empty(),
            offset: 0,
            backing,
        });
        Ok(())
    }
}
