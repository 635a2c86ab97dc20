//! An I/O port of the processor: in a guest, a device that its emulator answers before
//! the next instruction.

use std::io;

/// A port that this thread, and threads that it starts later, may write to.
#[derive(Debug, Clone, Copy)]
pub struct Port(u16);

impl Port {
    /// Asks for access to the port (ioperm(2)), which takes CAP_SYS_RAWIO.
    ///
    /// # Errors
    /// Of ioperm(2); Unsupported on processors without ports.
    #[cfg(target_arch = "x86_64")]
    pub fn open(number: u16) -> io::Result<Self> {
        // SAFETY: it changes nothing but the permissions of this thread.
        match unsafe { libc::ioperm(number.into(), 1, 1) } {
            0 => Ok(Port(number)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Unsupported: this processor has no ports.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn open(_: u16) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Writes a byte. Memory that was written before is visible to the device, and
    /// what the device wrote to memory is visible afterwards.
    ///
    /// # Errors
    /// None on x86-64, where a thread without access gets SIGSEGV.
    pub fn write(self, byte: u8) -> io::Result<()> {
        #[cfg(target_arch = "x86_64")]
        {
            // SAFETY: `open` got the permission; which device answers is the
            // caller's business, as it is with any device file. Not `nomem`: the
            // compiler may not move accesses to memory across it.
            unsafe {
                std::arch::asm!("out dx, al", in("dx") self.0, in("al") byte,
                    options(nostack, preserves_flags));
            }
            Ok(())
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = (self.0, byte);
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}
