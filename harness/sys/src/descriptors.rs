//! How many descriptors this process may have open (RLIMIT_NOFILE).

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Soft and hard limit.
pub type Limit = (u64, u64);

static ORIGINAL: OnceLock<Limit> = OnceLock::new();

/// Raises the soft limit to the hard one, and gives that.
///
/// The soft limit is 1024 by custom, for select()'s sake, and a hundred labs
/// need more; the hard one is what the administrator means.
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
/// have; None: they are as they were.
pub fn original_limit() -> Option<Limit> {
    ORIGINAL.get().copied()
}

/// Sets both limits. One system call and nothing else: good between fork()
/// and exec().
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
