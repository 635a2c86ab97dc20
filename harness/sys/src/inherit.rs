//! Descriptors that pass an exec: given to exactly one child, taken over by it.
//!
//! The runner starts the endpoints' template so, and the template takes over its
//! descriptors by number.

use std::ffi::CString;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

/// Starts `program` with `arguments` (the first one is its own name), with
/// `inherited` besides the standard descriptors, as the leader of a process
/// group of its own. Input and output are /dev/null, errors stay the caller's.
/// The numbers of the inherited descriptors stay what they are here.
///
/// All of them may be close-on-exec in this process: the flag is cleared in the
/// child, between fork() and exec(), so that a sibling that another thread
/// starts at the same moment never gets them.
///
/// By posix_spawn(3), which shares the memory until the exec: a runner with
/// hundreds of threads has thousands of pages and mappings, and copying them for
/// a process that execs at once was measured as a quarter of a run's work.
///
/// # Errors
/// Of fork() and exec(), and when a number is not an open descriptor.
pub fn spawn_inheriting(
    program: &Path,
    arguments: &[CString],
    inherited: &[RawFd],
) -> io::Result<Pid> {
    let mut files = PosixSpawnFileActions::init()?;
    files.add_open(
        libc::STDIN_FILENO,
        "/dev/null",
        OFlag::O_RDONLY,
        Mode::empty(),
    )?;
    files.add_open(
        libc::STDOUT_FILENO,
        "/dev/null",
        OFlag::O_WRONLY,
        Mode::empty(),
    )?;
    for &fd in inherited {
        // Onto itself: clears close-on-exec, by POSIX and by glibc since 2.29.
        files.add_dup2(fd, fd)?;
    }
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETPGROUP)?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| {
            CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
        })
        .collect();
    Ok(posix_spawn(
        program,
        &files,
        &attributes,
        arguments,
        &environment,
    )?)
}

/// Closes every descriptor but the standard ones and `keep`, so that one that a
/// library opened in the parent without O_CLOEXEC does not keep a socket or a
/// pipe open here. Does nothing before Linux 5.9, which has no close_range(2);
/// there only O_CLOEXEC at the place of opening helps.
///
/// # Safety
/// Nothing in this process may own or later use one of the descriptors that are
/// closed: its number may soon name another file. Holds in a process that has
/// just been started and has opened nothing yet.
pub unsafe fn close_others(keep: &[RawFd]) {
    let keep = sorted(keep);
    for (i, fd) in keep.iter().enumerate() {
        let (first, last) = (fd + 1, keep.get(i + 1).map_or(u32::MAX, |next| next - 1));
        if first <= last {
            // SAFETY: the caller's promise.
            unsafe { close_range(first, last, 0) };
        }
    }
}

/// As [`close_others`], for a process that has shared its descriptor table with
/// another one until now (CLONE_FILES): it gets a table of its own, into which
/// those above `keep` are not even copied (dup_fd() in fs/file.c). The other
/// process keeps its descriptors.
///
/// # Safety
/// As [`close_others`], for what runs in this process from now on: values that
/// own descriptors of the shared table must not be used or dropped here.
pub unsafe fn unshare_others(keep: &[RawFd]) {
    let above = sorted(keep).last().map_or(0, |last| last + 1);
    // SAFETY: the caller's promise.
    unsafe {
        close_range(above, u32::MAX, libc::CLOSE_RANGE_UNSHARE);
        close_others(keep);
    }
}

/// Whether this kernel closes ranges of descriptors.
pub fn can_close_others() -> bool {
    // SAFETY: no descriptor has this number, so nothing is closed.
    unsafe { close_range(u32::MAX, u32::MAX, 0) }
}

/// close_range(2); whether it succeeded.
///
/// # Safety
/// Nothing may own a descriptor of the range.
unsafe fn close_range(first: u32, last: u32, flags: libc::c_uint) -> bool {
    // SAFETY: takes three integers; that nothing owns the descriptors is the
    // caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    result == 0
}

/// The standard descriptors and `keep`, each once.
fn sorted(keep: &[RawFd]) -> Vec<u32> {
    let mut keep: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(*fd).ok())
        .collect();
    keep.extend([0, 1, 2]);
    keep.sort_unstable();
    keep.dedup();
    keep
}

/// Takes over a descriptor that this process inherited under the number `fd`,
/// and makes it close-on-exec.
///
/// # Errors
/// EBADF when it is not open; EBUSY when it is close-on-exec already, so taken
/// over before or opened by this process; EINVAL when it is a standard
/// descriptor, which Rust's own library uses.
///
/// # Safety
/// Nothing else in this process may own `fd`. The checks above catch what Rust
/// opened, which is always close-on-exec, but not what a C library opened
/// without O_CLOEXEC.
pub unsafe fn take_inherited(fd: RawFd) -> io::Result<OwnedFd> {
    if fd <= libc::STDERR_FILENO {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: the number is only looked up; one that is not open gives EBADF.
    let looked_up = unsafe { BorrowedFd::borrow_raw(fd) };
    if fcntl(looked_up, FcntlArg::F_GETFD)? & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    fcntl(looked_up, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open; that it has no other owner is the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
