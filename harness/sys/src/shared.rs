//! Memory that is shared with a device or with the host of a guest: the guest's
//! channel to the host.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap};

/// A shared mapping of a whole file or device, never unmapped. The other side
/// may access it at any moment, so numbers are loaded and stored atomically, and
/// bytes are read only after the number that says they are there.
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
        Self::map_at_least(file, length)
    }

    /// Maps `length` bytes of `file`, which may be a device whose registers lie
    /// behind the end that it tells.
    ///
    /// # Errors
    /// As [`SharedMemory::map`].
    pub fn map_at_least(file: &File, length: usize) -> io::Result<Self> {
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

    /// Copies `count` bytes from `offset`; as many as there are. The other side
    /// must have finished writing them.
    pub fn read(&self, offset: usize, count: usize) -> Vec<u8> {
        let available = self.length.saturating_sub(offset);
        let mut bytes = vec![0; count.min(available)];
        if !bytes.is_empty() {
            // SAFETY: offset + the length of `bytes` is within the mapping, and
            // `bytes` is memory of its own.
            unsafe {
                self.start
                    .as_ptr()
                    .add(offset)
                    .copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len())
            };
        }
        bytes
    }

    /// Loads a number at `offset` before everything that is read after.
    ///
    /// # Panics
    /// When the offset is not a multiple of 8 within the mapping: a bug.
    pub fn load(&self, offset: usize) -> u64 {
        u64::from_le(self.cell(offset).load(Ordering::Acquire))
    }

    /// Stores a number at `offset` after everything that was written before.
    ///
    /// # Panics
    /// When the offset is not a multiple of 8 within the mapping: a bug.
    pub fn store(&self, offset: usize, number: u64) {
        self.cell(offset).store(number.to_le(), Ordering::Release);
    }

    fn cell(&self, offset: usize) -> &AtomicU64 {
        assert!(
            offset.is_multiple_of(8) && offset + 8 <= self.length,
            "a number's offset"
        );
        // SAFETY: aligned (mappings begin at a page), within the mapping, which
        // is never unmapped, and only ever accessed as this atomic by this process.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(offset).cast()) }
    }
}
