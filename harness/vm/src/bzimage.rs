//! Reads the format of vmlinuz (Documentation/arch/x86/boot.rst in the kernel): the
//! release, and the kernel inside. Used by [`crate::kernels`] and [`crate::files`].

use super::compressed::decompress;

/// Offsets of the setup header's fields in the file.
const SETUP_SECTS: usize = 0x1f1;
const BOOT_FLAG: usize = 0x1fe;
const MAGIC: usize = 0x202;
const KERNEL_VERSION: usize = 0x20e;
const XLOADFLAGS: usize = 0x236;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// XLF_KERNEL_64: the kernel has a 64-bit entry point.
const XLF_KERNEL_64: u16 = 1;

/// The release (`uname -r`) of a kernel, from the first 64 KiB of its image.
///
/// # Errors
/// When it is not an x86-64 bzImage; the reason as text.
pub fn release(head: &[u8]) -> Result<String, String> {
    if u16_at(head, BOOT_FLAG) != Some(0xaa55) || head.get(MAGIC..MAGIC + 4) != Some(b"HdrS") {
        return Err("it has no x86 boot header (`HdrS` at 0x202)".into());
    }
    if u16_at(head, XLOADFLAGS).is_none_or(|flags| flags & XLF_KERNEL_64 == 0) {
        return Err("it is not for x86-64".into());
    }
    let text = u16_at(head, KERNEL_VERSION)
        .and_then(|at| head.get(usize::from(at) + 0x200..))
        .and_then(|text| {
            text.split(|byte| byte.is_ascii_whitespace() || *byte == 0)
                .next()
        })
        .and_then(|word| std::str::from_utf8(word).ok())
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    text.map(str::to_owned)
        .ok_or_else(|| "it has no version".into())
}

/// The kernel inside the image, as an ELF file that a virtual machine starts without
/// firmware; None for an unknown compression, or a kernel without CONFIG_PVH: the image
/// itself is started then.
///
/// With it the guest need not unpack itself, which takes seconds of real time.
pub fn unpacked(image: &[u8]) -> Option<Vec<u8>> {
    let setup_sects = match *image.get(SETUP_SECTS)? {
        0 => 4,
        count => usize::from(count),
    };
    let start = (setup_sects + 1) * 512 + usize::try_from(u32_at(image, PAYLOAD_OFFSET)?).ok()?;
    let length = usize::try_from(u32_at(image, PAYLOAD_LENGTH)?).ok()?;
    let payload = image.get(start..start.checked_add(length)?)?;
    let kernel = decompress(payload.to_vec()).ok()?;
    has_pvh_entry(&kernel).then_some(kernel)
}

/// Whether an ELF file has XEN_ELFNOTE_PHYS32_ENTRY (type 18 of owner `Xen`),
/// the entry point that QEMU's -kernel looks for (docs/pvh in Xen).
fn has_pvh_entry(elf: &[u8]) -> bool {
    const NOTE: [u8; 8] = [18, 0, 0, 0, b'X', b'e', b'n', 0];
    elf.starts_with(b"\x7fELF") && elf.windows(NOTE.len()).any(|bytes| bytes == NOTE)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u16::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|b| u32::from_le_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_why_a_file_is_no_kernel() {
        assert!(release(b"").is_err());
        assert!(release(&[0; 4096]).expect_err("zeroes").contains("HdrS"));
        let mut head = vec![0; 4096];
        head[BOOT_FLAG..BOOT_FLAG + 2].copy_from_slice(&[0x55, 0xaa]);
        head[MAGIC..MAGIC + 4].copy_from_slice(b"HdrS");
        assert!(release(&head).expect_err("32 bits").contains("x86-64"));
        head[XLOADFLAGS] = 1;
        assert!(release(&head).expect_err("no version").contains("version"));
        head[KERNEL_VERSION + 1] = 4; // 0x400 + 0x200
        head[0x600..0x610].copy_from_slice(b"6.1.0-9 (a@b) \0 ");
        assert_eq!(release(&head).as_deref(), Ok("6.1.0-9"));
        assert_eq!(unpacked(&head), None);
    }
}
