//! Builds the guest's file system as a cpio archive: this program and the modules,
//! nothing else of the host. The input comes through the channel.

use std::collections::BTreeSet;
use std::io::{self, Write};

use cpio::newc::{Builder, ModeFileType};

use super::binary::PackedFile;
use super::module::Module;

/// The program that the kernel starts.
pub const INIT: &str = "/init";
/// The directory of the modules; their file names sort in loading order.
pub const MODULES: &str = "/modules";

/// Builds the archive (Documentation/driver-api/early-userspace/buffer-format.rst). The
/// same input gives the same bytes: it has no times and no owners.
///
/// # Errors
/// When a file is larger than the format allows, 4 GiB.
pub fn build(program: &[PackedFile], modules: &[Module]) -> io::Result<Vec<u8>> {
    let mut archive = Archive::default();
    for dir in ["/dev", "/proc", "/sys", "/run", "/tmp", MODULES] {
        archive.directory(dir)?;
    }
    // The kernel opens it as standard input, output and error of init.
    archive.entry("/dev/console", ModeFileType::Char, 0o600, (5, 1), &[])?;
    for file in program {
        archive.file(&file.path, 0o755, &file.bytes)?;
    }
    for (number, module) in modules.iter().enumerate() {
        archive.file(
            &format!("{MODULES}/{number:03}-{}", module.name),
            0o644,
            &module.image,
        )?;
    }
    cpio::newc::trailer(archive.bytes)
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
    serial: u32,
}

impl Archive {
    /// Adds a directory and its parents, unless they exist already.
    fn directory(&mut self, path: &str) -> io::Result<()> {
        for (end, _) in path.match_indices('/').skip(1).chain([(path.len(), "")]) {
            if self.directories.insert(path[..end].to_owned()) {
                self.entry(&path[..end], ModeFileType::Directory, 0o755, (0, 0), &[])?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
        if let Some((dir, _)) = path.rsplit_once('/').filter(|(dir, _)| !dir.is_empty()) {
            self.directory(dir)?;
        }
        self.entry(path, ModeFileType::Regular, mode, (0, 0), bytes)
    }

    fn entry(
        &mut self,
        path: &str,
        kind: ModeFileType,
        mode: u32,
        (major, minor): (u32, u32),
        bytes: &[u8],
    ) -> io::Result<()> {
        self.serial += 1;
        let size = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let mut writer = Builder::new(path.trim_start_matches('/'))
            .ino(self.serial)
            .mode(mode)
            .set_mode_file_type(kind)
            .rdev_major(major)
            .rdev_minor(minor)
            .write(&mut self.bytes, size);
        writer.write_all(bytes)?;
        writer.finish()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use cpio::newc::Reader;

    use super::*;

    #[test]
    fn has_every_directory_once_and_before_its_files() {
        let program = [
            PackedFile {
                path: INIT.into(),
                bytes: b"program".to_vec(),
            },
            PackedFile {
                path: "/usr/lib/x/libc.so.6".into(),
                bytes: b"library".to_vec(),
            },
        ];
        let modules = [Module {
            name: "llc".into(),
            image: b"module".to_vec(),
        }];
        let archive = build(&program, &modules).expect("small");
        assert_eq!(archive, build(&program, &modules).expect("small"));
        let mut rest = archive.as_slice();
        let mut names = Vec::new();
        loop {
            let mut reader = Reader::new(rest).expect("a right archive");
            if reader.entry().is_trailer() {
                break;
            }
            names.push(reader.entry().name().to_owned());
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).expect("as long as it says");
            rest = reader.finish().expect("padded");
        }
        let at = |name: &str| names.iter().position(|n| n == name).expect(name);
        assert!(at("usr") < at("usr/lib") && at("usr/lib/x") < at("usr/lib/x/libc.so.6"));
        assert_eq!(
            names[at("modules") + 1..]
                .iter()
                .filter(|n| *n == "modules")
                .count(),
            0
        );
        assert!(names.contains(&"modules/000-llc".to_owned()));
    }
}
