//! The directory of saved states. It is accessible to this user alone, because whoever
//! can change a state decides what the guest does. Its size is limited: the least
//! recently used states are removed.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use super::file::State;
use super::identity::{Expected, Identity};

/// The most bytes that states take on the disk.
pub const MAX_BYTES: u64 = 2 << 30;
/// Suffix of a file's name until the file is complete.
const TEMPORARY_SUFFIX: &str = ".new";
/// A temporary file that is older than this was abandoned.
const TEMPORARY_MAX_AGE: Duration = Duration::from_mins(10);

/// The open directory.
#[derive(Debug)]
pub struct Store {
    directory: File,
    path: PathBuf,
}

/// How much the store holds, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// The number of states.
    pub states: usize,
    /// Bytes that they take on the disk.
    pub bytes: u64,
    /// The directory.
    pub path: PathBuf,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let (states, bytes) = (self.states, mib(self.bytes));
        let (most, path) = (mib(MAX_BYTES), self.path.display());
        write!(f, "{states}, {bytes} MiB of at most {most} MiB, in {path}")
    }
}

/// Opens the store of this user; None: states are not kept, or none was made yet.
///
/// # Errors
/// As [`Store::open`].
pub fn open_existing() -> io::Result<Option<Store>> {
    let path = default_path().filter(|path| path.exists());
    path.map(|path| Store::open(&path)).transpose()
}

/// The directory of states: $HALFOPEN_STATES, else ~/.cache/halfopen/states; None
/// without a home directory or with HALFOPEN_STATES=off.
pub fn default_path() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match set("HALFOPEN_STATES") {
        Some(word) if word == "off" => None,
        Some(path) => Some(path.into()),
        None => set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))
            .map(|cache| cache.join("halfopen/states")),
    }
}

impl Store {
    /// Opens the store at `path`, and creates it when it does not exist.
    ///
    /// # Errors
    /// When the directory cannot be created, or is accessible to other users.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let directory = File::options()
            .read(true)
            .custom_flags(flags.bits())
            .open(path)?;
        let is_ours = is_private(&directory.metadata()?);
        match is_ours {
            true => Ok(Store {
                directory,
                path: path.to_owned(),
            }),
            false => Err(io::Error::other(format!(
                "{} is not this user's alone (chmod 700)",
                path.display()
            ))),
        }
    }

    /// The state of this name, if it is the expected one. A state of this name that is
    /// not is removed.
    pub(super) fn find(&self, name: &str, expected: &Expected) -> io::Result<Option<State>> {
        let file = File::options()
            .read(true)
            // QEMU opens the file for reading and writing, though it maps it privately.
            .write(true)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(self.path(name));
        let file = match file {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if is_private(&file.metadata()?)
            && let Some(state) = State::read(file.try_clone()?, expected)?
        {
            file.set_modified(SystemTime::now())?;
            return Ok(Some(state));
        }
        self.remove(name)?;
        Ok(None)
    }

    /// Stores a state under this name, and replaces one that has it.
    pub(super) fn put(
        &self,
        name: &str,
        identity: Identity,
        memory: &File,
        devices: &[u8],
    ) -> io::Result<()> {
        let temporary = self.path(&format!("{name}{TEMPORARY_SUFFIX}"));
        // Left by a process that was killed while it held the lock.
        let _ = fs::remove_file(&temporary);
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let written = State::write(&file, identity, memory, devices)
            .and_then(|()| fs::rename(&temporary, self.path(name)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written?;
        self.evict(MAX_BYTES, name)
    }

    /// Removes the state of this name. Guests that run from it are not affected.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// The number of states and their size.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn usage(&self) -> io::Result<Usage> {
        let states = self.files()?;
        Ok(Usage {
            states: states.len(),
            bytes: states.iter().map(|(_, _, bytes)| bytes).sum(),
            path: self.path.clone(),
        })
    }

    /// Removes all states; returns how much the store held.
    ///
    /// # Errors
    /// When one of them cannot be removed.
    pub fn clear(&self) -> io::Result<Usage> {
        let usage = self.usage()?;
        for (name, ..) in self.files()? {
            self.remove(&name)?;
        }
        Ok(usage)
    }

    /// Removes the least recently used states, but not `keep`, until all take no more
    /// than `limit`, and abandoned temporary files.
    pub(super) fn evict(&self, limit: u64, keep: &str) -> io::Result<()> {
        let mut files = self.files()?;
        files.sort_by_key(|(_, used, _)| *used);
        let mut total: u64 = files.iter().map(|(_, _, bytes)| bytes).sum();
        for (name, used, bytes) in files {
            let age = used.elapsed().unwrap_or_default();
            let removable = match name.ends_with(TEMPORARY_SUFFIX) {
                true => age > TEMPORARY_MAX_AGE,
                false => total > limit && name != keep,
            };
            if removable {
                self.remove(&name)?;
                total -= bytes;
            }
        }
        Ok(())
    }

    /// Name, last use, and size on the disk of each.
    fn files(&self) -> io::Result<Vec<(String, SystemTime, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Another process may have removed it.
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if name != LOCK && found.is_file() {
                files.push((name, found.modified()?, found.blocks() * 512));
            }
        }
        Ok(files)
    }

    /// A path through the open directory, so that nobody can replace the directory by
    /// another one.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.directory.as_raw_fd())).join(name)
    }
}

/// Name of the lock file, see [`super::lock`].
pub(super) const LOCK: &str = "lock";

/// Whether the file belongs to this user and no other user has access to it.
fn is_private(found: &fs::Metadata) -> bool {
    found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0
}
