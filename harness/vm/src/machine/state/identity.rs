//! All that a saved state depends on. Files are told apart by what stat(2) says of
//! them: reading them would take as long as a restored guest does.

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

/// Of what is in a state's file and how. A new number makes all old ones useless.
const FORMAT: u32 = 1;

/// What can be known of a state before anything is read of its kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Expected {
    format: u32,
    release: String,
    vmlinuz: PathBuf,
    modules: PathBuf,
    program: Vec<Stamp>,
    qemu: Stamp,
    arguments: Vec<String>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    expected: Expected,
    kernel: Vec<Stamp>,
}

/// A file, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    path: PathBuf,
    device: u64,
    inode: u64,
    bytes: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl Stamp {
    fn of(path: &Path) -> Result<Self, VmError> {
        let found = fs::metadata(path).map_err(VmError::file(path))?;
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Ok(Stamp {
            path: path.to_owned(),
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified_ns: ns(found.mtime(), found.mtime_nsec()),
            changed_ns: ns(found.ctime(), found.ctime_nsec()),
        })
    }

    fn is_still(&self) -> bool {
        Stamp::of(&self.path).is_ok_and(|now| now == *self)
    }
}

impl Expected {
    /// Of a guest of this program, now.
    pub(super) fn now(kernel: &Kernel, settings: &Settings) -> Result<Self, VmError> {
        // The running program, even when its file was replaced.
        let mut program = vec![Stamp::of(Path::new("/proc/self/exe"))?];
        for library in binary::libraries()? {
            program.push(Stamp::of(Path::new(&library))?);
        }
        Ok(Expected {
            format: FORMAT,
            release: kernel.release.clone(),
            vmlinuz: kernel.vmlinuz.clone(),
            modules: kernel.modules.clone(),
            program,
            qemu: Stamp::of(&qemu::find()?)?,
            arguments: all_arguments(settings),
        })
    }

    /// The name of its file. A program that was built anew has the same, so that its
    /// new state takes the old one's place.
    pub(super) fn name(&self) -> String {
        let mut hasher = DefaultHasher::new();
        fs::read_link("/proc/self/exe").ok().hash(&mut hasher);
        (&self.vmlinuz, &self.arguments).hash(&mut hasher);
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let release = self.release.replace(|c| !plain(c), "_");
        format!("{release}-{:016x}", hasher.finish())
    }
}

impl Identity {
    /// With the files of the kernel.
    ///
    /// # Errors
    /// When one of them changed after `files` were read.
    pub(super) fn of(expected: Expected, kernel: &Kernel, files: &Files) -> Result<Self, VmError> {
        let index = Modules::index(&kernel.modules)?;
        let modules = files.modules().filter_map(|name| index.path(name));
        let stamps = [kernel.vmlinuz.as_path()].into_iter().chain(modules);
        let stamps: Vec<Stamp> = stamps.map(Stamp::of).collect::<Result<_, _>>()?;
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

    /// Whether a state of this is what is expected.
    pub(super) fn fits(&self, expected: &Expected) -> bool {
        self.expected == *expected && self.kernel.iter().all(Stamp::is_still)
    }

    /// `uname -r`.
    pub(super) fn release(&self) -> &str {
        &self.expected.release
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Of a guest whose kernel is the file at `vmlinuz`.
    pub fn of(vmlinuz: &Path) -> (Expected, Identity) {
        let stamp = Stamp::of(vmlinuz).expect("it is there");
        let expected = Expected {
            format: FORMAT,
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
    fn whatever_changes_makes_another_one() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("vmlinuz");
        fs::write(&file, "one").expect("write");
        let (expected, identity) = of(&file);
        assert!(identity.fits(&expected));
        let mut other = expected.clone();
        other.arguments.push("-seed".into());
        assert!(!identity.fits(&other) && other.name() != expected.name());
        fs::write(&file, "two!").expect("write");
        assert!(!identity.fits(&expected));
        // The new state takes the old one's place.
        assert_eq!(of(&file).0.name(), expected.name());
        assert!(!expected.name().contains('/'), "{}", expected.name());
    }
}
