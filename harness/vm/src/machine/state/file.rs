//! A saved state as a file: the guest's memory, from which QEMU maps it; then the
//! devices, as QEMU wrote them; then a description.
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
use super::pages::{self, Sum};
use crate::error::VmError;

const MAGIC: &[u8; 8] = b"halfopen";
/// A description is not longer.
const LONGEST_DESCRIPTION: u64 = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Description {
    identity: Identity,
    memory: u64,
    devices: u64,
    sum: String,
}

/// A guest that was saved when it was about to ask for its input.
#[derive(Debug)]
pub struct State {
    file: File,
    description: Description,
    devices: Vec<u8>,
}

/// The file is being compared with its sum.
#[derive(Debug)]
pub struct Check(JoinHandle<Result<(), VmError>>);

impl Check {
    /// How it came out.
    ///
    /// # Errors
    /// [`VmError::State`] when it is not as it was written.
    pub fn wait(self) -> Result<(), VmError> {
        self.0
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl State {
    /// The state in `file`; None: it is none, or not whole, or not what is expected.
    pub(super) fn read(file: File, expected: &Expected) -> io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let mut end = [0; 16];
        let Some(before) = length.checked_sub(16) else {
            return Ok(None);
        };
        file.read_exact_at(&mut end, before)?;
        let (size, magic) = end.split_at(8);
        let size = u64::from_le_bytes(size.try_into().unwrap_or_default());
        if magic != MAGIC || size > LONGEST_DESCRIPTION.min(before) {
            return Ok(None);
        }
        let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut text, before - size)?;
        let Ok(description) = serde_json::from_slice::<Description>(&text) else {
            return Ok(None);
        };
        let whole = description.memory.checked_add(description.devices) == Some(before - size);
        if !whole || !description.identity.fits(expected) {
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

    /// Writes one to an empty file.
    pub(super) fn write(
        mut file: &File,
        identity: Identity,
        memory: &File,
        devices: &[u8],
    ) -> io::Result<()> {
        let size = memory.metadata()?.len();
        let mut sum = Sum::default();
        pages::for_each(memory, size, |offset, page| {
            sum.add(offset, page);
            file.write_all_at(page, offset)
        })?;
        sum.add(size, devices);
        let description = serde_json::to_vec(&Description {
            identity,
            memory: size,
            devices: devices.len() as u64,
            sum: sum.words(),
        })?;
        let length = (description.len() as u64).to_le_bytes();
        io::Seek::seek(&mut file, io::SeekFrom::Start(size))?;
        file.write_all(&[devices, &description, &length, MAGIC].concat())
    }

    /// `uname -r`.
    pub fn release(&self) -> &str {
        self.description.identity.release()
    }

    /// The file, which begins with the memory.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A pipe from which the devices can be read.
    ///
    /// # Errors
    /// Of pipe(2); when they are more than a pipe holds.
    pub fn devices(&self) -> Result<OwnedFd, VmError> {
        let fill = || {
            // Nobody reads yet: what does not fit is an error.
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            let size = i32::try_from(self.devices.len()).unwrap_or(i32::MAX);
            fcntl(&write, FcntlArg::F_SETPIPE_SZ(size.max(4096)))?;
            fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            File::from(write).write_all(&self.devices)?;
            Ok(read)
        };
        fill().map_err(|e: io::Error| self.unusable(&format!("its devices: {e}")))
    }

    /// Begins to compare the file with its sum, on a thread: it takes about as long as
    /// QEMU takes to start.
    pub fn check_meanwhile(&self) -> Result<Check, VmError> {
        let file = self.file.try_clone();
        let file = file.map_err(|e| self.unusable(&e.to_string()))?;
        let (memory, expected) = (self.description.memory, self.description.sum.clone());
        let (devices, release) = (self.devices.clone(), self.release().to_owned());
        let check = std::thread::spawn(move || {
            let mut sum = Sum::default();
            let read = pages::for_each(&file, memory, |offset, page| {
                sum.add(offset, page);
                Ok(())
            });
            sum.add(memory, &devices);
            let why = match read {
                Ok(()) if sum.words() == expected => return Ok(()),
                Ok(()) => "its file was damaged".to_owned(),
                Err(e) => format!("its file cannot be read: {e}"),
            };
            Err(VmError::State { release, why })
        });
        Ok(Check(check))
    }

    fn unusable(&self, why: &str) -> VmError {
        VmError::State {
            release: self.release().to_owned(),
            why: why.to_owned(),
        }
    }
}
