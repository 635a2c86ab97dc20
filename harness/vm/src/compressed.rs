//! Decompresses kernels and modules: .xz, .zst, and the kernel's LZ4.

use std::io::{self, Read};

/// The largest window that is accepted: kernels are compressed with windows of up to
/// 128 MiB (zstd -22 --ultra).
const MAX_WINDOW_BYTES: u64 = 256 << 20;

/// Decompresses by the magic number at the beginning; bytes without a known one are
/// returned unchanged.
///
/// # Errors
/// When the stream is corrupt.
pub fn decompress(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    match bytes.as_slice() {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => xz(&bytes),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => zstd(&bytes),
        [0x02, 0x21, 0x4c, 0x18, ..] => lz4_legacy(&bytes),
        _ => Ok(bytes),
    }
}

fn xz(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() * 4);
    lzma_rs::xz_decompress(&mut io::BufReader::new(bytes), &mut out)
        .map_err(|e| invalid_data(format!("xz: {e:?}")))?;
    Ok(out)
}

fn zstd(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() * 5);
    ruzstd::decoding::StreamingDecoder::new_with_max_window_size(bytes, MAX_WINDOW_BYTES)
        .map_err(|e| invalid_data(format!("zstd: {e}")))?
        .read_to_end(&mut out)?;
    Ok(out)
}

/// LZ4's legacy frame: a magic number, then blocks, each preceded by its length, up to
/// the end (lib/decompress_unlz4.c). The kernel's build appends the unpacked size,
/// which reads as a length that does not fit.
fn lz4_legacy(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() * 5);
    let mut rest = &bytes[4..];
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let Some((block, tail)) = usize::try_from(u32::from_le_bytes(*length))
            .ok()
            .and_then(|length| tail.split_at_checked(length))
        else {
            break;
        };
        lz4_block(block, &mut out).ok_or_else(|| invalid_data("lz4: a broken block".into()))?;
        rest = tail;
    }
    Ok(out)
}

/// One LZ4 block (lz4_Block_format.md): literals and a match, repeated. Matches do not
/// reach into the previous block.
fn lz4_block(mut block: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    while let Some((&token, rest)) = block.split_first() {
        block = rest;
        let literals = lz4_length(usize::from(token >> 4), &mut block)?;
        let (copied, rest) = block.split_at_checked(literals)?;
        out.extend_from_slice(copied);
        block = rest;
        if block.is_empty() {
            break; // The last sequence has no match.
        }
        let (offset, rest) = block.split_first_chunk::<2>()?;
        block = rest;
        let offset = usize::from(u16::from_le_bytes(*offset));
        let mut length = lz4_length(usize::from(token & 15), &mut block)? + 4;
        let mut from = out
            .len()
            .checked_sub(offset)
            .filter(|from| offset > 0 && *from >= start)?;
        // A match may overlap its own output: copy what is there, repeatedly.
        while length > 0 {
            let count = length.min(out.len() - from);
            out.extend_from_within(from..from + count);
            from += count;
            length -= count;
        }
    }
    Some(())
}

fn lz4_length(nibble: usize, block: &mut &[u8]) -> Option<usize> {
    let mut length = nibble;
    if nibble == 15 {
        loop {
            let (&byte, rest) = block.split_first()?;
            *block = rest;
            length += usize::from(byte);
            if byte != 255 {
                break;
            }
        }
    }
    Some(length)
}

fn invalid_data(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lz4_matches_may_overlap() {
        // "ab", then 7 bytes from two back; then "!" as last literals.
        let mut out = Vec::new();
        lz4_block(&[0x23, b'a', b'b', 2, 0, 0x10, b'!'], &mut out).expect("a right block");
        assert_eq!(out, b"ababababa!");
    }

    #[test]
    fn a_broken_stream_is_an_error() {
        assert!(lz4_block(&[0x23, b'a', b'b', 3, 0], &mut Vec::new()).is_none());
        assert!(lz4_block(&[0xf0, 255], &mut Vec::new()).is_none());
        for magic in [
            &[0xfd, b'7', b'z', b'X', b'Z', 0][..],
            &[0x28, 0xb5, 0x2f, 0xfd],
        ] {
            assert!(decompress([magic, b"nonsense"].concat()).is_err());
        }
        assert_eq!(decompress(b"plain".to_vec()).expect("as it is"), b"plain");
    }
}
