//! `--no-module-loading`: refuses cases for which the kernel would load modules.
//! Called before the first probe of [`super::capabilities`], which would load them.

use halfopen_runner::modules::{Loading, needed};
use halfopen_scenario::case::Case;

use super::capabilities::Missing;
use super::sysctls::Sysctls;

/// Refuses, if it is wished, what would make this machine's kernel load modules.
///
/// # Errors
/// With the modules, and how they are loaded beforehand.
pub(crate) fn load_none(wished: bool, cases: &[Case], sysctls: &Sysctls) -> Result<(), Missing> {
    if !wished {
        return Ok(());
    }
    let needed = needed(cases, sysctls);
    let needed = needed.iter().map(String::as_str);
    let missing = Loading::of_machine().would_load(needed).join(" ");
    if missing.is_empty() {
        return Ok(());
    }
    Err(Missing {
        what: "run these cases with --no-module-loading".into(),
        why: format!("the kernel would load {missing}"),
        cure: format!("modprobe -a {missing} beforehand, or --time virtual"),
    })
}
