//! The budget of descriptors: the limit (RLIMIT_NOFILE) decides how many cases
//! run at once.

use crate::case_run::descriptors_needed;
use halfopen_lab::LabError;
use halfopen_scenario::case::{Case, Clock};
use halfopen_sys::descriptors::raise_limit;

/// What the program has open besides its cases: standard descriptors, the
/// keeper, the pipes of signals and lifeline, and what two cases have open
/// for a moment while they are built.
const RESERVED: usize = 64;

/// Raises this process's limit as far as it may, and returns what is left for
/// the cases.
///
/// # Errors
/// When one of the cases alone needs more.
pub(super) fn budget_for(cases: &[Case]) -> Result<usize, LabError> {
    let limit = raise_limit().map_err(|e| LabError::system("read the limit of descriptors", e))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let left = limit.saturating_sub(RESERVED);
    let here = cases.iter().filter(|case| case.clock != Clock::Virtual);
    let Some(largest) = here.max_by_key(|case| descriptors_needed(case)) else {
        return Ok(left);
    };
    let needed = descriptors_needed(largest);
    if needed > left {
        return Err(LabError::Unsupported {
            what: format!("open enough files for {}: the limit is {limit}", largest.id),
            cure: format!(
                "cure: raise the hard limit, by `ulimit -Hn {0}` as root, or LimitNOFILE={0} in \
                 systemd",
                needed + RESERVED
            ),
        });
    }
    Ok(left)
}
