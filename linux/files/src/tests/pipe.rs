//! Pipes against a queue of bytes.

use std::collections::VecDeque;

use proptest::prelude::*;

use crate::{Pipe, PipeError, Read, Readiness, Write};

#[derive(Clone, Debug)]
enum Op {
    Write(usize),
    Read(usize),
    SetSize(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let length = || prop_oneof![0..10usize, 4090..4100usize, 0..20_000usize, 0..100_000usize];
    prop_oneof![
        5 => length().prop_map(Op::Write),
        4 => length().prop_map(Op::Read),
        1 => (0..200_000usize).prop_map(Op::SetSize),
    ]
}

proptest! {
    #[test]
    fn a_pipe_is_a_queue(ops in prop::collection::vec(op(), 1..60)) {
        let (mut pipe, mut queue, mut size) = (Pipe::new(), VecDeque::new(), 65536);
        pipe.add_reader();
        pipe.add_writer();
        let mut next = 0u8;
        for op in ops {
            match op {
                Op::Write(length) => {
                    let bytes: Vec<u8> = (0..length).map(|at| next.wrapping_add((at % 251) as u8)).collect();
                    let room = size - queue.len();
                    let expected = match length {
                        0 => Write::Bytes(0),
                        1..=4096 if room < length => Write::WouldWait,
                        _ if room == 0 => Write::WouldWait,
                        _ => Write::Bytes(length.min(room)),
                    };
                    prop_assert_eq!(pipe.write(&bytes), Ok(expected));
                    if let Write::Bytes(count) = expected {
                        queue.extend(&bytes[..count]);
                        next = next.wrapping_add(17);
                    }
                }
                Op::Read(length) => {
                    let mut bytes = vec![0; length];
                    let count = length.min(queue.len());
                    let expected =
                        if length > 0 && queue.is_empty() { Read::WouldWait } else { Read::Bytes(count) };
                    prop_assert_eq!(pipe.peek(&mut bytes), expected);
                    prop_assert_eq!(pipe.read(&mut bytes), expected);
                    let expected: Vec<u8> = queue.drain(..count).collect();
                    prop_assert!(bytes[..count] == expected);
                }
                Op::SetSize(wanted) => {
                    let new = wanted.max(4096).next_power_of_two();
                    let result = pipe.set_size(wanted, false);
                    if new < queue.len() {
                        prop_assert_eq!(result, Err(PipeError::Busy));
                    } else {
                        prop_assert_eq!(result, Ok(new));
                        size = new;
                    }
                }
            }
            prop_assert_eq!((pipe.len(), pipe.is_empty(), pipe.size()), (queue.len(), queue.is_empty(), size));
            prop_assert_eq!(pipe.read_readiness().contains(Readiness::IN), !queue.is_empty());
            prop_assert_eq!(pipe.write_readiness().contains(Readiness::OUT), size - queue.len() >= 4096);
        }
    }
}

#[test]
fn the_ends_decide_about_end_of_file_and_broken_pipe() {
    let mut pipe = Pipe::new();
    assert_eq!(pipe.read_readiness(), Readiness::empty(), "a named pipe that nobody has written to");
    assert_eq!(pipe.read(&mut [0]), Read::EndOfFile);
    assert_eq!(pipe.write(b"x"), Ok(Write::Broken));
    pipe.add_reader();
    pipe.add_writer();
    pipe.add_writer();
    assert_eq!((pipe.read(&mut [0]), pipe.read(&mut [])), (Read::WouldWait, Read::Bytes(0)));
    assert_eq!(pipe.write(b"abc"), Ok(Write::Bytes(3)));
    pipe.remove_writer();
    assert_eq!(pipe.read_readiness(), Readiness::IN);
    pipe.remove_writer();
    assert_eq!(pipe.read_readiness(), Readiness::IN | Readiness::HANG_UP);
    let mut bytes = [0; 10];
    assert_eq!((pipe.read(&mut bytes), &bytes[..3]), (Read::Bytes(3), &b"abc"[..]));
    assert_eq!(pipe.read(&mut bytes), Read::EndOfFile);
    assert_eq!(pipe.write_readiness(), Readiness::OUT);
    pipe.remove_reader();
    assert_eq!(pipe.write_readiness(), Readiness::OUT | Readiness::ERROR);
    assert_eq!((pipe.write(b"x"), pipe.write(b"")), (Ok(Write::Broken), Ok(Write::Bytes(0))));
    assert_eq!((pipe.reader_opens(), pipe.writer_opens(), pipe.readers(), pipe.writers()), (1, 2, 0, 0));
}

#[test]
fn sizes_are_powers_of_two_pages_with_a_limit() {
    let mut pipe = Pipe::new();
    assert_eq!(pipe.set_size(0, false), Ok(4096));
    assert_eq!(pipe.set_size(4097, false), Ok(8192));
    assert_eq!(pipe.set_size(Pipe::MAX_SIZE, false), Ok(1 << 20));
    assert_eq!(pipe.set_size(Pipe::MAX_SIZE + 1, false), Err(PipeError::NotPermitted));
    assert_eq!(pipe.set_size(Pipe::MAX_SIZE + 1, true), Ok(1 << 21));
    assert_eq!(pipe.set_size(usize::MAX, true), Err(PipeError::Invalid));
    assert_eq!(pipe.size(), 1 << 21);
    let errors = [PipeError::NoMemory, PipeError::Busy, PipeError::Invalid, PipeError::NotPermitted];
    assert_eq!(errors.map(PipeError::errno), [12, 16, 22, 1]);
}
