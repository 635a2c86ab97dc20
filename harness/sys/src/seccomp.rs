//! Installs a seccomp filter (seccomp(2)).

use std::io;

/// Installs `filter` for this thread and whatever it starts.
///
/// # Errors
/// EACCES without CAP_SYS_ADMIN in the user namespace and without
/// no_new_privs; EINVAL for a filter that the kernel refuses.
pub fn install(filter: &mut [libc::sock_filter]) -> io::Result<()> {
    let length =
        u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = libc::sock_fprog {
        len: length,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: `program` points to `length` instructions that live until the
    // call returns; the kernel copies and checks them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
