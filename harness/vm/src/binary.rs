//! Packs this program itself, to run where nothing else is installed. [`crate::files`]
//! puts it into the initramfs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::error::VmError;

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;

/// A file of the guest.
#[derive(Debug)]
pub struct PackedFile {
    /// Its absolute path in the guest.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// This program under the path `init`, its loader, and its libraries.
///
/// # Errors
/// When one of them cannot be read any more.
pub fn this_program(init: &str) -> Result<Vec<PackedFile>, VmError> {
    // The running program, even when its file was replaced.
    let exe = PathBuf::from("/proc/self/exe");
    let bytes = fs::read(&exe).map_err(VmError::file(&exe))?;
    let mut paths = BTreeSet::new();
    if let Some(loader) = interpreter(&bytes) {
        paths.insert(loader);
        paths.extend(libraries()?);
    }
    let mut files = vec![PackedFile {
        path: init.to_owned(),
        bytes: without_debug(bytes),
    }];
    for path in paths {
        let bytes = fs::read(&path).map_err(VmError::file(&path))?;
        files.push(PackedFile {
            path,
            bytes: without_debug(bytes),
        });
    }
    Ok(files)
}

/// The paths of the shared libraries mapped into this process. The loader is among them
/// under its real name; it is packed a second time under the name that the program asks
/// for.
pub(super) fn libraries() -> Result<BTreeSet<String>, VmError> {
    let maps = fs::read_to_string("/proc/self/maps").map_err(VmError::file("/proc/self/maps"))?;
    let mapped = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| &line[at..]));
    let is_library = |path: &&str| {
        path.rsplit('/')
            .next()
            .is_some_and(|name| name.ends_with(".so") || name.contains(".so."))
    };
    Ok(mapped.filter(is_library).map(str::to_owned).collect())
}

/// The program headers (elf(5)): type, file offset, size in the file.
fn segments(elf: &[u8]) -> Vec<(u32, usize, usize)> {
    let u64_at = |at: usize| {
        elf.get(at..)?
            .first_chunk()
            .and_then(|b| usize::try_from(u64::from_le_bytes(*b)).ok())
    };
    let u16_at = |at: usize| {
        elf.get(at..)?
            .first_chunk()
            .map(|b| usize::from(u16::from_le_bytes(*b)))
    };
    let u32_at = |at: usize| elf.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b));
    let (Some(table), Some(size), Some(count)) = (u64_at(32), u16_at(54), u16_at(56)) else {
        return Vec::new();
    };
    (0..count)
        .filter_map(|i| {
            let at = table.checked_add(i * size)?;
            Some((u32_at(at)?, u64_at(at + 8)?, u64_at(at + 32)?))
        })
        .collect()
}

/// The loader of an ELF program; None: it is linked statically.
pub(super) fn interpreter(elf: &[u8]) -> Option<String> {
    let (_, at, size) = segments(elf)
        .into_iter()
        .find(|(kind, ..)| *kind == PT_INTERP)?;
    let path = elf.get(at..at.checked_add(size)?)?.strip_suffix(&[0])?;
    String::from_utf8(path.to_vec()).ok()
}

/// Removes what follows the last loaded segment: sections, symbols and debug
/// information, which only a debugger reads.
fn without_debug(mut elf: Vec<u8>) -> Vec<u8> {
    let loaded = segments(&elf)
        .into_iter()
        .filter(|(kind, ..)| *kind == PT_LOAD);
    let end = loaded
        .filter_map(|(_, at, size)| at.checked_add(size))
        .max();
    if let Some(end) = end.filter(|end| *end >= 64 && *end <= elf.len()) {
        elf.truncate(end);
        // e_shoff, e_shnum and e_shstrndx: there are no sections any more.
        elf[40..48].fill(0);
        elf[60..64].fill(0);
    }
    elf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_comes_with_its_loader_and_libraries() {
        let files = this_program("/init").expect("its files are there");
        let has = |part: &str| files.iter().any(|file| file.path.contains(part));
        assert!(
            has("/init") && has("ld-linux") && has("libc.so"),
            "{files:.0?}"
        );
        assert!(files.iter().all(|file| file.bytes.starts_with(b"\x7fELF")));
        let whole = fs::metadata("/proc/self/exe").expect("it runs").len();
        let packed = files[0].bytes.len();
        assert!(
            u64::try_from(packed).expect("it fits") < whole,
            "{packed} of {whole}"
        );
    }

    #[test]
    fn nonsense_stays_as_it_is() {
        for bytes in [&b""[..], b"short", &[0xff; 200]] {
            assert_eq!(without_debug(bytes.to_vec()), bytes);
            assert_eq!(interpreter(bytes), None);
        }
    }
}
