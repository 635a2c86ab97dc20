//! Reads the pages of a guest's memory that are not zero, which are those that a saved
//! state stores, and computes their checksum.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::unistd::{Whence, lseek};

const PAGE_BYTES: usize = 4096;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Calls `each` with the offset and the content of every page below `length` that is
/// not zero. Holes of the file are not read.
///
/// # Errors
/// When the file cannot be read, and the errors of `each`.
pub(super) fn for_each(
    file: &File,
    length: u64,
    mut each: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while let Some(data) = next_data(file, at)?.filter(|data| *data < length) {
        // Holes end at page boundaries of the file system.
        let start = data - data % PAGE_BYTES as u64;
        let count = usize::try_from(length - start)
            .unwrap_or(CHUNK_BYTES)
            .min(CHUNK_BYTES);
        file.read_exact_at(&mut chunk[..count], start)?;
        for (page, offset) in chunk[..count]
            .chunks(PAGE_BYTES)
            .zip((start..).step_by(PAGE_BYTES))
        {
            if !is_zero(page) {
                each(offset, page)?;
            }
        }
        at = start + count as u64;
    }
    Ok(())
}

/// The offset of the next data at or after `at`.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match lseek(
        file,
        i64::try_from(at).map_err(io::Error::other)?,
        Whence::SeekData,
    ) {
        Ok(found) => Ok(u64::try_from(found).ok()),
        Err(nix::Error::ENXIO) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn is_zero(page: &[u8]) -> bool {
    page.chunks(64)
        .all(|line| line.iter().fold(0, |all, byte| all | byte) == 0)
}

/// A checksum that detects a damaged file; it is no protection against an attacker.
/// Four lanes, so that a processor computes some gigabytes a second.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checksum([u64; 4]);

impl Checksum {
    /// Adds bytes and their offset.
    pub(super) fn add(&mut self, offset: u64, bytes: &[u8]) {
        self.mix(0, offset);
        for group in bytes.chunks(32) {
            for (lane, word) in group.chunks(8).enumerate() {
                let mut padded = [0; 8];
                padded[..word.len()].copy_from_slice(word);
                self.mix(lane, u64::from_le_bytes(padded));
            }
        }
    }

    fn mix(&mut self, lane: usize, word: u64) {
        // An odd number with about as many ones as zeros: 2^64 divided by the golden
        // ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let lane = &mut self.0[lane];
        *lane = (*lane ^ word).wrapping_mul(FACTOR).rotate_left(29);
    }

    /// The checksum as hexadecimal text.
    pub(super) fn to_hex(self) -> String {
        self.0.map(|lane| format!("{lane:016x}")).concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::anonymous_file;

    #[test]
    fn zero_pages_and_holes_are_skipped() {
        let file = anonymous_file("test", b"").expect("memory");
        file.set_len(64 << 20).expect("longer");
        file.write_all_at(b"x", 5 * 4096 + 7).expect("write");
        file.write_all_at(&[0; 4096], 9 * 4096).expect("write");
        file.write_all_at(b"end", (64 << 20) - 3).expect("write");
        file.write_all_at(b"behind", 64 << 20).expect("write");
        let mut seen = Vec::new();
        let all = for_each(&file, 64 << 20, |offset, page| {
            seen.push((offset, page.len()));
            Ok(())
        });
        all.expect("it is read");
        assert_eq!(seen, [(5 * 4096, 4096), ((64 << 20) - 4096, 4096)]);
    }

    #[test]
    fn a_checksum_depends_on_every_bit_and_offset() {
        let of = |offset, bytes: &[u8]| {
            let mut sum = Checksum::default();
            sum.add(offset, bytes);
            sum.to_hex()
        };
        let page = [7; 4096];
        let mut other = page;
        other[4095] ^= 1;
        assert_eq!(of(0, &page), of(0, &page));
        assert_ne!(of(0, &page), of(0, &other));
        assert_ne!(of(0, &page), of(4096, &page));
    }
}
