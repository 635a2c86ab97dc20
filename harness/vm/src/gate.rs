//! Stops a guest between two instructions until the host has answered a request. The
//! guest's clock stands still meanwhile, and it does not learn how long it took, so
//! runs stay identical whatever the host is doing.
//!
//! A guest writes a byte to an I/O port of QEMU's debug console, whose output is a pipe.
//! QEMU does not execute the guest's next instruction before the byte is in the pipe
//! (qemu_chr_fe_write_all()), and a full pipe takes no byte. There are three:
//!
//! - the bell, which always has room: a byte in it wakes the host;
//! - two gates, which are kept full and used in turn. The host opens the one that the
//!   guest waits at by emptying it, after it has filled the other one again. With one
//!   gate, a guest could pass it again before the host had filled it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use halfopen_sys::port::Port;

/// The I/O ports of the bell and the gates: 0xe9 is the usual one of such a console,
/// and a PC has nothing at the next two.
const PORTS: [u16; 3] = [0xe9, 0xea, 0xeb];
/// The capacity of a gate: the least that a pipe can have.
const CAPACITY: i32 = 4096;

/// The host's side.
#[derive(Debug)]
pub(super) struct HostGate {
    bell: Pipe,
    gates: [Pipe; 2],
    next: usize,
}

#[derive(Debug)]
struct Pipe {
    read: File,
    write: File,
}

impl Pipe {
    fn new() -> io::Result<Self> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok(Pipe {
            read: read.into(),
            write: write.into(),
        })
    }

    /// A pipe that is full.
    fn gate() -> io::Result<Self> {
        let gate = Pipe::new()?;
        fcntl(&gate.write, FcntlArg::F_SETPIPE_SZ(CAPACITY))?;
        gate.fill()?;
        Ok(gate)
    }

    fn fill(&self) -> io::Result<()> {
        let bytes = [0; CAPACITY as usize];
        // A write of many bytes is refused as a whole where few fit.
        let mut size = bytes.len();
        while size > 0 {
            match (&self.write).write(&bytes[..size]) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => size /= 2,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    fn empty(&self) -> io::Result<()> {
        let mut bytes = [0; CAPACITY as usize];
        loop {
            match (&self.read).read(&mut bytes) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(_) => {}
            }
        }
    }
}

impl HostGate {
    /// Makes the pipes.
    ///
    /// # Errors
    /// When pipe(2) or fcntl(2) fails.
    pub(super) fn new() -> io::Result<Self> {
        Ok(HostGate {
            bell: Pipe::new()?,
            gates: [Pipe::gate()?, Pipe::gate()?],
            next: 0,
        })
    }

    /// Readable when the guest has written a request.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.read.as_fd()
    }

    /// Whether the guest waits for an answer; true once for each request.
    pub(super) fn rang(&self) -> io::Result<bool> {
        let mut byte = [0];
        match (&self.bell.read).read(&mut byte) {
            Ok(count) => Ok(count > 0),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Lets the guest go on.
    pub(super) fn open(&mut self) -> io::Result<()> {
        let [first, second] = &self.gates;
        let (this, other) = match self.next {
            0 => (first, second),
            _ => (second, first),
        };
        other.fill()?;
        this.empty()?;
        self.next = 1 - self.next;
        Ok(())
    }

    /// QEMU's arguments for the devices, and the descriptors that they name.
    pub(super) fn arguments(&self) -> (Vec<String>, Vec<RawFd>) {
        let pipes = [&self.bell, &self.gates[0], &self.gates[1]];
        let mut words = Vec::new();
        for (number, (pipe, port)) in pipes.into_iter().zip(PORTS).enumerate() {
            let fd = pipe.write.as_raw_fd();
            words.push("-chardev".into());
            words.push(format!("file,id=gate{number},path=/proc/self/fd/{fd}"));
            words.extend(device(number, port));
        }
        let fds = pipes.map(|pipe| pipe.write.as_raw_fd());
        (words, fds.into())
    }
}

fn device(number: usize, port: u16) -> [String; 2] {
    let device = format!("isa-debugcon,iobase={port:#x},chardev=gate{number}");
    ["-device".into(), device]
}

/// The arguments for the devices, without the pipes: what a saved state depends on.
pub(super) fn device_arguments() -> Vec<String> {
    let devices = PORTS.into_iter().enumerate();
    devices
        .flat_map(|(number, port)| device(number, port))
        .collect()
}

/// The guest's side.
#[derive(Debug)]
pub(super) struct GuestGate {
    bell: Port,
    gates: [Port; 2],
    next: usize,
}

impl GuestGate {
    /// Gets access to the ports, for this thread and those that it starts later.
    ///
    /// # Errors
    /// Of ioperm(2).
    pub(super) fn open() -> io::Result<Self> {
        let [bell, first, second] = PORTS;
        Ok(GuestGate {
            bell: Port::open(bell)?,
            gates: [Port::open(first)?, Port::open(second)?],
            next: 0,
        })
    }

    /// Wakes the host; returns when it has answered.
    ///
    /// # Errors
    /// As [`Port::write`].
    pub(super) fn ring(&mut self) -> io::Result<()> {
        self.bell.write(0)?;
        let gate = self.gates[self.next];
        self.next = 1 - self.next;
        gate.write(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What QEMU does with a byte of the guest.
    fn passes(pipe: &Pipe) -> bool {
        (&pipe.write).write(&[0]).is_ok()
    }

    #[test]
    fn a_guest_passes_each_gate_once_for_each_answer() {
        let mut gate = HostGate::new().expect("pipes");
        for turn in 0..6 {
            assert!(!gate.rang().expect("the bell works"));
            assert!(passes(&gate.bell) && gate.rang().expect("the bell works"));
            assert!(!passes(&gate.gates[turn % 2]), "{turn}: not answered yet");
            gate.open().expect("it opens");
            assert!(passes(&gate.gates[turn % 2]), "{turn}");
            assert!(!passes(&gate.gates[1 - turn % 2]), "{turn}: the next one");
        }
    }
}
