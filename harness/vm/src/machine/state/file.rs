//! Reads and writes a saved state as a file: the guest's memory, which QEMU maps from
//! it; then the devices, as QEMU wrote them; then a description. [`super::store`] keeps
//! the files.
//!
//! ```text
//! 0         the memory, with holes where it is zero
//! memory    the devices
//! + devices the description (JSON), u64 its length, MAGIC
//! ```

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::thread::JoinHandle;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;
use serde::{Deserialize, Serialize};

use super::identity::{Expected, Identity};
use super::pages::{self, Checksum};
use crate::error::VmError;

const MAGIC: &[u8; 8] = b"halfopen";
/// The longest description that is accepted.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Description {
    identity: Identity,
    memory: u64,
    devices: u64,
    sum: String,
}

/// The state of a guest that was saved when it was about to ask for its input.
#[derive(Debug)]
pub struct State {
    file: File,
    description: Description,
    devices: Vec<u8>,
}

/// A comparison of the file with its checksum, which runs on a thread.
#[derive(Debug)]
pub struct IntegrityCheck(JoinHandle<Result<(), VmError>>);

impl IntegrityCheck {
    /// Waits for the result.
    ///
    /// # Errors
    /// [`VmError::State`] when the file is damaged or cannot be read.
    pub fn wait(self) -> Result<(), VmError> {
        self.0
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl State {
    /// Reads the state in `file`; None when it is not a state, not complete, or not the
    /// expected one.
    pub(super) fn read(file: File, expected: &Expected) -> io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let mut end = [0; 16];
        let Some(before) = length.checked_sub(16) else {
            return Ok(None);
        };
        file.read_exact_at(&mut end, before)?;
        let (size, magic) = end.split_at(8);
        let size = u64::from_le_bytes(size.try_into().unwrap_or_default());
        if magic != MAGIC || size > MAX_DESCRIPTION_BYTES.min(before) {
            return Ok(None);
        }
        let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut text, before - size)?;
        let Ok(description) = serde_json::from_slice::<Description>(&text) else {
            return Ok(None);
        };
        let whole = description.memory.checked_add(description.devices) == Some(before - size);
        if !whole || !description.identity.matches(expected) {
            return Ok(None);
        }
        let mut devices = vec![0; usize::try_from(description.devices).unwrap_or_default()];
        file.read_exact_at(&mut devices, description.memory)?;
        Ok(Some(State {
            file,
            description,
            devices,
        }))
    }

    /// Writes a state to an empty file.
    pub(super) fn write(
        mut file: &File,
        identity: Identity,
        memory: &File,
        devices: &[u8],
    ) -> io::Result<()> {
        let size = memory.metadata()?.len();
        let mut sum = Checksum::default();
        pages::for_each(memory, size, |offset, page| {
            sum.add(offset, page);
            file.write_all_at(page, offset)
        })?;
        sum.add(size, devices);
        let description = serde_json::to_vec(&Description {
            identity,
            memory: size,
            devices: devices.len() as u64,
            sum: sum.to_hex(),
        })?;
        let length = (description.len() as u64).to_le_bytes();
        io::Seek::seek(&mut file, io::SeekFrom::Start(size))?;
        file.write_all(&[devices, &description, &length, MAGIC].concat())
    }

    /// `uname -r`.
    pub fn release(&self) -> &str {
        self.description.identity.release()
    }

    /// The file, which begins with the guest's memory.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A pipe that holds the devices.
    ///
    /// # Errors
    /// When pipe(2) fails; when the devices do not fit into a pipe.
    pub fn devices(&self) -> Result<OwnedFd, VmError> {
        let fill = || {
            // There is no reader yet: a write that does not fit has to fail, not to
            // block.
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            let size = i32::try_from(self.devices.len()).unwrap_or(i32::MAX);
            fcntl(&write, FcntlArg::F_SETPIPE_SZ(size.max(4096)))?;
            fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            File::from(write).write_all(&self.devices)?;
            Ok(read)
        };
        fill().map_err(|e: io::Error| self.unusable(&format!("its devices: {e}")))
    }

    /// Starts to compare the file with its checksum, on a thread: it takes about as
    /// long as QEMU takes to start.
    pub fn start_check(&self) -> Result<IntegrityCheck, VmError> {
        let file = self.file.try_clone();
        let file = file.map_err(|e| self.unusable(&e.to_string()))?;
        let (memory, expected) = (self.description.memory, self.description.sum.clone());
        let (devices, release) = (self.devices.clone(), self.release().to_owned());
        let check = std::thread::spawn(move || {
            let mut sum = Checksum::default();
            let read = pages::for_each(&file, memory, |offset, page| {
                sum.add(offset, page);
                Ok(())
            });
            sum.add(memory, &devices);
            let why = match read {
                Ok(()) if sum.to_hex() == expected => return Ok(()),
                Ok(()) => "its file was damaged".to_owned(),
                Err(e) => format!("its file cannot be read: {e}"),
            };
            Err(VmError::State { release, why })
        });
        Ok(IntegrityCheck(check))
    }

    fn unusable(&self, why: &str) -> VmError {
        VmError::State {
            release: self.release().to_owned(),
            why: why.to_owned(),
        }
    }
}
