//! Pages of a guest's memory that are not zero: what of it is kept, and its sum.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::unistd::{Whence, lseek};

const PAGE: usize = 4096;
/// So much is read at once.
const CHUNK: usize = 1 << 20;

/// Calls `each` with the offset and the content of every page below `length` that is
/// not zero. Holes of the file are not read.
///
/// # Errors
/// Of the file's system, and those of `each`.
pub(super) fn for_each(
    file: &File,
    length: u64,
    mut each: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    while let Some(data) = next_data(file, at)?.filter(|data| *data < length) {
        // A hole ends where a page of the file system does.
        let start = data - data % PAGE as u64;
        let count = usize::try_from(length - start).unwrap_or(CHUNK).min(CHUNK);
        file.read_exact_at(&mut chunk[..count], start)?;
        for (page, offset) in chunk[..count].chunks(PAGE).zip((start..).step_by(PAGE)) {
            if !is_zero(page) {
                each(offset, page)?;
            }
        }
        at = start + count as u64;
    }
    Ok(())
}

/// Where data begins from `at` on.
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

/// A sum that tells a damaged file from a whole one; it does not withstand somebody
/// who means harm. Four lanes, so that a processor takes some gigabytes a second.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum([u64; 4]);

impl Sum {
    /// Takes in bytes, and where they are.
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
        // An odd number with about as many ones as zeros: 2^64 by the golden ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let lane = &mut self.0[lane];
        *lane = (*lane ^ word).wrapping_mul(FACTOR).rotate_left(29);
    }

    /// As text.
    pub(super) fn words(self) -> String {
        self.0.map(|lane| format!("{lane:016x}")).concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::nameless;

    #[test]
    fn zero_pages_and_holes_are_passed_over() {
        let file = nameless("test", b"").expect("memory");
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
    fn a_sum_sees_every_bit_and_every_place() {
        let of = |offset, bytes: &[u8]| {
            let mut sum = Sum::default();
            sum.add(offset, bytes);
            sum.words()
        };
        let page = [7; 4096];
        let mut other = page;
        other[4095] ^= 1;
        assert_eq!(of(0, &page), of(0, &page));
        assert_ne!(of(0, &page), of(0, &other));
        assert_ne!(of(0, &page), of(4096, &page));
    }
}
