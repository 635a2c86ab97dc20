//! How many descriptors this process may have open (RLIMIT_NOFILE). The runner
//! raises the limit; endpoints start with the original one.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Soft and hard limit, in this order.
pub type Limit = (u64, u64);

static ORIGINAL: OnceLock<Limit> = OnceLock::new();

/// Raises the soft limit to the hard one, and returns the hard one.
///
/// The soft limit is 1024 by convention, because of select(2), and a hundred labs
/// need more; the hard limit is the administrator's.
///
/// # Errors
/// None on Linux.
pub fn raise_limit() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ORIGINAL.get_or_init(|| (soft, hard));
    if soft < hard {
        set_limit((hard, hard))?;
    }
    Ok(hard)
}

/// The limits before [`raise_limit`], which programs that are started should
/// have; None: the limits have not been raised.
pub fn original_limit() -> Option<Limit> {
    ORIGINAL.get().copied()
}

/// Sets both limits. One system call and nothing else, so it may run between
/// fork() and exec().
///
/// # Errors
/// EPERM above the hard limit.
pub fn set_limit((soft, hard): Limit) -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raised_to_the_hard_limit() {
        let hard = raise_limit().expect("is allowed to everybody");
        let (soft, again) = getrlimit(Resource::RLIMIT_NOFILE).expect("is known");
        assert_eq!((soft, again), (hard, hard));
        assert!(original_limit().is_some_and(|(soft, hard)| soft <= hard));
    }
}
