//! Makes sure that only one thread of one process makes a state at a time, by a lock
//! (F_OFD_SETLK) on a file of the store.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::{F_WRLCK, SEEK_SET, flock};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::store::{LOCK, Store};
use crate::error::VmError;

/// How often a lock that is taken is tried again, milliseconds.
const RETRY_INTERVAL_MS: u8 = 20;

/// Waits until nobody else makes the state of this name. The lock is held until the
/// returned file is dropped, or the process ends.
pub(super) fn lock(
    store: &Store,
    name: &str,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<File, VmError> {
    let failed = |e| VmError::system::<std::io::Error>("lock the saved states")(e);
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(store.path(LOCK))
        .map_err(failed)?;
    // Each name locks one byte of the file, chosen by the hash at the end of the name.
    // The lock belongs to the open file description, so threads exclude each other,
    // too.
    let hash = name.rsplit('-').next().unwrap_or_default();
    let hash = u64::from_str_radix(hash, 16).unwrap_or(0);
    let wanted = flock {
        l_type: F_WRLCK as i16,
        l_whence: SEEK_SET as i16,
        l_start: i64::try_from(hash >> 2).unwrap_or(0),
        l_len: 1,
        l_pid: 0,
    };
    loop {
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&wanted)) {
            Ok(_) => return Ok(file),
            Err(nix::Error::EAGAIN | nix::Error::EACCES | nix::Error::EINTR) => {}
            Err(e) => return Err(failed(e.into())),
        }
        let interrupt = interrupt.as_ref().map(AsFd::as_fd);
        let mut fds: Vec<PollFd<'_>> = interrupt
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .into_iter()
            .collect();
        if poll(&mut fds, PollTimeout::from(RETRY_INTERVAL_MS)).is_ok_and(|ready| ready > 0) {
            return Err(VmError::Interrupted);
        }
    }
}
