//! Finds a kernel's modules, resolves their dependencies, and unpacks them for the
//! guest. Used by [`crate::kernels`], [`crate::files`] and the identity of saved
//! states.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::compressed::decompress;
use super::error::VmError;

/// The end of a signed module (include/linux/module_signature.h).
const SIGNATURE_MARKER: &[u8] = b"~Module signature appended~\n";
/// Size of `struct module_signature`, whose last field is the signature's length.
const SIGNATURE_INFO_BYTES: usize = 12;

/// The modules of a kernel by name, with `_` for `-` as in the kernel.
#[derive(Debug)]
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
}

/// A module that can be loaded.
#[derive(Debug)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// Its ELF file, unpacked, without its signature and without the sections for
    /// tracing and BPF.
    pub image: Vec<u8>,
}

impl Modules {
    /// Indexes `/lib/modules/RELEASE`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn index(dir: &Path) -> Result<Self, VmError> {
        let mut files = BTreeMap::new();
        let mut open = vec![dir.join("kernel")];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).map_err(VmError::file(&dir))? {
                let entry = entry.map_err(VmError::file(&dir))?;
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(path);
                } else if let Some(name) = module_name(&path) {
                    files.insert(name, path);
                }
            }
        }
        // Not every kernel's package has this file; without it no module is known to be
        // built in.
        let builtin = fs::read_to_string(dir.join("modules.builtin")).unwrap_or_default();
        let builtin = builtin
            .lines()
            .filter_map(|line| module_name(Path::new(line)))
            .collect();
        Ok(Modules { files, builtin })
    }

    /// Whether the kernel has the module, as a file or built in.
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name) || self.builtin.contains(name)
    }

    /// Its file, unless it is built in.
    pub fn path(&self, name: &str) -> Option<&Path> {
        self.files.get(name).map(PathBuf::as_path)
    }

    /// The modules among `wanted` and their dependencies, in loading order. Names that
    /// are built in, or that the kernel does not have, are left out.
    ///
    /// # Errors
    /// When a module's file cannot be read or unpacked.
    pub fn load_order(&self, wanted: &[&str]) -> Result<Vec<Module>, VmError> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for name in wanted {
            self.visit(name, &mut seen, &mut order)?;
        }
        Ok(order)
    }

    /// Adds a module after its dependencies (depth first). depmod is not needed: a
    /// module lists its dependencies itself.
    fn visit(
        &self,
        name: &str,
        seen: &mut BTreeSet<String>,
        order: &mut Vec<Module>,
    ) -> Result<(), VmError> {
        let Some(path) = self.files.get(name) else {
            return Ok(());
        };
        if !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let packed = fs::read(path).map_err(VmError::file(path))?;
        let mut image = decompress(packed).map_err(VmError::file(path))?;
        if !image.starts_with(b"\x7fELF") {
            let why =
                std::io::Error::other("it is packed in a way that is not known here (xz, zst)");
            return Err(VmError::File {
                path: path.clone(),
                source: why,
            });
        }
        strip_signature(&mut image);
        hide_sections(&mut image);
        for needed in depends(&image) {
            self.visit(&needed, seen, order)?;
        }
        order.push(Module {
            name: name.to_owned(),
            image,
        });
        Ok(())
    }
}

/// `nf_dup_netdev` of `kernel/net/netfilter/nf-dup-netdev.ko.xz`.
fn module_name(path: &Path) -> Option<String> {
    let (name, packed) = path.file_name()?.to_str()?.split_once(".ko")?;
    (packed.is_empty() || packed.starts_with('.')).then(|| name.replace('-', "_"))
}

