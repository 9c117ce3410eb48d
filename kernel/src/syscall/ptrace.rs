//! ptrace

use crate::errno::Errno;
use crate::exception::Frame;
use crate::space::Right;
use crate::task::{CallInfo, How, RegisterSet, Task, TraceOptions, user};
use linux_raw_sys::ptrace as raw;
use signals::{Info, SigSet, Signal};
use zerocopy::{Immutable, IntoBytes};

/// A request. Its arguments are the tracee's number, an address and a word.
struct Request {
    tid: u32,
    address: u64,
    data: u64,
}

/// ptrace
pub fn ptrace(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [request, tid, address, data, ..] = frame.x;
    let asked = Request { tid: tid as u32, address, data };
    let number = u32::try_from(request).map_err(|_| Errno::EIO)?;
    match number {
        raw::PTRACE_CONT => asked.go_on(task, How::Cont),
        raw::PTRACE_SYSCALL => asked.go_on(task, How::Syscall),
        raw::PTRACE_SINGLESTEP => asked.go_on(task, How::Step),
        _ => asked.others(task, number),
    }
}

impl Request {
    #[inline(never)]
    fn others(&self, task: &Task, number: u32) -> Result<u64, Errno> {
        match number {
            raw::PTRACE_TRACEME => task.trace_me().map(|()| 0),
            raw::PTRACE_ATTACH => task.attach_to(self.tid, None).map(|()| 0),
            raw::PTRACE_SEIZE => self.seize(task),
            raw::PTRACE_INTERRUPT => task.interrupt_tracee(self.tid).map(|()| 0),
            raw::PTRACE_KILL => task.kill_tracee(self.tid).map(|()| 0),
            raw::PTRACE_DETACH => self.go_on(task, How::Detach),
            _ => self.to_stopped(task, &*task.stopped_tracee(self.tid)?, number),
        }
    }

    /// A request to a tracee that has stopped, and stays so unless it is killed.
    fn to_stopped(&self, task: &Task, tracee: &Task, number: u32) -> Result<u64, Errno> {
        let asked = self;
        match number {
            raw::PTRACE_LISTEN => task.have_listen(asked.tid).map(|()| 0),
            raw::PTRACE_PEEKTEXT | raw::PTRACE_PEEKDATA => asked.peek(task),
            raw::PTRACE_POKETEXT | raw::PTRACE_POKEDATA => asked.poke(task),
            raw::PTRACE_SETOPTIONS => {
                let options = TraceOptions::from_bits(asked.data).ok_or(Errno::EINVAL)?;
                task.set_options(asked.tid, options).map(|()| 0)
            }
            raw::PTRACE_GETEVENTMSG => {
                user::put(asked.data, task.event_message(asked.tid)?)?;
                Ok(0)
            }
            raw::PTRACE_GETSIGINFO => {
                user::write(asked.data, &task.signal_info(asked.tid)?.encode())?;
                Ok(0)
            }
            raw::PTRACE_SETSIGINFO => asked.set_signal_info(task),
            raw::PTRACE_PEEKSIGINFO => asked.peek_signals(task),
            raw::PTRACE_GETSIGMASK => {
                asked.check_mask_size()?;
                user::put(asked.data, task.mask_of_tracee(asked.tid, None)?.0)?;
                Ok(0)
            }
            raw::PTRACE_SETSIGMASK => {
                asked.check_mask_size()?;
                let new = SigSet(user::get::<u64>(asked.data)?);
                task.mask_of_tracee(asked.tid, Some(new)).map(|_| 0)
            }
            raw::PTRACE_GETREGSET => asked.get_registers(task, tracee),
            raw::PTRACE_SETREGSET => asked.set_registers(task, tracee),
            raw::PTRACE_GET_SYSCALL_INFO => asked.call_info(task),
            _ => Err(Errno::EIO),
        }
    }
}

/// `struct ptrace_syscall_info` without its union.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Head {
    op: u8,
    pad: [u8; 3],
    arch: u32,
    instruction_pointer: u64,
    stack_pointer: u64,
}

impl Request {
    #[inline(never)]
    fn seize(&self, task: &Task) -> Result<u64, Errno> {
        if self.address != 0 {
            return Err(Errno::EIO);
        }
        let options = TraceOptions::from_bits(self.data).ok_or(Errno::EIO)?;
        task.attach_to(self.tid, Some(options)).map(|()| 0)
    }

    fn go_on(&self, task: &Task, how: How) -> Result<u64, Errno> {
        task.let_go_on(self.tid, how, self.data).map(|()| 0)
    }

    fn peek(&self, task: &Task) -> Result<u64, Errno> {
        let memory = task.memory_of_tracee(self.tid)?;
        let mut word = [0; 8];
        if memory.peek(self.address, &mut word, Right::Tracer) < word.len() {
            return Err(Errno::EIO);
        }
        user::write(self.data, &word)?;
        Ok(0)
    }

    fn poke(&self, task: &Task) -> Result<u64, Errno> {
        let memory = task.memory_of_tracee(self.tid)?;
        let word = self.data.to_ne_bytes();
        if memory.poke(self.address, &word, Right::Tracer) < word.len() {
            return Err(Errno::EIO);
        }
        Ok(0)
    }

