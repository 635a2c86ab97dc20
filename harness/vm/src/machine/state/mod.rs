//! Restores guests instead of booting them. The first guest of a kernel, a program and
//! settings is saved when it is about to ask for its input, and every guest continues
//! from there, the first one included. [`crate::cases`] starts guests through
//! [`restore_or_boot`].
//!
//! ```text
//! identity  what a state depends on
//! save      boots a guest and saves it when it stops itself
//! monitor   QEMU's monitor (QMP), used by save
//! file      reads and writes a state as a file, checks it
//! pages     the pages that are not zero, and their checksum
//! store     the directory of states
//! lock      one maker of a state at a time
//! ```
//!
//! Restored guests are the same to the nanosecond. A booted one differs from them by
//! some microseconds: it does not stop itself, and QEMU restarts its random numbers
//! when a guest is restored.

pub(crate) mod file;
mod identity;
mod lock;
mod monitor;
mod pages;
mod save;
pub mod store;
#[cfg(test)]
mod store_tests;

use std::os::fd::BorrowedFd;

use self::file::State;
use self::identity::{Expected, Identity};
use self::store::Store;
use crate::error::VmError;
use crate::files::SharedFiles;
use crate::kernels::Kernel;
use crate::machine::{GuestEvent, GuestTimes, Origin, boot, restore};
use crate::settings::{GuestTime, Settings};

/// Runs a guest on `kernel` from its saved state, which is made when there is none.
/// Where that is not possible it boots the guest, and passes the reason to
/// `on_restore_error`.
///
/// # Errors
/// As [`boot`].
pub fn restore_or_boot(
    (kernel, files): (&Kernel, &SharedFiles),
    input: &[u8],
    settings: &Settings,
    interrupt: Option<BorrowedFd<'_>>,
    on_restore_error: &mut dyn FnMut(&VmError),
    on_event: &mut dyn FnMut(GuestEvent<'_>),
) -> Result<GuestTimes, VmError> {
    let slot = StateSlot::open(kernel, settings);
    let state = slot.and_then(|slot| match slot {
        Some(slot) => {
            let (state, origin) = slot.get_or_make((kernel, files), settings, interrupt)?;
            Ok(Some((slot, state, origin)))
        }
        None => Ok(None),
    });
    match state {
        Ok(None) => {}
        Ok(Some((slot, state, origin))) => {
            match restore(&state, input, settings, interrupt, on_event) {
                // The guest has sent nothing yet.
                Err(why @ VmError::State { .. }) => {
                    // With the state removed, the next guest makes a new one.
                    let _ = slot.store.remove(&slot.name);
                    on_restore_error(&why);
                }
                ended => return ended.map(|times| GuestTimes { origin, ..times }),
            }
        }
        Err(why @ (VmError::State { .. } | VmError::System { .. })) => on_restore_error(&why),
        // A booted guest would fail in the same way.
        Err(e) => return Err(e),
    }
    boot(&*files.get(kernel)?, input, settings, interrupt, on_event)
}

/// The place of a saved state in the store, whether or not the state exists yet.
struct StateSlot {
    store: Store,
    name: String,
    expected: Expected,
}

impl StateSlot {
    /// The place for a guest on `kernel`; None when saved states are turned off.
    fn open(kernel: &Kernel, settings: &Settings) -> Result<Option<Self>, VmError> {
        let wanted = settings.restore && settings.time == GuestTime::Virtual;
        let Some(path) = store::default_path().filter(|_| wanted) else {
            return Ok(None);
        };
        let store = Store::open(&path).map_err(state_error(kernel))?;
        let expected = Expected::current(kernel, settings)?;
        Ok(Some(StateSlot {
            store,
            name: expected.file_name(),
            expected,
        }))
    }

    fn get_or_make(
        &self,
        (kernel, files): (&Kernel, &SharedFiles),
        settings: &Settings,
        interrupt: Option<BorrowedFd<'_>>,
    ) -> Result<(State, Origin), VmError> {
        let find = || {
            self.store
                .find(&self.name, &self.expected)
                .map_err(state_error(kernel))
        };
        if let Some(state) = find()? {
            return Ok((state, Origin::Restored));
        }
        let _lock = lock::lock(&self.store, &self.name, interrupt)?;
        // Another process or thread may have made it meanwhile.
        if let Some(state) = find()? {
            return Ok((state, Origin::Restored));
        }
        let files = files.get(kernel)?;
        let identity = Identity::new(self.expected.clone(), kernel, &files)?;
        let (memory, devices) = save::save(&files, settings, interrupt)?;
        self.store
            .put(&self.name, identity, &memory, &devices)
            .map_err(state_error(kernel))?;
        let lost = || state_error(kernel)(std::io::Error::other("it is gone or changed"));
        Ok((find()?.ok_or_else(lost)?, Origin::SavedFirst))
    }
}

fn state_error(kernel: &Kernel) -> impl Fn(std::io::Error) -> VmError {
    let release = kernel.release.clone();
    move |e| VmError::State {
        release: release.clone(),
        why: e.to_string(),
    }
}
