//! Identifies what a saved state depends on: kernel, modules, program, QEMU and its
//! arguments. Files are compared by what stat(2) returns: reading them would take as
//! long as a restored guest does.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::error::VmError;
use crate::files::Files;
use crate::kernels::Kernel;
use crate::qemu::{self, all_arguments};
use crate::settings::Settings;
use crate::{binary, module::Modules};

/// Version of the file's layout. A new number invalidates all older states.
const FORMAT_VERSION: u32 = 1;

/// The part of an identity that is known before the kernel's files are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Expected {
    format: u32,
    release: String,
    vmlinuz: PathBuf,
    modules: PathBuf,
    program: Vec<FileStamp>,
    qemu: FileStamp,
    arguments: Vec<String>,
}

/// A whole identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    expected: Expected,
    kernel: Vec<FileStamp>,
}

/// What stat(2) returned for a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileStamp {
    path: PathBuf,
    device: u64,
    inode: u64,
    bytes: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl FileStamp {
    fn of(path: &Path) -> Result<Self, VmError> {
        let found = fs::metadata(path).map_err(VmError::file(path))?;
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Ok(FileStamp {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified_ns: ns(found.mtime(), found.mtime_nsec()),
            changed_ns: ns(found.ctime(), found.ctime_nsec()),
        })
    }

    fn is_unchanged(&self) -> bool {
        FileStamp::of(&self.path).is_ok_and(|now| now == *self)
    }
}

impl Expected {
    /// The identity that a guest of this program has now.
    pub(super) fn current(kernel: &Kernel, settings: &Settings) -> Result<Self, VmError> {
        // The running program, even when its file was replaced.
        let mut program = vec![FileStamp::of(Path::new("/proc/self/exe"))?];
        for library in binary::libraries()? {
            program.push(FileStamp::of(Path::new(&library))?);
        }
        Ok(Expected {
            format: FORMAT_VERSION,
            release: kernel.release.clone(),
            vmlinuz: kernel.vmlinuz.clone(),
            modules: kernel.modules.clone(),
            program,
            qemu: FileStamp::of(&qemu::find_executable()?)?,
            arguments: all_arguments(settings),
        })
    }

    /// The name of the state's file. A program that was rebuilt has the same name, so
    /// that its new state replaces the old one.
    pub(super) fn file_name(&self) -> String {
        let mut hasher = DefaultHasher::new();
        fs::read_link("/proc/self/exe").ok().hash(&mut hasher);
        (&self.vmlinuz, &self.arguments).hash(&mut hasher);
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let release = self.release.replace(|c| !plain(c), "_");
        format!("{release}-{:016x}", hasher.finish())
    }
}

impl Identity {
    /// Adds the files of the kernel.
    ///
    /// # Errors
    /// When one of them changed after `files` were read.
    pub(super) fn new(expected: Expected, kernel: &Kernel, files: &Files) -> Result<Self, VmError> {
        let index = Modules::index(&kernel.modules)?;
        let modules = files.modules().filter_map(|name| index.path(name));
        let stamps = [kernel.vmlinuz.as_path()].into_iter().chain(modules);
        let stamps: Vec<FileStamp> = stamps.map(FileStamp::of).collect::<Result<_, _>>()?;
        let read_at = files.read_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let read_ns = i128::try_from(read_at.as_nanos()).unwrap_or_default();
        match stamps.iter().find(|stamp| stamp.changed_ns >= read_ns) {
            Some(changed) => Err(VmError::State {
                release: kernel.release.clone(),
                why: format!("{} was changed meanwhile", changed.path.display()),
            }),
            None => Ok(Identity {
                expected,
                kernel: stamps,
            }),
        }
    }

    /// Whether a state with this identity is the expected one and its kernel's files
    /// are unchanged.
    pub(super) fn matches(&self, expected: &Expected) -> bool {
        self.expected == *expected && self.kernel.iter().all(FileStamp::is_unchanged)
    }

    /// `uname -r`.
    pub(super) fn release(&self) -> &str {
        &self.expected.release
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Identity of a guest whose kernel is the file at `vmlinuz`.
    pub fn identity_of(vmlinuz: &Path) -> (Expected, Identity) {
        let stamp = FileStamp::of(vmlinuz).expect("it is there");
        let expected = Expected {
            format: FORMAT_VERSION,
            release: "6.12/x".into(),
            vmlinuz: vmlinuz.to_owned(),
            modules: "/nowhere".into(),
            program: vec![stamp.clone()],
            qemu: stamp.clone(),
            arguments: vec!["-m".into()],
        };
        let identity = Identity {
            expected: expected.clone(),
            kernel: vec![stamp],
        };
        (expected, identity)
    }

    #[test]
    fn every_change_makes_another_identity() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("vmlinuz");
        fs::write(&file, "one").expect("write");
        let (expected, identity) = identity_of(&file);
        assert!(identity.matches(&expected));
        let mut other = expected.clone();
        other.arguments.push("-seed".into());
        assert!(!identity.matches(&other) && other.file_name() != expected.file_name());
        fs::write(&file, "two!").expect("write");
        assert!(!identity.matches(&expected));
        // The new state replaces the old one.
        assert_eq!(identity_of(&file).0.file_name(), expected.file_name());
        assert!(
            !expected.file_name().contains('/'),
            "{}",
            expected.file_name()
        );
    }
}