    fn set_signal_info(&self, task: &Task) -> Result<u64, Errno> {
        let mut bytes = [0; Info::SIZE];
        user::read(self.data, &mut bytes)?;
        let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let stopped_for = task.signal_info(self.tid)?.signal;
        // As on Linux the number may be any; what is no signal's is never given to the task.
        let signal = Signal::new(number).unwrap_or(stopped_for);
        task.set_signal_info(self.tid, Info::decode(signal, &bytes)?)?;
        Ok(0)
    }

    fn peek_signals(&self, task: &Task) -> Result<u64, Errno> {
        let [from, rest] = user::get::<[u64; 2]>(self.address)?;
        let (flags, count) = (rest as u32, (rest >> 32) as i32);
        if flags & !raw::PTRACE_PEEKSIGINFO_SHARED != 0 {
            return Err(Errno::EINVAL);
        }
        let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
        let shared = flags & raw::PTRACE_PEEKSIGINFO_SHARED != 0;
        let mut to = self.data;
        let mut done = 0;
        for info in task.peek_signals(self.tid, shared, from, count)? {
            if let Err(error) = user::write(to, &info.encode()) {
                return if done == 0 { Err(error) } else { Ok(done) };
            }
            to = to.wrapping_add(Info::SIZE as u64);
            done += 1;
        }
        Ok(done)
    }

    fn check_mask_size(&self) -> Result<(), Errno> {
        if self.address == 8 { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// What PTRACE_GETREGSET and PTRACE_SETREGSET ask for: `data` is the address of an iovec, whose length says afterwards how many bytes were
    /// transferred. Returns the set, the address of the bytes, and their number.
    #[inline(always)]
    fn register_set(&self) -> Result<(RegisterSet, u64, usize), Errno> {
        let [base, length] = user::get::<[u64; 2]>(self.data)?;
        let which = RegisterSet::from_number(self.address).ok_or(Errno::EINVAL)?;
        if !length.is_multiple_of(which.part() as u64) {
            return Err(Errno::EINVAL);
        }
        Ok((which, base, length.min(which.size() as u64) as usize))
    }

    fn get_registers(&self, task: &Task, tracee: &Task) -> Result<u64, Errno> {
        let (which, base, length) = self.register_set()?;
        let bytes = match which {
            RegisterSet::Slots(kind) => tracee.hw_debug(kind).to_vec(),
            _ => task.registers_of_tracee(self.tid, which)?,
        };
        user::write(base, &bytes[..length])?;
        self.put_length(length)
    }

    fn set_registers(&self, task: &Task, tracee: &Task) -> Result<u64, Errno> {
        let (which, base, length) = self.register_set()?;
        // Mostly one slot or two, for which the room for all registers need not be cleared.
        const FEW: usize = 40;
        if length <= FEW {
            let mut bytes = [0; FEW];
            self.set_from(task, tracee, which, base, &mut bytes[..length])
        } else {
            let mut bytes = [0; RegisterSet::MOST];
            self.set_from(task, tracee, which, base, &mut bytes[..length])
        }
    }

    fn set_from(
        &self,
        task: &Task,
        tracee: &Task,
        which: RegisterSet,
        base: u64,
        bytes: &mut [u8],
    ) -> Result<u64, Errno> {
        user::read(base, bytes)?;
        match which {
            RegisterSet::Slots(kind) => tracee.set_hw_debug_of_stopped(task, kind, bytes)?,
            _ => task.set_registers_of_tracee(self.tid, which, bytes)?,
        }
        self.put_length(bytes.len())
    }

    fn put_length(&self, length: usize) -> Result<u64, Errno> {
        user::put(self.data.wrapping_add(8), length as u64)?;
        Ok(0)
    }

    /// PTRACE_GET_SYSCALL_INFO: `address` is the room in bytes. Returns how many bytes there are to tell.
    fn call_info(&self, task: &Task) -> Result<u64, Errno> {
        let CallInfo { entry, exit, place } = task.call_info(self.tid)?;
        let op = match (entry, exit) {
            (Some(_), _) => raw::PTRACE_SYSCALL_INFO_ENTRY,
            (None, Some(_)) => raw::PTRACE_SYSCALL_INFO_EXIT,
            (None, None) => raw::PTRACE_SYSCALL_INFO_NONE,
        };
        let head = Head {
            op: op as u8,
            pad: [0; 3],
            arch: raw::AUDIT_ARCH_AARCH64,
            instruction_pointer: place.0,
            stack_pointer: place.1,
        };
        let mut bytes = head.as_bytes().to_vec();
        if let Some((number, arguments)) = entry {
            bytes.extend_from_slice(number.as_bytes());
            bytes.extend_from_slice(arguments.as_bytes());
        } else if let Some(result) = exit {
            let is_error = result.cast_signed() >= -4095 && result.cast_signed() < 0;
            bytes.extend_from_slice(result.as_bytes());
            bytes.push(is_error.into());
        }
        let room = bytes.len().min(usize::try_from(self.address).unwrap_or(usize::MAX));
        user::write(self.data, &bytes[..room])?;
        Ok(bytes.len() as u64)
    }
}
