//! Where saved states are kept: a directory that is this user's alone, because who
//! can change a state decides what the guest does. It does not grow without end: the
//! states that were not used for the longest time go.

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

/// States take no more of the disk than this.
pub const LIMIT: u64 = 2 << 30;
/// What a file is called until it is whole.
const UNFINISHED: &str = ".new";
/// What was not finished after this time never will be.
const ABANDONED: Duration = Duration::from_mins(10);

/// The directory, open.
#[derive(Debug)]
pub struct Store {
    directory: File,
    place: PathBuf,
}

/// How much there is, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// States.
    pub states: usize,
    /// Bytes of the disk that they take.
    pub bytes: u64,
    /// The directory.
    pub place: PathBuf,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let (states, bytes) = (self.states, mib(self.bytes));
        let (most, place) = (mib(LIMIT), self.place.display());
        write!(f, "{states}, {bytes} MiB of at most {most} MiB, in {place}")
    }
}

/// The store of this user; None: states are not kept, or none was made yet.
///
/// # Errors
/// As [`Store::open`].
pub fn opened() -> io::Result<Option<Store>> {
    let place = place().filter(|place| place.exists());
    place.map(|place| Store::open(&place)).transpose()
}

/// Where states are kept: $HALFOPEN_STATES, else ~/.cache/halfopen/states; None: nowhere,
/// without a home or by HALFOPEN_STATES=off.
pub fn place() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    match set("HALFOPEN_STATES") {
        Some(word) if word == "off" => None,
        Some(place) => Some(place.into()),
        None => set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))
            .map(|cache| cache.join("halfopen/states")),
    }
}

impl Store {
    /// Opens it at `place`, and makes it when it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or is not this user's alone.
    pub fn open(place: &Path) -> io::Result<Self> {
        if let Some(above) = place.parent() {
            fs::create_dir_all(above)?;
        }
        match DirBuilder::new().mode(0o700).create(place) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let directory = File::options()
            .read(true)
            .custom_flags(flags.bits())
            .open(place)?;
        let is_ours = own(&directory.metadata()?);
        match is_ours {
            true => Ok(Store {
                directory,
                place: place.to_owned(),
            }),
            false => Err(io::Error::other(format!(
                "{} is not this user's alone (chmod 700)",
                place.display()
            ))),
        }
    }

    /// The state of this name, when it is what is expected. Another one of this name
    /// is thrown away.
    pub(super) fn find(&self, name: &str, expected: &Expected) -> io::Result<Option<State>> {
        let file = File::options()
            .read(true)
            // QEMU asks for both, though it maps the file privately.
            .write(true)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(self.path(name));
        let file = match file {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        if own(&file.metadata()?)
            && let Some(state) = State::read(file.try_clone()?, expected)?
        {
            file.set_modified(SystemTime::now())?;
            return Ok(Some(state));
        }
        self.remove(name)?;
        Ok(None)
    }

    /// Keeps a state under this name, in the place of another one.
    pub(super) fn put(
        &self,
        name: &str,
        identity: Identity,
        memory: &File,
        devices: &[u8],
    ) -> io::Result<()> {
        let unfinished = self.path(&format!("{name}{UNFINISHED}"));
        // Left by somebody who had the lock and was killed.
        let _ = fs::remove_file(&unfinished);
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        let written = State::write(&file, identity, memory, devices)
            .and_then(|()| fs::rename(&unfinished, self.path(name)));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written?;
        self.bound(LIMIT, name)
    }

    /// Throws the state of this name away. Guests that run from it are not disturbed.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn usage(&self) -> io::Result<Usage> {
        let states = self.files()?;
        Ok(Usage {
            states: states.len(),
            bytes: states.iter().map(|(_, _, bytes)| bytes).sum(),
            place: self.place.clone(),
        })
    }

    /// Throws all states away; returns how much that was.
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

    /// Throws away what was not used for the longest time, but `kept`, until all take
    /// no more than `limit`.
    pub(super) fn bound(&self, limit: u64, kept: &str) -> io::Result<()> {
        let mut files = self.files()?;
        files.sort_by_key(|(_, used, _)| *used);
        let mut total: u64 = files.iter().map(|(_, _, bytes)| bytes).sum();
        for (name, used, bytes) in files {
            let age = used.elapsed().unwrap_or_default();
            let removable = match name.ends_with(UNFINISHED) {
                true => age > ABANDONED,
                false => total > limit && name != kept,
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
        for entry in fs::read_dir(&self.place)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // It may be gone by now.
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if name != LOCK && found.is_file() {
                files.push((name, found.modified()?, found.blocks() * 512));
            }
        }
        Ok(files)
    }

    /// By the open directory, so that nobody puts another one in its place.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.directory.as_raw_fd())).join(name)
    }
}

/// See [`super::lock`].
pub(super) const LOCK: &str = "lock";

/// Whether it is this user's, and nobody else may look into it.
fn own(found: &fs::Metadata) -> bool {
    found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0
}
