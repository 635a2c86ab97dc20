//! Memory that is shared with a device or with the host of a guest: the guest's
//! channel to the host.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap};

/// A shared mapping of a whole file or device, never unmapped. The other side
/// may read it at any moment, so it is only written, and numbers atomically.
#[derive(Debug)]
pub struct SharedMemory {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and lives to its
// end; what two threads may do at once goes through atomics or `&mut self`.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Maps all of `file`, which must be open for reading and writing.
    ///
    /// # Errors
    /// Of mmap(2); InvalidInput when the file is empty.
    pub fn map(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let size = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel picks an address that nothing else uses.
        let start = unsafe {
            mmap(
                None,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                file,
                0,
            )
        }?;
        Ok(SharedMemory {
            start: start.cast(),
            length,
        })
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it has no bytes; always false, because [`SharedMemory::map`] refuses
    /// an empty file.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies `bytes` to `offset`; as many as there is room for.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        let room = self.length.saturating_sub(offset);
        let count = bytes.len().min(room);
        if count > 0 {
            // SAFETY: offset + count is within the mapping, which `bytes` does
            // not overlap: nobody gets a slice of it.
            unsafe {
                self.start
                    .as_ptr()
                    .add(offset)
                    .copy_from_nonoverlapping(bytes.as_ptr(), count)
            };
        }
    }

    /// Stores a number at `offset` after everything that was written before.
    ///
    /// # Panics
    /// When the offset is not a multiple of 8 within the mapping: a bug.
    pub fn store(&self, offset: usize, number: u64) {
        assert!(
            offset.is_multiple_of(8) && offset + 8 <= self.length,
            "a number's offset"
        );
        // SAFETY: aligned (mappings begin at a page) and within the mapping, and
        // only ever accessed as this atomic by this process.
        let cell = unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(offset).cast()) };
        cell.store(number.to_le(), Ordering::Release);
    }
}
