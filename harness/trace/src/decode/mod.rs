//! Arguments and results in the program's memory, decoded.
//!
//! A read that fails gives None: the address may be wrong, as far as the
//! program is concerned (it gets EFAULT), or the process may be one whose memory
//! its user may not read (prctl(2), PR_SET_DUMPABLE), such as ssh-agent.

pub(crate) mod address;
pub(crate) mod message;
pub(crate) mod wait;

use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// The memory of a stopped task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) tid: i32,
}

impl Memory {
    /// All of `length` bytes at `address`.
    pub(crate) fn bytes(self, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; length];
        self.fill(address, &mut buffer)?;
        Some(buffer)
    }

    /// `N` bytes at `address`.
    pub(crate) fn array<const N: usize>(self, address: u64) -> Option<[u8; N]> {
        let mut buffer = [0; N];
        self.fill(address, &mut buffer)?;
        Some(buffer)
    }

    fn fill(self, address: u64, buffer: &mut [u8]) -> Option<()> {
        if address == 0 {
            return None;
        }
        let length = buffer.len();
        let remote = RemoteIoVec {
            base: usize::try_from(address).ok()?,
            len: length,
        };
        let mut local = [IoSliceMut::new(buffer)];
        let read = process_vm_readv(Pid::from_raw(self.tid), &mut local, &[remote]).ok()?;
        (read == length).then_some(())
    }

    pub(crate) fn int(self, address: u64) -> Option<i32> {
        self.array(address).map(i32::from_ne_bytes)
    }

    pub(crate) fn long(self, address: u64) -> Option<u64> {
        self.array(address).map(u64::from_ne_bytes)
    }
}

/// The int at `offset`.
pub(crate) fn int_at(bytes: &[u8], offset: usize) -> Option<i32> {
    let chunk = bytes.get(offset..)?.first_chunk()?;
    Some(i32::from_ne_bytes(*chunk))
}

/// As [`int_at`], 64 bits.
pub(crate) fn long_at(bytes: &[u8], offset: usize) -> Option<u64> {
    let chunk = bytes.get(offset..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*chunk))
}

/// An int argument: the upper half of its register is undefined.
pub(crate) fn int(argument: u64) -> i32 {
    (argument as u32).cast_signed()
}
