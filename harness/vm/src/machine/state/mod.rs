//! Guests that are restored, not booted: the first guest of a kernel, a program and
//! settings is saved when it is about to ask for its input, and every guest goes on
//! from there, the first one too.
//!
//! ```text
//! identity  all that a state depends on
//! save      boots a guest until it stops itself
//! monitor   QEMU's monitor, for that
//! file      a state as a file, and whether it is whole
//! pages     which pages of a memory are kept, and their sum
//! store     the directory of states
//! lock      who makes one
//! ```
//!
//! Restored guests are the same to the nanosecond. A booted one is some microseconds
//! away from them: it does not stop itself, and QEMU begins its random numbers anew
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
use crate::files::Shared;
use crate::kernels::Kernel;
use crate::machine::{GuestTimes, Heard, Origin, boot, restore};
use crate::settings::{GuestTime, Settings};

/// Runs a guest on `kernel` from its saved state, which is made when there is none; or
/// boots it where that is not possible, and tells `notice` why.
///
/// # Errors
/// As [`boot`].
pub fn restore_or_boot(
    (kernel, files): (&Kernel, &Shared),
    input: &[u8],
    settings: &Settings,
    interrupt: Option<BorrowedFd<'_>>,
    notice: &mut dyn FnMut(&VmError),
    heard: &mut dyn FnMut(Heard<'_>),
) -> Result<GuestTimes, VmError> {
    let kept = Kept::open(kernel, settings);
    let made = kept.and_then(|kept| match kept {
        Some(kept) => {
            let (state, origin) = kept.get_or_make((kernel, files), settings, interrupt)?;
            Ok(Some((kept, state, origin)))
        }
        None => Ok(None),
    });
    match made {
        Ok(None) => {}
        Ok(Some((kept, state, origin))) => {
            match restore(&state, input, settings, interrupt, heard) {
                // Nothing was heard of it.
                Err(why @ VmError::State { .. }) => {
                    // Without it the next guest makes a new one.
                    let _ = kept.store.remove(&kept.name);
                    notice(&why);
                }
                ended => return ended.map(|life| GuestTimes { origin, ..life }),
            }
        }
        Err(why @ (VmError::State { .. } | VmError::System { .. })) => notice(&why),
        // A guest that is booted would end the same way.
        Err(e) => return Err(e),
    }
    boot(&*files.get(kernel)?, input, settings, interrupt, heard)
}

/// Where a state is, or will be.
struct Kept {
    store: Store,
    name: String,
    expected: Expected,
}

impl Kept {
    /// None: states are not wanted.
    fn open(kernel: &Kernel, settings: &Settings) -> Result<Option<Self>, VmError> {
        let wanted = settings.restore && settings.time == GuestTime::Virtual;
        let Some(place) = store::place().filter(|_| wanted) else {
            return Ok(None);
        };
        let store = Store::open(&place).map_err(state(kernel))?;
        let expected = Expected::now(kernel, settings)?;
        Ok(Some(Kept {
            store,
            name: expected.name(),
            expected,
        }))
    }

    fn get_or_make(
        &self,
        (kernel, files): (&Kernel, &Shared),
        settings: &Settings,
        interrupt: Option<BorrowedFd<'_>>,
    ) -> Result<(State, Origin), VmError> {
        let find = || {
            self.store
                .find(&self.name, &self.expected)
                .map_err(state(kernel))
        };
        if let Some(state) = find()? {
            return Ok((state, Origin::Restored));
        }
        let _lock = lock::lock(&self.store, &self.name, interrupt)?;
        // Somebody else may have made it meanwhile.
        if let Some(state) = find()? {
            return Ok((state, Origin::Restored));
        }
        let files = files.get(kernel)?;
        let identity = Identity::of(self.expected.clone(), kernel, &files)?;
        let (memory, devices) = save::save(&files, settings, interrupt)?;
        self.store
            .put(&self.name, identity, &memory, &devices)
            .map_err(state(kernel))?;
        let lost = || state(kernel)(std::io::Error::other("it is gone or changed"));
        Ok((find()?.ok_or_else(lost)?, Origin::SavedFirst))
    }
}

fn state(kernel: &Kernel) -> impl Fn(std::io::Error) -> VmError {
    let release = kernel.release.clone();
    move |e| VmError::State {
        release: release.clone(),
        why: e.to_string(),
    }
}