/// The dependencies in its .modinfo section (`depends=`): names separated by commas.
fn depends(image: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = image.windows(KEY.len()).position(|bytes| bytes == KEY) else {
        return Vec::new();
    };
    let text = image[at + KEY.len()..]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(text)
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

/// Removes the signature: the guest does not need it and would spend millions of
/// instructions per module on checking it. (The kernel then marks itself tainted, which
/// has no effect here.)
fn strip_signature(image: &mut Vec<u8>) {
    let Some(body) = image.strip_suffix(SIGNATURE_MARKER) else {
        return;
    };
    let length = body
        .last_chunk::<4>()
        .map(|length| u32::from_be_bytes(*length));
    let signature = length.and_then(|length| usize::try_from(length).ok());
    if let Some(end) = signature.and_then(|length| {
        body.len()
            .checked_sub(SIGNATURE_INFO_BYTES)?
            .checked_sub(length)
    }) {
        image.truncate(end);
    }
}

/// Renames sections that a guest does not need, because the kernel finds them by name:
/// each costs half a million instructions per module or more. The module's functions
/// are unchanged.
fn hide_sections(image: &mut [u8]) {
    const HIDDEN: [&[u8]; 3] = [
        // For stack traces; the kernel sorts them.
        b".orc_unwind",
        b".orc_unwind_ip",
        // Addresses where tracing can be enabled: for each one all names are searched
        // (test_for_valid_rec()).
        b"__mcount_loc",
    ];
    // Types for BPF programs, checked one by one. A module with functions for such
    // programs (.BTF_ids lists them) is not loaded without its types
    // (check_btf_kconfigs()).
    let has_functions = find_sections(image, &[b".BTF_ids"]).is_none_or(|found| !found.is_empty());
    let types: &[&[u8]] = if has_functions { &[] } else { &[b".BTF"] };
    for (at, name) in find_sections(image, &[&HIDDEN, types].concat()).unwrap_or_default() {
        // sh_name is an offset into the names: skip the first letter. It must not
        // become the empty name: sysfs has a file per section, and refuses a module
        // with two sections of one name.
        image[at..at + 4].copy_from_slice(&(name + 1).to_le_bytes());
    }
}

/// The section headers of an ELF file whose section has one of these names: each
/// header's offset, and that of the name; None when the file is truncated (elf(5)).
fn find_sections(elf: &[u8], names: &[&[u8]]) -> Option<Vec<(usize, u32)>> {
    let u64_at = |at: usize| {
        let bytes = elf.get(at..)?.first_chunk()?;
        usize::try_from(u64::from_le_bytes(*bytes)).ok()
    };
    let u16_at = |at: usize| {
        let bytes = elf.get(at..)?.first_chunk()?;
        Some(usize::from(u16::from_le_bytes(*bytes)))
    };
    let (table, size, count, strings) = (u64_at(40)?, u16_at(58)?, u16_at(60)?, u16_at(62)?);
    let header = |number: usize| table.checked_add(number * size);
    let start = u64_at(header(strings)?.checked_add(24)?)?;
    let mut found = Vec::new();
    for number in 0..count {
        let at = header(number)?;
        let name = elf
            .get(at..)?
            .first_chunk()
            .map(|b| u32::from_le_bytes(*b))?;
        let text = elf.get(start.checked_add(usize::try_from(name).ok()?)?..)?;
        let text = text.split(|byte| *byte == 0).next()?;
        if names.contains(&text) {
            found.push((at, name));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_names_use_underscores() {
        let name = |path| module_name(Path::new(path));
        assert_eq!(
            name("a/nf-dup-netdev.ko.xz").as_deref(),
            Some("nf_dup_netdev")
        );
        assert_eq!(name("veth.ko").as_deref(), Some("veth"));
        assert_eq!(name("modules.order"), None);
        assert_eq!(name("readme.kotlin"), None);
    }

    #[test]
    fn dependencies_are_read_from_modinfo() {
        let image = b"\x7fELF..license=GPL\0depends=stp,llc\0name=bridge\0";
        assert_eq!(depends(image), ["stp", "llc"]);
        assert_eq!(depends(b"\x7fELF\0depends=\0"), Vec::<String>::new());
        assert_eq!(depends(b"\x7fELF"), Vec::<String>::new());
    }

    #[test]
    fn only_unused_sections_are_hidden() {
        // An ELF header of 64 bytes, three section headers, their names.
        let names = b"\0.text\0.orc_unwind\0.BTF\0.BTF_ids\0";
        let mut elf = vec![0; 64 + 3 * 64];
        elf[40] = 64;
        (elf[58], elf[60], elf[62]) = (64, 3, 2);
        (elf[64], elf[128], elf[192]) = (1, 7, 0);
        elf[192 + 24..192 + 26].copy_from_slice(&256u16.to_le_bytes());
        elf.extend(names);
        let mut hidden = elf.clone();
        hide_sections(&mut hidden);
        assert_eq!((hidden[64], hidden[128]), (1, 8));
        // Types are hidden where nothing needs them.
        let with = |first: u8, second: u8| {
            let mut elf = elf.clone();
            (elf[64], elf[128]) = (first, second);
            hide_sections(&mut elf);
            (elf[64], elf[128])
        };
        assert_eq!(with(1, 19), (1, 20));
        assert_eq!(with(24, 19), (24, 19));
        for length in 0..elf.len() {
            hide_sections(&mut elf[..length].to_vec());
        }
    }

    #[test]
    fn a_signature_is_cut_off() {
        let mut info = [0; SIGNATURE_INFO_BYTES];
        info[SIGNATURE_INFO_BYTES - 1] = 5;
        let mut image = [b"\x7fELF body", &b"12345"[..], &info, SIGNATURE_MARKER].concat();
        strip_signature(&mut image);
        assert_eq!(image, b"\x7fELF body");
        let mut broken = [&[0xff; 4][..], SIGNATURE_MARKER].concat();
        strip_signature(&mut broken);
        assert_eq!(broken.len(), 4 + SIGNATURE_MARKER.len());
    }
}
